//! The packages and their dependencies, as `cargo metadata` tells them for Linux.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use nexus_tests::repository;
use serde_json::Value;

/// One package of the build.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: Option<String>,
    /// Ids of what its normal and build dependencies resolve to.
    needs: BTreeSet<String>,
}

/// All packages of the build, tests included.
pub(crate) struct Graph {
    packages: BTreeMap<String, Package>,
    ours: BTreeSet<String>,
}

impl Graph {
    /// Ask cargo; what is downloaded already is enough.
    pub(crate) fn read() -> Graph {
        let told = metadata(&["--offline"])
            .or_else(|_| metadata(&[]))
            .unwrap_or_else(|problem| panic!("cargo metadata: {problem}"));
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let ours: BTreeSet<String> = list(&told["workspace_members"]).iter().map(text).collect();
        let mut packages: BTreeMap<String, Package> = BTreeMap::new();
        for package in list(&told["packages"]) {
            packages.insert(
                text(&package["id"]),
                Package {
                    name: text(&package["name"]),
                    version: text(&package["version"]),
                    licence: package["license"].as_str().map(str::to_owned),
                    needs: BTreeSet::new(),
                },
            );
        }
        let mut reached = BTreeSet::new();
        for node in list(&told["resolve"]["nodes"]) {
            let id = text(&node["id"]);
            let needs = list(&node["deps"])
                .into_iter()
                .filter(|dep| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev"))
                .map(|dep| text(&dep["pkg"]))
                .collect();
            if let Some(package) = packages.get_mut(&id) {
                package.needs = needs;
            }
            reached.insert(id);
        }
        packages.retain(|id, _| reached.contains(id));
        Graph { packages, ours }
    }

    /// The workspace's packages.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &Package> {
        self.ours.iter().filter_map(|id| self.packages.get(id))
    }

    /// Packages of others.
    pub(crate) fn theirs(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|(id, _)| !self.ours.contains(*id)).map(|(_, found)| found)
    }

    /// Names of the packages that this one depends on directly; tests do not count.
    pub(crate) fn needs(&self, package: &Package) -> BTreeSet<&str> {
        package.needs.iter().map(|id| self.packages[id].name.as_str()).collect()
    }

    /// Names of all packages that this one depends on, directly or not; tests do not count.
    pub(crate) fn reaches(&self, package: &Package) -> BTreeSet<&str> {
        let mut seen: BTreeSet<&String> = package.needs.iter().collect();
        let mut open: Vec<&String> = seen.iter().copied().collect();
        while let Some(id) = open.pop() {
            open.extend(self.packages[id].needs.iter().filter(|&need| seen.insert(need)));
        }
        seen.into_iter().map(|id| self.packages[id].name.as_str()).collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn metadata(more: &[&str]) -> Result<Value, String> {
    let output = Command::new(std::env::var("CARGO").unwrap_or("cargo".to_owned()))
        .args(["metadata", "--format-version", "1"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .args(more)
        .current_dir(repository())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}
