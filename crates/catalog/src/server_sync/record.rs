//! What is kept of what was taken over.

use offshoot_engine::{NamespaceId, Transaction};

use super::{Left, Taken};
use crate::{
    codec::{DatabaseSyncRecord, LeftRecord, RoleSyncRecord},
    error::Result,
    name::{DatabaseName, RoleName},
    tables::project,
};

/// How many names a record has, so that it fits into one value.
const MAX_TAKEN: usize = 50;
const MAX_LEFT: usize = 40;

/// What came of taking over roles or databases so far.
pub(crate) struct Kept<N>(Taken<N>);

impl<N> Kept<N> {
    pub(super) fn add(&mut self, name: N) {
        self.0.taken_count = self.0.taken_count.saturating_add(1);
        if self.0.taken.len() < MAX_TAKEN {
            self.0.taken.push(name);
        }
    }

    pub(super) fn leave(&mut self, left: &[Left]) {
        self.0.left_count = u32::try_from(left.len()).unwrap_or(u32::MAX);
        self.0.left = left.iter().take(MAX_LEFT).cloned().collect();
    }

    /// Whether anything was taken.
    pub(super) fn has_any(&self) -> bool {
        self.0.taken_count > 0
    }
}

macro_rules! kept {
    ($name:ident, $record:ident, $table:ident) => {
        impl Kept<$name> {
            pub(super) fn load(tx: &mut Transaction<'_>, namespace: NamespaceId, key: &[u8]) -> Result<Self> {
                let record = project::$table.get(tx, namespace, key)?;
                Ok(Self(record.map(Taken::from).unwrap_or_default()))
            }

            pub(super) fn put(&self, tx: &mut Transaction<'_>, namespace: NamespaceId, key: &[u8]) -> Result<()> {
                let Taken { taken, taken_count, left, left_count } = self.0.clone();
                let left = left.into_iter().map(|Left { name, reason }| LeftRecord { name, reason }).collect();
                project::$table.put(tx, namespace, key, &$record { taken, taken_count, left, left_count })
            }
        }

        impl From<$record> for Taken<$name> {
            fn from(record: $record) -> Self {
                let $record { taken, taken_count, left, left_count } = record;
                let left = left.into_iter().map(|LeftRecord { name, reason }| Left { name, reason }).collect();
                Self { taken, taken_count, left, left_count }
            }
        }
    };
}

kept!(RoleName, RoleSyncRecord, ROLE_SYNCS);
kept!(DatabaseName, DatabaseSyncRecord, DATABASE_SYNCS);
