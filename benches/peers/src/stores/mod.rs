//! The stores in the race.

mod fjall;
mod lmdb;
mod offshoot;
mod redb;
mod sled;
mod sqlite;

use std::path::Path;

use offshoot_benches::Outcome;

pub(crate) use self::{
    fjall::Fjall,
    lmdb::Lmdb,
    offshoot::Offshoot,
    redb::Redb,
    sled::{Sled, SyncedSled},
    sqlite::Sqlite,
};
use crate::puts::Puts;

/// A store in the race.
pub(crate) trait Racer: Sync {
    /// A new store in a directory, which exists.
    fn open(directory: &Path) -> Outcome<Self>
    where
        Self: Sized;

    /// Writes both puts, or none. They are durable when this returns.
    fn commit(&self, puts: &Puts) -> Outcome<()>;

    /// What is stored under a key.
    fn get(&self, key: &[u8]) -> Outcome<Option<Vec<u8>>>;
}
