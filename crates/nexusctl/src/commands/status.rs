//! `status`: the checking verb. Does it run? Its answer is the exit code.

use std::process::ExitCode;

use nexus_proto::{AppView, Snapshot, Status, Target};
use serde_json::json;

use super::resolve;
use crate::cli::{Format, StatusOf};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::span;
use crate::look::{Look, role, word};
use crate::{out, text};

/// Do it.
pub(super) fn run(context: &Context, args: &StatusOf) -> Result<ExitCode, Failure> {
    let snapshot = context.client.apps()?;
    let rows = rows(context, args, &snapshot)?;
    // A job between two runs is as it should be.
    let well = |row: &Row<'_>| matches!(row.status, Status::Online | Status::Scheduled);
    let runs = !rows.is_empty() && rows.iter().all(well);
    let object = |row: &Row<'_>| {
        json!({
            "app": row.app.name, "instance": row.instance, "status": row.status,
            "ready": row.ready, "wanted": row.wanted,
        })
    };
    match context.format {
        Format::Json => {
            let all: Vec<_> = rows.iter().map(object).collect();
            context.document(&json!({"schema": "nexus.status/1", "running": runs, "apps": all}))?;
        }
        Format::Jsonl => rows.iter().try_for_each(|row| out::json(&object(row), false))?,
        Format::Name => {
            let names = rows.iter().map(|row| format!("{}\n", row.name()));
            out::result(&names.collect::<String>())?;
        }
        Format::Table | Format::Wide if context.quiet => {}
        Format::Table | Format::Wide => {
            let width = rows.iter().map(|row| text::width(&row.name())).max().unwrap_or(0);
            let longest = rows.iter().any(|row| row.status == Status::Scheduled);
            let width = (width, if longest { 11 } else { 10 });
            let lines = rows.iter().map(|row| row.line(width, &context.out));
            out::result(&lines.collect::<String>())?;
            if rows.is_empty() {
                context.note("there are no apps");
            }
        }
    }
    let exit = if runs { Exit::Done } else { Exit::NotRunning };
    Ok(ExitCode::from(exit.code()))
}

/// One line of the answer: an app, or one instance of it.
struct Row<'a> {
    app: &'a AppView,
    instance: Option<u16>,
    status: Status,
    ready: u16,
    wanted: u16,
    uptime_ms: Option<u64>,
}

fn rows<'a>(
    context: &Context,
    args: &StatusOf,
    snapshot: &'a Snapshot,
) -> Result<Vec<Row<'a>>, Failure> {
    if args.targets.is_empty() {
        return Ok(snapshot.apps.iter().map(of_app).collect());
    }
    let found = resolve(context, &args.targets, snapshot)?;
    Ok(found.into_iter().filter_map(|(app, target)| of_target(app, &target)).collect())
}

fn of_app(app: &AppView) -> Row<'_> {
    let (ready, wanted) = (app.ready, app.wanted);
    Row { app, instance: None, status: app.status, ready, wanted, uptime_ms: app.uptime_ms }
}

fn of_target<'a>(app: &'a AppView, target: &Target) -> Option<Row<'a>> {
    let Some(number) = target.instance else { return Some(of_app(app)) };
    let one = app.instances.iter().find(|one| one.instance == number)?;
    let ready = u16::from(one.status == Status::Online);
    let (instance, status, uptime_ms) = (Some(number), one.status, one.uptime_ms);
    Some(Row { app, instance, status, ready, wanted: 1, uptime_ms })
}

impl Row<'_> {
    fn name(&self) -> String {
        match self.instance {
            Some(number) => format!("{}/{number}", self.app.name),
            None => self.app.name.to_string(),
        }
    }

    /// `api  ● online   4/4  up 2d 4h`, or what is wrong. `width`: of the name and of the state.
    fn line(&self, width: (usize, usize), look: &Look) -> String {
        let name = text::pad(&self.name(), width.0, false);
        let state = format!("{} {}", look.symbol(self.status), word(self.status));
        let state = look.paint(role(self.status), &text::pad(&state, width.1, false));
        let more = match (&self.app.trouble, self.uptime_ms) {
            (Some(trouble), _) if self.status != Status::Online => text::plain(&trouble.what),
            (_, Some(uptime)) if self.status == Status::Online => format!("up {}", span(uptime)),
            (Some(_) | None, _) => String::new(),
        };
        let line = format!("{name}  {state}  {}/{}  {more}", self.ready, self.wanted);
        format!("{}\n", line.trim_end())
    }
}
