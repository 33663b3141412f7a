//! What an earlier pair of this home has left running, found by the mark that every worker and
//! all that it starts carry in their environment: `NEXUS_WORKER=HOME:APP:INSTANCE:CHILD`.
//!
//! Both of a pair may die between the birth of a worker and the line on disk that speaks of it.
//! The first nexusd of the next pair looks at every process, once: a worker that has a place is
//! written down as if the line were there; what has none is ended before anything is spawned.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nexus_core::Intents;
use nexus_spec::{Name, RunAs};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::note::Proof;
use crate::runs::Run;
use crate::stat::{self, start_ticks};
use crate::survivors::LeftAlone;
use crate::template;

/// How long processes are waited for that are about to execute their program, or to end.
const WAIT_MAX: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(3);

/// Processes with this home's mark, by the child that they belong to.
pub(crate) struct Strays<'a> {
    home_id: &'a str,
    /// Nothing of the pair itself is a stray: it may have been founded by a worker.
    pair: [i32; 2],
    by_child: BTreeMap<u64, Vec<Member>>,
}

/// One process with a mark.
struct Member {
    pid: i32,
    start_ticks: u64,
    leads_session: bool,
    uid: u32,
    place: Option<(Name, u16)>,
    generation: Option<u64>,
}

impl<'a> Strays<'a> {
    /// Look at every process.
    pub(crate) fn find(home_id: &'a str, keeper: i32) -> Strays<'a> {
        let pair = [keeper, std::process::id().cast_signed()];
        wait_for_births(keeper);
        let mut strays = Strays { home_id, pair, by_child: BTreeMap::new() };
        strays.look();
        strays
    }

    fn look(&mut self) {
        self.by_child.clear();
        for pid in pids().filter(|pid| !self.pair.contains(pid)) {
            if let Some((child, member)) = member(pid, self.home_id) {
                self.by_child.entry(child).or_default().push(member);
            }
        }
    }

    /// The highest child number that any of them has: it must not be given out again.
    pub(crate) fn last_child(&self) -> u64 {
        self.by_child.last_key_value().map_or(0, |(child, _)| *child)
    }

    /// The generation of the spec that a child was started with.
    pub(crate) fn generation(&self, child: u64) -> Option<u64> {
        self.by_child.get(&child)?.iter().find_map(|member| member.generation)
    }

    /// Write down the workers that nobody wrote down, where they have a place.
    pub(crate) fn complete(&self, runs: &mut BTreeMap<u64, Run>, intents: &Intents) {
        for (&child, members) in &self.by_child {
            if runs.contains_key(&child) {
                continue;
            }
            // Every worker leads a session. Of several who do, the first began the others.
            let leaders = members.iter().filter(|member| member.leads_session);
            let Some(main) = leaders.min_by_key(|main| (main.start_ticks, main.pid)) else {
                continue;
            };
            let Some((name, instance)) = main.place.clone() else { continue };
            let Some(app) = intents.apps.iter().find(|app| app.spec.name == name) else { continue };
            if may_be_of(main.uid, &app.spec.run_as) {
                let Member { pid, start_ticks, .. } = *main;
                let (app, ready, beside) = (name, true, false);
                let proof = Some(Proof::Unknown);
                let run = Run { app, instance, child, pid, start_ticks, ready, beside, proof };
                runs.insert(child, run);
            }
        }
    }

    /// End all whose child is not `kept`, and wait until they have ended. The cgroups of the home
    /// show those who have overwritten their environment. A mark can be forged: who runs as a user
    /// that is neither ours nor any app's is left alone.
    pub(crate) fn end(
        mut self,
        cgroups: Option<&Path>,
        kept: &HashSet<u64>,
        intents: &Intents,
    ) -> Vec<LeftAlone> {
        let deadline = Instant::now() + WAIT_MAX;
        let users = users(intents);
        let foreign = |member: &Member| !users.contains(&member.uid);
        let left_alone = self.members(kept).filter(|member| foreign(member)).map(leave).collect();
        loop {
            self.by_child.retain(|child, members| {
                members.retain(|member| !foreign(member));
                !kept.contains(child) && !members.is_empty()
            });
            let groups = populated(cgroups, kept);
            if self.by_child.is_empty() && groups.is_empty() {
                return left_alone;
            }
            let mut ending: Vec<OwnedFd> = self.members(kept).filter_map(end).collect();
            for group in groups {
                tracing::warn!("{} is nobody's: it is ended", group.display());
                ending.extend(members_of(&group));
                // Before Linux 5.14 there is no such file; the marks are all there is to go by.
                let _ = fs::write(group.join("cgroup.kill"), "1");
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::error!("what an earlier daemon left running does not end");
                return left_alone;
            }
            await_ends(&ending, if ending.is_empty() { LOOK_AGAIN } else { left });
            // What forked meanwhile is seen by the next look.
            self.look();
        }
    }

    /// Whose they are cannot be known: all but the `kept` are left alone.
    pub(crate) fn leave(self, kept: &HashSet<u64>) -> Vec<LeftAlone> {
        self.members(kept).map(leave).collect()
    }

    /// All whose child is not `kept`.
    fn members(&self, kept: &HashSet<u64>) -> impl Iterator<Item = &Member> {
        let others = self.by_child.iter().filter(|(child, _)| !kept.contains(child));
        others.flat_map(|(_, members)| members)
    }
}

fn leave(member: &Member) -> LeftAlone {
    let place = member.place.as_ref().map(|(app, instance)| format!("`{app}/{instance}`"));
    let place = place.unwrap_or_else(|| "this home".into());
    LeftAlone {
        pid: Some(member.pid),
        why: format!("it bears the mark of {place}, and is of uid {}", member.uid),
    }
}

/// Whose processes can be ours: our own, and those of every app's user.
fn users(intents: &Intents) -> HashSet<u32> {
    let apps = intents.apps.iter().filter_map(|app| template::ids(&app.spec.run_as).ok()?);
    apps.map(|(uid, ..)| uid).chain([nix::unistd::geteuid().as_raw()]).collect()
}

/// Wait until all have ended, or no longer.
fn await_ends(ending: &[OwnedFd], patience: Duration) {
    let deadline = Instant::now() + patience;
    let mut waiting: Vec<&OwnedFd> = ending.iter().collect();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut asked: Vec<PollFd<'_>> =
            waiting.iter().map(|pidfd| PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)).collect();
        // A signal is as good as an event: what has ended is looked at anew.
        let ready = poll(&mut asked, wait).unwrap_or(1);
        let ended: Vec<bool> = asked.iter().map(|one| one.any().unwrap_or(true)).collect();
        let mut ended = ended.into_iter();
        waiting.retain(|_| !ended.next().unwrap_or(true));
        if ready == 0 || waiting.is_empty() {
            return;
        }
    }
}

/// Pidfds of all that is in a cgroup.
fn members_of(group: &Path) -> Vec<OwnedFd> {
    let pids = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let pids = pids.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?));
    pids.filter_map(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()).collect()
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A living process with this home's mark. A zombie has no environment.
fn member(pid: i32, home_id: &str) -> Option<(u64, Member)> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = |key: &str| {
        let mut variables = environ.split(|byte| *byte == 0);
        let value = variables.find_map(|variable| variable.strip_prefix(key.as_bytes()))?;
        std::str::from_utf8(value).ok()
    };
    let mark = value("NEXUS_WORKER=")?.strip_prefix(home_id)?.strip_prefix(':')?;
    let (place, child) = mark.rsplit_once(':')?;
    let (app, instance) = place.rsplit_once(':')?;
    let place = Name::new(app).ok().zip(instance.parse().ok());
    let stat = stat::of(pid)?;
    let member = Member {
        pid,
        start_ticks: stat.start_ticks,
        // A session that began outside of our PID namespace has no number here.
        leads_session: stat.session == pid,
        uid: fs::metadata(format!("/proc/{pid}")).ok()?.uid(),
        place,
        generation: value("NEXUS_GENERATION=").and_then(|text| text.parse().ok()),
    };
    Some((child.parse().ok()?, member))
}

/// A mark can be forged: only a process of ours, or of the app's own user, takes a place.
fn may_be_of(uid: u32, run_as: &RunAs) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    let apps = template::ids(run_as).ok().flatten().map(|(uid, ..)| uid);
    uid == own || apps == Some(uid)
}

/// Kill it; what tells of its end.
fn end(member: &Member) -> Option<OwnedFd> {
    let pidfd = pidfd_open(Pid::from_raw(member.pid)?, PidfdFlags::empty()).ok()?;
    // Between the look and this descriptor the number may have become another's.
    if start_ticks(member.pid) != Some(member.start_ticks) {
        return None;
    }
    tracing::warn!(pid = member.pid, "is left of an earlier daemon and has no place: ended");
    // One that ends by itself meanwhile is as good.
    let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    Some(pidfd)
}

/// Groups with living members that are no kept child's.
fn populated(cgroups: Option<&Path>, kept: &HashSet<u64>) -> Vec<PathBuf> {
    let groups = cgroups.and_then(|dir| fs::read_dir(dir).ok()).into_iter().flatten().flatten();
    let child = |path: &Path| path.file_name()?.to_str()?.parse::<u64>().ok();
    groups
        .map(|entry| entry.path())
        .filter(|path| child(path).is_some_and(|child| !kept.contains(&child)))
        .filter(|path| {
            let events = fs::read_to_string(path.join("cgroup.events")).unwrap_or_default();
            events.lines().any(|line| line == "populated 1")
        })
        .collect()
}

/// A child that its keeper had let through just before it died has no mark until it executes its
/// program, which it is about to do: wait for that. Its end is an event; that it executes is told to
/// nobody, and looked for by time.
fn wait_for_births(keeper: i32) {
    let deadline = Instant::now() + WAIT_MAX;
    let mut waited = false;
    while Instant::now() < deadline {
        let born = pids().filter(|pid| *pid != keeper && is_being_born(*pid));
        let born = born.filter_map(|pid| pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok());
        let born: Vec<OwnedFd> = born.collect();
        if born.is_empty() {
            break;
        }
        waited = true;
        await_ends(&born, LOOK_AGAIN);
    }
    if waited {
        // The kernel changes the name an instant before it shows the environment.
        sleep(LOOK_AGAIN);
    }
}

/// It has a keeper's name still, but is none: a keeper waits by epoll, and it has let go of that.
fn is_being_born(pid: i32) -> bool {
    let named = fs::read(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == b"nexus-keeper\n");
    let Some(descriptors) = named.then(|| fs::read_dir(format!("/proc/{pid}/fd")).ok()).flatten()
    else {
        return false;
    };
    let links = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    !links.into_iter().any(|link| link == Path::new("anon_inode:[eventpoll]"))
        && stat::of(pid).is_some_and(|stat| !stat.has_ended())
}
