//! Examples; what holds of any sequence of operations is in `properties`.

use std::collections::BTreeSet;

use super::{content::PAGE, *};

const SEEDS: std::ops::Range<u64> = 0..300;

/// A disk with a durable file of these bytes, and a handle of it.
fn disk_with(bytes: &[u8]) -> (SimDisk, Box<dyn DiskFile>) {
    let disk = SimDisk::new();
    disk.overwrite("file", bytes);
    let file = disk.open("file").unwrap();
    (disk, file)
}

/// What each seed makes of one file, if it is there.
fn outcomes(disk: &SimDisk, name: &str) -> BTreeSet<Option<Vec<u8>>> {
    SEEDS.map(|seed| find(&disk.power_cut(seed), name)).collect()
}

fn find(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    disk.files().iter().any(|(found, _)| found == name).then(|| disk.read(name))
}

fn names(disk: &SimDisk) -> Vec<String> {
    disk.files().into_iter().map(|(name, _)| name).collect()
}

fn kind<T>(result: io::Result<T>) -> ErrorKind {
    result.map(|_| ()).unwrap_err().kind()
}

#[test]
fn a_page_that_was_not_synced_is_kept_lost_or_torn() {
    let (disk, file) = disk_with(&[1; PAGE]);
    file.write_at(&[2; PAGE], 0).unwrap();
    let outcomes = outcomes(&disk, "file").into_iter().map(Option::unwrap).collect::<Vec<_>>();
    assert!(outcomes.contains(&vec![1; PAGE]));
    assert!(outcomes.contains(&vec![2; PAGE]));
    let is_mixed = |bytes: &[u8]| bytes.iter().any(|byte| *byte != bytes[0]);
    assert!(outcomes.iter().any(|page| is_mixed(page) && page.chunks(512).all(|sector| !is_mixed(sector))));
    assert!(outcomes.iter().any(|page| page.chunks(512).filter(|sector| is_mixed(sector)).count() == 1));
    assert!(outcomes.iter().all(|page| page.chunks(512).filter(|sector| is_mixed(sector)).count() <= 1));
}

#[test]
fn pages_get_to_the_disk_in_any_order() {
    let (disk, file) = disk_with(&[1; 2 * PAGE]);
    file.write_at(&[2; 2 * PAGE], 0).unwrap();
    let first_and_last = outcomes(&disk, "file").into_iter().flatten().map(|bytes| (bytes[0], bytes[2 * PAGE - 1]));
    assert_eq!(first_and_last.collect::<BTreeSet<_>>(), [(1, 1), (1, 2), (2, 1), (2, 2)].into());
}

#[test]
fn a_page_may_be_as_it_was_between() {
    let (disk, file) = disk_with(&[1; PAGE]);
    file.write_at(&[2; PAGE], 0).unwrap();
    file.write_at(&[3; PAGE], 0).unwrap();
    assert!(outcomes(&disk, "file").into_iter().flatten().any(|page| page.contains(&2)));
}

#[test]
fn a_length_that_was_not_synced_is_the_old_one_the_new_one_or_between() {
    let (disk, file) = disk_with(&[1; 100]);
    file.write_at(&[2; 900], 100).unwrap();
    let lengths = outcomes(&disk, "file").into_iter().flatten().map(|bytes| bytes.len()).collect::<BTreeSet<_>>();
    assert!(lengths.contains(&100) && lengths.contains(&1000) && lengths.len() > 2, "{lengths:?}");
    assert!(lengths.iter().all(|len| (100..=1000).contains(len)));
}

#[test]
fn nothing_is_left_beyond_a_shorter_length() {
    let (disk, file) = disk_with(&[1; 100]);
    file.write_at(&[2; 900], 100).unwrap();
    for seed in SEEDS {
        let left = disk.power_cut(seed);
        let len = left.read("file").len();
        left.open("file").unwrap().write_at(&[3], 2000).unwrap();
        assert_eq!(left.read("file")[len..2000], vec![0; 2000 - len]);
    }
}

#[test]
fn a_file_that_was_emptied_may_be_back() {
    let (disk, _) = disk_with(b"sally");
    let file = disk.create("file").unwrap();
    let found = outcomes(&disk, "file");
    assert!(found.contains(&Some(Vec::new())) && found.contains(&Some(b"sally".to_vec())));
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, "file"), [Some(Vec::new())].into());
}

#[test]
fn a_synced_file_without_a_durable_name_may_be_gone() {
    let disk = SimDisk::new();
    let file = disk.create("file").unwrap();
    file.write_at(b"sally", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, "file"), [None, Some(b"sally".to_vec())].into());
    disk.sync_dir("").unwrap();
    assert_eq!(outcomes(&disk, "file"), [Some(b"sally".to_vec())].into());
}

#[test]
fn a_durable_name_says_nothing_of_what_is_in_the_file() {
    let disk = SimDisk::new();
    disk.create("file").unwrap().write_at(b"sally", 0).unwrap();
    disk.sync_dir("").unwrap();
    assert_eq!(find(&disk.power_cut_dropping_all(), "file"), Some(Vec::new()));
    assert!(outcomes(&disk, "file").len() > 2);
}

#[test]
fn a_rename_happens_or_does_not() {
    let (disk, _) = disk_with(b"old");
    disk.overwrite("new", b"new");
    disk.rename("new", "file").unwrap();
    let states = SEEDS.map(|seed| disk.power_cut(seed)).map(|disk| (find(&disk, "file"), find(&disk, "new")));
    let (old, new) = (Some(b"old".to_vec()), Some(b"new".to_vec()));
    assert_eq!(states.collect::<BTreeSet<_>>(), [(old, new.clone()), (new.clone(), None)].into());
    disk.sync_dir("").unwrap();
    assert_eq!(outcomes(&disk, "file"), [new].into());
}

#[test]
fn a_removed_file_may_be_back() {
    let (disk, file) = disk_with(b"sally");
    disk.remove("file").unwrap();
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, "file"), [None, Some(b"sally".to_vec())].into());
    disk.sync_dir("").unwrap();
    assert_eq!(outcomes(&disk, "file"), [None].into());
}

#[test]
fn what_rests_on_an_operation_does_not_happen_without_it() {
    let disk = SimDisk::new();
    disk.create("a").unwrap();
    disk.rename("a", "b").unwrap();
    disk.create("c").unwrap();
    let states = SEEDS.map(|seed| names(&disk.power_cut(seed))).collect::<BTreeSet<_>>();
    let allowed: [&[&str]; 6] = [&[], &["a"], &["b"], &["c"], &["a", "c"], &["b", "c"]];
    assert_eq!(states, allowed.map(|names| names.iter().map(|name| (*name).to_owned()).collect()).into());
}

#[test]
fn a_directory_that_is_gone_takes_its_files_along() {
    let disk = SimDisk::new();
    disk.create_dir("some/where").unwrap();
    disk.create("some/where/file").unwrap().sync().unwrap();
    disk.sync_dir("some/where").unwrap();
    disk.sync_dir("some").unwrap();
    assert!(names(&disk.power_cut_dropping_all()).is_empty());
    assert_eq!(kind(disk.power_cut_dropping_all().sync_dir("some")), ErrorKind::NotFound);
    assert_eq!(outcomes(&disk, "some/where/file"), [None, Some(Vec::new())].into());
    disk.sync_dir("").unwrap();
    assert_eq!(outcomes(&disk, "some/where/file"), [Some(Vec::new())].into());
}

#[test]
fn a_failed_sync_loses_what_later_syncs_say_is_durable() {
    let (disk, file) = disk_with(&[1; 2 * PAGE]);
    file.write_at(&[2; PAGE], 0).unwrap();
    file.write_at(&[2; PAGE], 2 * PAGE as u64).unwrap();
    disk.fail_sync(1);
    assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(EIO));
    file.sync().unwrap();
    assert_eq!(disk.read("file"), [[2; PAGE], [1; PAGE], [2; PAGE]].concat());
    assert_eq!(outcomes(&disk, "file"), [Some(vec![1; 2 * PAGE])].into());

    // What is written again is durable again, and nothing else: not the first page.
    file.write_at(&[3; 10], 2 * PAGE as u64).unwrap();
    file.sync().unwrap();
    let last = [vec![3; 10], vec![2; PAGE - 10]].concat();
    assert_eq!(outcomes(&disk, "file"), [Some([vec![1; 2 * PAGE], last].concat())].into());
    assert_eq!(disk.power_cut_keeping_all().read("file")[..PAGE], [2; PAGE]);
}

#[test]
fn a_failed_sync_loses_a_new_length() {
    let (disk, file) = disk_with(&[1; PAGE]);
    disk.create("file").unwrap();
    disk.fail_sync(1);
    file.sync().unwrap_err();
    file.sync().unwrap();
    assert_eq!((file.len().unwrap(), outcomes(&disk, "file")), (0, [Some(vec![1; PAGE])].into()));
    file.write_at(b"new", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, "file"), [Some(b"new".to_vec())].into());
}

#[test]
fn what_a_failed_sync_lost_never_comes_back() {
    let (disk, file) = disk_with(&[1; PAGE]);
    file.write_at(&[2; PAGE], 0).unwrap();
    file.write_at(&[3; PAGE], 0).unwrap();
    disk.fail_sync(1);
    file.sync().unwrap_err();
    file.write_at(&[4; PAGE], 0).unwrap();
    assert!(outcomes(&disk, "file").into_iter().flatten().flatten().all(|byte| byte == 1 || byte == 4));

    let (disk, file) = disk_with(&[1; 2 * PAGE]);
    disk.create("file").unwrap();
    disk.fail_sync(1);
    file.sync().unwrap_err();
    for offset in [0, 2 * PAGE as u64] {
        file.write_at(&[2], offset).unwrap();
        file.sync().unwrap();
    }
    assert_eq!(outcomes(&disk, "file"), [Some(disk.read("file"))].into());
}

#[test]
fn the_sync_that_was_asked_for_fails() {
    let (disk, file) = disk_with(b"");
    disk.fail_sync(3);
    let failed = (0..5).map(|_| file.sync().is_err()).collect::<Vec<_>>();
    assert_eq!(failed, [false, false, true, false, false]);
}

#[test]
fn space_goes_and_comes_back() {
    let (disk, file) = disk_with(b"sally");
    disk.set_free_bytes(4);
    assert_eq!(kind(file.write_at(b"SALLY and bob", 0)), ErrorKind::StorageFull);
    assert_eq!((disk.read("file"), disk.free_bytes().unwrap()), (b"SALLY and".to_vec(), 0));
    assert_eq!(kind(file.write_at(b"!", 100)), ErrorKind::StorageFull);
    assert_eq!(kind(disk.create("other")), ErrorKind::StorageFull);
    assert_eq!(kind(disk.create_dir("some")), ErrorKind::StorageFull);
    file.write_at(b"in place", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, "file"), [Some(b"in placed".to_vec())].into());

    disk.remove("file").unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 9);
    let other = disk.create("other").unwrap();
    other.write_at(b"bob", 3).unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 3);
    disk.create("other").unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 9);
    disk.set_free_bytes(1 << 40);
    other.write_at(&[1; 100], 0).unwrap();
    disk.create("another").unwrap();
    disk.rename("other", "another").unwrap();
    disk.rename("another", "other").unwrap();
    disk.create("another").unwrap();
    disk.rename("another", "other").unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 1 << 40);
}

#[test]
fn writes_fail_as_long_as_they_are_told_to() {
    let (disk, file) = disk_with(b"sally");
    disk.fail_writes(Some(ErrorKind::TimedOut));
    assert_eq!(kind(file.write_at(b"S", 0)), ErrorKind::TimedOut);
    assert_eq!(disk.read("file"), b"sally");
    disk.fail_writes(None);
    file.write_at(b"S", 0).unwrap();
    assert_eq!(disk.read("file"), b"Sally");
}

#[test]
fn a_disk_for_reading_changes_nothing() {
    let (disk, file) = disk_with(b"sally");
    disk.create_dir("some").unwrap();
    disk.set_read_only(true);
    let refused = [
        kind(file.write_at(b"S", 0)),
        kind(disk.create("file")),
        kind(disk.create("other")),
        kind(disk.create_dir("other")),
        kind(disk.open("file")),
        kind(disk.rename("file", "other")),
        kind(disk.remove("file")),
        kind(disk.sync_dir("")),
    ];
    assert_eq!(refused, [ErrorKind::ReadOnlyFilesystem; 8]);
    file.sync().unwrap();
    disk.create_dir("some").unwrap();
    assert_eq!((names(&disk), disk.read("file")), (vec!["file".to_owned()], b"sally".to_vec()));

    disk.set_read_only(false);
    file.write_at(b"S", 0).unwrap();
    disk.set_read_only(true);
    assert_eq!(kind(file.sync()), ErrorKind::ReadOnlyFilesystem);
    assert_eq!(disk.power_cut_dropping_all().read("file"), b"sally");
}

/// One operation of each kind, and how many of them succeeded.
fn work(disk: &SimDisk) -> usize {
    let mut done = 0;
    let mut run = || -> io::Result<()> {
        let file = disk.create("new")?;
        done += 1;
        file.write_at(b"sally", 0)?;
        done += 1;
        file.sync()?;
        done += 1;
        disk.rename("new", "file")?;
        done += 1;
        disk.sync_dir("")?;
        done += 1;
        disk.remove("file")?;
        done += 1;
        Ok(())
    };
    let _ = run();
    done
}

#[test]
fn the_power_goes_at_the_operation_that_was_asked_for() {
    let whole = SimDisk::new();
    assert_eq!((work(&whole), whole.operations()), (6, 6));
    for n in 1..=6 {
        let disk = SimDisk::new();
        disk.stop_after(n);
        assert_eq!((work(&disk) as u64, disk.operations()), (n - 1, n));
        let refused =
            [disk.list("").err(), disk.open("file").err(), disk.free_bytes().err(), disk.create_dir("d").err()];
        assert!(refused.into_iter().all(|error| error.unwrap().to_string() == "power is off"));
        disk.sync_dir("").unwrap_err();
        assert_eq!(disk.operations(), n);
    }
}

#[test]
fn a_disk_without_power_is_not_read() {
    let (disk, file) = disk_with(b"sally");
    disk.stop_after(0);
    file.read_at(&mut [0], 0).unwrap_err();
    file.len().unwrap_err();
}

#[test]
fn what_the_power_interrupted_may_have_happened() {
    let states = |n| {
        let disk = SimDisk::new();
        disk.overwrite("file", b"old");
        disk.stop_after(n);
        work(&disk);
        SEEDS.map(|seed| disk.power_cut(seed)).map(|disk| (find(&disk, "file"), find(&disk, "new"))).collect()
    };
    let bytes = |bytes: &[u8]| Some(bytes.to_vec());
    let (old, new) = (bytes(b"old"), bytes(b"sally"));
    let created: BTreeSet<_> = states(1);
    assert_eq!(created, [(old.clone(), None), (old.clone(), bytes(b""))].into());
    let written = states(2);
    assert!(written.contains(&(old.clone(), bytes(b""))) && written.contains(&(old.clone(), new.clone())));
    assert_eq!(states(3), written);
    let renamed = [(old.clone(), None), (old.clone(), new.clone()), (new.clone(), None)];
    assert_eq!(states(4), renamed.clone().into());
    assert_eq!(states(5), renamed.into());
    assert_eq!(states(6), [(new, None), (None, None)].into());
}

#[test]
fn damage_is_durable_at_once() {
    let (disk, file) = disk_with(b"0123456789");
    disk.flip("file", 1, 0b11);
    disk.zero("file", 3..5);
    disk.cut("file", 8);
    assert_eq!(outcomes(&disk, "file"), [Some(b"022\0\x00567".to_vec())].into());
    disk.overwrite("file", b"sally");
    assert_eq!(file.len().unwrap(), 5);

    let other = SimDisk::new();
    disk.copy("file", &other, "some/where/file");
    disk.overwrite("file", b"bob");
    assert_eq!(other.files(), [("some/where/file".to_owned(), 5)]);
    disk.swap("file", &other, "some/where/file");
    assert_eq!(outcomes(&disk, "file"), [Some(b"sally".to_vec())].into());
    assert_eq!(outcomes(&other, "some/where/file"), [Some(b"bob".to_vec())].into());
    disk.delete("file");
    assert_eq!(outcomes(&disk, "file"), [None].into());
}

#[test]
fn another_disk_in_the_same_state_goes_its_own_way() {
    let (disk, file) = disk_with(b"sally");
    file.write_at(b"S", 0).unwrap();
    disk.fail_sync(1);
    let other = disk.clone_state();
    file.sync().unwrap_err();
    file.write_at(b"bob", 0).unwrap();
    assert_eq!((disk.read("file"), other.read("file")), (b"bobly".to_vec(), b"Sally".to_vec()));
    assert_eq!(other.power_cut_dropping_all().read("file"), b"sally");
    other.open("file").unwrap().sync().unwrap_err();
}

#[test]
fn a_disk_after_a_power_cut_is_at_rest() {
    let (disk, file) = disk_with(&[1; PAGE]);
    file.write_at(&[2; PAGE], 0).unwrap();
    disk.create("other").unwrap();
    for seed in SEEDS {
        let left = disk.power_cut(seed);
        assert_eq!((left.operations(), left.free_bytes().unwrap()), (0, u64::MAX));
        assert_eq!(outcomes(&left, "file"), [find(&left, "file")].into());
        assert_eq!(names(&left.power_cut_dropping_all()), names(&left));
    }
}
