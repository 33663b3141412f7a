//! Both of the pair are killed where the kernel lets nobody fetch another's descriptors: as a plain
//! user, with `pidfd_getfd(2)` refused, as Yama does it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nexus_tests::http::get;
use nexus_tests::{Home, Load, Output, PROMPT, free_port, program, run, truth, wait_for};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, chown};

use crate::app;

const USER: u32 = 1000;
/// The longest that one command may take.
const COMMAND: Duration = Duration::from_secs(60);

/// Refuses one system call with EPERM, then executes what follows. The numbers are those of
/// `linux/seccomp.h` and `linux/bpf_common.h`; 438 is pidfd_getfd on every architecture.
const FILTER: &str = "
import ctypes, os, struct, sys
step = lambda code, jt, jf, k: struct.pack('HBBI', code, jt, jf, k)
code = step(0x20, 0, 0, 0) + step(0x15, 0, 1, 438) + step(0x06, 0, 0, 0x50001) + step(0x06, 0, 0, 0x7fff0000)
kept = ctypes.create_string_buffer(code)
prog = struct.pack('HxxxxxxP', 4, ctypes.addressof(kept))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, prog, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execvp(sys.argv[1], sys.argv[1:])
";

/// A home of a plain user, with the programs in its reach.
pub(crate) struct Plain {
    pub(crate) home: Home,
    pub(crate) user: u32,
    pub(crate) ctl: PathBuf,
    pub(crate) worker: PathBuf,
}

impl Plain {
    /// `None` = only root can become another user.
    pub(crate) fn new(user: u32) -> Option<Plain> {
        if !Uid::effective().is_root() {
            eprintln!("LEFT OUT: only root can become another user; run the tests as root");
            return None;
        }
        let home = Home::new();
        let copy = |name: &str| {
            let path = home.project().join(name);
            std::fs::copy(program(name), &path).unwrap();
            path
        };
        let (ctl, worker) = (copy("nexusctl"), copy("nexus-test-worker"));
        let project = home.project();
        for path in [project.parent().unwrap(), &project] {
            chown(path, Some(Uid::from_raw(user)), Some(Gid::from_raw(user))).unwrap();
        }
        Some(Plain { home, user, ctl, worker })
    }

    /// A directory of the user's.
    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        let dir = self.home.project().join(name);
        std::fs::create_dir(&dir).unwrap();
        chown(&dir, Some(Uid::from_raw(self.user)), None).unwrap();
        dir
    }

    pub(crate) fn command(&self, first: &str) -> Command {
        let mut command = self.home.command(Path::new(first));
        command.env("HOME", self.home.project());
        command
    }

    /// The words before a program that make it the user's.
    pub(crate) fn become_user(&self) -> Vec<String> {
        let user = self.user;
        let words = format!("setpriv --reuid {user} --regid {user} --clear-groups");
        words.split(' ').map(str::to_owned).collect()
    }

    fn user(&self) -> Vec<String> {
        let mut words = self.become_user();
        words.push(self.ctl.display().to_string());
        words
    }

    pub(crate) fn ctl(&self, args: &[&str]) -> Output {
        let user = self.user();
        run(self.command(&user[0]).args(&user[1..]).args(args), COMMAND)
    }

    /// Under the filter; a pair that this starts is under it, too.
    fn refused(&self, args: &[&str]) -> Output {
        let mut command = self.command("python3");
        run(command.args(["-c", FILTER]).args(self.user()).args(args), COMMAND)
    }

    pub(crate) fn kill_both(&self) {
        let pair = [self.home.keeper().unwrap(), self.home.daemon().unwrap()];
        pair.iter().for_each(|process| process.signal(Signal::SIGSTOP));
        pair.iter().for_each(|process| process.signal(Signal::SIGKILL));
        wait_for(PROMPT, "the end of the pair", || {
            pair.iter().all(|process| !process.alive()).then_some(())
        });
    }
}

#[test]
fn sockets_that_cannot_be_fetched_are_told_of_and_bound_anew_by_the_next_reload() {
    let Some(plain) = Plain::new(USER) else { return };
    let home = &plain.home;
    let (port, path) = (free_port(), home.project().join("api.sock"));
    let truth = plain.dir("truth");
    let truth_dir = truth.display().to_string();
    let args = ["--lines", "300", "--truth", &truth_dir, "--serve", "--ready-after", "0"];
    let listen = format!("tcp://127.0.0.1:{port}");
    let more = format!(
        "listen = [\"{listen}\", \"unix:{}\"]\nready = \"notify\"\ninstances = 2",
        path.display()
    );
    home.write("ecosystem.toml", &app("api", &plain.worker.display().to_string(), &args, &more));
    plain.refused(&["start"]).ok();
    let before = home.known("api").identity();
    // It is said beforehand.
    let said = plain.refused(&["doctor"]).stdout;
    assert!(said.contains("listening sockets cannot be taken back"), "{said}");
    // Not as fast as it goes: a machine that is emulated would have time for nothing else.
    let load = Load::every(Duration::from_millis(20), port, 2, 1, "/word");
    plain.kill_both();
    let list = plain.refused(&["list"]).ok();
    assert!(list.stdout.contains("sockets not adopted"), "{list:?}");
    let after = home.known("api");
    assert_eq!(after.identity(), before);
    assert_eq!(
        after.0["unadopted"],
        serde_json::json!([listen, format!("unix:{}", path.display())])
    );
    for verb in ["describe", "why"] {
        let said = plain.ctl(&[verb, "api"]).ok().stdout;
        assert!(said.contains("sockets not adopted") && said.contains(&listen), "{said}");
    }
    // It stays so for the next nexusd.
    home.daemon().unwrap().signal(Signal::SIGKILL);
    wait_for(PROMPT, "the next nexusd", || {
        home.app("api").filter(|app| app.0["unadopted"][0] == listen.as_str())
    });
    // The workers have served all the time.
    load.end().flawless();
    plain.ctl(&["reload", "api"]).ok();
    let reloaded = home.known("api");
    assert_eq!(reloaded.0["unadopted"], serde_json::json!([]));
    assert!(reloaded.pids().iter().all(|pid| !before.iter().any(|(old, ..)| old == pid)));
    assert_eq!(get(port, "/anew").unwrap().status, 200);
    assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
    // Whoever wants an address that is taken is told so, as ever.
    let other = app("other", "/bin/sleep", &["1000"], &format!("listen = \"{listen}\""));
    home.write("other.toml", &other);
    let said = plain.ctl(&["start", "other.toml"]).expect_code(1);
    assert!(said.stderr.contains("Address already in use"), "{said:?}");
    plain.ctl(&["stop", "all"]).ok();
    // The pipes were adopted: each line once, none lost while nobody was there.
    let logs = [0, 1].map(|n| home.path().join(format!("logs/api-out-{n}.log")));
    let lines = truth::compare(&logs, &truth).unwrap_or_else(|flaw| panic!("{flaw}"));
    assert!(lines > 100, "{lines} lines");
    plain.ctl(&["kill", "--yes"]).ok();
}

/// A mark is no proof: who is of another user keeps running, and is told of.
#[test]
fn a_stranger_with_our_mark_is_listed_and_left_alone() {
    let Some(plain) = Plain::new(USER) else { return };
    // The home is root's here.
    let home = Home::new();
    home.ctl(&["start", "--name", "calm", "--ready", "delay:0s", "--", "sleep", "1000"]).ok();
    let calm = home.known("calm").main();
    let mark = calm.env("NEXUS_WORKER").unwrap();
    let (place, _) = mark.rsplit_once(':').unwrap();
    let mark = format!("NEXUS_WORKER={place}:999");
    let of = |uid: u32| {
        let words = format!("setpriv --reuid {uid} --clear-groups env {mark} sleep 1000");
        let words: Vec<&str> = words.split(' ').collect();
        home.command(Path::new(words[0])).args(&words[1..]).spawn().unwrap()
    };
    let (mut stranger, mut ours) = (of(USER), of(0));
    wait_for(PROMPT, "both", || (home.processes().len() == 5).then_some(()));
    let pair = Plain { home, ..plain };
    pair.kill_both();
    let list = pair.home.ctl(&["list"]).ok();
    assert!(list.stdout.contains("calm"), "{list:?}");
    // Root's own has no place, and is ended.
    let ended = wait_for(PROMPT, "its end", || ours.try_wait().unwrap());
    assert_eq!(ended.code(), None);
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger runs on");
    let events = pair.home.api("/v1/events")["events"].as_array().unwrap().clone();
    let told: Vec<_> = events.iter().filter(|event| event["kind"] == "left_alone").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["pid"], stranger.id());
    assert!(told[0]["detail"].as_str().unwrap().contains("uid 1000"), "{told:?}");
    assert!(calm.alive());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}
