//! Copies of our programs in which some bytes are others: a version, a mark, or a name that makes
//! them fail in a certain place.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nexus_tests::{Home, program};

/// A copy of `nexusctl` with these bytes in place of those, of the same length.
pub(crate) fn altered(home: &Home, name: &str, changes: &[(&str, &str)]) -> PathBuf {
    let changes: Vec<_> = changes.iter().map(|(a, b)| (a.as_bytes(), b.as_bytes())).collect();
    changed(home, name, "nexusctl", &changes)
}

/// The same of any program of ours.
pub(crate) fn changed(home: &Home, name: &str, of: &str, changes: &[(&[u8], &[u8])]) -> PathBuf {
    let mut bytes = std::fs::read(program(of)).unwrap();
    for (from, to) in changes {
        assert_eq!(from.len(), to.len());
        let mut at = 0;
        let mut found = 0;
        while let Some(place) = find(&bytes[at..], from) {
            at += place;
            bytes[at..at + to.len()].copy_from_slice(to);
            found += 1;
        }
        assert!(found > 0, "{} is not in {of}", String::from_utf8_lossy(from));
    }
    executable(home, name, &bytes)
}

/// What the daemon knows a program of ours by: a name, the length of three numbers, these, a sum.
pub(crate) fn mark() -> [u8; 36] {
    let bytes = std::fs::read(program("nexusctl")).unwrap();
    let at = find(&bytes, b"\x7fNEXUS PROGRAM\x1a\n\x0c\0\0\0").unwrap();
    bytes[at..at + 36].try_into().unwrap()
}

/// The same, with these numbers: protocol, state, and the oldest state that is read.
pub(crate) fn other_mark(numbers: [u32; 3]) -> [u8; 36] {
    let mut mark = mark();
    for (at, number) in [20, 24, 28].into_iter().zip(numbers) {
        mark[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }
    let sum = mark[..32]
        .iter()
        .fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    mark[32..].copy_from_slice(&sum.to_le_bytes());
    mark
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    let first = what[0];
    let mut at = 0;
    while let Some(step) = bytes[at..].iter().position(|byte| *byte == first) {
        at += step;
        if bytes[at..].starts_with(what) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Such a program.
pub(crate) fn executable(home: &Home, name: &str, bytes: &[u8]) -> PathBuf {
    let path = home.project().join(name);
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A program whose only part is said to be longer than any file.
pub(crate) fn endless() -> Vec<u8> {
    let mut bytes = vec![0; 64 + 56];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[32] = 64;
    (bytes[54], bytes[56]) = (56, 1);
    bytes[64] = 1;
    bytes[64 + 32..64 + 40].copy_from_slice(&u64::MAX.to_le_bytes());
    bytes
}
