//! A value as it was written, with its place: what a setting reads.

use std::ops::Range;

/// A value and its bytes in the file; `0..0` when it came from the command line.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) at: Range<usize>,
    pub(crate) what: What,
}

/// The forms a value can have.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// A string of the file.
    Text(String),
    /// A text of the command line: it may stand for a value of any form.
    Flag(String),
    /// An integer and the base that it was written in.
    Int(i64, u32),
    /// An integer beyond 64 bits.
    HugeInt,
    /// A number with a point or an exponent.
    Float(f64),
    Bool(bool),
    Date,
    List(Vec<Given>),
    Table(Vec<(Key, Given)>),
}

/// A key of a table and its bytes in the file.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) at: Range<usize>,
    pub(crate) text: String,
}

impl Given {
    /// A text of the command line.
    pub(crate) fn flag(text: &str) -> Given {
        Given { at: 0..0, what: What::Flag(text.to_owned()) }
    }

    /// Texts of the command line, one for each item.
    pub(crate) fn flags(texts: &[String]) -> Given {
        let items = texts.iter().map(|text| Given { at: 0..0, what: What::Text(text.clone()) });
        Given { at: 0..0, what: What::List(items.collect()) }
    }

    /// What the value is, with its article: "a string", "a table".
    pub(crate) fn form(&self) -> &'static str {
        match &self.what {
            What::Text(_) | What::Flag(_) => "a string",
            What::Int(..) => "an integer",
            What::HugeInt => "an integer beyond 64 bits",
            What::Float(_) => "a number with a fraction",
            What::Bool(_) => "a boolean",
            What::Date => "a date",
            What::List(_) => "an array",
            What::Table(_) => "a table",
        }
    }

    /// The keys of a table; of anything else none.
    pub(crate) fn entries(&self) -> &[(Key, Given)] {
        match &self.what {
            What::Table(entries) => entries,
            What::Text(_)
            | What::Flag(_)
            | What::Int(..)
            | What::HugeInt
            | What::Float(_)
            | What::Bool(_)
            | What::Date
            | What::List(_) => &[],
        }
    }
}

impl Given {
    /// The same, read as leniently as a text of the command line: a string may stand for a number
    /// or a boolean, in a list as well.
    pub(crate) fn lenient(&self) -> Given {
        let what = match &self.what {
            What::Text(text) => What::Flag(text.clone()),
            What::List(items) => What::List(items.iter().map(Given::lenient).collect()),
            other @ (What::Flag(_)
            | What::Int(..)
            | What::HugeInt
            | What::Float(_)
            | What::Bool(_)
            | What::Date
            | What::Table(_)) => other.clone(),
        };
        Given { at: self.at.clone(), what }
    }

    /// A table whose values are objects and arrays no more, but their JSON: so PM2 hands them on in
    /// variables.
    pub(crate) fn flat(self) -> Given {
        let What::Table(entries) = self.what else { return self };
        let flat = |(key, value): (Key, Given)| {
            let what = match &value.what {
                What::List(_) | What::Table(_) => What::Text(value.json()),
                What::Text(_)
                | What::Flag(_)
                | What::Int(..)
                | What::HugeInt
                | What::Float(_)
                | What::Bool(_)
                | What::Date => value.what,
            };
            (key, Given { at: value.at, what })
        };
        Given { at: self.at, what: What::Table(entries.into_iter().map(flat).collect()) }
    }

    /// The value as compact JSON, as PM2 hands an object on in a variable.
    fn json(&self) -> String {
        let quoted = |text: &str| {
            let mut json = String::from("\"");
            for c in text.chars() {
                match c {
                    '"' => json.push_str("\\\""),
                    '\\' => json.push_str("\\\\"),
                    '\n' => json.push_str("\\n"),
                    c if c < ' ' => json.push_str(&format!("\\u{:04x}", u32::from(c))),
                    c => json.push(c),
                }
            }
            json + "\""
        };
        match &self.what {
            What::Text(text) | What::Flag(text) => quoted(text),
            What::Int(value, _) => value.to_string(),
            What::Float(value) if value.is_finite() => value.to_string(),
            What::Float(_) | What::HugeInt | What::Date => "null".to_owned(),
            What::Bool(value) => value.to_string(),
            What::List(items) => {
                format!("[{}]", items.iter().map(Given::json).collect::<Vec<_>>().join(","))
            }
            What::Table(entries) => {
                let entry =
                    |(key, value): &(Key, Given)| format!("{}:{}", quoted(&key.text), value.json());
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(","))
            }
        }
    }
}
