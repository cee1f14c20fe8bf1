use bytes::Bytes;
use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;
use crate::store::{
    Write,
    digest::SetDigest,
    disk::sim::SimDisk,
    journaled::{
        frame::HEADER_BYTES,
        journal::Journal,
        space::{Found, Space},
    },
    overlay::Pending,
};

const STORE: u64 = 7;
const SEGMENT: u64 = 4 * PAGE_BYTES as u64;

/// A frame, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Written {
    first: u64,
    last: u64,
    writes: Vec<Write>,
}

/// A journal that is written frame by frame.
struct World {
    disk: SimDisk,
    space: Arc<Space>,
    journal: Journal,
    written: Vec<Written>,
}

fn stamp(sequence: u64) -> Stamp {
    Stamp {
        store: STORE,
        sequence: Sequence::new(sequence),
        digest: SetDigest { entries: sequence, sum: u128::from(sequence) << 70 },
    }
}

/// A value that no other commit has.
fn put(sequence: u64, bytes: usize) -> Write {
    let mut value = sequence.to_be_bytes().to_vec();
    value.resize(bytes + 8, u8::try_from(sequence % 251).unwrap());
    Write::Put(Bytes::from(format!("key{}", sequence % 5)), Bytes::from(value))
}

impl World {
    fn new() -> Self {
        let disk = SimDisk::new();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        disk.create_dir(space::DIRECTORY).unwrap();
        disk.sync_dir("").unwrap();
        let active = space::create(&disk, SEGMENT, 1).unwrap();
        let found = Found { active_bytes: SEGMENT, rest: SEGMENT, next_number: 2, ..Found::default() };
        let space = Arc::new(Space::new(shared, SEGMENT, 0, found));
        let journal = Journal::new(Arc::clone(&space), active, 0, Sequence::ZERO, 0);
        Self { disk, space, journal, written: Vec::new() }
    }

    fn newest(&self) -> u64 {
        self.written.last().map_or(0, |frame| frame.last)
    }

    /// Writes a group of commits, each with a value of so many bytes.
    fn append(&mut self, values: &[usize]) {
        let group: Vec<Pending> = (self.newest() + 1..)
            .zip(values)
            .map(|(sequence, bytes)| Pending {
                sequence: Sequence::new(sequence),
                writes: [put(sequence, *bytes)].into(),
                before: vec![None],
                bytes: *bytes,
            })
            .collect();
        for commit in &group {
            self.space.reserve_now(frame::bytes_alone(&commit.writes) as u64);
        }
        let after = stamp(self.newest() + values.len() as u64);
        self.journal.append(&group, &after).unwrap();
        let writes = group.iter().flat_map(|commit| commit.writes.iter().cloned()).collect();
        self.written.push(Written { first: self.newest() + 1, last: after.sequence.number(), writes });
    }

    /// Lets segments be used again whose commits are all up to the end of a frame; gives the last commit of that frame.
    fn cover(&self, at: Index) -> u64 {
        let covered = self.written[at.index(self.written.len())].last;
        self.space.cover(Sequence::new(covered));
        self.space.work();
        covered
    }

    /// The frames with commits after the floor.
    fn after(&self, floor: u64) -> &[Written] {
        &self.written[self.written.partition_point(|frame| frame.last <= floor)..]
    }
}

fn scan_of(disk: &SimDisk, floor: u64) -> Scan {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    scan(&disk, STORE, Sequence::new(floor)).unwrap()
}

/// What was found, with what the frames hold.
fn found(disk: &SimDisk, scan: &Scan) -> Vec<Written> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (mut firsts, mut found) = (scan.frames.iter().map(|frame| frame.head.first.number()), Vec::new());
    replay(&shared, &scan.frames, Sequence::ZERO, |writes, after| {
        assert_eq!(*after, stamp(after.sequence.number()));
        found.push(Written { first: firsts.next().unwrap(), last: after.sequence.number(), writes: writes.to_vec() });
        Ok(())
    })
    .unwrap();
    found
}

/// A journal with frames of one to three pages and of one to three commits; segments were used again up to the floor, which is given.
fn world(frames: &[Vec<usize>], covers: &[Index]) -> (World, u64) {
    let (mut world, mut floor) = (World::new(), 0);
    let mut covers = covers.iter();
    for (number, values) in frames.iter().enumerate() {
        world.append(values);
        if number % 5 == 4
            && let Some(at) = covers.next()
        {
            floor = floor.max(world.cover(*at));
        }
    }
    (world, floor)
}

fn any_frames() -> impl Strategy<Value = Vec<Vec<usize>>> {
    let value = prop_oneof![4 => 0..300_usize, 1 => 3000..9000_usize];
    vec(prop_oneof![3 => vec(0..300_usize, 1..4), 1 => vec(value, 1..2)], 1..40)
}

/// How a frame is damaged.
#[derive(Clone, Debug)]
enum Blow {
    Flip(Index, u8),
    /// Zeros over one of its pages.
    Zero(Index),
    /// Another page of the segment, but not the beginning of a newer frame: that one would be taken for itself, and hide those between.
    Stale(Index, Index),
}

fn any_blow() -> impl Strategy<Value = Blow> {
    prop_oneof![
        (any::<Index>(), 1..=u8::MAX).prop_map(|(at, mask)| Blow::Flip(at, mask)),
        any::<Index>().prop_map(Blow::Zero),
        (any::<Index>(), any::<Index>()).prop_map(|(page, other)| Blow::Stale(page, other)),
    ]
}

/// Damages a frame; whether anything that counts was changed.
fn strike(disk: &SimDisk, frame: &ScannedFrame, blow: &Blow) -> bool {
    let name = space::name(frame.segment);
    let position = usize::try_from(frame.position).unwrap();
    let before = disk.read(&name);
    let (_, payload) = frame::decode(&before[position..]).unwrap();
    let counts = position..position + HEADER_BYTES + payload.len();
    let mut bytes = before.clone();
    let pages = frame.head.frame_bytes() / PAGE_BYTES;
    match blow {
        Blow::Flip(at, mask) => bytes[position + at.index(counts.len())] ^= mask,
        Blow::Zero(page) => bytes[position + page.index(pages) * PAGE_BYTES..][..PAGE_BYTES].fill(0),
        Blow::Stale(page, other) => {
            let other = other.index(before.len() / PAGE_BYTES) * PAGE_BYTES;
            if frame::head(&before[other..]).is_some_and(|other| other.after.sequence > frame.head.after.sequence) {
                return false;
            }
            bytes[position + page.index(pages) * PAGE_BYTES..][..PAGE_BYTES]
                .copy_from_slice(&before[other..other + PAGE_BYTES]);
        }
    }
    disk.overwrite(&name, &bytes);
    bytes[counts.clone()] != before[counts]
}

proptest! {
    #[test]
    fn the_frames_after_the_floor_are_found_and_none_from_an_earlier_use(
        frames in any_frames(), covers in vec(any::<Index>(), 0..8)
    ) {
        let (world, floor) = world(&frames, &covers);
        let scan = scan_of(&world.disk, floor);
        prop_assert_eq!(&found(&world.disk, &scan), world.after(floor));
        prop_assert!(scan.damages.is_empty() && scan.torn.is_none());
        prop_assert!(scan.frames.iter().all(|frame| frame.is_linked));
        prop_assert_eq!(scan.newest().number(), world.newest());
        prop_assert!(scan.follows(Sequence::new(floor)) && !(floor > 0 && scan.follows(Sequence::new(floor - 1))));
        prop_assert!(world.written.iter().all(|frame| frame.last < floor || scan.follows(Sequence::new(frame.last))));
        prop_assert!(scan.segments.iter().all(|segment| segment.number < scan.next_number));
        // A higher floor hides the frames up to it.
        for higher in world.after(floor) {
            prop_assert_eq!(&found(&world.disk, &scan_of(&world.disk, higher.last)), world.after(higher.last));
        }
        // And from the floor on, each commit of a frame could be the last that somebody has.
        prop_assert!((floor..=world.newest()).all(|sequence| scan.follows(Sequence::new(sequence))));
    }

    #[test]
    fn damage_to_a_frame_leaves_all_others_and_names_its_commits(
        frames in any_frames(), covers in vec(any::<Index>(), 0..8), at: Index, blow in any_blow()
    ) {
        let (world, floor) = world(&frames, &covers);
        let whole = scan_of(&world.disk, floor);
        prop_assume!(!whole.frames.is_empty());
        let struck = at.index(whole.frames.len());
        let frame = whole.frames[struck];
        prop_assume!(strike(&world.disk, &frame, &blow));
        let scan = scan_of(&world.disk, floor);
        let mut left = world.after(floor).to_vec();
        let lost = left.remove(struck);
        prop_assert_eq!(found(&world.disk, &scan), left.clone());
        if struck == left.len() {
            // The newest: it may just as well have been torn, and nobody was told of it.
            prop_assert_eq!(&scan.damages, &[]);
            prop_assert!(scan.torn.is_none_or(|torn| torn.first.number() == lost.first));
            prop_assert!(scan.follows(Sequence::new(floor)));
        } else {
            let [damage] = &scan.damages[..] else { panic!("{:?}", scan.damages) };
            prop_assert_eq!(&damage.lost, &(lost.first..lost.last + 1));
            prop_assert!((damage.segment, damage.position) <= (frame.segment, frame.position));
            // Where another segment ends, or frames up to the floor lie before it, it is not known where it was if its head is gone.
            let is_first = frame.position == 0 || struck == 0;
            prop_assert!(is_first || (damage.segment, damage.position) == (frame.segment, frame.position));
            let named = format!("commits {} to {} cannot", lost.first, lost.last);
            prop_assert!(damage.to_string().contains(&named));
            prop_assert!(!scan.follows(Sequence::new(floor)));
            // What follows the damage still follows from there.
            prop_assert!(scan.follows(Sequence::new(lost.last)) && !scan.follows(Sequence::new(lost.last - 1)));
        }
    }

    #[test]
    fn a_frame_that_was_being_written_when_the_power_failed_is_there_or_not(
        frames in any_frames(), covers in vec(any::<Index>(), 0..8), values in vec(0..6000_usize, 1..3), seed: u64
    ) {
        let (mut world, floor) = world(&frames, &covers);
        let before = world.disk.clone_state();
        world.append(&values);
        let (with, operations) = (world.written.clone(), world.disk.operations() - before.operations());
        let without = &with[..with.len() - 1];
        // The same once more, until the sync that never comes back.
        let (again, _) = self::world(&frames, &covers);
        let mut again = again;
        again.disk.stop_after(again.disk.operations() + operations);
        let newest = again.newest();
        let group: Vec<Pending> = (newest + 1..).zip(&values).map(|(sequence, bytes)| Pending {
            sequence: Sequence::new(sequence),
            writes: [put(sequence, *bytes)].into(),
            before: vec![None],
            bytes: *bytes,
        }).collect();
        for commit in &group {
            again.space.reserve_now(frame::bytes_alone(&commit.writes) as u64);
        }
        again.journal.append(&group, &stamp(newest + values.len() as u64)).unwrap_err();
        let cut = again.disk.power_cut(seed);
        let scan = scan_of(&cut, floor);
        let found = found(&cut, &scan);
        let kept = |written: &[Written]| written[written.partition_point(|frame| frame.last <= floor)..].to_vec();
        prop_assert!(found == kept(&with) || found == kept(without));
        prop_assert_eq!(&scan.damages, &[]);
        prop_assert!(scan.torn.is_none_or(|torn| torn.first.number() == newest + 1));
    }

    #[test]
    fn any_bytes_in_a_segment_do_no_harm(pages in vec(vec(any::<u8>(), 0..200), 0..4), cut in 0..5000_usize, floor: u64) {
        let world = World::new();
        let mut bytes: Vec<u8> = pages.into_iter().flat_map(|mut page| { page.resize(PAGE_BYTES, 0); page }).collect();
        bytes.truncate(bytes.len().saturating_sub(cut));
        world.disk.overwrite(&space::name(1), &bytes);
        let scan = scan_of(&world.disk, floor);
        prop_assert!(scan.frames.is_empty() && scan.damages.is_empty());
        prop_assert_eq!(scan.newest().number(), floor);
    }
}

#[test]
fn frames_of_another_store_do_not_count() {
    let mut world = World::new();
    world.append(&[10]);
    let disk: Arc<dyn Disk> = Arc::new(world.disk.clone());
    assert!(scan(&disk, STORE + 1, Sequence::ZERO).unwrap().frames.is_empty());
    assert_eq!(store_of(&disk).unwrap(), Some(STORE));
}

#[test]
fn files_that_are_no_segments_are_left_alone_and_unfinished_ones_removed() {
    let mut world = World::new();
    world.append(&[10]);
    for name in ["unfinished", "spare-0000000000000020", "damaged-0000000000000030", "000000000000001F", "readme"] {
        world.disk.copy(&space::name(1), &world.disk, &format!("{}/{name}", space::DIRECTORY));
    }
    let scan = scan_of(&world.disk, 0);
    assert_eq!(found(&world.disk, &scan), world.written);
    assert_eq!(scan.spares, [(0x20, SEGMENT)]);
    assert_eq!(scan.next_number, 0x31);
    let left = world.disk.list(space::DIRECTORY).unwrap();
    assert!(!left.contains(&"unfinished".to_owned()) && left.contains(&"readme".to_owned()));
}

#[test]
fn a_segment_that_was_cut_right_behind_a_frame_loses_nothing() {
    let mut world = World::new();
    world.append(&[10]);
    world.append(&[20]);
    let last = scan_of(&world.disk, 0).frames[1];
    let bytes = world.disk.read(&space::name(1));
    let (_, payload) = frame::decode(&bytes[PAGE_BYTES..]).unwrap();
    world.disk.cut(&space::name(1), usize::try_from(last.position).unwrap() + HEADER_BYTES + payload.len());
    let scan = scan_of(&world.disk, 0);
    assert_eq!(found(&world.disk, &scan), world.written);
    assert_eq!(scan.position(), Some((1, 2 * PAGE_BYTES as u64)));
}
