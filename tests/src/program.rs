//! The programs under test: where they are, and running one with a deadline.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::wait::{PROMPT, wait_for};

/// What a program that ran to its end left behind.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code; 128 + the signal's number when a signal ended it, as shells say.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Itself, when the exit code is `code`.
    ///
    /// # Panics
    /// When it is another; shows everything that was said.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Output {
        let Output { code: was, stdout, stderr } = &self;
        assert!(*was == code, "exit {was}, not {code}\n-- stdout\n{stdout}-- stderr\n{stderr}");
        self
    }

    /// Itself, when the exit code is 0.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn ok(self) -> Output {
        self.expect_code(0)
    }

    /// Standard output as one JSON document.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not JSON: {error}\n{}", self.stdout))
    }
}

/// The root of the clone.
pub fn repository() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// The directory with the programs under test: that of the profile of this test, or of release
/// when `NEXUS_TEST_PROFILE=release`.
///
/// # Panics
/// When this program is not in cargo's target directory.
pub fn program_dir() -> PathBuf {
    let me = std::env::current_exe().unwrap_or_else(|error| panic!("no /proc/self/exe: {error}"));
    // target/<profile>/<program>, or target/<profile>/deps/<test>-<hash>
    let dir = me.parent().map(|dir| if dir.ends_with("deps") { dir.parent() } else { Some(dir) });
    let Some(profile) = dir.flatten() else {
        panic!("{} is not in cargo's target directory", me.display());
    };
    match std::env::var("NEXUS_TEST_PROFILE").as_deref() {
        Ok(other) => profile.with_file_name(other),
        Err(_) => profile.to_owned(),
    }
}

/// The path of a program under test.
///
/// # Panics
/// When it is not built.
#[track_caller]
pub fn program(name: &str) -> PathBuf {
    let path = program_dir().join(name);
    assert!(
        path.is_file(),
        "{} is not built: run `cargo xtask test`, or first `cargo build -p {name}`",
        path.display()
    );
    path
}

/// See to it that this process, and what it runs from now on, may have so many files open.
///
/// # Panics
/// When it may not, and is not root, who can raise the limit.
#[track_caller]
pub fn many_files(count: u64) {
    try_many_files(count).unwrap_or_else(|errno| panic!("{count} open files: {errno}"));
}

/// The same, for whoever can do without.
///
/// # Errors
/// As `setrlimit(2)`.
pub fn try_many_files(count: u64) -> nix::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= count {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, count, hard.max(count))
}

/// Run a program to its end; it gets no standard input unless the command says so.
///
/// # Panics
/// When it can not be run, has not ended after `deadline` (it is killed then), or has left a
/// process behind that keeps its standard output or error open.
#[track_caller]
pub fn run(command: &mut Command, deadline: Duration) -> Output {
    let shown = format!("{command:?}");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("can not run {shown}: {error}"));
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let begin = std::time::Instant::now();
    let status = wait_for(deadline + PROMPT, &format!("the end of {shown}"), || {
        let ended = child.try_wait().ok().flatten();
        if ended.is_none() && begin.elapsed() >= deadline {
            let _gone = child.kill();
            let _status = child.wait();
            panic!("{shown} has not ended after {deadline:?}");
        }
        ended
    });
    let code = std::os::unix::process::ExitStatusExt::signal(&status).map(|signal| 128 + signal);
    Output {
        code: code.or(status.code()).unwrap_or(-1),
        stdout: collect(&stdout, &shown),
        stderr: collect(&stderr, &shown),
    }
}

fn drain(from: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            let _end = from.read_to_end(&mut bytes);
        }
        let _nobody = sender.send(bytes);
    });
    receiver
}

#[track_caller]
fn collect(from: &mpsc::Receiver<Vec<u8>>, shown: &str) -> String {
    match from.recv_timeout(PROMPT) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => panic!("{shown} has ended, but a process it left behind holds its output open"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null());
        command
    }

    #[test]
    fn both_outputs_and_the_code_are_kept() {
        let output = run(&mut shell("echo '{\"a\":1}'; echo no >&2; exit 9"), PROMPT);
        assert_eq!((output.code, output.stderr.as_str()), (9, "no\n"));
        assert_eq!(output.json()["a"], 1);
        assert_eq!(run(&mut shell("kill -TERM $$"), PROMPT).code, 143);
    }

    #[test]
    #[should_panic(expected = "has not ended after 50ms")]
    fn a_program_that_hangs_is_killed() {
        run(&mut shell("exec sleep 1000"), Duration::from_millis(50));
    }
}
