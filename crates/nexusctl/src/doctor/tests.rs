//! Facts, one of them out of order, and what is said of it.

use super::facts::{Daemon, Disk, Facts, File, Unit};
use super::pair::Pair;
use super::pipes::Pipes;
use super::processes::Worker;
use super::{Finding, Level, judge, page};
use crate::look::Look;
use crate::view::fixture::snapshot;

/// A machine on which all is well, without a daemon.
fn well() -> Facts {
    Facts {
        version: env!("CARGO_PKG_VERSION").into(),
        uid: 1_000,
        home: "/h".into(),
        home_file: Some(File { uid: 1_000, mode: 0o700 }),
        kernel: (6, 18),
        fetches: true,
        files: (20_000, None),
        inotify: Some((524_288, 1_024)),
        pids: (4_194_304, 300),
        pipes: Pipes { pages: 16_384, ..Pipes::default() },
        disks: vec![Disk {
            path: "/h".into(),
            total: 100 << 30,
            free: 50 << 30,
            files: (900, 1_000),
        }],
        ..Facts::default()
    }
}

fn found(facts: &Facts, check: &str) -> Finding {
    judge(facts).into_iter().find(|finding| finding.check == check).unwrap()
}

/// One thing is changed, and this check says so, with this remedy; nothing else does.
#[track_caller]
fn only(change: impl Fn(&mut Facts), level: Level, check: &str, says: &str, fix: &str) {
    let mut facts = well();
    change(&mut facts);
    let wrong: Vec<Finding> =
        judge(&facts).into_iter().filter(|finding| finding.level != Level::Ok).collect();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert_eq!((wrong[0].check, wrong[0].level), (check, level));
    assert!(wrong[0].says.contains(says), "{wrong:?}");
    assert!(wrong[0].fix.as_deref().unwrap().contains(fix), "{wrong:?}");
}

#[test]
fn where_all_is_well_nothing_is_said_to_be_wrong() {
    let findings = judge(&well());
    assert!(findings.iter().all(|finding| finding.level == Level::Ok), "{findings:?}");
    assert!(findings.len() > 10);
    assert!(findings.iter().all(|finding| finding.fix.is_none()));
}

#[test]
fn each_thing_that_is_wrong_is_told_with_its_remedy() {
    let (fail, warn) = (Level::Fail, Level::Warn);
    only(|f| f.daemon = Daemon::Dead, fail, "daemon", "were killed", "nexusctl list");
    only(|f| f.daemon = Daemon::Silent("no answer".into()), fail, "daemon", "no answer", "less ");
    only(|f| f.home_file = Some(File { uid: 7, mode: 0o700 }), fail, "home", "uid 7", "owner");
    let open = Some(File { uid: 1_000, mode: 0o755 });
    only(|f| f.home_file = open, fail, "home", "mode 755", "chmod 0700 /h");
    only(|f| f.loose = vec!["/h/state/key".into()], fail, "state", "key", "chmod go-rwx");
    let aside = || vec!["intents.1.damaged-5".to_owned()];
    only(|f| f.aside = aside(), warn, "state", "intents.1.damaged-5", "ls /h/state");
    only(|f| f.kernel = (5, 4), fail, "kernel", "too old", "5.10");
    only(|f| f.yama = Some(1), warn, "survives", "ptrace_scope is 1", "startup");
    only(|f| f.fetches = false, warn, "survives", "pidfd_getfd", "startup");
    only(|f| f.files = (1_024, Some(40)), warn, "files", "about 52 workers", "LimitNOFILE");
    only(|f| f.files = (20_000, Some(19_000)), fail, "files", "19000 of 20000", "LimitNOFILE");
    only(|f| f.inotify = Some((8_192, 128)), warn, "inotify", "8192", "max_user_watches");
    only(|f| f.pids = (32_768, 30_000), warn, "pids", "30000 of 32768", "pid_max");
    only(|f| f.disks[0].free = 5 << 30, warn, "disk", "5%", "flush");
    only(|f| f.disks[0].free = 1 << 30, fail, "disk", "1%", "flush");
    only(|f| f.disks[0].files.0 = 5, fail, "disk", "0% of its files", "flush");
    only(|f| f.pipes.new = 8_192, warn, "pipes", "new ones hold 8.00 KiB", "pages-soft=32768");
    only(|f| f.pm2 = Some(77), warn, "pm2", "pid 77", "pm2 kill");
    let left = || vec![Worker { pid: 9, place: "api/0".into(), child: 3 }];
    only(|f| f.workers = left(), warn, "leftovers", "api/0 (pid 9)", "takes them back");
}

fn unit(enabled: &str, active: &str) -> Unit {
    Unit::Of {
        name: "nexusd.service".into(),
        enabled: enabled.into(),
        active: active.into(),
        program: Some("/usr/bin/nexusctl".into()),
    }
}

#[test]
fn the_unit_is_to_start_what_runs_and_to_be_enabled() {
    let (fail, warn) = (Level::Fail, Level::Warn);
    only(|f| f.unit = unit("enabled", "failed"), fail, "boot", "is failed", "systemctl status");
    only(|f| f.unit = unit("disabled", "active"), warn, "boot", "is disabled", "systemctl enable");
    let other = Pair { program: Some("/opt/nexusctl".into()), ..Pair::default() };
    only(
        |f| (f.unit, f.pair) = (unit("enabled", "active"), Some(other.clone())),
        warn,
        "program",
        "starts /usr/bin/nexusctl, and /opt/nexusctl runs",
        "startup",
    );
    // With systemd as a third holder nothing has to be fetched.
    let kept = Facts { unit: unit("enabled", "active"), yama: Some(1), ..well() };
    assert_eq!(found(&kept, "survives").level, Level::Ok);
    let gone = Pair { replaced: true, ..Pair::default() };
    only(|f| f.pair = Some(gone.clone()), warn, "program", "was replaced", "daemon upgrade");
    let mixed = Pair { mixed: true, ..Pair::default() };
    only(|f| f.pair = Some(mixed.clone()), warn, "program", "different programs", "daemon upgrade");
}

#[test]
fn apps_in_trouble_and_apps_that_would_not_come_back_are_named() {
    let facts = Facts { snapshot: Some(snapshot()), unit: Unit::None, ..well() };
    let findings = judge(&facts);
    let of = |check: &str| findings.iter().filter(|one| one.check == check).collect::<Vec<_>>();
    assert_eq!(of("boot")[0].fix.as_deref(), Some("sudo nexusctl startup"));
    assert_eq!(of("apps").len(), 1);
    assert!(of("apps")[0].fix.as_deref().unwrap().starts_with("nexusctl why "));
}

#[test]
fn the_page_has_a_row_and_a_remedy_for_each() {
    let look = Look {
        width: None,
        color: false,
        ascii: false,
        terminal: false,
        zone: jiff::tz::TimeZone::UTC,
    };
    let findings =
        [Finding::ok("home", "/h"), Finding::fail("daemon", "killed \x1b[2J", "nexusctl list")];
    let text = "  ok    home    /h\n  FAIL  daemon  killed \\u{1b}[2J\n                fix: nexusctl list\n\n\
                1 ok, 0 warnings, 1 failure, in 0.4s\n";
    assert_eq!(page(&findings, 432, &look), text);
}
