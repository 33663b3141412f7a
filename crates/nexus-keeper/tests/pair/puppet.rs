//! nexusd as the cases play it: orders by hand, reports awaited with a deadline.

use std::io::{PipeReader, Write};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nexus_keeper::{
    Channel, Ended, Grants, Handoff, HoldId, Link, OnExit, Order, Report, Template,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::contract::Contract;

/// No single answer takes longer, even on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// nexusd's state in a case.
pub(crate) struct Puppet {
    pub(crate) link: Option<Link>,
    pub(crate) handoff: Handoff,
    /// How many deaths of either came before.
    pub(crate) life: u64,
    pub(crate) home: PathBuf,
    /// Everything reported in this life.
    pub(crate) reports: Vec<Report>,
    /// What the verdict's line says besides "ok".
    pub(crate) said: String,
    /// Watches what the two say to each other.
    contract: Contract,
}

/// Play the case that the environment names.
pub(crate) fn be_nexusd(fd: RawFd) -> ExitCode {
    nix::sys::prctl::set_name(c"nexusd").unwrap();
    let (link, handoff) = Link::inherit(fd).unwrap();
    let counters = handoff.counters;
    let name = std::env::var("NEXUS_CASE").unwrap();
    let case = crate::all().find(|case| case.name == name).unwrap();
    std::panic::set_hook(Box::new(|info| {
        let trace = std::backtrace::Backtrace::force_capture().to_string();
        let ours: Vec<&str> =
            trace.lines().filter(|line| line.contains("tests/pair")).take(6).collect();
        verdict(&format!("{info}\n{}\nFAILED\n", ours.join("\n")));
    }));
    let contract = Contract::begin(&handoff.home, &handoff);
    let mut puppet = Puppet {
        life: counters.nexusd_restarts + counters.keeper_restarts,
        home: handoff.home.clone(),
        handoff,
        link: Some(link),
        reports: Vec::new(),
        said: String::new(),
        contract,
    };
    (case.run)(&mut puppet);
    verdict(&format!("ok:{}\n", puppet.said));
    // The runner ends the home; until then the keeper has its nexusd.
    loop {
        std::thread::park();
    }
}

fn verdict(text: &str) {
    let number: RawFd = std::env::var("NEXUS_VERDICT").unwrap().parse().unwrap();
    let path = format!("/proc/self/fd/{number}");
    let mut pipe = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    pipe.write_all(text.as_bytes()).unwrap();
}

impl Puppet {
    pub(crate) fn link(&mut self) -> &mut Link {
        self.link.as_mut().unwrap()
    }

    pub(crate) fn send(&mut self, order: Order) {
        self.try_send(&order).unwrap();
    }

    /// Send to a keeper that may be dead.
    pub(crate) fn try_send(&mut self, order: &Order) -> std::io::Result<()> {
        self.contract.orders(order);
        self.link().send(order)
    }

    /// The next report, if there is one.
    pub(crate) fn read(&mut self) -> std::io::Result<bool> {
        let Some(report) = self.link().recv()? else { return Ok(false) };
        self.contract.reads(&report);
        self.reports.push(report);
        Ok(true)
    }

    /// Hold a new pipe; the write end gets `id`, the read end `id + 1`.
    pub(crate) fn pipe(&mut self, id: u64) {
        let (read, write) = std::io::pipe().unwrap();
        self.link().hold(HoldId(id), b"write", OwnedFd::from(write)).unwrap();
        self.link().hold(HoldId(id + 1), b"read", OwnedFd::from(read)).unwrap();
    }

    pub(crate) fn template(&mut self, id: u64, template: &Template) {
        let memfd = template.seal().unwrap();
        self.link().hold(HoldId(id), b"template", memfd).unwrap();
    }

    /// This executable in a role of `workers`.
    pub(crate) fn role(&self, args: &[&str]) -> Template {
        let exe = std::fs::read_link("/proc/self/exe").unwrap();
        self.program(exe.to_str().unwrap(), &[&["worker", "__worker"], args].concat())
    }

    pub(crate) fn program(&self, path: &str, argv: &[&str]) -> Template {
        Template {
            program: path.into(),
            argv: argv.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
            env: vec![
                format!("NEXUS_HOME={}", self.home.display()).into_bytes(),
                b"PATH=/usr/bin:/bin".to_vec(),
            ],
            cwd: b"/".to_vec(),
            umask: None,
            ids: None,
            grants: Grants::default(),
            listen: Vec::new(),
            channel: Channel::None,
            hearer: None,
        }
    }

    /// Streams are the pipe 1/2, the template 3.
    pub(crate) fn spawn(&mut self, child: u64) {
        self.spawn_with(child, 3, OnExit::default());
    }

    pub(crate) fn spawn_with(&mut self, child: u64, template: u64, on_exit: OnExit) {
        self.send(spawn_order(child, template, on_exit));
    }

    /// Have a worker kept that runs already.
    pub(crate) fn take(&mut self, child: u64, pid: i32, pidfd: OwnedFd) {
        let (tag, note) = (b"home/app/0".to_vec(), b"found".to_vec());
        let order = Order::Take { child, pid, tag: tag.clone(), note: note.clone() };
        self.contract.orders(&order);
        self.link().take(child, pid, pidfd, &tag, &note).unwrap();
    }

    pub(crate) fn found_fresh_keeper(&mut self) {
        let handoff = self.link().found_fresh_keeper().unwrap();
        self.contract.begins(&handoff);
    }

    /// A pipe, a template and a child: the usual beginning.
    pub(crate) fn start(&mut self, child: u64, template: &Template) -> i32 {
        if self.link().held(HoldId(1)).is_none() {
            self.pipe(1);
        }
        self.template(3, template);
        self.spawn(child);
        self.running(child)
    }

    /// Wait until it runs; its pid.
    pub(crate) fn running(&mut self, child: u64) -> i32 {
        self.until(|r| matches!(r, Report::Running { child: c } if *c == child));
        self.link().child(child).unwrap().0
    }

    /// Wait for a report that was not seen before or has been already; returns its place.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Report) -> bool) -> usize {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(place) = self.reports.iter().position(&wanted) {
                return place;
            }
            if !self.receive(end) {
                panic!("not reported in time; reported: {:?}", self.reports);
            }
        }
    }

    /// Take what is there, or wait for more; false at the deadline.
    fn receive(&mut self, end: Instant) -> bool {
        loop {
            self.link().flush().unwrap();
            if self.read().unwrap() {
                if let Some(Report::Refused { child, errno, why }) = self.reports.last() {
                    eprintln!("refused: {child:?} {errno} {why}");
                }
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !wait_for(self.link().socket(), left) {
                return false;
            }
        }
    }

    /// All that was said before this answer has been read then.
    pub(crate) fn sync(&mut self) {
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.send(Order::Ping { number });
        self.until(|r| matches!(r, Report::Pong { number: n } if *n == number));
    }

    /// Wait for a child's end.
    pub(crate) fn ended(&mut self, child: u64) -> Ended {
        let place = self.until(|r| matches!(r, Report::Exited { child: c, .. } if *c == child));
        match &self.reports[place] {
            Report::Exited { ended, .. } => *ended,
            other => panic!("{other:?}"),
        }
    }

    /// Wait until nothing of its tree is left.
    pub(crate) fn gone(&mut self, child: u64) {
        self.until(|r| match r {
            Report::Exited { child: c, tree_gone, .. } => *c == child && *tree_gone,
            Report::TreeGone { child: c } => *c == child,
            _ => false,
        });
    }

    pub(crate) fn reader(&mut self, id: u64) -> PipeReader {
        let fd = self.link().held(HoldId(id)).unwrap().try_clone_to_owned().unwrap();
        PipeReader::from(fd)
    }

    /// Kill the keeper, see its death, take its place. The case goes on in the next nexusd.
    pub(crate) fn kill_keeper_and_promote(&mut self) -> ! {
        kill(self.link().keeper_pid());
        self.promote()
    }

    pub(crate) fn promote(&mut self) -> ! {
        assert!(wait_for(self.link().keeper_pidfd(), PATIENCE));
        let error = self.link.take().unwrap().promote();
        panic!("promotion failed: {error}");
    }

    /// Die as by an OOM kill. The case goes on in the next nexusd.
    pub(crate) fn die(&mut self) -> ! {
        kill(std::process::id().cast_signed());
        unreachable!()
    }

    pub(crate) fn remember(&self, name: &str, text: impl ToString) {
        std::fs::write(self.home.join(name), text.to_string()).unwrap();
    }

    pub(crate) fn recall(&self, name: &str) -> String {
        std::fs::read_to_string(self.home.join(name)).unwrap()
    }
}

/// Streams are the pipe 1/2.
pub(crate) fn spawn_order(child: u64, template: u64, on_exit: OnExit) -> Order {
    Order::Spawn {
        child,
        template: HoldId(template),
        env: b"CARRIED=1\0".to_vec(),
        tag: b"home/app/0".to_vec(),
        stdin: None,
        stdout: HoldId(1),
        stderr: HoldId(1),
        note: format!("note of {child}").into_bytes(),
        on_exit,
    }
}

pub(crate) fn kill(pid: i32) {
    signal(pid, nix::sys::signal::Signal::SIGKILL);
}

pub(crate) fn signal(pid: i32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}

pub(crate) fn wait_for(fd: BorrowedFd<'_>, patience: Duration) -> bool {
    let mut asked = [PollFd::new(fd, PollFlags::POLLIN)];
    let wait = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    loop {
        match poll(&mut asked, wait) {
            Ok(ready) => return ready > 0,
            Err(nix::Error::EINTR) => {}
            Err(e) => panic!("{e}"),
        }
    }
}

/// Wait for a condition that has no event, with a deadline.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::yield_now();
    }
}

/// Stop a process, and see it stand: what it was woken for before, it has not begun to handle.
pub(crate) fn stop(pid: i32) {
    signal(pid, nix::sys::signal::Signal::SIGSTOP);
    eventually("stopped", || {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") T ")
    });
}

/// Running, or at least no zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Living processes that have this variable.
pub(crate) fn marked(variable: &[u8]) -> Vec<i32> {
    let names = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = names.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let us = std::process::id().cast_signed();
    pids.filter(|pid| *pid != us && is_alive(*pid))
        .filter(|pid| {
            let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|b| *b == 0).any(|v| v == variable)
        })
        .collect()
}
