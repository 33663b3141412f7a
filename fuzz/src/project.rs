//! Project files, in every format that is read, by the first byte.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nexus_spec::{Format, Reading};

fuzz_target!(|bytes: &[u8]| {
    let Some((first, text)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let formats = [Format::Toml, Format::Json, Format::Yaml, Format::Package];
    let format = formats[usize::from(*first) % formats.len()];
    let profile = (*first >= 128).then_some("production");
    let (file, base_dir) = (Path::new("ecosystem.toml"), Path::new("/srv/app"));
    let reading = Reading { file, format, base_dir, exists: &|_| true, profile };
    match reading.project(text) {
        Ok(project) => drop(project.warnings.map(|flaws| flaws.to_string())),
        Err(flaws) => assert!(!flaws.to_string().is_empty()),
    }
});
