//! The bars that Offshoot holds itself to, each as a ratio of two measurements of the same run where it is one.
//!
//! Exits with 1 when a bar is missed. Arguments: the names of the groups to run (`offshoot_benches::bars::GROUPS`); all of them by default.

mod commits;
mod computes;
mod forks;
mod http;
mod journal;
mod million;
mod reads;
mod sustained;

use std::process::ExitCode;

use offshoot_benches::child;

/// The allocator of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 7;
const CACHE_BYTES: u64 = 512 << 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [child::MARK, name, directory] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        let children: [(&str, child::Work); 3] =
            [("sustained", sustained::child), ("million-build", million::build), ("million-open", million::open)];
        return child::run(&children, name, directory.as_ref());
    }
    offshoot_benches::bars::run(
        &arguments,
        &[
            ("reads", reads::reads),
            ("forks", forks::forks),
            ("commits", commits::commits),
            ("journal", journal::journal),
            ("sustained", sustained::sustained),
            ("million", million::million),
            ("http", http::http),
            ("computes", computes::computes),
        ],
    )
}
