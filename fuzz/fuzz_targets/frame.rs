//! Any bytes are a frame of the journal that is read whole, or are refused; any payload is read up to where it is none.

#![no_main]

use libfuzzer_sys::fuzz_target;
use offshoot_engine::testing::decode;

fuzz_target!(|bytes: &[u8]| decode::frame(bytes));
