//! The name of an app: what it may consist of.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

/// The name of an app, unique in a home: `[A-Za-z0-9._@+-]{1,64}`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(Arc<str>);

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameFlaw {
    /// What is wrong, as a clause: "is empty", "has a character that a name may not have: `/`".
    pub problem: String,
}

impl Name {
    /// The longest name, in bytes.
    pub const MAX: usize = 64;

    /// A checked name.
    ///
    /// # Errors
    /// When `text` is empty, too long or has a character outside `[A-Za-z0-9._@+-]`.
    pub fn new(text: &str) -> Result<Name, NameFlaw> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._@+-".contains(c);
        let problem = if text.is_empty() {
            "is empty".to_owned()
        } else if text.len() > Name::MAX {
            format!("has {} characters; a name has at most {}", text.len(), Name::MAX)
        } else if let Some(c) = text.chars().find(|&c| !allowed(c)) {
            format!("has a character that a name may not have: `{}`", c.escape_debug())
        } else if text.starts_with('-') {
            "begins with `-`, which a command line would take for an option".to_owned()
        } else if text == "." || text == ".." {
            "is a directory's name".to_owned()
        } else {
            return Ok(Name(text.into()));
        };
        Err(NameFlaw { problem })
    }

    /// The nearest name to a text: what a name may not have becomes `-`. `None` when nothing is
    /// left of it.
    pub fn near(text: &str) -> Option<Name> {
        let mut near = String::new();
        for c in text.chars() {
            match c {
                _ if c.is_ascii_alphanumeric() || "._@+-".contains(c) => near.push(c),
                _ if near.ends_with('-') => {}
                _ => near.push('-'),
            }
        }
        let near = near.trim_matches('-');
        let near = near.get(..Name::MAX).unwrap_or(near).trim_end_matches('-');
        Name::new(near).ok().filter(|name| name.as_str() != "all")
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for NameFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for NameFlaw {}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Name, D::Error> {
        let text = String::deserialize(from)?;
        Name::new(&text)
            .map_err(|flaw| serde::de::Error::custom(format!("the name {text:?} {}", flaw.problem)))
    }
}
