//! Apps into the text of a project file that reads back as the same apps.

use crate::app::AppSpec;
use crate::project::Project;
use crate::settings::{Scope, written};

impl Project {
    /// The text of a project file for these apps. Only what differs from the defaults is written,
    /// besides `name`, `script` and `cwd`. Variables are written in clear, secrets among them.
    pub fn to_toml(&self) -> String {
        to_toml(&self.apps)
    }
}

fn to_toml(apps: &[AppSpec]) -> String {
    let apps = apps.iter().map(|app| toml::Value::Table(written(Scope::App, app)));
    let apps = toml::Value::Array(apps.collect());
    toml::Table::from_iter([("apps".to_owned(), apps)]).to_string()
}

impl AppSpec {
    /// The text of a project file with this app alone; see [`Project::to_toml`].
    pub fn to_toml(&self) -> String {
        to_toml(std::slice::from_ref(self))
    }
}
