//! What is asked of an app while one of the pair dies, and how it has to end.

use nexus_tests::Output;
use serde_json::Value;

use crate::stage::{Stage, Wanted};

/// A change that a user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// By its name when it is known, else by its file.
    Start,
    Stop,
    Restart,
    Delete,
    /// A new version that works.
    Reload,
    /// A new version whose workers exit before they are ready.
    ReloadBroken,
    Scale(usize),
    /// New log files.
    Rotate,
    Save,
    /// Another program in the place of both.
    Upgrade,
}

/// A change on its way.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) app: &'static str,
    pub(crate) change: Change,
    pub(crate) args: Vec<String>,
    /// What the app is afterwards.
    after: Wanted,
    /// What it may end with.
    codes: &'static [i32],
}

impl Asked {
    /// Prepare it: files are written, nothing is asked yet.
    pub(crate) fn of(stage: &Stage, app: &'static str, change: Change) -> Asked {
        let before = &stage.wanted[app];
        let mut after = before.clone();
        let mut codes: &[i32] = &[0];
        let words: Vec<String> = match change {
            Change::Start => {
                let by_name = before.known;
                (after.known, after.up) = (true, true);
                stage.write(app, &after, false);
                vec!["start".into(), if by_name { app.into() } else { stage.file(app) }]
            }
            Change::Stop => {
                after.up = false;
                vec!["stop".into(), app.into()]
            }
            Change::Restart => vec!["restart".into(), app.into()],
            Change::Delete => {
                after.known = false;
                vec!["delete".into(), app.into()]
            }
            Change::Reload => {
                after.version += 1;
                stage.write(app, &after, false);
                vec!["reload".into(), stage.file(app)]
            }
            Change::ReloadBroken => {
                let broken = Wanted { version: before.version + 1_000_000, ..before.clone() };
                stage.write(app, &broken, true);
                codes = &[9];
                vec!["reload".into(), stage.file(app)]
            }
            Change::Scale(instances) => {
                after.instances = instances;
                vec!["scale".into(), app.into(), instances.to_string()]
            }
            Change::Rotate => vec!["flush".into(), app.into(), "--rotate".into()],
            Change::Save => vec!["save".into()],
            Change::Upgrade => {
                codes = &[0, 9];
                let to = stage.other_program().display().to_string();
                ["daemon", "upgrade", "--to", &to].map(str::to_owned).into()
            }
        };
        let args = words.into_iter().chain(["-q".to_owned()]).collect();
        Asked { app, change, args, after, codes }
    }

    /// It has ended: hold the exit code, the app and the events against what was asked.
    ///
    /// # Errors
    /// What is not so.
    pub(crate) fn judge(
        self,
        stage: &mut Stage,
        said: &Output,
        events: &[Value],
    ) -> Result<(), String> {
        self.settle(stage, said)?;
        self.told(stage, events).map_err(|why| format!("`{}`: {why}", self.args.join(" ")))
    }

    /// The same but for the events.
    ///
    /// # Errors
    /// What is not so.
    pub(crate) fn settle(&self, stage: &mut Stage, said: &Output) -> Result<(), String> {
        let asked = self.args.join(" ");
        if !self.codes.contains(&said.code) {
            let Output { code, stdout, stderr } = said;
            let codes = self.codes;
            return Err(format!("`{asked}` ended with {code}, not {codes:?}: {stdout}{stderr}"));
        }
        if self.change == Change::Upgrade && said.code == 0 {
            stage.programs.swap(0, 1);
        }
        stage.wanted.insert(self.app, self.after.clone());
        stage.check(self.app).map_err(|why| format!("`{asked}` ended well, but {why}"))
    }

    /// `events` are those of the app since it was asked.
    fn told(&self, stage: &Stage, events: &[Value]) -> Result<(), String> {
        let count = |kind: &str| events.iter().filter(|event| event["kind"] == kind).count();
        let exactly = |kind: &str, wanted: usize| match count(kind) {
            found if found == wanted => Ok(()),
            found => Err(format!("{found} events of {kind}, not {wanted}: {}", shown(events))),
        };
        match self.change {
            Change::Start | Change::Restart => {
                let pids = stage.home.known(self.app).pids();
                let ready = |pid: &i32| {
                    events.iter().any(|event| event["kind"] == "ready" && event["pid"] == *pid)
                };
                if pids.iter().all(ready) {
                    Ok(())
                } else {
                    Err(format!("not all of {pids:?} are told ready: {}", shown(events)))
                }
            }
            Change::Stop => exactly("stop", self.after.instances),
            Change::Delete => exactly("delete", 1),
            Change::Reload => exactly("reloaded", 1).and(exactly("rolled_back", 0)),
            Change::ReloadBroken => exactly("rolled_back", 1).and(exactly("reloaded", 0)),
            Change::Scale(_) => exactly("scale", 1),
            Change::Rotate | Change::Save => Ok(()),
            Change::Upgrade => {
                let serves = &stage.programs[0];
                let done = usize::from(self.args.contains(&serves.display().to_string()));
                let said = exactly("upgraded", done).and(exactly("rolled_back", 1 - done));
                said.and(stage.is_run_by(serves))
            }
        }
    }
}

fn shown(events: &[Value]) -> String {
    let line = |event: &Value| {
        let word = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        format!("{} {} {} {}", event["id"], word("kind"), event["pid"], word("detail"))
    };
    events.iter().map(line).collect::<Vec<_>>().join("; ")
}
