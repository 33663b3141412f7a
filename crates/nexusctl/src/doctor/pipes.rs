//! How much the pipes of output hold: the kernel gives small ones to a user who has many (`pipe(7)`).

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// What one holds that the kernel does not stint, in bytes.
pub(super) const WHOLE: u64 = 64 << 10;

/// What there is of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pipes {
    /// Pages that those of one user may have; 0 = no bound.
    pub(crate) pages: u64,
    /// What a new one of ours holds, in bytes.
    pub(crate) new: u64,
}

impl Default for Pipes {
    fn default() -> Pipes {
        Pipes { pages: 0, new: WHOLE }
    }
}

/// Make one: whoever of the user hoards pages is seen by what is left. Workers' own are not looked at,
/// since one whose disk hangs would keep us, too: the kernel holds its lock meanwhile.
pub(super) fn of(pages: u64) -> Pipes {
    let new = nix::unistd::pipe2(OFlag::O_CLOEXEC).ok().and_then(|(reader, _writer)| {
        u64::try_from(fcntl(reader, FcntlArg::F_GETPIPE_SZ).ok()?).ok()
    });
    Pipes { pages, new: new.unwrap_or(WHOLE) }
}
