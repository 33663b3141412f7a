//! A disk that does not answer: a file system on a loop device, frozen (`fsfreeze(8)`), so that
//! every write to it waits in the kernel, where no signal reaches it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nexus_tests::{Home, PROMPT, truth, wait_for};
use nix::sys::signal::Signal;

use crate::{AT_ONCE, shell, worker};

/// How long it may take until crashes are mended without a nexusd that waits for its disk.
const HUNG_MAX: Duration = Duration::from_secs(40);

/// A small file system of its own. Dropping it thaws and unmounts it.
pub(crate) struct Disk(PathBuf);

impl Disk {
    pub(crate) fn new(dir: &Path) -> Disk {
        Disk::at(dir, &dir.join("disk"))
    }

    /// One that a home is on.
    pub(crate) fn under(home: &Home) -> Disk {
        let disk = Disk::at(&home.project(), &home.path());
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        disk
    }

    /// Its image is in `dir`. It is read-only once there is an error, as most disks are.
    pub(crate) fn at(dir: &Path, mount: &Path) -> Disk {
        let image = dir.join("disk.img");
        std::fs::create_dir_all(mount).unwrap();
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(32 << 20).unwrap();
        run("mkfs.ext4", &["-q", image.to_str().unwrap()]);
        let how = "loop,errors=remount-ro";
        run("mount", &["-o", how, image.to_str().unwrap(), mount.to_str().unwrap()]);
        Disk(mount.to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Have an error, as sysfs lets one be made (Documentation/ABI/testing/sysfs-fs-ext4); `None` =
    /// this machine does not let us.
    pub(crate) fn fail(&self) -> Option<()> {
        let found = Command::new("findmnt").args(["-no", "SOURCE"]).arg(&self.0).output().ok()?;
        let device = String::from_utf8(found.stdout).ok()?;
        let name = Path::new(device.trim()).file_name()?.to_owned();
        let trigger = Path::new("/sys/fs/ext4").join(name).join("trigger_fs_error");
        std::fs::write(trigger, "a test").ok()
    }

    pub(crate) fn hang(&self) {
        run("fsfreeze", &["--freeze", self.0.to_str().unwrap()]);
    }

    pub(crate) fn answer(&self) {
        run("fsfreeze", &["--unfreeze", self.0.to_str().unwrap()]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Thawed already is as good; what still writes lets the mount go when it ends (lazily).
        let _ = Command::new("fsfreeze").arg("--unfreeze").arg(&self.0).output();
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
}

fn lines(log: &Path) -> usize {
    std::fs::read(log).map_or(0, |bytes| bytes.iter().filter(|&&byte| byte == b'\n').count())
}

pub(crate) fn some_more(log: &Path) {
    let now = lines(log);
    wait_for(PROMPT, "a hundred lines more", || (lines(log) > now + 100).then_some(()));
}

#[test]
fn a_hung_disk_stops_nobody_elses_log_and_outlives_the_keeper() {
    if !nix::unistd::geteuid().is_root() {
        println!("mounting needs root: nothing to try");
        return;
    }
    let home = Home::new();
    let disk = Disk::new(&home.project());
    let app = |name: &str, more: &str| {
        let truth = home.project().join(format!("truth-{name}"));
        std::fs::create_dir(&truth).unwrap();
        let dir = truth.display().to_string();
        let args = ["--lines", "200", "--truth", &dir, "--ready-after", "0"];
        (worker(name, &args, &format!("ready = \"notify\"\n{more}")), truth)
    };
    let stuck_log = disk.0.join("stuck.log");
    let (stuck, stuck_truth) = app("stuck", &format!("out_file = {stuck_log:?}"));
    let (calm, calm_truth) = app("calm", "");
    home.write("ecosystem.toml", &(stuck + &calm));
    home.ctl(&["start"]).ok();
    let calm_log = home.path().join("logs/calm-out.log");
    some_more(&stuck_log);
    some_more(&calm_log);

    disk.hang();
    some_more(&calm_log);
    home.ctl(&["restart", "calm"]).ok();
    some_more(&calm_log);

    // The keeper's death: nexusd cannot execute itself while one of its threads is in the kernel.
    let (keeper, daemon) = (home.keeper().unwrap(), home.daemon().unwrap());
    let before = (home.known("calm").identity(), home.known("stuck").identity());
    keeper.signal(Signal::SIGKILL);
    wait_for(PROMPT, "a fresh keeper", || home.keeper().filter(|now| now.0 != keeper.0).map(drop));
    home.until("calm", "control", |app| app.status() == "online");
    assert_eq!((home.known("calm").identity(), home.known("stuck").identity()), before);
    assert_eq!(home.daemon().unwrap().0, daemon.0, "nexusd is the same");
    let killed = home.known("calm").pids();
    home.known("calm").main().signal(Signal::SIGKILL);
    home.until("calm", "its successor", |app| app.status() == "online" && app.pids() != killed);
    some_more(&calm_log);

    disk.answer();
    some_more(&stuck_log);
    home.ctl(&["stop", "all"]).ok();
    for (log, truth) in [(stuck_log, stuck_truth), (calm_log, calm_truth)] {
        wait_for(PROMPT, &format!("all lines in {}", log.display()), || {
            truth::compare(std::slice::from_ref(&log), &truth).ok().map(drop)
        });
    }
    home.ctl(&["kill"]).ok();
}

#[test]
fn a_worker_whose_disk_hangs_again_and_again_can_be_stopped_meanwhile() {
    if !nix::unistd::geteuid().is_root() {
        println!("mounting needs root: nothing to try");
        return;
    }
    let home = Home::new();
    let disk = Disk::new(&home.project());
    let truth = home.project().join("truth");
    std::fs::create_dir(&truth).unwrap();
    let dir = truth.display().to_string();
    let args = ["--lines", "20", "--truth", &dir, "--ready-after", "0"];
    let log = disk.0.join("stuck.log");
    let more = format!("ready = \"notify\"\nkill_timeout = \"2s\"\nout_file = {log:?}");
    home.write("ecosystem.toml", &worker("stuck", &args, &more));
    home.ctl(&["start"]).ok();
    some_more(&log);
    // The first time nobody could know.
    disk.hang();
    let begin = std::time::Instant::now();
    wait_for(PROMPT, "a slow write", || (begin.elapsed().as_millis() > 400).then_some(()));
    disk.answer();
    let own = home.path().join("nexusd.log");
    wait_for(PROMPT, "word of a slow disk", || {
        std::fs::read_to_string(&own).ok().filter(|text| text.contains("is slow")).map(drop)
    });
    some_more(&log);

    disk.hang();
    let before = written(&truth);
    wait_for(PROMPT, "more lines than are logged", || {
        (written(&truth) > before + 1_000).then_some(())
    });
    home.ctl_within(Duration::from_secs(20), &["stop", "stuck"]).ok();
    // Its last lines are in a pipe, and survive the daemon.
    disk.answer();
    home.daemon().unwrap().signal(Signal::SIGKILL);
    wait_for(PROMPT, "all lines", || truth::compare(std::slice::from_ref(&log), &truth).ok());
}

/// The disk that the home is on: nexusd's loop itself waits, in the middle of a change.
#[test]
fn while_the_disk_of_the_state_hangs_workers_run_on_and_a_crash_is_mended_once() {
    if !nix::unistd::geteuid().is_root() {
        println!("mounting needs root: nothing to try");
        return;
    }
    let home = Home::new();
    let disk = Disk::under(&home);
    let (truth, lives) = (home.project().join("truth"), home.project().join("lives"));
    std::fs::create_dir(&truth).unwrap();
    let args = ["--lines", "200", "--truth", truth.to_str().unwrap(), "--ready-after", "0"];
    let log = home.project().join("talk.log");
    let talk = worker("talk", &args, &format!("ready = \"notify\"\nout_file = {log:?}"));
    let mortal = format!("echo $$ >> {}; exec sleep 1000", lives.display());
    let calm = shell("calm", "exec sleep 1000", AT_ONCE);
    home.write("ecosystem.toml", &(talk + &shell("mortal", &mortal, AT_ONCE) + &calm));
    home.ctl(&["start"]).ok();
    some_more(&log);
    let before = [home.known("talk").identity(), home.known("calm").identity()];
    let (main, daemon) = (home.known("mortal").main(), home.daemon().unwrap());

    disk.hang();
    let restart = home.begin(&["restart", "calm"]);
    wait_for(PROMPT, "nexusd waits for its disk", || (daemon.state() == Some('D')).then_some(()));
    main.signal(Signal::SIGKILL);
    wait_for(HUNG_MAX, "a successor", || (lines(&lives) == 2).then_some(()));
    some_more(&log);
    assert!(daemon.alive() && !restart.ended(), "nothing is over as long as it hangs");

    disk.answer();
    restart.end().ok();
    let mended = home.until("mortal", "its successor", |app| app.status() == "online");
    assert_eq!((mended.restarts(), lines(&lives)), (vec![1], 2), "mended once");
    assert_eq!(home.events_of("mortal", "exit").len(), 1);
    assert_ne!(home.known("calm").identity(), before[1], "the restart is true");
    assert_eq!(home.known("talk").identity(), before[0]);
    home.ctl(&["stop", "talk"]).ok();
    wait_for(PROMPT, "all lines, once each", || {
        truth::compare(std::slice::from_ref(&log), &truth).ok().map(drop)
    });
    home.ctl(&["kill"]).ok();
}

fn written(truth: &Path) -> u64 {
    let entries = std::fs::read_dir(truth).unwrap().flatten();
    let numbers = entries.filter_map(|entry| std::fs::read(entry.path()).ok()?.try_into().ok());
    numbers.map(u64::from_le_bytes).sum()
}
