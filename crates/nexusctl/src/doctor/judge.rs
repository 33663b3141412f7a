//! What is so, as findings: what each means, and what to do about it.

use super::Finding;
use super::facts::{Daemon, Disk, Facts, Unit};
use super::pipes::{Pipes, WHOLE};
use crate::human::{count, size};

/// The oldest kernel that we run on.
const KERNEL_MIN: (u32, u32) = (5, 10);
/// `cgroup.kill`.
const KERNEL_CGROUP_KILL: (u32, u32) = (5, 14);
/// A process that is not a child tells how it ended.
const KERNEL_EXITS: (u32, u32) = (6, 15);
/// Fewer workers than this are few.
const WORKERS_FEW: u64 = 500;
/// Below: too few for watching a project of some size.
const WATCHES_FEW: u64 = 65_536;
const WATCHERS_FEW: u64 = 128;
/// Pages of a worker's two pipes, once half of what there is has gone to larger ones.
const PIPE_PAGES_A_WORKER: u64 = 32;
/// Of a disk, in percent: little room, and none.
const DISK_LITTLE: u64 = 10;
const DISK_NONE: u64 = 2;

/// All findings, in the order in which they are told.
pub(crate) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![daemon(facts), program(facts), survives(facts), boot(facts)];
    findings.extend([home(facts), state(facts), kernel(facts), trees(facts), files(facts)]);
    findings.extend(inotify(facts));
    findings.push(pids(facts));
    findings.extend(pipes(facts));
    findings.extend(disks(facts));
    findings.extend(apps(facts));
    findings.extend(leftovers(facts));
    findings.extend(pm2(facts));
    findings
}

fn daemon(facts: &Facts) -> Finding {
    let check = "daemon";
    match &facts.daemon {
        Daemon::None => Finding::ok(check, "none runs; the next command that needs one starts it"),
        Daemon::Dead => Finding::fail(
            check,
            "nexusd and its keeper were killed; workers run on, and none that ends is replaced",
            "nexusctl list        starts the daemon, which takes them back",
        ),
        Daemon::Silent(why) => Finding::fail(
            check,
            why.as_str(),
            format!("less {}", facts.home.join("nexusd.log").display()),
        ),
        Daemon::Answers(version, took) => {
            let says = format!(
                "nexusd {} answers in {}.{} ms",
                version.version,
                took / 1_000,
                took / 100 % 10
            );
            match nexus_proto::client::skew(&version.version) {
                Some(skew) => Finding::warn(check, says, skew),
                None => Finding::ok(check, format!("{says}; the version of this nexusctl")),
            }
        }
    }
}

fn program(facts: &Facts) -> Finding {
    let check = "program";
    let Some(pair) = &facts.pair else {
        return Finding::ok(check, format!("nexusctl {}", facts.version));
    };
    let shown = pair.program.as_ref().map_or("?".into(), |path| path.display().to_string());
    let upgrade = "nexusctl daemon upgrade        every app runs on";
    if pair.mixed {
        return Finding::warn(check, "nexusd and its keeper run different programs", upgrade);
    }
    if pair.replaced {
        let says = format!("{shown} was replaced since the daemon began");
        return Finding::warn(check, says, upgrade);
    }
    match &facts.unit {
        Unit::Of { name, program: Some(starts), .. } if Some(starts) != pair.program.as_ref() => {
            let says = format!("{name} starts {}, and {shown} runs", starts.display());
            Finding::warn(check, says, "nexusctl startup        writes the unit anew")
        }
        Unit::Of { .. } | Unit::None | Unit::NoSystemd => Finding::ok(check, shown),
    }
}

/// What the death of both would cost, said beforehand.
fn survives(facts: &Facts) -> Finding {
    let check = "survives";
    let listens = facts.snapshot.iter().flat_map(|s| &s.apps).any(|app| !app.listen.is_empty());
    let scope = facts.yama.unwrap_or(0);
    let refused = !facts.fetches || scope > 0 && (facts.uid != 0 || scope > 2);
    let kept = matches!(&facts.unit, Unit::Of { .. });
    if refused && !kept {
        let says = format!(
            "if nexusd and its keeper are both killed, listening sockets cannot be taken back \
             ({}): the workers serve on{}",
            if facts.fetches {
                format!("Yama's ptrace_scope is {scope}")
            } else {
                "pidfd_getfd(2) is refused, or older than Linux 5.6".to_owned()
            },
            if listens { ", until the app's next reload binds anew" } else { "" }
        );
        return Finding::warn(
            check,
            says,
            "nexusctl startup        systemd then keeps the sockets; or kernel.yama.ptrace_scope=0",
        );
    }
    let exits = if facts.kernel >= KERNEL_EXITS {
        "exit codes too"
    } else {
        "exit codes of that moment are unknown before Linux 6.15"
    };
    Finding::ok(check, format!("apps outlive nexusd, its keeper, and both: {exits}"))
}

fn boot(facts: &Facts) -> Finding {
    let check = "boot";
    let apps = facts.snapshot.as_ref().map_or(0, |snapshot| snapshot.apps.len() as u64);
    match &facts.unit {
        Unit::NoSystemd => {
            Finding::ok(check, "no systemd here: whoever boots this machine starts it")
        }
        Unit::None if apps == 0 => Finding::ok(check, "no unit, and no apps that would need one"),
        Unit::None => Finding::warn(
            check,
            format!("{} will not be started after a reboot", count(apps, "app")),
            "sudo nexusctl startup",
        ),
        Unit::Of { name, active, .. } if active != "active" && active != "activating" => {
            Finding::fail(check, format!("{name} is {active}"), format!("systemctl status {name}"))
        }
        Unit::Of { name, enabled, .. } if enabled != "enabled" => Finding::warn(
            check,
            format!("{name} is {enabled}: it is not started after a reboot"),
            format!("systemctl enable {name}"),
        ),
        Unit::Of { name, .. } => Finding::ok(check, format!("{name} is enabled and active")),
    }
}

fn home(facts: &Facts) -> Finding {
    let check = "home";
    let shown = facts.home.display();
    let Some(file) = facts.home_file else {
        return Finding::ok(check, format!("{shown} is made by the first start"));
    };
    if file.uid != facts.uid && facts.uid != 0 {
        return Finding::fail(
            check,
            format!("{shown} belongs to uid {}", file.uid),
            "run nexusctl as its owner, or set NEXUS_HOME",
        );
    }
    if file.mode & 0o077 != 0 {
        return Finding::fail(
            check,
            format!("{shown} is open to others (mode {:o})", file.mode),
            format!("chmod 0700 {shown}"),
        );
    }
    Finding::ok(check, format!("{shown}, for uid {} alone", file.uid))
}

fn state(facts: &Facts) -> Finding {
    let check = "state";
    let state = facts.home.join("state");
    if let Some(path) = facts.loose.first() {
        let says = format!("{} can be read by others", path.display());
        return Finding::fail(check, says, format!("chmod go-rwx {}", path.display()));
    }
    match facts.aside.as_slice() {
        [] => Finding::ok(check, "its files are for their owner alone"),
        aside => Finding::warn(
            check,
            format!("could not be read once; what was there is kept: {}", aside.join(", ")),
            format!("look at it, then remove it: ls {}", state.display()),
        ),
    }
}

fn kernel(facts: &Facts) -> Finding {
    let check = "kernel";
    let (major, minor) = facts.kernel;
    if facts.kernel < KERNEL_MIN {
        let says = format!("Linux {major}.{minor}: too old");
        return Finding::fail(check, says, "Linux 5.10 or later");
    }
    let mut without = Vec::new();
    if facts.kernel < KERNEL_CGROUP_KILL {
        without.push("trees are ended one process at a time (cgroup.kill: 5.14)");
    }
    if facts.kernel < KERNEL_EXITS {
        without.push("exit codes are unknown after a keeper's death (6.15)");
    }
    let without =
        if without.is_empty() { String::new() } else { format!(": {}", without.join("; ")) };
    Finding::ok(check, format!("Linux {major}.{minor}{without}"))
}

fn trees(facts: &Facts) -> Finding {
    let check = "trees";
    let Daemon::Answers(version, _) = &facts.daemon else {
        return Finding::ok(check, "by cgroups where they can be had");
    };
    if version.trees == "sweep" {
        return Finding::warn(
            check,
            "no cgroup of our own: what a worker leaves behind is found by session, descent and mark",
            "run under systemd (nexusctl startup), or as root, on cgroup v2",
        );
    }
    Finding::ok(check, "each worker has a cgroup: nothing of it escapes a stop")
}

fn files(facts: &Facts) -> Finding {
    let check = "files";
    let (hard, used) = facts.files;
    let room = nexusd::room::workers(hard);
    let used = used.unwrap_or(0);
    let says = format!("{used} of {hard} descriptors in use: room for about {room} workers in all");
    let fix = "raise it: LimitNOFILE= in the unit, or ulimit -Hn before the daemon starts";
    match () {
        () if used * 10 >= hard * 9 => Finding::fail(check, says, fix),
        () if used * 10 >= hard * 7 || room < WORKERS_FEW => Finding::warn(check, says, fix),
        () => Finding::ok(check, says),
    }
}

fn inotify(facts: &Facts) -> Option<Finding> {
    let (watches, instances) = facts.inotify?;
    let says = format!("{watches} watches and {instances} watchers for each user");
    Some(if watches < WATCHES_FEW || instances < WATCHERS_FEW {
        let fix = format!(
            "for apps that watch files: sysctl fs.inotify.max_user_watches={} \
             fs.inotify.max_user_instances={}",
            watches.max(WATCHES_FEW * 8),
            instances.max(WATCHERS_FEW * 4)
        );
        Finding::warn("inotify", says, fix)
    } else {
        Finding::ok("inotify", says)
    })
}

fn pids(facts: &Facts) -> Finding {
    let (most, used) = facts.pids;
    let says = format!("{used} of {most} processes");
    if used * 5 >= most * 4 {
        return Finding::warn("pids", says, "sysctl kernel.pid_max=4194304");
    }
    Finding::ok("pids", says)
}

/// Beyond their bound a plain user's new pipes are of two pages.
fn pipes(facts: &Facts) -> Option<Finding> {
    let workers: u64 =
        facts.snapshot.iter().flat_map(|s| &s.apps).map(|app| app.instances.len() as u64).sum();
    let wanted = 2 * workers * PIPE_PAGES_A_WORKER;
    let Pipes { pages, new } = facts.pipes;
    let says = match () {
        () if new < WHOLE => format!(
            "this user's pipes have more than {pages} pages: new ones hold {}, and workers wait \
             sooner",
            size(new)
        ),
        () if facts.uid != 0 && pages != 0 && wanted > pages => format!(
            "{} have more pipes than {pages} pages: new ones hold 8 KiB, and they wait sooner",
            count(workers, "worker")
        ),
        () => return None,
    };
    // Somebody else of the user has the rest: how much is not to be known.
    let enough = wanted.max(pages.saturating_mul(2)).next_power_of_two();
    Some(Finding::warn("pipes", says, format!("sysctl fs.pipe-user-pages-soft={enough}")))
}

fn disks(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for Disk { path, total, free, files } in &facts.disks {
        let percent = (free * 100).checked_div(*total).unwrap_or(100);
        let of_files = (files.0 * 100).checked_div(files.1).unwrap_or(100);
        let says =
            format!("{}: {} of {} free ({percent}%)", path.display(), size(*free), size(*total));
        let fix = "nexusctl flush, lower `log.total`, or add room";
        let least = percent.min(of_files);
        let says =
            if of_files < percent { format!("{says}, and {of_files}% of its files") } else { says };
        let finding = match () {
            () if least < DISK_NONE => Finding::fail("disk", says, fix),
            () if least < DISK_LITTLE => Finding::warn("disk", says, fix),
            () => Finding::ok("disk", says),
        };
        // The logs are mostly on the home's own.
        let same = |other: &Finding| other.says.split_once(": ").map(|(_, rest)| rest.to_owned());
        if !findings.iter().any(|other| same(other) == same(&finding)) {
            findings.push(finding);
        }
    }
    findings
}

/// What is wrong with the apps themselves is theirs to say; here is what only we know.
fn apps(facts: &Facts) -> Vec<Finding> {
    let Some(snapshot) = &facts.snapshot else { return Vec::new() };
    let mut findings = Vec::new();
    for app in snapshot.apps.iter().filter(|app| !app.unadopted.is_empty()) {
        let says = format!("{}: sockets not adopted: {}", app.name, app.unadopted.join(", "));
        findings.push(Finding::warn("sockets", says, format!("nexusctl reload {}", app.name)));
    }
    for app in snapshot.apps.iter().filter(|app| app.trouble.is_some()) {
        let says = app.trouble.as_ref().map_or(String::new(), |trouble| trouble.what.clone());
        findings.push(Finding::fail("apps", says, format!("nexusctl why {}", app.name)));
    }
    if findings.is_empty() {
        let says = format!("{}, nothing wrong with any", count(snapshot.apps.len() as u64, "app"));
        findings.push(Finding::ok("apps", says));
    }
    findings
}

/// Workers that nobody keeps.
fn leftovers(facts: &Facts) -> Option<Finding> {
    let check = "leftovers";
    if facts.workers.is_empty() {
        return None;
    }
    let name = |worker: &super::processes::Worker| format!("{} (pid {})", worker.place, worker.pid);
    match &facts.snapshot {
        None => {
            let names: Vec<String> = facts.workers.iter().map(name).take(5).collect();
            let says = format!(
                "{} without a daemon: {}",
                count(facts.workers.len() as u64, "process"),
                names.join(", ")
            );
            Some(Finding::warn(check, says, "nexusctl list        takes them back, or ends them"))
        }
        Some(snapshot) => {
            let known = |child: u64| {
                let instances = snapshot.apps.iter().flat_map(|app| &app.instances);
                instances.into_iter().any(|one| one.child == Some(child))
            };
            // Newer ones may have come since: a successor, a build.
            let newest = snapshot.apps.iter().flat_map(|app| &app.instances);
            let oldest = newest.filter_map(|one| one.child).min()?;
            let mut strange =
                facts.workers.iter().filter(|one| one.child < oldest && !known(one.child));
            let first = strange.next()?;
            Some(Finding::warn(
                check,
                format!("{} runs, and is none of the daemon's workers", name(first)),
                format!("ps -fp {}; if it is not wanted: kill {}", first.pid, first.pid),
            ))
        }
    }
}

fn pm2(facts: &Facts) -> Option<Finding> {
    let pid = facts.pm2?;
    Some(Finding::warn(
        "pm2",
        format!("PM2 itself runs, too (pid {pid}): it may run the same apps"),
        "pm2 list; when all are here: pm2 kill, pm2 unstartup",
    ))
}
