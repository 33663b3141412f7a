//! What is so: read from the kernel, the file system, the daemon and systemd.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nexus_proto::{Snapshot, Version, client};
use nix::sys::resource::{Resource, getrlimit};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use super::pair::{self, Pair};
use super::pipes::{self, Pipes};
use super::processes::{self, Worker};
use crate::context::Context;
use crate::service;

/// All that is judged. `None` and empty = not to be had here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Of this program.
    pub(crate) version: String,
    pub(crate) uid: u32,
    pub(crate) home: PathBuf,
    pub(crate) home_file: Option<File>,
    /// Files of the state that others can read.
    pub(crate) loose: Vec<PathBuf>,
    /// Files of the state that could not be read once, and were moved aside.
    pub(crate) aside: Vec<String>,
    pub(crate) daemon: Daemon,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) pair: Option<Pair>,
    /// Processes that carry the mark of this home.
    pub(crate) workers: Vec<Worker>,
    /// `(major, minor)` of the kernel.
    pub(crate) kernel: (u32, u32),
    pub(crate) yama: Option<u32>,
    /// `pidfd_getfd(2)` is there, and not filtered.
    pub(crate) fetches: bool,
    /// The hard limit of open files, and how many the keeper has open.
    pub(crate) files: (u64, Option<u64>),
    /// Watches and instances that one user may have.
    pub(crate) inotify: Option<(u64, u64)>,
    /// Most pids, and how many there are.
    pub(crate) pids: (u64, u64),
    pub(crate) pipes: Pipes,
    pub(crate) disks: Vec<Disk>,
    pub(crate) unit: Unit,
    /// A PM2 of this user that runs.
    pub(crate) pm2: Option<u32>,
}

/// A file's owner and mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) uid: u32,
    pub(crate) mode: u32,
}

/// Whether a daemon answers.
#[derive(Clone, Debug, Default)]
pub(crate) enum Daemon {
    /// There is none.
    #[default]
    None,
    /// There was one: its socket is there, and nobody listens.
    Dead,
    /// It answers, and took so long.
    Answers(Box<Version>, u64),
    /// It does not.
    Silent(String),
}

/// Room on the disk of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) path: PathBuf,
    pub(crate) total: u64,
    pub(crate) free: u64,
    /// Files that can still be made, of so many; 0 of 0 = no bound.
    pub(crate) files: (u64, u64),
}

/// What systemd has to do with this home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unit {
    /// It does not run this machine.
    #[default]
    NoSystemd,
    /// No unit runs this home.
    None,
    /// This one does.
    Of {
        name: String,
        /// `enabled`, `disabled` …
        enabled: String,
        /// `active`, `failed` …
        active: String,
        /// The program that it starts.
        program: Option<PathBuf>,
    },
}

impl Facts {
    /// Gather them.
    pub(crate) fn of(context: &Context) -> Facts {
        let home = context.home.path().to_owned();
        let daemon = daemon(&context.client);
        let snapshot = match &daemon {
            Daemon::Answers(..) => context.client.apps().ok(),
            Daemon::None | Daemon::Dead | Daemon::Silent(_) => None,
        };
        let pair = match &daemon {
            Daemon::Answers(version, _) => Some(pair::of(version)),
            Daemon::None | Daemon::Dead | Daemon::Silent(_) => None,
        };
        let keeper = pair.as_ref().map(|pair| pair.keeper_pid);
        Facts {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uid: nix::unistd::geteuid().as_raw(),
            home_file: file(&home),
            loose: loose(&home),
            aside: aside(&home),
            workers: processes::of_home(&home),
            kernel: kernel(),
            yama: number("/proc/sys/kernel/yama/ptrace_scope").map(|scope| scope as u32),
            fetches: fetches(),
            files: (hard_files(keeper), keeper.and_then(open_files)),
            inotify: number("/proc/sys/fs/inotify/max_user_watches")
                .zip(number("/proc/sys/fs/inotify/max_user_instances")),
            pids: (number("/proc/sys/kernel/pid_max").unwrap_or(0), processes::count()),
            pipes: pipes::of(number("/proc/sys/fs/pipe-user-pages-soft").unwrap_or(0)),
            disks: [home.clone(), home.join("logs")].iter().filter_map(|at| disk(at)).collect(),
            unit: unit(context),
            pm2: std::env::var_os("HOME")
                .and_then(|user| nexus_pm2::real_daemon(&Path::new(&user).join(".pm2"))),
            home,
            daemon,
            snapshot,
            pair,
        }
    }
}

fn daemon(client: &client::Client) -> Daemon {
    let begun = Instant::now();
    match client.version() {
        Ok(version) => {
            let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            Daemon::Answers(Box::new(version), took)
        }
        Err(client::Failure::NoDaemon { stale: true, .. }) => Daemon::Dead,
        Err(client::Failure::NoDaemon { .. }) => Daemon::None,
        Err(failure) => Daemon::Silent(failure.to_string()),
    }
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn file(path: &Path) -> Option<File> {
    let meta = fs::symlink_metadata(path).ok()?;
    Some(File { uid: meta.uid(), mode: meta.mode() & 0o7777 })
}

/// What of the state is open to others.
fn loose(home: &Path) -> Vec<PathBuf> {
    let state = fs::read_dir(home.join("state")).into_iter().flatten().flatten();
    let files = state.map(|entry| entry.path()).chain([home.join("state"), home.join("logs")]);
    files.filter(|path| file(path).is_some_and(|file| file.mode & 0o077 != 0)).collect()
}

fn aside(home: &Path) -> Vec<String> {
    let state = fs::read_dir(home.join("state")).into_iter().flatten().flatten();
    let names = state.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> =
        names.filter(|name| name.contains(".damaged-") || name.contains(".unreadable-")).collect();
    names.sort();
    names
}

fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map(|part| part.trim().parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Whether a descriptor can be fetched at all: our own, which no ptrace rule forbids.
fn fetches() -> bool {
    let Ok(own) = pidfd_open(getpid(), PidfdFlags::empty()) else { return false };
    // By the number of the pidfd itself, which is open for certain.
    pidfd_getfd(&own, own.as_raw_fd(), PidfdGetfdFlags::empty()).is_ok()
}

/// The keeper's limit, or the one that a keeper of ours would have.
fn hard_files(keeper: Option<i32>) -> u64 {
    let own = || getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(_, hard)| hard);
    let limits = keeper.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/limits")).ok());
    let line = limits.as_deref().unwrap_or_default();
    let line = line.lines().find_map(|line| line.strip_prefix("Max open files"));
    let hard = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    hard.unwrap_or_else(own)
}

fn open_files(pid: i32) -> Option<u64> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64)
}

fn disk(path: &Path) -> Option<Disk> {
    // A home that is not there yet will be where its parent is.
    let there = path.ancestors().find(|at| at.is_dir())?;
    let room = nix::sys::statvfs::statvfs(there).ok()?;
    let unit = room.fragment_size();
    Some(Disk {
        path: there.to_owned(),
        total: room.blocks() * unit,
        free: room.blocks_available() * unit,
        files: (room.files_available(), room.files()),
    })
}

fn unit(context: &Context) -> Unit {
    if !service::booted() {
        return Unit::NoSystemd;
    }
    let Some(name) = service::unit_of(&context.home) else { return Unit::None };
    let show = |property: &str| {
        let asked = ["show", "--value", "--property", property, name.as_str()];
        service::systemctl(&asked).unwrap_or_default()
    };
    let start = show("ExecStart");
    // `{ path=/usr/bin/nexusctl ; argv[]=… }`
    let program = start.split("path=").nth(1).and_then(|rest| rest.split(" ;").next());
    Unit::Of {
        enabled: show("UnitFileState"),
        active: show("ActiveState"),
        program: program.map(PathBuf::from),
        name,
    }
}
