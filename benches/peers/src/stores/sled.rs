//! sled 0.34: an atomic batch, then a flush.

use std::{fs::File, path::Path};

use offshoot_benches::Outcome;
use sled::{Batch, Db};

use super::Racer;
use crate::puts::Puts;

/// As sled's documentation says; on Linux its flush does not wait for the disk.
pub(crate) struct Sled(Db);

impl Racer for Sled {
    fn open(directory: &Path) -> Outcome<Self> {
        // Each commit flushes: a thread that flushes now and then would only get in the way.
        Ok(Self(sled::Config::new().path(directory).flush_every_ms(None).open()?))
    }

    fn commit(&self, puts: &Puts) -> Outcome<()> {
        let mut batch = Batch::default();
        for (key, value) in puts.pairs() {
            batch.insert(key, value);
        }
        self.0.apply_batch(batch)?;
        self.0.flush()?;
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        Ok(self.0.get(key)?.map(|value| value.to_vec()))
    }
}

/// The same, and then an `fdatasync` of the file that sled has written to.
pub(crate) struct SyncedSled {
    sled: Sled,
    log: File,
}

impl Racer for SyncedSled {
    fn open(directory: &Path) -> Outcome<Self> {
        let sled = Sled::open(directory)?;
        Ok(Self { sled, log: File::open(directory.join("db"))? })
    }

    fn commit(&self, puts: &Puts) -> Outcome<()> {
        self.sled.commit(puts)?;
        Ok(self.log.sync_data()?)
    }

    fn get(&self, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        self.sled.get(key)
    }
}
