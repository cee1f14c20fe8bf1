//! One role, and a list of 20, on branches that are more and more generations below their root.

use std::{collections::HashMap, path::Path, sync::RwLock, time::Instant};

use offshoot_benches::{
    Outcome, roles,
    rounds::{Candidate, interleaved},
};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::{
    cell::{CAP, Cell},
    contestants::{self, NAMES},
    stores::{At, Branch, Branching, ROOT, copy_key},
    table::{Row, Unit},
};

const DEPTHS: [u64; 4] = [1, 16, 256, 4_096];
const ROUNDS: usize = 5;
const LIST: usize = 20;
/// How long one candidate reads in one round.
const RUN_MILLIS: u128 = 40;

/// Which data, and how much of it may be cached.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) roles: u64,
    /// How many children the branch at the given depth has. Their roles are read.
    pub(crate) tips: u64,
    pub(crate) cache_bytes: u64,
}

/// All that is read fits the caches many times.
pub(crate) const WARM: Setting = Setting { name: "warm", roles: 1_000, tips: 100, cache_bytes: 256 << 20 };

/// The caches take a tenth of the keys and values of one branch.
pub(crate) const TIGHT: Setting =
    Setting { name: "cache of a tenth", roles: 100_000, tips: 10, cache_bytes: 100_000 * (16 + 160) / 10 };

/// A contestant with its tree of branches, as deep as it came.
struct Tree {
    store: Box<dyn Branching>,
    tip: Branch,
    depth: u64,
    tips: Vec<Branch>,
    /// What is left of the contestant's time for building.
    seconds: f64,
}

impl Tree {
    fn plant(number: usize, directory: &Path, setting: &Setting) -> Outcome<Self> {
        let store = contestants::open(number, directory, setting.cache_bytes)?;
        store.root(setting.roles)?;
        Ok(Self { store, tip: ROOT, depth: 1, tips: Vec::new(), seconds: CAP.as_secs_f64() })
    }

    fn child(&self, parent: Branch, number: u64, setting: &Setting) -> Outcome<Branch> {
        let child = self.store.fork(parent, At::Head)?.ok_or("a fork of the head is always possible")?;
        self.store.put(child, number * 104_729 % setting.roles, number + 1)?;
        Ok(child)
    }

    /// Grows to a depth, or as far as time allows, and takes children of the deepest branch as those to be read.
    fn grow(&mut self, depth: u64, setting: &Setting) -> Outcome<()> {
        let start = Instant::now();
        let seconds = self.seconds;
        let is_spent = || start.elapsed().as_secs_f64() >= seconds;
        while self.depth < depth && !is_spent() {
            self.tip = self.child(self.tip, self.depth, setting)?;
            self.depth += 1;
        }
        self.tips.clear();
        for number in 0..setting.tips {
            if number > 0 && is_spent() {
                break;
            }
            self.tips.push(self.child(self.tip, depth + number, setting)?);
        }
        self.seconds = (seconds - start.elapsed().as_secs_f64()).max(0.0);
        Ok(())
    }

    fn cell(&self, depth: u64, seconds: f64) -> Cell {
        if self.depth == depth {
            Cell::Measured(seconds)
        } else {
            Cell::Stopped { at: self.depth as f64, figure: Some(seconds) }
        }
    }
}

/// What no store of branches can be faster than, with the pairs of all tips: a map in memory, and sled with a key for each pair.
struct Limits {
    map: RwLock<HashMap<(Branch, u64), [u8; roles::ROLE_BYTES]>>,
    sled: sled::Db,
}

impl Limits {
    fn new(directory: &Path, setting: &Setting) -> Outcome<Self> {
        let sled = sled::Config::new()
            .path(directory.join("sled"))
            .cache_capacity(setting.cache_bytes)
            .flush_every_ms(None)
            .open()?;
        let mut map = HashMap::new();
        for branch in 0..setting.tips {
            for role in 0..setting.roles {
                let value = roles::value(role, branch);
                sled.insert(copy_key(branch, role), &value[..])?;
                map.insert((branch, role), value);
            }
        }
        Ok(Self { map: RwLock::new(map), sled })
    }
}

/// The rows of one setting. Contestants at the same depth take turns.
pub(crate) fn reads(setting: &Setting) -> Outcome<Vec<Row>> {
    let directory = tempfile::tempdir()?;
    let limits = Limits::new(directory.path(), setting)?;
    let mut trees =
        (0..NAMES.len()).map(|number| Tree::plant(number, directory.path(), setting)).collect::<Outcome<Vec<_>>>()?;
    let mut rows = Vec::new();
    for depth in DEPTHS {
        for tree in &mut trees {
            tree.grow(depth, setting)?;
        }
        rows.extend(at_depth(depth, setting, &trees, &limits)?);
    }
    Ok(rows)
}

fn at_depth(depth: u64, setting: &Setting, trees: &[Tree], limits: &Limits) -> Outcome<[Row; 2]> {
    let mut gets: Vec<_> = trees
        .iter()
        .map(|tree| {
            candidate(setting, move |tip, role| {
                let branch = tree.tips[tip % tree.tips.len()];
                let found = tree.store.get(branch, role)?;
                found.map(|_| ()).ok_or_else(|| format!("role {role} is missing").into())
            })
        })
        .collect();
    gets.push(candidate(setting, |tip, role| {
        let map = limits.map.read().map_err(|_| "a reader panicked")?;
        std::hint::black_box(map.get(&(tip as u64, role)).copied());
        Ok(())
    }));
    gets.push(candidate(setting, |tip, role| {
        limits.sled.get(copy_key(tip as u64, role))?.ok_or("a pair is missing")?;
        Ok(())
    }));
    let mut lists: Vec<_> = trees
        .iter()
        .map(|tree| {
            candidate(setting, move |tip, role| {
                let branch = tree.tips[tip % tree.tips.len()];
                expect_list(tree.store.list(branch, first(role, setting), LIST)?)
            })
        })
        .collect();
    lists.push(candidate(setting, |tip, role| {
        let start = copy_key(tip as u64, first(role, setting));
        let mut count = 0;
        for entry in limits.sled.range(start..).take(LIST) {
            entry?;
            count += 1;
        }
        expect_list(count)
    }));

    let row = |what: &str, times: &[f64], map: Option<f64>, sled: f64| Row {
        name: format!("{what}, depth {depth}, {}", setting.name),
        unit: Unit::Seconds,
        cells: trees.iter().zip(times).map(|(tree, seconds)| tree.cell(depth, *seconds)).collect(),
        limits: map.map(|map| ("hash map", map)).into_iter().chain([("raw sled", sled)]).collect(),
    };
    let seconds = |candidates: &mut [Candidate<'_>]| -> Outcome<Vec<f64>> {
        Ok(interleaved(ROUNDS, candidates)?.into_iter().map(|time| time.as_secs_f64()).collect())
    };
    let (gets, lists) = (seconds(&mut gets)?, seconds(&mut lists)?);
    let count = trees.len();
    Ok([
        row("get", &gets[..count], Some(gets[count]), gets[count + 1]),
        row(&format!("list of {LIST}"), &lists[..count], None, lists[count]),
    ])
}

/// The first role of a list that is as long as asked for.
fn first(role: u64, setting: &Setting) -> u64 {
    role.min(setting.roles - LIST as u64)
}

fn expect_list(count: usize) -> Outcome<()> {
    if count == LIST { Ok(()) } else { Err(format!("a list of {LIST} has {count} roles").into()) }
}

/// Reads random roles of random tips for a while; the name is not needed.
fn candidate<'a>(setting: &'a Setting, read: impl Fn(usize, u64) -> Outcome<()> + 'a) -> Candidate<'a> {
    let mut random = SmallRng::seed_from_u64(1);
    Candidate::new(setting.name, move || {
        let start = Instant::now();
        let mut done = 0;
        loop {
            // The clock is not to be a part of what is measured.
            for _ in 0..16 {
                let tip = usize::try_from(random.random_range(0..setting.tips))?;
                read(tip, random.random_range(0..setting.roles))?;
                done += 1;
            }
            if start.elapsed().as_millis() >= RUN_MILLIS {
                return Ok(done);
            }
        }
    })
}
