//! `cargo xtask vm`: the tests that need a machine of their own: an older kernel, cgroups with all
//! controllers, a clock that can be set, a reboot, and a power cut in the middle of saves.

mod guest;
mod image;
mod lossy;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use self::guest::{Guest, Said};
use self::image::Image;
use crate::packages;
use crate::suites;
use crate::tally::{Runner, Tally};
use crate::targets::{Workspace, cargo, workspace};

/// The kernel that is meant: it does not tell how somebody else's child has ended.
const KERNEL: &str = "6.1.";
/// Power cuts when nothing else is asked for.
const CUTS: u64 = 5;
/// A machine without hardware help is slow; nothing of a step is silent for longer.
const SILENCE: Duration = Duration::from_secs(300);
/// How soon after a change the power is cut, at the most.
const CUT_WITHIN_MS: u64 = 1_500;
/// Whole-system tests that have something to say on another kernel, or with the controllers of cgroup
/// v2; the keeper's run whole. Of each of these there must be one.
const SYSTEM: &[&str] = &[
    "bad_workers::the_kernel_kills",
    "daemon::after_sigkill_of_both",
    "limits::a_replacement",
    "refused::",
    "resources::a_nexusd_or_a_keeper_that_the_kernel_kills",
    "tree::a_stop",
    "user_limits::",
];
/// What is asked for by name.
const PARTS: [&str; 3] = ["suites", "clock", "cuts"];

/// The test programs that run inside.
struct Programs {
    pair: PathBuf,
    system: PathBuf,
    vm: PathBuf,
}

/// Run the parts that are named, or all, each on a fresh disk.
pub(crate) fn vm(args: &[&str]) -> Result<(), String> {
    let Asked { parts, seed, only } = asked(args)?;
    packages::ensure_vm()?;
    suites::build()?;
    let workspace = workspace()?;
    on_the_root_disk(&workspace)?;
    let programs = build()?;
    let mut failed = Vec::new();
    for part in parts {
        let begin = Instant::now();
        let image = Image::make(&workspace.target.join("vm"))?;
        if !image.release.starts_with(KERNEL) {
            return Err(format!("Linux {} is no {KERNEL}x: this needs Debian 12", image.release));
        }
        println!("== {part}, Linux {}", image.release);
        let done = match part {
            "suites" => run_suites(&image, &workspace, &programs, &only),
            "clock" => run_clock(&image, &programs),
            _ => run_cuts(&image, &programs, seed),
        };
        let seconds = begin.elapsed().as_secs_f64();
        match done {
            Ok(text) => println!("== {part}: ok, {seconds:.0} s: {text}"),
            Err(why) => {
                println!("== {part}: FAILED after {seconds:.0} s: {why}");
                failed.push(part);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

struct Asked<'a> {
    parts: Vec<&'a str>,
    seed: u64,
    /// Of the suites only these whole-system tests.
    only: Vec<&'a str>,
}

fn asked<'a>(args: &[&'a str]) -> Result<Asked<'a>, String> {
    let seed = u64::from(std::process::id());
    let (parts, seed, only) = match args {
        ["suites", "--only", only @ ..] => (&args[..1], seed, only.to_vec()),
        [parts @ .., "--seed", seed] => {
            (parts, seed.parse().map_err(|_| format!("{seed} is not a seed"))?, Vec::new())
        }
        parts => (parts, seed, Vec::new()),
    };
    if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(part)) {
        return Err(format!("no part {unknown}: there are {}", PARTS.join(", ")));
    }
    let parts = if parts.is_empty() { PARTS.to_vec() } else { parts.to_vec() };
    Ok(Asked { parts, seed, only })
}

/// The machine sees one file system of this one.
fn on_the_root_disk(workspace: &Workspace) -> Result<(), String> {
    let device = |path: &std::path::Path| -> Result<u64, String> {
        let metadata = std::fs::metadata(path);
        let metadata = metadata.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(std::os::unix::fs::MetadataExt::dev(&metadata))
    };
    let root = device(std::path::Path::new("/"))?;
    for path in [&workspace.root, &workspace.target] {
        if device(path)? != root {
            return Err(format!(
                "{} is not on the file system of /, which is all that the machine can see; \
                 clone there, or set CARGO_TARGET_DIR",
                path.display()
            ));
        }
    }
    Ok(())
}

fn build() -> Result<Programs, String> {
    let mut build = cargo();
    build.args(["test", "--no-run", "--message-format=json", "-p", "nexus-keeper", "--test"]);
    build.args(["pair", "-p", "nexus-tests", "--test", "system", "--test", "vm"]);
    let output = build.stderr(std::process::Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cargo test: {error}"))?;
    if !output.status.success() {
        return Err("the tests do not build".into());
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let built: Vec<Value> =
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let find = |name: &str| {
        let one = built
            .iter()
            .find(|message| message["target"]["name"] == name && message["executable"].is_string());
        let path = one.and_then(|message| message["executable"].as_str());
        path.map(PathBuf::from).ok_or_else(|| format!("cargo names no test program {name}"))
    };
    Ok(Programs { pair: find("pair")?, system: find("system")?, vm: find("vm")? })
}

/// What every step begins and ends with: an environment as a shell of root's has it, and power-off.
fn script(lines: &str) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!(
        "export HOME=/root LANG=C.UTF-8 PATH='{path}'\n{lines}\n\
         sync; systemctl poweroff --force --force\nsleep 100\n"
    )
}

fn run_suites(
    image: &Image,
    workspace: &Workspace,
    programs: &Programs,
    only: &[&str],
) -> Result<String, String> {
    let (root, pair) = (workspace.root.display(), programs.pair.display());
    let keeper = format!("cd '{root}/crates/nexus-keeper'; '{pair}' 2>&1\n");
    let (keeper, chosen) = if only.is_empty() { (keeper.as_str(), SYSTEM) } else { ("", only) };
    let system = format!("'{}' --show-output", programs.system.display());
    let lines = format!(
        "{keeper}cd '{root}/tests'\n\
         {system} --test-threads=2 {filters} 2>&1\n",
        filters = chosen.join(" "),
    );
    let guest = Guest::boot(image, &script(&lines))?;
    let mut tally = Tally::default();
    let (mut suites, all) = (0, if only.is_empty() { 2 } else { 1 });
    let mut missing = chosen.to_vec();
    let mut left_out = None;
    loop {
        match guest.said(SILENCE) {
            Said::Line(line) => {
                println!("{line}");
                missing.retain(|filter| !line.starts_with(&format!("test {filter}")));
                suites += u64::from(line.starts_with("test result: "));
                tally.read(Runner::CargoTest, &line);
                // It was for what this machine has that the test was chosen.
                left_out = left_out.or(Some(line).filter(|line| line.starts_with("LEFT OUT")));
            }
            Said::Off if suites < all => return Err(format!("{suites} of {all} suites ended")),
            Said::Off if tally.failed > 0 => return Err(tally.to_string()),
            Said::Off if !missing.is_empty() => {
                return Err(format!("no test is called {}", missing.join(", ")));
            }
            Said::Off => return left_out.map_or_else(|| Ok(tally.to_string()), Err),
            Said::Nothing => return Err(format!("silent for {} s", SILENCE.as_secs())),
        }
    }
}

fn run_clock(image: &Image, programs: &Programs) -> Result<String, String> {
    let lines = format!("'{}' clock 2>&1\n", programs.vm.display());
    let guest = Guest::boot(image, &script(&lines))?;
    let mut verdict = Err("it said nothing".to_owned());
    loop {
        match guest.said(SILENCE) {
            Said::Line(line) => {
                println!("{line}");
                if let Some(text) = line.strip_prefix("vm: ok: ") {
                    verdict = Ok(text.to_owned());
                }
            }
            Said::Off => return verdict,
            Said::Nothing => return Err(format!("silent for {} s", SILENCE.as_secs())),
        }
    }
}

/// Change after change, the power cut among them; after each boot the wanted state is that of the
/// last change that was acknowledged, or of the one after it.
fn run_cuts(image: &Image, programs: &Programs, seed: u64) -> Result<String, String> {
    println!("seed {seed}");
    let mut random = seed;
    let (mut acknowledged, mut cuts, mut lost) = (0, 0, 0);
    while cuts <= CUTS {
        let lines = format!("'{}' saves {acknowledged} 2>&1\n", programs.vm.display());
        let guest = Guest::boot_lossy(image, &script(&lines))?;
        random = step_of(random);
        let last = acknowledged + 3 + random % 12;
        let mut whole = false;
        loop {
            match guest.said(SILENCE) {
                Said::Line(line) => {
                    println!("{line}");
                    whole |= line.starts_with("vm: whole: ");
                    acknowledged = number_of(&line)?.unwrap_or(acknowledged);
                    if acknowledged >= last || (whole && cuts == CUTS) {
                        break;
                    }
                }
                Said::Off => return Err(format!("it ended after {acknowledged} changes")),
                Said::Nothing => return Err(format!("silent for {} s", SILENCE.as_secs())),
            }
        }
        if !whole {
            return Err("it did not look at its state".into());
        }
        random = step_of(random);
        std::thread::sleep(Duration::from_millis(random % CUT_WITHIN_MS));
        for line in guest.cut() {
            acknowledged = number_of(&line)?.unwrap_or(acknowledged);
        }
        cuts += 1;
        let cut = lossy::keep_flushed(&image.log(), &image.disk, || {
            random = step_of(random);
            random.is_multiple_of(2)
        })?;
        println!("the disk keeps {} writes and loses {} of the last", cut.kept, cut.lost);
        lost += cut.lost;
        check_disk(image)?;
    }
    if lost == 0 {
        return Err("no write was lost in any cut: nothing was tried".into());
    }
    Ok(format!("{CUTS} power cuts among {acknowledged} changes, {lost} writes lost"))
}

/// The change that this line acknowledges. Half a line was cut with the power.
fn number_of(line: &str) -> Result<Option<u64>, String> {
    let Some(number) = line.strip_prefix("vm: acknowledged ") else { return Ok(None) };
    number.parse().map(Some).map_err(|error| format!("{line:?}: {error}"))
}

/// The journal of the file system is replayed as a boot would; more must not be wrong with it.
fn check_disk(image: &Image) -> Result<(), String> {
    let mut check = Command::new("e2fsck");
    image::run(check.args(["-p"]).arg(&image.disk).stdout(std::process::Stdio::null()))
}

/// Numerical Recipes' generator: moments need no better one, and a seed can be given again.
fn step_of(random: u64) -> u64 {
    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 11
}
