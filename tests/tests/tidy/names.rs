//! Names of files and modules say what is in them.

use std::path::Path;

use crate::settle;
use crate::source::{code, files};

/// Names under which anything could be put, and therefore will be.
const EMPTY_NAMES: &[&str] =
    &["common", "commons", "helper", "helpers", "misc", "shared", "stuff", "util", "utils"];

#[test]
fn no_module_has_a_name_that_says_nothing() {
    let mut faults = Vec::new();
    for file in files().iter().filter(|file| file.is("rs")) {
        let path = Path::new(&file.path).with_extension("");
        for part in path.iter().filter_map(|part| part.to_str()) {
            if EMPTY_NAMES.contains(&part) {
                faults.push(format!("{}: name it after the one thing that it does", file.path));
            }
        }
        let code = code(&file.text);
        for name in EMPTY_NAMES {
            if code.contains(&format!("mod {name} ")) || code.contains(&format!("mod {name};")) {
                faults.push(format!("{}: mod {name}: name it after what it does", file.path));
            }
        }
    }
    settle("names of modules", &faults);
}

#[test]
fn every_source_file_says_what_it_is_in_its_first_line() {
    let mut faults = Vec::new();
    for file in files().iter().filter(|file| file.is("rs")) {
        let first = file.text.lines().next().unwrap_or_default();
        if first.strip_prefix("//! ").is_none_or(|sentence| sentence.trim().len() < 10) {
            faults.push(format!("{}: begin with `//! ` and one sentence", file.path));
        }
    }
    settle("opening sentences", &faults);
}
