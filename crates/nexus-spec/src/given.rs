//! A value as it was written, with its place: what a setting reads.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

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

/// The keys of a parsed file, in the order written. The parser bounds how deep values nest.
pub(crate) fn entries_of(table: &DeTable<'_>) -> Vec<(Key, Given)> {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let text: &std::borrow::Cow<'_, str> = key.get_ref();
        (Key { at: key.span(), text: text.clone().into_owned() }, given(value))
    };
    table.iter().map(entry).collect()
}

fn given(value: &Spanned<DeValue<'_>>) -> Given {
    let what = match value.get_ref() {
        DeValue::String(text) => What::Text(text.clone().into_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(value) => What::Int(value, number.radix()),
            Err(_) => What::HugeInt,
        },
        DeValue::Float(number) => What::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => What::Bool(*value),
        DeValue::Datetime(_) => What::Date,
        DeValue::Array(items) => What::List(items.iter().map(given).collect()),
        DeValue::Table(table) => What::Table(entries_of(table)),
    };
    Given { at: value.span(), what }
}
