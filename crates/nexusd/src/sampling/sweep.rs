//! Whose each process is, where there are no cgroups: a tree is the main process's session and
//! process group, its descendants, and any orphan whose environment still carries its mark.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::{PERIOD_MAX, SHARE};
use crate::stat::{self, Stat};

/// Who was found, and when to look again.
#[derive(Default)]
pub(super) struct Sweep {
    members: HashMap<u64, Vec<i32>>,
    /// A pass over all processes may be dear: it takes its share of a CPU and no more.
    due: Option<Instant>,
}

impl Sweep {
    /// Members of a tree as last found; `None` = it was not there yet.
    pub(super) fn of(&self, child: u64) -> Option<&[i32]> {
        self.members.get(&child).map(Vec::as_slice)
    }

    /// Look at all processes, unless it is too early. `mains`: main process → child.
    pub(super) fn run(&mut self, mains: &HashMap<i32, u64>) {
        let begin = Instant::now();
        if self.due.is_some_and(|due| begin < due) {
            return;
        }
        self.members = found(&processes(), mains, &marked);
        let cost = begin.elapsed();
        let pause = cost.mul_f64(1.0 / SHARE).clamp(Duration::ZERO, PERIOD_MAX);
        self.due = Some(begin + pause);
    }
}

fn processes() -> HashMap<i32, Stat> {
    let names = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = names.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    // A session of 0 does not tell threads of the kernel: a process whose session's leader is
    // outside of its PID namespace has it too (pid_namespaces(7)), as in any container.
    pids.filter_map(|pid| Some((pid, stat::of(pid)?))).collect()
}

fn found(
    all: &HashMap<i32, Stat>,
    mains: &HashMap<i32, u64>,
    marked: &dyn Fn(i32) -> Option<u64>,
) -> HashMap<u64, Vec<i32>> {
    let mut members: HashMap<u64, Vec<i32>> = HashMap::new();
    let own = std::process::id().cast_signed();
    let keeper = all.get(&own).map(|stat| stat.parent);
    let known: HashSet<u64> = mains.values().copied().collect();
    for (&pid, stat) in all {
        let child = owner(pid, all, mains).or_else(|| {
            // Orphans come to the keeper, who is their subreaper.
            let orphan = Some(stat.parent) == keeper && pid != own;
            orphan.then(|| marked(pid)).flatten().filter(|child| known.contains(child))
        });
        if let Some(child) = child {
            members.entry(child).or_default().push(pid);
        }
    }
    members
}

/// Up the line of parents, until one is a main process or in one's session or group.
fn owner(pid: i32, all: &HashMap<i32, Stat>, mains: &HashMap<i32, u64>) -> Option<u64> {
    /// Deeper than any tree of a worker; a line of parents that changes under us may have a loop.
    const DEPTH_MAX: usize = 64;
    let mut at = pid;
    for _ in 0..DEPTH_MAX {
        if let Some(&child) = mains.get(&at) {
            return Some(child);
        }
        let stat = all.get(&at)?;
        let by_number = mains.get(&stat.session).or_else(|| mains.get(&stat.group));
        if let Some(&child) = by_number {
            return Some(child);
        }
        at = stat.parent;
    }
    None
}

/// The child whose mark (`NEXUS_WORKER=TAG:CHILD`) a process began with.
fn marked(pid: i32) -> Option<u64> {
    let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mark = environ.split(|&byte| byte == 0).find_map(|v| v.strip_prefix(b"NEXUS_WORKER="))?;
    let number = mark.rsplit(|&byte| byte == b':').next()?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(parent: i32, group: i32, session: i32) -> Stat {
        let (own_ticks, reaped_ticks, start_ticks, pages) = (0, 0, 0, 1);
        let state = b'S';
        Stat { state, parent, group, session, own_ticks, reaped_ticks, start_ticks, pages }
    }

    #[test]
    fn a_tree_is_session_group_descendants_and_marked_orphans() {
        let us = std::process::id().cast_signed();
        let keeper = us + 1;
        let at = |offset: i32| us + 100 + offset;
        let all = HashMap::from([
            (us, process(keeper, us, us)),
            (keeper, process(1, keeper, keeper)),
            // The main process, a child, and a grandchild in a session of its own.
            (at(0), process(keeper, at(0), at(0))),
            (at(1), process(at(0), at(0), at(0))),
            (at(2), process(at(1), at(2), at(2))),
            // Orphans: of the session; with a mark; of somebody else.
            (at(3), process(keeper, at(0), at(0))),
            (at(4), process(keeper, at(4), at(4))),
            (at(5), process(keeper, at(5), at(5))),
            (at(6), process(1, at(6), at(6))),
        ]);
        let mains = HashMap::from([(at(0), 7)]);
        let marked = |pid: i32| (pid == at(4) || pid == at(6)).then_some(7);
        let mut members = found(&all, &mains, &marked).remove(&7).unwrap();
        members.sort_unstable();
        assert_eq!(members, [at(0), at(1), at(2), at(3), at(4)]);
    }

    #[test]
    fn a_dear_pass_is_not_repeated_at_once() {
        let own = std::process::id().cast_signed();
        let mut sweep = Sweep::default();
        sweep.run(&HashMap::from([(own, 1)]));
        assert!(sweep.of(1).is_some_and(|members| members.contains(&own)));
        sweep.run(&HashMap::from([(own, 2)]));
        assert!(sweep.of(2).is_none());
    }
}
