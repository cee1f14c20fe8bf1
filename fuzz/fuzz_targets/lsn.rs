//! Any text is an LSN that prints as itself, or a refusal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use offshoot_engine::testing::decode;

fuzz_target!(|bytes: &[u8]| decode::lsn(bytes));
