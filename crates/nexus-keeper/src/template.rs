//! A template as a sealed memfd: written once by nexusd, read by each child itself.
//!
//! The ids of the inherited sockets stand in front, so that the keeper can hand exactly these to
//! the child without reading anything else.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::wire::{Channel, GIVEN_MAX, Grants, HoldId, LISTEN_MAX, TEMPLATE_MAX, Template};

const MAGIC: [u8; 8] = *b"NXTMPL03";
/// As written by versions before, without a hearer, and without grants: an upgraded keeper still
/// spawns from it.
const MAGIC_2: [u8; 8] = *b"NXTMPL02";
const MAGIC_1: [u8; 8] = *b"NXTMPL01";

impl Template {
    /// A sealed memfd of this template, to be held by [`crate::Link::hold`].
    ///
    /// # Errors
    /// `InvalidInput` when it is longer than [`TEMPLATE_MAX`] or has more sockets than
    /// [`LISTEN_MAX`]; what memfd_create says.
    pub fn seal(&self) -> io::Result<OwnedFd> {
        let bytes = self.encode()?;
        let memfd =
            memfd_create(c"nexus-template", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        let mut file = File::from(memfd);
        file.write_all(&bytes)?;
        let seals = SealFlag::F_SEAL_SEAL
            | SealFlag::F_SEAL_SHRINK
            | SealFlag::F_SEAL_GROW
            | SealFlag::F_SEAL_WRITE;
        fcntl(file.as_fd(), FcntlArg::F_ADD_SEALS(seals))?;
        Ok(file.into())
    }

    fn encode(&self) -> io::Result<Vec<u8>> {
        if self.listen.len() > LISTEN_MAX {
            return Err(invalid("more sockets than LISTEN_MAX"));
        }
        let mut out = MAGIC.to_vec();
        put_len(&mut out, self.listen.len());
        put_len(&mut out, usize::from(self.hearer.is_some()));
        for id in self.listen.iter().map(|(id, _)| id).chain(&self.hearer) {
            out.extend_from_slice(&id.0.to_le_bytes());
        }
        for (_, name) in &self.listen {
            put(&mut out, name);
        }
        put(&mut out, &self.program);
        put_list(&mut out, &self.argv);
        put_list(&mut out, &self.env);
        put(&mut out, &self.cwd);
        out.push(u8::from(self.umask.is_some()));
        out.extend_from_slice(&self.umask.unwrap_or(0).to_le_bytes());
        let (uid, gid, groups) = self.ids.clone().unwrap_or_default();
        out.push(u8::from(self.ids.is_some()));
        out.extend_from_slice(&uid.to_le_bytes());
        out.extend_from_slice(&gid.to_le_bytes());
        put_len(&mut out, groups.len());
        for group in &groups {
            out.extend_from_slice(&group.to_le_bytes());
        }
        put_grants(&mut out, &self.grants, self.channel);
        if out.len() > TEMPLATE_MAX {
            return Err(invalid("argv, environment and paths are longer than TEMPLATE_MAX"));
        }
        Ok(out)
    }

    /// Read one back.
    ///
    /// # Errors
    /// `InvalidData` when it is none.
    pub fn unseal(memfd: BorrowedFd<'_>) -> io::Result<Template> {
        let file = File::from(memfd.try_clone_to_owned()?);
        let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if len > TEMPLATE_MAX {
            return Err(broken());
        }
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, 0)?;
        decode(&bytes).ok_or_else(broken)
    }
}

/// The held sockets that a template wants, the one that hears the child last, without reading the
/// rest of it; returns how many.
pub(crate) fn given_ids(memfd: &File, ids: &mut [HoldId; GIVEN_MAX]) -> io::Result<usize> {
    let mut head = [0; 16 + 8 * GIVEN_MAX];
    let got = memfd.read_at(&mut head, 0)?;
    let rest = &mut head.get(..got).ok_or_else(broken)?;
    let (count, has_hearer) = head_of(rest).ok_or_else(broken)?;
    let count = count + usize::from(has_hearer);
    for id in ids.iter_mut().take(count) {
        *id = HoldId(u64::from_le_bytes(take(rest).ok_or_else(broken)?));
    }
    Ok(count)
}

pub(crate) fn decode(bytes: &[u8]) -> Option<Template> {
    let rest = &mut &bytes[..];
    let (count, has_hearer) = head_of(rest)?;
    let ids: Option<Vec<HoldId>> =
        (0..count).map(|_| take(rest).map(|b| HoldId(u64::from_le_bytes(b)))).collect();
    let hearer = match has_hearer {
        true => Some(HoldId(u64::from_le_bytes(take(rest)?))),
        false => None,
    };
    let listen = ids?.into_iter().map(|id| Some((id, get(rest)?))).collect::<Option<Vec<_>>>()?;
    let (program, argv, env, cwd) = (get(rest)?, get_list(rest)?, get_list(rest)?, get(rest)?);
    let umask = (take::<1>(rest)?, u32::from_le_bytes(take(rest)?));
    let has_ids = take::<1>(rest)?;
    let (uid, gid) = (u32::from_le_bytes(take(rest)?), u32::from_le_bytes(take(rest)?));
    let groups = get_len(rest)?;
    let groups: Option<Vec<u32>> =
        (0..groups).map(|_| take(rest).map(u32::from_le_bytes)).collect();
    let (grants, channel) = match bytes.starts_with(&MAGIC_1) {
        true => (Grants::default(), Channel::None),
        false => get_grants(rest)?,
    };
    Some(Template {
        program,
        argv,
        env,
        cwd,
        umask: (umask.0 != [0]).then_some(umask.1),
        ids: (has_ids != [0]).then_some((uid, gid, groups?)),
        grants,
        listen,
        channel,
        hearer,
    })
}

/// How many sockets, and whether one that hears the child comes behind them.
fn head_of(rest: &mut &[u8]) -> Option<(usize, bool)> {
    let magic: [u8; 8] = take(rest)?;
    let count = get_len(rest)?;
    let has_hearer = get_len(rest)? == 1;
    let is_known = matches!(magic, MAGIC | MAGIC_2 | MAGIC_1);
    (is_known && count <= LISTEN_MAX).then_some((count, has_hearer))
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a template of this version")
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    // Longer ones do not fit TEMPLATE_MAX and are refused at the end.
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_grants(out: &mut Vec<u8>, grants: &Grants, channel: Channel) {
    let Grants { nice, oom_score_adj, rlimits, no_new_privs } = grants;
    let channel = match channel {
        Channel::None => 0,
        Channel::Ready => 1,
        Channel::Node => 2,
    };
    let flags = u8::from(nice.is_some()) | u8::from(*no_new_privs) << 1 | channel << 2;
    out.extend_from_slice(&[flags, nice.unwrap_or(0).cast_unsigned()]);
    out.push(u8::from(oom_score_adj.is_some()));
    out.extend_from_slice(&oom_score_adj.unwrap_or(0).to_le_bytes());
    put_len(out, rlimits.len());
    for (resource, soft, hard) in rlimits {
        out.push(*resource);
        out.extend_from_slice(&soft.to_le_bytes());
        out.extend_from_slice(&hard.to_le_bytes());
    }
}

fn get_grants(rest: &mut &[u8]) -> Option<(Grants, Channel)> {
    let [flags, nice] = take(rest)?;
    let [has_oom] = take(rest)?;
    let oom_score_adj = i16::from_le_bytes(take(rest)?);
    let limit = |rest: &mut &[u8]| {
        let [resource] = take(rest)?;
        Some((resource, u64::from_le_bytes(take(rest)?), u64::from_le_bytes(take(rest)?)))
    };
    let rlimits = (0..get_len(rest)?).map(|_| limit(rest)).collect::<Option<_>>()?;
    let channel = match flags >> 2 {
        0 => Channel::None,
        1 => Channel::Ready,
        2 => Channel::Node,
        _ => return None,
    };
    let grants = Grants {
        nice: (flags & 1 != 0).then_some(nice.cast_signed()),
        oom_score_adj: (has_oom != 0).then_some(oom_score_adj),
        rlimits,
        no_new_privs: flags & 2 != 0,
    };
    Some((grants, channel))
}

fn put_list(out: &mut Vec<u8>, list: &[Vec<u8>]) {
    put_len(out, list.len());
    for bytes in list {
        put(out, bytes);
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    rest.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn get_len(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(take(rest)?)).ok()
}

fn get(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let len = get_len(rest)?;
    let (bytes, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(bytes.to_vec())
}

fn get_list(rest: &mut &[u8]) -> Option<Vec<Vec<u8>>> {
    let count = get_len(rest)?;
    (0..count).map(|_| get(rest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Template {
        Template {
            program: b"/bin/true".to_vec(),
            argv: vec![b"true".to_vec(), b"".to_vec()],
            env: vec![b"A=1".to_vec()],
            cwd: b"/".to_vec(),
            umask: Some(0o27),
            ids: Some((1, 2, vec![3, 4])),
            grants: Grants {
                nice: Some(-7),
                oom_score_adj: Some(-900),
                rlimits: vec![(7, 5, u64::MAX), (4, 0, 0)],
                no_new_privs: true,
            },
            listen: vec![(HoldId(7), b"http".to_vec()), (HoldId(9), b"".to_vec())],
            channel: Channel::Node,
            hearer: Some(HoldId(11)),
        }
    }

    #[test]
    fn what_was_sealed_is_read_back() {
        let bare = Template { umask: None, ids: None, listen: vec![], hearer: None, ..sample() };
        for template in [sample(), bare, Template { channel: Channel::Ready, ..sample() }] {
            let memfd = template.seal().unwrap();
            assert_eq!(Template::unseal(memfd.as_fd()).unwrap(), template);
        }
    }

    #[test]
    fn the_sockets_can_be_read_alone() {
        let file = File::from(sample().seal().unwrap());
        let mut ids = [HoldId(0); GIVEN_MAX];
        assert_eq!(given_ids(&file, &mut ids).unwrap(), 3);
        assert_eq!(ids[..3], [HoldId(7), HoldId(9), HoldId(11)]);
    }

    #[test]
    fn every_cut_is_refused() {
        let bytes = sample().encode().unwrap();
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), None, "{len} bytes");
        }
    }

    #[test]
    fn a_template_of_the_version_before_is_still_one() {
        let deaf = Template { hearer: None, ..sample() };
        let mut bytes = deaf.encode().unwrap();
        bytes[..8].copy_from_slice(&MAGIC_2);
        assert_eq!(decode(&bytes), Some(deaf.clone()));
        let plain = Template { grants: Grants::default(), channel: Channel::None, ..deaf };
        let mut bytes = plain.encode().unwrap();
        let mut grants = Vec::new();
        put_grants(&mut grants, &Grants::default(), Channel::None);
        bytes.truncate(bytes.len() - grants.len());
        assert_eq!(decode(&bytes), None);
        bytes[..8].copy_from_slice(&MAGIC_1);
        assert_eq!(decode(&bytes), Some(plain));
    }

    #[test]
    fn too_long_is_refused_by_the_bounds_name() {
        let long = Template { cwd: vec![b'x'; TEMPLATE_MAX], ..sample() };
        assert!(long.seal().unwrap_err().to_string().contains("TEMPLATE_MAX"));
    }
}
