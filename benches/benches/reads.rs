//! Reads of a role, and of 20, at the head of a branch.

use std::hint::black_box;

use criterion::Criterion;
use offshoot_benches::{Outcome, open, roles, trees};
use offshoot_engine::{Direction, KeyRange};

const ROLES: u64 = 1_000;

fn reads(criterion: &mut Criterion) -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let engine = open(directory.path(), 64 << 20)?;
    for depth in [1, 64, 4_096] {
        let branches = trees::at_depth(&engine, depth, 1, ROLES)?;
        let mut number = 0;
        criterion.bench_function(&format!("get/depth {depth}"), |bencher| {
            bencher.iter(|| {
                number = (number + 7_919) % ROLES;
                black_box(engine.head(branches[0]).and_then(|head| head.get(&roles::key(number))))
            });
        });
        criterion.bench_function(&format!("list of 20/depth {depth}"), |bencher| {
            bencher.iter(|| {
                let head = engine.head(branches[0])?;
                let entries = head.range(KeyRange::ALL, Direction::Ascending).take(20);
                black_box(entries.collect::<Result<Vec<_>, _>>())
            });
        });
    }
    Ok(())
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    offshoot_benches::report(reads(&mut criterion));
    criterion.final_summary();
}
