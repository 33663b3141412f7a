//! Memory that a process which stays for months need not keep: code that only the beginning needed,
//! and what a burst of work has left in the heap.

use nix::sys::mman::{MmapAdvise, madvise};
use std::ffi::c_void;
use std::ptr::NonNull;

/// Let go of pages of code, and of what is free in the heap.
///
/// Code that is needed again comes back from the page cache, a fault for every 64 KiB: the kernel
/// brings sixteen pages for each that is touched, so that most of the program would stay mapped.
/// Where `/proc` cannot be read no code is let go.
pub(crate) fn let_go() {
    #[cfg(target_env = "gnu")]
    // SAFETY: gives free pages of the heap back; nothing that is in use is touched.
    unsafe {
        libc::malloc_trim(0)
    };
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for (start, len) in maps.lines().filter_map(code) {
        let Some(start) = NonNull::new(std::ptr::without_provenance_mut::<c_void>(start)) else {
            continue;
        };
        // SAFETY: a private mapping of a file that may be executed and not written: its pages are
        // as they are in the file, and the kernel reads them again when they are touched. The
        // range is a whole mapping.
        let _ = unsafe { madvise(start, len, MmapAdvise::MADV_DONTNEED) };
    }
}

/// Start and length of a mapping of code, from a line of proc_pid_maps(5).
fn code(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (range, rights) = (words.next()?, words.next()?);
    let path = words.nth(3)?;
    if rights != "r-xp" || !path.starts_with('/') {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    Some((start, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_is_let_go() {
        let line = "55e0a000-55e0c000 r-xp 00002000 fd:00 12  /usr/bin/x";
        assert_eq!(code(line), Some((0x55e0_a000, 0x2000)));
        for other in [
            "55e0a000-55e0c000 r--p 00002000 fd:00 12  /usr/bin/x",
            "55e0a000-55e0c000 rw-p 00002000 fd:00 12  /usr/bin/x",
            "7ffd6000-7ffd8000 r-xp 00000000 00:00 0   [vdso]",
            "7ffd6000-7ffd8000 r-xp 00000000 00:00 0",
        ] {
            assert_eq!(code(other), None, "{other}");
        }
    }

    #[test]
    fn the_program_goes_on() {
        let_go();
        assert_eq!((1..=100_u64).map(|n| n * n).sum::<u64>(), 338_350);
    }
}
