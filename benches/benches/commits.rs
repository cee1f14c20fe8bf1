//! Durable commits of one changed role, by one thread and by 32.

use std::time::Instant;

use criterion::{Criterion, Throughput};
use offshoot_benches::{Outcome, commits, open, trees};

const ROLES: u64 = 1_000;

fn commits(criterion: &mut Criterion) -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let engine = open(directory.path(), 64 << 20)?;
    let branches = (0..32).map(|_| trees::root(&engine, ROLES)).collect::<Outcome<Vec<_>>>()?;
    let mut group = criterion.benchmark_group("commit");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    for (name, threads, branches) in [
        ("1 thread", 1, &branches[..1]),
        ("32 threads on 32 branches", 32, &branches[..]),
        ("32 threads on one branch", 32, &branches[..1]),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|count| {
                let start = Instant::now();
                offshoot_benches::report(commits::commit(&engine, branches, threads, ROLES, count).map(|_| ()));
                start.elapsed()
            });
        });
    }
    group.finish();
    Ok(())
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    offshoot_benches::report(commits(&mut criterion));
    criterion.final_summary();
}
