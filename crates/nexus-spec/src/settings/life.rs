//! Settings of a worker's life: how many, ready when, stopped how.

use toml::Value;

use super::autoscale;
use super::{Setting, Work, sockets, time};
use crate::app::AppSpec;
use crate::door::Door;
use crate::given::{Given, What};
use crate::instances::Instances;
use crate::read;
use crate::ready::Ready;
use crate::restart::Stop;
use crate::signal::Signal;
use crate::wrong::Wrong;

pub(super) static ROWS: [Setting; 8] = [
    Setting {
        key: "instances",
        takes: "a number of workers, \"max\" for one per CPU, -1 for one per CPU but one, or a table \
                of `min`, `max` and `target_cpu`, with `up_after` and `down_after`",
        default: "1",
        doc: "How many workers run at a time; a table: as many as their load asks for.",
        also: &["workers", "processes"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.instances = match given.what {
                    What::Table(_) => Instances::Auto(autoscale::read(given)?),
                    What::Text(_)
                    | What::Flag(_)
                    | What::Int(..)
                    | What::HugeInt
                    | What::Float(_)
                    | What::Bool(_)
                    | What::Date
                    | What::List(_) => instances(options.door, given)?,
                };
                Ok(())
            },
            get: |app| match app.instances {
                Instances::Count(1) => None,
                Instances::Count(count) => Some(i64::from(count).into()),
                Instances::Max => Some("max".into()),
                Instances::AllBut(count) => Some((-i64::from(count)).into()),
                Instances::Auto(rule) => Some(autoscale::written(&rule)),
            },
        },
    },
    Setting {
        key: "stop_signal",
        takes: "a signal's name or number",
        default: "SIGTERM",
        doc: "The signal that asks a worker to end.",
        also: &["kill_signal"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.stop.signal = signal(given)?;
                Ok(())
            },
            get: |app| {
                let signal = app.stop.signal;
                (signal != Stop::default().signal).then(|| signal.to_string().into())
            },
        },
    },
    Setting {
        key: "kill_timeout",
        takes: "a length of time",
        default: "10s",
        doc: "From the stop signal to SIGKILL of everything that is left of the worker.",
        also: &["stop_timeout", "graceful_timeout"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.stop.kill_timeout = read::span(given)?;
                Ok(())
            },
            get: |app| time(app.stop.kill_timeout, Stop::default().kill_timeout),
        },
    },
    Setting::new(
        "treekill",
        "true or false",
        "Send the stop signal to the whole tree of a worker at once, not to its main process \
         first; what is left after `kill_timeout` is killed either way.",
        |options, given| {
            options.stop.tree = read::boolean(given)?;
            Ok(())
        },
        |app| app.stop.tree.then_some(Value::Boolean(true)),
    )
    .default("false"),
    Setting::new(
        "shutdown_with_message",
        "true, false or \"disconnect\"",
        "Send a Node program the message `shutdown` (`process.on('message')`), or end its channel \
         (`process.on('disconnect')`), instead of the stop signal, which it gets when a \
         `drain_timeout` is over. Without one it gets no signal: what is left after `kill_timeout` \
         is killed.",
        |options, given| {
            options.stop.disconnect =
                matches!(&given.what, What::Text(text) | What::Flag(text) if text == "disconnect");
            options.stop.message = options.stop.disconnect || read::boolean(given)?;
            Ok(())
        },
        |app| match app.stop {
            Stop { disconnect: true, .. } => Some("disconnect".into()),
            Stop { message: true, .. } => Some(Value::Boolean(true)),
            Stop { message: false, .. } => None,
        },
    )
    .default("false"),
    Setting {
        key: "listen",
        takes: "\"tcp://127.0.0.1:3001\", \"unix:/run/x.sock\", a table `{ address, name, backlog, mode, user, group, reuse_port }`, or an array of such",
        default: "none",
        doc: "Addresses bound and kept for the app, handed to every worker as LISTEN_FDS; all share one, or, with `reuse_port`, each instance has its own.",
        also: &[],
        own: true,
        work: Work::Done {
            set: |options, given| {
                options.listen = sockets::sockets(given)?;
                Ok(())
            },
            get: |app| {
                let items = app.listen.iter().map(sockets::value);
                (!app.listen.is_empty()).then(|| Value::Array(items.collect()))
            },
        },
    },
    Setting {
        key: "ready",
        takes: "\"notify\", \"fd\", \"ipc\", \"http://127.0.0.1:$PORT/up\", \"tcp://127.0.0.1:$PORT\", \
                \"log:/listening on/\", \"exec:./check\", \"delay:2s\" or \"default\"",
        default: "default",
        doc: "What counts as ready: READY=1 on NOTIFY_SOCKET, a newline on NEXUS_READY_FD, \
              `process.send('ready')` of a Node program, an \
              answer of the worker, a line of its output, a command that succeeds, or alive for a \
              time; else the first listening socket that it opens, or alive for 1 s.",
        also: &["readiness"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.ready = ready(given)?;
                Ok(())
            },
            get: |app| (app.ready != Ready::Default).then(|| app.ready.to_string().into()),
        },
    },
    Setting {
        key: "ready_timeout",
        takes: "a length of time",
        default: "30s",
        doc: "A worker that has not said that it is ready after this long has failed to start.",
        also: &["start_timeout"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.ready_timeout = Some(read::some_span(given)?);
                Ok(())
            },
            get: |app| time(app.ready_timeout, AppSpec::READY_TIMEOUT),
        },
    },
];

fn instances(door: Door, given: &Given) -> Result<Instances, Wrong> {
    let remedy = format!("write 1 to {}, or \"max\" for one per CPU", Instances::LIMIT);
    let parsed = match &given.what {
        What::Int(0, _) if door == Door::Pm2 => return Ok(Instances::Max),
        What::Flag(text) if text == "0" && door == Door::Pm2 => return Ok(Instances::Max),
        What::Int(number, _) => {
            Instances::from_number(*number).map_err(|clause| format!("is {number}, which {clause}"))
        }
        What::Text(text) | What::Flag(text) => Instances::parse(text),
        What::HugeInt => Instances::from_number(i64::MAX),
        What::Float(_) | What::Bool(_) | What::Date | What::List(_) | What::Table(_) => {
            return Err(Wrong { remedy, ..Wrong::form(given, "a number of workers") });
        }
    };
    parsed.map_err(|clause| Wrong::value(given, clause, remedy))
}

fn signal(given: &Given) -> Result<Signal, Wrong> {
    let parsed = match &given.what {
        What::Int(number, _) => i32::try_from(*number).unwrap_or(0).try_into(),
        What::HugeInt => Signal::try_from(0),
        What::Text(text) | What::Flag(text) => Signal::parse(text),
        What::Float(_) | What::Bool(_) | What::Date | What::List(_) | What::Table(_) => {
            return Err(Wrong::form(given, "a signal's name or number"));
        }
    };
    parsed.map_err(|clause| {
        Wrong::value(given, clause, "write a name such as \"SIGTERM\" or \"SIGINT\"")
    })
}

fn ready(given: &Given) -> Result<Ready, Wrong> {
    let remedy = "write \"notify\", \"fd\", \"http://127.0.0.1:$PORT/up\", \"tcp://127.0.0.1:$PORT\", \
                  \"log:/listening on/\", \"exec:./check\" or \"delay:2s\"";
    Ready::parse(read::text(given)?).map_err(|clause| Wrong::value(given, clause, remedy))
}
