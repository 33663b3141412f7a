//! Documents that are written from tables of the programs.

use std::path::Path;

/// The reference page of project files.
const CONFIGURATION: &str = "docs/CONFIGURATION.md";

/// Write them.
pub(crate) fn write() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    std::fs::write(root.join(CONFIGURATION), nexus_spec::reference())
        .map_err(|error| format!("{CONFIGURATION}: {error}"))?;
    println!("wrote {CONFIGURATION}");
    Ok(())
}
