//! A file of intents.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    nexusd::fuzz::state(bytes);
});
