use std::io::{Cursor, Seek, SeekFrom};

use super::*;
use crate::{
    MemoryStore,
    store::{Commit, Store, StoreError, Submitted, View, Write},
    testing::{FaultyStore, Operation},
};

fn commit(store: &dyn Store, entries: &[Entry]) -> Sequence {
    let writes = entries.iter().map(|(key, value)| Write::Put(key.clone(), value.clone())).collect();
    match store.submit(Commit { conditions: Vec::new(), writes }).unwrap() {
        Submitted::Applied(ticket) => {
            store.wait(ticket).unwrap();
            ticket.sequence()
        }
        Submitted::Conflict => unreachable!("there are no conditions"),
    }
}

fn store_of(entries: &[Entry]) -> MemoryStore {
    let store = MemoryStore::new();
    commit(&store, entries);
    store
}

fn dumped(store: &dyn Store) -> (Vec<u8>, DumpInfo) {
    let mut file = Vec::new();
    let info = dump(store, &mut file, &mut |_| {}).unwrap();
    (file, info)
}

fn load_quietly(file: &[u8], store: &dyn Store) -> Result<DumpInfo, DumpError> {
    load(Cursor::new(file), store, &mut |_| {})
}

/// Enough for several commits and many blocks.
fn large_entries() -> Vec<Entry> {
    (10_u8..20).map(|number| (vec![number].into(), vec![number; 1 << 20].into())).collect()
}

#[test]
fn a_dump_of_an_empty_store_is_one_of_an_empty_store() {
    let (file, info) = dumped(&MemoryStore::new());
    assert_eq!((info.entries, info.digest, info.sequence), (0, 0, Sequence::ZERO));
    let store = MemoryStore::new();
    assert_eq!(load_quietly(&file, &store).unwrap(), info);
    assert!(store.entries().is_empty());
}

#[test]
fn large_values_are_loaded_in_commits_that_the_store_takes() {
    let (file, info) = dumped(&store_of(&large_entries()[..7]));
    let store = MemoryStore::new();
    assert_eq!(load_quietly(&file, &store).unwrap(), info);
    assert_eq!(store.entries(), large_entries()[..7]);
    assert_eq!(commit(&store, &entries(1)), Sequence::new(4), "three commits of at most 4 MiB came before");
}

#[test]
fn a_commit_that_happens_during_a_dump_is_not_in_it() {
    let entries = &large_entries()[..4];
    let store = store_of(entries);
    let (mut file, mut commits) = (Vec::new(), 0);
    let info = dump(&store, &mut file, &mut |_| {
        commits += 1;
        let late = [(entries[3].0.clone(), "late".into()), (format!("late {commits}").into(), "late".into())];
        commit(&store, &late);
    });
    assert!(commits > 1);
    assert_eq!(info.unwrap().sequence, Sequence::new(1));
    assert_eq!(read(&file[..]).unwrap().0, entries);
}

#[test]
fn only_what_is_durable_is_dumped() {
    let store = MemoryStore::manual();
    let writes = vec![Write::Put("pending".into(), "value".into())];
    let _pending = store.submit(Commit { conditions: Vec::new(), writes }).unwrap();
    assert_eq!(dumped(&store).1.entries, 0);
    store.sync();
    assert_eq!(dumped(&store).1.entries, 1);
}

#[test]
fn a_damaged_dump_is_refused_before_anything_is_written() {
    let mut file = dumped(&store_of(&entries(10_000))).0;
    let last = file.len() - 1;
    file[last] ^= 1;
    let store = MemoryStore::new();
    damage(load_quietly(&file, &store));
    assert_eq!(commit(&store, &entries(1)), Sequence::new(1), "there was no commit before");
}

#[test]
fn a_store_that_is_not_empty_is_refused() {
    let file = dumped(&store_of(&entries(10))).0;
    let store = store_of(&entries(1));
    assert!(matches!(load_quietly(&file, &store), Err(DumpError::NotEmpty)));
    assert_eq!(store.entries(), entries(1));
    let pending = MemoryStore::manual();
    let writes = vec![Write::Put("pending".into(), "value".into())];
    let _pending = pending.submit(Commit { conditions: Vec::new(), writes }).unwrap();
    for file in [file, dumped(&MemoryStore::new()).0] {
        assert!(matches!(load_quietly(&file, &pending), Err(DumpError::NotEmpty)));
    }
}

#[test]
fn a_store_that_was_emptied_is_taken() {
    let store = store_of(&entries(1));
    let writes = vec![Write::Delete(entries(1)[0].0.clone())];
    let Submitted::Applied(_) = store.submit(Commit { conditions: Vec::new(), writes }).unwrap() else {
        unreachable!()
    };
    load_quietly(&dumped(&store_of(&entries(10))).0, &store).unwrap();
    assert_eq!(store.entries(), entries(10));
}

#[test]
fn whoever_else_writes_to_the_store_stops_the_loading() {
    let file = dumped(&store_of(&large_entries()[..7])).0;
    for stage in [Stage::Verifying, Stage::Loading] {
        let store = MemoryStore::new();
        let mut commits = 0;
        let outcome = load(Cursor::new(&file), &store, &mut |progress| {
            if progress.stage == stage && commits == 0 {
                commits += 1;
                commit(&store, &entries(1));
            }
        });
        assert!(matches!(outcome, Err(DumpError::NotEmpty)), "{stage:?}");
    }
}

#[test]
fn a_dump_may_begin_within_a_file() {
    let (file, info) = dumped(&store_of(&entries(10)));
    let mut input = Cursor::new([b"before", &file[..]].concat());
    input.set_position(6);
    let store = MemoryStore::new();
    assert_eq!(load(input, &store, &mut |_| {}).unwrap(), info);
    assert_eq!(store.entries(), entries(10));
}

/// A file that is another one when it is read for the second time.
struct Changing<'a> {
    now: Cursor<&'a [u8]>,
    then: Cursor<&'a [u8]>,
    reads: usize,
}

impl Read for Changing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        self.now.read(buffer)
    }
}

impl Seek for Changing<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if self.reads > 0 {
            self.now = self.then.clone();
        }
        self.now.seek(to)
    }
}

#[test]
fn a_file_that_changes_meanwhile_is_refused() {
    let (now, then) = (dumped(&store_of(&entries(10))).0, dumped(&store_of(&entries(11))).0);
    let input = Changing { now: Cursor::new(&now), then: Cursor::new(&then), reads: 0 };
    let store = MemoryStore::new();
    assert_eq!(damage(load(input, &store, &mut |_| {})), (0, "it changed while it was loaded"));
    assert!(store.entries().is_empty());
}

#[test]
fn what_the_store_says_is_passed_on() {
    let file = dumped(&store_of(&entries(10))).0;
    let store = FaultyStore::new(store_of(&entries(10)));
    for operation in [Operation::Snapshot, Operation::Range] {
        store.fail_next(operation, StoreError::Closed);
        let outcome = dump(&store, Vec::new(), &mut |_| {});
        assert!(matches!(outcome, Err(DumpError::Store(StoreError::Closed))), "{operation:?}");
    }
    for operation in [Operation::Snapshot, Operation::Range, Operation::Submit, Operation::Wait] {
        let store = FaultyStore::new(MemoryStore::new());
        store.fail_next(operation, StoreError::Closed);
        let outcome = load_quietly(&file, &store);
        assert!(matches!(outcome, Err(DumpError::Store(StoreError::Closed))), "{operation:?}");
    }
}

#[test]
fn progress_goes_up_to_all_of_the_dump() {
    let source = store_of(&large_entries()[..7]);
    let (mut told, mut file) = (Vec::new(), Vec::new());
    let info = dump(&source, &mut file, &mut |progress| told.push(progress)).unwrap();
    verify(&file[..], &mut |progress| told.push(progress)).unwrap();
    load(Cursor::new(&file), &MemoryStore::new(), &mut |progress| told.push(progress)).unwrap();
    let stages = [(Stage::Dumping, None), (Stage::Verifying, None)]
        .into_iter()
        .chain([Stage::Verifying, Stage::Loading].map(|stage| (stage, Some(info.bytes))));
    for (stage, of_bytes) in stages {
        let of_stage: Vec<_> =
            told.extract_if(.., |progress| (progress.stage, progress.of_bytes) == (stage, of_bytes)).collect();
        assert!(of_stage.len() > 7, "{stage:?}");
        assert!(of_stage.is_sorted_by(|one, two| one.bytes < two.bytes && one.entries <= two.entries));
        let last = of_stage.last().unwrap();
        assert_eq!((last.entries, last.bytes), (info.entries, info.bytes));
    }
    assert!(told.is_empty());
}

proptest! {
    #[test]
    fn a_dump_carries_a_store_into_another_one(first in any_entries(50), second in any_entries(50)) {
        let source = store_of(&first);
        commit(&source, &second);
        let (file, info) = dumped(&source);
        prop_assert_eq!(verify(&file[..], &mut |_| {})?, info);
        let target = MemoryStore::new();
        prop_assert_eq!(load_quietly(&file, &target)?, info);
        prop_assert_eq!(target.entries(), source.entries());
    }
}

#[cfg(feature = "sled")]
mod sled {
    use super::*;
    use crate::{SledOptions, SledStore};

    /// A dump without what depends on its header: all parts without their checksums.
    fn contents(file: &[u8]) -> Vec<&[u8]> {
        parts(file)[1..].iter().map(|part| &file[part.start..part.end - CHECKSUM_BYTES]).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

        #[test]
        fn a_dump_of_another_kind_of_store_differs_in_its_header_alone(entries in any_entries(5_000)) {
            let source = store_of(&[]);
            for entry in entries.chunks(1) {
                commit(&source, entry);
            }
            let (file, info) = dumped(&source);
            let directory = tempfile::tempdir()?;
            let options = SledOptions::default().with_cache_bytes(16 << 20);
            let store = SledStore::open(directory.path(), &options)?;
            prop_assert_eq!(load_quietly(&file, &store)?, info);
            store.close()?;
            let store = SledStore::open(directory.path(), &options)?;
            let (again, of_sled) = dumped(&store);
            prop_assert_eq!(contents(&again), contents(&file));
            prop_assert_eq!(DumpInfo { sequence: info.sequence, ..of_sled }, info);
            let value = store.get(View::Durable, b"\x01")?;
            prop_assert_eq!(value, source.get(View::Durable, b"\x01")?);
        }
    }
}
