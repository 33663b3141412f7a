//! What differs between two descriptions of an app, in the words of a project file.

use std::collections::BTreeMap;

use crate::app::AppSpec;
use crate::settings::{Scope, written};

/// One setting that differs. A value is as it would be written in TOML; `None` = it is not
/// written, so the default holds. Secrets are not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `instances`, `env.PORT`, `memory.max`.
    pub setting: String,
    /// What holds.
    pub old: Option<String>,
    /// What is to hold.
    pub new: Option<String>,
}

/// What stands for a value that must not be shown.
const HIDDEN: &str = "********";
/// What is said when two descriptions differ in what no setting writes.
const UNNAMED: &str = "how it was read";

impl AppSpec {
    /// What differs in `new`, by the name of the setting; none when it is the same.
    pub fn differences(&self, new: &AppSpec) -> Vec<Difference> {
        let (before, after) = (settings(self), settings(new));
        let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
        names.sort();
        names.dedup();
        let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
        let mut all: Vec<Difference> = differing
            .map(|name| Difference {
                setting: name.clone(),
                old: before.get(name).map(|value| shown([self, new], name, value)),
                new: after.get(name).map(|value| shown([self, new], name, value)),
            })
            .collect();
        if all.is_empty() && self != new {
            all.push(Difference { setting: UNNAMED.to_owned(), old: None, new: None });
        }
        all
    }
}

/// All that is written of an app, tables taken apart.
fn settings(app: &AppSpec) -> BTreeMap<String, toml::Value> {
    let mut settings = BTreeMap::new();
    for (key, value) in written(Scope::App, app) {
        match value {
            toml::Value::Table(table) => {
                let inner =
                    table.into_iter().map(|(inner, value)| (format!("{key}.{inner}"), value));
                settings.extend(inner);
            }
            toml::Value::String(_)
            | toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_)
            | toml::Value::Array(_) => _ = settings.insert(key, value),
        }
    }
    settings
}

/// Hidden when either of the two descriptions says that it is a secret.
fn shown(apps: [&AppSpec; 2], setting: &str, value: &toml::Value) -> String {
    let text = value.as_str().unwrap_or_default();
    let secret = |name: &str| apps.iter().any(|app| app.is_secret(name, text));
    if setting.strip_prefix("env.").is_some_and(secret) {
        return HIDDEN.to_owned();
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn app(settings: &str) -> AppSpec {
        let text = format!("[[apps]]\nname = \"api\"\nscript = \"run\"\n{settings}");
        let file = Path::new("/p/ecosystem.toml");
        let project = crate::project(&text, file, Path::new("/p"), &|_| true);
        project.unwrap_or_else(|flaws| panic!("{}", flaws.render(false, true))).apps.remove(0)
    }

    fn told(old: &str, new: &str) -> Vec<String> {
        let word = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let differences = app(old).differences(&app(new)).into_iter();
        differences
            .map(|one| format!("{} {} {}", one.setting, word(one.old), word(one.new)))
            .collect()
    }

    #[test]
    fn a_difference_has_the_name_and_the_values_of_the_file() {
        assert_eq!(told("instances = 2", "instances = 2"), [""; 0]);
        assert_eq!(told("", "instances = 4"), ["instances - 4"]);
        assert_eq!(
            told("kill_timeout = 500\nenv = { A = \"1\", B = \"2\" }", "env = { A = \"x\" }"),
            ["env.A \"1\" \"x\"", "env.B \"2\" -", "kill_timeout \"500ms\" -"]
        );
        assert_eq!(
            told("args = [\"a\"]", "args = [\"a\", \"b\"]\nbackoff = { min = \"1s\" }"),
            ["args [\"a\"] [\"a\", \"b\"]", "backoff.min - \"1s\""]
        );
    }

    #[test]
    fn secrets_are_told_to_differ_and_no_more() {
        let old = "env = { API_KEY = \"a\", URL = \"redis://:pw@h\", PORT = \"1\" }";
        let new = "env = { API_KEY = \"b\", URL = \"redis://:pq@h\", PORT = \"1\" }";
        assert_eq!(told(old, new), ["env.API_KEY ******** ********", "env.URL ******** ********"]);
    }
}
