//! What went wrong, as it is told: what, causes, the app's own words, what to do next.

use nexus_proto::{AppResult, Code, Problem, Verdict, client};

use crate::exit::{Exit, code_of};
use crate::look::{Look, Role};
use crate::text::{last, plain};

/// Last lines of an app that an error repeats.
const LAST_LINES_MAX: usize = 10;

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What to exit with.
    pub(crate) exit: Exit,
    /// Boxed: every command's result carries it.
    told: Box<Told>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    code: Option<Code>,
    title: String,
    causes: Vec<String>,
    /// The failing worker's (or build's) own last lines, raw.
    last_lines: Vec<String>,
    help: Vec<String>,
    /// Already rendered (a project file's flaws): printed as it is.
    rendered: Option<String>,
    /// For programs: the flaws of a project file.
    flaws: Option<serde_json::Value>,
}

impl Failure {
    /// An error with nothing but a title: lower case, no full stop.
    pub(crate) fn new(exit: Exit, title: impl Into<String>) -> Failure {
        Failure { exit, told: Box::new(Told { title: title.into(), ..Told::default() }) }
    }

    /// An exit code without a word.
    pub(crate) fn silent(exit: Exit) -> Failure {
        let mut failure = Failure::new(exit, "");
        failure.told.rendered = Some(String::new());
        failure
    }

    /// The flaws of a project file, drawn by whoever found them.
    pub(crate) fn of_flaws(flaws: &nexus_spec::Flaws, look: &Look) -> Failure {
        let mut failure = Failure::new(Exit::BadConfig, flaws.summary()).code(Code::BadConfig);
        failure.told.rendered = Some(flaws.render(look.color, look.ascii));
        failure.told.flaws = serde_json::to_value(flaws).ok();
        failure
    }

    /// With a stable code.
    pub(crate) fn code(mut self, code: Code) -> Failure {
        self.told.code = Some(code);
        self
    }

    /// With one more cause, outermost first.
    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Failure {
        self.told.causes.push(cause.into());
        self
    }

    /// With one more thing to do next.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Failure {
        self.told.help.push(help.into());
        self
    }

    /// One app's part of an operation, unless it went well. `told` = its last lines have been
    /// shown while we waited.
    pub(crate) fn of_result(result: &AppResult, told: bool) -> Option<Failure> {
        let code = code_of(result.verdict)?;
        let app = &result.app;
        let title = match code {
            Code::StartFailed if result.verdict == Verdict::Spared => {
                format!("`{app}` was left as it is")
            }
            Code::StartFailed if result.verdict == Verdict::Waits => format!("`{app}` waits"),
            Code::StartFailed => format!("`{app}` did not start"),
            Code::BuildFailed => format!("the build of `{app}` failed"),
            Code::RolledBack => rolled_back(result),
            Code::Refused => refused(result),
            Code::NotFound => format!("no app named `{app}`"),
            Code::Superseded => format!("a later request for `{app}` overtook this one"),
            Code::BadRequest
            | Code::NoSuchPath
            | Code::TooMuch
            | Code::BadConfig
            | Code::NoDaemon
            | Code::NotPermitted
            | Code::Internal => format!("`{app}` failed"),
        };
        let mut failure = Failure::new(Exit::of_result(result), title).code(code);
        if result.message.starts_with(&failure.told.title) {
            failure.told.title.clone_from(&result.message);
        } else if !result.message.is_empty() {
            failure.told.causes.push(result.message.clone());
        }
        if !told {
            failure.told.last_lines.clone_from(&result.last_lines);
        }
        failure.told.help = match code {
            Code::StartFailed if result.verdict == Verdict::Waits => vec![why(app.as_str())],
            Code::StartFailed if result.verdict == Verdict::Spared => Vec::new(),
            Code::StartFailed => vec![format!("nexusctl logs {app} --err"), why(app.as_str())],
            Code::BuildFailed => {
                result.log.iter().map(|log| format!("less {log}")).collect::<Vec<_>>()
            }
            Code::RolledBack => {
                vec![format!("nexusctl logs {app} --err"), format!("nexusctl events --app {app}")]
            }
            Code::Refused => next_after_refusal(result),
            Code::NotFound => vec!["nexusctl list".to_owned()],
            Code::Superseded => vec![format!("nexusctl events --app {app}")],
            Code::BadRequest
            | Code::NoSuchPath
            | Code::TooMuch
            | Code::BadConfig
            | Code::NoDaemon
            | Code::NotPermitted
            | Code::Internal => Vec::new(),
        };
        Some(failure)
    }

    /// For a terminal or a pipe. Ends with a line end, unless it is empty.
    pub(crate) fn render(&self, look: &Look) -> String {
        if let Some(rendered) = &self.told.rendered {
            return rendered.clone();
        }
        let code = self.told.code.map(|code| format!("[{}]", code.as_str())).unwrap_or_default();
        let mut text = format!(
            "{}: {}\n",
            look.paint(Role::Bad, &format!("error{code}")),
            plain(&self.told.title)
        );
        for cause in &self.told.causes {
            text.push_str(&format!("  cause: {}\n", plain(cause)));
        }
        for (number, line) in last(&self.told.last_lines, LAST_LINES_MAX).enumerate() {
            let label = if number == 0 { "output:" } else { "       " };
            text.push_str(&format!("  {label} {line}\n"));
        }
        for help in &self.told.help {
            text.push_str(&format!("  help:  {}\n", look.paint(Role::Note, &plain(help))));
        }
        text
    }

    /// For programs: `nexus.error/1`.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "schema": "nexus.error/1",
            "code": self.told.code,
            "exit": self.exit.code(),
            "message": self.told.title,
            "causes": self.told.causes,
            "last_lines": self.told.last_lines,
            "help": self.told.help,
            "flaws": self.told.flaws,
        })
    }

    /// Whether there is anything to tell.
    pub(crate) fn is_silent(&self) -> bool {
        self.told.rendered.as_deref() == Some("")
    }
}

fn rolled_back(result: &AppResult) -> String {
    let app = &result.app;
    if result.verdict == Verdict::Aborted {
        format!("the operation on `{app}` was aborted; what was before is true again")
    } else {
        format!("reload of `{app}` failed; the old version is still serving")
    }
}

fn refused(result: &AppResult) -> String {
    let app = &result.app;
    if result.verdict == Verdict::Busy {
        format!("`{app}` is being changed already; nothing was done")
    } else if result.verdict == Verdict::CannotAbort {
        format!("nothing of `{app}` was aborted")
    } else {
        format!("`{app}` runs with another configuration")
    }
}

fn next_after_refusal(result: &AppResult) -> Vec<String> {
    let app = &result.app;
    if result.verdict == Verdict::Busy {
        vec![
            format!("nexusctl abort {app}             back to what was before"),
            format!("nexusctl reload {app} --replace  take over"),
        ]
    } else if result.verdict == Verdict::CannotAbort {
        vec![format!("nexusctl stop {app}")]
    } else {
        vec![format!("nexusctl restart {app}")]
    }
}

fn why(app: &str) -> String {
    format!("nexusctl why {app}")
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        let mut failure =
            Failure::new(Exit::of_code(problem.code), problem.title).code(problem.code);
        failure.told.causes = problem.causes;
        failure.told.help = problem.help;
        failure
    }
}

impl From<client::Failure> for Failure {
    fn from(failure: client::Failure) -> Failure {
        match failure {
            client::Failure::Problem(problem) => Failure::from(*problem),
            client::Failure::NoDaemon { socket, cause, stale } => {
                let title = format!("cannot reach nexusd at {}", socket.display());
                let failure = Failure::new(Exit::NoDaemon, title).code(Code::NoDaemon).cause(cause);
                let failure = if stale {
                    failure
                        .help("nexusctl resurrect    starts a daemon, which finds the apps again")
                } else {
                    failure
                };
                failure.help("nexusctl start        starts a daemon and ./ecosystem.toml")
            }
            client::Failure::NotPermitted { socket } => Failure::new(
                Exit::NotPermitted,
                "not allowed to control nexusd",
            )
            .code(Code::NotPermitted)
            .cause(format!("{} belongs to somebody else", socket.display()))
            .help("NEXUS_SOCKET=/run/nexus/nexus.sock nexusctl list    where you are in its group"),
            client::Failure::Lost { .. } | client::Failure::TimedOut => {
                Failure::new(Exit::NoDaemon, failure.to_string())
                    .code(Code::NoDaemon)
                    .help("nexusctl daemon status")
            }
            client::Failure::Protocol { .. } => Failure::new(Exit::Failed, failure.to_string())
                .cause("nexusctl and nexusd may be of different versions")
                .help("nexusctl daemon status"),
        }
    }
}
