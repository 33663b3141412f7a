//! YAML into values with their places: one document, anchors and merge keys resolved.

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use super::{Broken, DEPTH_MAX, number::number};
use crate::given::{Given, Key, What};

/// Values that one file may have once its aliases are resolved: a few lines could else stand for
/// billions.
const VALUES_MAX: usize = 200_000;

/// The one document of a text; an empty one is an empty table.
pub(super) fn parse(text: &str) -> Result<Given, Broken> {
    // A mark at the front would be taken for a part of the first key.
    let skipped = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut document = Document {
        parser: Parser::new_from_str(text.get(skipped..).unwrap_or("")),
        places: Places { text, skipped, last: (0, skipped) },
        anchors: HashMap::new(),
        values: 0,
    };
    let mut root = None;
    loop {
        let (event, at) = document.event()?;
        match event {
            Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            event if root.is_none() => root = Some(document.value(event, at, 0)?),
            Event::Alias(_)
            | Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::SequenceEnd
            | Event::MappingStart(..)
            | Event::MappingEnd => {
                let problem = "a second document begins here; one is read";
                return Err(Broken::new(at, problem));
            }
        }
    }
    let empty = || Given { at: 0..0, what: What::Table(Vec::new()) };
    Ok(root.flatten().unwrap_or_else(empty))
}

struct Document<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    places: Places<'a>,
    /// The value of each anchor; `None` is null.
    anchors: HashMap<usize, Option<Given>>,
    values: usize,
}

/// Characters into bytes. Marks come nearly in order, so the next one is close to the last.
struct Places<'a> {
    text: &'a str,
    /// Bytes at the front that the parser does not see.
    skipped: usize,
    /// The last mark: its character and its byte.
    last: (usize, usize),
}

impl Places<'_> {
    fn byte(&mut self, mark: &Marker) -> usize {
        let (mut chars, mut byte) = self.last;
        if mark.index() < chars {
            let before = self.text.get(self.skipped..byte).unwrap_or("").chars().rev();
            byte -= before.take(chars - mark.index()).map(char::len_utf8).sum::<usize>();
        } else {
            let after = self.text.get(byte..).unwrap_or("").chars();
            byte += after.take(mark.index() - chars).map(char::len_utf8).sum::<usize>();
        }
        chars = mark.index();
        self.last = (chars, byte);
        byte
    }

    fn bytes(&mut self, span: Span) -> Range<usize> {
        let start = self.byte(&span.start);
        start..self.byte(&span.end).max(start)
    }
}

impl<'a> Document<'a> {
    fn event(&mut self) -> Result<(Event<'a>, Range<usize>), Broken> {
        match self.parser.next_event() {
            None => Ok((Event::StreamEnd, 0..0)),
            Some(Ok((event, span))) => Ok((event, self.places.bytes(span))),
            Some(Err(error)) => {
                let at = self.places.byte(error.marker());
                Err(Broken::new(at..at, error.info().replace('\n', "; ")))
            }
        }
    }

    /// The value that begins with an event; `None` for null.
    fn value(
        &mut self,
        event: Event<'a>,
        at: Range<usize>,
        depth: usize,
    ) -> Result<Option<Given>, Broken> {
        self.count(1, &at)?;
        if depth > DEPTH_MAX {
            return Err(Broken::new(at, format!("values nest deeper than {DEPTH_MAX}")));
        }
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let string =
                    tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                let what = match plain && !string {
                    true => scalar(&text),
                    false => Some(What::Text(text.into_owned())),
                };
                (anchor, what.map(|what| Given { at, what }))
            }
            Event::SequenceStart(anchor, _) => (anchor, Some(self.list(at, depth)?)),
            Event::MappingStart(anchor, _) => (anchor, Some(self.table(at, depth)?)),
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned().flatten();
                self.count(value.as_ref().map_or(0, size), &at)?;
                return Ok(value);
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(Broken::new(at, "a value is expected here")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn count(&mut self, values: usize, at: &Range<usize>) -> Result<(), Broken> {
        self.values += values;
        match self.values > VALUES_MAX {
            true => Err(Broken::new(at.clone(), format!("more than {VALUES_MAX} values"))),
            false => Ok(()),
        }
    }

    fn list(&mut self, start: Range<usize>, depth: usize) -> Result<Given, Broken> {
        let mut items = Vec::new();
        loop {
            let (event, at) = self.event()?;
            if event == Event::SequenceEnd {
                let end = items.last().map_or(at.end, |item: &Given| item.at.end.max(at.start));
                return Ok(Given { at: start.start..end, what: What::List(items) });
            }
            let null = Given { at: at.clone(), what: What::Text("null".to_owned()) };
            items.push(self.value(event, at, depth + 1)?.unwrap_or(null));
        }
    }

    fn table(&mut self, start: Range<usize>, depth: usize) -> Result<Given, Broken> {
        let mut entries: Vec<(Key, Given)> = Vec::new();
        let mut known: HashMap<String, ()> = HashMap::new();
        let mut merged: Vec<(Key, Given)> = Vec::new();
        let end = loop {
            let (event, at) = self.event()?;
            if event == Event::MappingEnd {
                break entries.last().map_or(at.end, |(_, value)| value.at.end.max(at.start));
            }
            let key = self.key(event, at)?;
            let (event, at) = self.event()?;
            let value = self.value(event, at, depth + 1)?;
            if key.text == "<<" {
                merged.extend(value.map(merge).unwrap_or_default());
            } else if known.insert(key.text.clone(), ()).is_some() {
                return Err(Broken::new(key.at, "this key stands here a second time"));
            } else if let Some(value) = value {
                entries.push((key, value));
            }
        };
        // What is written here wins over what is merged, and the first merged over later ones.
        for (key, value) in merged {
            if known.insert(key.text.clone(), ()).is_none() {
                entries.push((key, value));
            }
        }
        Ok(Given { at: start.start..end.max(start.end), what: What::Table(entries) })
    }

    fn key(&mut self, event: Event<'a>, at: Range<usize>) -> Result<Key, Broken> {
        self.count(1, &at)?;
        match event {
            Event::Scalar(text, ..) => Ok(Key { at, text: text.into_owned() }),
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(Some(Given { what: What::Text(text), .. })) => {
                    Ok(Key { at, text: text.clone() })
                }
                Some(_) | None => Err(Broken::new(at, "a key is a string")),
            },
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceStart(..)
            | Event::SequenceEnd
            | Event::MappingStart(..)
            | Event::MappingEnd => Err(Broken::new(at, "a key is a string")),
        }
    }
}

/// The entries that a merge key stands for: of a table, or of several.
fn merge(value: Given) -> Vec<(Key, Given)> {
    match value.what {
        What::Table(entries) => entries,
        What::List(items) => items.into_iter().flat_map(merge).collect(),
        What::Text(_)
        | What::Flag(_)
        | What::Int(..)
        | What::HugeInt
        | What::Float(_)
        | What::Bool(_)
        | What::Date => Vec::new(),
    }
}

/// How many values there are within one.
fn size(value: &Given) -> usize {
    match &value.what {
        What::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        What::Table(entries) => 1 + entries.iter().map(|(_, value)| size(value)).sum::<usize>(),
        What::Text(_)
        | What::Flag(_)
        | What::Int(..)
        | What::HugeInt
        | What::Float(_)
        | What::Bool(_)
        | What::Date => 1,
    }
}

/// A plain scalar by YAML 1.2's core schema; `None` for null.
fn scalar(text: &str) -> Option<What> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => return None,
        "true" | "True" | "TRUE" => What::Bool(true),
        "false" | "False" | "FALSE" => What::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" => What::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => What::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => What::Float(f64::NAN),
        _ => number(text).unwrap_or_else(|| What::Text(text.to_owned())),
    })
}
