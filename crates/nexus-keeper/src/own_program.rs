//! A child whose program is this one first: it does something in the app's name, and becomes the app's
//! program itself. Until then it does not run: its gate outlives the exec of ours, and closing it
//! means nothing until the child has said that it is about to become its program.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use crate::sys::{files, socket};

/// The program of a template that means this very file, whatever its name is now.
pub const ITSELF: &[u8] = b"/proc/self/exe";
/// Where the number of the gate is.
const GATE: &str = "NEXUS_GATE";
/// What the child says through the gate: that it executes this program, and that it becomes its own.
pub(crate) const FIRST: &[u8] = b"first";
pub(crate) const BECOMES: &[u8] = b"becomes";

/// Have the gate outlive one exec, and say so.
pub(crate) fn leave_open(gate: &OwnedFd, environment: &mut Vec<Vec<u8>>) -> io::Result<()> {
    let number = gate.as_raw_fd();
    environment.push(format!("{GATE}={number}").into_bytes());
    files::set_cloexec(number, false)?;
    socket::send(files::borrow(number), FIRST, &[])
}

/// The gate of a child that executes this program first.
pub struct OwnGate(Option<RawFd>);

impl OwnGate {
    /// The variable in which it is: to be taken out of the environment of whatever is executed.
    pub const VARIABLE: &str = GATE;

    /// To be called first of all: from here on it is in nobody else's hands, and closes at the next
    /// exec. Without one nobody waits, and nothing is done.
    pub fn take() -> OwnGate {
        let number = std::env::var(GATE).ok().and_then(|number| number.parse::<RawFd>().ok());
        let open = |number: &RawFd| *number > 2 && files::set_cloexec(*number, true).is_ok();
        OwnGate(number.filter(open))
    }

    /// What follows is the exec of the app's own program.
    pub fn becomes(&self) {
        if let Some(number) = self.0 {
            // The keeper may have died: its successor asks for nothing.
            let _ = socket::send(files::borrow(number), BECOMES, &[]);
        }
    }
}
