//! Compressed files that can be read from any place: gzip in members of 256 KiB of text each.
//!
//! `zcat` and every other reader of gzip takes the members one after the other (RFC 1952, 2.2).
//! Each says its own length in an extra field, so that a reader of ours steps from one to the next
//! without unpacking what is between.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use flate2::write::{DeflateDecoder, DeflateEncoder};
use flate2::{Compression, Crc};

/// Bytes of text in one member.
pub(crate) const BLOCK: usize = 256 * 1024;
/// The longest member that is read: text that does not compress grows by little.
const MEMBER_MAX: usize = 2 * BLOCK;
/// Logs are much the same line after line: a higher level takes twice the time for a tenth less.
const LEVEL: Compression = Compression::new(3);

/// Magic, deflate, an extra field; no time; any system; 8 bytes of extra: `NX`, 4 bytes.
const HEAD: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'N', b'X', 4, 0];
/// The member's length follows the head.
const HEAD_LEN: usize = HEAD.len() + 4;
/// Checksum and length of the text.
const TAIL_LEN: usize = 8;

/// One member that holds `text`.
pub(crate) fn member(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = HEAD.to_vec();
    bytes.extend([0; 4]);
    let mut encoder = DeflateEncoder::new(bytes, LEVEL);
    encoder.write_all(text)?;
    let mut bytes = encoder.finish()?;
    let mut crc = Crc::new();
    crc.update(text);
    bytes.extend(crc.sum().to_le_bytes());
    bytes.extend(crc.amount().to_le_bytes());
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    bytes[HEAD.len()..HEAD_LEN].copy_from_slice(&len);
    Ok(bytes)
}

/// A compressed file, read at any offset of its text. Holds one member unpacked.
pub(crate) struct Packed {
    file: File,
    members: Vec<Member>,
    len: u64,
    /// The number of the member that is unpacked, and its text.
    unpacked: RefCell<(usize, Vec<u8>)>,
}

struct Member {
    /// Where it begins in the file, and its length.
    at: u64,
    size: usize,
    /// Where its text begins.
    from: u64,
}

impl Packed {
    /// Step through the members.
    ///
    /// # Errors
    /// It cannot be read, or was not written by us, or is cut off.
    pub(crate) fn open(file: File) -> io::Result<Packed> {
        let end = file.metadata()?.len();
        let (mut members, mut at, mut from) = (Vec::new(), 0, 0);
        while at < end {
            let mut head = [0; HEAD_LEN];
            file.read_exact_at(&mut head, at).map_err(|_| strange())?;
            let (fixed, size) = head.split_at(HEAD.len());
            let size = size.try_into().map_or(0, u32::from_le_bytes) as usize;
            if fixed != HEAD || !(HEAD_LEN + TAIL_LEN..=MEMBER_MAX).contains(&size) {
                return Err(strange());
            }
            let mut text_len = [0; 4];
            let tail = at + size as u64 - text_len.len() as u64;
            file.read_exact_at(&mut text_len, tail).map_err(|_| strange())?;
            members.push(Member { at, size, from });
            at += size as u64;
            from += u64::from(u32::from_le_bytes(text_len));
        }
        Ok(Packed { file, members, len: from, unpacked: RefCell::new((usize::MAX, Vec::new())) })
    }

    /// Bytes of text.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// As `pread(2)` of the text.
    pub(crate) fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.len {
            return Ok(0);
        }
        let number = self.members.partition_point(|member| member.from <= offset);
        let number = number.saturating_sub(1);
        let mut unpacked = self.unpacked.borrow_mut();
        if unpacked.0 != number {
            // Marked first: an error must not leave half a text that counts as whole.
            unpacked.0 = usize::MAX;
            let text = std::mem::take(&mut unpacked.1);
            *unpacked = (number, self.unpack(&self.members[number], text)?);
        }
        let begin = usize::try_from(offset - self.members[number].from).unwrap_or(usize::MAX);
        let text = unpacked.1.get(begin..).ok_or_else(strange)?;
        let len = text.len().min(into.len());
        into[..len].copy_from_slice(&text[..len]);
        Ok(len)
    }

    fn unpack(&self, member: &Member, mut text: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; member.size];
        self.file.read_exact_at(&mut bytes, member.at)?;
        text.clear();
        let mut decoder = DeflateDecoder::new(Bounded(text));
        decoder.write_all(&bytes[HEAD_LEN..member.size - TAIL_LEN])?;
        let text = decoder.finish()?.0;
        let mut crc = Crc::new();
        crc.update(&text);
        let tail = &bytes[member.size - TAIL_LEN..];
        let same = tail[..4] == crc.sum().to_le_bytes() && tail[4..] == crc.amount().to_le_bytes();
        if same { Ok(text) } else { Err(strange()) }
    }
}

/// Text up to one block: what claims to be more is not ours.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > BLOCK {
            return Err(strange());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn strange() -> io::Error {
    let words = "it is damaged, or was not compressed by us (`zcat` may read it)";
    io::Error::new(io::ErrorKind::InvalidData, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(text: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gz");
        let members: Vec<u8> =
            text.chunks(BLOCK).flat_map(|block| member(block).unwrap()).collect();
        std::fs::write(&path, members).unwrap();
        (dir, path)
    }

    #[test]
    fn any_place_reads_as_it_was_and_gzip_agrees() {
        let text: Vec<u8> = (0..80_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        let (_dir, path) = packed(&text);
        let open = Packed::open(File::open(&path).unwrap()).unwrap();
        assert_eq!(open.len(), text.len() as u64);
        for offset in [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK + 7, text.len() - 3, text.len()] {
            let mut some = [0; 100];
            let got = open.read_at(&mut some, offset as u64).unwrap();
            assert_eq!(&some[..got], &text[offset..offset + got]);
            assert!(got > 0 || offset == text.len());
        }
        let zcat = std::process::Command::new("gzip").arg("-dc").arg(&path).output().unwrap();
        assert!(zcat.status.success() && zcat.stdout == text);
        assert!(std::fs::metadata(&path).unwrap().len() * 3 < text.len() as u64);
    }

    #[test]
    fn what_is_damaged_or_not_ours_is_refused() {
        let (_dir, path) = packed(b"one line\n");
        let whole = std::fs::read(&path).unwrap();
        for (bytes, opens) in [
            (whole[..whole.len() - 1].to_vec(), false),
            (whole[..12].to_vec(), false),
            (b"plain text, and quite some of it\n".to_vec(), false),
            (
                [&whole[..HEAD_LEN + 2], &[!whole[HEAD_LEN + 2]], &whole[HEAD_LEN + 3..]].concat(),
                true,
            ),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let open = Packed::open(File::open(&path).unwrap());
            assert_eq!(open.is_ok(), opens);
            assert!(open.is_err() || open.unwrap().read_at(&mut [0; 9], 0).is_err());
        }
    }
}
