use proptest::{collection::vec, prelude::*};

use super::*;
use crate::store::{
    Write,
    disk::sim::SimDisk,
    journaled::{
        journal::Journal,
        space::{self, Found, Space},
        stamp::Stamp,
    },
    overlay::Pending,
};

const STORE: u64 = 7;
const SEGMENT: u64 = 8 * 4096;

type Entries = BTreeMap<Bytes, Bytes>;

fn stamp(sequence: u64, entries: &Entries) -> Stamp {
    let mut digest = SetDigest::default();
    entries.iter().for_each(|(key, value)| digest.add(key, value));
    Stamp { store: STORE, sequence: Sequence::new(sequence), digest }
}

fn apply(entries: &mut Entries, write: &Write) {
    match write.value() {
        Some(value) => entries.insert(write.key().clone(), value.clone()),
        None => entries.remove(write.key()),
    };
}

fn any_write() -> impl Strategy<Value = Write> {
    let key = (0..12_u8).prop_map(|key| Bytes::from(vec![1 + key / 4, key]));
    (key, vec(any::<u8>(), 0..20), any::<bool>()).prop_map(|(key, value, is_put)| match is_put {
        true => Write::Put(key, value.into()),
        false => Write::Delete(key),
    })
}

proptest! {
    #[test]
    fn what_must_be_there_is_what_a_map_holds(
        before in vec(any_write(), 0..20), after in vec(any_write(), 0..30), from in 0..3_usize
    ) {
        let disk = SimDisk::new();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        disk.create_dir(space::DIRECTORY).unwrap();
        let active = space::create(&disk, SEGMENT, 1).unwrap();
        let found = Found { active_bytes: SEGMENT, rest: SEGMENT, next_number: 2, ..Found::default() };
        let space = Arc::new(Space::new(Arc::clone(&shared), SEGMENT, 0, found));
        let mut journal = Journal::new(Arc::clone(&space), active, 0, Sequence::ZERO, 0);

        // The first commits of the journal are in the snapshot, too.
        let mut entries = Entries::new();
        let mut sequence = 0;
        let mut commit = |entries: &mut Entries, write: &Write| {
            apply(entries, write);
            sequence += 1;
            let commit = Pending {
                sequence: Sequence::new(sequence),
                writes: [write.clone()].into(),
                before: vec![None],
                bytes: 0,
            };
            space.reserve_now(4096);
            journal.append(&[commit], &stamp(sequence, entries)).unwrap();
            sequence
        };
        let (old, new) = before.split_at(before.len().saturating_sub(from));
        old.iter().for_each(|write| apply(&mut entries, write));
        let mut snapshot = 0;
        for write in new {
            snapshot = commit(&mut entries, write);
        }
        snapshots::write(&shared, 0, &stamp(snapshot, &entries), |writer| {
            entries.iter().try_for_each(|(key, value)| writer.entry(key, value).map_err(snapshots::unwritable))
        }).unwrap();
        for write in &after {
            commit(&mut entries, write);
        }

        let snapshot = Sequence::new(snapshot);
        let scan = scan::scan(&shared, STORE, Sequence::ZERO).unwrap();
        let mut found = Vec::new();
        super::entries(&shared, STORE, snapshot, &scan.frames, &mut |key, hash| {
            found.push((Bytes::copy_from_slice(key), hash));
            Ok(())
        }).unwrap();
        let expected: Vec<_> = entries.iter().map(|(key, value)| (key.clone(), digest::hash(key, value))).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(digest(&shared, STORE, snapshot, &scan.frames).unwrap(), stamp(0, &entries).digest);
    }
}
