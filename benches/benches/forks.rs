//! A fork in one durable commit, of branches of several sizes, at the head and at an earlier point.

use criterion::Criterion;
use offshoot_benches::{Outcome, open, trees};
use offshoot_engine::{Lsn, Point};

fn forks(criterion: &mut Criterion) -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let engine = open(directory.path(), 64 << 20)?;
    for size in [10, 1_000, 100_000] {
        let parent = trees::root(&engine, size)?;
        let past = Lsn::new(engine.branch(parent)?.head_lsn.get() / 2 + 1);
        for (name, point) in [("head", Point::Head), ("past", Point::Lsn(past))] {
            criterion.bench_function(&format!("fork/{name} of {size} roles"), |bencher| {
                bencher.iter(|| engine.transact(|tx| tx.fork(parent, point)));
            });
        }
    }
    Ok(())
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    offshoot_benches::report(forks(&mut criterion));
    criterion.final_summary();
}
