//! The race of durable commits: Offshoot's store against other embedded stores, alone and by 32 threads.
//!
//! Every store gets the same two puts in one atomic commit, which is durable when the call returns, and is set up as its documentation
//! recommends for that. Exits with 1 when Offshoot is not the fastest. Takes the same arguments as the binary `bars`.

mod puts;
mod race;
mod stores;

use std::process::ExitCode;

/// The allocator of the server; all of the stores have it here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    offshoot_benches::bars::run(&arguments, &[("race", race::race)])
}
