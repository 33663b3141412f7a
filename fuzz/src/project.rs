//! Project files, in every format that is read.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| nexus_spec::fuzz::project(bytes));
