//! SQLite: a write-ahead log, synchronous in full, and prepared statements.

use std::{path::Path, sync::Mutex};

use offshoot_benches::Outcome;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::Racer;
use crate::puts::Puts;

const SETUP: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE entries (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;";

pub(crate) struct Sqlite(Mutex<Connection>);

impl Racer for Sqlite {
    fn open(directory: &Path) -> Outcome<Self> {
        let connection = Connection::open(directory.join("sqlite"))?;
        connection.execute_batch(SETUP)?;
        Ok(Self(Mutex::new(connection)))
    }

    fn commit(&self, puts: &Puts) -> Outcome<()> {
        let mut connection = self.0.lock().map_err(|_| "a thread panicked in SQLite")?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut put = transaction.prepare_cached("REPLACE INTO entries (key, value) VALUES (?, ?)")?;
            for pair in puts.pairs() {
                put.execute(pair)?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn get(&self, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        let connection = self.0.lock().map_err(|_| "a thread panicked in SQLite")?;
        let mut get = connection.prepare_cached("SELECT value FROM entries WHERE key = ?")?;
        Ok(get.query_row([key], |row| row.get(0)).optional()?)
    }
}
