//! What holds of any sequence of operations, against naive models that keep each state since the last sync as a whole.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// All that a file held since its last sync, the durable bytes first, what the program sees last.
struct File {
    states: Vec<Vec<u8>>,
}

impl File {
    fn seen(&self) -> &Vec<u8> {
        self.states.last().unwrap()
    }

    /// Whether a loss of power may leave these bytes: each as it was at some time.
    fn allows(&self, found: &[u8]) -> bool {
        let (old, new) = (self.states[0].len(), self.seen().len());
        let in_some_state = |(index, byte): (usize, &u8)| {
            self.states.iter().any(|state| state.get(index).copied().unwrap_or_default() == *byte)
        };
        (old.min(new)..=old.max(new)).contains(&found.len()) && found.iter().enumerate().all(in_some_state)
    }
}

#[derive(Clone, Debug)]
enum FileStep {
    Empty(usize),
    Write { file: usize, offset: usize, len: usize },
    Sync(usize),
}

fn file_step() -> impl Strategy<Value = FileStep> {
    let file = 0_usize..3;
    prop_oneof![
        1 => file.clone().prop_map(FileStep::Empty),
        6 => (file.clone(), 0_usize..15_000, 1_usize..6_000)
            .prop_map(|(file, offset, len)| FileStep::Write { file, offset, len }),
        2 => file.prop_map(FileStep::Sync),
    ]
}

/// The disk after these steps, and its files 0, 1 and 2, which have durable names.
fn written(steps: &[FileStep]) -> (SimDisk, Vec<File>) {
    let disk = SimDisk::new();
    let mut files = (0..3).map(|_| File { states: vec![Vec::new()] }).collect::<Vec<_>>();
    let handles = (0..3).map(|file| disk.create(&file.to_string()).unwrap()).collect::<Vec<_>>();
    disk.sync_dir("").unwrap();
    for (fill, step) in (1_u8..).zip(steps) {
        match *step {
            FileStep::Empty(file) => {
                disk.create(&file.to_string()).unwrap();
                files[file].states.push(Vec::new());
            }
            FileStep::Write { file, offset, len } => {
                let bytes = vec![fill; len];
                handles[file].write_at(&bytes, offset as u64).unwrap();
                let mut state = files[file].seen().clone();
                state.resize(state.len().max(offset + len), 0);
                state[offset..offset + len].copy_from_slice(&bytes);
                files[file].states.push(state);
            }
            FileStep::Sync(file) => {
                handles[file].sync().unwrap();
                files[file].states = vec![files[file].seen().clone()];
            }
        }
    }
    (disk, files)
}

/// Each state of the names since the last sync of the directory, the durable one first. A file is known by its number.
type States = Vec<BTreeMap<usize, u64>>;

#[derive(Clone, Debug)]
enum NameStep {
    Create(usize),
    Rename(usize, usize),
    Remove(usize),
    Sync,
}

fn name_step() -> impl Strategy<Value = NameStep> {
    let name = 0_usize..4;
    prop_oneof![
        4 => name.clone().prop_map(NameStep::Create),
        4 => (name.clone(), name.clone()).prop_map(|(from, to)| NameStep::Rename(from, to)),
        2 => name.prop_map(NameStep::Remove),
        1 => Just(NameStep::Sync),
    ]
}

fn path(name: usize) -> String {
    format!("directory/{name}")
}

/// The disk after these steps; all files hold their number, which is synced.
fn named(steps: &[NameStep]) -> (SimDisk, States) {
    let disk = SimDisk::new();
    disk.create_dir("directory").unwrap();
    disk.sync_dir("").unwrap();
    let mut states = vec![BTreeMap::new()];
    for (number, step) in (0_u64..).zip(steps) {
        let mut state = states.last().unwrap().clone();
        match step {
            NameStep::Create(name) if !state.contains_key(name) => {
                let file = disk.create(&path(*name)).unwrap();
                file.write_at(&number.to_be_bytes(), 0).unwrap();
                file.sync().unwrap();
                state.insert(*name, number);
            }
            NameStep::Rename(from, to) if state.contains_key(from) => {
                disk.rename(&path(*from), &path(*to)).unwrap();
                let file = state.remove(from).unwrap();
                state.insert(*to, file);
            }
            NameStep::Remove(name) if state.contains_key(name) => {
                disk.remove(&path(*name)).unwrap();
                state.remove(name);
            }
            NameStep::Sync => {
                disk.sync_dir("directory").unwrap();
                states.clear();
            }
            _ => continue,
        }
        states.push(state);
    }
    (disk, states)
}

fn found(disk: &SimDisk) -> BTreeMap<usize, u64> {
    let number = |name: &str| u64::from_be_bytes(disk.read(&format!("directory/{name}")).try_into().unwrap());
    disk.list("directory").unwrap().iter().map(|name| (name.parse().unwrap(), number(name))).collect()
}

/// Checks that a loss of power may leave these names: each as it was at some time, and no file twice, and each that always had a name.
fn check_names(states: &States, found: &BTreeMap<usize, u64>) -> Result<(), TestCaseError> {
    for name in 0..4 {
        prop_assert!(states.iter().any(|state| state.get(&name) == found.get(&name)), "{name} never was so");
    }
    let times = |file: u64| found.values().filter(|other| **other == file).count();
    for file in states.iter().flat_map(BTreeMap::values) {
        let always = states.iter().all(|state| state.values().any(|other| other == file));
        prop_assert!(times(*file) <= 1, "file {file} has two names");
        prop_assert!(times(*file) == 1 || !always, "file {file} is gone");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_was_synced_survives_and_the_rest_may(steps in prop::collection::vec(file_step(), 0..30), seed: u32) {
        let (disk, files) = written(&steps);
        let (kept, dropped) = (disk.power_cut_keeping_all(), disk.power_cut_dropping_all());
        for (number, file) in files.iter().enumerate() {
            let name = number.to_string();
            prop_assert!(disk.read(&name) == *file.seen());
            prop_assert!(kept.read(&name) == *file.seen());
            prop_assert!(dropped.read(&name) == file.states[0]);
        }
        for seed in (0..8).map(|more| u64::from(seed) + more) {
            let (left, again) = (disk.power_cut(seed), disk.clone_state().power_cut(seed));
            for (number, file) in files.iter().enumerate() {
                let found = left.read(&number.to_string());
                prop_assert!(file.allows(&found), "file {number} is as it cannot be after a cut with seed {seed}");
                prop_assert!(again.read(&number.to_string()) == found, "seed {seed} gives different disks");
            }
        }
    }

    #[test]
    fn synced_names_survive_and_no_file_loses_its_name(steps in prop::collection::vec(name_step(), 0..30), seed: u32) {
        let (disk, states) = named(&steps);
        prop_assert_eq!(&found(&disk.power_cut_keeping_all()), states.last().unwrap());
        prop_assert_eq!(&found(&disk.power_cut_dropping_all()), &states[0]);
        for seed in (0..16).map(|more| u64::from(seed) + more) {
            check_names(&states, &found(&disk.power_cut(seed)))?;
        }
    }
}
