//! Any bytes are a slot of a file of notes, or are refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use offshoot_engine::testing::decode;

fuzz_target!(|bytes: &[u8]| decode::note(bytes));
