//! PM2's words for what other settings say.

use super::Setting;
use crate::flaw::Code;
use crate::given::Given;
use crate::read;
use crate::ready::Ready;
use crate::restart::Backoff;
use crate::span::Span;
use crate::wrong::Wrong;

pub(super) static ROWS: [Setting; 8] = [
    Setting::new(
        "name_prefix",
        "a string",
        "Put before `name`, with a `-` between them.",
        |options, given| {
            let (name, changed) = super::program::name(options.door, given)?;
            options.name_prefix = Some(name);
            changed.map_or(Ok(()), |wrong| Err(wrong.into()))
        },
        |_| None,
    ),
    Setting::new(
        "append_env_to_name",
        "true or false",
        "With `--env <profile>`: put the profile after `name`, with a `-` between them.",
        |options, given| {
            options.append_env_to_name = read::boolean(given)?;
            Ok(())
        },
        |_| None,
    )
    .default("false"),
    Setting::new(
        "node_args",
        "an array of strings, or one string split into words as a shell does",
        "Arguments of the interpreter, after those written in `interpreter`.",
        |options, given| {
            options.node_args = read::words(given)?;
            Ok(())
        },
        |_| None,
    )
    .also(&["interpreter_args", "node_arguments"]),
    Setting::new(
        "exec_mode",
        "\"fork\"",
        "How Node programs share a port; with `listen` all workers share the sockets.",
        |_, given| Ok(exec_mode(given)?),
        |_| None,
    )
    .default("fork")
    .also(&["execution_mode"]),
    Setting::new(
        "exp_backoff_restart_delay",
        "a length of time, or 0 for none",
        "The first wait of a `backoff` that grows by half each time, up to 15 s, and is forgotten \
         after 30 s.",
        |options, given| {
            let first = read::span(given)?;
            if first > Span(0) {
                options.restart.backoff = Backoff {
                    min: first,
                    max: first.max(Span(15_000)),
                    factor_percent: 150,
                    jitter_percent: 0,
                    reset_after: Span(30_000),
                };
            }
            Ok(())
        },
        |_| None,
    )
    .default("0"),
    Setting::new(
        "wait_ready",
        "true or false",
        "The same as `ready = \"ipc\"`.",
        |options, given| {
            if read::boolean(given)? {
                options.ready = Ready::Ipc;
            }
            Ok(())
        },
        |_| None,
    )
    .default("false"),
    Setting::new(
        "listen_timeout",
        "a length of time",
        "The same as `ready_timeout`.",
        |options, given| {
            options.ready_timeout = Some(read::some_span(given)?);
            Ok(())
        },
        |_| None,
    ),
    Setting::new(
        "disable_logs",
        "true or false",
        "The same as `out_file = \"/dev/null\"` and `error_file = \"/dev/null\"`.",
        |options, given| {
            options.disable_logs = read::boolean(given)?;
            Ok(())
        },
        |_| None,
    )
    .default("false"),
];

fn exec_mode(given: &Given) -> Result<(), Wrong> {
    match read::text(given)? {
        "fork" | "fork_mode" => Ok(()),
        "cluster" | "cluster_mode" => {
            let problem = "\"cluster\" is not carried out yet";
            let remedy = "leave it out; with `listen` all workers share the sockets";
            Err(Wrong { code: Code::NotYet, ..Wrong::value(given, problem, remedy) })
        }
        _ => Err(Wrong::value(given, "is no way to run a program", "write \"fork\"")),
    }
}
