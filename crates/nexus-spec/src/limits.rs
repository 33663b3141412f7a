//! What the kernel grants a worker: its priority, its limits, its place before the OOM killer.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What a worker is born with; what is not said is the caller's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// `nice`, -20 (first) to 19 (last).
    pub nice: Option<i8>,
    /// `oom_score_adj`, -1000 (never killed) to 1000 (killed first).
    pub oom_score_adj: Option<i16>,
    /// `rlimits` (`getrlimit(2)`).
    pub rlimits: BTreeMap<Rlimit, Bound>,
    /// `no_new_privs` (`PR_SET_NO_NEW_PRIVS(2const)`); default false.
    pub no_new_privs: bool,
    /// `cpu`: hundredths of a processor that the tree may use; default all that there is.
    pub cpu_percent: Option<u32>,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rlimit {
    /// Bytes of address space.
    As,
    /// Bytes of a core file.
    Core,
    /// Seconds of a processor.
    Cpu,
    /// Bytes of the data segment.
    Data,
    /// Bytes of a file written.
    Fsize,
    /// File locks.
    Locks,
    /// Bytes locked in memory.
    Memlock,
    /// Bytes of POSIX message queues.
    Msgqueue,
    /// How far the nice value may be raised, as 20 less the value.
    Nice,
    /// Open descriptors.
    Nofile,
    /// Processes of the user.
    Nproc,
    /// Pages in memory; without effect since Linux 2.4.30.
    Rss,
    /// Real-time priority.
    Rtprio,
    /// Microseconds of real-time without a blocking call.
    Rttime,
    /// Signals queued.
    Sigpending,
    /// Bytes of the main thread's stack.
    Stack,
}

/// A limit; `None` = unlimited. `soft` is not above `hard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// What holds; the worker may raise it up to `hard`.
    pub soft: Option<u64>,
    /// The most that it may be raised to.
    pub hard: Option<u64>,
}

impl Rlimit {
    /// All of them, by name.
    pub const ALL: [Rlimit; 16] = [
        Rlimit::As,
        Rlimit::Core,
        Rlimit::Cpu,
        Rlimit::Data,
        Rlimit::Fsize,
        Rlimit::Locks,
        Rlimit::Memlock,
        Rlimit::Msgqueue,
        Rlimit::Nice,
        Rlimit::Nofile,
        Rlimit::Nproc,
        Rlimit::Rss,
        Rlimit::Rtprio,
        Rlimit::Rttime,
        Rlimit::Sigpending,
        Rlimit::Stack,
    ];

    /// The name in a project file, as `prlimit(1)` has it.
    pub fn name(self) -> &'static str {
        match self {
            Rlimit::As => "as",
            Rlimit::Core => "core",
            Rlimit::Cpu => "cpu",
            Rlimit::Data => "data",
            Rlimit::Fsize => "fsize",
            Rlimit::Locks => "locks",
            Rlimit::Memlock => "memlock",
            Rlimit::Msgqueue => "msgqueue",
            Rlimit::Nice => "nice",
            Rlimit::Nofile => "nofile",
            Rlimit::Nproc => "nproc",
            Rlimit::Rss => "rss",
            Rlimit::Rtprio => "rtprio",
            Rlimit::Rttime => "rttime",
            Rlimit::Sigpending => "sigpending",
            Rlimit::Stack => "stack",
        }
    }

    /// The number that `setrlimit(2)` has for it on Linux.
    pub fn number(self) -> u8 {
        match self {
            Rlimit::Cpu => 0,
            Rlimit::Fsize => 1,
            Rlimit::Data => 2,
            Rlimit::Stack => 3,
            Rlimit::Core => 4,
            Rlimit::Rss => 5,
            Rlimit::Nproc => 6,
            Rlimit::Nofile => 7,
            Rlimit::Memlock => 8,
            Rlimit::As => 9,
            Rlimit::Locks => 10,
            Rlimit::Sigpending => 11,
            Rlimit::Msgqueue => 12,
            Rlimit::Nice => 13,
            Rlimit::Rtprio => 14,
            Rlimit::Rttime => 15,
        }
    }
}

impl fmt::Display for Rlimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
