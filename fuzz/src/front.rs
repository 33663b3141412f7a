//! Any bytes from a client at the control socket.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let answer = nexusd::fuzz::front(bytes).unwrap_or_default();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."));
});
