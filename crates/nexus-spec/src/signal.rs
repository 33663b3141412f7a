//! Signals, by number and by name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A signal by the kernel's number (`signal(7)`), 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Signal(pub i32);

/// The names of 1 to 31 on Linux (x86, ARM, RISC-V, POWER), in order.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Second names that the kernel's headers give.
const ALIASES: [(&str, i32); 3] = [("IOT", 6), ("CLD", 17), ("POLL", 29)];

impl Signal {
    /// Asks a program to end.
    pub const TERM: Signal = Signal(15);
    /// SIGINT.
    pub const INT: Signal = Signal(2);
    /// Ends a program, whatever it does.
    pub const KILL: Signal = Signal(9);
    /// The first realtime signal that the C library leaves to programs.
    const RTMIN: i32 = 34;
    /// The last signal.
    const RTMAX: i32 = 64;

    /// A signal as users write it: `SIGTERM`, `TERM`, `term`, `15`, `SIGRTMIN+3`, `SIGRTMAX-1`.
    ///
    /// # Errors
    /// A clause that says what is wrong.
    pub fn parse(text: &str) -> Result<Signal, String> {
        let upper = text.trim().to_ascii_uppercase();
        if let Ok(number) = upper.parse::<i32>() {
            return Signal::try_from(number);
        }
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let usual = NAMES.iter().position(|known| *known == name).map(|at| at as i32 + 1);
        let alias = || ALIASES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
        let realtime = || {
            let number = match name.strip_prefix("RTMIN") {
                Some(after) => Signal::RTMIN + offset(after, '+')?,
                None => Signal::RTMAX - offset(name.strip_prefix("RTMAX")?, '-')?,
            };
            (Signal::RTMIN..=Signal::RTMAX).contains(&number).then_some(number)
        };
        usual
            .or_else(alias)
            .or_else(realtime)
            .map(Signal)
            .ok_or_else(|| "is not the name of a signal".to_owned())
    }
}

/// Nothing, or a sign and a small number.
fn offset(text: &str, sign: char) -> Option<i32> {
    if text.is_empty() {
        return Some(0);
    }
    let number = text.strip_prefix(sign)?;
    number.parse::<u8>().ok().filter(|_| !number.starts_with('+')).map(i32::from)
}

impl TryFrom<i32> for Signal {
    type Error = String;

    fn try_from(number: i32) -> Result<Signal, String> {
        if (1..=Signal::RTMAX).contains(&number) {
            Ok(Signal(number))
        } else {
            Err("is not the number of a signal, 1 to 64".to_owned())
        }
    }
}

impl From<Signal> for i32 {
    fn from(signal: Signal) -> i32 {
        signal.0
    }
}

/// `SIGTERM`, `SIGRTMIN+3`; the bare number where there is no name.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = usize::try_from(self.0).ok().and_then(|number| number.checked_sub(1));
        let text = match index.and_then(|index| NAMES.get(index)) {
            Some(name) => format!("SIG{name}"),
            None if self.0 == Signal::RTMIN => "SIGRTMIN".to_owned(),
            None if (Signal::RTMIN..=Signal::RTMAX).contains(&self.0) => {
                format!("SIGRTMIN+{}", self.0 - Signal::RTMIN)
            }
            None => self.0.to_string(),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_reads_back_from_what_is_shown() {
        for number in 1..=64 {
            let shown = Signal(number).to_string();
            assert_eq!(Signal::parse(&shown), Ok(Signal(number)), "{shown}");
            assert_eq!(Signal::parse(&number.to_string()), Ok(Signal(number)));
        }
    }

    #[test]
    fn the_spellings_of_one_signal() {
        for text in ["SIGTERM", "TERM", "term", "sigterm", "15", " 15 "] {
            assert_eq!(Signal::parse(text), Ok(Signal::TERM), "{text}");
        }
        assert_eq!(Signal::parse("SIGKILL"), Ok(Signal::KILL));
        assert_eq!(Signal(12).to_string(), "SIGUSR2");
        assert_eq!(Signal(31).to_string(), "SIGSYS");
        assert_eq!(Signal::parse("SIGRTMIN+3"), Ok(Signal(37)));
        assert_eq!(Signal::parse("rtmax-1"), Ok(Signal(63)));
        assert_eq!(Signal(64).to_string(), "SIGRTMIN+30");
        assert_eq!(Signal(32).to_string(), "32");
        assert_eq!(Signal::parse("SIGPOLL"), Ok(Signal(29)));
    }

    #[test]
    fn what_is_no_signal() {
        for text in [
            "",
            "0",
            "65",
            "-1",
            "SIG",
            "SIGSIGTERM",
            "SIGTREM",
            "RTMIN+31",
            "RTMIN-1",
            "RTMIN++1",
            "RTMAX-31",
            "99999999999",
        ] {
            assert!(Signal::parse(text).is_err(), "{text}");
        }
    }
}
