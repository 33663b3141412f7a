//! `GET /v1/logs`: what `curl` and dashboards read.

use std::io::{BufRead, BufReader, Write};

use nexus_tests::{Home, PROMPT, wait_for};
use serde_json::Value;

use crate::{AT_ONCE, shell};

fn texts(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let lines = answer["lines"].as_array().unwrap().iter();
    lines.map(|line| (text(&line["stream"]), text(&line["msg"]))).collect()
}

#[test]
fn the_last_lines_are_told_of_whom_and_when() {
    let home = Home::new();
    let line = "for n in 1 2 3; do echo line $n; done; echo bad >&2; exec sleep 1000";
    home.write(
        "ecosystem.toml",
        &(shell("a", line, AT_ONCE) + &shell("b", "exec sleep 9", AT_ONCE)),
    );
    home.ctl(&["start"]).ok();
    let answer = wait_for(PROMPT, "four lines", || {
        let answer = home.api("/v1/logs?t=a");
        (answer["lines"].as_array()?.len() == 4).then_some(answer)
    });
    assert_eq!((&answer["schema"], &answer["left_out"]), (&"nexus.logs/1".into(), &0.into()));
    let first = &answer["lines"][0];
    assert_eq!(first["schema"], "nexus.log/1");
    assert_eq!((&first["app"], &first["instance"]), (&"a".into(), &0.into()));
    assert!(first["ts"].as_str().unwrap().ends_with('Z'), "{first}");
    let err = home.api("/v1/logs?t=a&stream=err");
    assert_eq!(texts(&err), [("err".to_owned(), "bad".to_owned())]);
    let last = home.api("/v1/logs?t=a&stream=out&last=1");
    assert_eq!(texts(&last), [("out".to_owned(), "line 3".to_owned())]);
    assert_eq!(texts(&home.api("/v1/logs?t=b")), []);
    let later = home.api("/v1/logs?since_unix_ms=99999999999999");
    assert_eq!(texts(&later), []);
    for (path, status) in [("/v1/logs?t=nobody", 404), ("/v1/logs?last=many", 400)] {
        let answer = home.ask("GET", path, "", "").unwrap();
        assert_eq!(answer.status, status, "{path}");
    }
}

#[test]
fn a_follower_gets_each_line_once_as_it_comes() {
    let home = Home::new();
    let line = "n=0; while :; do n=$((n+1)); echo $n; sleep 0.01; done";
    home.write("ecosystem.toml", &shell("count", line, AT_ONCE));
    home.ctl(&["start"]).ok();
    let mut stream = home.connect().unwrap();
    let request = "GET /v1/logs?t=count&follow=true&last=5 HTTP/1.1\r\nHost: nexus\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    let objects = lines.filter(|line| line.starts_with('{'));
    let number = |line: String| -> u64 {
        let line: Value = serde_json::from_str(&line).unwrap();
        line["msg"].as_str().unwrap().parse().unwrap()
    };
    let numbers: Vec<u64> = objects.map(number).take(40).collect();
    let expected: Vec<u64> = (numbers[0]..numbers[0] + 40).collect();
    assert_eq!(numbers, expected);
}
