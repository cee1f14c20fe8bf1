//! For tests of what embeds the engine, and of stores: with the feature `testing`.

mod clock;
pub mod model;
pub mod steps;

pub use self::clock::ManualClock;
