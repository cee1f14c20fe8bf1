//! SQLite, with the tables that an engineer would write for this: branches with their parent and cutoff, and versions of roles.
//!
//! A role of a branch is the newest version that the branch or the nearest of its ancestors has, each up to the cutoff of the branch below.

use std::{
    path::Path,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use chrono::Utc;
use offshoot_benches::{Outcome, roles};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{At, Branch, Branching, ROOT, Stamp};

const SETUP: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS branches (id INTEGER PRIMARY KEY, parent INTEGER, cutoff INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS role_versions (
        branch INTEGER NOT NULL, name BLOB NOT NULL, lsn INTEGER NOT NULL, at INTEGER NOT NULL, value BLOB,
        PRIMARY KEY (branch, name, lsn)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS role_versions_by_name ON role_versions (name, branch, lsn);
    CREATE INDEX IF NOT EXISTS role_versions_by_time ON role_versions (branch, at, lsn);
    CREATE INDEX IF NOT EXISTS role_versions_by_lsn ON role_versions (branch, lsn);";

/// A branch (`?1`) and its ancestors, nearest first, each with the last LSN that the branch sees of it.
macro_rules! chain {
    ($query:literal) => {
        concat!(
            "WITH RECURSIVE chain (branch, cutoff) AS (
                VALUES (?1, 9223372036854775807)
                UNION ALL
                SELECT branches.parent, min(branches.cutoff, chain.cutoff)
                FROM chain JOIN branches ON branches.id = chain.branch WHERE branches.parent IS NOT NULL
            ) ",
            $query
        )
    };
}

/// Stops at the first ancestor that has the role.
const GET: &str = chain!(
    "SELECT (SELECT value FROM role_versions AS role
             WHERE role.branch = chain.branch AND role.name = ?2 AND role.lsn <= chain.cutoff
             ORDER BY role.lsn DESC LIMIT 1) AS found
     FROM chain WHERE found IS NOT NULL LIMIT 1"
);

/// Finds the names by the index on them, and then each role. The plus keeps SQLite from reading all of a branch's names first.
const LIST: &str = chain!(
    ", names AS (
        SELECT DISTINCT name FROM role_versions
        WHERE name >= ?2 AND +branch IN (SELECT branch FROM chain) ORDER BY name LIMIT ?3
     )
     SELECT (SELECT (SELECT value FROM role_versions AS role
                     WHERE role.branch = chain.branch AND role.name = names.name AND role.lsn <= chain.cutoff
                     ORDER BY role.lsn DESC LIMIT 1) AS found
             FROM chain WHERE found IS NOT NULL LIMIT 1) FROM names"
);

/// The names that a child has touched, and those that its parent has touched since: what may differ between them.
const TOUCHED: &str = "SELECT DISTINCT name FROM role_versions WHERE branch = ?2
    UNION SELECT name FROM role_versions WHERE branch = ?1 AND lsn > (SELECT cutoff FROM branches WHERE id = ?2)";

pub(crate) struct Sqlite {
    /// One that the threads share is faster than one each.
    connection: Mutex<Connection>,
    lsn: AtomicU64,
}

impl Sqlite {
    fn connection(&self) -> Outcome<MutexGuard<'_, Connection>> {
        Ok(self.connection.lock().map_err(|_| "a thread panicked in SQLite")?)
    }

    /// Does something in one durable transaction.
    fn transact<T>(&self, body: impl FnOnce(&Transaction<'_>) -> Outcome<T>) -> Outcome<T> {
        let mut connection = self.connection()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = body(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }

    fn next_lsn(&self) -> u64 {
        self.lsn.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn insert(&self, transaction: &Transaction<'_>, branch: Branch, role: u64, seed: u64) -> Outcome<Stamp> {
        let stamp = Stamp { lsn: self.next_lsn(), micros: Utc::now().timestamp_micros() };
        let mut insert = transaction
            .prepare_cached("INSERT INTO role_versions (branch, name, lsn, at, value) VALUES (?, ?, ?, ?, ?)")?;
        insert.execute(params![branch, roles::key(role), stamp.lsn, stamp.micros, roles::value(role, seed)])?;
        Ok(stamp)
    }

    fn insert_branch(&self, transaction: &Transaction<'_>, parent: Branch, cutoff: u64) -> Outcome<Branch> {
        transaction
            .prepare_cached("INSERT INTO branches (parent, cutoff) VALUES (?, ?)")?
            .execute(params![parent, cutoff])?;
        Ok(u64::try_from(transaction.last_insert_rowid())?)
    }
}

impl Branching for Sqlite {
    fn open(directory: &Path, cache_bytes: u64) -> Outcome<Self> {
        let connection = Connection::open(directory.join("sqlite"))?;
        connection.execute_batch(SETUP)?;
        // A negative number is in KiB.
        connection.pragma_update(None, "cache_size", -i64::try_from(cache_bytes >> 10)?)?;
        connection.execute("INSERT OR IGNORE INTO branches (id, cutoff) VALUES (?, 0)", [ROOT])?;
        let lsn = connection.query_row("SELECT coalesce(max(lsn), 0) FROM role_versions", [], |row| row.get(0))?;
        Ok(Self { connection: Mutex::new(connection), lsn: AtomicU64::new(lsn) })
    }

    fn root(&self, roles: u64) -> Outcome<()> {
        self.transact(|transaction| (0..roles).try_for_each(|role| self.insert(transaction, ROOT, role, 0).map(|_| ())))
    }

    fn fork(&self, parent: Branch, at: At) -> Outcome<Option<Branch>> {
        self.transact(|transaction| {
            let cutoff = match at {
                At::Head => self.lsn.load(Ordering::Relaxed),
                At::Lsn(stamp) => stamp.lsn,
                At::Time(stamp) => transaction
                    .prepare_cached(
                        "SELECT lsn FROM role_versions WHERE branch = ? AND at <= ? ORDER BY at DESC, lsn DESC LIMIT 1",
                    )?
                    .query_row(params![parent, stamp.micros], |row| row.get(0))?,
            };
            Ok(Some(self.insert_branch(transaction, parent, cutoff)?))
        })
    }

    fn forks(&self, count: u64) -> Outcome<(u64, Branch)> {
        let count = count.min(1_000);
        self.transact(|transaction| {
            let cutoff = self.lsn.load(Ordering::Relaxed);
            let mut last = ROOT;
            for _ in 0..count {
                last = self.insert_branch(transaction, ROOT, cutoff)?;
            }
            Ok((count, last))
        })
    }

    fn put(&self, branch: Branch, role: u64, seed: u64) -> Outcome<()> {
        self.transact(|transaction| self.insert(transaction, branch, role, seed).map(|_| ()))
    }

    fn versions(&self, roles: u64, count: u64) -> Outcome<Vec<Stamp>> {
        self.transact(|transaction| {
            (0..count).map(|number| self.insert(transaction, ROOT, number * 7_919 % roles, number)).collect()
        })
    }

    fn get(&self, branch: Branch, role: u64) -> Outcome<Option<Vec<u8>>> {
        let connection = self.connection()?;
        let mut get = connection.prepare_cached(GET)?;
        Ok(get.query_row(params![branch, roles::key(role)], |row| row.get(0)).optional()?)
    }

    fn list(&self, branch: Branch, from: u64, limit: usize) -> Outcome<usize> {
        let connection = self.connection()?;
        let mut list = connection.prepare_cached(LIST)?;
        let mut rows = list.query(params![branch, roles::key(from), i64::try_from(limit)?])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            row.get_ref(0)?.as_blob()?;
            count += 1;
        }
        Ok(count)
    }

    fn diff(&self, before: Branch, after: Branch) -> Outcome<usize> {
        let connection = self.connection()?;
        let (mut touched, mut get) = (connection.prepare_cached(TOUCHED)?, connection.prepare_cached(GET)?);
        let names = touched
            .query_map(params![before, after], |row| row.get(0))?
            .collect::<Result<Vec<Vec<u8>>, rusqlite::Error>>()?;
        let mut count = 0;
        for name in names {
            let mut value = |branch: Branch| -> Outcome<Option<Vec<u8>>> {
                Ok(get.query_row(params![branch, name], |row| row.get(0)).optional()?)
            };
            count += usize::from(value(before)? != value(after)?);
        }
        Ok(count)
    }
}
