//! Open files: what does not fit is refused whole, and the daemon goes on answering.

use std::path::Path;

use nexus_tests::{Home, Output, PROMPT, program, run, wait_for};

use crate::{AT_ONCE, shell};

/// `nexusctl` with so many open files for a daemon that it starts. `words` come before it.
fn limited(home: &Home, words: &[&str], args: &[&str]) -> Output {
    let mut command = home.command(Path::new("prlimit"));
    command.arg("--nofile=200:800").args(words).arg(program("nexusctl")).args(args);
    run(&mut command, PROMPT)
}

/// Who is not root may not raise the limit.
const AS_ANY_USER: [&str; 2] = ["setpriv", "--bounding-set=-sys_resource"];

#[test]
fn more_workers_than_open_files_are_refused_before_anything_changes() {
    let home = Home::new();
    let some = format!("{AT_ONCE}\ninstances = 20");
    home.write("ecosystem.toml", &shell("some", "exec sleep 1000", &some));
    limited(&home, &AS_ANY_USER, &["start"]).ok();
    let before = home.known("some").identity();
    home.write(
        "many.toml",
        &shell("many", "exec sleep 1000", &format!("{AT_ONCE}\ninstances = 100")),
    );
    for args in [["start", "many.toml"].as_slice(), &["scale", "some", "100"]] {
        let said = home.ctl(args).expect_code(1);
        assert!(said.stderr.contains("need more open files than there are"), "{said:?}");
        assert!(said.stderr.contains("LimitNOFILE="), "{said:?}");
    }
    assert_eq!(home.ctl(&["list", "-o", "name"]).ok().stdout, "some\n");
    assert_eq!(home.known("some").identity(), before);
    // What there is can be made less, and more again.
    home.ctl(&["scale", "some", "2"]).ok();
    home.ctl(&["scale", "some", "20"]).ok();
    home.ctl(&["reload", "some"]).ok();
}

#[test]
fn root_raises_the_limit_for_the_daemon_and_workers_have_the_callers() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("one", "exec sleep 1000", AT_ONCE));
    limited(&home, &[], &["start"]).ok();
    let limits = |pid: i32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        line.split_whitespace().take(2).map(|word| word.parse().unwrap()).collect::<Vec<u64>>()
    };
    // CAP_SYS_RESOURCE, which root may lack in a container.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let rights = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let may = u64::from_str_radix(rights.trim(), 16).unwrap() & 1 << 24 != 0;
    let expected = if may { [1 << 20; 2] } else { [800; 2] };
    assert_eq!(limits(home.daemon().unwrap().0), expected);
    assert_eq!(limits(home.known("one").main().0), [200, 800]);
}

#[test]
fn output_that_nobody_wants_has_no_pipe_and_no_file() {
    let home = Home::new();
    let line = "echo a; echo b >&2; exec sleep 1000";
    let text = shell("quiet", line, &format!("{AT_ONCE}\ninstances = 3\ndisable_logs = true"))
        + &shell("half", line, &format!("{AT_ONCE}\nout_file = \"/dev/null\""));
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).ok();
    let output = |pid: i32, fd: u32| {
        let path = std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap();
        path.display().to_string()
    };
    let nothing = ["/dev/null"; 2];
    for pid in home.known("quiet").pids() {
        assert_eq!([output(pid, 1), output(pid, 2)], nothing);
    }
    let half = home.known("half").main().0;
    assert_eq!(output(half, 1), "/dev/null");
    assert!(output(half, 2).starts_with("pipe:"), "{}", output(half, 2));
    // The death of either changes nothing of it, nor does a new beginning of both.
    let before = home.known("quiet").identity();
    let daemon = home.daemon().unwrap();
    daemon.signal(nix::sys::signal::Signal::SIGKILL);
    wait_for(PROMPT, "another nexusd", || home.daemon().filter(|now| *now != daemon).map(drop));
    assert_eq!(home.known("quiet").identity(), before);
    home.ctl(&["reload", "quiet"]).ok();
    for pid in home.known("quiet").pids() {
        assert_eq!([output(pid, 1), output(pid, 2)], nothing);
    }
    let logs = home.ctl(&["logs", "half"]).ok().stdout;
    assert!(logs.ends_with("err b\n") && logs.lines().count() == 1, "{logs}");
    let files: Vec<_> = std::fs::read_dir(home.path().join("logs")).unwrap().flatten().collect();
    let of = |app: &str| {
        files.iter().filter(|f| f.file_name().to_string_lossy().starts_with(app)).count()
    };
    assert_eq!((of("quiet"), of("half") > 0), (0, true));
    assert!(!Path::new("/dev/null-1").exists());
    // From nowhere into a file, and back.
    home.write("ecosystem.toml", &shell("half", line, AT_ONCE));
    home.ctl(&["reload", "ecosystem.toml"]).ok();
    assert!(output(home.known("half").main().0, 1).starts_with("pipe:"));
    home.write("ecosystem.toml", &shell("half", line, &format!("{AT_ONCE}\ndisable_logs = true")));
    home.ctl(&["reload", "ecosystem.toml"]).ok();
    home.ctl(&["delete", "all"]).ok();
}
