//! What fuzzing reaches of this crate, and what it has found, kept as a test.

use std::path::Path;

use crate::{Format, Reading};

/// A project file in every format that is read, by the first byte; the rest is its text.
///
/// # Panics
/// When a refusal says nothing.
pub fn project(bytes: &[u8]) {
    let Some((first, text)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let formats = [Format::Toml, Format::Json, Format::Yaml, Format::Package];
    let Some(format) = formats.into_iter().nth(usize::from(*first) % formats.len()) else { return };
    let profile = (*first >= 128).then_some("production");
    let (file, base_dir) = (Path::new("ecosystem.toml"), Path::new("/srv/app"));
    let reading = Reading { file, format, base_dir, exists: &|_| true, profile };
    match reading.project(text) {
        Ok(project) => drop(project.warnings.map(|flaws| flaws.to_string())),
        Err(flaws) => assert!(!flaws.to_string().is_empty(), "a refusal without a word"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_fuzzing_found_in_project_files_stays_mended() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/project");
        for entry in std::fs::read_dir(seeds).unwrap() {
            super::project(&std::fs::read(entry.unwrap().path()).unwrap());
        }
    }
}
