//! Names, formats and the document.

use std::collections::BTreeSet;

use nexus_proto::{DaemonView, HostView};

use super::*;

fn empty() -> Snapshot {
    let pid = std::process::id().cast_signed();
    Snapshot {
        schema: "nexus.list/1".into(),
        generation: 1,
        generated_at: String::new(),
        daemon: DaemonView {
            version: "1.2.3".into(),
            home: String::new(),
            pid,
            keeper_pid: pid,
            uptime_ms: 1,
            pair_uptime_ms: 1_500,
            nexusd_restarts: 2,
            keeper_restarts: 0,
            service: None,
            keeper_version: "1.2.3".into(),
            trees: "cgroup".into(),
        },
        host: HostView {
            name: String::new(),
            cpus: 4,
            cpu_percent: None,
            load_1m: 0.5,
            memory_used_bytes: 1,
            memory_total_bytes: 2,
        },
        apps: Vec::new(),
    }
}

#[test]
fn an_answer_is_openmetrics_unless_only_plain_text_is_taken() {
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2,*/*;q=0.1";
    for accept in [prometheus, "*/*", ""] {
        assert_eq!(Format::of(accept), Format::Open, "{accept}");
    }
    assert_eq!(Format::of("text/plain;version=0.0.4"), Format::Classic);
}

#[test]
fn counters_are_named_as_each_format_wants_them() {
    let open = render(empty(), Format::Open);
    assert!(open.contains("# TYPE nexus_process_replacements counter\n"), "{open}");
    assert!(open.contains("nexus_process_replacements_total{process=\"nexusd\"} 2.0\n"), "{open}");
    assert!(open.contains("nexus_build_info{version=\"1.2.3\"} 1\n"), "{open}");
    assert!(open.ends_with("# EOF\n"));
    let old = render(empty(), Format::Classic);
    assert!(old.contains("# TYPE nexus_process_replacements_total counter\n"), "{old}");
    assert!(old.contains("# TYPE nexus_build_info gauge\n"), "{old}");
    assert!(old.contains("nexus_pair_uptime_seconds 1.5\n") && !old.contains("EOF"), "{old}");
}

#[test]
fn names_are_unique_and_have_a_sentence() {
    let names: BTreeSet<String> = FAMILIES.iter().map(Family::sample_name).collect();
    assert_eq!(names.len(), FAMILIES.len());
    for family in &FAMILIES {
        assert!(family.name.starts_with("nexus_") && family.help.ends_with('.'), "{}", family.name);
    }
}

/// `NEXUS_BLESS=1` writes the table of `docs/METRICS.md` anew.
#[test]
fn the_document_lists_every_family() {
    const BEGIN: &str = "| series | kind | labels | says |\n| --- | --- | --- | --- |\n";
    let mut table = BEGIN.to_owned();
    for family in &FAMILIES {
        let kind = format!("{:?}", family.kind).to_lowercase();
        let (name, labels) = (family.sample_name(), family.labels.join(", "));
        table.push_str(&format!("| `{name}` | {kind} | {labels} | {} |\n", family.help));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/METRICS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let begin = text.find(BEGIN).unwrap();
    let end = text[begin..].find("\n\n").map_or(text.len(), |length| begin + length + 1);
    if std::env::var_os("NEXUS_BLESS").is_some() {
        std::fs::write(path, format!("{}{table}{}", &text[..begin], &text[end..])).unwrap();
        return;
    }
    assert_eq!(&text[begin..end], table, "NEXUS_BLESS=1 cargo test writes it anew");
}
