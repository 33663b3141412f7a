//! Text into values with their places: one walk for every format.

mod json;
mod number;
mod toml;
mod yaml;

use std::ops::Range;
use std::path::Path;

use crate::given::Given;

/// How a project file is written, and with that, whose defaults its apps have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `ecosystem.toml`: ours.
    Toml,
    /// JSON as PM2 takes it: with comments, unquoted keys, single quotes, trailing commas.
    Json,
    /// YAML, one document.
    Yaml,
    /// `package.json`: JSON with the apps under `pm2`.
    Package,
}

/// The name for standard input, whose text is JSON.
const STDIN: &str = "-";

impl Format {
    /// The format of a file of this name; `None` when it is no project file. `-` is JSON.
    pub fn of(file: &Path) -> Option<Format> {
        if file.as_os_str() == STDIN {
            return Some(Format::Json);
        }
        if file.file_name().is_some_and(|name| name == "package.json") {
            return Some(Format::Package);
        }
        match file.extension()?.to_str()? {
            "toml" => Some(Format::Toml),
            "json" | "json5" => Some(Format::Json),
            "yaml" | "yml" => Some(Format::Yaml),
            _ => None,
        }
    }
}

/// Why a text is none of its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) at: Range<usize>,
    /// A sentence without a full stop.
    pub(crate) problem: String,
    /// What to write; may be empty.
    pub(crate) remedy: String,
}

impl Broken {
    fn new(at: Range<usize>, problem: impl Into<String>) -> Broken {
        Broken { at, problem: problem.into(), remedy: String::new() }
    }
}

/// How deep values may nest: deeper ones would be a danger to the stack, and mean nothing.
const DEPTH_MAX: usize = 64;

/// The value that a text is.
pub(crate) fn parse(format: Format, text: &str) -> Result<Given, Vec<Broken>> {
    match format {
        Format::Toml => toml::parse(text),
        Format::Json | Format::Package => json::parse(text).map_err(|broken| vec![broken]),
        Format::Yaml => yaml::parse(text).map_err(|broken| vec![broken]),
    }
}
