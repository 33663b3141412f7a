//! Which program a file is: it is asked, before it is let into the place of the daemon.
//!
//! So a file that is no nexusctl, does not run on this machine or cannot take over in place is
//! refused while nothing has been touched.

use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::out;

/// The word that asks for it.
pub(crate) const ARG: &str = "__identity";
/// What the answer begins with.
const NAME: &str = "nexus-identity";
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const ANSWER_MAX: u64 = 4_096;

/// Who a program says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) version: String,
    /// What its keeper and nexusd say to each other.
    pub(crate) protocol: u32,
    /// Of the files in `state`.
    pub(crate) state_format: u32,
}

/// Say who this program is.
pub(crate) fn say() -> ExitCode {
    let own = Identity {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: nexus_keeper::PROTOCOL,
        state_format: nexusd::STATE_FORMAT,
    };
    match out::result(&own.render()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Ask the program in a file.
///
/// # Errors
/// Why it is none that can be asked, in words.
pub(crate) fn of(file: &Path) -> Result<Identity, String> {
    let mut child = Command::new(file)
        .arg(ARG)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let ended = await_end(&child);
    if !ended {
        // It may have ended just now.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if !ended {
        return Err("it does not say who it is".into());
    }
    let (answer, complaint) = (text(child.stdout.take()), text(child.stderr.take()));
    if let Some(identity) = Identity::parse(&answer).filter(|_| status.success()) {
        return Ok(identity);
    }
    match complaint.lines().next() {
        Some(line) if !status.success() => Err(format!("it does not run: {line}")),
        Some(_) | None => Err("it is no nexusctl, or one from before upgrades in place".into()),
    }
}

fn await_end(child: &Child) -> bool {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let Some(pidfd) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
        return false;
    };
    let wait = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
    poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], wait).is_ok_and(|ended| ended > 0)
}

fn text(from: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What came is what there is.
        let _ = from.take(ANSWER_MAX).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Identity {
    fn render(&self) -> String {
        let Identity { version, protocol, state_format } = self;
        format!("{NAME} {version} protocol={protocol} state={state_format}\n")
    }

    /// Words that a later version adds are ignored.
    fn parse(text: &str) -> Option<Identity> {
        let mut words = text.lines().next()?.split_ascii_whitespace();
        if words.next()? != NAME {
            return None;
        }
        let version = words.next()?.to_owned();
        let facts: Vec<(&str, &str)> = words.filter_map(|word| word.split_once('=')).collect();
        let number = |name: &str| {
            facts.iter().find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok())
        };
        Some(Identity { version, protocol: number("protocol")?, state_format: number("state")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_says_of_itself_is_read_back() {
        let own = Identity { version: "1.2.3".into(), protocol: 4, state_format: 5 };
        assert_eq!(Identity::parse(&own.render()), Some(own.clone()));
        let later = "nexus-identity 1.2.3 later protocol=4 more=x state=5\nand lines\n";
        assert_eq!(Identity::parse(later), Some(own));
        for other in
            ["", "nexus-identity", "nexus-identity 1 protocol=1", "cat 1 protocol=1 state=1"]
        {
            assert_eq!(Identity::parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn what_is_no_nexusctl_is_told_so() {
        assert!(of(Path::new("/bin/true")).unwrap_err().contains("no nexusctl"));
        assert!(of(Path::new("/nowhere")).unwrap_err().contains("No such file"));
        let other = of(Path::new("/bin/ls")).unwrap_err();
        assert!(other.contains("does not run: "), "{other}");
    }
}
