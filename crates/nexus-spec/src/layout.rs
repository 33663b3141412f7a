//! Where the apps of PM2's files stand, and what becomes of names that it lets repeat.

use std::collections::HashSet;

use crate::given::{Given, Key, What};
use crate::name::Name;
use crate::parse::Format;
use crate::project::Drafted;

/// The keys at the top of a file, with the apps under `apps`. PM2 takes the apps under `apps` or
/// `pm2`, an array of them, or one app by itself; in a `package.json` what stands under `pm2` is
/// all of it.
pub(crate) fn entries(format: Format, root: Given) -> Vec<(Key, Given)> {
    let alone = |apps: Given| vec![(Key { at: apps.at.clone(), text: "apps".to_owned() }, apps)];
    match (format, root.what) {
        (Format::Toml, What::Table(entries)) => entries,
        (Format::Package, What::Table(entries)) => {
            let pm2 = entries.into_iter().find(|(key, _)| key.text == "pm2");
            pm2.map(|(_, root)| entries_of(root)).unwrap_or_default()
        }
        (Format::Json | Format::Yaml, what) => entries_of(Given { at: root.at, what }),
        (Format::Toml | Format::Package, what) => alone(Given { at: root.at, what }),
    }
}

fn entries_of(root: Given) -> Vec<(Key, Given)> {
    let alone = |apps: Given| vec![(Key { at: apps.at.clone(), text: "apps".to_owned() }, apps)];
    let What::Table(mut entries) = root.what else { return alone(root) };
    let holds = |name: &str| entries.iter().any(|(key, _)| key.text == name);
    if ["apps", "pm2", "deploy", "static"].into_iter().any(holds) || entries.is_empty() {
        for (key, value) in &mut entries {
            if key.text == "pm2" && matches!(value.what, What::List(_) | What::Table(_)) {
                key.text = "apps".to_owned();
            }
            if key.text == "apps" && matches!(value.what, What::Table(_)) {
                let app = value.clone();
                value.what = What::List(vec![app]);
            }
        }
        return entries;
    }
    let app = Given { at: root.at.clone(), what: What::Table(entries) };
    alone(Given { at: root.at, what: What::List(vec![app]) })
}

/// PM2 lets a name stand in several namespaces; ours are unique in a home. What repeats becomes
/// `<namespace>.<name>`; what repeats within one namespace stays, and is told.
pub(crate) fn part_namespaces(apps: &mut [Drafted]) {
    let mut seen: HashSet<Name> = HashSet::new();
    let mut whole: HashSet<(String, Name)> = HashSet::new();
    for spec in apps.iter_mut().filter_map(|app| app.spec.as_mut()) {
        let first_here = whole.insert((spec.namespace.clone(), spec.name.clone()));
        if seen.insert(spec.name.clone()) || !first_here {
            continue;
        }
        if let Ok(name) = Name::new(&format!("{}.{}", spec.namespace, spec.name)) {
            seen.insert(name.clone());
            spec.name = name;
        }
    }
}
