//! The test programs of the workspace, as cargo knows them.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// What `cargo metadata` says, as far as we need it.
pub(crate) struct Workspace {
    /// The root of the clone.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// All files under some package's `tests/`.
    pub(crate) tests: Vec<TestTarget>,
}

/// One test program beside the units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestTarget {
    pub(crate) package: String,
    pub(crate) name: String,
    /// It brings its own `main` (`harness = false`), so only `cargo test` can run it.
    pub(crate) own_main: bool,
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
}

/// Ask cargo.
pub(crate) fn workspace() -> Result<Workspace, String> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let told: Value = serde_json::from_slice(&output.stdout).map_err(|error| {
        format!("cargo metadata: {error}\n{}", String::from_utf8_lossy(&output.stderr))
    })?;
    let path = |key: &str| PathBuf::from(told[key].as_str().unwrap_or_default());
    let mut tests = Vec::new();
    for package in told["packages"].as_array().into_iter().flatten() {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let text = std::fs::read_to_string(manifest).map_err(|e| format!("{manifest}: {e}"))?;
        let own = own_mains(&text).map_err(|error| format!("{manifest}: {error}"))?;
        for target in package["targets"].as_array().into_iter().flatten() {
            if target["kind"] == serde_json::json!(["test"]) {
                let name = target["name"].as_str().unwrap_or_default().to_owned();
                let package = package["name"].as_str().unwrap_or_default().to_owned();
                tests.push(TestTarget { package, own_main: own.contains(&name), name });
            }
        }
    }
    Ok(Workspace { root: path("workspace_root"), target: path("target_directory"), tests })
}

/// Names of `[[test]]` sections with `harness = false`.
fn own_mains(manifest: &str) -> Result<Vec<String>, toml::de::Error> {
    let manifest: toml::Table = toml::from_str(manifest)?;
    let sections = manifest.get("test").and_then(toml::Value::as_array);
    let own = sections
        .into_iter()
        .flatten()
        .filter(|section| section.get("harness").and_then(toml::Value::as_bool) == Some(false));
    let names = own.filter_map(|section| Some(section.get("name")?.as_str()?.to_owned()));
    Ok(names.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_with_their_own_main_are_told_apart() {
        let manifest = "[package]\nname = \"x\"\n[[test]]\nname = \"a\"\nharness = false\n\
                        [[test]]\nname = \"b\"\n";
        assert_eq!(own_mains(manifest).unwrap(), ["a"]);
        assert_eq!(own_mains("").unwrap(), Vec::<String>::new());
    }
}
