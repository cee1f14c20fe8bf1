//! How much memory a large transaction takes. A program of its own, since it counts what all threads allocate.

use std::error::Error;

use offshoot_engine::{Engine, NamespaceId, Options, SledOptions, SledStore};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const KEYS: usize = 100_000;
const VALUE_BYTES: usize = 100;

/// The bound that the documentation of `Engine::transact` states. About a quarter is what the store keeps until its index has it; the rest is the
/// transaction's own: what is written, the pages of the new map, and the nodes that are not written ahead yet.
const MAX_BYTES: usize = 128 << 20;

#[test]
fn a_transaction_of_100_000_keys_stays_under_the_bound() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = SledStore::open(directory.path(), &SledOptions::default())?;
    let engine = Engine::open(store, Options::default().with_cache_bytes(4 << 20))?;
    let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
    // Once on an empty map, once on the full one.
    for value in [1, 2] {
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        engine.transact(|tx| {
            (0..KEYS).try_for_each(|number| tx.put(main, format!("role/{number:09}").as_bytes(), &[value; VALUE_BYTES]))
        })?;
        let took = ALLOCATED.peak_usage().saturating_sub(before);
        assert!(took > KEYS * VALUE_BYTES, "{took} bytes: the allocator does not count");
        assert!(took < MAX_BYTES, "{took} bytes");
    }
    Ok(())
}
