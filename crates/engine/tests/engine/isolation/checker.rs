//! A recorder of what transactions read and wrote, and a checker that does the same again, one after the other, on plain maps.
//!
//! Each transaction also writes a record of its own number, so that the feed tells in which order they were committed. Done again in this order,
//! every read must find what it found. What only read must have found one state, of a moment between its begin and its end.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
    time::Duration,
};

use bytes::Bytes;
use offshoot_engine::{
    BranchId, Direction, Engine, Error, Event, KeyRange, NamespaceId, Point, Position, Table, Transaction,
};
use parking_lot::Mutex;

const SYSTEM: NamespaceId = NamespaceId::SYSTEM;
const RECORDS: Table = Table::new("records");
const MARKERS: Table = Table::new("markers");

type Map = BTreeMap<Bytes, Bytes>;
type Entries = Vec<(Bytes, Bytes)>;

/// One operation of a transaction, with what it was told.
#[derive(Clone, Debug)]
enum Operation {
    Get { branch: BranchId, key: Bytes, found: Option<Bytes> },
    Range { branch: BranchId, range: KeyRange, direction: Direction, limit: usize, found: Entries },
    Put { branch: BranchId, key: Bytes, value: Bytes },
    Delete { branch: BranchId, key: Bytes },
    Record { key: Bytes, found: Option<Bytes> },
    Records { range: KeyRange, direction: Direction, limit: usize, found: Entries },
    RecordPut { key: Bytes, value: Bytes },
    RecordDelete { key: Bytes },
    Fork { parent: BranchId, child: BranchId },
    DeleteBranch { branch: BranchId },
    NotFound { branch: BranchId },
}

/// A transaction that notes what it does.
pub(super) struct Recorder<'a, 't> {
    tx: &'a mut Transaction<'t>,
    operations: Vec<Operation>,
    branches: Vec<BranchId>,
}

impl Recorder<'_, '_> {
    /// One of the branches that the history began with, or that were made since.
    pub(super) fn branch(&self, index: usize) -> BranchId {
        self.branches[index % self.branches.len()]
    }

    /// Notes an operation on a branch, or that there is no such branch.
    fn on_branch<T: Clone>(
        &mut self,
        branch: BranchId,
        answer: Result<T, Error>,
        operation: impl FnOnce(T) -> Operation,
    ) -> Result<Option<T>, Error> {
        match answer {
            Ok(value) => {
                self.operations.push(operation(value.clone()));
                Ok(Some(value))
            }
            Err(Error::BranchNotFound(_)) => {
                self.operations.push(Operation::NotFound { branch });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn get(&mut self, branch: BranchId, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let answer = self.tx.get(branch, key);
        let key = Bytes::copy_from_slice(key);
        Ok(self.on_branch(branch, answer, |found| Operation::Get { branch, key, found })?.flatten())
    }

    pub(super) fn range(
        &mut self,
        branch: BranchId,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<(), Error> {
        let answer = self.tx.range(branch, &range, direction, limit);
        let operation = |found| Operation::Range { branch, range, direction, limit, found };
        self.on_branch(branch, answer, operation).map(drop)
    }

    pub(super) fn put(&mut self, branch: BranchId, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let answer = self.tx.put(branch, key, value);
        let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        self.on_branch(branch, answer, |()| Operation::Put { branch, key, value }).map(drop)
    }

    pub(super) fn delete(&mut self, branch: BranchId, key: &[u8]) -> Result<(), Error> {
        let answer = self.tx.delete(branch, key);
        let key = Bytes::copy_from_slice(key);
        self.on_branch(branch, answer, |()| Operation::Delete { branch, key }).map(drop)
    }

    pub(super) fn record(&mut self, key: &[u8]) -> Result<(), Error> {
        let found = self.tx.record(SYSTEM, RECORDS, key)?;
        self.operations.push(Operation::Record { key: Bytes::copy_from_slice(key), found });
        Ok(())
    }

    pub(super) fn records(&mut self, range: KeyRange, direction: Direction, limit: usize) -> Result<(), Error> {
        let found = self.tx.records(SYSTEM, RECORDS, &range, direction, limit)?;
        self.operations.push(Operation::Records { range, direction, limit, found });
        Ok(())
    }

    pub(super) fn record_put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.tx.record_put(SYSTEM, RECORDS, key, value)?;
        let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        self.operations.push(Operation::RecordPut { key, value });
        Ok(())
    }

    pub(super) fn record_delete(&mut self, key: &[u8]) -> Result<(), Error> {
        self.tx.record_delete(SYSTEM, RECORDS, key)?;
        self.operations.push(Operation::RecordDelete { key: Bytes::copy_from_slice(key) });
        Ok(())
    }

    /// Makes a child; none where the transaction changed the parent.
    pub(super) fn fork(&mut self, parent: BranchId) -> Result<Option<BranchId>, Error> {
        let answer = match self.tx.fork(parent, Point::Head) {
            Err(Error::Uncommitted(_)) => return Ok(None),
            answer => answer.map(|fork| fork.branch),
        };
        self.on_branch(parent, answer, |child| Operation::Fork { parent, child })
    }

    pub(super) fn delete_branch(&mut self, branch: BranchId) -> Result<(), Error> {
        let answer = self.tx.delete_branch(branch);
        self.on_branch(branch, answer, |()| Operation::DeleteBranch { branch }).map(drop)
    }
}

/// What only read, and the positions between which it did.
struct Reading {
    between: (Position, Position),
    operations: Vec<Operation>,
}

/// The numbers of the transactions that committed, in the order of the feed.
struct Markers {
    seen: Vec<(Position, Bytes)>,
    /// Up to where the feed was read.
    until: Position,
}

/// All that transactions did on an engine.
pub(super) struct History {
    engine: Engine,
    first: Vec<BranchId>,
    start: Position,
    markers: Mutex<Markers>,
    branches: Mutex<Vec<BranchId>>,
    committed: Mutex<HashMap<Bytes, Vec<Operation>>>,
    readings: Mutex<Vec<Reading>>,
    next: Mutex<u64>,
}

impl History {
    /// Makes branches that are empty, and begins.
    pub(super) fn begin(engine: Engine, branches: usize) -> Result<Self, Error> {
        let made = engine.transact(|tx| (0..branches).map(|_| tx.create_branch(SYSTEM)).collect::<Result<Vec<_>, _>>());
        let first = made?.value;
        let start = engine.snapshot()?.position();
        let branches = Mutex::new(first.clone());
        Ok(Self {
            engine,
            first,
            start,
            markers: Mutex::new(Markers { seen: Vec::new(), until: start }),
            branches,
            committed: Mutex::default(),
            readings: Mutex::default(),
            next: Mutex::default(),
        })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Runs a transaction. Where its body fails, it only read.
    pub(super) fn transact(&self, body: impl Fn(&mut Recorder<'_, '_>) -> Result<(), Error>) -> Result<(), Error> {
        let number = {
            let mut next = self.next.lock();
            *next += 1;
            Bytes::copy_from_slice(&next.to_be_bytes())
        };
        let branches = self.branches.lock().clone();
        let before = self.position()?;
        let mut operations = Vec::new();
        let done = self.engine.transact(|tx| {
            tx.record_put(SYSTEM, MARKERS, &number, b"")?;
            let mut recorder = Recorder { tx, operations: Vec::new(), branches: branches.clone() };
            let done = body(&mut recorder);
            operations = recorder.operations;
            done
        });
        match done {
            Ok(_) => {
                let made = operations.iter().filter_map(|operation| match operation {
                    Operation::Fork { child, .. } => Some(*child),
                    _ => None,
                });
                self.branches.lock().extend(made);
                self.committed.lock().insert(number, operations);
                Ok(())
            }
            Err(error) => {
                let between = (before, self.position()?);
                self.readings.lock().push(Reading { between, operations });
                Err(error)
            }
        }
    }

    /// Reads everything in one snapshot.
    pub(super) fn read_all(&self) -> Result<(), Error> {
        let branches = self.branches.lock().clone();
        let snapshot = self.engine.snapshot()?;
        let (direction, limit) = (Direction::Ascending, usize::MAX);
        let mut operations = Vec::new();
        for branch in branches {
            operations.push(match snapshot.head(branch) {
                Ok(head) => {
                    let found = head.range(KeyRange::ALL, direction).collect::<Result<_, _>>()?;
                    Operation::Range { branch, range: KeyRange::ALL, direction, limit, found }
                }
                Err(Error::BranchNotFound(_)) => Operation::NotFound { branch },
                Err(error) => return Err(error),
            });
        }
        let found = snapshot.records(SYSTEM, RECORDS, &KeyRange::ALL, direction, limit)?;
        operations.push(Operation::Records { range: KeyRange::ALL, direction, limit, found });
        let position = snapshot.position();
        self.readings.lock().push(Reading { between: (position, position), operations });
        Ok(())
    }

    /// Reads what is left of each branch's past, whatever is collected or purged meanwhile.
    pub(super) fn read_past(&self) -> Result<(), Error> {
        let snapshot = self.engine.snapshot()?;
        for branch in snapshot.branches(SYSTEM, None, usize::MAX)? {
            for entry in snapshot.history(branch.id, .., Direction::Descending, 5)? {
                entry.changes(KeyRange::ALL).into_iter().flatten().try_for_each(|change| change.map(drop))?;
            }
            snapshot.key_history(branch.id, b"k\x03", .., 5)?;
        }
        Ok(())
    }

    fn position(&self) -> Result<Position, Error> {
        Ok(self.engine.snapshot()?.position())
    }

    /// Does everything again, one after the other; the first read that finds something else.
    pub(super) fn check(&self) -> Result<Result<(), String>, Error> {
        self.read_all()?;
        let mut states = vec![(self.start, State::new(&self.first))];
        self.follow()?;
        for (position, marker) in self.markers.lock().seen.clone() {
            let committed = self.committed.lock();
            let Some(operations) = committed.get(&marker) else {
                return Ok(Err(format!("a transaction that did not commit is there: {marker:?}")));
            };
            let mut state = states[states.len() - 1].1.clone();
            for operation in operations {
                if let Err(why) = state.apply(operation) {
                    return Ok(Err(format!("{why}, in {operations:?}")));
                }
            }
            states.push((position, state));
        }
        if states.len() != self.committed.lock().len() + 1 {
            return Ok(Err("a transaction that committed is missing".to_owned()));
        }
        for Reading { between: (from, to), operations } in &*self.readings.lock() {
            // The state at a position is that of the newest commit up to it.
            let first = states.partition_point(|(position, _)| position <= from).saturating_sub(1);
            let last = states.partition_point(|(position, _)| position <= to);
            let holds = |state: &State| {
                let mut state = state.clone();
                operations.iter().all(|operation| state.apply(operation).is_ok())
            };
            if !states[first..last].iter().any(|(_, state)| holds(state)) {
                return Ok(Err(format!("no state between {from} and {to} explains {operations:?}")));
            }
        }
        Ok(Ok(()))
    }

    /// Reads the feed; often enough, since it does not keep much.
    pub(super) fn follow(&self) -> Result<(), Error> {
        let mut markers = self.markers.lock();
        let page = self.engine.feed(markers.until, usize::MAX, Duration::ZERO)?;
        markers.until = page.position;
        for commit in page.commits {
            for event in commit.events {
                if let Event::Record { table, key, .. } = event
                    && table == MARKERS.name()
                {
                    markers.seen.push((commit.position, key));
                }
            }
        }
        Ok(())
    }
}

/// Everything, in plain maps.
#[derive(Clone)]
struct State {
    branches: BTreeMap<BranchId, Map>,
    records: Map,
}

impl State {
    fn new(branches: &[BranchId]) -> Self {
        Self { branches: branches.iter().map(|branch| (*branch, Map::new())).collect(), records: Map::new() }
    }

    /// Does an operation again; says so where it is told something else than it was.
    fn apply(&mut self, operation: &Operation) -> Result<(), String> {
        let told = |found: &dyn Debug, now: &dyn Debug, is_same: bool| {
            if is_same { Ok(()) } else { Err(format!("{operation:?} was told {found:?}, not {now:?}")) }
        };
        match operation {
            Operation::Get { branch, key, found } => {
                let now = self.branch(*branch)?.get(key).cloned();
                told(found, &now, *found == now)?;
            }
            Operation::Range { branch, range, direction, limit, found } => {
                let now = entries(self.branch(*branch)?, range, *direction, *limit);
                told(found, &now, *found == now)?;
            }
            Operation::Put { branch, key, value } => drop(self.branch(*branch)?.insert(key.clone(), value.clone())),
            Operation::Delete { branch, key } => drop(self.branch(*branch)?.remove(key)),
            Operation::Record { key, found } => {
                let now = self.records.get(key).cloned();
                told(found, &now, *found == now)?;
            }
            Operation::Records { range, direction, limit, found } => {
                let now = entries(&self.records, range, *direction, *limit);
                told(found, &now, *found == now)?;
            }
            Operation::RecordPut { key, value } => drop(self.records.insert(key.clone(), value.clone())),
            Operation::RecordDelete { key } => drop(self.records.remove(key)),
            Operation::Fork { parent, child } => {
                let map = self.branch(*parent)?.clone();
                self.branches.insert(*child, map);
            }
            Operation::DeleteBranch { branch } => {
                self.branch(*branch)?;
                self.branches.remove(branch);
            }
            Operation::NotFound { branch } => {
                let is_there = self.branches.contains_key(branch);
                told(&"nothing", branch, !is_there)?;
            }
        }
        Ok(())
    }

    fn branch(&mut self, branch: BranchId) -> Result<&mut Map, String> {
        self.branches.get_mut(&branch).ok_or_else(|| format!("branch {branch} was not there"))
    }
}

fn entries(map: &Map, range: &KeyRange, direction: Direction, limit: usize) -> Entries {
    let inside = map.iter().filter(|(key, _)| range.contains(key)).map(|(key, value)| (key.clone(), value.clone()));
    match direction {
        Direction::Ascending => inside.take(limit).collect(),
        Direction::Descending => inside.rev().take(limit).collect(),
    }
}
