//! What the apps of one file may not share: names and addresses.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use crate::depend;
use crate::flaw::Code;
use crate::listen::Listen;
use crate::name::Name;
use crate::project::Drafted;

/// Two places that cannot both be.
pub(crate) struct Clash {
    pub(crate) code: Code,
    pub(crate) key: String,
    /// The first place, and what to say of it.
    pub(crate) first: Range<usize>,
    pub(crate) label: String,
    /// The second, which the flaw is about.
    pub(crate) second: Range<usize>,
    pub(crate) problem: String,
    pub(crate) remedy: String,
}

/// Every name and address that is asked for a second time.
pub(crate) fn find(apps: &[Drafted]) -> Vec<Clash> {
    let mut clashes = names(apps);
    clashes.extend(addresses(apps));
    clashes.extend(depend::flaws(apps));
    clashes
}

/// The name of an app, as far as it is known.
fn name(app: &Drafted) -> Option<&Name> {
    app.spec.as_ref().map(|spec| &spec.name).or(app.draft.options.name.as_ref())
}

fn names(apps: &[Drafted]) -> Vec<Clash> {
    let place = |app: &Drafted| {
        let values = &app.draft.values;
        values.get("name").or_else(|| values.get("script")).unwrap_or(&app.at).clone()
    };
    let mut seen: HashMap<&Name, Range<usize>> = HashMap::new();
    let mut clashes = Vec::new();
    for (index, app) in apps.iter().enumerate() {
        let Some(name) = name(app) else { continue };
        let Some(first) = seen.get(name) else {
            seen.insert(name, place(app));
            continue;
        };
        clashes.push(Clash {
            code: Code::NameTwice,
            key: format!("apps[{index}].name"),
            first: first.clone(),
            label: "the first app of this name".to_owned(),
            second: place(app),
            problem: format!("two apps are called `{name}`"),
            remedy: "give one of them another `name`".to_owned(),
        });
    }
    clashes
}

/// An address, where it is asked for, and by the how manieth app.
struct Asked<'a> {
    address: &'a Listen,
    at: &'a Range<usize>,
    app: usize,
}

fn addresses(apps: &[Drafted]) -> Vec<Clash> {
    // Only addresses of one key can conflict, so that a long file is compared in one pass.
    let mut seen: HashMap<Key<'_>, Vec<Asked<'_>>> = HashMap::new();
    let mut clashes = Vec::new();
    for (index, app) in apps.iter().enumerate() {
        // After a flaw among them the places no longer belong to the addresses.
        let (listen, places) = (&app.draft.options.listen, &app.draft.listen);
        if listen.len() != places.len() {
            continue;
        }
        for (socket, at) in listen.iter().zip(places) {
            let address = &socket.address;
            let asked = Asked { address, at, app: index };
            let known = seen.entry(key(address)).or_default();
            match known.iter().find(|earlier| earlier.address.conflicts(address)) {
                Some(earlier) => clashes.push(clash(earlier, &asked)),
                None => known.push(asked),
            }
        }
    }
    clashes
}

#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Port(u16),
    Path(&'a Path),
}

fn key(address: &Listen) -> Key<'_> {
    match address {
        Listen::Tcp(address) => Key::Port(address.port()),
        Listen::Unix(path) => Key::Path(path),
    }
}

fn clash(earlier: &Asked<'_>, asked: &Asked<'_>) -> Clash {
    let (address, other, within) = (asked.address, earlier.address, earlier.app == asked.app);
    let problem = match (within, address == other) {
        (true, true) => format!("`listen` has {address} twice"),
        (false, true) => format!("two apps listen on {address}"),
        (true | false, false) => format!("{address} and {other} cannot both be bound"),
    };
    Clash {
        code: Code::AddressTwice,
        key: format!("apps[{}].listen", asked.app),
        first: earlier.at.clone(),
        label: "asked for here first".to_owned(),
        second: asked.at.clone(),
        problem,
        remedy: match within {
            true => "leave one of them out".to_owned(),
            false => "give one of the apps another address".to_owned(),
        },
    }
}
