//! The views against files: `UPDATE_GOLDEN=1 cargo test -p nexusctl` writes them anew.

use super::fixture::{crashing, look, snapshot, story};
use super::*;
use crate::look::Look;
use crate::text::width;
use nexus_proto::Snapshot;

fn check(name: &str, text: &str) {
    let path = format!("{}/src/view/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name} differs:\n{text}");
}

#[test]
fn list_at_three_widths_and_in_a_pipe() {
    for columns in [40, 80, 160, 0] {
        let page = list(&snapshot(), &look(columns), Rows::default());
        check(&format!("list-{columns}"), &page.text);
    }
    let wide = Rows { wide: true, instances: false };
    check("list-wide", &list(&snapshot(), &look(80), wide).text);
}

#[test]
fn list_by_instance() {
    let rows = Rows { instances: true, wide: false };
    for columns in [80, 160] {
        check(&format!("instances-{columns}"), &list(&snapshot(), &look(columns), rows).text);
    }
}

#[test]
fn list_in_ascii_and_in_colour() {
    let ascii = Look { ascii: true, ..look(80) };
    let text = list(&snapshot(), &ascii, Rows::default()).text;
    assert!(text.lines().next().unwrap().is_ascii());
    check("list-ascii", &text);
    let color = Look { color: true, ..look(80) };
    check("list-color", &list(&snapshot(), &color, Rows::default()).text);
}

#[test]
fn nothing_there_yet() {
    let empty = Snapshot { apps: Vec::new(), ..snapshot() };
    check("list-empty", &list(&empty, &look(80), Rows::default()).text);
}

#[test]
fn describe_at_two_widths() {
    let today = "2026-11-23T14:02:30.000Z";
    for columns in [80, 160] {
        let text = describe(&crashing(), &story(), today, &look(columns));
        check(&format!("describe-{columns}"), &text);
        let all = snapshot();
        let text = describe(&all.apps[0], &[], today, &look(columns));
        check(&format!("describe-online-{columns}"), &text);
    }
}

#[test]
fn why_it_crashes() {
    let (app, events) = (crashing(), story());
    let cause =
        Cause { app: &app, instance: None, events: &events, today: "2026-11-23T14:02:30.000Z" };
    check("why-80", &why(&cause, &look(80)));
}

#[test]
fn events_as_a_table_and_as_lines() {
    check("events-80", &events(&story(), "2026-11-23T14:02:30.000Z", &look(80)).text);
    let lines: String = story().iter().map(|event| event_line(event, &look(80))).collect();
    check("event-lines", &lines);
}

#[test]
fn jlist_is_the_array_of_pm2_without_the_environment() {
    let text = serde_json::to_string_pretty(&jlist(Some(&snapshot()))).unwrap();
    check("jlist", &text);
    assert!(!text.contains("REDIS_URL"));
    assert_eq!(jlist(None).to_string(), "[]");
}

#[test]
fn no_table_line_is_wider_than_the_terminal_and_nothing_moves_the_cursor() {
    let mut all = snapshot();
    all.apps[1].listen = vec!["unix:/run/価格\x1b[2J.sock".into()];
    for columns in [20, 39, 40, 59, 60, 79, 80, 81, 119, 120, 160, 200] {
        for instances in [false, true] {
            let page = list(&all, &look(columns), Rows { instances, wide: false });
            let rows = page.text.lines().take_while(|line| !line.is_empty());
            // NAME and nothing else is the least; below its 12 columns nothing is promised.
            assert!(rows.clone().all(|line| width(line) <= columns), "{columns}:\n{}", page.text);
            assert!(!page.text.contains('\x1b'));
        }
    }
}
