//! `events`: what happened; with `-f`, what happens.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use nexus_proto::{EventView, client};

use crate::cli::{Events, Format};
use crate::context::Context;
use crate::failure::Failure;
use crate::view::{event_line, events};
use crate::{out, when};

/// How many are shown when nothing is said.
const LAST: usize = 50;
/// How many are fetched after the stream was lost, to close the gap.
const GAP_MAX: usize = 10_000;
/// Between two tries to reach a daemon that is being replaced.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Do it.
pub(super) fn run(context: &Context, args: &Events) -> Result<ExitCode, Failure> {
    let since = args.since.as_deref().map(when::parse).transpose()?;
    let last = args.last.or(if since.is_some() { None } else { Some(LAST) });
    let query = query(args.app.as_deref(), since, last);
    if args.follow {
        return follow(context, args, &query);
    }
    let answer = context.client.events(&query)?;
    match context.format {
        Format::Json => context.document(&answer)?,
        Format::Jsonl => answer.events.iter().try_for_each(|event| out::json(event, false))?,
        Format::Name => {
            out::result(
                &answer.events.iter().map(|event| format!("{}\n", event.id)).collect::<String>(),
            )?;
        }
        Format::Table | Format::Wide if answer.events.is_empty() => {
            context.note("no events");
        }
        Format::Table | Format::Wide => {
            let now = jiff::Timestamp::now().to_string();
            let page = events(&answer.events, &now, &context.out);
            out::result(&page.text)?;
            context.hidden(page.hidden);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn query(app: Option<&str>, since: Option<i64>, last: Option<usize>) -> String {
    let app = app.map(|app| format!("app={}", client::quote(app)));
    let since = since.map(|ms| format!("since_unix_ms={ms}"));
    let last = last.map(|last| format!("last={last}"));
    app.into_iter().chain(since).chain(last).collect::<Vec<_>>().join("&")
}

/// Until the reader or the daemon goes; a daemon that is replaced is found again, and nothing is
/// shown twice or left out.
fn follow(context: &Context, args: &Events, first: &str) -> Result<ExitCode, Failure> {
    out::leave_with_reader();
    let mut shown = 0;
    let mut query = first.to_owned();
    let mut lost_at: Option<Instant> = None;
    let mut connected = false;
    loop {
        match context.client.follow(&format!("/v1/events?follow=true&{query}")) {
            Ok(lines) => {
                lost_at = None;
                connected = true;
                for line in lines {
                    // The stream ends with the daemon: look for its successor.
                    let Ok(line) = line else { break };
                    show(context, &line, &mut shown)?;
                }
                std::thread::sleep(RETRY_PAUSE);
            }
            Err(failure @ client::Failure::Problem(_)) => return Err(failure.into()),
            Err(failure) => {
                let at = *lost_at.get_or_insert_with(Instant::now);
                if !connected || at.elapsed() > client::RECONNECT {
                    return Err(failure.into());
                }
                std::thread::sleep(RETRY_PAUSE);
            }
        }
        // Until something has been shown there is no gap to close, and the past is not news.
        if shown > 0 {
            query = self::query(args.app.as_deref(), None, Some(GAP_MAX));
        }
    }
}

fn show(context: &Context, line: &[u8], shown: &mut u64) -> Result<(), Failure> {
    // A line of a later version that we do not know is passed over.
    let Ok(event) = serde_json::from_slice::<EventView>(line) else { return Ok(()) };
    if event.id <= *shown {
        return Ok(());
    }
    *shown = event.id;
    match context.format {
        Format::Json | Format::Jsonl => out::json(&event, false),
        Format::Name => out::result(&format!("{}\n", event.id)),
        Format::Table | Format::Wide => out::result(&event_line(&event, &context.out)),
    }
}
