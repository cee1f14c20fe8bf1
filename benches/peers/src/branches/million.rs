//! A million branches of 1,000 roles in one store: what one takes on the disk, how long the store takes to open, and how much memory it has then.

use std::{path::Path, time::Instant};

use offshoot_benches::{
    Outcome,
    child::{Child, Figures, Work},
    files::bytes_below,
    memory::Memory,
};

use super::{
    cell::{Budget, Cell},
    contestants::{self, NAMES},
    stores::Branching,
    table::{Row, Unit},
};

const BRANCHES: u64 = 1_000_000;
const ROLES: u64 = 1_000;
const CACHE_BYTES: u64 = 256 << 20;

/// The processes of their own that build and open each contestant's store.
pub(crate) const CHILDREN: [(&str, Work); 8] = [
    ("build-0", |at| build(0, at)),
    ("build-1", |at| build(1, at)),
    ("build-2", |at| build(2, at)),
    ("build-3", |at| build(3, at)),
    ("open-0", |at| open(0, at)),
    ("open-1", |at| open(1, at)),
    ("open-2", |at| open(2, at)),
    ("open-3", |at| open(3, at)),
];

/// The rows of a million branches.
pub(crate) fn million() -> Outcome<Vec<Row>> {
    let (mut making, mut bytes, mut opening, mut memory) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 0..NAMES.len() {
        let directory = tempfile::tempdir()?;
        let built = in_child(&format!("build-{number}"), directory.path())?;
        let made = built.get("branches")?;
        let opened = in_child(&format!("open-{number}"), directory.path())?;
        let cell = |figure: f64| {
            if made >= BRANCHES as f64 {
                Cell::Measured(figure)
            } else {
                Cell::Stopped { at: made, figure: Some(figure) }
            }
        };
        making.push(cell(built.get("seconds")? / made));
        bytes.push(cell((bytes_below(directory.path())? as f64 - built.get("before")?) / made));
        opening.push(cell(opened.get("seconds")?));
        memory.push(cell(opened.get("resident")?));
    }
    let row =
        |name: &str, unit, cells| Row { name: format!("1,000,000 branches: {name}"), unit, cells, limits: Vec::new() };
    Ok(vec![
        row("making one", Unit::Seconds, making),
        row("disk per branch", Unit::Bytes, bytes),
        row("open", Unit::Seconds, opening),
        row("memory when open", Unit::Bytes, memory),
    ])
}

fn in_child(name: &str, directory: &Path) -> Outcome<Figures> {
    let mut child = Child::start(name, directory)?;
    let figures = child.figures()?;
    child.finish()?;
    Ok(figures)
}

fn build(number: usize, directory: &Path) -> Outcome<()> {
    let store = contestants::open(number, directory, CACHE_BYTES)?;
    store.root(ROLES)?;
    drop(store);
    let before = bytes_below(directory)?;
    let store = contestants::open(number, directory, CACHE_BYTES)?;
    let (budget, start) = (Budget::new(), Instant::now());
    let mut made = 0;
    while made < BRANCHES && !budget.is_spent() {
        made += store.forks(BRANCHES - made)?.0;
    }
    let seconds = start.elapsed().as_secs_f64();
    drop(store);
    Figures::default().with("branches", made as f64).with("seconds", seconds).with("before", before as f64).print()
}

fn open(number: usize, directory: &Path) -> Outcome<()> {
    let start = Instant::now();
    let store: Box<dyn Branching> = contestants::open(number, directory, CACHE_BYTES)?;
    // Another fork shows that the store is ready to work.
    let (_, newest) = store.forks(1)?;
    store.get(newest, ROLES - 1)?.ok_or("the newest branch has lost a role")?;
    let seconds = start.elapsed().as_secs_f64();
    Figures::default().with("seconds", seconds).with("resident", Memory::now()?.resident as f64).print()
}
