//! `list`: one row an app (or a process), then what is wrong, then the machine.

use nexus_proto::{AppView, InstanceView, Snapshot, Status};

use super::table::{Cell, Column, Flex, Page, Table};
use crate::human::{ago, share, size, span};
use crate::look::{Look, Role, role, word};
use crate::text::{cut, last, plain};

/// What a row is, and which columns there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    /// One row a process.
    pub(crate) instances: bool,
    /// All columns.
    pub(crate) wide: bool,
}

/// Columns that a repeated line of stderr may take in a pipe.
const LINE_MAX: usize = 400;
/// The narrowest terminal on which the summary names the host and the daemon.
const LONG_SUMMARY: usize = 120;

/// The whole page.
pub(crate) fn list(snapshot: &Snapshot, look: &Look, rows: Rows) -> Page {
    if snapshot.apps.is_empty() {
        return Page { text: empty(look), hidden: 0 };
    }
    // `wide` shows all columns, however long the lines become.
    let table_look = Look { width: look.width.filter(|_| !rows.wide), ..look.clone() };
    let table = if rows.instances {
        by_instance(snapshot, &table_look, rows.wide)
    } else {
        by_app(snapshot, &table_look, rows.wide)
    };
    let mut page = table.render(&table_look);
    page.text.push_str(&format!("\n{}\n", summary(snapshot, &table_look)));
    for app in &snapshot.apps {
        page.text.push_str(&trouble(app, look));
        page.text.push_str(&unadopted(app, look));
    }
    page
}

/// What to do when there is nothing yet.
pub(crate) fn empty(look: &Look) -> String {
    let note = |command: &str| look.paint(Role::Note, command);
    format!(
        "No apps yet.\n\n  Start one now   {}\n  From a file     {}    (reads ./ecosystem.toml)\n",
        note("nexusctl start server.js --name api -i 4"),
        note("nexusctl start"),
    )
}

fn by_app(snapshot: &Snapshot, look: &Look, wide: bool) -> Table {
    let apps = &snapshot.apps;
    let spaces = apps.iter().any(|app| app.namespace != "default");
    let mut table = Table::default();
    let mut add = |column: Column, cell: &dyn Fn(&AppView) -> Cell| {
        table.column(column, apps.iter().map(cell));
    };
    if spaces || wide {
        add(Column::flexible("NAMESPACE", 7, Flex::Middle), &|app| {
            Cell::new(plain(&app.namespace))
        });
    }
    add(Column::flexible("NAME", 0, Flex::Middle), &|app| Cell::new(app.name.as_str()));
    add(Column::left("INST", 2), &|app| Cell::new(instances(app)));
    add(Column::left("STATUS", 1), &|app| status(app.status, look));
    add(Column::right("CPU", 4), &|app| Cell::new(app.cpu_percent.map(share).unwrap_or_default()));
    add(Column::right("MEM", 4), &|app| Cell::new(app.memory_bytes.map(size).unwrap_or_default()));
    add(Column::left("RESTARTS", 3), &|app| Cell::new(restarts(app)));
    add(Column::right("UPTIME", 5), &|app| Cell::new(app.uptime_ms.map(span).unwrap_or_default()));
    if apps.iter().any(|app| !app.times.is_empty()) {
        add(Column::right("NEXT", 6), &|app| Cell::new(next(app)));
    }
    add(Column::left("LISTEN", 6), &|app| Cell::new(listen(app)));
    add(Column::left("PID", 8), &|app| Cell::new(pids(app)));
    if apps.iter().any(|app| says(app).is_some()) {
        add(Column::flexible("SAYS", 7, Flex::End), &|app| {
            Cell::new(says(app).map(plain).unwrap_or_default())
        });
    }
    if wide {
        add(Column::right("LIMIT", 9), &|app| {
            Cell::new(app.memory_max_bytes.map(size).unwrap_or_default())
        });
        add(Column::left("LAST EXIT", 9), &|app| Cell::new(last_exit(app)));
        add(Column::right("GEN", 10), &|app| Cell::new(app.generation.to_string()));
        add(Column::left("READY", 11), &|app| Cell::new(plain(&app.ready_when)));
        add(Column::left("USER", 12), &|app| Cell::new(plain(app.user.as_deref().unwrap_or(""))));
        add(Column::flexible("COMMAND", 13, Flex::End), &|app| {
            Cell::new(plain(&app.command.join(" ")))
        });
    }
    table
}

fn by_instance(snapshot: &Snapshot, look: &Look, wide: bool) -> Table {
    let rows: Vec<(&AppView, &InstanceView)> = snapshot
        .apps
        .iter()
        .flat_map(|app| app.instances.iter().map(move |one| (app, one)))
        .collect();
    let spaces = snapshot.apps.iter().any(|app| app.namespace != "default");
    let mut table = Table::default();
    let mut add = |column: Column, cell: &dyn Fn(&AppView, &InstanceView) -> Cell| {
        table.column(column, rows.iter().map(|(app, one)| cell(app, one)));
    };
    add(Column::right("ID", 2), &|_, one| Cell::new(one.id.to_string()));
    if spaces || wide {
        add(Column::flexible("NAMESPACE", 8, Flex::Middle), &|app, _| {
            Cell::new(plain(&app.namespace))
        });
    }
    add(Column::flexible("NAME", 0, Flex::Middle), &|app, one| {
        Cell::new(format!("{}/{}", app.name, one.instance))
    });
    add(Column::left("STATUS", 1), &|_, one| status(one.status, look));
    add(Column::right("PID", 3), &|_, one| {
        Cell::new(one.pid.map(|pid| pid.to_string()).unwrap_or_default())
    });
    add(Column::right("CPU", 5), &|_, one| {
        Cell::new(one.cpu_percent.map(share).unwrap_or_default())
    });
    add(Column::right("MEM", 5), &|_, one| {
        Cell::new(one.memory_bytes.map(size).unwrap_or_default())
    });
    add(Column::right("RESTARTS", 4), &|_, one| Cell::new(one.restarts.to_string()));
    add(Column::right("UPTIME", 6), &|_, one| {
        Cell::new(one.uptime_ms.map(span).unwrap_or_default())
    });
    add(Column::left("LAST EXIT", 7), &|_, one| Cell::new(exit_of(one)));
    if rows.iter().any(|(_, one)| one.says.is_some()) {
        add(Column::flexible("SAYS", 8, Flex::End), &|_, one| {
            Cell::new(one.says.as_deref().map(plain).unwrap_or_default())
        });
    }
    if wide {
        add(Column::left("READY BY", 11), &|_, one| {
            Cell::new(plain(one.ready_by.as_deref().unwrap_or_default()))
        });
        add(Column::left("TREE", 9), &|_, one| Cell::new(plain(&one.tree)));
        add(Column::flexible("STATE", 10, Flex::End), &|_, one| Cell::new(plain(&one.explain)));
    }
    table
}

/// `● online`.
pub(super) fn status_text(status: Status, look: &Look) -> String {
    format!("{} {}", look.symbol(status), word(status))
}

fn status(status: Status, look: &Look) -> Cell {
    Cell::new(status_text(status, look)).role(role(status))
}

/// `2/2`, or `2/2 (1-8)` where their number follows their load.
fn instances(app: &AppView) -> String {
    let bounds = app.scaling.as_ref().map(|rule| format!(" ({}-{})", rule.min, rule.max));
    format!("{}/{}{}", app.ready, app.wanted, bounds.unwrap_or_default())
}

/// `0`, or `16 (2s ago)`.
fn restarts(app: &AppView) -> String {
    // An exit that was asked for is no restart.
    let unasked = |one: &&InstanceView| one.restarts > 0 && one.last_exit_asked != Some(true);
    let last = app.instances.iter().filter(unasked);
    match last.filter_map(|one| one.last_exit_ago_ms).min() {
        Some(last) if app.restarts > 0 => format!("{} ({} ago)", app.restarts, ago(last)),
        Some(_) | None => app.restarts.to_string(),
    }
}

/// `in 3h 12m`: the next run, or restart at a set time.
fn next(app: &AppView) -> String {
    let next = app.times.iter().filter_map(|times| times.next_in_ms).min();
    next.map(|ms| format!("in {}", span(ms))).unwrap_or_default()
}

/// `127.0.0.1:3001`, with how many more there are.
fn listen(app: &AppView) -> String {
    let Some(first) = app.listen.first() else { return String::new() };
    let first = plain(first.strip_prefix("tcp://").unwrap_or(first));
    match app.listen.len() - 1 {
        0 => first,
        more => format!("{first} +{more}"),
    }
}

/// What the first of its instances that says something says.
fn says(app: &AppView) -> Option<&str> {
    app.instances.iter().find_map(|one| one.says.as_deref())
}

fn pids(app: &AppView) -> String {
    let pids: Vec<i32> = app.instances.iter().filter_map(|one| one.pid).collect();
    match pids.as_slice() {
        [] => String::new(),
        [one] => one.to_string(),
        [first, more @ ..] => format!("{first} +{}", more.len()),
    }
}

fn last_exit(app: &AppView) -> String {
    let ended = app.instances.iter().filter(|one| one.last_exit.is_some());
    ended.min_by_key(|one| one.last_exit_ago_ms).map(exit_of).unwrap_or_default()
}

/// `code 3, 2s ago`.
pub(crate) fn exit_of(one: &InstanceView) -> String {
    let Some(exit) = &one.last_exit else { return String::new() };
    let exit = plain(exit);
    one.last_exit_ago_ms.map_or(exit.clone(), |ms| format!("{exit}, {} ago", ago(ms)))
}

/// `6 apps, 9 of 12 instances up, 1 starting.  Host: …`, as much as fits.
fn summary(snapshot: &Snapshot, look: &Look) -> String {
    let apps = &snapshot.apps;
    let up: u64 = apps.iter().map(|app| u64::from(app.ready)).sum();
    let wanted: u64 = apps.iter().map(|app| u64::from(app.wanted)).sum();
    let mut text = format!(
        "{}, {up} of {} up",
        crate::human::count(apps.len() as u64, "app"),
        crate::human::count(wanted, "instance")
    );
    for status in [
        Status::Building,
        Status::Waiting,
        Status::Starting,
        Status::Stopping,
        Status::Backoff,
        Status::Errored,
    ] {
        let number = apps.iter().flat_map(|app| &app.instances).filter(|one| one.status == status);
        match number.count() {
            0 => {}
            number => text.push_str(&format!(", {number} {}", word(status))),
        }
    }
    let host = &snapshot.host;
    let total = host.memory_total_bytes;
    let cpu = host.cpu_percent.map(|percent| format!("cpu {}, ", share(percent)));
    let load = format!(
        "{}load {:.1} of {}, mem {} of {}",
        cpu.unwrap_or_default(),
        host.load_1m,
        crate::human::count(u64::from(host.cpus), "CPU"),
        part(host.memory_used_bytes, total),
        size(total)
    );
    let long = format!(
        "{text}.  Host {}: {load}.  nexusd {}, up {}.",
        plain(&host.name),
        plain(&snapshot.daemon.version),
        span(snapshot.daemon.pair_uptime_ms)
    );
    let short = format!("{text}.  Host: {load}.");
    let fits = |line: &str| look.width.is_none_or(|width| crate::text::width(line) <= width);
    match () {
        () if look.width.is_none_or(|width| width >= LONG_SUMMARY) && fits(&long) => long,
        () if fits(&short) => short,
        () => format!("{text}."),
    }
}

/// `3.2`, in the unit of the whole.
fn part(used: u64, whole: u64) -> String {
    const GIB: u64 = 1024 * 1024 * 1024;
    if whole < GIB { size(used) } else { format!("{:.1}", used as f64 / GIB as f64) }
}

/// Sockets that only its workers have, and the next command; empty when there are none.
fn unadopted(app: &AppView, look: &Look) -> String {
    let Some(why) = not_adopted(app) else { return String::new() };
    let next = look.paint(Role::Note, &format!("nexusctl reload {}", app.name));
    format!("\n{} {}: {why}\n  try:    {next}\n", look.symbol(app.status), app.name)
}

/// The same, in words.
pub(crate) fn not_adopted(app: &AppView) -> Option<String> {
    if app.unadopted.is_empty() {
        return None;
    }
    Some(format!(
        "sockets not adopted: its workers serve on {}, and the kernel does not let nexusd have \
         them; its next reload binds anew",
        plain(&app.unadopted.join(", "))
    ))
}

/// What is wrong, the last line of stderr, the next command; empty when nothing is.
fn trouble(app: &AppView, look: &Look) -> String {
    let Some(trouble) = &app.trouble else { return String::new() };
    let mark = look.paint(role(app.status), look.symbol(app.status));
    let mut text = format!("\n{mark} {}\n", plain(&trouble.what));
    if let Some(line) = last(&trouble.last_lines, 1).next() {
        let room = look.width.map_or(LINE_MAX, |width| width.saturating_sub(10));
        text.push_str(&format!("  stderr: {}\n", cut(line.trim_start(), room, look)));
    }
    let next = look.paint(Role::Note, &plain(&trouble.try_next));
    text.push_str(&format!("  try:    {next}\n"));
    text
}
