//! `MAINPID=`: a worker names another process of its tree as its main one.

use nexus_tests::{Home, PROMPT, wait_for, with_env};
use nix::sys::signal::Signal;

use crate::daemon::kill_both;
use crate::resources::{limit, unlimit};
use crate::{app, shell};

/// What `sd_notify(3)` and `sd_notify_barrier(3)` do.
const SAY: &str = "import array, os, socket, sys, time\n\
    it = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
    to = '\\0' + os.environ['NOTIFY_SOCKET'][1:]\n\
    say = lambda text: it.sendto(text.encode(), to)\n\
    def barrier():\n\
    \x20   ours, theirs = os.pipe()\n\
    \x20   fds = array.array('i', [theirs])\n\
    \x20   rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)]\n\
    \x20   it.sendmsg([b'BARRIER=1'], rights, 0, to)\n\
    \x20   os.close(theirs)\n\
    \x20   os.read(ours, 1)\n";

/// A program that goes on in a child, as one does that replaces itself.
const GOES_ON: &str = "if os.fork():\n\
    \x20   time.sleep(1000)\n\
    first = os.getppid()\n\
    say(f'READY=1\\nMAINPID={os.getpid()}')\n\
    barrier()\n\
    os.kill(first, 9)\n\
    time.sleep(1000)\n";

#[test]
fn who_is_named_is_the_worker_from_then_on() {
    let home = Home::new();
    let name = format!("heir-{}", std::process::id());
    home.write("it.py", &format!("{SAY}{GOES_ON}"));
    home.write("ecosystem.toml", &app(&name, "it.py", &[], "ready = \"notify\""));
    home.ctl(&["start"]).ok();
    let heir = home.until(&name, "its heir", |app| {
        let main = app.main();
        main.alive() && main.ppid() == home.keeper().map(|keeper| keeper.0)
    });
    let heir = heir.main();
    wait_for(PROMPT, "the event", || (home.events_of(&name, "main").len() == 1).then_some(()));
    let stands = || {
        let app = home.known(&name);
        assert_eq!((app.main(), app.status(), app.restarts()), (heir, "online", vec![0]));
        assert!(home.events_of(&name, "exit").is_empty());
    };
    stands();

    // Whoever of us is killed: it is the one that is kept.
    for victim in [Home::daemon, Home::keeper] {
        let victim = victim(&home).unwrap();
        victim.signal(Signal::SIGKILL);
        wait_for(PROMPT, "its end", || (!victim.alive()).then_some(()));
        stands();
    }
    kill_both(&home);
    home.ctl(&["list"]).ok();
    stands();

    // Its end is the worker's.
    heir.signal(Signal::SIGKILL);
    home.until(&name, "its successor", |app| {
        app.restarts() == [1] && app.status() == "online" && app.main() != heir
    });
    home.ctl(&["stop", &name]).ok();
    assert_eq!(with_env("NEXUS_APP", &name), []);
}

/// Names its child each time that a line comes.
const NAMES_A_CHILD: &str = "say('READY=1')\n\
    child = os.fork()\n\
    if not child:\n\
    \x20   time.sleep(1000)\n\
    for line in sys.stdin:\n\
    \x20   say(f'MAINPID={child}')\n";

#[test]
fn a_keeper_that_has_no_room_for_the_new_one_keeps_the_old_one_and_nexusd_too() {
    let home = Home::new();
    home.write("it.py", &format!("{SAY}{NAMES_A_CHILD}"));
    home.write("ecosystem.toml", &app("it", "it.py", &[], "ready = \"notify\"\nstdin = true"));
    home.ctl(&["start"]).ok();
    let (old, keeper) = (home.known("it").main(), home.keeper().unwrap());
    let child = wait_for(PROMPT, "its child", || old.children().pop());
    limit(keeper, 8);
    home.ctl(&["send", "it", "now"]).ok();
    let refused = wait_for(PROMPT, "the refusal", || home.events_of("it", "main_refused").pop());
    assert!(refused["detail"].as_str().unwrap().contains("Too many open files"), "{refused}");
    assert_eq!(home.known("it").main(), old);
    unlimit(keeper);
    // Nothing was lost by it: the next time it is.
    home.ctl(&["send", "it", "again"]).ok();
    home.until("it", "its new main process", |app| app.main() == child);
    assert_eq!((home.known("it").restarts(), home.keeper()), (vec![0], Some(keeper)));
    child.signal(Signal::SIGKILL);
    home.until("it", "its successor", |app| app.restarts() == [1] && app.status() == "online");
    assert!(!old.alive());
}

#[test]
fn nobody_else_can_be_named() {
    let home = Home::new();
    let names = "for line in sys.stdin:\n\x20   say(line.strip())\n";
    home.write("it.py", &format!("{SAY}say('READY=1')\n{names}"));
    let both = app("it", "it.py", &[], "ready = \"notify\"\nstdin = true")
        + &shell("other", "exec sleep 1000", crate::AT_ONCE);
    home.write("ecosystem.toml", &both);
    home.ctl(&["start"]).ok();
    let (it, other) = (home.known("it").main(), home.known("other").main());
    let strangers = [other.0, std::process::id() as i32, home.keeper().unwrap().0, 4_194_303];
    for pid in strangers {
        home.ctl(&["send", "it", &format!("MAINPID={pid}")]).ok();
    }
    // It is heard after those: told once, and all refused.
    home.ctl(&["send", "it", "STATUS=said"]).ok();
    home.until("it", "its status", |app| app.0["instances"][0]["says"] == "said");
    assert_eq!(home.known("it").main(), it);
    let told = home.events_of("it", "main_refused");
    let wanted = format!(
        "names {} as its main process, which does not descend from the one it has",
        other.0
    );
    assert_eq!((told.len(), &told[0]["detail"]), (1, &wanted.into()));
    home.ctl(&["stop", "it"]).ok();
    assert!(other.alive());
    assert!(home.events_of("it", "main").is_empty());
}

/// Names its child over and over when a line comes, and then says so.
const REPEATS: &str = "say('READY=1')\n\
    child = os.fork()\n\
    if not child:\n\
    \x20   time.sleep(1000)\n\
    for line in sys.stdin:\n\
    \x20   say(f'MAINPID={child}\\n' * 20 + 'STATUS=said')\n";

#[test]
fn what_is_said_again_before_the_keeper_has_answered_is_told_once() {
    let home = Home::new();
    home.write("it.py", &format!("{SAY}{REPEATS}"));
    home.write("ecosystem.toml", &app("it", "it.py", &[], "ready = \"notify\"\nstdin = true"));
    home.ctl(&["start"]).ok();
    let (old, keeper) = (home.known("it").main(), home.keeper().unwrap());
    let child = wait_for(PROMPT, "its child", || old.children().pop());
    keeper.signal(Signal::SIGSTOP);
    home.ctl(&["send", "it", "now"]).ok();
    home.until("it", "its status", |app| app.0["instances"][0]["says"] == "said");
    keeper.signal(Signal::SIGCONT);
    home.until("it", "its new main process", |app| app.main() == child);
    // All answers come before this.
    child.signal(Signal::SIGKILL);
    home.until("it", "its successor", |app| app.restarts() == [1] && app.status() == "online");
    assert_eq!(home.events_of("it", "main").len(), 1);
    assert_eq!((home.events_of("it", "main_refused").len(), home.keeper()), (0, Some(keeper)));
}
