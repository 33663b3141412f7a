//! What apps may ask of each other: no app waits for itself, however long the way round, or for what
//! can never be.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use crate::app::AppSpec;
use crate::conflicts::Clash;
use crate::flaw::Code;
use crate::given::{Given, What};
use crate::name::Name;
use crate::project::Drafted;
use crate::read;
use crate::rollout::Until;

/// Ways from an app back to itself, from one that it depends on to the next, of all that these lead
/// to; none: there is no such way. Not all of those that share an app are among them. `on` gives
/// what an app depends on.
pub fn circles<'a, I: Iterator<Item = &'a Name>>(
    from: impl Iterator<Item = &'a Name>,
    on: impl Fn(&Name) -> I,
) -> Vec<Vec<Name>> {
    // Where each is on the way that is being gone; `None`: all that it leads to is known.
    let mut seen: BTreeMap<&Name, Option<usize>> = BTreeMap::new();
    let mut told: BTreeSet<&Name> = BTreeSet::new();
    let mut circles = Vec::new();
    for root in from {
        let (mut way, mut next) = (Vec::new(), Some(root));
        loop {
            match next.map(|next| (next, seen.get(next).copied())) {
                Some((next, None)) => {
                    seen.insert(next, Some(way.len()));
                    way.push((next, on(next)));
                }
                Some((next, Some(Some(place)))) if !told.contains(next) => {
                    let round = way.iter().skip(place).map(|(name, _)| *name);
                    told.extend(round.clone());
                    circles.push(round.chain([next]).cloned().collect());
                }
                Some((_, Some(_))) | None => {}
            }
            let Some((name, rest)) = way.last_mut() else { break };
            next = rest.next();
            if next.is_none() {
                seen.insert(*name, None);
                way.pop();
            }
        }
    }
    circles
}

/// `a` waits for `b`, that for … : in a sentence.
pub fn told_circle(path: &[Name]) -> String {
    let names: Vec<&str> = path.iter().map(Name::as_str).collect();
    match names.as_slice() {
        [one, _] => format!("`{one}` depends on itself"),
        names => format!("these wait for each other: {}", names.join(" -> ")),
    }
}

impl AppSpec {
    /// Why others would wait for it in vain, as a clause about it.
    pub fn cannot_be(&self, until: Until) -> Option<&'static str> {
        let stays_down = !self.restart.auto || self.restart.stop_exit_codes.contains(&0);
        match until {
            Until::Healthy if self.health.is_none() => Some("it has no `health`"),
            Until::Completed if !stays_down && self.schedule.cron.is_none() => {
                Some("it is started again whenever it ends")
            }
            Until::Started | Until::Ready | Until::Healthy | Until::Completed => None,
        }
    }
}

/// Where each entry is.
pub(crate) fn places(given: &Given) -> HashMap<String, Range<usize>> {
    if let What::Table(entries) = &given.what {
        return entries.iter().map(|(key, _)| (key.text.clone(), key.at.clone())).collect();
    }
    let name = |item: &Given| match &item.what {
        What::Text(text) | What::Flag(text) => Some((text.clone(), item.at.clone())),
        What::Table(entries) => {
            let (_, name) = entries.iter().find(|(key, _)| key.text == "name")?;
            Some((read::text(name).ok()?.to_owned(), name.at.clone()))
        }
        What::Int(..)
        | What::HugeInt
        | What::Float(_)
        | What::Bool(_)
        | What::Date
        | What::List(_) => None,
    };
    read::items(given).iter().filter_map(name).collect()
}

/// What the apps of one file cannot ask of each other. A name that is not in it may be known to the
/// daemon.
pub(crate) fn flaws(apps: &[Drafted]) -> Vec<Clash> {
    let specs: BTreeMap<&Name, &AppSpec> =
        apps.iter().filter_map(|app| app.spec.as_ref()).map(|spec| (&spec.name, spec)).collect();
    let on = |name: &Name| specs.get(name).into_iter().flat_map(|app| app.depends_on.keys());
    let names = apps.iter().filter_map(|app| app.spec.as_ref()).map(|spec| &spec.name);
    let circles = circles(names, on);
    let mut flaws = Vec::new();
    for (index, app) in apps.iter().enumerate() {
        let Some(spec) = &app.spec else { continue };
        let at = |on: &Name| app.draft.depends_on.get(on.as_str()).unwrap_or(&app.at).clone();
        let mut flaw = |on: &Name, problem: String, remedy: String| {
            flaws.push(Clash {
                code: Code::Dependency,
                key: format!("apps[{index}].depends_on"),
                first: at(on),
                label: String::new(),
                second: at(on),
                problem,
                remedy,
            });
        };
        for (on, until) in &spec.depends_on {
            if let Some(clause) = specs.get(on).and_then(|other| other.cannot_be(*until)) {
                let problem = format!("`{}` waits until `{on}` is {until}: {clause}", spec.name);
                let remedy = match until {
                    Until::Healthy => format!("give `{on}` a `health`, or write \"ready\""),
                    Until::Started | Until::Ready | Until::Completed => {
                        format!("write `autorestart = false` into `{on}`, or \"ready\"")
                    }
                };
                flaw(on, problem, remedy);
            }
        }
        for path in circles.iter().filter(|path| path.first() == Some(&spec.name)) {
            let on = path.get(1).unwrap_or(&spec.name);
            flaw(on, told_circle(path), "leave one of them out".to_owned());
        }
    }
    flaws
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn fleet(edges: &[(&str, &[&str])]) -> BTreeMap<Name, AppSpec> {
        let spec = |(name, on): &(&str, &[&str])| {
            let name = Name::new(name).unwrap();
            let mut spec = AppSpec::default_for(name.clone(), Path::new("/x"), Path::new("/"));
            spec.depends_on = on.iter().map(|on| (Name::new(on).unwrap(), Until::Ready)).collect();
            (name, spec)
        };
        edges.iter().map(spec).collect()
    }

    #[test]
    fn a_circle_is_told_by_its_way() {
        let told = |edges: &[(&str, &[&str])], from: &str| {
            let fleet = fleet(edges);
            let from = Name::new(from).unwrap();
            let on =
                |name: &Name| fleet.get(name).into_iter().flat_map(|app| app.depends_on.keys());
            let found = circles([&from].into_iter(), on);
            (!found.is_empty()).then(|| {
                let told: Vec<String> = found.iter().map(|path| told_circle(path)).collect();
                told.join("; ")
            })
        };
        let round = &[("a", &["b"] as &[_]), ("b", &["c"]), ("c", &["a", "d"]), ("d", &[])];
        assert_eq!(told(round, "a").unwrap(), "these wait for each other: a -> b -> c -> a");
        assert_eq!(told(round, "c").unwrap(), "these wait for each other: c -> a -> b -> c");
        assert_eq!(told(round, "d"), None);
        assert_eq!(told(&[("a", &["a"])], "a").unwrap(), "`a` depends on itself");
        assert_eq!(
            told(&[("a", &["b"]), ("b", &["a"])], "b").unwrap(),
            "these wait for each other: b -> a -> b"
        );
        assert_eq!(
            told(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"]), ("d", &[])], "a"),
            None
        );
        let behind = told(&[("x", &["a", "c"]), ("a", &["b"]), ("b", &["a"]), ("c", &["c"])], "x");
        let expected = "these wait for each other: a -> b -> a; `c` depends on itself";
        assert_eq!(behind.unwrap(), expected);
    }
}
