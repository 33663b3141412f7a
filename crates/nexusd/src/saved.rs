//! The list that `save` keeps and `resurrect` starts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nexus_spec::Name;

use crate::records::StoredApp;

/// The file's name in the state folder.
pub(crate) const FILE: &str = "saved.json";
/// The file before the last save.
const BEFORE: &str = "saved.1.json";

/// Keep this list, and the one before it.
///
/// # Errors
/// When the disk is full or broken; the old list is then still there.
pub(crate) fn write(state: &Path, apps: &[StoredApp]) -> io::Result<()> {
    let temporary = state.join("saved.new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(&serde_json::to_vec(&apps)?)?;
    file.sync_all()?;
    let path = state.join(FILE);
    if path.exists() {
        fs::rename(&path, state.join(BEFORE))?;
    }
    fs::rename(&temporary, &path)?;
    fs::File::open(state)?.sync_all()
}

/// The list; empty when nothing was ever saved.
///
/// # Errors
/// When it cannot be read; it is left as it is.
pub(crate) fn read(state: &Path) -> io::Result<Vec<StoredApp>> {
    match fs::read(state.join(FILE)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Those that were up and are down, and all that they depend on and that is down.
pub(crate) fn wanted(saved: Vec<StoredApp>, is_down: impl Fn(&Name) -> bool) -> Vec<StoredApp> {
    let down = saved.iter().filter(|app| is_down(&app.spec.name));
    let down: BTreeMap<&Name, &StoredApp> = down.map(|app| (&app.spec.name, app)).collect();
    let mut open: Vec<&StoredApp> = down.values().copied().filter(|app| app.is_wanted()).collect();
    let mut names: BTreeSet<Name> = BTreeSet::new();
    while let Some(app) = open.pop() {
        if names.insert(app.spec.name.clone()) {
            let on = app.spec.depends_on.keys();
            open.extend(on.filter_map(|on| down.get(on)).copied());
        }
    }
    saved.into_iter().filter(|app| names.contains(&app.spec.name)).collect()
}
