use std::{collections::BTreeMap, io::ErrorKind};

use proptest::prelude::*;
use tempfile::TempDir;

use super::{sim::SimDisk, *};

fn on_each_disk(test: impl Fn(&dyn Disk)) {
    test(&SimDisk::new());
    let directory = TempDir::new().unwrap();
    test(&OsDisk::new(directory.path()));
}

fn read(file: &dyn DiskFile) -> Vec<u8> {
    let mut bytes = vec![0; file.len().unwrap().try_into().unwrap()];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes
}

fn kind<T>(result: io::Result<T>) -> ErrorKind {
    result.map(|_| ()).unwrap_err().kind()
}

#[test]
fn a_file_holds_what_was_written() {
    on_each_disk(|disk| {
        let file = disk.create("file").unwrap();
        assert_eq!(file.len().unwrap(), 0);
        file.write_at(b"sally", 2).unwrap();
        file.write_at(b"SA", 2).unwrap();
        file.write_at(b"", 100).unwrap();
        assert_eq!(read(&*file), b"\0\0SAlly");

        let mut buffer = [9; 4];
        assert_eq!(file.read_at(&mut buffer, 5).unwrap(), 2);
        assert_eq!(buffer, *b"ly\x09\x09");
        assert_eq!(file.read_at(&mut buffer, 7).unwrap(), 0);
        assert_eq!(file.read_at(&mut buffer, 1_000_000).unwrap(), 0);

        file.sync().unwrap();
        assert_eq!(read(&*disk.open("file").unwrap()), b"\0\0SAlly");
    });
}

#[test]
fn a_file_that_is_created_again_is_empty() {
    on_each_disk(|disk| {
        let file = disk.create("file").unwrap();
        file.write_at(b"old", 0).unwrap();
        disk.create("file").unwrap().write_at(b"n", 0).unwrap();
        assert_eq!(read(&*file), b"n");
        assert_eq!(disk.list("").unwrap(), ["file"]);
    });
}

#[test]
fn a_directory_lists_its_own_files_in_order() {
    on_each_disk(|disk| {
        disk.create_dir("some/where").unwrap();
        disk.create_dir("some").unwrap();
        for name in ["b", "some/z", "some/y", "some/where/x", "a"] {
            disk.create(name).unwrap();
        }
        assert_eq!(disk.list("").unwrap(), ["a", "b"]);
        assert_eq!(disk.list("some").unwrap(), ["y", "z"]);
        assert_eq!(disk.list("some/where").unwrap(), ["x"]);
        assert!(disk.list("nowhere").unwrap().is_empty());
        for directory in ["", "some", "some/where"] {
            disk.sync_dir(directory).unwrap();
        }
    });
}

#[test]
fn what_is_not_there_is_not_found() {
    on_each_disk(|disk| {
        assert_eq!(kind(disk.open("none")), ErrorKind::NotFound);
        assert_eq!(kind(disk.create("nowhere/file")), ErrorKind::NotFound);
        assert_eq!(kind(disk.rename("none", "other")), ErrorKind::NotFound);
        assert_eq!(kind(disk.remove("none")), ErrorKind::NotFound);
        assert_eq!(kind(disk.sync_dir("nowhere")), ErrorKind::NotFound);
    });
}

#[test]
fn a_file_is_no_directory_and_a_directory_no_file() {
    on_each_disk(|disk| {
        disk.create("file").unwrap();
        disk.create_dir("directory").unwrap();
        assert_eq!(kind(disk.create("file/file")), ErrorKind::NotADirectory);
        assert_eq!(kind(disk.create("directory")), ErrorKind::IsADirectory);
        assert_eq!(kind(disk.open("directory")), ErrorKind::IsADirectory);
        disk.create_dir("file").unwrap_err();
    });
}

#[test]
fn an_open_file_outlives_its_name() {
    on_each_disk(|disk| {
        let (first, second) = (disk.create("first").unwrap(), disk.create("second").unwrap());
        first.write_at(b"1", 0).unwrap();
        second.write_at(b"2", 0).unwrap();
        disk.rename("first", "second").unwrap();
        assert_eq!(disk.list("").unwrap(), ["second"]);
        assert_eq!((read(&*first), read(&*second)), (b"1".to_vec(), b"2".to_vec()));
        assert_eq!(read(&*disk.open("second").unwrap()), b"1");

        disk.remove("second").unwrap();
        first.write_at(b"one", 0).unwrap();
        first.sync().unwrap();
        disk.create("second").unwrap();
        assert_eq!(read(&*first), b"one");
    });
}

#[test]
fn a_rename_to_the_same_name_changes_nothing() {
    on_each_disk(|disk| {
        disk.create("file").unwrap().write_at(b"sally", 0).unwrap();
        disk.rename("file", "file").unwrap();
        assert_eq!(read(&*disk.open("file").unwrap()), b"sally");
    });
}

#[test]
fn a_new_disk_has_space() {
    on_each_disk(|disk| assert!(disk.free_bytes().unwrap() > 0));
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_files_and_enter_directories() {
    use std::os::unix::fs::PermissionsExt;

    let directory = TempDir::new().unwrap();
    let disk = OsDisk::new(directory.path());
    disk.create_dir("some/where").unwrap();
    disk.create("some/where/file").unwrap();
    let mode = |name: &str| fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("some"), mode("some/where"), mode("some/where/file")), (0o700, 0o700, 0o600));
}

#[derive(Clone, Debug)]
enum Step {
    Create(usize),
    Open(usize),
    Write { handle: usize, offset: u64, len: usize },
    Rename(usize, usize),
    Remove(usize),
}

const NAMES: [&str; 4] = ["a", "b", "in/a", "in/b"];

fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES.len();
    prop_oneof![
        name.clone().prop_map(Step::Create),
        name.clone().prop_map(Step::Open),
        (any::<usize>(), 0_u64..10_000, 0_usize..9_000).prop_map(|(handle, offset, len)| Step::Write {
            handle,
            offset,
            len
        }),
        // Both names are in the same directory.
        (0..2_usize, 0..2_usize, any::<bool>())
            .prop_map(|(from, to, inside)| Step::Rename(from + 2 * usize::from(inside), to + 2 * usize::from(inside))),
        name.prop_map(Step::Remove),
    ]
}

/// What a program sees of a disk.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// The error of each step.
    errors: Vec<Option<ErrorKind>>,
    /// What the files hold at the end, by their names.
    files: BTreeMap<String, Vec<u8>>,
    /// What is read through each handle that it got on the way, whatever became of the name.
    handles: Vec<Vec<u8>>,
}

fn run(disk: &dyn Disk, steps: &[Step]) -> Seen {
    disk.create_dir("in").unwrap();
    let mut handles = Vec::new();
    let mut seen = Seen::default();
    for (fill, step) in (1_u8..).zip(steps) {
        let result = match *step {
            Step::Create(name) => disk.create(NAMES[name]).map(|file| handles.push(file)),
            Step::Open(name) => disk.open(NAMES[name]).map(|file| handles.push(file)),
            Step::Write { .. } if handles.is_empty() => Ok(()),
            Step::Write { handle, offset, len } => handles[handle % handles.len()].write_at(&vec![fill; len], offset),
            Step::Rename(from, to) => disk.rename(NAMES[from], NAMES[to]),
            Step::Remove(name) => disk.remove(NAMES[name]),
        };
        seen.errors.push(result.err().map(|error| error.kind()));
    }
    let inside = disk.list("in").unwrap().into_iter().map(|name| format!("in/{name}"));
    let names = disk.list("").unwrap().into_iter().chain(inside);
    seen.files = names.map(|name| (name.clone(), read(&*disk.open(&name).unwrap()))).collect();
    seen.handles = handles.iter().map(|file| read(&**file)).collect();
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_program_cannot_tell_the_simulated_disk_from_a_real_one(steps in prop::collection::vec(step(), 0..40)) {
        let directory = TempDir::new().unwrap();
        let (simulated, real) = (run(&SimDisk::new(), &steps), run(&OsDisk::new(directory.path()), &steps));
        prop_assert!(simulated == real, "{:?} differs from {:?}", simulated.errors, real.errors);
    }
}
