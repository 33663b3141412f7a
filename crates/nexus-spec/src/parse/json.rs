//! JSON as PM2 takes it (it evaluates the file as JavaScript): comments, unquoted keys, single
//! quotes, trailing commas, numbers as JSON5 has them. What is more than that is refused by name.

use std::collections::HashMap;
use std::ops::Range;

use super::{Broken, DEPTH_MAX, number::number};
use crate::given::{Given, Key, What};

/// What JavaScript would compute.
const NOT_EVALUATED: &str = "is JavaScript, which is not evaluated here";

/// The one value of a text.
pub(super) fn parse(text: &str) -> Result<Given, Broken> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.blank()?;
    let value = parser.value()?.unwrap_or(Given { at: 0..0, what: What::Table(Vec::new()) });
    parser.blank()?;
    // A text that was written to be evaluated may end like a statement.
    if parser.eat(';') {
        parser.blank()?;
    }
    match parser.rest().is_empty() {
        true => Ok(value),
        false => Err(parser.unexpected("nothing more")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += if there { wanted.len_utf8() } else { 0 };
        there
    }

    /// What is here in place of what is wanted.
    fn unexpected(&self, wanted: &str) -> Broken {
        match self.peek() {
            None => Broken::new(self.at..self.at, format!("the text ends; {wanted} is expected")),
            Some(c) => {
                let here = self.at..self.at + c.len_utf8();
                let shown = c.escape_debug();
                Broken::new(here, format!("`{shown}` stands where {wanted} is expected"))
            }
        }
    }

    /// Skips white space and comments.
    fn blank(&mut self) -> Result<(), Broken> {
        loop {
            let rest = self.rest();
            let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
            let start = rest.trim_start_matches(blank);
            self.at += rest.len() - start.len();
            if start.starts_with("//") {
                self.at += start.find(['\n', '\r']).unwrap_or(start.len());
            } else if start.starts_with("/*") {
                let Some(end) = start.find("*/") else {
                    let problem = "the comment that begins here has no end";
                    return Err(Broken::new(self.at..self.at + 2, problem));
                };
                self.at += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    /// A value; `None` for `null` and `undefined`, which stand for nothing written.
    fn value(&mut self) -> Result<Option<Given>, Broken> {
        let start = self.at;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let problem = format!("values nest deeper than {DEPTH_MAX}");
            return Err(Broken::new(start..start + 1, problem));
        }
        let what = match self.peek() {
            Some('{') => Some(self.table()?),
            Some('[') => Some(self.list()?),
            Some('"' | '\'' | '`') => Some(What::Text(self.string()?)),
            Some(c) if c.is_ascii_digit() || "+-.".contains(c) => Some(self.number()?),
            Some(c) if is_word(c) => self.word()?,
            Some(_) | None => return Err(self.unexpected("a value")),
        };
        self.depth -= 1;
        let end = self.at;
        self.no_expression(start)?;
        Ok(what.map(|what| Given { at: start..end, what }))
    }

    /// Refuses an operator or a call after a value: `[…].join('')`, `1 + 2`.
    fn no_expression(&mut self, start: usize) -> Result<(), Broken> {
        self.blank()?;
        match self.peek() {
            Some(c) if "+-*/%.([?&|<>=!`".contains(c) => {
                let shown = self.text.get(start..self.at).unwrap_or("").trim_end();
                Err(computed(start..start + shown.len()))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn table(&mut self) -> Result<What, Broken> {
        self.next();
        let mut entries: Vec<(Key, Option<Given>)> = Vec::new();
        // As in JavaScript, a later key takes the place of an earlier one.
        let mut places: HashMap<String, usize> = HashMap::new();
        loop {
            self.blank()?;
            if self.eat('}') {
                let entries = entries.into_iter();
                let written = |(key, value): (Key, Option<Given>)| Some((key, value?));
                return Ok(What::Table(entries.filter_map(written).collect()));
            }
            let key = self.key()?;
            self.blank()?;
            if !self.eat(':') {
                return Err(self.unexpected("`:`"));
            }
            self.blank()?;
            let value = self.value()?;
            match places.get(&key.text).and_then(|place| entries.get_mut(*place)) {
                Some(entry) => *entry = (key, value),
                None => {
                    places.insert(key.text.clone(), entries.len());
                    entries.push((key, value));
                }
            }
            self.blank()?;
            if !self.eat(',') && self.peek() != Some('}') {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
    }

    fn key(&mut self) -> Result<Key, Broken> {
        let start = self.at;
        let text = match self.peek() {
            Some('"' | '\'') => self.string()?,
            Some(c) if is_word(c) || c.is_ascii_digit() => self.word_text().to_owned(),
            Some('.' | '[') => {
                return Err(computed(start..start + 1));
            }
            Some(_) | None => return Err(self.unexpected("a key or `}`")),
        };
        Ok(Key { at: start..self.at, text })
    }

    fn list(&mut self) -> Result<What, Broken> {
        self.next();
        let mut items = Vec::new();
        loop {
            self.blank()?;
            if self.eat(']') {
                return Ok(What::List(items));
            }
            let start = self.at;
            let null = || What::Text("null".to_owned());
            let item = self.value()?;
            items.push(item.unwrap_or_else(|| Given { at: start..start + 4, what: null() }));
            self.blank()?;
            if !self.eat(',') && self.peek() != Some(']') {
                return Err(self.unexpected("`,` or `]`"));
            }
        }
    }

    fn word_text(&mut self) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c: char| !(is_word(c) || c.is_ascii_digit()));
        let word = rest.get(..length.unwrap_or(rest.len())).unwrap_or("");
        self.at += word.len();
        word
    }

    fn word(&mut self) -> Result<Option<What>, Broken> {
        let start = self.at;
        match self.word_text() {
            "true" => Ok(Some(What::Bool(true))),
            "false" => Ok(Some(What::Bool(false))),
            "null" | "undefined" => Ok(None),
            "Infinity" => Ok(Some(What::Float(f64::INFINITY))),
            "NaN" => Ok(Some(What::Float(f64::NAN))),
            _ => Err(computed(start..self.at)),
        }
    }

    fn number(&mut self) -> Result<What, Broken> {
        let rest = self.rest();
        let signed = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        // An exponent has a sign within the number.
        let mut before = ' ';
        let length = signed.find(|c: char| {
            let sign = "+-".contains(c) && matches!(before, 'e' | 'E') && !signed.starts_with("0x");
            before = c;
            !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || sign)
        });
        let length = rest.len() - signed.len() + length.unwrap_or(signed.len());
        let text = rest.get(..length).unwrap_or("");
        let start = self.at;
        self.at += length;
        let infinite = match text {
            "-Infinity" => Some(What::Float(f64::NEG_INFINITY)),
            "+Infinity" => Some(What::Float(f64::INFINITY)),
            _ => None,
        };
        let plain = text.replace('_', "");
        infinite
            .or_else(|| number(&plain))
            .ok_or_else(|| Broken::new(start..self.at, "this is no number"))
    }

    fn string(&mut self) -> Result<String, Broken> {
        let start = self.at;
        let quote = self.next().unwrap_or('"');
        let mut text = String::new();
        let open = || Broken::new(start..start + 1, "the string that begins here has no end");
        loop {
            let here = self.at;
            match self.next().ok_or_else(open)? {
                c if c == quote => return Ok(text),
                '\\' => text.extend(self.escape(here)?),
                '\n' | '\r' if quote != '`' => return Err(open()),
                '$' if quote == '`' && self.peek() == Some('{') => {
                    return Err(computed(here..here + 2));
                }
                c => text.push(c),
            }
        }
    }

    /// What follows a backslash; a line break stands for nothing.
    fn escape(&mut self, start: usize) -> Result<Option<char>, Broken> {
        let c = self.next();
        let wrong = |end: usize| Broken::new(start..end, "this is no escape");
        Ok(Some(match c {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('v') => '\u{b}',
            Some('0') => '\0',
            Some('\r') => {
                self.eat('\n');
                return Ok(None);
            }
            Some('\n' | '\u{2028}' | '\u{2029}') => return Ok(None),
            Some('x') => self.hex(2).and_then(char::from_u32).ok_or_else(|| wrong(self.at))?,
            Some('u') => self.unicode().ok_or_else(|| wrong(self.at))?,
            Some(c) => c,
            None => return Err(wrong(self.at)),
        }))
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let text = self.rest().get(..digits)?;
        let value =
            text.chars().all(|c| c.is_ascii_hexdigit()).then(|| u32::from_str_radix(text, 16));
        self.at += digits;
        value?.ok()
    }

    /// `\u0041`, `\u{1f600}`, or two halves of a character beyond 16 bits.
    fn unicode(&mut self) -> Option<char> {
        if self.eat('{') {
            let length = self.rest().find('}').filter(|length| (1..=6).contains(length))?;
            let value = self.hex(length)?;
            self.next();
            return char::from_u32(value);
        }
        let high = self.hex(4)?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high);
        }
        let low = (self.eat('\\') && self.eat('u')).then(|| self.hex(4)).flatten()?;
        let low = (0xdc00..0xe000).contains(&low).then(|| low - 0xdc00)?;
        char::from_u32(0x10000 + ((high - 0xd800) << 10) + low)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '$'
}

fn computed(at: Range<usize>) -> Broken {
    let remedy = "write the value itself".to_owned();
    Broken { remedy, ..Broken::new(at, format!("this {NOT_EVALUATED}")) }
}
