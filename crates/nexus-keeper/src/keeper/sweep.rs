//! Finding what belongs to a worker where there is no cgroup.
//!
//! A worker's tree is its session and its process group (it leads both), its descendants, and any
//! orphan whose environment still carries its `NEXUS_WORKER`. One pass over `/proc` serves all
//! trees that are to be looked at.

use std::os::fd::{AsFd, OwnedFd};

use super::proc::{self, Stat};
use crate::sys::process;

/// What one tree is known by.
pub(super) struct Root {
    /// The record of its child.
    pub(super) record: u32,
    /// The main process.
    pub(super) pid: i32,
    /// It is known to have ended.
    pub(super) dead: bool,
    /// `NEXUS_WORKER=TAG:CHILD`.
    pub(super) mark: Vec<u8>,
}

/// A member, by a pidfd that is certain to be its.
pub(super) struct Member {
    pub(super) record: u32,
    pub(super) pidfd: OwnedFd,
    pub(super) stat: Stat,
}

/// All living processes but the main processes of living workers, which cannot belong to another
/// worker's tree, and but us.
fn processes(is_known: &dyn Fn(i32) -> bool) -> Vec<Stat> {
    let us = std::process::id().cast_signed();
    let names = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    names
        .filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()))
        .filter(|pid| *pid != us && *pid != 1 && !is_known(*pid))
        .filter_map(proc::stat)
        .filter(|stat| !stat.is_dead() && stat.session != 0)
        .collect()
}

/// The members of all these trees. `is_known` tells main processes of living workers, and nexusd.
pub(super) fn members(roots: &[Root], is_known: &dyn Fn(i32) -> bool) -> Vec<Member> {
    let mut all = processes(is_known);
    all.sort_unstable_by_key(|stat| stat.pid);
    let find = |pid: i32| all.binary_search_by_key(&pid, |stat| stat.pid).ok();
    // Once a main process is dead its number is free; if somebody has it now, then session and
    // group of that number are somebody's too.
    let recycled: Vec<bool> = roots.iter().map(|r| r.dead && find(r.pid).is_some()).collect();
    let mut owner: Vec<Option<usize>> =
        all.iter().map(|stat| owner_of(stat, roots, &recycled)).collect();
    // Descendants of members, to any depth: a pass for each generation.
    let mut found = true;
    while found {
        found = false;
        for i in 0..all.len() {
            if owner[i].is_none() {
                owner[i] = find(all[i].ppid).and_then(|parent| owner[parent]);
                found |= owner[i].is_some();
            }
        }
    }
    let owned = all.iter().zip(&owner).filter_map(|(stat, owner)| owner.map(|o| (stat, o)));
    owned
        .filter_map(|(stat, owner)| {
            let pidfd = process::pidfd_open(stat.pid).ok()?;
            // The number may have been recycled between the pass and the pidfd.
            let again = proc::stat(stat.pid)?;
            let same = again.start == stat.start && !again.is_dead();
            same.then_some(Member { record: roots[owner].record, pidfd, stat: again })
        })
        .collect()
}

fn owner_of(stat: &Stat, roots: &[Root], recycled: &[bool]) -> Option<usize> {
    let by_number = roots.iter().zip(recycled).position(|(root, recycled)| {
        let same = [stat.session, stat.group, stat.ppid].contains(&root.pid);
        same && !recycled && stat.pid != root.pid
    });
    by_number.or_else(|| by_mark(stat, roots))
}

/// Whose `NEXUS_WORKER` the process began with. What we cannot read is not ours to judge.
fn by_mark(stat: &Stat, roots: &[Root]) -> Option<usize> {
    let environ = std::fs::read(format!("/proc/{}/environ", stat.pid)).ok()?;
    let mark = environ.split(|b| *b == 0).find(|v| v.starts_with(b"NEXUS_WORKER="))?;
    roots.iter().position(|root| root.mark == mark && root.pid != stat.pid)
}

/// SIGSTOP to all: what is frozen cannot fork while we look for the rest.
pub(super) fn freeze(members: &[Member]) {
    for member in members {
        let _ = process::signal(member.pidfd.as_fd(), libc::SIGSTOP);
    }
}
