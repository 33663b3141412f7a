//! The environment of an instance: read where the kernel keeps it, secrets hidden.

use nexus_core::Purpose;
use nexus_proto::{Code, Environment, Problem, Variable};
use nexus_spec::Name;

use crate::clock;
use crate::daemon::Daemon;
use crate::facts::Line;
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
}

impl Daemon {
    /// The instance that is meant (`None` = the first that runs, else the first).
    pub(crate) fn wearer(
        &mut self,
        app: &str,
        instance: Option<u16>,
        reveal: bool,
        by: &str,
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
            let line = Line::new("operator", detail, by);
            self.log(Line { app: Some(name.clone()), instance: Some(one.instance), ..line });
            self.publish();
        }
        let tag = crate::spawn::tag(&self.facts.home_id, &name, &one.instance.to_string());
        Ok(Wearer {
            mark: format!("{tag}:{}", one.child.unwrap_or_default()),
            pid: one.pid,
            given: self.given(&name, one.instance, one.id)?,
            app: name,
            instance: one.instance,
        })
    }

    /// What the next spawn of an instance would be given.
    fn given(&self, app: &Name, instance: u16, id: u32) -> Result<Vec<(String, String)>, Problem> {
        let Some(known) = self.state.app(app.as_str()) else { return Ok(Vec::new()) };
        let origin = self.origins.get(app).cloned().unwrap_or_default();
        let around = Surroundings {
            base_env: &origin.base_env,
            home: self.home.root(),
            notify: &self.facts.notify,
            sockets: Vec::new(),
            generation: known.generation(),
        };
        let template = template::worker(known.spec(), &around).map_err(|why| {
            Problem::new(Code::StartFailed, format!("`{app}` could not be started")).cause(why)
        })?;
        let id = nexus_core::SlotId(id);
        let carried = crate::spawn::carried(Purpose::Worker { instance, id });
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
            let secret = is_secret(&name, &value);
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

/// By its name, or since it is an address with a password in it.
fn is_secret(name: &str, value: &str) -> bool {
    let user = value.split_once("://").and_then(|(_, rest)| {
        let authority = rest.split(['/', '?', '#']).next()?;
        Some(authority.rsplit_once('@')?.0)
    });
    nexus_spec::is_secret(name) || user.is_some_and(|user| user.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_give_secrets_away() {
        for (name, value, secret) in [
            ("API_KEY", "x", true),
            ("PORT", "3000", false),
            ("REDIS_URL", "redis://:pw@host:6379/0", true),
            ("UPSTREAM", "https://user:pw@host/path", true),
            ("UPSTREAM", "https://host/a:b@c", false),
            ("UPSTREAM", "https://user@host", false),
            ("MAIL", "a:b@c", false),
        ] {
            assert_eq!(is_secret(name, value), secret, "{name}={value}");
        }
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
        };
        let seen = wearer.read(false);
        assert_eq!(seen.pid, None);
        let a = Variable { name: "A".into(), value: Some("1".into()), secret: false };
        let token = Variable { name: "TOKEN".into(), value: None, secret: true };
        assert_eq!(seen.variables, [a, token]);
    }
}
