//! How a child of the pretended keeper ends.

use nexus_core::{Exit, SpawnError};

use crate::rng::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Death {
    Crash,
    Finish,
    Killed,
    Refused,
    NoRoom,
    Terminated,
}

/// What the keeper tells of it.
pub(crate) fn exit_of(rng: &mut Rng, death: Death) -> Exit {
    match death {
        Death::Refused => Exit::NotSpawned(SpawnError::Permanent(2)),
        Death::NoRoom => Exit::NotSpawned(SpawnError::Resources(11)),
        // The keeper had died: the kernel can not say.
        Death::Crash | Death::Killed | Death::Terminated if rng.chance(5) => Exit::Unknown,
        Death::Crash if rng.chance(10) => Exit::Code(7),
        Death::Crash => Exit::Code(1),
        Death::Finish => Exit::Code(0),
        Death::Killed => Exit::Signal(9),
        Death::Terminated => Exit::Signal(15),
    }
}
