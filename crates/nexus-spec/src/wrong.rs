//! What a setting says of a value that it cannot take, before it has a place in a file.

use std::ops::Range;

use crate::door::Door;
use crate::flaw::Code;
use crate::given::Given;
use crate::visible::quoted;

/// One thing wrong with a value.
#[derive(Clone, Debug)]
pub(crate) struct Wrong {
    /// Where; `None` when it concerns the key as a whole.
    pub(crate) at: Option<Range<usize>>,
    pub(crate) code: Code,
    /// Of which key, below the app: `ready`, `backoff.min`. Filled in by whoever knows it.
    pub(crate) key: String,
    /// What is wrong, as a clause after the key: "is not a length of time".
    pub(crate) problem: String,
    /// What to write.
    pub(crate) remedy: String,
}

/// Everything wrong with a value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wrongs(pub(crate) Vec<Wrong>);

impl Wrong {
    /// The form is right, the value is not.
    pub(crate) fn value(
        at: &Given,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Wrong {
        Wrong { at: Some(at.at.clone()), ..Wrong::of("", Code::Value, problem, remedy) }
    }

    /// The value has the wrong form; `wanted` carries its article: "a string".
    pub(crate) fn form(given: &Given, wanted: &str) -> Wrong {
        let problem = format!("takes {wanted}, not {}", given.form());
        Wrong { code: Code::Type, ..Wrong::value(given, problem, "") }
    }

    /// Wrong as a whole.
    pub(crate) fn of(
        key: &str,
        code: Code,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Wrong {
        Wrong {
            at: None,
            code,
            key: key.to_owned(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    /// The same, of `key`, or of what it names below `key`.
    pub(crate) fn of_key(mut self, key: &str) -> Wrong {
        if self.key.is_empty() {
            key.clone_into(&mut self.key);
        } else if !key.is_empty() {
            self.key = format!("{key}.{}", self.key);
        }
        self
    }

    /// The sentence: "`ready` is not a rule for readiness".
    pub(crate) fn sentence(&self) -> String {
        match self.problem.strip_prefix("unknown key") {
            Some(_) => format!("unknown key {}", quoted(&self.key)),
            None => format!("{} {}", quoted(&self.key), self.problem),
        }
    }
}

impl From<Wrong> for Wrongs {
    fn from(wrong: Wrong) -> Wrongs {
        Wrongs(vec![wrong])
    }
}

impl Wrongs {
    /// `value` if nothing is wrong.
    pub(crate) fn unless<T>(self, value: T) -> Result<T, Wrongs> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    /// Keeps what is wrong, hands on what is right.
    pub(crate) fn keep<T>(&mut self, result: Result<T, impl Into<Wrongs>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(wrongs) => {
                self.0.extend(wrongs.into().0);
                None
            }
        }
    }

    /// What keeps the file from being taken; the rest is told and taken.
    pub(crate) fn errors(self, door: Door) -> Wrongs {
        Wrongs(self.0.into_iter().filter(|wrong| !wrong.code.is_warning(door)).collect())
    }

    /// Changes each.
    pub(crate) fn map(self, change: impl FnMut(Wrong) -> Wrong) -> Wrongs {
        Wrongs(self.0.into_iter().map(change).collect())
    }
}
