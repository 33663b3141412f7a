//! Secrets that are what a command prints: `secrets = { PIN = "command:pass show pin" }`.
//!
//! Not we run it but the worker, before it becomes its own program: with the app's rights and
//! variables, again at each start, also where the keeper starts one while there is no nexusd. So
//! nobody waits for it but that worker. It is a worker's time before it runs: its readiness is judged
//! from its own program on.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nexus_keeper::OwnGate;
use nexus_spec::{AppSpec, Source};

use crate::sources::{SECRET_MAX, secret};

/// The word after our program's name that makes it run commands and become what follows.
pub const ARG_CREDENTIALS: &str = "__credentials";
/// What a worker exits with that cannot have its secrets: `EX_CONFIG` of sysexits(3).
pub const EXIT: u8 = 78;
const SHELL: &str = "/bin/sh";
const NOT_FOR_COMMANDS: [&str; 8] = [
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    OwnGate::VARIABLE,
    "NEXUS_READY_FD",
    "NODE_CHANNEL_FD",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
];
/// How long all commands of a worker may take.
const TIME: Duration = Duration::from_secs(30);

/// What a child executes: the file, and the words, of which the first is the name.
pub(crate) struct Executed {
    pub(crate) program: Vec<u8>,
    pub(crate) argv: Vec<Vec<u8>>,
}

impl Executed {
    /// The same after the commands of the app's secrets, but those whose names are ours. `path` = the
    /// program's, without a look at PATH.
    pub(crate) fn after_credentials(
        self,
        path: &Path,
        spec: &AppSpec,
        is_ours: impl Fn(&str) -> bool,
    ) -> Executed {
        let mut words = Vec::new();
        for (name, source) in spec.secrets.iter().filter(|(name, _)| !is_ours(name)) {
            if let Source::Command(command) = source {
                words.extend([name.clone().into_bytes(), command.clone().into_bytes()]);
            }
        }
        if words.is_empty() {
            return self;
        }
        let count = (words.len() / 2).to_string();
        let mut argv = vec![b"nexusctl".to_vec(), ARG_CREDENTIALS.into(), count.into_bytes()];
        argv.extend(words);
        argv.push(path.as_os_str().as_bytes().to_vec());
        argv.extend(self.argv);
        Executed { program: nexus_keeper::ITSELF.to_vec(), argv }
    }
}

/// The words of `Executed::after_credentials`.
struct Words<'a> {
    /// Variable and command, again and again.
    commands: &'a [OsString],
    program: &'a OsStr,
    /// Of which the first is the program's name.
    argv: &'a [OsString],
}

impl Words<'_> {
    fn read(words: &[OsString]) -> Option<Words<'_>> {
        let (count, rest) = words.split_first()?;
        let count: usize = count.to_str()?.parse().ok()?;
        let (commands, rest) = rest.split_at_checked(count.checked_mul(2)?)?;
        let (program, argv) = rest.split_first()?;
        (!argv.is_empty()).then_some(Words { commands, program, argv })
    }
}

/// Run the commands and become the program. `words` = what comes after [`ARG_CREDENTIALS`].
///
/// Comes back only when that failed, with a sentence for the worker's log that has no secret in it.
pub fn become_program(words: &[OsString]) -> String {
    let Some(Words { commands, program, argv: [name, args @ ..] }) = Words::read(words) else {
        return "this word is for nexusd itself".to_owned();
    };
    let gate = OwnGate::take();
    let mut becomes = Command::new(program);
    becomes.arg0(name).args(args).env_remove(OwnGate::VARIABLE);
    let until = Instant::now() + TIME;
    // All at once: most of them wait for somebody else.
    let asked: Vec<_> = commands.chunks_exact(2).map(|pair| ask(&pair[1])).collect();
    for (pair, asked) in commands.chunks_exact(2).zip(asked) {
        let name = pair[0].to_string_lossy();
        match asked.and_then(|asked| answer(&asked, until)) {
            Ok(value) => becomes.env(&pair[0], value),
            Err(why) => {
                return format!("its secret {name} (command:{}) {why}", pair[1].to_string_lossy());
            }
        };
    }
    gate.becomes();
    let error = becomes.exec();
    format!("could not run {}: {error}", program.to_string_lossy())
}

/// What a command has printed, and how it ended.
type Asked = Receiver<io::Result<(Vec<u8>, ExitStatus)>>;

fn ask(command: &OsStr) -> Result<Asked, String> {
    let mut shell = Command::new(SHELL);
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped());
    // What is the worker's alone.
    for name in NOT_FOR_COMMANDS {
        shell.env_remove(name);
    }
    let not_run = |error| format!("could not be run: {error}");
    let child = shell.spawn().map_err(not_run)?;
    let (sender, asked) = channel();
    let listen = move || {
        // Who asked may have given up.
        let _ = sender.send(heard(child));
    };
    thread::Builder::new().spawn(listen).map_err(not_run)?;
    Ok(asked)
}

fn heard(mut child: Child) -> io::Result<(Vec<u8>, ExitStatus)> {
    let mut printed = Vec::new();
    if let Some(output) = child.stdout.take() {
        let limit = u64::try_from(SECRET_MAX).unwrap_or(u64::MAX) + 1;
        output.take(limit).read_to_end(&mut printed)?;
    }
    Ok((printed, child.wait()?))
}

fn answer(asked: &Asked, until: Instant) -> Result<String, String> {
    let left = until.saturating_duration_since(Instant::now());
    let heard = asked.recv_timeout(left);
    let heard = heard.map_err(|_| format!("printed nothing whole within {} s", TIME.as_secs()))?;
    let (printed, status) = heard.map_err(|error| format!("could not be heard: {error}"))?;
    if printed.len() > SECRET_MAX {
        return Err(format!("is longer than {SECRET_MAX} bytes"));
    }
    match (status.code(), status.signal()) {
        (Some(0), _) => {}
        (Some(code), _) => return Err(format!("exited with {code}")),
        (None, signal) => return Err(format!("was ended by signal {}", signal.unwrap_or(0))),
    }
    let text = String::from_utf8(printed).map_err(|_| "is no valid UTF-8".to_owned())?;
    Ok(secret(&text)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(all: &[&str]) -> Vec<OsString> {
        all.iter().map(OsString::from).collect()
    }

    fn soon() -> Instant {
        Instant::now() + TIME
    }

    #[test]
    fn what_is_written_is_read() {
        let all = words(&["1", "PIN", "pass pin", "/bin/x", "x", "a"]);
        let Words { commands, program, argv } = Words::read(&all).unwrap();
        assert_eq!((commands, program, argv), (&all[1..3], all[3].as_os_str(), &all[4..]));
        for bad in [&["1", "PIN"][..], &["x"], &[], &["0", "/bin/x"], &["99999999999999999999"]] {
            assert!(Words::read(&words(bad)).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_command_answers_or_says_why_not() {
        for (command, answers) in [
            ("echo hunter2", Ok("hunter2".to_owned())),
            ("printf 'two\\nlines\\n'", Ok("two\nlines".to_owned())),
            ("echo no >&2; exit 3", Err("exited with 3".to_owned())),
            ("kill -9 $$", Err("was ended by signal 9".to_owned())),
            ("printf '\\377'", Err("is no valid UTF-8".to_owned())),
            ("head -c 65537 /dev/zero", Err("is longer than 65536 bytes".to_owned())),
            ("printf 'a\\0b'", Err("has a NUL character".to_owned())),
        ] {
            let asked = ask(OsStr::new(command)).unwrap();
            assert_eq!(answer(&asked, soon()), answers, "{command}");
        }
    }

    #[test]
    fn who_does_not_answer_in_time_is_given_up() {
        let asked = ask(OsStr::new("exec sleep 1000")).unwrap();
        let given_up = answer(&asked, Instant::now());
        assert!(given_up.unwrap_err().contains("within 30 s"));
    }
}
