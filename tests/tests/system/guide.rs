//! The commands of the deployment guide, as they are written there, through nexusctl and through a
//! link that is called pm2.

use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nexus_tests::{Home, Output, PROMPT, Process, program, run, wait_for};

use crate::{AT_ONCE, shell};

const APP: &str = "trading-api";

/// Two workers that write a line each, as the guide's app does.
fn guide() -> Home {
    let home = Home::new();
    let more = format!("{AT_ONCE}\ninstances = 2");
    home.write("ecosystem.toml", &shell(APP, "echo listening; exec sleep 1000", &more));
    home.ctl(&["start"]).ok();
    home
}

/// Our program by the name of `pm2`.
fn pm2(home: &Home) -> PathBuf {
    let link = home.project().join("pm2");
    symlink(program("nexusctl"), &link).unwrap();
    link
}

fn said(home: &Home, name: &std::path::Path, line: &str) -> Output {
    run(home.command(name).args(line.split(' ')), PROMPT)
}

/// Every command of the guide by this program.
fn runs(home: &Home, name: &std::path::Path) {
    let list = said(home, name, "list").ok();
    assert!(list.stdout.contains(APP) && list.stdout.contains("2/2"), "{list:?}");
    let identity = home.known(APP).identity();

    said(home, name, "restart all").ok();
    let restarted = home.known(APP).identity();
    assert_ne!(restarted, identity);

    said(home, name, "restart all --max-memory-restart 2G").ok();
    let shown = home.ctl(&["diff", "-o", "json"]).expect_code(1).json();
    let setting = &shown["apps"][0]["settings"][0];
    assert_eq!((&setting["setting"], &setting["old"]), (&"memory.max".into(), &"\"2G\"".into()));
    assert_ne!(home.known(APP).identity(), restarted);

    let before = home.known(APP).identity();
    said(home, name, &format!("restart {APP}")).ok();
    assert_ne!(home.known(APP).identity(), before);
    assert_eq!(home.known(APP).statuses(), ["online", "online"]);

    watched(home, name);
}

/// `logs` and `monit` show the app and go on until they are told to end.
fn watched(home: &Home, name: &std::path::Path) {
    for verb in ["logs", "monit"] {
        let pty = nix::pty::openpty(Some(&size()), None).unwrap();
        let mut command: Command = home.command(name);
        let (input, output) = (pty.slave.try_clone().unwrap(), pty.slave.try_clone().unwrap());
        command.arg(verb).env("TERM", "xterm").stdin(Stdio::from(input));
        command.stdout(Stdio::from(output)).stderr(Stdio::from(pty.slave));
        let mut child = command.spawn().unwrap();
        drop(command);
        let mut screen = std::fs::File::from(pty.master);
        let mut shown = Vec::new();
        wait_for(PROMPT, &format!("{verb} to show the app"), || {
            let mut piece = [0; 4096];
            let count = screen.read(&mut piece).unwrap_or(0);
            shown.extend_from_slice(&piece[..count]);
            String::from_utf8_lossy(&shown).contains(APP).then_some(())
        });
        let process = Process(i32::try_from(child.id()).unwrap());
        process.signal(nix::sys::signal::Signal::SIGTERM);
        wait_for(PROMPT, "its end", || child.try_wait().unwrap());
    }
}

fn size() -> nix::pty::Winsize {
    nix::pty::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }
}

#[test]
fn the_commands_of_the_guide_run_as_they_are_written() {
    let home = guide();
    runs(&home, &program("nexusctl"));
}

#[test]
fn they_run_through_a_link_that_is_called_pm2() {
    let home = guide();
    let pm2 = pm2(&home);
    runs(&home, &pm2);
    let nostream = said(&home, &pm2, "logs --nostream --lines 1").ok();
    assert_eq!(nostream.stdout.lines().count(), 1, "{nostream:?}");
    said(&home, &program("nexusctl"), "pm2 restart all").ok();
}

#[test]
fn pm2s_dialect_has_two_exit_codes_and_a_home_of_its_own() {
    let home = guide();
    let pm2 = pm2(&home);
    for line in ["restart nobody", "no-such-verb", "restart", "describe nobody"] {
        assert_eq!(said(&home, &pm2, line).code, 1, "{line}");
    }
    let other = home.path().with_file_name("pm2-home");
    let mut command = home.command(&pm2);
    let list = run(command.args(["list"]).env("PM2_HOME", &other), PROMPT).ok();
    assert!(list.stdout.contains("No apps"), "{list:?}");

    // A real PM2 there: its process has the name that PM2 gives to itself.
    std::fs::create_dir(&other).unwrap();
    let mut real = Command::new("sh");
    real.args(["-c", "printf 'PM2 v7.0.4: God' > /proc/self/comm; echo; read line"]);
    let mut real = real.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut byte = [0];
    real.stdout.take().unwrap().read_exact(&mut byte).unwrap();
    std::fs::write(other.join("pm2.pid"), real.id().to_string()).unwrap();
    let mut command = home.command(&pm2);
    let refused = run(command.args(["list"]).env("PM2_HOME", &other), PROMPT);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("PM2 itself runs"), "{refused:?}");
    real.kill().unwrap();
    real.wait().unwrap();
}
