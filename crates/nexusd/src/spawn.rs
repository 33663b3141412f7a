//! An order to spawn: whatever the child needs is made and held first.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nexus_core::{ChildId, Event, Exam, OnExit, Purpose, SpawnError};
use nexus_keeper::{HoldId, Order, Stage};
use nexus_spec::{AppSpec, Check, Name, Ready};
use nix::errno::Errno;

use crate::daemon::Daemon;
use crate::files;
use crate::held::{Held, Line};
use crate::note::Note;
use crate::origin::Origin;
use crate::outputs::Naming;
use crate::template::{self, Surroundings};

/// Why a child could not even be ordered.
pub(crate) struct Excuse {
    errno: i32,
    words: String,
}

impl From<io::Error> for Excuse {
    fn from(error: io::Error) -> Excuse {
        // An error that was given a name has lost its number, but not its kind.
        let kinds = [
            (io::ErrorKind::AddrInUse, Errno::EADDRINUSE),
            (io::ErrorKind::AddrNotAvailable, Errno::EADDRNOTAVAIL),
            (io::ErrorKind::NotFound, Errno::ENOENT),
            (io::ErrorKind::PermissionDenied, Errno::EACCES),
            (io::ErrorKind::StorageFull, Errno::ENOSPC),
        ];
        let by_kind = kinds.iter().find(|(kind, _)| *kind == error.kind());
        let errno = error
            .raw_os_error()
            .unwrap_or_else(|| by_kind.map_or(Errno::EIO, |(_, errno)| *errno) as i32);
        Excuse { errno, words: files::plain(&error) }
    }
}

impl From<String> for Excuse {
    fn from(words: String) -> Excuse {
        Excuse { errno: Errno::EINVAL as i32, words }
    }
}

impl Daemon {
    /// Order a spawn; what cannot be prepared is an event like any other failed spawn.
    pub(crate) fn spawn(
        &mut self,
        child: ChildId,
        app: &Name,
        purpose: Purpose,
        generation: u64,
        on_exit: OnExit,
    ) {
        let mut note = Note::new(app.clone(), purpose, generation);
        note.beside = self.writes_beside(child, &note);
        let build = self.state.app(app.as_str()).and_then(nexus_core::App::build);
        if let Some(build) = build.filter(|_| purpose == Purpose::Build) {
            note.builds_in(&build.site);
        }
        self.notes.insert(child.0, note.clone());
        if let Err(excuse) = self.try_spawn(child, &note, on_exit) {
            if is_of_a_dead_keeper(excuse.errno) {
                // Not the child's fault: whoever takes the keeper's place finds the slot empty and
                // orders it again.
                tracing::warn!(%app, child = child.0, "the keeper died before this order");
                return;
            }
            let words = format!("could not be started: {}", excuse.words);
            tracing::warn!(%app, child = child.0, "{words}");
            self.remember(child.0, words);
            let error = spawn_error(excuse.errno);
            self.queue.push_back(Event::SpawnFailed { child, error });
        }
    }

    fn try_spawn(&mut self, child: ChildId, note: &Note, on_exit: OnExit) -> Result<(), Excuse> {
        let purpose = note.purpose();
        let spec = self
            .spec_of(&note.app, purpose, note.generation)
            .ok_or_else(|| "it is not known".to_owned())?;
        let line = match purpose {
            Purpose::Build => Line::Build,
            Purpose::Exam { exam, .. } => Line::Exam(exam),
            Purpose::Worker { instance, .. } => Line::of(instance, note.beside),
        };
        let owner = template::ids(&spec.run_as)?;
        let template = self.template(&spec, purpose, note.generation)?;
        let plain_zero = self.origins.get(&spec.name).is_some_and(|origin| origin.plain_zero);
        let slots = self.state.app(spec.name.as_str()).map(nexus_core::App::slots);
        let slots = slots.unwrap_or_default();
        let naming = Naming { home: &self.home, spec: &spec, plain_zero, slots };
        let (stdout, stderr) =
            self.outputs.ensure(&mut self.holdings, naming, line, owner.as_ref())?;
        if let Purpose::Worker { instance, .. } = purpose {
            self.mark_log(child.0, &spec, instance);
            self.listen(child, note);
        }
        let stdin = match purpose {
            Purpose::Build | Purpose::Exam { .. } => None,
            Purpose::Worker { instance, .. } => self.stdin(&spec, instance, owner.as_ref())?,
        };
        let place = match purpose {
            Purpose::Build => "build".to_owned(),
            Purpose::Exam { .. } => "exam".to_owned(),
            Purpose::Worker { instance, .. } => instance.to_string(),
        };
        let order = Order::Spawn {
            child: child.0,
            template,
            env: carried(&spec, purpose),
            tag: tag(&self.facts.home_id, &spec.name, &place).into_bytes(),
            stdin,
            stdout,
            stderr,
            note: note.bytes(),
            on_exit: nexus_keeper::OnExit {
                next: on_exit.next.map(|next| next.0),
                delay_ms: on_exit.delay.0,
                stay_codes: on_exit.stay_codes,
            },
        };
        self.holdings.link.send(&order)?;
        Ok(())
    }

    /// The spec that a child runs with: a build may run for one that is not the app's own yet.
    pub(crate) fn spec_of(&self, app: &Name, purpose: Purpose, generation: u64) -> Option<AppSpec> {
        let app = self.state.app(app.as_str())?;
        let planned = match purpose {
            Purpose::Build => app.build().and_then(|build| build.plan.change.as_ref()),
            Purpose::Exam { .. } | Purpose::Worker { .. } => None,
        };
        Some(planned.map_or_else(|| app.spec_at(generation), |(spec, _)| spec).clone())
    }

    /// Where the spec of a generation comes from.
    fn origin_at(&self, app: &Name, generation: u64) -> Origin {
        let origin = self.origins.get(app).cloned().unwrap_or_default();
        let known = self.state.app(app.as_str());
        let settled = known.map_or(0, nexus_core::App::generation);
        let arrives = match known.and_then(nexus_core::App::rollout) {
            Some(rollout) => rollout.reload.generation == generation,
            // The build that comes before it.
            None => generation > settled,
        };
        match origin.arriving {
            Some(arriving) if arrives => *arriving,
            Some(_) | None => origin,
        }
    }

    /// The held template of a generation, made when it is first needed. Older ones go.
    fn template(
        &mut self,
        spec: &AppSpec,
        purpose: Purpose,
        generation: u64,
    ) -> Result<HoldId, Excuse> {
        let kind = match purpose {
            Purpose::Build => Line::Build,
            Purpose::Exam { exam, .. } => Line::Exam(exam),
            // What names the sockets of one instance is of no use to another.
            Purpose::Worker { instance, .. } if spec.listen.iter().any(|it| it.reuse_port) => {
                Line::Instance(instance)
            }
            Purpose::Worker { .. } => Line::Merged,
        };
        let held = Held::Template(spec.name.clone(), kind, generation);
        if let Some(id) = self.holdings.id(&held)
            && purpose != Purpose::Build
        {
            return Ok(id);
        }
        let sockets = match purpose {
            Purpose::Build | Purpose::Exam { .. } => Vec::new(),
            Purpose::Worker { instance, .. } => self.sockets(spec, instance)?,
        };
        let origin = self.origin_at(&spec.name, generation);
        let around = Surroundings {
            base_env: &origin.base_env,
            home: self.home.root(),
            notify: &self.facts.notify,
            hearer: self.holdings.hearer().map(|(_, id)| id),
            sockets,
            generation,
        };
        let template = match (purpose, &spec.build) {
            (Purpose::Build, Some(command)) => template::build(spec, command, &around)?,
            (Purpose::Build, None) => return Err("it has no build command".to_owned().into()),
            (Purpose::Exam { exam, .. }, _) => {
                let command =
                    command(spec, exam).ok_or_else(|| "it has no such check".to_owned())?;
                template::exam(spec, command, &around)?
            }
            (Purpose::Worker { .. }, _) => template::worker(spec, &around)?,
        };
        let sealed = template.seal()?;
        // While a reload is under way, its predecessors may be needed again.
        let app = self.state.app(spec.name.as_str());
        let settled = app.map_or(generation, nexus_core::App::generation);
        for older in self.holdings.of_app(&spec.name) {
            if let Held::Template(_, line, older_generation) = &older
                && *line == kind
                && *older_generation < generation.min(settled)
            {
                self.holdings.release(&older)?;
            }
        }
        Ok(self.holdings.hold(held, sealed)?)
    }

    /// What the keeper says of a failed spawn, in words; kept until the child is forgotten.
    pub(crate) fn excuse(&mut self, child: u64, stage: Stage, errno: i32) {
        let words = Errno::from_raw(errno).desc();
        let spec = self
            .notes
            .get(&child)
            .and_then(|note| self.spec_of(&note.app, note.purpose(), note.generation));
        let Some(spec) = spec else { return };
        let program = match spec.interpreter.first() {
            Some(interpreter) => Path::new(interpreter),
            None => spec.script.as_path(),
        };
        let excuse = match stage {
            Stage::Fork if errno == KILLED => "was killed before it ran its program".into(),
            Stage::Fork => format!("could not be started: no new process: {words}"),
            Stage::Grants => {
                format!("could not be granted its `nice`, `oom_score_adj` or `rlimits`: {words}")
            }
            Stage::Itself => "could not have its secrets: its log says which, and why".into(),
            Stage::Rights => format!("could not take the rights of its user: {words}"),
            Stage::Descriptors => format!("could not be given its output and sockets: {words}"),
            Stage::Cwd => format!("could not enter {}: {words}", spec.cwd.display()),
            Stage::Exec => exec_excuse(program, &spec.cwd, errno, words),
        };
        self.remember(child, excuse);
    }
}

/// What one worker is born with beside its template, NUL-terminated each.
pub(crate) fn carried(spec: &AppSpec, purpose: Purpose) -> Vec<u8> {
    let (instance, id) = match purpose {
        Purpose::Build => return Vec::new(),
        Purpose::Exam { instance, id, .. } | Purpose::Worker { instance, id } => (instance, id),
    };
    let var = &spec.instance_var;
    let mut env = format!("{var}={instance}\0NEXUS_INSTANCE={instance}\0pm_id={}\0", id.0);
    if let Some(var) = &spec.increment_var {
        let value = spec.variable(var, instance).unwrap_or_default();
        env.push_str(&format!("{var}={value}\0"));
    }
    env.into_bytes()
}

/// The command of a check, if it is one.
fn command(spec: &AppSpec, exam: Exam) -> Option<&str> {
    let check = match (exam, &spec.ready) {
        (Exam::Ready, Ready::Probe(check)) => check,
        (Exam::Ready, _) => return None,
        (Exam::Health, _) => &spec.health.as_ref()?.check,
    };
    match check {
        Check::Exec(command) => Some(command),
        Check::Http(_) | Check::Lag(_) | Check::Tcp(_) => None,
    }
}

/// NEXUS_WORKER of a child, but for its number.
pub(crate) fn tag(home_id: &str, app: &Name, place: &str) -> String {
    format!("{home_id}:{app}:{place}")
}

fn exec_excuse(program: &Path, cwd: &Path, errno: i32, words: &str) -> String {
    let path = cwd.join(program);
    let bare = !program.as_os_str().as_bytes().contains(&b'/');
    if errno == Errno::ENOENT as i32 {
        if bare {
            return format!("could not run {}: it is not in PATH", program.display());
        }
        if let Some(interpreter) = template::missing_interpreter(&path) {
            return format!(
                "could not run {}: its interpreter {} is missing",
                path.display(),
                interpreter.display()
            );
        }
    }
    if errno == Errno::EACCES as i32 && path.is_file() {
        return format!(
            "could not run {}: {words} (is it executable? `chmod +x` makes it so)",
            path.display()
        );
    }
    if errno == Errno::ENOEXEC as i32 {
        return format!(
            "could not run {}: it is no program, and has no `#!` line that names one",
            path.display()
        );
    }
    format!("could not run {}: {words}", path.display())
}

/// What a send over the link says when the other end is closed.
fn is_of_a_dead_keeper(errno: i32) -> bool {
    [Errno::EPIPE, Errno::ECONNRESET, Errno::ENOTCONN].contains(&Errno::from_raw(errno))
}

/// The keeper's word for a child that somebody killed before it ran its program.
const KILLED: i32 = Errno::ECANCELED as i32;

/// Whether another try may help.
pub(crate) fn spawn_error(errno: i32) -> SpawnError {
    let resources = [
        Errno::EAGAIN,
        Errno::ENOMEM,
        Errno::EMFILE,
        Errno::ENFILE,
        Errno::ENOSPC,
        Errno::ETOOMANYREFS,
    ];
    if resources.contains(&Errno::from_raw(errno)) || errno == KILLED {
        SpawnError::Resources(errno)
    } else {
        SpawnError::Permanent(errno)
    }
}
