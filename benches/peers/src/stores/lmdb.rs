//! LMDB: a write transaction, synced when it commits, as is the default.

use std::path::Path;

use heed::{CommitOrAbort, Database, Env, EnvOpenOptions, types::Bytes};
use offshoot_benches::Outcome;

use super::Racer;
use crate::puts::Puts;

/// How large the file may become.
const MAP_BYTES: usize = 4 << 30;

pub(crate) struct Lmdb {
    environment: Env,
    entries: Database<'static, Bytes, Bytes>,
}

impl Racer for Lmdb {
    fn open(directory: &Path) -> Outcome<Self> {
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES);
        #[expect(unsafe_code, reason = "nothing else changes the file that is mapped: its directory is new, and ours")]
        let environment = unsafe { options.open(directory)? };
        let made = environment.create_databases_and_commit(environment.write_txn()?, |opener, transaction| {
            opener.create_database(transaction, None).map(CommitOrAbort::<_, ()>::Commit)
        })?;
        match made {
            CommitOrAbort::Commit(entries) => Ok(Self { environment, entries }),
            CommitOrAbort::Abort(()) => Err("LMDB made no database".into()),
        }
    }

    fn commit(&self, puts: &Puts) -> Outcome<()> {
        let mut transaction = self.environment.write_txn()?;
        for (key, value) in puts.pairs() {
            self.entries.put(&mut transaction, key, value)?;
        }
        Ok(transaction.commit()?)
    }

    fn get(&self, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        let transaction = self.environment.read_txn()?;
        Ok(self.entries.get(&transaction, key)?.map(<[u8]>::to_vec))
    }
}
