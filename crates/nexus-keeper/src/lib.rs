//! Parent of the workers, holder of descriptors, decider of nothing.
//!
//! Two roles use this crate: the keeper itself ([`run`]) and nexusd's end of the pair ([`Link`]).

mod link;
mod wire;

pub use link::{Handoff, Link};
pub use wire::{
    CARRIED_ENV_MAX, CHILDREN_MAX, CODES_MAX, Ended, HoldId, Kept, KeptState, NOTE_MAX, OnExit,
    Order, Report, Stage, TAG_MAX, TEMPLATE_MAX, Template, Trees,
};
