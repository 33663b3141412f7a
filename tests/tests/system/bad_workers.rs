//! Workers that behave badly: none takes the machine, its neighbours or us with it.

use std::process::Command;
use std::time::{Duration, Instant};

use nexus_tests::{Home, PROMPT, Process, wait_for};
use nix::sys::signal::Signal;

use crate::tree::{Means, ctl};
use crate::{AT_ONCE, shell};

/// A neighbour that must not notice.
fn calm() -> String {
    shell("calm", "exec sleep 1000", AT_ONCE)
}

/// The neighbour and both of ours are who they were, and answer.
#[track_caller]
fn unimpressed(home: &Home, before: &[Process]) {
    assert_eq!(home.known("calm").main(), before[0], "the neighbour");
    assert_eq!((home.daemon().unwrap(), home.keeper().unwrap()), (before[1], before[2]));
}

fn begin(home: &Home, bad: &str) -> Vec<Process> {
    home.write("ecosystem.toml", &(calm() + bad));
    home.ctl(&["start", "ecosystem.toml", "--only", "calm", "-q"]).ok();
    vec![home.known("calm").main(), home.daemon().unwrap(), home.keeper().unwrap()]
}

#[test]
fn a_worker_that_exits_at_once_makes_no_storm_of_forks() {
    let home = Home::new();
    let more = "ready = \"delay:0s\"\nmax_restarts = 100000";
    let before = begin(&home, &shell("hasty", "exit 1", more));
    home.ctl(&["start", "ecosystem.toml", "--no-wait", "-q"]);
    let begun = Instant::now();
    wait_for(PROMPT, "six exits", || (home.events_of("hasty", "exit").len() >= 6).then_some(()));
    // 0.1 + 0.2 + 0.4 + 0.8 + 1.6 s lie between them, less a tenth of jitter; the first is at once.
    assert!(begun.elapsed() > Duration::from_millis(1_200), "{:?}", begun.elapsed());
    let pauses = home.events_of("hasty", "exit");
    assert!(pauses[5]["detail"].as_str().unwrap().contains("next try in"), "{pauses:?}");
    unimpressed(&home, &before);
    // Also for one that is restarted at once, as often as it likes: others are answered meanwhile.
    home.ctl(&["delete", "hasty", "-q"]).ok();
    let more = "min_uptime = 0\nready = \"delay:0s\"";
    home.write("ecosystem.toml", &(calm() + &shell("mad", "exit 0", more)));
    home.ctl(&["start", "ecosystem.toml", "--no-wait", "-q"]);
    let exits = || home.known("mad").restarts().iter().sum::<u64>();
    wait_for(PROMPT, "some restarts", || (exits() > 20).then_some(()));
    let (from, since) = (exits(), Instant::now());
    for _ in 0..20 {
        home.ctl(&["list", "-o", "name"]).ok();
    }
    let rate = (exits() - from) as f64 / since.elapsed().as_secs_f64();
    assert!(rate < 1_000.0, "{rate} spawns a second");
    home.ctl(&["stop", "mad", "-q"]).ok();
    unimpressed(&home, &before);
}

#[test]
fn a_fork_bomb_ends_with_its_worker() {
    let home = Home::new();
    // 300 processes that fork anew as soon as one of them ends: killing one after another loses.
    let line = "bomb() { while :; do sleep 0.05 & wait; done; }; \
                for i in $(seq 150); do bomb & done; echo lit; wait";
    let before = begin(&home, &shell("bomb", line, AT_ONCE));
    home.ctl(&["start", "ecosystem.toml", "-q"]).ok();
    let bombs = || {
        let mut all = home.processes();
        all.retain(|process| process.carries("NEXUS_APP", "bomb"));
        all.len()
    };
    // The more of it there is, the less is left for the rest to begin.
    wait_for(3 * PROMPT, "the bomb", || (bombs() > 250).then_some(()));
    home.ctl(&["list"]).ok();
    unimpressed(&home, &before);
    home.ctl(&["delete", "bomb", "-q"]).ok();
    assert_eq!(bombs(), 0, "some of it is left");
    unimpressed(&home, &before);
}

#[test]
fn thousands_of_orphans_are_reaped_and_hold_nobody_up() {
    let home = Home::new();
    // Each is orphaned at once: its parent, a subshell, does not wait for it.
    let line = "for i in $(seq 3000); do (true &); done; echo done; exec sleep 1000";
    let before = begin(&home, &shell("litter", line, AT_ONCE));
    home.ctl(&["start", "ecosystem.toml", "-q"]).ok();
    let mut slowest = Duration::ZERO;
    let log = home.path().join("logs/litter-out.log");
    wait_for(3 * PROMPT, "all orphans", || {
        let asked = Instant::now();
        home.api("/v1/version");
        slowest = slowest.max(asked.elapsed());
        std::fs::read_to_string(&log).ok().filter(|text| text.contains("done"))
    });
    assert!(slowest < Duration::from_secs(1), "an answer took {slowest:?}");
    wait_for(PROMPT, "no zombie", || {
        let zombies = before[2].children().into_iter().filter(|child| child.state() == Some('Z'));
        (zombies.count() == 0).then_some(())
    });
    unimpressed(&home, &before);
}

#[test]
fn zombies_whose_parent_never_waits_go_with_it() {
    let home = Home::new();
    let script = "import os, time\nfor _ in range(50):\n    if os.fork() == 0: os._exit(0)\n\
                  print('fifty', flush=True)\ntime.sleep(1000)\n";
    let path = home.write("careless.py", script).display().to_string();
    let app = crate::app("careless", "python3", &[&path], AT_ONCE);
    let before = begin(&home, &app);
    home.ctl(&["start", "ecosystem.toml", "-q"]).ok();
    let main = home.known("careless").main();
    let zombies = || {
        let children = main.children().into_iter();
        children.filter(|child| child.state() == Some('Z')).collect::<Vec<_>>()
    };
    let dead = wait_for(PROMPT, "fifty zombies", || Some(zombies()).filter(|all| all.len() == 50));
    home.ctl(&["stop", "careless", "-q"]).ok();
    let left = || dead.iter().filter(|zombie| zombie.state().is_some()).count();
    wait_for(PROMPT, "their end", || (left() == 0).then_some(()));
    unimpressed(&home, &before);
}

#[test]
fn a_worker_that_kills_its_own_keeper_is_watched_by_the_next() {
    let home = Home::new();
    let line = "kill -9 $PPID; echo done; exec sleep 1000";
    home.write("ecosystem.toml", &(calm() + &shell("rebel", line, AT_ONCE)));
    home.ctl(&["start", "--only", "calm", "-q"]).ok();
    let (calm, keeper) = (home.known("calm").main(), home.keeper().unwrap());
    home.ctl(&["start", "-q"]).ok();
    wait_for(PROMPT, "another keeper", || home.keeper().filter(|now| *now != keeper));
    let rebel = home.known("rebel").main();
    assert_eq!(home.known("calm").main(), calm);
    rebel.signal(Signal::SIGKILL);
    home.until("rebel", "its successor", |app| app.restarts() == [1] && app.status() == "online");
}

#[test]
fn a_worker_that_closes_its_output_costs_nothing_and_its_errors_still_come() {
    let home = Home::new();
    let line = "exec >&-; echo still here >&2; exec sleep 1000";
    let before = begin(&home, &shell("mute", line, AT_ONCE));
    home.ctl(&["start", "ecosystem.toml", "-q"]).ok();
    let log = home.path().join("logs/mute-error.log");
    wait_for(PROMPT, "its error", || {
        std::fs::read_to_string(&log).ok().filter(|text| text == "still here\n")
    });
    // An end of file that is ready for ever would keep us busy.
    let busy = |process: Process| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.0)).unwrap();
        let (_, rest) = stat.rsplit_once(')').unwrap();
        let ticks = |index: usize| rest.split_whitespace().nth(index).unwrap().parse::<u64>();
        ticks(11).unwrap() + ticks(12).unwrap()
    };
    let (used, since) = (busy(before[1]) + busy(before[2]), Instant::now());
    wait_for(PROMPT, "a second", || (since.elapsed() > Duration::from_secs(1)).then_some(()));
    let used = busy(before[1]) + busy(before[2]) - used;
    assert!(used < 20, "{used} ticks of CPU in a second");
    unimpressed(&home, &before);
}

/// A worker that leaves a child behind, once that is hidden: it is deaf to SIGTERM, keeps the pipe of the
/// log open, and speaks once there is a file `go`.
fn leaves_a_child(home: &Home, hides: &str) {
    let child = "echo $$ > half; mv half child; while [ ! -e go ]; do sleep 0.02; done; echo late; \
                 exec sleep 1000";
    let child = home.write("child.sh", child).display().to_string();
    let line = format!(
        "rm -f child; (trap '' TERM HUP; exec setsid {hides} sh {child}) & \
         while [ ! -e child ]; do sleep 0.02; done; echo early"
    );
    let more = format!("{AT_ONCE}\nautorestart = false");
    home.write("ecosystem.toml", &(calm() + &shell("parent", &line, &more)));
}

fn left_behind(home: &Home) -> Process {
    let text = std::fs::read_to_string(home.project().join("child")).unwrap();
    Process(text.trim().parse().unwrap())
}

/// Nobody but a cgroup knows a child in a session of its own that has dropped its environment.
#[test]
fn a_child_that_keeps_the_pipe_open_holds_up_nothing_and_is_still_heard() {
    let home = Home::new();
    leaves_a_child(&home, "env -i");
    ctl(&home, Means::Sweep, &["start", "-q"]);
    let log = || std::fs::read_to_string(home.path().join("logs/parent-out.log")).unwrap();
    // An end of file would not come before the child's end.
    let asked = Instant::now();
    home.ctl(&["wait", "parent", "--for", "stopped", "--timeout", "10s", "-q"]).ok();
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    let child = left_behind(&home);
    assert!(child.alive(), "it has not been waited for");
    wait_for(PROMPT, "the worker's line", || (log() == "early\n").then_some(()));
    // The next one is started beside it, and both are heard.
    home.ctl(&["start", "parent", "--no-wait", "-q"]);
    wait_for(PROMPT, "the next one's line", || (log() == "early\nearly\n").then_some(()));
    let second = left_behind(&home);
    assert_ne!(second, child);
    home.daemon().unwrap().signal(Signal::SIGKILL);
    home.write("go", "");
    wait_for(PROMPT, "the children's lines", || {
        (log() == "early\nearly\nlate\nlate\n").then_some(())
    });
    [child, second].iter().for_each(|child| child.signal(Signal::SIGKILL));
}

fn ends_with_its_worker(means: Means) {
    let home = Home::new();
    leaves_a_child(&home, "");
    ctl(&home, means, &["start", "-q"]);
    home.ctl(&["wait", "parent", "--for", "stopped", "--timeout", "10s", "-q"]).ok();
    wait_for(PROMPT, "the end of the child", || (!left_behind(&home).alive()).then_some(()));
    assert_eq!(
        std::fs::read_to_string(home.path().join("logs/parent-out.log")).unwrap(),
        "early\n"
    );
}

#[test]
fn a_child_that_keeps_the_pipe_open_ends_with_its_worker_in_a_cgroup() {
    ends_with_its_worker(Means::Cgroup);
}

#[test]
fn a_child_that_keeps_the_pipe_open_ends_with_its_worker_without_a_cgroup() {
    ends_with_its_worker(Means::Sweep);
}

#[test]
fn what_is_no_text_is_kept_byte_for_byte_and_shown_harmless() {
    let home = Home::new();
    let line =
        r"printf 'a\377\376b\000c\n\033]0;owned\007\033[2Jx\n\302\233mlast'; exec sleep 1000";
    home.write("ecosystem.toml", &(calm() + &shell("raw", line, AT_ONCE)));
    home.ctl(&["start", "-q"]).ok();
    let wanted = b"a\xff\xfeb\0c\n\x1b]0;owned\x07\x1b[2Jx\n\xc2\x9bmlast";
    let log = home.path().join("logs/raw-out.log");
    wait_for(PROMPT, "all bytes", || (std::fs::read(&log).ok()? == wanted).then_some(()));
    for args in
        [&["logs", "raw", "-n", "9"][..], &["describe", "raw"], &["logs", "raw", "-o", "json"]]
    {
        let said = home.ctl(args).ok().stdout;
        let harmless = |c: char| c == '\n' || !(c.is_control());
        assert!(said.chars().all(harmless), "{args:?}: {said:?}");
    }
}

#[test]
fn ready_of_another_process_and_a_forged_main_pid_change_nothing() {
    let home = Home::new();
    // It speaks for its neighbour: MAINPID, and READY to the neighbour's own socket.
    let forger = "import os, socket, time\n\
        address = '\\0' + os.environ['NOTIFY_SOCKET'][1:]\n\
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        s.sendto(f'MAINPID={os.environ[\"VICTIM\"]}\\nREADY=1'.encode(), address)\n\
        print('said', flush=True)\ntime.sleep(1000)\n";
    let path = home.write("forger.py", forger).display().to_string();
    let before = begin(
        &home,
        &shell("silent", "exec sleep 1000", "ready = \"notify\"\nready_timeout = \"60s\""),
    );
    home.ctl(&["start", "ecosystem.toml", "--no-wait", "-q"]);
    let silent = home.until("silent", "its process", |app| app.pids()[0] > 0).main();
    let more = format!("ready = \"notify\"\nenv = {{ VICTIM = \"{}\" }}", silent.0);
    home.write("forger.toml", &crate::app("forger", "python3", &[&path], &more));
    home.ctl(&["start", "forger.toml", "-q"]).ok();
    let forger = home.known("forger").main();
    assert_ne!(forger, silent, "another process is taken for the main one");
    assert_ne!(home.known("silent").status(), "online", "another has spoken for it");
    // And a stop ends the forger, not whom it named.
    home.ctl(&["stop", "forger", "-q"]).ok();
    assert!(!forger.alive() && silent.alive());
    unimpressed(&home, &before);
}

#[test]
fn the_kernel_kills_a_worker_or_a_child_of_it_for_want_of_memory() {
    let Some(group) = crate::resources::Group::memory("worker", 64 << 20) else { return };
    let home = Home::new();
    let hog = nexus_tests::program("nexus-test-worker").display().to_string();
    let eat = format!("{hog} --hold 200000000");
    // The shell stays small; its child is killed, and that is the shell's to tell.
    let line = format!("echo $$ > {}; {eat}; echo child $?; exec sleep 1000", group.procs());
    let before = begin(&home, &shell("eater", &line, AT_ONCE));
    home.ctl(&["start", "ecosystem.toml", "-q"]).ok();
    let log = home.path().join("logs/eater-out.log");
    wait_for(3 * PROMPT, "the end of the child", || {
        std::fs::read_to_string(&log).ok().filter(|text| text.contains("child 137"))
    });
    assert_eq!(home.known("eater").restarts(), [0], "a child's death is not the worker's");
    assert_eq!(group.killed(), 1, "it was the kernel's doing");
    // Now the worker itself.
    let line = format!("echo $$ > {}; exec {eat}", group.procs());
    let more = "ready = \"delay:0s\"\nautorestart = false";
    home.write("ecosystem.toml", &(calm() + &shell("glutton", &line, more)));
    home.ctl(&["start", "ecosystem.toml", "--no-wait", "-q"]);
    let exit = wait_for(3 * PROMPT, "its end", || home.events_of("glutton", "exit").pop());
    assert_eq!((&exit["exit"], group.killed()), (&"SIGKILL".into(), 2), "{exit}");
    unimpressed(&home, &before);
}

#[test]
fn a_text_that_is_no_program_is_refused_with_its_path() {
    let home = Home::new();
    let path = home.write("notes.bin", "just some notes\n");
    Command::new("chmod").arg("755").arg(&path).status().unwrap();
    let more = "interpreter = \"none\"";
    home.write("ecosystem.toml", &crate::app("notes", &path.display().to_string(), &[], more));
    let said = home.ctl(&["start"]).expect_code(1).stderr;
    assert!(said.contains("notes.bin"), "{said}");
    assert!(said.contains("it is no program"), "{said}");
}

#[test]
fn a_worker_that_closes_its_socket_leaves_the_clients_to_the_others() {
    let home = Home::new();
    let port = nexus_tests::free_port();
    let server = nexus_tests::program("nexus-test-worker").display().to_string();
    let line = format!(
        "[ $NEXUS_INSTANCE = 0 ] || exec {server} --serve --ready-after 0; \
         eval \"exec 3<&-\"; exec sleep 1000"
    );
    let more = format!("{AT_ONCE}\ninstances = 2\nlisten = \"tcp://127.0.0.1:{port}\"");
    home.write("ecosystem.toml", &shell("half", &line, &more));
    home.ctl(&["start", "-q"]).ok();
    let serving = home.known("half").pids()[1];
    for number in 0..50 {
        let answer = nexus_tests::http::get(port, &format!("/{number}")).unwrap();
        assert_eq!(answer.body, format!("{serving} /{number}\n"));
    }
}
