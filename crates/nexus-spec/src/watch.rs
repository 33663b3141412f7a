//! Which changes of files restart an app.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::span::Span;

/// Which changes of files restart an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watch {
    /// `watch`: directories, files and patterns of them, absolute; `true` is `cwd`; default none.
    pub paths: Vec<PathBuf>,
    /// `ignore_watch`: patterns as `.gitignore` has them; default what begins with a dot,
    /// `node_modules` and `target`.
    pub ignore: Vec<String>,
    /// `watch_delay`: quiet for this long after a change, then one restart; default 200 ms.
    pub delay: Span,
    /// `watch_options.follow_symlinks`: directories behind links are watched, too; default true.
    pub follow_symlinks: bool,
    /// `watch_options.use_polling` and `.interval`: look at the files so often, where nobody tells
    /// of changes; default never.
    pub poll: Option<Span>,
}

impl Watch {
    /// How often files are looked at where nobody says it.
    pub const INTERVAL: Span = Span(1_000);
}

impl Default for Watch {
    fn default() -> Watch {
        Watch {
            paths: Vec::new(),
            ignore: [".*", "node_modules", "target"].map(str::to_owned).into(),
            delay: Span(200),
            follow_symlinks: true,
            poll: None,
        }
    }
}
