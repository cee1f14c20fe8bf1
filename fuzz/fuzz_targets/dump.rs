//! Any bytes are a dump that is read whole, or are refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use offshoot_engine::testing::decode;

fuzz_target!(|bytes: &[u8]| decode::dump(bytes));
