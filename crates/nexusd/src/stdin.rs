//! Standard input of workers: a pipe for each instance, held by both of the pair, and what clients
//! send into it. What a worker did not read is read by its successor.

use std::collections::BTreeMap;
use std::io;

use nexus_keeper::HoldId;
use nexus_proto::{AppResult, Code, Problem, SendText, Target, Verdict};
use nexus_spec::{AppSpec, Name, Stdin};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{Gid, Uid, fchown, pipe2, write};

use crate::clock;
use crate::command::{Begun, Sending};
use crate::daemon::Daemon;
use crate::facts::Line;
use crate::held::{End, Held};
use crate::template::Ids;

/// The longest text with its line end: so much is written whole or not at all (pipe(7), PIPE_BUF).
const TEXT_MAX: usize = 4096;

impl Daemon {
    /// What an instance's stdin is to be opened from; `None` = /dev/null.
    pub(crate) fn stdin(
        &mut self,
        spec: &AppSpec,
        instance: u16,
        owner: Option<&Ids>,
    ) -> io::Result<Option<HoldId>> {
        let ends = End::BOTH.map(|end| Held::Stdin(spec.name.clone(), instance, end));
        let [read, write] = &ends;
        match spec.stdin {
            Stdin::Null => {
                ends.iter().try_for_each(|end| self.holdings.release(end))?;
                return Ok(None);
            }
            Stdin::Pipe => {}
        }
        if self.holdings.id(read).is_none() || self.holdings.id(write).is_none() {
            let (reading, writing) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
            if let Some((uid, gid, _)) = owner {
                for end in [&reading, &writing] {
                    fchown(end, Some(Uid::from_raw(*uid)), Some(Gid::from_raw(*gid)))?;
                }
            }
            self.holdings.hold(read.clone(), reading)?;
            self.holdings.hold(write.clone(), writing)?;
        }
        Ok(self.holdings.id(read))
    }

    /// Send a line to every instance that is meant, or to none when one has no stdin. Written down
    /// after its effect, as a signal is.
    pub(crate) fn send_text(&mut self, sending: Sending) -> Result<Begun, Problem> {
        let Sending { key, by, asked } = sending;
        self.ops.expire();
        if let Some(begun) = crate::requests::shown(self, &key) {
            return Ok(begun);
        }
        let line = format!("{}\n", asked.text);
        if line.len() > TEXT_MAX {
            let title = format!("a text of {} bytes is too long", asked.text.len());
            return Err(Problem::new(Code::TooMuch, title)
                .cause(format!("more than {} bytes might come in pieces", TEXT_MAX - 1)));
        }
        let receivers = self.readers(&asked)?;
        let apps: Vec<Name> = receivers.keys().cloned().collect();
        let names: Vec<&str> = apps.iter().map(Name::as_str).collect();
        // Not what: a text may be a secret.
        let detail = format!("send {} ({} bytes)", names.join(" "), asked.text.len());
        let name = by.to_string();
        self.log_of(&by, Line::new("operator", detail, &name));
        let id = self.ops.begin(key.clone(), "send", name, apps);
        for (app, instances) in receivers {
            let result = self.send_line(app, &instances, line.as_bytes());
            self.answer(id, result);
        }
        self.commit();
        self.publish();
        self.begun(id).ok_or_else(|| crate::requests::lost(&key))
    }

    /// By app, the instances that run and have a stdin.
    fn readers(&self, asked: &SendText) -> Result<BTreeMap<Name, Vec<u16>>, Problem> {
        let views = self.app_views(clock::now());
        let mut readers: BTreeMap<Name, Vec<u16>> = BTreeMap::new();
        for Target { app, instance } in crate::targets::resolve(&asked.targets, &views)? {
            let view = views.iter().find(|view| view.name == app);
            let slots = view.map(|view| view.instances.as_slice()).unwrap_or_default();
            let meant = slots.iter().filter(|slot| instance.is_none_or(|one| one == slot.instance));
            let running: Vec<u16> =
                meant.filter(|slot| slot.pid.is_some()).map(|slot| slot.instance).collect();
            let has_stdin = |instance: &u16| {
                self.holdings.id(&Held::Stdin(app.clone(), *instance, End::Write)).is_some()
            };
            if running.is_empty() {
                let title = format!("`{app}` does not run: there is nobody to send to");
                return Err(
                    Problem::new(Code::Refused, title).help(format!("nexusctl start {app}"))
                );
            }
            if !running.iter().all(has_stdin) {
                let title = format!("`{app}` has no standard input");
                return Err(Problem::new(Code::Refused, title)
                    .cause("it was started without `stdin = true`")
                    .help("write `stdin = true` into its project file, then: nexusctl apply"));
            }
            readers.insert(app, running);
        }
        Ok(readers)
    }

    fn send_line(&self, app: Name, instances: &[u16], line: &[u8]) -> AppResult {
        let (mut sent, mut full) = (Vec::new(), Vec::new());
        for instance in instances {
            let held = Held::Stdin(app.clone(), *instance, End::Write);
            let written = match self.holdings.fd(&held) {
                Some(pipe) => write(pipe, line),
                None => Err(Errno::EBADF),
            };
            let name = format!("{app}/{instance}");
            match written {
                Ok(_) => sent.push(name),
                Err(Errno::EAGAIN) => full.push(format!("{name} does not read what it is sent")),
                Err(errno) => full.push(format!("{name}: {}", errno.desc())),
            }
        }
        let message = match full.as_slice() {
            [] => format!("{} bytes to {}", line.len(), sent.join(", ")),
            full => format!("not sent: {}", full.join(", ")),
        };
        let verdict = if full.is_empty() { Verdict::Done } else { Verdict::StartFailed };
        AppResult {
            app,
            instance: None,
            verdict,
            message,
            old_serves: false,
            last_lines: Vec::new(),
            log: None,
        }
    }
}
