//! What a worker finds itself in: environment, rights, descriptors, limits.

use std::collections::BTreeSet;
use std::path::Path;

use nexus_tests::{Home, PROMPT, free_port, program, run, wait_for};
use serde_json::Value;

use crate::{AT_ONCE, shell, worker};

/// What a worker with these settings dumps, started by a command with this environment.
fn dumped(home: &Home, more: &str, before: &[&str]) -> Value {
    let file = home.project().join("dump.json");
    let args = ["--dump", &file.display().to_string(), "--ready-after", "0"];
    home.write("ecosystem.toml", &worker("app", &args, &format!("ready = \"notify\"\n{more}")));
    let ctl = program("nexusctl").display().to_string();
    let words: Vec<&str> = before.iter().copied().chain([ctl.as_str(), "start"]).collect();
    let mut command = home.command(Path::new(words[0]));
    command.args(&words[1..]);
    command.env("AWS_SECRET_ACCESS_KEY", "hush").env("LC_TIME", "C").env("EDITOR", "ed");
    run(&mut command, PROMPT).ok();
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// A line of `/proc/PID/status`.
fn status(dump: &Value, key: &str) -> Vec<String> {
    let text = dump["status"].as_str().unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap().split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_environment_is_the_files_and_a_short_list_of_the_callers() {
    let home = Home::new();
    let port = free_port();
    let more =
        format!("env = {{ PORT = {port}, MODE = \"test\" }}\nlisten = \"tcp://127.0.0.1:{port}\"");
    let dump = dumped(&home, &more, &["env"]);
    let env = dump["env"].as_object().unwrap();
    for (key, value) in [
        ("PORT", port.to_string()),
        ("MODE", "test".to_owned()),
        ("LC_TIME", "C".to_owned()),
        ("name", "app".to_owned()),
        ("namespace", "default".to_owned()),
        ("NEXUS_APP", "app".to_owned()),
        ("NEXUS_INSTANCE", "0".to_owned()),
        ("NODE_APP_INSTANCE", "0".to_owned()),
        ("NEXUS_HOME", home.path().display().to_string()),
        ("LISTEN_FDS", "1".to_owned()),
        ("LISTEN_PID", dump["pid"].to_string()),
    ] {
        assert_eq!(env.get(key).and_then(Value::as_str), Some(value.as_str()), "{key}");
    }
    assert!(env["NOTIFY_SOCKET"].as_str().unwrap().starts_with('@'));
    assert_eq!(env["LISTEN_FDNAMES"].as_str().unwrap().split(':').count(), 1);
    let ours = "HOME USER LOGNAME SHELL PATH LANG TZ TMPDIR PORT MODE name namespace pm_id \
                NODE_APP_INSTANCE NEXUS_HOME NEXUS_APP NEXUS_INSTANCE NEXUS_GENERATION \
                NEXUS_WORKER NOTIFY_SOCKET LISTEN_FDS LISTEN_PID LISTEN_FDNAMES";
    let ours: BTreeSet<&str> = ours.split_whitespace().collect();
    let odd: Vec<_> =
        env.keys().filter(|key| !ours.contains(key.as_str()) && !key.starts_with("LC_")).collect();
    assert!(odd.is_empty(), "{odd:?}");
}

#[test]
fn no_descriptor_but_its_own_is_open() {
    let home = Home::new();
    let (one, two) = (free_port(), free_port());
    let more = format!("listen = [\"tcp://127.0.0.1:{one}\", \"tcp://127.0.0.1:{two}\"]");
    let dump = dumped(&home, &more, &["env"]);
    let open = dump["open"].as_object().unwrap();
    let numbers: Vec<&str> = open.keys().map(String::as_str).collect();
    // 5 and 6 are the worker's own: the pipe by which a signal wakes it.
    assert_eq!(numbers, ["0", "1", "2", "3", "4", "5", "6"], "{open:?}");
    assert_eq!(open["0"], "/dev/null");
    for pipe in ["1", "2", "5", "6"] {
        assert!(open[pipe].as_str().unwrap().starts_with("pipe:"), "{open:?}");
    }
    for socket in ["3", "4"] {
        assert!(open[socket].as_str().unwrap().starts_with("socket:"), "{open:?}");
    }
    assert!(open["1"] != open["2"], "{open:?}");
    assert_eq!(dump["env"]["LISTEN_FDS"], "2");
    assert_eq!(dump["env"]["LISTEN_FDNAMES"].as_str().unwrap().split(':').count(), 2);
}

#[test]
fn it_leads_a_session_and_a_group_and_no_signal_is_blocked_or_ignored() {
    let home = Home::new();
    let dump = dumped(&home, "", &["env"]);
    assert_eq!((&dump["session"], &dump["group"]), (&dump["pid"], &dump["pid"]));
    assert_eq!(status(&dump, "SigBlk"), ["0000000000000000"]);
    // Rust's own start ignores SIGPIPE: bit 12.
    assert_eq!(status(&dump, "SigIgn"), ["0000000000001000"]);
}

#[test]
fn limits_and_the_oom_score_are_the_callers_not_ours() {
    let home = Home::new();
    let before = ["choom", "-n", "321", "--", "prlimit", "--nofile=900:1000", "--core=0:0"];
    let dump = dumped(&home, "", &before);
    assert_eq!(dump["oom_score_adj"], "321");
    let limits = dump["limits"].as_str().unwrap();
    let limit = |name: &str| -> Vec<String> {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().take(2).map(str::to_owned).collect()
    };
    assert_eq!(limit("Max open files"), ["900", "1000"]);
    assert_eq!(limit("Max core file size"), ["0", "0"]);
}

#[test]
fn limits_priority_and_oom_score_are_as_the_file_says() {
    let home = Home::new();
    let more = "nice = 7\nno_new_privs = true\noom_score_adj = 512\nuser = \"nobody\"\nrlimits = { core = 4096, \
                nofile = { soft = 200, hard = 300 }, fsize = \"unlimited\", nproc = 5000 }";
    // As another user it cannot write a dump: the kernel is asked.
    home.write("ecosystem.toml", &shell("app", "exec sleep 1000", &format!("{AT_ONCE}\n{more}")));
    home.ctl(&["start"]).ok();
    let pid = home.known("app").main().0;
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let limits = read("limits");
    let limit = |name: &str| -> Vec<String> {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().take(2).map(str::to_owned).collect()
    };
    assert_eq!(limit("Max core file size"), ["4096", "4096"]);
    assert_eq!(limit("Max open files"), ["200", "300"]);
    assert_eq!(limit("Max file size"), ["unlimited", "unlimited"]);
    assert_eq!(limit("Max processes"), ["5000", "5000"]);
    assert_eq!(read("oom_score_adj").trim(), "512");
    let nice = |pid: String| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap().to_owned()
    };
    assert_eq!(nice(pid.to_string()), "7");
    assert!(read("status").contains("NoNewPrivs:\t1"), "{}", read("status"));
    // Nothing of it is the pair's own.
    let keeper = home.keeper().unwrap().0;
    assert_eq!(nice(keeper.to_string()), nice("self".to_owned()));
}

#[test]
fn a_limit_that_the_kernel_refuses_is_told_by_its_key() {
    let home = Home::new();
    // Beyond fs.nr_open, which binds root as well.
    let more = format!("rlimits = {{ nofile = {} }}", 1_u64 << 40);
    home.write("ecosystem.toml", &shell("app", "exec sleep 1000", &more));
    let start = home.ctl(&["start"]).expect_code(1);
    assert!(start.stderr.contains("could not be granted its `nice`"), "{start:?}");
    assert!(start.stderr.contains("Operation not permitted"), "{start:?}");
}

#[test]
fn directory_and_umask_are_as_the_file_says() {
    let home = Home::new();
    std::fs::create_dir(home.project().join("inner")).unwrap();
    let dump = dumped(&home, "cwd = \"inner\"\numask = \"027\"", &["env"]);
    let cwd = std::fs::canonicalize(home.project().join("inner")).unwrap();
    assert_eq!(dump["cwd"], cwd.display().to_string());
    assert_eq!(status(&dump, "Umask"), ["0027"]);
}

#[test]
fn another_user_can_write_to_its_standard_output_by_name() {
    let home = Home::new();
    let line = "id -un; id -gn; echo by name > /dev/stdout; echo wrong > /dev/stderr; \
                echo $HOME $USER; exec sleep 1000";
    let more = format!("{AT_ONCE}\nuser = \"nobody\"\ncwd = \"/\"");
    home.write("ecosystem.toml", &shell("app", line, &more));
    home.ctl(&["start"]).ok();
    let read = |stream: &str| {
        std::fs::read_to_string(home.path().join(format!("logs/app-{stream}.log"))).ok()
    };
    let out =
        wait_for(PROMPT, "three lines", || read("out").filter(|text| text.lines().count() == 4));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((lines[0], lines[2]), ("nobody", "by name"));
    assert!(lines[3].ends_with(" nobody"), "{out}");
    wait_for(PROMPT, "the complaint", || read("error").filter(|text| text == "wrong\n"));
    let main = home.known("app").main();
    let text = std::fs::read_to_string(format!("/proc/{}/status", main.0)).unwrap();
    let uid = text.lines().find(|line| line.starts_with("Uid:")).unwrap();
    assert_eq!(uid, "Uid:\t65534\t65534\t65534\t65534");
}

#[test]
fn readiness_counts_only_from_the_worker_itself() {
    let home = Home::new();
    let more = "ready = \"notify\"\nready_timeout = \"3s\"\nmax_restarts = 0";
    home.write("ecosystem.toml", &shell("mute", "exec sleep 1000", more));
    let start = home.begin(&["start"]);
    let app = home.until("mute", "its process", |app| app.pids().iter().any(|&pid| pid > 0));
    let socket = app.main().env("NOTIFY_SOCKET");
    let socket = wait_for(PROMPT, "its environment", || {
        socket.clone().or_else(|| app.main().env("NOTIFY_SOCKET"))
    });
    // The tester is no process of the worker's.
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let address = SocketAddr::from_abstract_name(&socket.as_bytes()[1..]).unwrap();
    let stranger = UnixDatagram::unbound().unwrap();
    stranger.send_to_addr(b"READY=1", &address).unwrap();
    start.end().expect_code(1);
    assert!(home.events_of("mute", "ready").is_empty());
}
