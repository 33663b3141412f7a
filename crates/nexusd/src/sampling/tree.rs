//! One worker's whole tree: who is in it, what it uses.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nexus_core::Breach;
use nexus_spec::{Autoscale, Name};

use super::limits::Limits;
use super::{Figures, Room, Watched};
use crate::stat::{self, Stat};

/// The most members of a tree that are looked at; more are not counted.
const MEMBERS_MAX: usize = 16_384;
/// How old a tree must be before the time since its beginning says anything, in seconds: ten ticks.
const AGE_MIN: f64 = 0.1;

/// One worker's tree and what was last seen of it.
pub(super) struct Tree {
    pub(super) app: Name,
    pub(super) main: i32,
    /// What it used when it was last looked at.
    pub(super) figures: Figures,
    pub(super) limits: Limits,
    pub(super) scaling: Option<Autoscale>,
    group: Option<Group>,
    /// By pid.
    members: Vec<Member>,
    measured: Option<Instant>,
    /// CPU time of all members, that of children they waited for included.
    whole_ticks: u64,
    /// CPU time since it began, as far as it was seen.
    used_ticks: u64,
}

struct Member {
    pid: i32,
    start_ticks: u64,
    /// `None` where there was no room for another open file.
    file: Option<File>,
    own_ticks: u64,
}

/// A tree's cgroup.
struct Group {
    path: PathBuf,
    file: Option<File>,
}

impl Tree {
    /// The tree of a main process, in its cgroup below `cgroups` if it has one.
    pub(super) fn new(watched: Watched, cgroups: Option<&Path>, room: &mut Room) -> Tree {
        let Watched { app, pid: main, allowed, scaling } = watched;
        let group = cgroups.and_then(|cgroups| Group::of(main, cgroups, room));
        Tree {
            app,
            main,
            figures: Figures::default(),
            limits: Limits::new(allowed),
            scaling,
            group,
            members: Vec::new(),
            measured: None,
            whole_ticks: 0,
            used_ticks: 0,
        }
    }

    /// Open files to be given back to the room.
    pub(super) fn files(&self) -> usize {
        let group = self.group.as_ref().is_some_and(|group| group.file.is_some());
        self.members.iter().filter(|member| member.file.is_some()).count() + usize::from(group)
    }

    pub(super) fn has_group(&self) -> bool {
        self.group.is_some()
    }

    /// Read what it uses now, and say if that is too much. `found`: its members, where there is no
    /// cgroup to ask.
    pub(super) fn measure(
        &mut self,
        found: Option<&[i32]>,
        pids: &mut Pids,
        room: &mut Room,
    ) -> Option<Breach> {
        match (&self.group, found) {
            (Some(group), _) => group.members(pids),
            (None, Some(found)) => pids.take(found),
            (None, None) => pids.take(&[self.main]),
        }
        // A worker that has moved into a cgroup of its own making below, or has just ended, or
        // whose cgroup cannot be read: from now on the tree is looked for by descent.
        if pids.list.binary_search(&self.main).is_err() {
            let group = self.group.take();
            room.give(usize::from(group.is_some_and(|group| group.file.is_some())));
            pids.take(found.unwrap_or(&[self.main]));
        }
        let now = Instant::now();
        self.renew(&pids.list, room);
        let (mut pages, mut whole, mut grown) = (0, 0, 0);
        let mut main = None;
        for at in (0..self.members.len()).rev() {
            let Some(member) = self.members.get_mut(at) else { continue };
            let Some(stat) = member.read() else {
                room.give(usize::from(self.members.remove(at).file.is_some()));
                continue;
            };
            grown += stat.own_ticks.saturating_sub(member.own_ticks);
            member.own_ticks = stat.own_ticks;
            pages += stat.resident_pages(member.pid);
            whole += stat.own_ticks + stat.reaped_ticks;
            if member.pid == self.main {
                main = Some(stat);
            }
        }
        self.figures.memory_bytes = pages * stat::page_bytes();
        // The time of a member that ended is in the second figure if somebody of the tree waited
        // for it, and it takes the time of one for which nobody did out of it: both figures are at
        // most what was used.
        let ticks = grown.max(whole.saturating_sub(self.whole_ticks));
        self.used_ticks += ticks;
        self.figures.cpu_time_ms = stat::milliseconds(self.used_ticks);
        self.figures.cpu_percent = match self.measured {
            Some(before) => percent(ticks, (now - before).as_secs_f64()),
            None => main.and_then(|main| percent(ticks, age(&main)?)),
        };
        (self.measured, self.whole_ticks) = (Some(now), whole);
        self.limits.judge(self.figures.memory_bytes, &pids.list)
    }

    /// Let those go that have left, take in those that have come.
    fn renew(&mut self, pids: &[i32], room: &mut Room) {
        if self.members.iter().map(|member| &member.pid).eq(pids) {
            return;
        }
        self.members.retain(|member| {
            let stays = pids.binary_search(&member.pid).is_ok();
            if !stays {
                room.give(usize::from(member.file.is_some()));
            }
            stays
        });
        for &pid in pids {
            let Err(at) = self.members.binary_search_by_key(&pid, |member| member.pid) else {
                continue;
            };
            let Some(file) = stat::open(pid) else { continue };
            let Some(stat) = stat::read(&file) else { continue };
            let file = room.take().then_some(file);
            let (start_ticks, own_ticks) = (stat.start_ticks, 0);
            self.members.insert(at, Member { pid, start_ticks, file, own_ticks });
        }
    }
}

impl Member {
    fn read(&self) -> Option<Stat> {
        match &self.file {
            Some(file) => stat::read(file),
            None => stat::read(&stat::open(self.pid)?)
                .filter(|stat| stat.start_ticks == self.start_ticks),
        }
    }
}

impl Group {
    /// The cgroup that a process is in, if it is one of ours: a worker may have moved into one
    /// that it made below.
    fn of(pid: i32, cgroups: &Path, room: &mut Room) -> Option<Group> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
        let ours = cgroups.file_name()?.to_str()?;
        let name = path.split('/').skip_while(|&part| part != ours).nth(1)?;
        let path = cgroups.join(name).join("cgroup.procs");
        let file = File::open(&path).ok()?;
        let file = room.take().then_some(file);
        Some(Group { path, file })
    }

    fn members(&self, pids: &mut Pids) {
        match &self.file {
            Some(file) => pids.read(file),
            None => match File::open(&self.path) {
                Ok(file) => pids.read(&file),
                Err(_) => pids.list.clear(),
            },
        }
    }
}

/// A list of pids in order, with the room to read it into.
#[derive(Default)]
pub(super) struct Pids {
    list: Vec<i32>,
    text: Vec<u8>,
}

/// A page holds about a thousand pids.
const PAGE: usize = 4_096;

impl Pids {
    fn take(&mut self, pids: &[i32]) {
        self.list.clear();
        self.list.extend(pids.iter().take(MEMBERS_MAX));
        self.list.sort_unstable();
    }

    /// One pid a line; the kernel gives at most a page at a time.
    fn read(&mut self, file: &File) {
        self.text.clear();
        loop {
            let at = self.text.len();
            self.text.resize(at + PAGE, 0);
            let got = self.text.get_mut(at..).map(|rest| file.read_at(rest, at as u64));
            let got = got.and_then(Result::ok).unwrap_or(0);
            self.text.truncate(at + got);
            if got == 0 || self.text.len() > MEMBERS_MAX * 8 {
                break;
            }
        }
        self.list.clear();
        let lines = self.text.split(|&byte| byte == b'\n');
        let pids = lines.filter_map(|line| std::str::from_utf8(line).ok()?.parse::<i32>().ok());
        self.list.extend(pids.take(MEMBERS_MAX));
        self.list.sort_unstable();
        self.list.dedup();
    }
}

/// A main process that has had no turn yet.
pub(super) fn first_look(pid: i32) -> Option<Figures> {
    let stat = stat::of(pid)?;
    let cpu_percent = age(&stat).and_then(|age| percent(stat.own_ticks, age));
    let cpu_time_ms = stat::milliseconds(stat.own_ticks);
    let memory_bytes = stat.resident_pages(pid) * stat::page_bytes();
    Some(Figures { cpu_percent, cpu_time_ms, memory_bytes })
}

/// 100 = one CPU, all the time.
fn percent(ticks: u64, seconds: f64) -> Option<f64> {
    let used = ticks as f64 / stat::ticks_a_second();
    (seconds >= AGE_MIN).then(|| (used / seconds * 1_000.0).round() / 10.0)
}

/// Seconds since a process began.
fn age(stat: &Stat) -> Option<f64> {
    let began = stat.start_ticks as f64 / stat::ticks_a_second();
    let age = crate::clock::now().0 as f64 / 1_000.0 - began;
    (age > 0.0).then_some(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(pid: i32) -> Watched {
        Watched { app: Name::new("a").unwrap(), pid, allowed: Default::default(), scaling: None }
    }

    #[test]
    fn a_tree_without_a_cgroup_is_the_members_that_are_named() {
        let mut room = Room::new(8);
        let mut pids = Pids::default();
        let own = std::process::id().cast_signed();
        let mut child = std::process::Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        let mut tree = Tree::new(watched(own), None, &mut room);
        tree.measure(None, &mut pids, &mut room);
        assert!(tree.figures.memory_bytes > 0);
        assert_eq!((tree.files(), room.left()), (1, 7));
        tree.measure(Some(&[own, child.id().cast_signed()]), &mut pids, &mut room);
        assert_eq!((tree.files(), room.left()), (2, 6));
        child.kill().unwrap();
        child.wait().unwrap();
        tree.measure(Some(&[own, child.id().cast_signed()]), &mut pids, &mut room);
        assert_eq!((tree.files(), room.left()), (1, 7));
    }

    #[test]
    fn without_room_for_open_files_the_figures_are_the_same() {
        let mut room = Room::new(0);
        let mut tree = Tree::new(watched(std::process::id().cast_signed()), None, &mut room);
        tree.measure(None, &mut Pids::default(), &mut room);
        assert!(tree.figures.memory_bytes > 0);
        assert_eq!(tree.files(), 0);
    }

    #[test]
    fn a_share_of_less_than_ten_ticks_is_no_figure() {
        assert_eq!(percent(1, 0.05), None);
        let half = (stat::ticks_a_second() / 2.0) as u64;
        assert_eq!(percent(half, 1.0), Some(50.0));
        assert_eq!(percent(4 * half, 1.0), Some(200.0));
    }
}
