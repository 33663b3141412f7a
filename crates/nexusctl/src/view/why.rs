//! `why`: the cause and the evidence of an app's state and its last restarts.

use nexus_proto::{AppView, EventView, InstanceView, Status};

use super::clock::clock;
use super::describe::since;
use super::list::status_text;
use crate::human::span;
use crate::look::{Look, Role, role};
use crate::text::{cut, last, plain};

/// What the answer is drawn from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cause<'a> {
    /// The app.
    pub(crate) app: &'a AppView,
    /// Only this instance.
    pub(crate) instance: Option<u16>,
    /// Its last events, oldest first.
    pub(crate) events: &'a [EventView],
    /// The moment of the answer.
    pub(crate) today: &'a str,
}

/// Exits that are told, the latest first.
const EXITS_MAX: usize = 5;
/// Lines of the app's own words for each exit.
const LINES_MAX: usize = 5;
/// The widest line in a pipe.
const LINE_MAX: usize = 400;

/// The whole answer.
pub(crate) fn why(cause: &Cause<'_>, look: &Look) -> String {
    let app = cause.app;
    let mut text = String::new();
    let mine = |one: &&InstanceView| cause.instance.is_none_or(|only| only == one.instance);
    for one in app.instances.iter().filter(mine) {
        let status = look.paint(role(one.status), &status_text(one.status, look));
        text.push_str(&format!(
            "{}/{}  {status}  {}\n",
            app.name,
            one.instance,
            plain(&one.explain)
        ));
        for fact in facts(one) {
            text.push_str(&format!("  {}\n", plain(&fact)));
        }
    }
    if let Some(trouble) = &app.trouble {
        text.push_str(&format!("\nbecause  {}\n", plain(&trouble.what)));
        text.push_str(&lines(&trouble.last_lines, look));
    }
    if let Some(why) = super::list::not_adopted(app) {
        text.push_str(&format!("\nnote     {why}\n"));
    }
    text.push_str(&asked(cause, look));
    text.push_str(&exits(cause, look));
    let next = match &app.trouble {
        Some(trouble) => plain(&trouble.try_next),
        None if !app.unadopted.is_empty() => format!("nexusctl reload {}", app.name),
        None => format!("nexusctl events --app {}", app.name),
    };
    text.push_str(&format!("\ntry      {}\n", look.paint(Role::Note, &next)));
    text
}

/// What is known of one instance, in sentences.
fn facts(one: &InstanceView) -> Vec<String> {
    let mut facts = Vec::new();
    if let (Status::Online, Some(up)) = (one.status, one.uptime_ms) {
        let pid = one.pid.map(|pid| format!(" as pid {pid}")).unwrap_or_default();
        facts.push(format!("up for {}{pid}", span(up)));
    }
    if let Some(exit) = &one.last_exit {
        let lived = one.last_lived_ms.map(|ms| format!(", after {}", span(ms))).unwrap_or_default();
        facts.push(format!(
            "the one before ended with {exit} {}{lived}",
            since(one.last_exit_ago_ms)
        ));
    }
    if one.restarts > 0 {
        let times =
            if one.restarts == 1 { "once".to_owned() } else { format!("{} times", one.restarts) };
        facts.push(format!("restarted {times} without being asked to"));
    }
    if let Some(ms) = one.again_in_ms {
        facts.push(format!("tried again in {}", span(ms)));
    }
    facts
}

/// Who last asked for something, or what did.
fn asked(cause: &Cause<'_>, look: &Look) -> String {
    let asked = |event: &&EventView| {
        !matches!(event.by.as_str(), "nexusd" | "-")
            || matches!(event.kind.as_str(), "watch" | "cron" | "run")
    };
    cause.events.iter().rev().find(asked).map_or(String::new(), |event| {
        let at = clock(&event.at, Some(cause.today), &look.zone);
        let line = plain(&format!("{at}  {} by {}  {}", event.kind, event.by, event.detail));
        format!("\nasked    {line}\n")
    })
}

/// The last exits that nobody asked for, with the app's own last words.
fn exits(cause: &Cause<'_>, look: &Look) -> String {
    let mine = |event: &&EventView| {
        cause.instance.is_none_or(|only| event.instance.is_none_or(|instance| instance == only))
    };
    let ended = |event: &&EventView| {
        matches!(
            event.kind.as_str(),
            "exit" | "errored" | "killed" | "limit" | "unhealthy" | "hung"
        ) && event.exit.is_some()
    };
    let exits: Vec<&EventView> =
        cause.events.iter().rev().filter(mine).filter(ended).take(EXITS_MAX).collect();
    let mut text = String::new();
    for event in exits {
        if text.is_empty() {
            text.push_str("\nexits, the latest first\n");
        }
        let at = clock(&event.at, Some(cause.today), &look.zone);
        let subject = super::events::event_subject(event);
        let exit = event.exit.as_deref().unwrap_or("unknown");
        text.push_str(&format!(
            "  {}\n",
            plain(&format!("{at}  {subject}  {exit}  {}", event.detail))
        ));
        text.push_str(&lines(&event.last_lines, look));
    }
    text
}

fn lines(lines: &[String], look: &Look) -> String {
    let room = look.width.map_or(LINE_MAX, |width| width.saturating_sub(9));
    let line = |line: String| format!("         {}\n", cut(&line, room, look));
    last(lines, LINES_MAX).map(line).collect()
}
