//! Which program a file is, read from the file itself: nothing of it is run, and what is read is
//! what would be executed.
//!
//! Every program of ours has a mark among its constants: a name, the length of what follows, three
//! numbers, and a checksum over all of it. The name alone stands in a program twice at least, and
//! anywhere by chance; with its length and checksum it is a mark.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// What a mark begins with.
const NAME: [u8; 16] = *b"\x7fNEXUS PROGRAM\x1a\n";
/// What it says, in bytes: three numbers. A later version may say more behind them.
const FACTS: usize = 12;
/// The most that a mark may say.
const FACTS_MAX: usize = 256;
/// The length of one of ours.
const MARK: usize = NAME.len() + 4 + FACTS + 4;
/// The longest mark that is read.
const MARK_MAX: usize = NAME.len() + 4 + FACTS_MAX + 4;
/// Bytes that are looked at together.
const PIECE: usize = 1 << 20;
/// The most of a file that is looked at.
const LOOK_MAX: u64 = 256 << 20;
/// Parts of a program that are looked at.
const PARTS_MAX: u16 = 64;

/// In this program's file, as it stands.
static OWN: [u8; MARK] = mark(nexus_keeper::PROTOCOL, crate::lines::VERSION, crate::lines::OLDEST);

/// Who a program says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// What its keeper and nexusd say to each other.
    protocol: u32,
    /// The state that it writes, and the oldest that it reads.
    state: u32,
    reads: u32,
}

impl Program {
    /// This one.
    pub(crate) fn own() -> Option<Program> {
        // Kept in the file as it stands, whatever the compiler knows of it.
        Program::parse(std::hint::black_box(&OWN))
    }

    /// The one in a file. Blocks: not for the runtime's thread.
    ///
    /// # Errors
    /// It is none of ours, in words.
    pub(crate) fn of(file: &File) -> Result<Program, String> {
        const NONE: &str = "it is no nexusctl, or one from before the daemon looked";
        let mut left = LOOK_MAX;
        for (offset, length) in constant_parts(file).map_err(|error| error.to_string())? {
            let length = length.min(left);
            let found = search(file, offset, length).map_err(|error| error.to_string())?;
            if let Some(program) = found {
                return Ok(program);
            }
            left -= length;
        }
        Err(NONE.into())
    }

    /// Whether this one may follow `now`: a pair of both could hand over, and each could read what
    /// the other has written.
    ///
    /// # Errors
    /// Why not, in words.
    pub(crate) fn can_follow(&self, now: &Program) -> Result<(), String> {
        if self.protocol != now.protocol {
            return Err(format!(
                "its keeper speaks version {}, the running one {}: it cannot take over in place. \
                 `nexusctl daemon stop`, then any command of the new one, does the same, and the \
                 apps run on",
                self.protocol, now.protocol
            ));
        }
        if self.state < now.state {
            let (new, old) = (self.state, now.state);
            return Err(format!("it is too old: it reads state up to format {new}, this is {old}"));
        }
        if self.reads > now.state {
            let (new, old) = (self.reads, now.state);
            return Err(format!("it reads no state as old as this: format {old}, not {new}"));
        }
        Ok(())
    }

    /// The mark that these bytes begin with.
    fn parse(bytes: &[u8]) -> Option<Program> {
        let said = bytes.strip_prefix(&NAME)?;
        let length = usize::try_from(word(said, 0)).ok()?;
        if !(FACTS..=FACTS_MAX).contains(&length) {
            return None;
        }
        let facts = said.get(4..4 + length)?;
        let sum = said.get(4 + length..8 + length)?;
        let whole = bytes.get(..NAME.len() + 4 + length)?;
        let [protocol, state, reads] = [0, 4, 8].map(|at| word(facts, at));
        (word(sum, 0) == checksum(whole, whole.len())).then_some(Program { protocol, state, reads })
    }
}

/// A program's mark.
const fn mark(protocol: u32, state: u32, reads: u32) -> [u8; MARK] {
    let mut mark = [0; MARK];
    let mut at = 0;
    while at < NAME.len() {
        mark[at] = NAME[at];
        at += 1;
    }
    at = put(&mut mark, at, FACTS as u32);
    at = put(&mut mark, at, protocol);
    at = put(&mut mark, at, state);
    at = put(&mut mark, at, reads);
    let sum = checksum(&mark, at);
    put(&mut mark, at, sum);
    mark
}

const fn put(mark: &mut [u8; MARK], at: usize, number: u32) -> usize {
    let bytes = number.to_le_bytes();
    let mut next = 0;
    while next < bytes.len() {
        mark[at + next] = bytes[next];
        next += 1;
    }
    at + bytes.len()
}

/// FNV-1a of the first `length` bytes.
const fn checksum(bytes: &[u8], length: usize) -> u32 {
    let mut sum: u32 = 0x811c_9dc5;
    let mut at = 0;
    while at < length {
        sum = (sum ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    sum
}

/// Where in an executable file its constants are (`elf(5)`): what is loaded and never written to.
fn constant_parts(file: &File) -> io::Result<Vec<(u64, u64)>> {
    let mut head = [0; 64];
    let read = file.read_at(&mut head, 0)?;
    // 64 bits, little-endian, as all that we run on.
    if read < head.len() || !head.starts_with(b"\x7fELF\x02\x01") {
        return Ok(Vec::new());
    }
    let (table, size) = (long(&head, 32), u64::from(short(&head, 54)));
    let mut parts = Vec::new();
    for number in 0..short(&head, 56).min(PARTS_MAX) {
        let mut entry = [0; 56];
        let place = table.saturating_add(u64::from(number) * size);
        if file.read_at(&mut entry, place)? < entry.len() {
            break;
        }
        let (kind, flags) = (word(&entry, 0), word(&entry, 4));
        const LOAD: u32 = 1;
        const WRITABLE: u32 = 2;
        if kind == LOAD && flags & WRITABLE == 0 {
            parts.push((long(&entry, 8), long(&entry, 32)));
        }
    }
    Ok(parts)
}

fn search(file: &File, offset: u64, length: u64) -> io::Result<Option<Program>> {
    // Pieces overlap by a mark, so that none is cut in two.
    let mut piece = vec![0; PIECE + MARK_MAX];
    let mut done = 0;
    while done < length {
        let count = file.read_at(&mut piece, offset.saturating_add(done))?;
        if count == 0 {
            break;
        }
        let mut rest = piece.get(..count).unwrap_or_default();
        while let Some(step) = rest.iter().position(|byte| *byte == NAME[0]) {
            rest = rest.get(step..).unwrap_or_default();
            if let Some(program) = Program::parse(rest) {
                return Ok(Some(program));
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        done += PIECE as u64;
    }
    Ok(None)
}

fn bytes<const N: usize>(from: &[u8], at: usize) -> [u8; N] {
    from.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
}

fn short(from: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes(from, at))
}

fn word(from: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes(from, at))
}

fn long(from: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes(from, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_found_in_its_file_and_no_other_is() {
        let own = File::open("/proc/self/exe").unwrap();
        let (protocol, state) = (nexus_keeper::PROTOCOL, crate::lines::VERSION);
        let reads = crate::lines::OLDEST;
        assert_eq!(Program::of(&own), Ok(Program { protocol, state, reads }));
        assert_eq!(Program::of(&own).ok(), Program::own());
        for other in ["/bin/true", "/dev/null", "/etc/passwd"] {
            assert!(Program::of(&File::open(other).unwrap()).is_err(), "{other}");
        }
    }

    #[test]
    fn a_mark_is_whole_or_none() {
        let whole = mark(3, 2, 1);
        let read = Program { protocol: 3, state: 2, reads: 1 };
        assert_eq!(Program::parse(&whole), Some(read));
        for end in 0..whole.len() {
            assert_eq!(Program::parse(&whole[..end]), None, "the first {end} bytes");
            let mut other = whole;
            other[end] ^= 1;
            assert_eq!(Program::parse(&other), None, "another byte {end}");
        }
        // A later version says more.
        let mut later = whole[..whole.len() - 4].to_vec();
        later[NAME.len()] += 5;
        later.extend(b"more.");
        later.extend(checksum(&later, later.len()).to_le_bytes());
        assert_eq!(Program::parse(&later), Some(read));
    }

    #[test]
    fn a_mark_between_two_pieces_is_found_and_what_is_beyond_a_part_is_not() {
        use std::io::Write;
        let mut file = tempfile::tempfile().unwrap();
        let place = PIECE - MARK / 2;
        file.write_all(&vec![NAME[0]; place]).unwrap();
        file.write_all(&mark(1, 2, 1)).unwrap();
        file.write_all(&vec![0; PIECE]).unwrap();
        let found = search(&file, 0, 2 * PIECE as u64).unwrap();
        assert_eq!(found, Some(Program { protocol: 1, state: 2, reads: 1 }));
        assert_eq!(search(&file, (place + MARK) as u64, PIECE as u64).unwrap(), None);
    }

    #[test]
    fn each_has_to_read_what_the_other_wrote() {
        let program = |protocol, state, reads| Program { protocol, state, reads };
        let now = program(2, 5, 4);
        assert_eq!(program(2, 5, 5).can_follow(&now), Ok(()));
        assert_eq!(program(2, 7, 3).can_follow(&now), Ok(()));
        let why = |new: Program| new.can_follow(&now).unwrap_err();
        assert!(why(program(3, 5, 4)).contains("speaks version 3, the running one 2"));
        assert!(why(program(1, 5, 4)).contains("speaks version 1, the running one 2"));
        assert!(why(program(2, 4, 1)).contains("it is too old"));
        assert!(why(program(2, 7, 6)).contains("reads no state as old"));
    }
}
