//! `nexusctl logs`: lines chosen by pattern, level and time.

use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nexus_tests::{Home, PROMPT, wait_for};
use serde_json::Value;

use crate::{AT_ONCE, shell};

const LINES: &str = "INFO  started
WARN  slow query 212ms
GET /v1/orders 200
ERROR cannot connect to redis
    at connect (db.js:41)
    at retry (db.js:12)
{\"level\":50,\"msg\":\"order 17 failed\"}
GET /healthz 200
DEBUG cache miss
the end
";

/// An app that has written them.
fn told() -> Home {
    let home = Home::new();
    home.write("lines", LINES);
    home.write("ecosystem.toml", &shell("app", "cat lines; exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let log = home.path().join("logs/app-out.log");
    wait_for(PROMPT, "the last line", || {
        std::fs::read_to_string(&log).ok().filter(|text| text.ends_with("the end\n")).map(drop)
    });
    home
}

fn raw(home: &Home, args: &[&str]) -> String {
    home.ctl(&[&["logs", "app", "--raw"], args].concat()).ok().stdout
}

#[test]
fn by_pattern_and_not_by_pattern_with_lines_around() {
    let home = told();
    assert_eq!(raw(&home, &[]), LINES);
    assert_eq!(raw(&home, &["--grep", "GET", "--not", "healthz"]), "GET /v1/orders 200\n");
    assert_eq!(
        raw(&home, &["-g", "redis|query"]),
        "WARN  slow query 212ms\n--\nERROR cannot connect to redis\n"
    );
    assert_eq!(raw(&home, &["-g", "(?i)END", "-C", "1"]), "DEBUG cache miss\nthe end\n");
    assert_eq!(raw(&home, &["-g", "GET", "-n", "1"]), "GET /healthz 200\n");
    assert_eq!(raw(&home, &["-g", "nothing of the kind"]), "");
    let bad = home.ctl(&["logs", "app", "--grep", "a("]).expect_code(2);
    assert!(bad.stderr.contains("`a(` is no regular expression"), "{}", bad.stderr);
}

#[test]
fn by_level_with_stacks_whole() {
    let home = told();
    let errors = "ERROR cannot connect to redis
    at connect (db.js:41)
    at retry (db.js:12)
{\"level\":50,\"msg\":\"order 17 failed\"}
";
    assert_eq!(raw(&home, &["--level", "error"]), errors);
    assert_eq!(raw(&home, &["--level", "warn"]), format!("WARN  slow query 212ms\n--\n{errors}"));
    let shown = home.ctl(&["logs", "app", "--level", "warn", "--utc"]).ok().stdout;
    assert!(shown.contains(" WRN WARN  slow") && shown.contains(" ERR     at connect"), "{shown}");
}

#[test]
fn json_tells_the_level_and_what_the_app_wrote_as_json() {
    let home = told();
    let text = home.ctl(&["logs", "app", "-o", "json"]).ok().stdout;
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 10);
    assert_eq!((&lines[0]["level"], &lines[0]["json"]), (&"info".into(), &Value::Null));
    assert_eq!(lines[4]["level"], "error", "a stack has the level of its first line");
    assert_eq!(lines[6]["json"]["msg"], "order 17 failed");
    assert_eq!(lines[2]["level"], Value::Null);
}

#[test]
fn until_a_time() {
    let home = told();
    assert_eq!(raw(&home, &["--until", "2020-01-01"]), "");
    assert_eq!(raw(&home, &["--until", "2199-01-01"]), LINES);
    home.ctl(&["logs", "app", "--until", "5m", "-f"]).expect_code(2);
}

#[test]
fn a_follower_shows_what_is_chosen_as_it_comes() {
    let home = Home::new();
    let line = "n=0; while :; do test -e go-$n && { echo INFO $n; echo ERROR $n; n=$((n+1)); }; sleep 0.02; done";
    home.write("ecosystem.toml", &shell("app", line, AT_ONCE));
    home.ctl(&["start"]).ok();
    let _follower = home.foreground(&["logs", "-f", "--raw", "--level", "error"], "seen.txt");
    let seen = home.project().join("seen.txt");
    for number in 0..3 {
        home.write(&format!("go-{number}"), "");
        wait_for(PROMPT, "the error", || {
            let text = std::fs::read_to_string(&seen).ok()?;
            text.ends_with(&format!("ERROR {number}\n")).then_some(())
        });
    }
    assert!(!std::fs::read_to_string(&seen).unwrap().contains("INFO"));
}

/// A log of so many bytes that was written an hour ago, with its index: 36,000 records.
fn write_old(log: &std::path::Path, size: u64) {
    let line = format!("{}\n", "old and long ago ".repeat(6));
    let block = line.repeat(10_000);
    let mut file = std::io::BufWriter::new(std::fs::File::create(log).unwrap());
    let mut written = 0;
    while written < size {
        file.write_all(block.as_bytes()).unwrap();
        written += block.len() as u64;
    }
    let hours_ago = SystemTime::now() - Duration::from_secs(2 * 3600);
    let begin = hours_ago.duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let records = (0..36_000_u64).flat_map(|n| {
        let offset = written / 36_000 * n;
        [(begin + n * 100_000_000).to_le_bytes(), offset.to_le_bytes()].concat()
    });
    std::fs::write(log.with_extension("log.idx"), records.collect::<Vec<u8>>()).unwrap();
}

#[test]
fn since_five_minutes_on_a_large_log_reads_no_more_than_that() {
    let home = Home::new();
    let log = home.project().join("large.log");
    write_old(&log, 300_000_000);
    let more = format!("{AT_ONCE}\nout_file = \"large.log\"\nlog = {{ max_size = \"none\" }}");
    home.write("ecosystem.toml", &shell("large", "echo young; exec sleep 1000", &more));
    home.ctl(&["start"]).ok();
    wait_for(PROMPT, "the young line", || {
        let text = home.ctl(&["logs", "large", "--since", "5m", "--raw"]).ok().stdout;
        (text == "young\n").then_some(())
    });
    let begin = Instant::now();
    home.ctl(&["logs", "large", "--since", "5m", "--raw"]).ok();
    // 100 ms is the promise of a release build on a machine that does nothing else.
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    let level = home.ctl(&["logs", "large", "-g", "young", "-n", "1", "--raw"]).ok().stdout;
    assert_eq!(level, "young\n");
}
