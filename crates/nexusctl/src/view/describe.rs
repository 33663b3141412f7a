//! `describe`: the answer first (why, what next, its own words), then instances, the last events,
//! and the settings.

use nexus_proto::{AppView, DependencyView, EventView, LogFile, TimesView, WatchView};
use nexus_spec::Door;

use super::clock::clock;
use super::list::{exit_of, not_adopted, status_text};
use super::table::{Cell, Column, Table};
use crate::human::{ago, share, size, span};
use crate::look::{Look, Role, role};
use crate::progress::ready_by;
use crate::text::{cut, last, plain};

/// Lines of the app's own words.
const OWN_LINES: usize = 5;
/// Log files that are named; the rest is counted.
const LOGS_MAX: usize = 4;
/// The widest line in a pipe.
const LINE_MAX: usize = 400;

/// One app. `today` is the moment of the answer.
pub(crate) fn describe(app: &AppView, events: &[EventView], today: &str, look: &Look) -> String {
    let status = look.paint(role(app.status), &status_text(app.status, look));
    let mut text = format!(
        "{}  {status}  {}/{} ready      namespace {}\n",
        look.paint(Role::Bold, app.name.as_str()),
        app.ready,
        app.wanted,
        plain(&app.namespace)
    );
    text.push_str(&answer(app, look));
    text.push_str(&format!("\n{}\n", look.paint(Role::Bold, "Instances")));
    text.push_str(&instances(app, look));
    let heading = match events.len() {
        0 => "No events yet".to_owned(),
        1 => "Last event".to_owned(),
        number => format!("Last {number} events"),
    };
    text.push_str(&format!("\n{}\n", look.paint(Role::Bold, &heading)));
    for event in events {
        let at = clock(&event.at, Some(today), &look.zone);
        let by = if event.by == "nexusd" { String::new() } else { format!("  by {}", event.by) };
        let subject = super::events::event_subject(event);
        let line = plain(&format!("{at}  {subject}  {}  {}{by}", event.kind, event.detail));
        text.push_str(&format!("  {}\n", fit(&line, look)));
    }
    text.push_str(&settings(app, look));
    text
}

/// Why it is as it is, when something is wrong.
fn answer(app: &AppView, look: &Look) -> String {
    let mut text = match not_adopted(app) {
        Some(why) => format!("  note     {why}\n"),
        None => String::new(),
    };
    if let Some(rollout) = &app.rollout {
        text.push_str(&format!("  reload   {}\n", plain(&under_way(app, rollout))));
    }
    let Some(trouble) = &app.trouble else { return text };
    text.push_str(&format!("  why      {}\n", plain(&trouble.what)));
    let next = app.instances.iter().filter_map(|one| one.again_in_ms).min();
    if let Some(ms) = next.filter(|_| !trouble.what.contains("next try")) {
        text.push_str(&format!("  next     tried again in {}\n", span(ms)));
    }
    for (number, line) in last(&trouble.last_lines, OWN_LINES).enumerate() {
        let label = if number == 0 { "stderr" } else { "      " };
        text.push_str(&format!("  {label}   {}\n", fit(&line, look)));
    }
    let command = look.paint(Role::Note, &plain(&trouble.try_next));
    text.push_str(&format!("  try      {command}\n"));
    text
}

fn instances(app: &AppView, look: &Look) -> String {
    let mut table = Table::default();
    let rows = &app.instances;
    table.column(Column::right("#", 0), rows.iter().map(|one| Cell::new(one.instance.to_string())));
    table.column(Column::right("ID", 5), rows.iter().map(|one| Cell::new(one.id.to_string())));
    let pid = |pid: Option<i32>| pid.map(|pid| pid.to_string()).unwrap_or_default();
    table.column(Column::right("PID", 2), rows.iter().map(|one| Cell::new(pid(one.pid))));
    let status = |one: &nexus_proto::InstanceView| {
        Cell::new(status_text(one.status, look)).role(role(one.status))
    };
    table.column(Column::left("STATUS", 1), rows.iter().map(status));
    let cpu = |percent: Option<f64>| Cell::new(percent.map(share).unwrap_or_default());
    table.column(Column::right("CPU", 6), rows.iter().map(|one| cpu(one.cpu_percent)));
    let memory = |bytes: Option<u64>| Cell::new(bytes.map(size).unwrap_or_default());
    table.column(Column::right("MEM", 6), rows.iter().map(|one| memory(one.memory_bytes)));
    let restarts = rows.iter().map(|one| Cell::new(one.restarts.to_string()));
    table.column(Column::right("RESTARTS", 3), restarts);
    table.column(Column::left("LAST EXIT", 4), rows.iter().map(|one| Cell::new(exit_of(one))));
    let uptime = |ms: Option<u64>| Cell::new(ms.map(span).unwrap_or_default());
    table.column(Column::right("UPTIME", 7), rows.iter().map(|one| uptime(one.uptime_ms)));
    let explain = rows.iter().map(|one| Cell::new(plain(&state(one))));
    table.column(Column::left("STATE", 8), explain);
    let room = look.width.map(|width| width.saturating_sub(2));
    let page = table.render(&Look { width: room, ..look.clone() });
    page.text.lines().map(|line| format!("  {line}\n")).collect()
}

/// In our words, then in its own.
fn state(one: &nexus_proto::InstanceView) -> String {
    match &one.says {
        Some(says) => format!("{}: {says}", one.explain),
        None => one.explain.clone(),
    }
}

fn settings(app: &AppView, look: &Look) -> String {
    let mut text = String::new();
    let source = app.source.as_deref().map(|from| format!("      ({from})")).unwrap_or_default();
    let heading = look.paint(Role::Bold, "Runs");
    text.push_str(&format!(
        "\n{heading}       {}\n",
        plain(&format!("{}{source}", app.command.join(" ")))
    ));
    let mut add = |label: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("  {label:<8} {}\n", plain(value)));
        }
    };
    let user = app.user.as_deref().map(|user| format!("            user {user}"));
    add("cwd", &format!("{}{}", app.cwd, user.unwrap_or_default()));
    add("env", &environment(app));
    for (label, path) in logs(app) {
        add(&label, &path);
    }
    add("build", app.build_log.as_deref().unwrap_or_default());
    add("listen", &app.listen.join(", "));
    add("restart", &app.restart_policy);
    add("memory", &memory_limits(app));
    for times in &app.times {
        add(if times.does == "run" { "schedule" } else { "cron" }, &set_times(times));
    }
    add("watch", &app.watch.as_ref().map(watched).unwrap_or_default());
    add("needs", &needs(app));
    let by = ready_by(app).map(|by| format!(": {by}")).unwrap_or_default();
    add("ready", &format!("{}{by}", app.ready_when));
    add("health", app.health.as_deref().unwrap_or_default());
    let tree = if app.stop_tree { " to the whole tree" } else { "" };
    let after = nexus_spec::Span(app.kill_timeout_ms);
    add("stop", &format!("{}{tree}, SIGKILL after {after}", app.stop_signal));
    let trees: std::collections::BTreeSet<&str> =
        app.instances.iter().map(|one| one.tree.as_str()).filter(|tree| !tree.is_empty()).collect();
    add("tree", &trees.into_iter().collect::<Vec<_>>().join(", "));
    let defaults = match app.door {
        Door::Ours => "ours",
        Door::Pm2 => "PM2's",
    };
    let came = match app.version == app.generation || app.version == 0 {
        true => String::new(),
        false => format!(", configured as with {}", app.version),
    };
    add("spec", &format!("generation {}{came}; defaults are {defaults}", app.generation));
    add("rollback", &versions(app));
    add("scales", &app.scaling.as_ref().map(scales).unwrap_or_default());
    text
}

/// `2 to 8 instances, each at 70 % of a CPU`.
fn scales(rule: &nexus_proto::ScalingView) -> String {
    let (min, max, target) = (rule.min, rule.max, rule.target_cpu_percent);
    format!("{min} to {max} instances, each at {target} % of a CPU")
}

/// `to generation 5: 1 of 4 replaced, watched for 42s more (nexusctl abort api)`.
fn under_way(app: &AppView, rollout: &nexus_proto::RolloutView) -> String {
    let done = if rollout.going_back { "put back" } else { "replaced" };
    let watched = match rollout.watched_for_ms {
        Some(ms) => format!(", watched for {} more", span(ms)),
        None => String::new(),
    };
    let (to, of) = (rollout.generation, rollout.of);
    let to = if rollout.going_back { format!("back from {to}") } else { format!("to {to}") };
    format!("{to}: {} of {of} {done}{watched} (nexusctl abort {})", rollout.done, app.name)
}

/// `to 3 (args, env.PORT), to 1 (script)`: what it can be rolled back to, and what differs there.
fn versions(app: &AppView) -> String {
    let one = |version: &nexus_proto::VersionView| {
        format!("to {} ({})", version.generation, version.differs.join(", "))
    };
    app.versions.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// `3 set by the file: PORT, REDIS_URL, …`; never a value.
fn environment(app: &AppView) -> String {
    match app.env_names.len() {
        0 => "none set by the file".to_owned(),
        number => format!("{number} set: {}", app.env_names.join(", ")),
    }
}

/// `0 3 * * *, next 2026-11-29 03:00:00 CET (in 6h 2m), overlap skip, missed once`.
fn set_times(times: &TimesView) -> String {
    let next = match (&times.next_at, times.next_in_ms) {
        (Some(at), Some(ms)) => format!(", next {at} (in {})", span(ms)),
        (Some(_) | None, _) => String::new(),
    };
    let overlap = times.overlap.as_ref().map(|rule| format!(", overlap {rule}"));
    let jitter = (times.jitter_ms > 0).then(|| format!(", up to {} later", span(times.jitter_ms)));
    let queued = if times.queued { ", one run waits" } else { "" };
    format!(
        "{}{next}{}{}, missed {}{queued}",
        times.cron,
        jitter.unwrap_or_default(),
        overlap.unwrap_or_default(),
        times.missed
    )
}

/// `src, lib (12 directories), but for .*, node_modules`; or that it is off.
fn watched(watch: &WatchView) -> String {
    let paths = watch.paths.join(", ");
    if !watch.on {
        return format!("off ({paths})");
    }
    let directories = match watch.directories {
        Some(1) => " (1 directory)".to_owned(),
        Some(number) => format!(" ({number} directories)"),
        None => String::new(),
    };
    let but = match watch.ignore.as_slice() {
        [] => String::new(),
        ignore => format!(", but for {}", ignore.join(", ")),
    };
    format!("{paths}{directories}{but}")
}

/// `db healthy (yes), cache ready (no: it is stopped)`.
fn needs(app: &AppView) -> String {
    let one = |on: &DependencyView| match on.met {
        true => format!("{} {} (yes)", on.app, on.until),
        false => format!("{} {} (no: {})", on.app, on.until, on.state),
    };
    app.depends_on.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// `replaced above 2.00 GiB, or above 512 MiB for 10s`; nothing where it may use any.
fn memory_limits(app: &AppView) -> String {
    let high = app
        .memory_high_bytes
        .map(|high| format!("above {} for {}", size(high), span(app.memory_hold_ms)));
    let max = app.memory_max_bytes.map(|max| format!("above {}", size(max)));
    let limits: Vec<String> = [max, high].into_iter().flatten().collect();
    if limits.is_empty() { String::new() } else { format!("replaced {}", limits.join(", or ")) }
}

fn logs(app: &AppView) -> Vec<(String, String)> {
    let mut files: Vec<&LogFile> = Vec::new();
    for file in app.instances.iter().flat_map(|one| &one.logs) {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    let more = files.len().saturating_sub(LOGS_MAX);
    let mut lines: Vec<(String, String)> =
        files.iter().take(LOGS_MAX).map(|file| (file.stream.clone(), file.path.clone())).collect();
    if more > 0 {
        lines.push((String::new(), format!("and {more} more")));
    }
    lines
}

fn fit(line: &str, look: &Look) -> String {
    cut(line, look.width.map_or(LINE_MAX, |width| width.saturating_sub(11)), look)
}

/// `2s ago`, for a time that may be unknown.
pub(super) fn since(ms: Option<u64>) -> String {
    ms.map(|ms| format!("{} ago", ago(ms))).unwrap_or_default()
}
