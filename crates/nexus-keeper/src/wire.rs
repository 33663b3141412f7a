//! Orders and reports: what nexusd and the keeper say to each other.

use std::os::fd::OwnedFd;

/// The most children that can be kept at once.
pub const CHILDREN_MAX: usize = 16_384;
/// The longest note, in bytes.
pub const NOTE_MAX: usize = 512;
/// The longest environment that an order adds to its template's, in bytes, NULs included.
pub const CARRIED_ENV_MAX: usize = 512;
/// The longest tag, in bytes.
pub const TAG_MAX: usize = 160;
/// The most `stay_codes` of an order.
pub const CODES_MAX: usize = 16;
/// The most sockets that one template hands to its workers.
pub const LISTEN_MAX: usize = 64;
/// Those, and the socket that hears a child.
pub(crate) const GIVEN_MAX: usize = LISTEN_MAX + 1;
/// The longest template: argv, environment and paths, in bytes.
pub const TEMPLATE_MAX: usize = 256 * 1024;

/// A descriptor that both of the pair hold, by our number: chosen by nexusd, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId(pub u64);

impl HoldId {
    /// The listening control socket: bound by the keeper at the cold start, held by both from
    /// then on, with the note `control`. nexusd chooses its own numbers from 1 on.
    pub const CONTROL: HoldId = HoldId(0);
}

/// What is the same for all workers of one generation of an app. Encoded once into a sealed
/// memfd, held like any other descriptor, and read by the child itself after the fork: the keeper
/// parses nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The program's path, then its arguments as it will see them (`argv[0]` included).
    pub program: Vec<u8>,
    /// argv.
    pub argv: Vec<Vec<u8>>,
    /// `KEY=VALUE` each.
    pub env: Vec<Vec<u8>>,
    /// Working directory.
    pub cwd: Vec<u8>,
    /// `None` = the caller's.
    pub umask: Option<u32>,
    /// uid, gid and all supplementary groups; `None` = the keeper's own.
    pub ids: Option<(u32, u32, Vec<u32>)>,
    /// What the kernel grants.
    pub grants: Grants,
    /// Sockets to inherit from descriptor 3 on, each with its LISTEN_FDNAMES name; at most
    /// [`LISTEN_MAX`].
    pub listen: Vec<(HoldId, Vec<u8>)>,
    /// A descriptor to say something on, the next one after the sockets.
    pub channel: Channel,
    /// The socket that hears what is said there, inherited as well, behind it: so that what a child
    /// says while both of the pair are dead is no error for it, and waits. `None` = it speaks where
    /// NOTIFY_SOCKET leads.
    pub hearer: Option<HoldId>,
}

/// A descriptor of a child's own, from a sender that has a name of its own: that of NOTIFY_SOCKET
/// (an abstract one), `/`, and the child's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Channel {
    /// None.
    #[default]
    None,
    /// Its number is in NEXUS_READY_FD.
    Ready,
    /// The same as Node's channel to its parent: NODE_CHANNEL_FD, with messages in JSON.
    Node,
}

/// What the kernel grants a child; what is not said is the caller's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// The nice value (`setpriority(2)`).
    pub nice: Option<i8>,
    /// `/proc/self/oom_score_adj`.
    pub oom_score_adj: Option<i16>,
    /// The kernel's number of a limit, then soft and hard; `u64::MAX` = unlimited
    /// (`setrlimit(2)`). At most 255.
    pub rlimits: Vec<(u8, u64, u64)>,
    /// What it executes gives it no rights that it has not got (`PR_SET_NO_NEW_PRIVS(2const)`).
    pub no_new_privs: bool,
}

/// What the keeper does at a child's exit while no nexusd is there; see
/// `nexus_core::OnExit`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnExit {
    /// The successor's reserved child number; `None` = leave it.
    pub next: Option<u64>,
    /// Milliseconds from the exit to the spawn.
    pub delay_ms: u64,
    /// Exit codes after which it stays down; at most [`CODES_MAX`].
    pub stay_codes: Vec<u8>,
}

/// The number of a `Report::Pong` that nobody has asked for. The keeper says it each second or two:
/// a nexusd that hangs leaves it unread.
pub const UNASKED: u64 = 0;

/// nexusd to keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// The exit of this child has been stored: forget the child. Only after `TreeGone`.
    Acknowledge {
        /// Which.
        child: u64,
    },
    /// Hold one descriptor more (sent with it). Holding the same id again replaces it.
    Hold {
        /// By which number.
        id: HoldId,
        /// What it is, unread by the keeper and given back in the roll; at most [`NOTE_MAX`].
        note: Vec<u8>,
    },
    /// nexusd decides nothing any more and touches nothing: start one of the keeper's program, which
    /// ends it. Until then it watches over the keeper.
    GiveWay,
    /// Close a held descriptor.
    Release {
        /// Which.
        id: HoldId,
    },
    /// SIGKILL to the whole tree.
    Kill {
        /// Which.
        child: u64,
    },
    /// Exit, leaving all workers running: the end of the daemon, not of the apps. The keeper
    /// exits without starting a new nexusd.
    Leave,
    /// Another process of its tree (its pidfd is sent with it) is the child's main process from
    /// here on: it gets the signals, and its exit is the child's.
    Main {
        /// Which; it has not ended.
        child: u64,
        /// The process's pid, as the pidfd's owner.
        pid: i32,
    },
    /// Replace a child's note.
    Note {
        /// Which.
        child: u64,
        /// At most [`NOTE_MAX`] bytes.
        note: Vec<u8>,
    },
    /// Answer with `Report::Pong` and the same number.
    Ping {
        /// Any; with [`UNASKED`] the answer says nothing about the orders before.
        number: u64,
    },
    /// The roll has been read and joined with the intents: from here on nexusd decides what
    /// follows an exit. Until this order the keeper carries `OnExit`s out.
    Resumed,
    /// Run a program.
    Spawn {
        /// Its number; never used before.
        child: u64,
        /// Held: the memfd of a [`Template`].
        template: HoldId,
        /// `KEY=VALUE` NUL-terminated each, added to the template's; at most [`CARRIED_ENV_MAX`].
        env: Vec<u8>,
        /// `NEXUS_WORKER` is this, a colon and the child's number; at most [`TAG_MAX`] bytes.
        tag: Vec<u8>,
        /// Held: the read end of its stdin's pipe, opened anew for the child; `None` = /dev/null.
        stdin: Option<HoldId>,
        /// Held: the write end of its stdout's pipe, opened anew for the child.
        stdout: HoldId,
        /// Held: the same for stderr.
        stderr: HoldId,
        /// Unread; given back in the roll.
        note: Vec<u8>,
        /// What follows its exit in nexusd's absence.
        on_exit: OnExit,
    },
    /// Take into keeping a worker that runs already (its pidfd is sent with it): after the death
    /// of both.
    Take {
        /// Its number.
        child: u64,
        /// Its pid, as the pidfd's owner.
        pid: i32,
        /// As in `Spawn`.
        tag: Vec<u8>,
        /// Unread.
        note: Vec<u8>,
    },
    /// Send a signal to the main process; when that has gone, to the rest of the tree. Drops the
    /// child's `OnExit`.
    Terminate {
        /// Which.
        child: u64,
        /// The signal's number.
        signal: i32,
        /// To all of the tree at once instead, and to none of it a second time.
        whole: bool,
    },
    /// Execute another program (its file is sent with it) in the keeper's place, then in nexusd's:
    /// see [`crate::Upgrade`].
    Upgrade {
        /// Names it.
        number: u64,
        /// By when it has to be ready, in milliseconds of `CLOCK_BOOTTIME`.
        until_ms: u64,
    },
}

/// Keeper to nexusd.
#[derive(Debug)]
pub enum Report {
    /// A child's main process has ended. Told again to every new nexusd until acknowledged.
    Exited {
        /// Which.
        child: u64,
        /// How.
        ended: Ended,
        /// When, in milliseconds of `CLOCK_BOOTTIME`.
        at_ms: u64,
        /// Nothing of its tree was left then: no `TreeGone` follows.
        tree_gone: bool,
    },
    /// The answer to `Order::Main`.
    Main {
        /// Whose.
        child: u64,
        /// Who was named.
        pid: i32,
        /// 0 = that is its main process from here on; else why the one before still is.
        errno: i32,
    },
    /// An order broke a rule or met a bound: what and why, for the daemon's log. `child` is set
    /// when it was an order to spawn, which has then failed for good with this errno.
    Refused {
        /// The order's child.
        child: Option<u64>,
        /// EINVAL, EMFILE, ENOSPC …
        errno: i32,
        /// In words.
        why: &'static str,
    },
    /// An `OnExit` was carried out (told before the successor's `Spawned`).
    Respawned {
        /// Which exited.
        old: u64,
        /// Its successor.
        new: u64,
    },
    /// `execve` succeeded: the child runs its program.
    Running {
        /// Which.
        child: u64,
    },
    /// A child exists; its pidfd is in the mirror.
    Spawned {
        /// Which.
        child: u64,
        /// Its pid.
        pid: i32,
    },
    /// The child never ran its program.
    SpawnFailed {
        /// Which.
        child: u64,
        /// At which step.
        stage: Stage,
        /// The call's errno.
        errno: i32,
    },
    /// After `Exited`: nothing of the tree is left.
    TreeGone {
        /// Which.
        child: u64,
    },
    /// Answer to `Ping`; or a sign of life, to be read.
    Pong {
        /// The same, or [`UNASKED`].
        number: u64,
    },
    /// The keeper was told to end (SIGTERM or SIGINT): stop all apps, then order `Leave`. Told
    /// again to every new nexusd.
    Stop,
    /// An upgrade has come further: `Link::upgrade` says how far.
    Upgrade,
}

/// How a main process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Exit code.
    Code(u8),
    /// Ended by this signal.
    Signal(i32),
    /// The same, and the kernel wrote a core or gave it to the program of `core_pattern` (core(5)).
    Core(i32),
    /// The kernel could not say (it was not our child, and the kernel is older than 6.15).
    Unknown,
}

/// The step of a spawn that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// clone3, or a pipe or socket for it.
    Fork,
    /// setgroups, setgid, setuid.
    Rights,
    /// Standard streams and inherited sockets.
    Descriptors,
    /// chdir.
    Cwd,
    /// execve.
    Exec,
    /// The nice value, `oom_score_adj` or a limit.
    Grants,
    /// What it did in our own program, before it became its own (see [`crate::ITSELF`]).
    Itself,
}

/// One child as the roll tells it.
#[derive(Debug)]
pub struct Kept {
    /// Our number.
    pub child: u64,
    /// The kernel's; 0 when it never came to be.
    pub pid: i32,
    /// A duplicate of its pidfd, while its main process lives.
    pub pidfd: Option<OwnedFd>,
    /// It runs its program: until `Report::Running` says so it may still be another process.
    pub runs: bool,
    /// As given with `Spawn` or the last `Note`. A successor that the keeper spawned has its
    /// predecessor's note.
    pub note: Vec<u8>,
    /// When it was spawned, in milliseconds of `CLOCK_BOOTTIME`.
    pub started_ms: u64,
    /// The child whose `OnExit` brought this one about.
    pub respawn_of: Option<u64>,
    /// Where it is in its life.
    pub state: KeptState,
}

/// Where a kept child is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptState {
    /// Ordered, and not yet executing; or executing.
    Alive,
    /// Its main process has ended and nobody has acknowledged it.
    Exited {
        /// How.
        ended: Ended,
        /// When.
        at_ms: u64,
        /// Nothing of its tree is left.
        tree_gone: bool,
    },
    /// It never ran its program, and nobody has acknowledged it.
    Failed {
        /// At which step.
        stage: Stage,
        /// The errno.
        errno: i32,
    },
}

/// How the keeper finds what belongs to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trees {
    /// Each child has its own cgroup: nothing escapes.
    Cgroup,
    /// By session, group, descent and `NEXUS_WORKER` in the environment.
    Sweep,
}
