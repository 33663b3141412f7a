//! Errors of the control API: RFC 9457 problem documents with a stable code.

use nexus_spec::Name;
use serde::{Deserialize, Serialize};

/// `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Problem {
    /// `urn:nexus:NX0404`.
    pub r#type: String,
    /// What, in the user's words; lower case, no full stop.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Our stable code, `NX0404`.
    pub code: Code,
    /// Causes, outermost first.
    #[serde(default)]
    pub causes: Vec<String>,
    /// What to do next; commands that can be pasted.
    #[serde(default)]
    pub help: Vec<String>,
    /// The entry of `depends_on` that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependency: Option<Box<Dependency>>,
}

/// One entry of an app's `depends_on`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Dependency {
    /// Whose.
    #[cfg_attr(test, schemars(with = "String"))]
    pub app: Name,
    /// On which app.
    #[cfg_attr(test, schemars(with = "String"))]
    pub on: Name,
}

/// A stable error code. Each belongs to one exit code of `nexusctl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Code {
    /// A request that is no valid request (exit 2).
    #[serde(rename = "NX0200")]
    BadRequest,
    /// The app could not be started (exit 1).
    #[serde(rename = "NX0301")]
    StartFailed,
    /// The build failed (exit 1).
    #[serde(rename = "NX0302")]
    BuildFailed,
    /// Overtaken by a later request (exit 1).
    #[serde(rename = "NX0303")]
    Superseded,
    /// A reload was given up; what was before serves (exit 9).
    #[serde(rename = "NX0305")]
    RolledBack,
    /// No such app, instance or operation (exit 4).
    #[serde(rename = "NX0404")]
    NotFound,
    /// No such path (exit 2).
    #[serde(rename = "NX0405")]
    NoSuchPath,
    /// Refused: conflict, already running with another configuration (exit 5).
    #[serde(rename = "NX0501")]
    Refused,
    /// Too large, too many, too slow (exit 1).
    #[serde(rename = "NX0502")]
    TooMuch,
    /// Bad configuration (exit 6).
    #[serde(rename = "NX0601")]
    BadConfig,
    /// No daemon (exit 7).
    #[serde(rename = "NX0701")]
    NoDaemon,
    /// Not permitted (exit 8).
    #[serde(rename = "NX0801")]
    NotPermitted,
    /// A bug of ours (exit 70).
    #[serde(rename = "NX7000")]
    Internal,
}

impl Code {
    /// The HTTP status that goes with it.
    pub fn status(self) -> u16 {
        match self {
            Code::BadRequest => 400,
            Code::StartFailed
            | Code::BuildFailed
            | Code::Superseded
            | Code::RolledBack
            | Code::Refused => 409,
            Code::NotFound | Code::NoSuchPath => 404,
            Code::TooMuch => 413,
            Code::BadConfig => 422,
            Code::NoDaemon => 503,
            Code::NotPermitted => 403,
            Code::Internal => 500,
        }
    }

    /// As it is written: `NX0404`.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::BadRequest => "NX0200",
            Code::StartFailed => "NX0301",
            Code::BuildFailed => "NX0302",
            Code::Superseded => "NX0303",
            Code::RolledBack => "NX0305",
            Code::NotFound => "NX0404",
            Code::NoSuchPath => "NX0405",
            Code::Refused => "NX0501",
            Code::TooMuch => "NX0502",
            Code::BadConfig => "NX0601",
            Code::NoDaemon => "NX0701",
            Code::NotPermitted => "NX0801",
            Code::Internal => "NX7000",
        }
    }
}

impl Problem {
    /// A problem with its code's usual status.
    pub fn new(code: Code, title: String) -> Problem {
        Problem {
            r#type: format!("urn:nexus:{}", code.as_str()),
            title,
            status: code.status(),
            code,
            causes: Vec::new(),
            help: Vec::new(),
            dependency: None,
        }
    }

    /// With one cause more.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Problem {
        self.causes.push(cause.into());
        self
    }

    /// With one line of help more.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help.push(help.into());
        self
    }
}
