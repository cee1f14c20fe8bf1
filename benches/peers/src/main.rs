//! The races: Offshoot against what a user would pick instead.
//!
//! `race` is of durable commits: Offshoot's store against other embedded stores, alone and by 32 threads. Every store gets the same two puts
//! in one atomic commit, which is durable when the call returns, and is set up as its documentation recommends for that. `branches` is of
//! branches: the engine against other ways to keep roles per branch. Exits with 1 when a bar is missed. Takes the same arguments as the
//! binary `bars`.

mod branches;
mod puts;
mod race;
mod stores;

use std::process::ExitCode;

use offshoot_benches::child;

/// The allocator of the server; all of the stores have it here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [child::MARK, name, directory] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return child::run(&branches::CHILDREN, name, directory.as_ref());
    }
    offshoot_benches::bars::run(&arguments, &[("race", race::race), ("branches", branches::branches)])
}
