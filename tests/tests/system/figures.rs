//! What workers use: CPU and memory of whole trees, as every view shows them.

use nexus_tests::{Home, PROMPT, Process, program, wait_for};
use serde_json::Value;

use crate::tree::{Means, ctl};
use crate::{AT_ONCE, shell, worker};

const MIB: u64 = 1024 * 1024;

/// A worker that holds 64 MiB, with a child that holds as much, and that uses a CPU.
fn busy(home: &Home, means: Means) -> Value {
    let held = (64 * MIB).to_string();
    let args = ["--hold", held.as_str(), "--child-holds", &held, "--spin"];
    home.write("ecosystem.toml", &worker("busy", &args, AT_ONCE));
    ctl(home, means, &["start"]).ok();
    wait_for(PROMPT, "the figures of the whole tree", || {
        let app = home.api("/v1/apps/busy");
        let memory = app["memory_bytes"].as_u64() > Some(128 * MIB);
        (memory && app["cpu_percent"].as_f64() > Some(20.0)).then_some(app)
    })
}

#[test]
fn figures_are_those_of_the_whole_tree() {
    let home = Home::new();
    let app = busy(&home, Means::Cgroup);
    let one = &app["instances"][0];
    assert_eq!(
        (&app["memory_bytes"], &app["cpu_percent"]),
        (&one["memory_bytes"], &one["cpu_percent"])
    );
    assert!(app["memory_bytes"].as_u64() < Some(256 * MIB), "{app}");
    // One thread cannot use more than one CPU; the figure may be a tick beside it.
    assert!(app["cpu_percent"].as_f64() < Some(105.0), "{app}");
    let row = &home.ctl(&["jlist"]).ok().json()[0];
    assert!(row["monit"]["cpu"].as_f64() > Some(5.0), "{row}");
    assert!(row["monit"]["memory"].as_u64() > Some(128 * MIB), "{row}");
    for args in [["list"].as_slice(), &["describe", "busy"]] {
        let said = home.ctl(args).ok().stdout;
        let shows = |word: &str| said.contains(word);
        assert!(shows("CPU") && shows("% ") && shows("MEM") && shows(" MiB"), "{said}");
    }
}

#[test]
fn without_a_cgroup_the_tree_is_found_by_session_and_descent() {
    let home = Home::new();
    assert_eq!(busy(&home, Means::Sweep)["instances"][0]["tree"], "sweep");
}

#[test]
fn a_worker_that_moves_into_a_cgroup_of_its_own_making_is_still_measured() {
    let home = Home::new();
    let (worker, held) = (program("nexus-test-worker").display().to_string(), 64 * MIB);
    let line = format!(
        "m=$(awk '/ cgroup2 /{{print $5; exit}}' /proc/self/mountinfo); \
         g=$m$(sed -n s/^0:://p /proc/self/cgroup)/inner; \
         mkdir $g && echo $$ > $g/cgroup.procs; \
         exec {worker} --hold {held} --child-holds {held}"
    );
    home.write("ecosystem.toml", &shell("mover", &line, AT_ONCE));
    home.ctl(&["start"]).ok();
    home.until("mover", "the figures of both", |app| {
        app.0["memory_bytes"].as_u64() > Some(128 * MIB)
    });
}

#[test]
fn a_successor_of_a_killed_nexusd_measures_on() {
    let home = Home::new();
    busy(&home, Means::Cgroup);
    home.daemon().unwrap().signal(nix::sys::signal::Signal::SIGKILL);
    home.until("busy", "figures again", |app| {
        app.0["memory_bytes"].as_u64() > Some(128 * MIB) && app.0["cpu_percent"].is_number()
    });
}

#[test]
fn history_ends_with_what_is_used_now() {
    let home = Home::new();
    busy(&home, Means::Cgroup);
    let history = wait_for(PROMPT, "a point of history", || {
        let history = home.api("/v1/apps/busy/history");
        let memory = history["memory_bytes"].as_array().unwrap().clone();
        let seen = memory.iter().rev().find(|point| !point.is_null());
        seen.and_then(Value::as_u64).filter(|bytes| *bytes > 128 * MIB).map(|_| history)
    });
    assert_eq!((&history["schema"], &history["app"]), (&"nexus.history/1".into(), &"busy".into()));
    let points = |key: &str| history[key].as_array().unwrap().clone();
    let (cpu, memory) = (points("cpu_percent"), points("memory_bytes"));
    let step = history["step_ms"].as_u64().unwrap();
    assert_eq!((cpu.len() as u64 * step, memory.len()), (900_000, cpu.len()));
    assert!(cpu[0].is_null() && memory[0].is_null(), "nothing was there before");
    let answer = home.ask("GET", "/v1/apps/bsy/history", "", "").unwrap();
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("did you mean `busy`?"), "{answer:?}");
    home.ctl(&["delete", "busy"]).ok();
    home.write("ecosystem.toml", &shell("busy", "sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let anew = home.api("/v1/apps/busy/history");
    let most = anew["memory_bytes"].as_array().unwrap().iter().filter_map(Value::as_u64).max();
    assert!(most.unwrap_or(0) < 64 * MIB, "a deleted app has no history: {anew}");
}

/// The thread that samples sleeps until it is woken: `futex(2)` without a time-out.
fn sleeps_for_good(daemon: Process) -> Option<bool> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.0)).ok()?;
    let read = |dir: &std::path::Path, name| std::fs::read_to_string(dir.join(name)).ok();
    let mut tasks = tasks.flatten().map(|task| task.path());
    let thread = tasks.find(|dir| read(dir, "comm").as_deref() == Some("sampling\n"))?;
    let call = read(&thread, "syscall")?;
    let mut words = call.split(' ');
    let is_futex = words.next()?.parse() == Ok(nix::libc::SYS_futex);
    Some(is_futex && words.nth(3)? == "0x0")
}

#[test]
fn with_no_worker_nothing_is_sampled_and_nothing_wakes_up() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let daemon = home.daemon().unwrap();
    wait_for(PROMPT, "a look each second", || (!sleeps_for_good(daemon)?).then_some(()));
    home.ctl(&["stop", "calm"]).ok();
    wait_for(PROMPT, "sleep", || sleeps_for_good(daemon)?.then_some(()));
    assert_eq!(home.known("calm").0["memory_bytes"], Value::Null);
}

#[test]
fn figures_wake_nobody_who_waits_for_a_change() {
    let home = Home::new();
    busy(&home, Means::Cgroup);
    let generation = home.api("/v1/apps")["generation"].as_u64().unwrap();
    let path = format!("/v1/apps?newer_than={generation}&wait_ms=2500");
    let begin = std::time::Instant::now();
    let later = home.api(&path);
    assert_eq!(later["generation"].as_u64(), Some(generation));
    assert!(begin.elapsed().as_millis() >= 2_500, "it was answered by the time-out only");
    assert!(later["apps"][0]["cpu_percent"].is_number());
}
