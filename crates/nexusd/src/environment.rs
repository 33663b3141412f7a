//! The environment of an instance: read where the kernel keeps it, secrets hidden.

use std::collections::BTreeSet;

use nexus_core::Purpose;
use nexus_proto::{Actor, Code, Environment, Problem, Variable};
use nexus_spec::{AppSpec, Name};

use crate::clock;
use crate::daemon::Daemon;
use crate::facts::Line;
use crate::origin::Origin;
use crate::template::{self, Surroundings};

/// Whose environment is asked for, and what it was given when it cannot be read.
#[derive(Debug)]
pub(crate) struct Wearer {
    app: Name,
    instance: u16,
    pid: Option<i32>,
    /// By this variable a process is the one that is meant, and no other with its number.
    mark: String,
    given: Vec<(String, String)>,
    veil: Veil,
}

/// Which values are hidden.
#[derive(Debug)]
struct Veil {
    spec: AppSpec,
    /// Names that do not come from a source of secrets; without sources there is no such list.
    known: Option<BTreeSet<String>>,
}

impl Veil {
    fn new(spec: &AppSpec, origin: &Origin) -> Veil {
        // What a file of variables held when the worker was born is not known any more: all that
        // does not come from elsewhere is its.
        let sources = !spec.env_file.is_empty() || !spec.secrets.is_empty();
        let names = spec.env.keys().chain(origin.base_env.keys()).cloned();
        Veil { spec: spec.clone(), known: sources.then(|| names.collect()) }
    }

    fn hides(&self, name: &str, value: &str) -> bool {
        let ours = OURS.contains(&name)
            || name == self.spec.instance_var
            || self.spec.increment_var.as_deref() == Some(name)
            || ["NEXUS_", "LISTEN_"].iter().any(|ours| name.starts_with(ours));
        let elsewhere = |known: &BTreeSet<String>| ours || known.contains(name);
        self.spec.is_secret(name, value) || !self.known.as_ref().is_none_or(elsewhere)
    }
}

/// Variables that a worker gets from us, besides `NEXUS_…` and `LISTEN_…`, and from its user.
const OURS: [&str; 8] =
    ["name", "namespace", "pm_id", "NOTIFY_SOCKET", "HOME", "SHELL", "USER", "LOGNAME"];

impl Daemon {
    /// The instance that is meant (`None` = the first that runs, else the first).
    pub(crate) fn wearer(
        &mut self,
        app: &str,
        instance: Option<u16>,
        reveal: bool,
        by: &Actor,
    ) -> Result<Wearer, Problem> {
        let views = self.app_views(clock::now());
        let Some(view) = views.iter().find(|view| view.name.as_str() == app) else {
            return Err(crate::targets::unknown(app, views.iter().map(|view| view.name.as_str())));
        };
        let mut instances = view.instances.iter();
        let chosen = match instance {
            Some(number) => instances.find(|one| one.instance == number),
            None => instances.clone().find(|one| one.pid.is_some()).or_else(|| instances.next()),
        };
        let Some(one) = chosen else {
            let title = match instance {
                Some(number) => format!("no instance `{app}/{number}`"),
                None => format!("`{app}` has no instance"),
            };
            return Err(Problem::new(Code::NotFound, title));
        };
        let name = view.name.clone();
        if reveal {
            let detail = format!("env {name}/{} --reveal", one.instance);
            let name_of = by.to_string();
            let line = Line::new("operator", detail, &name_of);
            self.log_of(by, Line { app: Some(name.clone()), instance: Some(one.instance), ..line });
            self.publish();
        }
        let tag = crate::spawn::tag(&self.facts.home_id, &name, &one.instance.to_string());
        Ok(Wearer {
            mark: format!("{tag}:{}", one.child.unwrap_or_default()),
            pid: one.pid,
            given: self.given(&name, one.instance, one.id)?,
            veil: self.veil(&name)?,
            app: name,
            instance: one.instance,
        })
    }

    fn veil(&self, app: &Name) -> Result<Veil, Problem> {
        let Some(known) = self.state.app(app.as_str()) else {
            return Err(Problem::new(Code::NotFound, format!("no app named `{app}`")));
        };
        let origin = self.origins.get(app).cloned().unwrap_or_default();
        Ok(Veil::new(known.spec(), &origin))
    }

    /// What the next spawn of an instance would be given.
    fn given(&self, app: &Name, instance: u16, id: u32) -> Result<Vec<(String, String)>, Problem> {
        let Some(known) = self.state.app(app.as_str()) else { return Ok(Vec::new()) };
        let origin = self.origins.get(app).cloned().unwrap_or_default();
        let around = Surroundings {
            base_env: &origin.base_env,
            home: self.home.root(),
            notify: &self.facts.notify,
            hearer: None,
            sockets: Vec::new(),
            generation: known.generation(),
        };
        let template = template::worker(known.spec(), &around).map_err(|why| {
            Problem::new(Code::StartFailed, format!("`{app}` could not be started")).cause(why)
        })?;
        let id = nexus_core::SlotId(id);
        let carried = crate::spawn::carried(known.spec(), Purpose::Worker { instance, id });
        let mut bytes = template.env.join(&0);
        bytes.push(0);
        bytes.extend(carried);
        Ok(assignments(&bytes))
    }
}

impl Wearer {
    /// Read it. Blocks while the process's memory is locked: not for the runtime's thread.
    pub(crate) fn read(self, reveal: bool) -> Environment {
        let real = self.pid.and_then(|pid| std::fs::read(format!("/proc/{pid}/environ")).ok());
        let real = real.map(|bytes| assignments(&bytes)).filter(|all| {
            all.iter().any(|(name, value)| name == "NEXUS_WORKER" && *value == self.mark)
        });
        let pid = self.pid.filter(|_| real.is_some());
        let mut all = real.unwrap_or(self.given);
        all.sort();
        let shown = |(name, value): (String, String)| {
            let secret = self.veil.hides(&name, &value);
            Variable { name, value: (reveal || !secret).then_some(value), secret }
        };
        Environment {
            schema: "nexus.env/1".into(),
            app: self.app,
            instance: self.instance,
            pid,
            variables: all.into_iter().map(shown).collect(),
        }
    }
}

/// `NAME=VALUE`, NUL-terminated each; what is no assignment is left out.
fn assignments(bytes: &[u8]) -> Vec<(String, String)> {
    let words = bytes.split(|&byte| byte == 0).map(String::from_utf8_lossy);
    let pair = |word: std::borrow::Cow<'_, str>| {
        word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    words.filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> AppSpec {
        let name = Name::new("api").unwrap();
        AppSpec::default_for(name, std::path::Path::new("/x"), std::path::Path::new("/"))
    }

    #[test]
    fn beside_a_file_of_variables_only_what_is_known_to_come_from_elsewhere_is_shown() {
        let mut spec = spec();
        spec.env.insert("PORT".into(), "80".into());
        let origin =
            Origin { base_env: [("PATH".into(), "/bin".into())].into(), ..Origin::default() };
        let hidden = |spec: &AppSpec| -> Vec<&str> {
            let veil = Veil::new(spec, &origin);
            let names = ["PORT", "PATH", "API_KEY", "REGION", "name", "NEXUS_APP", "HOME", "X"];
            names.into_iter().filter(|name| veil.hides(name, "v")).collect()
        };
        assert_eq!(hidden(&spec), ["API_KEY"]);
        spec.env_file.push("/x/.env".into());
        spec.not_secret.push(nexus_spec::Pattern::parse("API_KEY").unwrap());
        assert_eq!(hidden(&spec), ["API_KEY", "REGION", "X"]);
    }

    #[test]
    fn an_environment_is_read_as_the_kernel_writes_it() {
        let all = assignments(b"A=1\0B=x=y\0\0rubbish\0C=\0");
        let all: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(all, [("A", "1"), ("B", "x=y"), ("C", "")]);
    }

    #[test]
    fn another_process_with_the_same_number_is_not_believed() {
        let wearer = Wearer {
            app: Name::new("api").unwrap(),
            instance: 0,
            pid: i32::try_from(std::process::id()).ok(),
            mark: "of nobody".into(),
            given: vec![("TOKEN".into(), "s3".into()), ("A".into(), "1".into())],
            veil: Veil::new(&spec(), &Origin::default()),
        };
        let seen = wearer.read(false);
        assert_eq!(seen.pid, None);
        let a = Variable { name: "A".into(), value: Some("1".into()), secret: false };
        let token = Variable { name: "TOKEN".into(), value: None, secret: true };
        assert_eq!(seen.variables, [a, token]);
    }
}
