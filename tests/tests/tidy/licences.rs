//! Licences of all that we link, and versions of a crate that we link twice.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::Graph;
use crate::{except, settle};

/// Licences that ask for no more than their notice. `deny.toml` has the same list.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that are there in two incompatible versions, with the reason.
const TWICE: &[(&str, &str)] = &[
    ("darling", "only while compiling; derive_builder, which croner needs, has not moved on"),
    ("darling_core", "as darling"),
    ("darling_macro", "as darling"),
    ("strum", "traits without code of their own; croner has not moved to 0.28"),
    ("strum_macros", "only while compiling, as strum"),
    ("syn", "only while compiling; tracing-attributes has not moved to 3 yet"),
];

#[test]
fn every_licence_is_permissive() {
    let graph = Graph::read();
    let mut faults = Vec::new();
    for package in graph.theirs().chain(graph.ours()) {
        let name = format!("{} {}", package.name, package.version);
        match package.licence.as_deref().map(allowed) {
            Some(Ok(true)) => {}
            Some(Ok(false)) => faults.push(format!(
                "{name}: {}; use another crate, or add the licence here and in deny.toml",
                package.licence.as_deref().unwrap_or_default()
            )),
            Some(Err(problem)) => faults.push(format!("{name}: {problem}")),
            None => faults.push(format!("{name}: names no licence; use another crate")),
        }
    }
    settle("licences", &faults);
}

#[test]
fn no_crate_is_there_in_two_incompatible_versions() {
    let graph = Graph::read();
    let mut versions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in graph.theirs() {
        versions.entry(&package.name).or_default().insert(breaking(&package.version));
    }
    let found = versions
        .into_iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, versions)| {
            (
                name.to_owned(),
                format!("versions {versions:?}; `cargo tree -d` shows who uses which"),
            )
        })
        .collect();
    settle("duplicate crates", &except(found, TWICE));
}

#[test]
fn cargo_deny_is_told_the_same() {
    let deny = std::fs::read_to_string(nexus_tests::repository().join("deny.toml")).unwrap();
    let missing: Vec<String> = ALLOWED
        .iter()
        .chain(crate::arrows::BANNED.iter().map(|(name, _)| name))
        .filter(|name| !deny.contains(&format!("\"{name}\"")))
        .map(|name| format!("{name} is missing from deny.toml"))
        .collect();
    settle("deny.toml", &missing);
}

/// The part of a version that a breaking change changes.
fn breaking(version: &str) -> String {
    let mut parts = version.split('.');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("0"), Some("0"), Some(patch)) => format!("0.0.{patch}"),
        (Some("0"), Some(minor), _) => format!("0.{minor}"),
        (Some(major), _, _) => major.to_owned(),
        (None, _, _) => String::new(),
    }
}

/// Whether an SPDX expression lets us choose a licence of the list. `AND` binds tighter than
/// `OR`; `/` is an old way to write `OR`.
fn allowed(expression: &str) -> Result<bool, String> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = Words { all: spaced.split_whitespace().collect(), next: 0 };
    let answer = words.either()?;
    match words.take() {
        None => Ok(answer),
        Some(word) => Err(format!("`{word}` is not expected in `{expression}`")),
    }
}

struct Words<'a> {
    all: Vec<&'a str>,
    next: usize,
}

impl<'a> Words<'a> {
    fn take(&mut self) -> Option<&'a str> {
        let word = self.all.get(self.next).copied();
        self.next += 1;
        word
    }

    fn skip(&mut self, word: &str) -> bool {
        let there = self.all.get(self.next).is_some_and(|next| *next == word);
        self.next += usize::from(there);
        there
    }

    fn either(&mut self) -> Result<bool, String> {
        let mut answer = self.both()?;
        while self.skip("OR") {
            answer |= self.both()?;
        }
        Ok(answer)
    }

    fn both(&mut self) -> Result<bool, String> {
        let mut answer = self.one()?;
        while self.skip("AND") {
            answer &= self.one()?;
        }
        Ok(answer)
    }

    fn one(&mut self) -> Result<bool, String> {
        let word = self.take().ok_or("the licence expression ends too early")?;
        if word == "(" {
            let answer = self.either()?;
            return if self.skip(")") { Ok(answer) } else { Err("a bracket is open".to_owned()) };
        }
        if self.skip("WITH") {
            let exception = self.take().ok_or("WITH what?")?;
            return Ok(ALLOWED.contains(&format!("{word} WITH {exception}").as_str()));
        }
        Ok(ALLOWED.contains(&word))
    }
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    let cases = [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("MIT OR GPL-3.0-only", true),
        ("MIT AND GPL-3.0-only", false),
        ("MIT/Apache-2.0", true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND OpenSSL", false),
        ("GPL-3.0-only OR MIT AND ISC", true),
        ("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only", true),
        ("GPL-2.0-only WITH Classpath-exception-2.0", false),
    ];
    for (expression, answer) in cases {
        assert_eq!(allowed(expression), Ok(answer), "{expression}");
    }
    assert!(allowed("(MIT").is_err() && allowed("MIT MIT").is_err() && allowed("").is_err());
}

#[test]
fn versions_that_may_differ_do_not_count_as_two() {
    assert_eq!(breaking("1.2.3"), breaking("1.9.0"));
    assert_ne!(breaking("0.2.3"), breaking("0.3.0"));
    assert_ne!(breaking("0.0.3"), breaking("0.0.4"));
}
