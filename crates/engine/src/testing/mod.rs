//! For tests of what embeds the engine, and of stores: with the feature `testing`.

mod clock;
mod collecting;
pub mod conformance;
mod counting;
pub mod decode;
mod faulty;
pub mod model;
mod reads;
pub mod steps;

pub use self::{
    clock::ManualClock,
    counting::{CountingStore, Counts},
    faulty::{FaultyStore, Operation},
};
