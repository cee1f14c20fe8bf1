//! redb 4: a write transaction with the default durability, `Immediate`.

use std::path::Path;

use offshoot_benches::Outcome;
use redb::{Database, ReadableDatabase, TableDefinition};

use super::Racer;
use crate::puts::Puts;

const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");

pub(crate) struct Redb(Database);

impl Racer for Redb {
    fn open(directory: &Path) -> Outcome<Self> {
        Ok(Self(Database::create(directory.join("redb"))?))
    }

    fn commit(&self, puts: &Puts) -> Outcome<()> {
        let transaction = self.0.begin_write()?;
        {
            let mut entries = transaction.open_table(ENTRIES)?;
            for (key, value) in puts.pairs() {
                entries.insert(key, value)?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn get(&self, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        let entries = self.0.begin_read()?.open_table(ENTRIES)?;
        Ok(entries.get(key)?.map(|value| value.value().to_vec()))
    }
}
