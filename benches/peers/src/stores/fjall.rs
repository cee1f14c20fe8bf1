//! fjall 3: a batch that is committed with `SyncData`.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use offshoot_benches::Outcome;

use super::Racer;
use crate::puts::Puts;

pub(crate) struct Fjall {
    database: Database,
    entries: Keyspace,
}

impl Racer for Fjall {
    fn open(directory: &Path) -> Outcome<Self> {
        let database = Database::builder(directory).open()?;
        let entries = database.keyspace("entries", KeyspaceCreateOptions::default)?;
        Ok(Self { database, entries })
    }

    fn commit(&self, puts: &Puts) -> Outcome<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for (key, value) in puts.pairs() {
            batch.insert(&self.entries, key, value);
        }
        Ok(batch.commit()?)
    }

    fn get(&self, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        Ok(self.entries.get(key)?.map(|value| value.to_vec()))
    }
}
