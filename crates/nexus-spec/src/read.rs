//! Values as written into values to act upon: one reader for each form, used by file and flag.

use std::collections::BTreeMap;

use crate::given::{Given, What};
use crate::size::Size;
use crate::span::Span;
use crate::words;
use crate::wrong::{Wrong, Wrongs};

/// A string, free of NUL bytes: neither an argument nor a path can hold one.
pub(crate) fn text(given: &Given) -> Result<&str, Wrong> {
    let (What::Text(text) | What::Flag(text)) = &given.what else {
        return Err(Wrong::form(given, "a string"));
    };
    if text.contains('\0') {
        return Err(Wrong::value(given, "has a NUL character", "leave it out"));
    }
    Ok(text)
}

/// A string with something in it.
pub(crate) fn some_text(given: &Given) -> Result<&str, Wrong> {
    match text(given)? {
        blank if blank.trim().is_empty() => {
            Err(Wrong::value(given, "is empty", "write a value, or leave the key out"))
        }
        text => Ok(text),
    }
}

/// A path, as written. `~` is a shell's, and would become a directory of that name.
pub(crate) fn path(given: &Given) -> Result<String, Wrong> {
    let text = some_text(given)?;
    if text == "~" || text.starts_with("~/") {
        return Err(Wrong::value(
            given,
            "begins with `~`, which is not expanded here",
            "write the directory in full",
        ));
    }
    Ok(text.to_owned())
}

/// True or false.
pub(crate) fn boolean(given: &Given) -> Result<bool, Wrong> {
    match &given.what {
        What::Bool(value) => Ok(*value),
        What::Flag(text) if text == "true" => Ok(true),
        What::Flag(text) if text == "false" => Ok(false),
        What::Flag(_) => {
            Err(Wrong::value(given, "is neither true nor false", "write true or false"))
        }
        What::Text(_)
        | What::Int(..)
        | What::HugeInt
        | What::Float(_)
        | What::Date
        | What::List(_)
        | What::Table(_) => Err(Wrong::form(given, "true or false")),
    }
}

/// A whole number from `low` to `high`.
pub(crate) fn integer(given: &Given, low: i64, high: i64) -> Result<i64, Wrong> {
    let remedy = || format!("write a whole number from {low} to {high}");
    let value = match &given.what {
        What::Int(value, _) => *value,
        What::Flag(text) => match text.trim().parse() {
            Ok(value) => value,
            Err(_) => return Err(Wrong::value(given, "is not a whole number", remedy())),
        },
        What::HugeInt => return Err(Wrong::value(given, "is out of range", remedy())),
        What::Text(_)
        | What::Float(_)
        | What::Bool(_)
        | What::Date
        | What::List(_)
        | What::Table(_) => return Err(Wrong::form(given, "a whole number")),
    };
    if !(low..=high).contains(&value) {
        return Err(Wrong::value(given, format!("is {value}, out of range"), remedy()));
    }
    Ok(value)
}

/// How to write a length of time, as a remedy.
const TIME_REMEDY: &str = "write a number of milliseconds, or \"250ms\", \"10s\", \"5m\", \"2h\"";

/// A length of time.
pub(crate) fn span(given: &Given) -> Result<Span, Wrong> {
    let parsed = match &given.what {
        What::Int(ms, _) => match u64::try_from(*ms) {
            Ok(ms) if ms <= Span::MAX.0 => Ok(Span(ms)),
            Ok(_) => Err("is longer than ten years".to_owned()),
            Err(_) => Err("is below zero".to_owned()),
        },
        What::HugeInt => Err("is longer than ten years".to_owned()),
        What::Text(text) | What::Flag(text) => Span::parse(text),
        What::Float(_) | What::Bool(_) | What::Date | What::List(_) | What::Table(_) => {
            return Err(Wrong {
                remedy: TIME_REMEDY.to_owned(),
                ..Wrong::form(given, "a length of time")
            });
        }
    };
    parsed.map_err(|clause| Wrong::value(given, clause, TIME_REMEDY))
}

/// How to write an amount of bytes, as a remedy.
const SIZE_REMEDY: &str = "write a number of bytes, or \"64K\", \"512M\", \"1.5G\"";

/// An amount of bytes.
pub(crate) fn size(given: &Given) -> Result<Size, Wrong> {
    let parsed = match &given.what {
        What::Int(bytes, _) => match u64::try_from(*bytes) {
            Ok(bytes) if bytes <= Size::MAX.0 => Ok(Size(bytes)),
            Ok(_) => Err("is more than 8192 T".to_owned()),
            Err(_) => Err("is below zero".to_owned()),
        },
        What::HugeInt => Err("is more than 8192 T".to_owned()),
        What::Text(text) | What::Flag(text) => Size::parse(text),
        What::Float(_) | What::Bool(_) | What::Date | What::List(_) | What::Table(_) => {
            return Err(Wrong {
                remedy: SIZE_REMEDY.to_owned(),
                ..Wrong::form(given, "an amount of bytes")
            });
        }
    };
    parsed.map_err(|clause| Wrong::value(given, clause, SIZE_REMEDY))
}

/// An amount of bytes that is not zero; `none` for no limit.
pub(crate) fn some_size(given: &Given) -> Result<Option<Size>, Wrong> {
    if matches!(&given.what, What::Text(text) | What::Flag(text) if text == "none") {
        return Ok(None);
    }
    match size(given)? {
        Size(0) => Err(Wrong::value(given, "is zero", "write an amount, or \"none\"")),
        size => Ok(Some(size)),
    }
}

/// A length of time that is not zero.
pub(crate) fn some_span(given: &Given) -> Result<Span, Wrong> {
    match span(given)? {
        Span(0) => Err(Wrong::value(given, "is zero", "write at least 1 ms")),
        span => Ok(span),
    }
}

/// A number times 100, exact: `1.5` is 150.
pub(crate) fn hundredths(given: &Given) -> Result<i64, Wrong> {
    let value = match &given.what {
        What::Int(value, _) => *value as f64,
        What::Float(value) => *value,
        What::Flag(text) => text.trim().parse().unwrap_or(f64::NAN),
        What::Text(_)
        | What::HugeInt
        | What::Bool(_)
        | What::Date
        | What::List(_)
        | What::Table(_) => {
            return Err(Wrong::form(given, "a number"));
        }
    };
    let scaled = value * 100.0;
    if !scaled.is_finite() || scaled.abs() > 1e12 {
        return Err(Wrong::value(given, "is out of range", ""));
    }
    // Decimal fractions are not exact in binary; what is meant is the near whole.
    if (scaled - scaled.round()).abs() > 1e-6 {
        return Err(Wrong::value(given, "is finer than a hundredth", "round it"));
    }
    Ok(scaled.round() as i64)
}

/// Strings: an array of them, or one string split into words.
pub(crate) fn words(given: &Given) -> Result<Vec<String>, Wrongs> {
    match &given.what {
        What::Text(_) | What::Flag(_) => words::split(text(given)?).map_err(|clause| {
            Wrong::value(given, clause, "close it, or write an array of strings").into()
        }),
        What::List(_) => texts(given),
        What::Int(..)
        | What::HugeInt
        | What::Float(_)
        | What::Bool(_)
        | What::Date
        | What::Table(_) => Err(Wrong::form(given, "an array of strings, or a string").into()),
    }
}

/// Strings: an array of them, or a single one, as it is.
pub(crate) fn texts(given: &Given) -> Result<Vec<String>, Wrongs> {
    let mut wrongs = Wrongs::default();
    let mut texts = Vec::new();
    for item in items(given) {
        let read = text(item).map_err(|wrong| in_array(given, item, wrong));
        texts.extend(wrongs.keep(read).map(str::to_owned));
    }
    wrongs.unless(texts)
}

/// The items of an array; of anything else itself alone.
pub(crate) fn items(given: &Given) -> &[Given] {
    match &given.what {
        What::List(items) => items,
        What::Text(_)
        | What::Flag(_)
        | What::Int(..)
        | What::HugeInt
        | What::Float(_)
        | What::Bool(_)
        | What::Date
        | What::Table(_) => std::slice::from_ref(given),
    }
}

/// Says which array an item of the wrong form stands in.
pub(crate) fn in_array(given: &Given, item: &Given, wrong: Wrong) -> Wrong {
    match (&given.what, wrong.code) {
        (What::List(_), crate::flaw::Code::Type) => {
            let problem = format!("holds {} among its items", item.form());
            Wrong { problem, ..wrong }
        }
        _ => wrong,
    }
}

/// Variables: a table of strings, numbers and booleans. No value is ever quoted in a flaw: it may
/// be a secret.
pub(crate) fn variables(given: &Given) -> Result<BTreeMap<String, String>, Wrongs> {
    if let What::Flag(text) = &given.what {
        let remedy = "write NAME=VALUE";
        let (name, value) =
            text.split_once('=').ok_or_else(|| Wrong::value(given, "has no `=`", remedy))?;
        variable_name(name).map_err(|clause| Wrong::value(given, clause, remedy))?;
        let value = variable(&Given::flag(value))?;
        return Ok(BTreeMap::from([(name.to_owned(), value)]));
    }
    if !matches!(given.what, What::Table(_)) {
        return Err(Wrong::form(given, "a table of variables").into());
    }
    let mut wrongs = Wrongs::default();
    let mut variables = BTreeMap::new();
    for (key, value) in given.entries() {
        let named = |wrong: Wrong| wrong.of_key(&key.text);
        if let Err(problem) = variable_name(&key.text) {
            let remedy = "name it with letters, digits and `_`";
            let wrong = Wrong::of(&key.text, crate::flaw::Code::Value, problem, remedy);
            wrongs.0.push(Wrong { at: Some(key.at.clone()), ..wrong });
        }
        if let Some(value) = wrongs.keep(variable(value).map_err(named)) {
            variables.insert(key.text.clone(), value);
        }
    }
    wrongs.unless(variables)
}

/// Why `name` cannot name a variable (`environ(7)`), or may not: an end of a line in it would look like
/// two variables wherever they are shown, and an escape would be obeyed there.
fn variable_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        Err("is empty, which is no name of a variable")
    } else if name.contains(|c: char| c == '=' || c.is_control()) {
        Err("has a character that the name of a variable may not have")
    } else {
        Ok(())
    }
}

fn variable(given: &Given) -> Result<String, Wrong> {
    match &given.what {
        What::Int(value, _) => Ok(value.to_string()),
        What::Float(value) => Ok(value.to_string()),
        What::Bool(value) => Ok(value.to_string()),
        What::Text(_) | What::Flag(_) => text(given).map(str::to_owned),
        What::HugeInt | What::Date | What::List(_) | What::Table(_) => {
            let remedy = "write it as a string".to_owned();
            Err(Wrong { remedy, ..Wrong::form(given, "a string, a number or a boolean") })
        }
    }
}

/// A user or a group, by name or number; whether it exists is seen at each spawn.
pub(crate) fn account(given: &Given) -> Result<String, Wrong> {
    if matches!(given.what, What::Int(..) | What::HugeInt) {
        // The highest id is the kernel's "no change" (`setresuid(2)`).
        return Ok(integer(given, 0, i64::from(u32::MAX) - 1)?.to_string());
    }
    if !matches!(given.what, What::Text(_) | What::Flag(_)) {
        return Err(Wrong::form(given, "a string or a number"));
    }
    let text = some_text(given)?;
    let odd = |c: char| c.is_control() || c.is_whitespace() || ":/,".contains(c);
    if text.contains(odd) || text.starts_with(['-', '+']) {
        return Err(Wrong::value(given, "is no name of an account", ""));
    }
    Ok(text.to_owned())
}

/// The mode of a file, or a mask of it, in octal digits. A decimal number is refused: `umask = 27`
/// would silently be 033.
pub(crate) fn mode(given: &Given) -> Result<u32, Wrong> {
    let mask = match &given.what {
        What::Text(text) | What::Flag(text) => {
            let digits = text.strip_prefix("0o").unwrap_or(text);
            match digits.is_empty() || digits.contains(|c: char| !c.is_digit(8)) {
                true => return Err(Wrong::value(given, "is not an octal number", "")),
                false => i64::from_str_radix(digits, 8).unwrap_or(i64::MAX),
            }
        }
        What::Int(value, 8) => *value,
        What::Int(0, _) => 0,
        What::Int(value, _) => {
            let problem = "is a decimal number, where octal is meant";
            return Err(Wrong::value(given, problem, format!("write \"{value:03}\"")));
        }
        What::HugeInt => i64::MAX,
        What::Float(_) | What::Bool(_) | What::Date | What::List(_) | What::Table(_) => {
            return Err(Wrong::form(given, "a string of octal digits"));
        }
    };
    u32::try_from(mask)
        .ok()
        .filter(|mask| *mask <= 0o777)
        .ok_or_else(|| Wrong::value(given, "is beyond 777", ""))
}
