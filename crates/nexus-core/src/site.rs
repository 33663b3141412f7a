//! Directories in which builds run: one at a time in each, and who has asked first goes first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use nexus_spec::Name;

use crate::app::Build;
use crate::event::{ChildId, Time};
use crate::phase::Phase;
use crate::state::{Seat, State};

/// What is known of directories in which a build runs, or waits.
pub(crate) type Sites = BTreeMap<PathBuf, Site>;

/// One directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Site {
    /// The build that runs there, or what is left of one that nobody waits for any more.
    pub(crate) runs: BTreeSet<ChildId>,
    /// Builds that could begin if it were free.
    pub(crate) waits: BTreeSet<Place>,
}

/// A place in the queue: when it was asked for, the plan's own number for those of one moment, and
/// whose it is.
type Place = (Time, ChildId, Name);

/// What a child, or a build that has none yet, has to do with a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    Runs(ChildId),
    Waits(Place),
}

impl Stand {
    pub(crate) fn of(name: &Name, build: Option<&Build>) -> Option<(PathBuf, Stand)> {
        let build = build?;
        let stand = match build.phase.child() {
            Some(child) => Stand::Runs(child),
            None if build.phase == Phase::Waiting => {
                Stand::Waits((build.asked, build.plan.since, name.clone()))
            }
            None => return None,
        };
        Some((build.site.clone(), stand))
    }
}

/// It has come there.
pub(crate) fn come(sites: &mut Sites, at: PathBuf, stand: Stand) {
    let site = sites.entry(at).or_default();
    match stand {
        Stand::Runs(child) => site.runs.insert(child),
        Stand::Waits(place) => site.waits.insert(place),
    };
}

/// It has left.
pub(crate) fn leave(sites: &mut Sites, at: &Path, stand: &Stand) {
    let Some(site) = sites.get_mut(at) else { return };
    match stand {
        Stand::Runs(child) => site.runs.remove(child),
        Stand::Waits(place) => site.waits.remove(place),
    };
    if *site == Site::default() {
        sites.remove(at);
    }
}

/// What no turn may leave behind.
pub(crate) fn check(sites: &Sites) -> Result<(), String> {
    for (at, site) in sites {
        if site.runs.len() > 1 {
            return Err(format!("{}: several build there: {:?}", at.display(), site.runs));
        }
        if site.runs.is_empty() {
            return Err(format!("{}: nobody builds, and {:?} wait", at.display(), site.waits));
        }
    }
    Ok(())
}

impl State {
    /// Whose build is the next one in a directory, if that is free.
    pub(crate) fn next_in(&self, site: &Path) -> Option<Name> {
        let site = self.index.sites.get(site).filter(|site| site.runs.is_empty())?;
        site.waits.first().map(|(_, _, name)| name.clone())
    }

    /// The app whose build has to be over, and gone, before that of this one begins in the same
    /// directory.
    pub fn builds_after(&self, name: &Name) -> Option<&Name> {
        let build = self.apps.get(name)?.build.as_ref()?;
        let site = self.index.sites.get(&build.site).filter(|_| build.phase == Phase::Waiting)?;
        match self.index.children.get(site.runs.first()?)? {
            Seat::Build(other) => Some(other),
            Seat::Stray(child) => self.strays.get(child)?.app.as_ref(),
            Seat::Changes(_)
            | Seat::Exam(_)
            | Seat::Patience(_)
            | Seat::Successor(..)
            | Seat::Trial(_)
            | Seat::Worker(..) => None,
        }
    }
}
