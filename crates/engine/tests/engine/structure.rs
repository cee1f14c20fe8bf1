//! What an operation costs, counted in what it asks of the store. Counts are exact: they do not depend on the machine.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use offshoot_engine::{
    BranchId, Direction, Engine, Error, KeyRange, Lsn, MemoryStore, NamespaceId, Options, Point,
    testing::{CountingStore, Counts},
};

struct World {
    store: CountingStore<MemoryStore>,
    engine: Engine,
    branch: BranchId,
}

fn key(number: u64) -> Vec<u8> {
    format!("role/{number:09}").into_bytes()
}

impl World {
    /// A root branch with this many keys.
    fn new(keys: u64) -> Result<Self, Error> {
        let store = CountingStore::new(MemoryStore::new());
        let engine = Engine::open(store.clone(), Options::default())?;
        let branch = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
        for first in (0..keys).step_by(50_000) {
            engine.transact(|tx| {
                (first..keys.min(first + 50_000)).try_for_each(|number| tx.put(branch, &key(number), &[7; 100]))
            })?;
        }
        Ok(Self { store, engine, branch })
    }

    /// The same at the tip of this many generations, each of which has changed a key.
    fn at_depth(keys: u64, depth: u64) -> Result<Self, Error> {
        let mut world = Self::new(keys)?;
        for generation in 0..depth {
            world.branch = world.engine.transact(|tx| tx.fork(world.branch, Point::Head))?.value.branch;
            world.change(generation % keys, generation)?;
        }
        Ok(world)
    }

    /// The same after this many more commits.
    fn with_versions(keys: u64, versions: u64) -> Result<Self, Error> {
        let world = Self::new(keys)?;
        (0..versions).try_for_each(|version| world.change(version % keys, version))?;
        Ok(world)
    }

    fn change(&self, number: u64, value: u64) -> Result<(), Error> {
        let value = [&[0; 92][..], &value.to_be_bytes()].concat();
        self.engine.transact(|tx| tx.put(self.branch, &key(number), &value)).map(|_| ())
    }

    /// What `operation` asks of the store, when nothing is cached.
    fn cold(&self, operation: impl FnOnce(&Self) -> Result<(), Error>) -> Result<Counts, Error> {
        // The block of ids is filled before, so that it does not show in one world and not in the other.
        self.engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?;
        self.engine.forget_cached();
        self.store.reset();
        operation(self)?;
        Ok(self.store.counts())
    }

    fn fork(&self, point: Point) -> Result<Counts, Error> {
        self.cold(|world| world.engine.transact(|tx| tx.fork(world.branch, point)).map(|_| ()))
    }

    /// Points in the middle of the branch's history.
    fn middle(&self) -> Result<[Point; 2], Error> {
        let info = self.engine.branch(self.branch)?;
        let lsn = Lsn::new((info.first_lsn.get() + info.head_lsn.get()) / 2);
        let version = self.engine.version(self.branch, Point::Lsn(lsn))?;
        Ok([Point::Lsn(lsn), Point::Time(version.time())])
    }

    fn get(&self, number: u64) -> Result<Counts, Error> {
        self.cold(|world| {
            assert!(world.engine.head(world.branch)?.get(&key(number))?.is_some());
            Ok(())
        })
    }

    fn list(&self) -> Result<Counts, Error> {
        self.cold(|world| {
            let head = world.engine.head(world.branch)?;
            assert_eq!(head.range(KeyRange::ALL, Direction::Ascending).take(20).filter(Result::is_ok).count(), 20);
            Ok(())
        })
    }

    fn commit(&self, number: u64) -> Result<Counts, Error> {
        self.cold(|world| world.change(number, u64::MAX))
    }
}

impl World {
    /// The large worlds take their time to make: each is made once, and used by one test at a time.
    fn with_a_million_keys() -> MutexGuard<'static, Self> {
        static WORLD: LazyLock<Mutex<World>> = LazyLock::new(|| made(World::new(1_000_000)));
        WORLD.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deep() -> MutexGuard<'static, Self> {
        static WORLD: LazyLock<Mutex<World>> = LazyLock::new(|| made(World::at_depth(100, 4_096)));
        WORLD.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_a_long_history() -> MutexGuard<'static, Self> {
        static WORLD: LazyLock<Mutex<World>> = LazyLock::new(|| made(World::with_versions(100, 100_000)));
        WORLD.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn made(world: Result<World, Error>) -> Mutex<World> {
    Mutex::new(world.expect("the world is made"))
}

/// Numbers take more bytes when they are greater: bytes are compared with this much room.
const BYTES_OF_NUMBERS: u64 = 32;

fn assert_same(found: Counts, expected: Counts, name: &str) {
    let without_bytes = |counts| Counts { bytes_read: 0, bytes_written: 0, ..counts };
    assert_eq!(without_bytes(found), without_bytes(expected), "{name}");
    assert!(found.bytes_read <= expected.bytes_read + BYTES_OF_NUMBERS, "{name}: {found:?}, not {expected:?}");
    assert!(found.bytes_written <= expected.bytes_written + BYTES_OF_NUMBERS, "{name}: {found:?}, not {expected:?}");
}

/// More levels than any tree of these tests has.
const HEIGHT: u64 = 5;

#[test]
fn fork_costs_the_same_at_any_size_depth_and_history() -> Result<(), Error> {
    let small = World::new(10)?;
    let expected = small.fork(Point::Head)?;
    assert_eq!(expected.puts, 2, "a fork writes the child's record and the reference to what it begins with");
    for (name, world) in [
        ("1,000,000 keys", World::with_a_million_keys()),
        ("depth 4,096", World::deep()),
        ("100,000 versions", World::with_a_long_history()),
    ] {
        assert_same(world.fork(Point::Head)?, expected, name);
    }
    Ok(())
}

#[test]
fn point_in_time_fork_costs_the_same_at_any_length_of_history() -> Result<(), Error> {
    let short = World::with_versions(100, 10)?;
    let long = World::with_a_long_history();
    for (of_short, of_long) in short.middle()?.into_iter().zip(long.middle()?) {
        let (expected, found) = (short.fork(of_short)?, long.fork(of_long)?);
        assert_same(found, expected, &format!("{of_long:?}"));
        assert!(found.entries <= 1, "one bounded range read finds the version");
    }
    Ok(())
}

#[test]
fn reads_cost_the_height_of_the_map_whatever_its_size_and_depth() -> Result<(), Error> {
    let small = World::new(100)?;
    let (get, list) = (small.get(50)?, small.list()?);
    for (name, world) in [("1,000,000 keys", World::with_a_million_keys()), ("depth 4,096", World::deep())] {
        let found = world.get(50)?;
        assert!(found.gets <= get.gets + HEIGHT && found.ranges == 0, "{name}: {found:?}, few keys: {get:?}");
        let found = world.list()?;
        assert!(found.gets <= list.gets + HEIGHT && found.ranges == 0, "{name}: {found:?}, few keys: {list:?}");
    }
    let deep = World::deep();
    assert_eq!((deep.get(50)?.gets, deep.list()?.gets), (get.gets, list.gets), "depth adds nothing");
    Ok(())
}

#[test]
fn a_warm_read_asks_the_store_for_the_head_alone() -> Result<(), Error> {
    let world = World::new(10_000)?;
    world.engine.head(world.branch)?.get(&key(77))?;
    world.store.reset();
    world.engine.head(world.branch)?.get(&key(77))?;
    let counts = world.store.counts();
    assert_eq!((counts.gets, counts.ranges, counts.snapshots), (1, 0, 0));
    Ok(())
}

#[test]
fn commit_writes_the_changed_path_whatever_the_size_depth_and_history() -> Result<(), Error> {
    let expected = World::new(100)?.commit(50)?;
    for (name, world) in [
        ("1,000,000 keys", World::with_a_million_keys()),
        ("depth 4,096", World::deep()),
        ("100,000 versions", World::with_a_long_history()),
    ] {
        let found = world.commit(50)?;
        assert!(found.puts <= expected.puts + HEIGHT, "{name}: {found:?}, few keys: {expected:?}");
        assert!(found.gets <= expected.gets + HEIGHT, "{name}: {found:?}, few keys: {expected:?}");
        assert!(found.bytes_written <= (HEIGHT + 1) * 5_000, "{name}: {found:?}");
        assert_eq!(found.entries, 0, "{name}: a commit reads no range");
    }
    Ok(())
}

#[test]
fn diff_reads_the_changed_paths_whatever_the_size() -> Result<(), Error> {
    let world = World::with_a_million_keys();
    let before = world.engine.head(world.branch)?;
    let changed: Vec<_> = (0..10).map(|number| key(number * 99_991)).collect();
    let written = world.cold(|world| {
        world.engine.transact(|tx| changed.iter().try_for_each(|key| tx.put(world.branch, key, b"changed")))?;
        Ok(())
    })?;
    // All that the commit put but the version, the entry of its instant, and the branch's record.
    let path_nodes = written.puts - 3;
    assert!(path_nodes <= 10 * HEIGHT);
    let after = world.engine.head(world.branch)?;
    let counts = world.cold(|_| {
        let found = before.diff(&after, KeyRange::ALL).map(|difference| difference.map(|found| found.key));
        assert_eq!(found.collect::<Result<Vec<_>, _>>()?, changed);
        Ok(())
    })?;
    assert_eq!(counts.gets, 2 * path_nodes, "the nodes on the changed paths, before and after");
    assert_eq!((counts.ranges, counts.snapshots), (0, 0));
    let counts = world.cold(|world| {
        assert_eq!(after.diff(&world.engine.head(world.branch)?, KeyRange::ALL).count(), 0);
        Ok(())
    })?;
    assert!(counts.gets <= 2, "the same version is the same at its root");
    Ok(())
}

#[test]
fn a_page_of_history_costs_the_same_at_any_length_of_history() -> Result<(), Error> {
    let world = World::with_a_long_history();
    let info = world.engine.branch(world.branch)?;
    let middle = Lsn::new((info.first_lsn.get() + info.head_lsn.get()) / 2);
    for direction in [Direction::Ascending, Direction::Descending] {
        let counts = world.cold(|world| {
            let snapshot = world.engine.snapshot()?;
            let page = match direction {
                Direction::Ascending => snapshot.history(world.branch, middle.., direction, 20)?,
                Direction::Descending => snapshot.history(world.branch, ..middle, direction, 20)?,
            };
            assert_eq!(page.len(), 20);
            Ok(())
        })?;
        assert_eq!(
            (counts.gets, counts.ranges, counts.entries),
            (1, 2, 21),
            "the branch, the page, the version before it"
        );
    }
    Ok(())
}

#[test]
fn the_history_of_a_key_leaps_over_versions_that_did_not_touch_it() -> Result<(), Error> {
    // In a map of many leaves, one key changes twice and another one all the time.
    let world = World::new(10_000)?;
    world.change(5, 1)?;
    (0..2_000).try_for_each(|value| world.change(9_000, value))?;
    world.change(5, 2)?;
    (0..2_000).try_for_each(|value| world.change(9_000, value))?;
    let counts = world.cold(|world| {
        let revisions = world.engine.snapshot()?.key_history(world.branch, &key(5), .., 10)?;
        assert_eq!(revisions.len(), 3);
        Ok(())
    })?;
    assert!(counts.entries <= 3 * 2 * 13, "{counts:?}");
    Ok(())
}
