use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::store::disk::sim::SimDisk;

const PAGE: u64 = PAGE_BYTES as u64;
const SEGMENT: u64 = 4 * PAGE;

/// A space, and its active segment as the journal has it.
struct World {
    disk: SimDisk,
    space: Space,
    active: Segment,
    position: u64,
    last: Sequence,
}

impl Space {
    /// What the thread that prepares does until it waits.
    pub(crate) fn work(&self) {
        loop {
            let state = self.state.lock();
            if state.has_covered() {
                self.recycle(state);
            } else if state.wants_next() {
                self.prepare(state);
            } else {
                return;
            }
        }
    }

    /// Reserves if that needs no wait for what is accepted; like [`Space::reserve`], but what the other thread does is done here.
    pub(crate) fn reserve_now(&self, bytes: u64) -> bool {
        if !self.state.lock().fits(bytes) {
            self.state.lock().want(bytes, self.segment_bytes);
            self.work();
        }
        let fits = self.state.lock().fits(bytes);
        if fits {
            self.reserve(bytes, || panic!("there is space")).unwrap();
        }
        fits
    }
}

impl World {
    fn on(disk: SimDisk, used: Arc<dyn Disk>) -> Self {
        disk.create_dir(DIRECTORY).unwrap();
        let active = create(&disk, SEGMENT, 1).unwrap();
        let found = Found { active_bytes: SEGMENT, rest: SEGMENT, next_number: 2, ..Found::default() };
        let space = Space::new(used, SEGMENT, 0, found);
        Self { disk, space, active, position: 0, last: Sequence::ZERO }
    }

    fn new() -> Self {
        let disk = SimDisk::new();
        Self::on(disk.clone(), Arc::new(disk))
    }

    fn work(&self) {
        self.space.work();
    }

    fn reserve(&self, bytes: u64) -> bool {
        self.space.reserve_now(bytes)
    }

    /// Writes a frame as the journal does: into the next segment where it does not fit any more.
    fn write(&mut self, frame: u64, reserved: u64) {
        if self.active.bytes - self.position < frame {
            let full = Full { number: self.active.number, bytes: self.active.bytes, last: self.last };
            let next = self.space.take_next(full).expect("what was reserved fits into the next segment");
            assert!(next.number > self.active.number);
            assert_eq!(self.disk.read(&name(next.number)).len() as u64, next.bytes);
            self.active = next;
            self.position = 0;
        }
        assert!(self.active.bytes - self.position >= frame, "what was reserved fits");
        self.position += frame;
        self.last = self.last.next();
        self.space.written(reserved, self.active.bytes - self.position);
    }

    fn names(&self) -> BTreeSet<String> {
        self.disk.list(DIRECTORY).unwrap().into_iter().collect()
    }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn only_names_that_a_store_gives_are_taken_for_segments() {
    let is_segment = |name: &str| matches!(kind(name), Kind::Segment(0x1a));
    assert!(is_segment("000000000000001a"));
    for other in ["1a", "000000000000001A", "+00000000000001a", "000000000000001a ", "0000000000000000001a", ""] {
        assert!(matches!(kind(other), Kind::Other), "{other:?}");
    }
    assert!(matches!(kind("spare-000000000000001a"), Kind::Spare(0x1a)));
    assert!(matches!(kind("damaged-000000000000001a"), Kind::Damaged(0x1a)));
    assert!(matches!(kind("unfinished"), Kind::Unfinished));
    assert!(matches!(kind("spare-1a"), Kind::Other));
    assert!(matches!(kind("7fffffffffffffff"), Kind::Segment(_)));
    assert!(matches!(kind("8000000000000000"), Kind::Other), "no number would follow the last one");
}

#[test]
fn a_covered_segment_is_used_again_under_the_next_number() {
    let mut world = World::new();
    world.work();
    assert_eq!(world.names(), names(&["0000000000000001", "0000000000000002"]));
    assert!(world.reserve(SEGMENT));
    world.write(SEGMENT, SEGMENT);
    assert!(world.reserve(PAGE));
    world.write(PAGE, PAGE);
    world.work();
    assert_eq!(world.names(), names(&["0000000000000001", "0000000000000002", "0000000000000003"]));
    // The first segment has the first commit only.
    world.space.cover(Sequence::new(1));
    world.work();
    assert_eq!(world.names(), names(&["0000000000000002", "0000000000000003", "spare-0000000000000001"]));
    assert!(world.reserve(SEGMENT));
    world.write(SEGMENT, SEGMENT);
    world.work();
    assert_eq!(world.names(), names(&["0000000000000002", "0000000000000003", "0000000000000004"]));
    assert_eq!(world.space.bytes(), (2 * SEGMENT, 3 * SEGMENT));
}

#[test]
fn a_segment_with_commits_that_are_not_covered_is_kept() {
    let mut world = World::new();
    world.work();
    for _ in 0..2 {
        assert!(world.reserve(2 * PAGE));
        world.write(2 * PAGE, 2 * PAGE);
    }
    assert!(world.reserve(PAGE));
    world.write(PAGE, PAGE);
    world.space.cover(Sequence::new(1));
    world.work();
    assert!(world.names().contains("0000000000000001"), "commit 2 is in it, too");
    world.space.cover(Sequence::new(2));
    world.work();
    assert!(world.names().contains("spare-0000000000000001"));
}

#[test]
fn a_next_segment_that_is_too_small_is_replaced_and_used_again() {
    let mut world = World::new();
    world.work();
    assert!(world.reserve(10 * PAGE));
    world.work();
    // The small one never had frames, so nothing needs it.
    assert_eq!(world.names(), names(&["0000000000000001", "0000000000000003", "spare-0000000000000002"]));
    world.write(10 * PAGE, 10 * PAGE);
    assert_eq!((world.active.number, world.active.bytes), (3, 10 * PAGE));
    world.work();
    // Nor had the first one.
    assert_eq!(world.names(), names(&["0000000000000003", "0000000000000004", "spare-0000000000000001"]));
}

#[test]
fn small_commits_wait_until_others_are_written_instead_of_asking_for_a_larger_segment() {
    let mut world = World::new();
    assert!((0..4).all(|_| world.reserve(PAGE)));
    assert!(!world.reserve(PAGE), "all of the next segment may be needed");
    world.write(PAGE, PAGE);
    assert!(world.reserve(PAGE));
    assert_eq!(world.names(), names(&["0000000000000001", "0000000000000002"]));
}

#[test]
fn a_full_disk_is_told_and_asked_again() {
    let world = World::new();
    world.disk.set_free_bytes(PAGE);
    world.work();
    assert!(world.reserve(SEGMENT), "what is left of the active segment can be used");
    let refused = std::thread::scope(|scope| {
        let refused = scope.spawn(|| world.space.reserve(PAGE, || {}));
        let thread = scope.spawn(|| world.space.run());
        let refused = refused.join().unwrap();
        world.space.close();
        thread.join().unwrap();
        refused
    });
    assert!(matches!(refused, Err(StoreError::NoSpace { .. })), "{refused:?}");
    assert_eq!(world.names(), names(&["0000000000000001"]), "nothing is left of the attempt");
    world.disk.set_free_bytes(SEGMENT);
    world.space.state.lock().is_closed = false;
    world.space.release(PAGE);
    assert!(world.reserve(PAGE));
}

#[test]
fn the_end_is_told_to_those_who_wait() {
    let world = World::new();
    let refused = std::thread::scope(|scope| {
        let refused = scope.spawn(|| world.space.reserve(5 * PAGE, || world.space.close()));
        refused.join().unwrap()
    });
    assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
}

/// A disk on which the names of a directory cannot be made durable for a while.
struct ForgetsNames {
    disk: SimDisk,
    is_failing: Arc<AtomicBool>,
}

impl Disk for ForgetsNames {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create(name)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open(name)
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.disk.list(directory)
    }

    fn create_dir(&self, directory: &str) -> io::Result<()> {
        self.disk.create_dir(directory)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_dir(&self, directory: &str) -> io::Result<()> {
        match self.is_failing.load(Ordering::SeqCst) {
            true => Err(io::Error::other("forgotten")),
            false => self.disk.sync_dir(directory),
        }
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }
}

#[test]
fn a_spare_that_could_not_be_used_is_found_by_the_next_attempt() {
    let (disk, is_failing) = (SimDisk::new(), Arc::new(AtomicBool::new(false)));
    let mut world =
        World::on(disk.clone(), Arc::new(ForgetsNames { disk: disk.clone(), is_failing: Arc::clone(&is_failing) }));
    world.work();
    assert!(world.reserve(SEGMENT));
    world.write(SEGMENT, SEGMENT);
    assert!(world.reserve(PAGE));
    world.write(PAGE, PAGE);
    world.work();
    world.space.cover(Sequence::new(1));
    world.work();
    assert!(world.reserve(SEGMENT));
    world.write(SEGMENT, SEGMENT);
    // No space for another one: only the spare can become the next.
    disk.set_free_bytes(0);
    is_failing.store(true, Ordering::SeqCst);
    world.work();
    assert!(world.space.state.lock().failure.is_some());
    assert!(world.names().contains("spare-0000000000000001"));
    is_failing.store(false, Ordering::SeqCst);
    assert!(world.reserve(SEGMENT));
    assert_eq!(world.names(), names(&["0000000000000002", "0000000000000003", "0000000000000004"]));
}

#[derive(Clone, Debug)]
enum Step {
    /// Reserve this many pages.
    Reserve(u64),
    /// Give one reservation back.
    Release(prop::sample::Index),
    /// Write so many of the accepted commits, in a frame that has this part of what was reserved.
    Write(usize, u64),
    /// All but so many of the newest commits are covered.
    Cover(u64),
    /// Let the thread that prepares do what there is.
    Work,
    /// So many pages of the disk are free.
    Free(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..4_u64).prop_map(Step::Reserve),
        1 => (4..14_u64).prop_map(Step::Reserve),
        1 => any::<prop::sample::Index>().prop_map(Step::Release),
        4 => (1..6_usize, 0..5_u64).prop_map(|(count, part)| Step::Write(count, part)),
        2 => (0..6_u64).prop_map(Step::Cover),
        3 => Just(Step::Work),
        1 => (0..20_u64).prop_map(Step::Free),
    ]
}

proptest! {
    #[test]
    fn what_is_reserved_always_fits(steps in vec(step(), 1..120)) {
        let mut world = World::new();
        let mut accepted: VecDeque<u64> = VecDeque::new();
        for step in steps {
            match step {
                Step::Reserve(pages) => {
                    if world.reserve(pages * PAGE) {
                        accepted.push_back(pages * PAGE);
                    }
                }
                Step::Release(index) if !accepted.is_empty() => {
                    let bytes = accepted.remove(index.index(accepted.len())).unwrap();
                    world.space.release(bytes);
                }
                Step::Write(count, part) if !accepted.is_empty() => {
                    let reserved: u64 = accepted.drain(..count.min(accepted.len())).sum();
                    let frame = (reserved / PAGE * part / 4).max(1) * PAGE;
                    world.write(frame, reserved);
                }
                Step::Cover(but) => world.space.cover(Sequence::new(world.last.number().saturating_sub(but))),
                Step::Work => world.work(),
                Step::Free(pages) => world.disk.set_free_bytes(pages * PAGE),
                Step::Release(_) | Step::Write(..) => {}
            }
            let state = world.space.state.lock();
            prop_assert_eq!(state.reserved, accepted.iter().sum::<u64>());
            prop_assert!(state.fits(0), "what is reserved fits into one of the two");
            let numbers: Vec<u64> = state.found.full.iter().map(|full| full.number).collect();
            prop_assert!(numbers.iter().all(|number| *number != world.active.number && *number < state.found.next_number));
            drop(state);
            // No file is lost or doubled.
            let all: u64 = world.disk.files().iter().map(|(_, bytes)| bytes).sum();
            prop_assert_eq!(world.space.bytes().1, all);
        }
        // Whatever came before: once all is written, and there is space, commits are taken again.
        let reserved = accepted.iter().sum();
        if reserved > 0 {
            world.write(reserved, reserved);
        }
        world.disk.set_free_bytes(100 * PAGE);
        prop_assert!(world.reserve(20 * PAGE));
    }
}
