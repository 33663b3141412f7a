//! A machine of its own for a test: the installed systemd as process 1, in namespaces, over an
//! overlay of this machine's files. Nothing outside is touched; it is gone with the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::program::{Output, program, repository, run};
use crate::wait::{PROMPT, wait_for};

/// The script that becomes the machine.
const INSIDE: &str = include_str!("machine.sh");
/// How long a boot may take, on a loaded machine.
const BOOT: Duration = Duration::from_secs(60);
/// How long one command inside may take.
const COMMAND: Duration = Duration::from_secs(100);

/// Distinguishes the machines of one process.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A machine that systemd runs.
#[derive(Debug)]
pub struct Machine {
    dir: tempfile::TempDir,
    group: PathBuf,
    outer: Child,
    init: u32,
}

/// Whether a machine can be had: for root. Says so where not.
///
/// # Panics
/// For root where systemd or a program for the namespaces is not installed: that is no reason to
/// leave a test out.
pub fn can_boot() -> bool {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("LEFT OUT: only root can boot systemd in namespaces; run the tests as root");
        return false;
    }
    let needed = ["/usr/lib/systemd/systemd", "/usr/bin/unshare", "/usr/bin/nsenter"];
    let missing: Vec<&str> = needed.into_iter().filter(|path| !Path::new(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?} missing: run `cargo xtask test`, which installs them");
    true
}

impl Machine {
    /// Boot one, with nexusctl in `/usr/local/bin`.
    ///
    /// # Panics
    /// When it does not come up; shows its console.
    #[track_caller]
    pub fn boot() -> Machine {
        let dir = tempfile::Builder::new().prefix("nexus-machine-").tempdir();
        let dir = dir.unwrap_or_else(|error| panic!("no directory for a machine: {error}"));
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap_or_else(|error| panic!("{}: {error}", bin.display()));
        for name in ["nexusctl", "nexus-test-worker"] {
            let copied = fs::copy(program(name), bin.join(name));
            copied.unwrap_or_else(|error| panic!("{name} cannot be copied: {error}"));
        }
        let written = fs::write(dir.path().join("inside.sh"), INSIDE);
        written.unwrap_or_else(|error| panic!("inside.sh cannot be written: {error}"));
        // Below /tmp, which users without rights can enter.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(dir.path(), open).unwrap_or_else(|error| panic!("chmod: {error}"));
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let group = cgroup_mount().join(format!("nexus-machine-{}-{number}", std::process::id()));
        let outer = begin(dir.path(), &group);
        let mut machine = Machine { dir, group, outer, init: 0 };
        machine.come_up();
        machine
    }

    /// Turn the power off and on again.
    ///
    /// # Panics
    /// As [`Machine::boot`].
    #[track_caller]
    pub fn reboot(&mut self) {
        self.power_off();
        self.outer = begin(self.dir.path(), &self.group);
        self.come_up();
    }

    #[track_caller]
    fn come_up(&mut self) {
        let outer = self.outer.id();
        let children = format!("/proc/{outer}/task/{outer}/children");
        let console = self.dir.path().join("console");
        let log = || fs::read_to_string(&console).unwrap_or_default();
        self.init = wait_for(BOOT, "the machine's process 1", || {
            let gone = !Path::new(&format!("/proc/{outer}/ns")).exists();
            assert!(!gone, "the machine did not begin:\n{}", log());
            fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse().ok()
        });
        wait_for(BOOT, "the machine's target (see `console`)", || {
            assert!(Path::new(&format!("/proc/{}", self.init)).exists(), "it ended:\n{}", log());
            let asked = self.try_run(&["systemctl", "is-active", "machine.target"]);
            (asked.stdout.trim() == "active").then_some(())
        });
    }

    /// A command inside, as root.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.init.to_string(), "-m", "-p", "-C", "-i", "-u", "-n", "--"]);
        command.args(["env", "-i", "HOME=/root", "LANG=C.UTF-8"]);
        command.arg("PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.args(words).stdin(Stdio::null());
        command
    }

    /// Run it to its end.
    #[track_caller]
    pub fn try_run(&self, words: &[&str]) -> Output {
        run(&mut self.command(words), COMMAND)
    }

    /// Run it, and return its standard output, trimmed.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> String {
        let output = self.try_run(words);
        let Output { code, stdout, stderr } = &output;
        assert!(*code == 0, "{words:?}: exit {code}\n{stdout}{stderr}\n{}", self.last_words());
        stdout.trim().to_owned()
    }

    /// A shell line.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn sh(&self, line: &str) -> String {
        self.run(&["sh", "-c", line])
    }

    /// One property of a unit.
    #[track_caller]
    pub fn show(&self, unit: &str, property: &str) -> String {
        self.run(&["systemctl", "show", unit, "-P", property])
    }

    /// The number that the machine's `command` prints.
    #[track_caller]
    pub fn number(&self, words: &[&str]) -> i32 {
        let said = self.run(words);
        said.parse().unwrap_or_else(|error| panic!("{words:?} said {said:?}: {error}"))
    }

    /// Wait until a property of a unit satisfies `is`.
    #[track_caller]
    pub fn wait_show(&self, unit: &str, property: &str, is: impl Fn(&str) -> bool) -> String {
        wait_for(PROMPT, &format!("{property} of {unit}"), || {
            Some(self.show(unit, property)).filter(|value| is(value))
        })
    }

    /// Install the example unit.
    ///
    /// # Panics
    /// When it cannot be read or loaded.
    #[track_caller]
    pub fn install_example(&self) {
        let example = repository().join("examples/systemd/nexusd.service");
        let to = self.disk("etc/systemd/system/nexusd.service");
        fs::copy(example, to).unwrap_or_else(|error| panic!("the example: {error}"));
        self.run(&["systemctl", "daemon-reload"]);
    }

    /// The path outside of what survives a reboot.
    pub fn disk(&self, path: &str) -> PathBuf {
        self.dir.path().join("disk").join(path)
    }

    /// The journal's end, for the report of a failure.
    pub fn last_words(&self) -> String {
        let journal = self.try_run(&["journalctl", "-n", "40", "--no-pager"]).stdout;
        let log = fs::read_to_string(self.disk("var/lib/nexus/nexusd.log")).unwrap_or_default();
        format!("-- journal\n{journal}\n-- nexusd.log\n{log}")
    }

    fn power_off(&mut self) {
        // Process 1 of a pid namespace takes all others with it.
        let _ = self.outer.kill();
        let _ = self.outer.wait();
        let init = PathBuf::from(format!("/proc/{}", self.init));
        if self.init != 0 && !std::thread::panicking() {
            wait_for(PROMPT, "the machine's end", || (!init.exists()).then_some(()));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.last_words());
        }
        self.power_off();
        remove_groups(&self.group);
    }
}

/// `unshare` with the script inside; it dies with this thread, and takes the machine with it.
#[track_caller]
fn begin(dir: &Path, group: &Path) -> Child {
    fs::create_dir_all(group).unwrap_or_else(|error| panic!("{}: {error}", group.display()));
    // In the group before the cgroup namespace is made: the group is the machine's root.
    let line = "echo $$ >\"$1/cgroup.procs\" && exec setpriv --pdeathsig KILL setsid unshare \
                --mount --pid --fork --kill-child=KILL --cgroup --ipc --uts --net \
                --propagation private bash \"$2/inside.sh\" \"$2\"";
    let console = fs::File::create(dir.join("console"));
    let console = console.unwrap_or_else(|error| panic!("no console: {error}"));
    let again = console.try_clone().unwrap_or_else(|error| panic!("no console: {error}"));
    Command::new("sh")
        .args(["-c", line, "machine"])
        .args([group, dir])
        .stdin(Stdio::null())
        .stdout(console)
        .stderr(again)
        .spawn()
        .unwrap_or_else(|error| panic!("a machine cannot begin: {error}"))
}

/// Where the second version of control groups is mounted.
#[track_caller]
fn cgroup_mount() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mount = mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        right.starts_with("cgroup2 ").then(|| PathBuf::from(left.split(' ').nth(4).unwrap_or("")))
    });
    mount.unwrap_or_else(|| panic!("no cgroup2 is mounted: systemd cannot be booted here"))
}

fn remove_groups(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}
