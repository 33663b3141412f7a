//! What nexusd and its keeper say and hand to each other.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    nexus_keeper::fuzz::wire(bytes);
});
