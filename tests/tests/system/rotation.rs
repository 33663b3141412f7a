//! Log files that are rotated and flushed: within their bounds, and with nothing lost under kills.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_tests::{Home, PROMPT, truth, wait_for};
use nix::sys::signal::Signal;

use crate::{AT_ONCE, shell, worker};

/// Lines that are written while the pair is killed.
const LINES: u64 = 300_000;
/// How long that may take on a slow machine.
const LONG: Duration = Duration::from_secs(120);

fn files(home: &Home, app: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home.path().join("logs")).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| name(path).starts_with(app) && !name(path).contains(".idx"))
        .collect();
    files.sort();
    files
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// All that an app wrote to its standard output, rotated files included, as `logs` reads it.
fn all(home: &Home, app: &str) -> PathBuf {
    let text = home.ctl_within(LONG, &["logs", app, "--out", "--raw", "-n", "100000000"]).ok();
    home.write("all.txt", &text.stdout)
}

fn written(truth: &Path) -> u64 {
    let entries = std::fs::read_dir(truth).unwrap().flatten();
    let numbers = entries.filter_map(|entry| std::fs::read(entry.path()).ok()?.try_into().ok());
    numbers.map(u64::from_le_bytes).sum()
}

#[test]
fn rotation_under_load_and_kills_loses_doubles_and_tears_nothing() {
    let home = Home::new();
    let truth = home.project().join("truth");
    std::fs::create_dir(&truth).unwrap();
    let dir = truth.display().to_string();
    let args = ["--lines", "0", "--truth", &dir, "--ready-after", "0"];
    home.write("ecosystem.toml", &worker("flood", &args, "ready = \"notify\""));
    home.ctl(&["start"]).ok();
    let mut round = 0;
    while written(&truth) < LINES || round < 24 {
        // Some rotate by their size, some because it is asked for while one of the pair dies.
        let rotate = home.foreground(&["flush", "flood", "--rotate", "-q"], "flush.txt");
        let victim = if round % 2 == 0 { home.daemon() } else { home.keeper() };
        if let Some(victim) = victim {
            victim.signal(Signal::SIGKILL);
            // While it is still dying it would count as one of the pair.
            wait_for(PROMPT, "its end", || (!victim.alive()).then_some(()));
        }
        wait_for(PROMPT, "both of the pair", || home.daemon().zip(home.keeper()));
        home.ctl(&["list"]).ok();
        drop(rotate);
        round += 1;
    }
    home.ctl(&["stop", "flood"]).ok();
    let found = wait_for(LONG, "all lines, once each, whole", || {
        truth::compare(&[all(&home, "flood")], &truth).ok()
    });
    assert!(found >= LINES);
    // Each file by itself is whole lines, whoever reads it.
    for file in files(&home, "flood").iter().filter(|path| !name(path).ends_with(".tmp")) {
        let bytes = if name(file).ends_with(".gz") {
            std::process::Command::new("gzip").arg("-dc").arg(file).output().unwrap().stdout
        } else {
            std::fs::read(file).unwrap_or_default()
        };
        assert!(bytes.is_empty() || bytes.ends_with(b"\n"), "{} ends in a line", file.display());
    }
    let rotated = files(&home, "flood-out").len();
    assert!(rotated > 10, "hardly anything was rotated: {rotated} files");
}

#[test]
fn by_default_a_log_is_rotated_at_ten_megabytes_compressed_and_read_back_as_one() {
    let home = Home::new();
    // 24 MB of numbered lines.
    let line = "seq -f 'number %08.0f' 1 1500000; echo the end; exec sleep 1000";
    home.write("ecosystem.toml", &shell("long", line, AT_ONCE));
    home.ctl(&["start"]).ok();
    wait_for(LONG, "two compressed files", || {
        let names = files(&home, "long-out");
        let packed = names.iter().filter(|path| name(path).ends_with("Z.gz")).count();
        (packed == 2 && names.len() == 3).then_some(())
    });
    for file in files(&home, "long-out") {
        let meta = std::fs::metadata(&file).unwrap();
        assert!(meta.len() < 12 << 20, "{}: {}", file.display(), meta.len());
        let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions());
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    let wanted: String = (1..=1_500_000).map(|n| format!("number {n:08}\n")).collect();
    let text = wait_for(LONG, "all lines", || {
        let text = std::fs::read_to_string(all(&home, "long")).unwrap();
        text.ends_with("the end\n").then_some(text)
    });
    assert!(text == wanted + "the end\n", "{} bytes", text.len());
    // The last lines, and those around one of the first file, which is compressed.
    let last = home.ctl_within(LONG, &["logs", "long", "--raw", "-n", "2"]).ok().stdout;
    assert_eq!(last, "number 01500000\nthe end\n");
    let around = ["logs", "long", "--raw", "--grep", "00000042$", "-C", "1"];
    let found = home.ctl_within(LONG, &around).ok().stdout;
    assert_eq!(found, "number 00000041\nnumber 00000042\nnumber 00000043\n");
}

#[test]
fn a_follower_sees_every_line_once_across_rotations() {
    let home = Home::new();
    let line = "n=0; while :; do echo line-$n; n=$((n+1)); sleep 0.002; done";
    home.write("ecosystem.toml", &shell("app", line, AT_ONCE));
    home.ctl(&["start"]).ok();
    let _follower = home.foreground(&["logs", "app", "-f", "--raw", "-n", "1000000"], "seen.txt");
    let seen = home.project().join("seen.txt");
    let lines = || std::fs::read_to_string(&seen).unwrap_or_default();
    for _ in 0..10 {
        let before = lines().lines().count();
        wait_for(PROMPT, "more lines", || (lines().lines().count() > before + 20).then_some(()));
        home.ctl(&["flush", "app", "--rotate"]).ok();
    }
    home.ctl(&["stop", "app"]).ok();
    // Not within the line that is being written.
    let text = wait_for(PROMPT, "whole lines", || Some(lines()).filter(|t| t.ends_with('\n')));
    for (at, line) in text.lines().enumerate() {
        assert_eq!(line, format!("line-{at}"));
    }
    assert!(files(&home, "app-out").len() > 5, "{:?}", files(&home, "app-out"));
}

#[test]
fn a_flush_empties_the_files_and_deletes_what_was_rotated() {
    let home = Home::new();
    let line = "while :; do test -e go && { rm go; echo word; }; sleep 0.02; done";
    let text = shell("app", line, AT_ONCE) + &shell("calm", "echo here; exec sleep 1000", AT_ONCE);
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).ok();
    let log = home.path().join("logs/app-out.log");
    let say = || {
        home.write("go", "");
        wait_for(PROMPT, "a word", || {
            std::fs::read_to_string(&log).ok().filter(|text| text.ends_with("word\n")).map(drop)
        });
    };
    say();
    home.ctl(&["flush", "app", "--rotate"]).ok();
    assert_eq!(std::fs::read(&log).unwrap(), b"");
    say();
    assert_eq!(home.ctl(&["logs", "app", "--raw"]).ok().stdout, "word\nword\n");
    let flushed = home.ctl(&["flush", "app", "-o", "json"]).ok().json();
    assert_eq!(flushed["schema"], "nexus.flush/1");
    assert!(flushed["apps"][0]["freed_bytes"].as_u64().unwrap() >= 10, "{flushed}");
    wait_for(PROMPT, "one empty file of each stream", || {
        let left = files(&home, "app");
        let empty = left.iter().all(|path| std::fs::metadata(path).is_ok_and(|m| m.len() == 0));
        (empty && left.len() == 2).then_some(())
    });
    assert_eq!(home.ctl(&["logs", "app", "--raw"]).ok().stdout, "");
    say();
    assert_eq!(home.ctl(&["logs", "app", "--raw"]).ok().stdout, "word\n");
    assert_eq!(home.ctl(&["logs", "calm", "--raw"]).ok().stdout, "here\n", "another app's is kept");
    home.ctl(&["flush", "nobody"]).expect_code(4);
    let plan = home.ctl(&["flush", "--dry-run"]).ok().stdout;
    assert_eq!(plan, "would flush app\nwould flush calm\n");
    // Of an app that is stopped, and of all.
    home.ctl(&["stop", "calm"]).ok();
    home.ctl(&["flush"]).ok();
    assert_eq!(home.ctl(&["logs", "--raw"]).ok().stdout, "");
    let events = home.ctl(&["events", "-o", "json"]).ok().stdout;
    assert!(events.contains("flush app"), "{events}");
}

#[test]
fn old_files_go_by_number_and_by_the_total_of_the_app() {
    let home = Home::new();
    let line = "seq -f 'number %08.0f of many' 1 200000; exec sleep 1000";
    let limits = [
        ("few", "max_size = \"256K\", keep = 3"),
        ("small", "max_size = \"256K\", total = \"1M\", compress = false"),
        ("none", "max_size = \"none\""),
    ];
    let text: String = limits
        .iter()
        .map(|(name, limits)| shell(name, line, &format!("{AT_ONCE}\nlog = {{ {limits} }}")))
        .collect();
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).ok();
    let size = |app: &str| -> u64 {
        files(&home, app).iter().filter_map(|path| Some(path.metadata().ok()?.len())).sum()
    };
    let whole = 200_000 * "number 00000001 of many\n".len() as u64;
    wait_for(LONG, "all of the third", || (size("none") == whole).then_some(()));
    wait_for(LONG, "three compressed files", || {
        let rotated = files(&home, "few-out.log.2");
        (rotated.len() == 3 && rotated.iter().all(|path| name(path).ends_with("gz"))).then_some(())
    });
    wait_for(LONG, "a small total", || (size("small") <= 1 << 20).then_some(()));
    for app in ["few", "small", "none"] {
        let last = home.ctl(&["logs", app, "--raw", "-n", "1"]).ok().stdout;
        assert_eq!(last, "number 00200000 of many\n");
    }
    assert!(files(&home, "small").iter().all(|path| !name(path).ends_with(".gz")));
}

#[test]
fn a_file_that_was_begun_long_ago_is_rotated_with_its_next_line() {
    let home = Home::new();
    let line = "n=0; while :; do test -e go-$n && { echo line-$n; n=$((n+1)); }; sleep 0.02; done";
    let more = format!("{AT_ONCE}\nlog = {{ max_age = \"1s\", compress = false }}");
    home.write("ecosystem.toml", &shell("app", line, &more));
    home.write("go-0", "");
    home.ctl(&["start"]).ok();
    let log = home.path().join("logs/app-out.log");
    wait_for(PROMPT, "a line", || (std::fs::read(&log).ok()? == b"line-0\n").then_some(()));
    let begin = std::time::Instant::now();
    wait_for(PROMPT, "its age", || (begin.elapsed() > Duration::from_millis(1_100)).then_some(()));
    home.write("go-1", "");
    wait_for(PROMPT, "a new file", || (std::fs::read(&log).ok()? == b"line-1\n").then_some(()));
    assert_eq!(home.ctl(&["logs", "app", "--raw"]).ok().stdout, "line-0\nline-1\n");
}

#[test]
fn a_log_that_was_large_before_we_came_is_kept_until_the_next_rotation() {
    let home = Home::new();
    let line = "echo young; exec sleep 1000";
    let old = "old line\n".repeat(100_000);
    let apps =
        [("bounded", "total = \"200K\""), ("unbounded", "total = \"200K\", max_size = \"none\"")];
    let mut text = String::new();
    for (name, limits) in apps {
        let log = home.write(&format!("{name}.log"), &old);
        let more = format!("{AT_ONCE}\nout_file = {log:?}\nlog = {{ {limits}, compress = false }}");
        text += &shell(name, line, &more);
    }
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).ok();
    for (name, _) in apps {
        let wanted = old.clone() + "young\n";
        wait_for(PROMPT, "all of it", || {
            let args = ["logs", name, "--out", "--raw", "-n", "1000000"];
            (home.ctl_within(LONG, &args).ok().stdout == wanted).then_some(())
        });
    }
    let unbounded = std::fs::read(home.project().join("unbounded.log")).unwrap();
    assert!(unbounded.ends_with(b"old line\nyoung\n"), "it is never rotated");
}
