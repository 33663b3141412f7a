//! The end of all: who goes at once, and who once those have gone that depend on it.

use std::collections::BTreeMap;

use nexus_spec::Name;

use crate::state::State;

/// Apps on their way out, in the reverse order of who depends on whom. Each app and each of its
/// dependencies is looked at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Departure {
    /// Living children; an app that has none is not in it.
    living: BTreeMap<Name, u32>,
    /// How many of those that depend on an app have not gone, with all that depends on them; an app
    /// that waits for nobody is not in it.
    behind: BTreeMap<Name, u32>,
}

impl Departure {
    /// Of children, each told by its app: and the apps whose children may go at once. Those that
    /// depend on each other in a circle are not among them, nor ever will be.
    pub fn begin<'a>(
        state: &State,
        children: impl Iterator<Item = &'a Name>,
    ) -> (Departure, Vec<Name>) {
        let mut all = Departure::default();
        for app in children {
            *all.living.entry(app.clone()).or_default() += 1;
        }
        for (app, dependents) in &state.index.dependents {
            all.behind.insert(app.clone(), u32::try_from(dependents.len()).unwrap_or(u32::MAX));
        }
        let known = state.apps.keys().chain(all.living.keys());
        let mut first: Vec<Name> =
            known.filter(|app| !all.behind.contains_key(*app)).cloned().collect();
        first.sort();
        first.dedup();
        let free = all.follow(state, first);
        (all, free)
    }

    /// A child of an app has gone, or is given up: whose children may go now.
    pub fn gone(&mut self, state: &State, app: &Name) -> Vec<Name> {
        let Some(left) = self.living.get_mut(app) else { return Vec::new() };
        *left = left.saturating_sub(1);
        if *left > 0 {
            return Vec::new();
        }
        self.living.remove(app);
        if self.behind.contains_key(app) {
            return Vec::new();
        }
        let mut free = Vec::new();
        self.clear(state, app, &mut free);
        self.follow(state, free)
    }

    /// Of apps that nothing is behind any more: those that have children. What the others depend on
    /// is looked at in their place.
    fn follow(&mut self, state: &State, mut open: Vec<Name>) -> Vec<Name> {
        let mut free = Vec::new();
        while let Some(app) = open.pop() {
            match self.living.contains_key(&app) {
                true => free.push(app),
                false => self.clear(state, &app, &mut open),
            }
        }
        free
    }

    /// Nothing is left of an app, and of all that depends on it.
    fn clear(&mut self, state: &State, app: &Name, free: &mut Vec<Name>) {
        let spec = state.apps.get(app).map(|app| &app.spec);
        for on in spec.into_iter().flat_map(|spec| spec.depends_on.keys()) {
            let Some(behind) = self.behind.get_mut(on) else { continue };
            *behind = behind.saturating_sub(1);
            if *behind == 0 {
                self.behind.remove(on);
                free.push(on.clone());
            }
        }
    }
}
