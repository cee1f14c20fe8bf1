//! The rules that every [`Store`] keeps, as tests.
//!
//! A store runs them all, each as a test of its own, with [`store_conformance!`](crate::store_conformance):
//!
//! ```
//! # #[cfg(feature = "testing")]
//! mod conformance {
//!     use offshoot_engine::{MemoryStore, store_conformance, testing::conformance::Medium};
//!
//!     struct Memory(MemoryStore);
//!
//!     impl Medium for Memory {
//!         type Store = MemoryStore;
//!         fn new() -> Self {
//!             Self(MemoryStore::new())
//!         }
//!         fn open(&self) -> MemoryStore {
//!             self.0.clone()
//!         }
//!     }
//!
//!     store_conformance!(Memory);
//! }
//! ```

mod commits;
mod concurrency;
mod feed;
mod model;
mod reads;

use bytes::Bytes;

pub use self::{commits::*, concurrency::*, feed::*, model::*, reads::*};
use crate::store::{
    Commit, Condition, Direction, KeyRange, Sequence, Snapshot, Store, StoreError, Submitted, Ticket, View, Write,
};

/// Where a store keeps its data: a directory, a server, or the store itself if it is in memory.
///
/// The rules open only one store at a time on a medium. A medium may panic when it cannot do its work: it belongs to a test.
pub trait Medium {
    /// The store to test.
    type Store: Store;

    /// An empty medium.
    fn new() -> Self;

    /// Opens the store. Called again after the store was dropped, opens what it left.
    fn open(&self) -> Self::Store;
}

/// Expands to one test for each rule of [`conformance`](crate::testing::conformance); takes a type that is a
/// [`Medium`](crate::testing::conformance::Medium).
#[macro_export]
macro_rules! store_conformance {
    ($medium:ty) => {
        $crate::store_conformance! { @rules $medium:
            what_was_put_is_read_until_it_is_deleted
            ranges_keep_their_bounds_both_ways
            prefixes_hold_what_begins_with_them
            long_ranges_are_complete_both_ways
            large_values_are_kept
            snapshots_stay_as_they_were
            latest_shows_what_is_accepted
            a_changed_key_conflicts
            a_key_created_meanwhile_conflicts
            a_phantom_conflicts
            an_untouched_range_does_not_conflict
            what_the_snapshot_shows_does_not_conflict
            an_open_snapshot_keeps_conditions_decidable
            a_forgotten_past_conflicts
            a_conflict_writes_nothing
            a_barrier_follows_what_was_accepted_before
            a_barrier_checks_its_conditions
            commits_become_durable_in_order
            a_commit_that_is_too_large_is_refused
            a_key_is_written_once_in_a_commit
            reopening_keeps_everything
            the_feed_shows_each_commit_once_in_order
            the_feed_never_skips_a_commit
            a_follower_is_woken_by_the_next_commit
            conditional_increments_from_many_threads_add_up
            readers_never_see_half_a_commit
            random_commits_agree_with_the_model
        }
    };
    (@rules $medium:ty: $($rule:ident)*) => {
        $(
            #[test]
            fn $rule() -> ::std::result::Result<(), $crate::StoreError> {
                $crate::testing::conformance::$rule::<$medium>()
            }
        )*
    };
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn put(key: &str, value: &str) -> Write {
    Write::Put(bytes(key), bytes(value))
}

fn delete(key: &str) -> Write {
    Write::Delete(bytes(key))
}

/// Submits writes without conditions.
fn submit(store: &impl Store, writes: Vec<Write>) -> Result<Ticket, StoreError> {
    match store.submit(Commit { conditions: Vec::new(), writes })? {
        Submitted::Applied(ticket) => Ok(ticket),
        Submitted::Conflict => {
            Err(StoreError::InvalidCommit { what: "bug: a conflict without a condition".to_owned() })
        }
    }
}

/// Submits writes without conditions, and waits for them.
fn commit(store: &impl Store, writes: Vec<Write>) -> Result<Sequence, StoreError> {
    let ticket = submit(store, writes)?;
    store.wait(ticket)?;
    Ok(ticket.sequence())
}

/// Whether a commit of `writes` conflicts if it depends on `range` as of `since`.
fn conflicts(store: &impl Store, range: KeyRange, since: Sequence, writes: Vec<Write>) -> Result<bool, StoreError> {
    let conditions = vec![Condition { range, unchanged_since: since }];
    match store.submit(Commit { conditions, writes })? {
        Submitted::Applied(ticket) => store.wait(ticket).map(|()| false),
        Submitted::Conflict => Ok(true),
    }
}

/// The keys of a range, as text.
fn keys(snapshot: &dyn Snapshot, range: &KeyRange, direction: Direction) -> Result<Vec<String>, StoreError> {
    let entries = snapshot.range(range, direction);
    entries.map(|entry| entry.map(|(key, _)| String::from_utf8_lossy(&key).into_owned())).collect()
}

/// The value of one durable key, as text.
fn durable(store: &impl Store, key: &str) -> Result<Option<String>, StoreError> {
    let value = store.get(View::Durable, key.as_bytes())?;
    Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
}
