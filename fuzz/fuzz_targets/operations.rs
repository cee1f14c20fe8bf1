//! Any bytes are operations on branches and records, which the engine does as the naive model does.

#![no_main]

use libfuzzer_sys::fuzz_target;
use offshoot_engine::testing::decode;

fuzz_target!(|bytes: &[u8]| decode::operations(bytes));
