//! What the daemon says of the apps, and waiting until it says something else.

use serde_json::Value;

use crate::home::Home;
use crate::process::Process;
use crate::wait::{PROMPT, wait_for};

/// One app, as `GET /v1/apps` tells it.
#[derive(Clone, Debug)]
pub struct App(pub Value);

impl App {
    /// Its state, such as `online`.
    pub fn status(&self) -> &str {
        self.0["status"].as_str().unwrap_or_default()
    }

    /// The pids of its instances, by number; 0 for one that has none.
    pub fn pids(&self) -> Vec<i32> {
        self.each(|one| one["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0))
    }

    /// The main process of instance 0.
    ///
    /// # Panics
    /// When it has none.
    #[track_caller]
    pub fn main(&self) -> Process {
        let pid = self.pids().first().copied().unwrap_or(0);
        assert!(pid > 0, "no process: {}", self.0);
        Process(pid)
    }

    /// What users type, by instance.
    pub fn ids(&self) -> Vec<u64> {
        self.each(|one| one["id"].as_u64().unwrap_or(u64::MAX))
    }

    /// Restarts that nobody asked for, by instance.
    pub fn restarts(&self) -> Vec<u64> {
        self.each(|one| one["restarts"].as_u64().unwrap_or(u64::MAX))
    }

    /// The state of each instance.
    pub fn statuses(&self) -> Vec<String> {
        self.each(|one| one["status"].as_str().unwrap_or_default().to_owned())
    }

    /// What must not change when one of the pair is killed: pids, ids, restarts.
    pub fn identity(&self) -> Vec<(i32, u64, u64)> {
        let rest = self.ids().into_iter().zip(self.restarts());
        self.pids().into_iter().zip(rest).map(|(pid, (id, restarts))| (pid, id, restarts)).collect()
    }

    fn each<T>(&self, fact: impl Fn(&Value) -> T) -> Vec<T> {
        self.0["instances"].as_array().into_iter().flatten().map(fact).collect()
    }
}

impl Home {
    /// An app, if the daemon knows it.
    ///
    /// # Panics
    /// When no daemon answers.
    #[track_caller]
    pub fn app(&self, name: &str) -> Option<App> {
        let list = self.api("/v1/apps");
        let apps = list["apps"].as_array().cloned().unwrap_or_default();
        apps.into_iter().find(|app| app["name"] == name).map(App)
    }

    /// An app that the daemon must know.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn known(&self, name: &str) -> App {
        self.app(name).unwrap_or_else(|| panic!("`{name}` is not known"))
    }

    /// Wait until an app is as `wanted` says. `what` completes "waited for …".
    ///
    /// # Panics
    /// When it does not come to that; shows the app as it is.
    #[track_caller]
    pub fn until(&self, name: &str, what: &str, wanted: impl Fn(&App) -> bool) -> App {
        let mut last = None;
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(PROMPT, what, || {
                last = self.app(name);
                last.clone().filter(|app| wanted(app))
            })
        }));
        match found {
            Ok(app) => app,
            Err(_) => panic!("waited for {what}, in vain; {name} is {last:?}"),
        }
    }

    /// Events of an app, oldest first.
    ///
    /// # Panics
    /// When no daemon answers.
    #[track_caller]
    pub fn events(&self, name: &str) -> Vec<Value> {
        let answer = self.api(&format!("/v1/events?app={name}"));
        answer["events"].as_array().cloned().unwrap_or_default()
    }

    /// Events of one kind of an app, oldest first.
    ///
    /// # Panics
    /// When no daemon answers.
    #[track_caller]
    pub fn events_of(&self, name: &str, kind: &str) -> Vec<Value> {
        self.events(name).into_iter().filter(|event| event["kind"] == kind).collect()
    }
}
