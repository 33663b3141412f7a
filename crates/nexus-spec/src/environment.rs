//! What a worker finds in its environment besides what its file says.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Variables of the caller that every worker gets, besides `LC_*`.
const BASE: [&str; 8] = ["HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "TZ", "TMPDIR"];

/// What of the caller's environment a worker gets, besides the base: HOME, USER, LOGNAME, SHELL,
/// PATH, LANG, LC_*, TZ, TMPDIR.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inherit {
    /// `inherit_env = true`: all of it.
    pub all: bool,
    /// `inherit_env = [names]`.
    pub names: Vec<Pattern>,
    /// `filter_env`: never these, the base among them.
    pub without: Vec<Pattern>,
}

impl Inherit {
    /// Whether a variable of the caller goes to the worker.
    pub fn takes(&self, name: &str) -> bool {
        let base = BASE.contains(&name) || name.starts_with("LC_");
        let named = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(name));
        (base || self.all || named(&self.names)) && !named(&self.without)
    }
}

/// A name, or a pattern of names in which `*` stands for any characters; letters of either case
/// are alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

impl Pattern {
    /// The longest pattern, in bytes.
    const MAX: usize = 256;

    /// A pattern as users write it.
    ///
    /// # Errors
    /// A clause that says what is wrong.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        if text.len() > Pattern::MAX {
            return Err(format!("is longer than {} bytes", Pattern::MAX));
        }
        match text.contains(|c: char| c == '=' || c.is_control()) {
            true => Err("has a character that the name of a variable may not have".to_owned()),
            false => Ok(Pattern(text.to_owned())),
        }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the name, or stands for it.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.to_ascii_uppercase(), name.to_ascii_uppercase());
        let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
        let Some(mut left) = name.strip_prefix(first) else { return false };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let last = parts.pop().unwrap_or("");
        for part in parts {
            let Some(at) = left.find(part) else { return false };
            left = left.get(at + part.len()..).unwrap_or("");
        }
        left.ends_with(last)
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Pattern, String> {
        Pattern::parse(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.0
    }
}

/// Variables whose values are not written where the app is described, but read from a source when
/// its workers are born.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A file: its text without the last line break. Absolute.
    File(PathBuf),
    /// A credential of the service manager's: a file of this name in its directory
    /// (`CREDENTIALS_DIRECTORY`, `systemd.exec(5)`).
    Credential(String),
    /// A line for `/bin/sh`: what it prints, without the last line break.
    Command(String),
}

impl Source {
    /// A source as users write it: `file:/run/secrets/db`, `credential:db`, `command:pass show db`.
    /// A relative path is left as it is.
    ///
    /// # Errors
    /// A clause that says what is wrong.
    pub fn parse(text: &str) -> Result<Source, String> {
        if let Some(path) = text.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path.is_empty() || path.contains('\0') {
                true => Err("names no file".to_owned()),
                false => Ok(Source::File(PathBuf::from(path))),
            };
        }
        if let Some(command) = text.strip_prefix("command:") {
            return match command.trim().is_empty() || command.contains('\0') {
                true => Err("is no command".to_owned()),
                false => Ok(Source::Command(command.to_owned())),
            };
        }
        let Some(name) = text.strip_prefix("credential:") else {
            return Err("does not begin with `file:`, `credential:` or `command:`".to_owned());
        };
        match name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            true => Err("is no name of a credential".to_owned()),
            false => Ok(Source::Credential(name.to_owned())),
        }
    }
}

/// As [`Source::parse`] reads it.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "file:{}", path.display()),
            Source::Credential(name) => write!(f, "credential:{name}"),
            Source::Command(command) => write!(f, "command:{command}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_names() {
        for (pattern, name, stands) in [
            ("PATH", "PATH", true),
            ("path", "PATH", true),
            ("PATH", "PATHS", false),
            ("AWS_*", "AWS_REGION", true),
            ("AWS_*", "AWS", false),
            ("*KEY*", "API_KEY_2", true),
            ("*KEY*", "KE", false),
            ("*_DSN", "SENTRY_DSN", true),
            ("*_DSN", "SENTRY_DSN_X", false),
            ("A*B*C", "AXBXC", true),
            ("A*B*C", "AC", false),
            ("A*A", "A", false),
            ("*", "", true),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(name), stands, "{pattern} {name}");
        }
        assert!(Pattern::parse("").is_err() && Pattern::parse("A=B").is_err());
    }

    #[test]
    fn what_is_inherited() {
        let names = |names: &[&str]| -> Vec<Pattern> {
            names.iter().map(|name| Pattern::parse(name).unwrap()).collect()
        };
        let few = Inherit { names: names(&["EDITOR"]), ..Inherit::default() };
        let all =
            Inherit { all: true, without: names(&["*SECRET*", "HOME"]), ..Inherit::default() };
        for (name, by_few, by_all) in [
            ("PATH", true, true),
            ("LC_ALL", true, true),
            ("EDITOR", true, true),
            ("PAGER", false, true),
            ("MY_SECRET", false, false),
            ("HOME", true, false),
        ] {
            assert_eq!((few.takes(name), all.takes(name)), (by_few, by_all), "{name}");
        }
    }

    #[test]
    fn sources_read_back() {
        for text in
            ["file:/run/secrets/db", "file:secrets/db", "credential:db", "command:pass show db"]
        {
            assert_eq!(Source::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Source::parse("file:///x").unwrap(), Source::File("/x".into()));
        for text in ["", "hunter2", "file:", "credential:", "credential:../x", "exec:pass x"] {
            assert!(Source::parse(text).is_err(), "{text}");
        }
    }
}
