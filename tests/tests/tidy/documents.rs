//! Documents name what exists.

use std::path::Path;

use nexus_tests::repository;

use crate::settle;
use crate::source::{File, files};

/// Written by `cargo xtask docs`.
const CONFIGURATION: &str = "docs/CONFIGURATION.md";
const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";

/// Top-level directories whose names begin a path in the text of a document.
const ROOTS: &[&str] = &["crates/", "tests/", "xtask/", "benches/", "docs/", ".ci/", "examples/"];

#[test]
fn every_link_leads_somewhere() {
    let mut faults = Vec::new();
    for file in files().iter().filter(|file| file.is("md")) {
        let dir = repository().join(Path::new(&file.path).parent().unwrap_or(Path::new("")));
        for (line, target) in links(&file.text) {
            let outside = target.contains("://") || target.starts_with("mailto:");
            let path = target.split('#').next().unwrap_or_default();
            if !outside && !path.is_empty() && !dir.join(path).exists() {
                faults.push(format!("{}:{line}: {target} is not there; mend the link", file.path));
            }
        }
    }
    settle("links", &faults);
}

#[test]
fn every_path_that_the_architecture_names_exists() {
    let all = files();
    let Some(page) = all.iter().find(|file| file.path == ARCHITECTURE) else { return };
    let faults: Vec<String> = paths(&page.text)
        .filter(|path| !repository().join(path).exists())
        .map(|path| format!("{path} is not there; mend {ARCHITECTURE}"))
        .collect();
    settle("paths in the architecture", &faults);
}

#[test]
fn every_decision_is_linked_from_the_architecture() {
    let all = files();
    let page = all.iter().find(|file| file.path == ARCHITECTURE);
    let decision = |file: &&File| file.path.starts_with("docs/decisions/") && file.is("md");
    let faults: Vec<String> = all
        .iter()
        .filter(decision)
        .filter_map(|file| file.path.strip_prefix("docs/"))
        .filter(|path| page.is_none_or(|page| !page.text.contains(path)))
        .map(|path| format!("docs/{path}: link it from {ARCHITECTURE}"))
        .collect();
    settle("decisions", &faults);
}

#[test]
fn the_reference_page_is_what_the_tables_say() {
    let page = std::fs::read_to_string(repository().join(CONFIGURATION)).unwrap_or_default();
    let differs = page != nexus_spec::reference();
    let fault = differs.then(|| format!("{CONFIGURATION} is not current; run `cargo xtask docs`"));
    settle("the reference page", &fault.into_iter().collect::<Vec<_>>());
}

#[test]
fn the_readme_names_the_command_that_tests() {
    let named = |path: &str, command: &str| {
        let text = std::fs::read_to_string(repository().join(path)).unwrap_or_default();
        (!text.contains(command)).then(|| format!("{path} must say `{command}`"))
    };
    let faults: Vec<String> = [
        named("README.md", "cargo xtask test"),
        named("README.md", "cargo run --release -- start"),
        named(".ci/run", "cargo xtask ci"),
    ]
    .into_iter()
    .flatten()
    .collect();
    settle("commands", &faults);
}

/// Targets of `[text](target)` outside of code, with their lines from 1.
fn links(markdown: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in markdown.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        // Every second part between backquotes is code.
        let text: String = line.split('`').step_by(2).collect();
        for rest in text.split("](").skip(1).filter(|_| !fenced) {
            let target = rest.split(')').next().unwrap_or_default();
            found.push((index + 1, target.split(' ').next().unwrap_or_default().to_owned()));
        }
    }
    found
}

/// What stands between backquotes, in text or in fenced code, and is a path of the repository.
fn paths(markdown: &str) -> impl Iterator<Item = &str> {
    markdown
        .split(|c: char| c.is_whitespace() || "`()[],;\"'│├└─".contains(c))
        .map(|word| word.trim_end_matches(['.', ':']))
        .filter(|word| ROOTS.iter().any(|root| word.starts_with(root)))
        .map(|word| word.split(['#', ':']).next().unwrap_or(word))
        .filter(|word| !word.contains(['*', '{', '<', '…']))
}

#[test]
fn links_and_paths_are_found() {
    let text = "See [a](docs/a.md#x \"t\") and [b](https://b) `[c](d)`.\n```\n[e](f)\n```\n";
    let found = links(text);
    assert_eq!(found, [(1, "docs/a.md#x".to_owned()), (1, "https://b".to_owned())]);
    let named: Vec<&str> =
        paths("in `crates/nexusd/src/turn.rs:12`, (docs/STYLE.md). not/here crates/*/src")
            .collect();
    assert_eq!(named, ["crates/nexusd/src/turn.rs", "docs/STYLE.md"]);
}
