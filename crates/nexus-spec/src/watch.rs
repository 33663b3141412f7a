//! Which changes of files restart an app.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::span::Span;

/// Which changes of files restart an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watch {
    /// `watch`: directories and files, absolute; `true` is `cwd`; default none.
    pub paths: Vec<PathBuf>,
    /// `ignore_watch`: patterns as `.gitignore` has them; default what begins with a dot, and
    /// `node_modules`.
    pub ignore: Vec<String>,
    /// `watch_delay`: quiet for this long after a change, then one restart; default 200 ms.
    pub delay: Span,
}

impl Default for Watch {
    fn default() -> Watch {
        Watch {
            paths: Vec::new(),
            ignore: [".*", "node_modules"].map(str::to_owned).into(),
            delay: Span(200),
        }
    }
}
