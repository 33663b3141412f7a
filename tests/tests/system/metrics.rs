//! `GET /v1/metrics`: what Prometheus's own tool reads of it.

use std::path::Path;

use nexus_tests::{Home, PROMPT, run, wait_for};

use crate::{AT_ONCE, shell};

/// Two apps, one of which is down.
fn fleet() -> Home {
    let home = Home::new();
    let more = format!("{AT_ONCE}\ninstances = 2\nmax_memory_restart = '1G'\nnamespace = 'batch'");
    let text = shell("up", "exec sleep 1000", &more) + &shell("down", "exit 3", "max_restarts = 0");
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).expect_code(10);
    home.until("down", "its being given up", |app| app.status() == "errored");
    home
}

fn metrics(home: &Home, accept: &str) -> String {
    let answer = home.ask("GET", "/v1/metrics", &format!("Accept: {accept}\r\n"), "").unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn shell_line(home: &Home, line: &str) -> nexus_tests::Output {
    run(home.command(Path::new("sh")).args(["-c", line]), PROMPT)
}

#[test]
fn promtool_takes_the_older_format() {
    let home = fleet();
    home.write("classic.prom", &metrics(&home, "text/plain"));
    let output = shell_line(&home, "promtool check metrics < classic.prom").ok();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
}

#[test]
fn promtool_takes_openmetrics() {
    let home = fleet();
    // What it reads into blocks must say when it was.
    let stamped: String = metrics(&home, "application/openmetrics-text")
        .lines()
        .map(|line| if line.starts_with('#') { format!("{line}\n") } else { format!("{line} 1\n") })
        .collect();
    home.write("open.prom", &stamped);
    shell_line(&home, "promtool tsdb create-blocks-from openmetrics open.prom blocks").ok();
    let dump = shell_line(&home, "mkdir -p blocks/wal && promtool tsdb dump blocks").ok().stdout;
    assert!(dump.contains("nexus_instance_up"), "{dump}");
}

#[test]
fn the_figures_are_those_of_the_fleet() {
    let home = fleet();
    let labels = "app=\"up\",namespace=\"batch\"";
    let text = wait_for(PROMPT, "figures", || {
        Some(metrics(&home, "*/*"))
            .filter(|text| text.contains("nexus_instance_cpu_seconds_total{"))
    });
    for series in [
        format!("nexus_app_instances{{{labels},status=\"online\"}} 2.0"),
        format!("nexus_app_instances_wanted{{{labels}}} 2.0"),
        format!("nexus_app_memory_max_bytes{{{labels}}} 1073741824.0"),
        format!("nexus_instance_up{{{labels},instance=\"1\"}} 1.0"),
        "nexus_app_instances{app=\"down\",namespace=\"default\",status=\"errored\"} 1.0".into(),
        "nexus_process_replacements_total{process=\"nexusd\"} 0.0".into(),
        "nexus_apps 2.0".into(),
        "nexus_instances_omitted 0.0".into(),
        "# EOF".into(),
    ] {
        assert!(text.lines().any(|line| line == series), "no {series} in\n{text}");
    }
    for family in
        ["nexus_host_load1 ", "nexus_host_memory_total_bytes ", "nexus_process_memory_bytes{"]
    {
        let line = text.lines().find(|line| line.starts_with(family)).unwrap();
        assert!(line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() >= 0.0, "{line}");
    }
    let pid = home.known("up").pids()[0].to_string();
    assert!(!text.contains(&pid), "a pid is no label: there is no end of them");
}
