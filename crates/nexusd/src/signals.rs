//! A signal that a client asks for: to main processes by their pidfds, and no change of intent.

use std::collections::BTreeMap;

use nexus_proto::{AppResult, Code, Problem, Target, Verdict};
use nexus_spec::{Name, Signal};
use nix::errno::Errno;

use crate::clock;
use crate::command::{Begun, Signalling};
use crate::daemon::Daemon;
use crate::facts::Line;

/// A process that is to be signalled.
#[derive(Clone, Copy, Debug)]
struct Receiver {
    instance: u16,
    child: u64,
    pid: i32,
}

impl Daemon {
    /// Send it, and tell for each app who got it. The operation is written down after its effect:
    /// killed between the two, we send it again when the client asks again, which a program
    /// bears; a signal that is told and was never sent would be worse.
    pub(crate) fn signal(&mut self, signalling: Signalling) -> Result<Begun, Problem> {
        let Signalling { key, by, asked } = signalling;
        self.ops.expire();
        if let Some(begun) = crate::requests::shown(self, &key) {
            return Ok(begun);
        }
        let signal = Signal::parse(&asked.signal).map_err(|why| {
            Problem::new(Code::BadRequest, format!("`{}` {why}", asked.signal))
                .help("SIGHUP, SIGUSR1, SIGUSR2, TERM, 10 …; `kill -l` lists them")
        })?;
        let receivers = self.receivers(&asked.targets)?;
        let apps: Vec<Name> = receivers.keys().cloned().collect();
        let names: Vec<&str> = apps.iter().map(Name::as_str).collect();
        let (name, detail) = (by.to_string(), format!("signal {signal} {}", names.join(" ")));
        self.log_of(&by, Line::new("operator", detail, &name));
        let id = self.ops.begin(key.clone(), "signal", name, apps);
        for (app, receivers) in receivers {
            let result = self.send(app, signal, &receivers);
            self.answer(id, result);
        }
        self.commit();
        self.publish();
        self.begun(id).ok_or_else(|| crate::requests::lost(&key))
    }

    /// By app. Every word must stand for a process, or nothing is sent.
    fn receivers(&self, words: &[String]) -> Result<BTreeMap<Name, Vec<Receiver>>, Problem> {
        let views = self.app_views(clock::now());
        let mut receivers: BTreeMap<Name, Vec<Receiver>> = BTreeMap::new();
        for word in words {
            let mut found = false;
            for Target { app, instance } in
                crate::targets::resolve(std::slice::from_ref(word), &views)?
            {
                let view = views.iter().find(|view| view.name == app);
                let slots = view.map(|view| view.instances.as_slice()).unwrap_or_default();
                let meant =
                    slots.iter().filter(|slot| instance.is_none_or(|one| one == slot.instance));
                for slot in meant {
                    if let (Some(child), Some(pid)) = (slot.child, slot.pid) {
                        found = true;
                        let of_app = receivers.entry(app.clone()).or_default();
                        if !of_app.iter().any(|other| other.child == child) {
                            of_app.push(Receiver { instance: slot.instance, child, pid });
                        }
                    }
                }
            }
            if !found {
                let title = format!("`{word}` does not run: there is nobody to signal");
                return Err(
                    Problem::new(Code::Refused, title).help(format!("nexusctl start {word}"))
                );
            }
        }
        Ok(receivers)
    }

    fn send(&self, app: Name, signal: Signal, receivers: &[Receiver]) -> AppResult {
        let (mut sent, mut failed) = (Vec::new(), Vec::new());
        for Receiver { instance, child, pid } in receivers {
            match self.holdings.link.signal(*child, signal.0) {
                Ok(()) => sent.push(format!("{app}/{instance} (pid {pid})")),
                Err(error) => {
                    let errno = Errno::from_raw(error.raw_os_error().unwrap_or_default());
                    let why =
                        if errno == Errno::EPERM { errno.desc() } else { "it has just ended" };
                    failed.push(format!("{app}/{instance} (pid {pid}): {why}"));
                }
            }
        }
        let message = match failed.as_slice() {
            [] => format!("{signal} to {}", sent.join(", ")),
            failed => format!("{signal} not sent to {}", failed.join(", ")),
        };
        AppResult {
            app,
            instance: None,
            verdict: if failed.is_empty() { Verdict::Done } else { Verdict::NotFound },
            message,
            old_serves: false,
            last_lines: Vec::new(),
            log: None,
        }
    }
}
