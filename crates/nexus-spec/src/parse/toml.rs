//! TOML into values with their places.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Broken;
use crate::given::{Given, Key, What};

/// Every flaw of the syntax is told at once. The parser bounds how deep values nest.
pub(super) fn parse(text: &str) -> Result<Given, Vec<Broken>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    // What a broken file means is a guess: nothing more is said of it.
    if !errors.is_empty() {
        return Err(errors.iter().map(|error| broken(error, text.len())).collect());
    }
    Ok(Given { at: 0..0, what: What::Table(entries_of(table.get_ref())) })
}

fn broken(error: &toml::de::Error, end: usize) -> Broken {
    let problem = error.message().lines().collect::<Vec<_>>().join("; ");
    Broken::new(error.span().unwrap_or(end..end), problem)
}

/// The keys of a table, in the order written.
fn entries_of(table: &DeTable<'_>) -> Vec<(Key, Given)> {
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
