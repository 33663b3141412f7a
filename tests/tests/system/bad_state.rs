//! State that is damaged, or cannot be written: what runs goes on, and it is said.

use std::path::Path;
use std::process::Command;

use nexus_tests::{Home, PROMPT, wait_for};
use nix::sys::signal::Signal;

use crate::hung_disk::Disk;
use crate::{AT_ONCE, shell};

/// The newest file of a stem.
fn newest(home: &Home, stem: &str) -> std::path::PathBuf {
    let files = std::fs::read_dir(home.path().join("state")).unwrap().flatten();
    let named = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with(stem) && name.ends_with(".jsonl")
    };
    files.map(|file| file.path()).filter(named).max().unwrap()
}

fn kill_daemon(home: &Home) {
    let daemon = home.daemon().unwrap();
    daemon.signal(Signal::SIGKILL);
    wait_for(PROMPT, "another nexusd", || home.daemon().filter(|now| now.0 != daemon.0));
}

#[test]
fn a_damaged_line_of_state_ends_no_worker() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    home.ctl(&["start", "--name", "other", "--ready", "delay:0s", "--", "sleep", "1000"]).ok();
    let before = [home.known("calm").identity(), home.known("other").identity()];
    let file = newest(&home, "intents.");
    let text = std::fs::read(&file).unwrap();
    let mut lines: Vec<Vec<u8>> =
        text.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    // A line in the middle, by which neither app became known.
    let tells_of_an_app = |line: &Vec<u8>| String::from_utf8_lossy(line).contains("\"spec\":{");
    let place = (1..lines.len() - 1).rev().find(|&at| !tells_of_an_app(&lines[at])).unwrap();
    let length = lines[place].len();
    lines[place] = [vec![0; length - 1], b"\n".to_vec()].concat();
    std::fs::write(&file, lines.concat()).unwrap();
    kill_daemon(&home);
    let after = [home.known("calm").identity(), home.known("other").identity()];
    assert_eq!(after, before);
}

#[test]
fn state_that_is_lost_ends_no_worker() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let worker = home.known("calm").main();
    std::fs::write(newest(&home, "intents."), "nothing of ours\n").unwrap();
    kill_daemon(&home);
    home.ctl(&["list"]).ok();
    kill_daemon(&home);
    home.ctl(&["list"]).ok();
    assert!(worker.alive());
    worker.signal(Signal::SIGKILL);
}

#[test]
fn descriptors_from_a_stranger_do_not_harm_the_daemon() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let daemon = home.daemon().unwrap();
    let socket = home.known("calm").main().env("NOTIFY_SOCKET").unwrap();
    let send = "import socket, array, sys, os
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
fds = array.array('i', [0] * 200).tobytes()
s.sendmsg([b'READY=1'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)], 0, '\\0' + sys.argv[1][1:])";
    let sent = Command::new("python3").args(["-c", send, &socket]).status().unwrap();
    assert!(sent.success());
    home.ctl(&["restart", "calm"]).ok();
    assert_eq!(home.daemon().unwrap().0, daemon.0, "nexusd was replaced");
}

#[test]
fn a_full_disk_under_the_home_refuses_changes_and_ends_nobody() {
    if !nix::unistd::geteuid().is_root() {
        println!("mounting needs root: nothing to try");
        return;
    }
    let home = Home::new();
    let _small = Small::mount(&home.path(), "size=1M");
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let (worker, daemon) = (home.known("calm").main(), home.daemon().unwrap());
    let filler = home.path().join("filler");
    let mut full = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut full, &[0; 4096]).is_ok() {}
    while std::io::Write::write_all(&mut full, &[0]).is_ok() {}
    // The rest of a page of the state's own file still takes some.
    let refused = wait_for(PROMPT, "a refusal", || {
        let said = home.ctl(&["start", "--name", "x", "--ready", "delay:0s", "--", "true"]);
        said.stderr.contains("could not be kept").then_some(said)
    });
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("No space left"), "{refused:?}");
    home.ctl(&["list"]).ok();
    assert!(worker.alive());
    assert_eq!(home.daemon().unwrap().0, daemon.0, "nexusd was replaced");
    drop(full);
    std::fs::remove_file(&filler).unwrap();
    wait_for(PROMPT, "changes again", || (home.ctl(&["restart", "calm"]).code == 0).then_some(()));
    home.ctl(&["kill"]).ok();
}

#[test]
fn without_inodes_what_needs_a_new_file_is_refused_and_nobody_ends() {
    if !nix::unistd::geteuid().is_root() {
        println!("mounting needs root: nothing to try");
        return;
    }
    let home = Home::new();
    let _small = Small::mount(&home.path(), "nr_inodes=64");
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let (worker, daemon) = (home.known("calm").main(), home.daemon().unwrap());
    let filler = |number: u32| home.path().join(format!("filler-{number}"));
    let made = (0..).take_while(|&number| std::fs::File::create(filler(number)).is_ok()).count();
    let other = shell("other", "exec sleep 1000", AT_ONCE);
    home.write("other.toml", &other);
    let said = home.ctl(&["start", "other.toml"]).expect_code(1).stderr;
    assert!(said.contains("No space left"), "{said}");
    // What needs no new file goes on.
    home.ctl(&["restart", "calm", "-q"]).ok();
    assert!(!worker.alive() && home.known("calm").main().alive());
    assert_eq!(home.daemon().unwrap(), daemon, "nexusd was replaced");
    (0..made).for_each(|number| std::fs::remove_file(filler(number as u32)).unwrap());
    home.ctl(&["delete", "other", "-q"]);
    home.ctl(&["start", "other.toml", "-q"]).ok();
    home.ctl(&["kill"]).ok();
}

/// What a disk's error makes of most file systems: what was open for writing stays open, and refuses.
#[test]
fn a_disk_that_becomes_read_only_under_the_home_refuses_changes_and_ends_nobody() {
    if !nix::unistd::geteuid().is_root() {
        println!("mounting needs root: nothing to try");
        return;
    }
    let home = Home::new();
    let disk = Disk::under(&home);
    let talks = "while :; do echo a line; sleep 0.05; done";
    let text = shell("calm", "exec sleep 1000", AT_ONCE) + &shell("talks", talks, AT_ONCE);
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).ok();
    let log = home.path().join("logs/talks-out.log");
    wait_for(PROMPT, "lines", || {
        std::fs::metadata(&log).is_ok_and(|log| log.len() > 0).then_some(())
    });
    let before = [home.known("calm").identity(), home.known("talks").identity()];
    let daemon = home.daemon().unwrap();
    // A disk that has errors may have damaged what is on it, too: a line that is not the last one.
    let intents = newest(&home, "intents.");
    let text = std::fs::read(&intents).unwrap();
    let second = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    std::fs::write(&intents, [&text[..second], b"no line of ours\n", &text[second..]].concat())
        .unwrap();
    if disk.fail().is_none() {
        eprintln!("LEFT OUT: this machine lets nobody make a disk fail");
        return;
    }
    let refused = |wanted: &[&str]| {
        let said = home.ctl(wanted).expect_code(1);
        assert!(said.stderr.contains("Read-only file system"), "{said:?}");
    };
    refused(&["start", "--name", "x", "--ready", "delay:0s", "--", "true"]);
    let now = || [home.known("calm").identity(), home.known("talks").identity()];
    home.ctl(&["list"]).ok();
    assert_eq!(now(), before);
    assert_eq!(home.daemon().unwrap(), daemon, "nexusd was replaced");
    // The next nexusd cannot write either, nor one that takes the keeper's place.
    for process in [daemon, home.keeper().unwrap()] {
        process.signal(Signal::SIGKILL);
        wait_for(PROMPT, "another pair", || {
            let pair = [home.keeper()?, home.daemon()?];
            (!pair.contains(&process) && home.ctl(&["list"]).code == 0).then_some(())
        });
        assert_eq!(now(), before);
        refused(&["start", "--name", "x", "--ready", "delay:0s", "--", "true"]);
    }
    // What crashes is replaced all the same, and what runs can be stopped.
    home.known("calm").main().signal(Signal::SIGKILL);
    home.until("calm", "its successor", |app| {
        app.statuses() == ["online"] && app.identity() != before[0]
    });
    home.ctl(&["kill", "--yes"]).ok();
    assert!(home.processes().is_empty());
}

/// A small file system. Dropping it unmounts it.
pub(crate) struct Small(pub(crate) std::path::PathBuf);

impl Small {
    pub(crate) fn mount(path: &Path, limit: &str) -> Small {
        std::fs::create_dir_all(path).unwrap();
        let args = ["-t", "tmpfs", "-o", &format!("{limit},mode=0700"), "tmpfs"];
        let mounted = Command::new("mount").args(args).arg(path).status().unwrap();
        assert!(mounted.success());
        Small(path.to_owned())
    }

    pub(crate) fn resize(&self, limit: &str) {
        let how = format!("remount,{limit}");
        let mounted = Command::new("mount").args(["-o", &how]).arg(&self.0).status().unwrap();
        assert!(mounted.success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}
