//! Dump, restore, check and repair.

use std::{fs, io::Cursor};

use tempfile::TempDir;

use super::{change_entry, copy_dir, entries_of, small_options};
use crate::{
    Engine, NamespaceId, Options, Point,
    store::{
        Sequence, Store, StoreError, StoreReport, View,
        dump::DumpError,
        journaled::{
            Contents, IndexHome, Sizes, StorePart,
            tests::{files, small_sizes},
        },
        sled::{SledStore, home::SledHome},
    },
};

/// A closed store with branches in it; how many keys its map has tells how far it is.
fn store_with_branches(commits: u64) -> TempDir {
    let directory = TempDir::new().unwrap();
    let store = SledStore::open(directory.path(), &small_options()).unwrap();
    let engine = Engine::open(store, Options::default().with_small_nodes()).unwrap();
    let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM)).unwrap().value;
    for number in 0..commits {
        engine.transact(|tx| tx.put(main, format!("key {number:05}").as_bytes(), &[7; 30])).unwrap();
        if number % 10 == 0 {
            engine.transact(|tx| tx.fork(main, Point::Head)).unwrap();
        }
    }
    directory
}

/// The same, killed rather than closed. The last commits are in the journal alone.
fn killed_store_with_branches(commits: u64) -> TempDir {
    let (live, copy) = (store_with_branches(commits), TempDir::new().unwrap());
    // An index that waits for a disk with more space than any has.
    let sizes = Sizes { index_reserve_bytes: u64::MAX, snapshot_bytes: u64::MAX, ..small_sizes() };
    let store = SledStore::open(live.path(), &small_options().with_sizes(sizes)).unwrap();
    let engine = Engine::open(store, Options::default().with_small_nodes()).unwrap();
    let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM)).unwrap().value;
    for number in 0..5_u8 {
        engine.transact(|tx| tx.put(main, &[number], b"late")).unwrap();
    }
    copy_dir(live.path(), copy.path());
    copy
}

fn check(directory: &TempDir) -> StoreReport {
    SledStore::check(directory.path(), &mut |_| {}).unwrap()
}

fn parts(report: &StoreReport) -> Vec<StorePart> {
    let mut parts: Vec<_> = report.findings.iter().map(|finding| finding.part).collect();
    parts.dedup();
    parts
}

fn newest(directory: &TempDir) -> Sequence {
    SledStore::open(directory.path(), &small_options()).unwrap().status().durable
}

/// The path of the file in a folder with the greatest number.
fn newest_file_in(directory: &TempDir, folder: &str) -> std::path::PathBuf {
    let mut files: Vec<_> =
        fs::read_dir(directory.path().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().len() == 16);
    files.into_iter().max().unwrap()
}

/// The frame before the newest: a segment, and where the frame begins in it.
fn frame_in_use(directory: &TempDir) -> (std::path::PathBuf, usize) {
    let mut frames = files::frames(directory.path());
    frames.sort_by_key(|frame| frame.last);
    let frame = &frames[frames.len() - 2];
    (directory.path().join(&frame.file), frame.position)
}

fn flip(path: &std::path::Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_dump_restores_everything_under_a_new_number_from_the_same_commit_on() {
    let directory = store_with_branches(60);
    let store = SledStore::open(directory.path(), &small_options()).unwrap();
    let mut dump = Vec::new();
    let info = store.dump(&mut dump, &mut |_| {}).unwrap();
    let parent = TempDir::new().unwrap();
    let restored = parent.path().join("new");
    let loaded = SledStore::restore(&restored, Cursor::new(&dump), &mut |_| {}).unwrap();
    assert_eq!((info, info.sequence), (loaded, store.status().durable));
    let restored = SledStore::open(&restored, &small_options()).unwrap();
    assert_eq!(restored.status().durable, info.sequence);
    let mut again = Vec::new();
    let of_restored = restored.dump(&mut again, &mut |_| {}).unwrap();
    assert_eq!((of_restored.digest, of_restored.entries), (info.digest, info.entries));
    assert_ne!(of_restored.store_id, info.store_id);
    assert!(fs::read_dir(parent.path()).unwrap().count() == 1, "nothing is left beside it");
}

#[test]
fn a_damaged_dump_or_a_directory_in_use_is_refused_and_nothing_is_made() {
    let directory = store_with_branches(20);
    let mut dump = Vec::new();
    SledStore::open(directory.path(), &small_options()).unwrap().dump(&mut dump, &mut |_| {}).unwrap();
    let error = SledStore::restore(directory.path(), Cursor::new(&dump), &mut |_| {}).unwrap_err();
    assert!(matches!(error, DumpError::NotEmpty), "{error}");
    let parent = TempDir::new().unwrap();
    let (last, middle) = (dump.len() - 1, dump.len() / 2);
    dump[middle] ^= 1;
    for bytes in [&dump[..], &dump[..last]] {
        let error = SledStore::restore(parent.path().join("new"), Cursor::new(bytes), &mut |_| {}).unwrap_err();
        assert!(matches!(error, DumpError::Damaged { .. }), "{error}");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_sound_store_is_sound_and_still_closed_cleanly_after_a_check() {
    let directory = store_with_branches(60);
    for _ in 0..2 {
        let report = check(&directory);
        assert!(report.is_sound() && report.is_clean, "{report}");
        assert_eq!(report.to_apply, 0);
    }
    let killed = killed_store_with_branches(60);
    for _ in 0..2 {
        let report = check(&killed);
        assert!(report.is_sound() && !report.is_clean, "{report}");
        assert_eq!(report.to_apply, 7, "{report}");
    }
    let text = check(&killed).to_string();
    assert!(text.contains("not cleanly") && text.contains("snapshot           commit"), "{text}");
    assert_eq!(newest(&killed), check(&killed).newest);
}

#[test]
fn an_open_store_and_a_missing_one_cannot_be_checked() {
    let directory = store_with_branches(5);
    let store = SledStore::open(directory.path(), &small_options()).unwrap();
    let error = SledStore::check(directory.path(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    drop(store);
    let error = SledStore::check(directory.path().join("missing"), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("there is no directory"), "{error}");
    let empty = TempDir::new().unwrap();
    let error = SledStore::check(empty.path(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("there is no store"), "{error}");
}

#[test]
fn any_part_of_a_store_tells_that_there_is_one() {
    let empty = TempDir::new().unwrap();
    assert!(!SledStore::is_in(empty.path()).unwrap());
    assert!(!SledStore::is_in(empty.path().join("missing")).unwrap());
    let directory = store_with_branches(1);
    assert!(SledStore::is_in(directory.path()).unwrap());
    for part in ["COMMITS", "CHECKPOINT", "journal", "snapshots", "sled"] {
        let one = TempDir::new().unwrap();
        fs::rename(directory.path().join(part), one.path().join(part)).unwrap();
        assert!(SledStore::is_in(one.path()).unwrap(), "{part}");
    }
    assert!(!SledStore::is_in(directory.path()).unwrap(), "nothing else is a part");
}

#[test]
fn each_key_that_is_missing_stale_or_too_many_in_the_index_is_named() {
    for is_clean in [true, false] {
        let directory = if is_clean { store_with_branches(30) } else { killed_store_with_branches(30) };
        let mut nodes =
            entries_of(directory.path()).into_iter().map(|(key, _)| key).filter(|key| key.starts_with(b"d"));
        let (missing, stale) = (nodes.next().unwrap(), nodes.next().unwrap());
        change_entry(directory.path(), &missing, None);
        change_entry(directory.path(), &stale, Some(b"stale"));
        change_entry(directory.path(), b"zz", Some(b"too many"));
        let report = check(&directory);
        assert!(!report.is_sound());
        let text = report.to_string();
        for (key, what) in [(&missing[..], "is missing"), (&stale, "stale or damaged"), (b"zz", "should not be there")]
        {
            let line = format!("key \"{}\" ", key.escape_ascii());
            let found = text.lines().find(|found| found.contains(&line)).unwrap_or_else(|| panic!("{line}: {text}"));
            assert!(found.contains(what), "{found}");
        }
        // The next start puts it right.
        newest(&directory);
        let report = check(&directory);
        assert!(report.is_sound(), "{report}");
    }
}

#[test]
fn damage_is_found_in_the_part_where_it_is() {
    let prepare = || killed_store_with_branches(60);
    let directory = prepare();
    flip(&newest_file_in(&directory, "snapshots"), 100);
    assert_eq!(parts(&check(&directory)), [StorePart::Snapshot]);
    let directory = prepare();
    let (segment, position) = frame_in_use(&directory);
    flip(&segment, position + 100);
    let report = check(&directory);
    assert!(parts(&report).contains(&StorePart::Journal), "{report}");
    assert!(report.to_string().contains("cannot be read"), "{report}");
    for name in ["COMMITS", "CHECKPOINT"] {
        let directory = prepare();
        fs::remove_file(directory.path().join(name)).unwrap();
        let report = check(&directory);
        assert_eq!(parts(&report), [StorePart::Notes], "{report}");
    }
    let directory = store_with_branches(60);
    let path = directory.path().join("sled/db");
    let length = fs::metadata(&path).unwrap().len();
    flip(&path, usize::try_from(length).unwrap() / 2);
    let report = check(&directory);
    assert_eq!(parts(&report), [StorePart::Index], "{report}");
}

#[test]
fn a_store_that_opens_needs_no_repair() {
    for directory in [store_with_branches(40), killed_store_with_branches(40)] {
        let newest = check(&directory).newest;
        fs::remove_dir_all(directory.path().join("sled")).unwrap();
        let repair = SledStore::plan_repair(directory.path()).unwrap();
        assert!(!repair.is_needed() && repair.gives_up().is_none(), "{repair}");
        repair.run().unwrap();
        assert_eq!(self::newest(&directory), newest);
    }
}

#[test]
fn a_repair_goes_back_to_the_newest_state_that_is_whole_and_removes_nothing() {
    let directory = killed_store_with_branches(60);
    let known = check(&directory).newest;
    // The index is gone, and the journal has a hole.
    fs::remove_dir_all(directory.path().join("sled")).unwrap();
    let (segment, position) = frame_in_use(&directory);
    flip(&segment, position + 100);
    let before = fs::read(&segment).unwrap();
    let refusal = SledStore::open(directory.path(), &small_options()).map(drop).unwrap_err();
    assert!(matches!(refusal, StoreError::Corrupt { .. } | StoreError::RolledBack { .. }), "{refusal}");

    let repair = SledStore::plan_repair(directory.path()).unwrap();
    let gives_up = repair.gives_up().expect("something is lost");
    assert!(repair.is_needed());
    assert_eq!(*gives_up.end(), known);
    assert!(repair.to_string().contains(&format!("give up commits {} to {known}", gives_up.start())), "{repair}");
    // Planning alone changes nothing.
    drop(repair);
    assert!(SledStore::open(directory.path(), &small_options()).is_err());

    SledStore::plan_repair(directory.path()).unwrap().run().unwrap();
    let to = Sequence::new(gives_up.start().number() - 1);
    assert_eq!(newest(&directory), to);
    let aside = file_name_aside(&segment);
    assert!(fs::read(aside).unwrap() == before, "what is damaged is kept as it was");
    let report = check(&directory);
    assert!(report.findings.is_empty(), "{report}");
    // It goes on from there.
    let store = SledStore::open(directory.path(), &small_options()).unwrap();
    super::commit(&store, "zz", "after");
    store.close().unwrap();
    let store = SledStore::open(directory.path(), &small_options()).unwrap();
    assert_eq!(store.get(View::Durable, b"zz").unwrap().unwrap(), "after");
}

fn file_name_aside(segment: &std::path::Path) -> std::path::PathBuf {
    let name = segment.file_name().unwrap().to_string_lossy();
    segment.with_file_name(format!("damaged-{name}"))
}

#[test]
fn a_repair_takes_the_index_where_it_proves_more_than_the_journal() {
    let directory = killed_store_with_branches(60);
    let home = SledHome::new(directory.path(), 4 << 20);
    let held = home.open().unwrap().unwrap().stamp().unwrap().unwrap();
    home.release().unwrap();
    // Nothing can be made from these; the commits that only the journal had are lost.
    fs::remove_file(newest_file_in(&directory, "snapshots")).unwrap();
    for entry in fs::read_dir(directory.path().join("journal")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let repair = SledStore::plan_repair(directory.path()).unwrap();
    let known = repair.gives_up().map(|gives_up| *gives_up.end());
    repair.run().unwrap();
    assert_eq!(newest(&directory), held.sequence);
    assert!(known.is_none_or(|known| known > held.sequence));
}

#[test]
fn where_nothing_can_be_proven_a_repair_says_so_and_changes_nothing() {
    let directory = killed_store_with_branches(30);
    fs::remove_dir_all(directory.path().join("sled")).unwrap();
    // All of them: whether the one before the newest is still there when the process is killed is a matter of luck.
    for entry in fs::read_dir(directory.path().join("snapshots")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let repair = SledStore::plan_repair(directory.path()).unwrap();
    assert!(repair.is_needed() && repair.gives_up().is_none());
    assert!(repair.to_string().contains("load a dump"), "{repair}");
    assert!(matches!(repair.run(), Err(StoreError::Corrupt { .. })));
    assert!(SledStore::open(directory.path(), &small_options()).is_err());
}
