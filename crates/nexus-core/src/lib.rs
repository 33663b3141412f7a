//! Decides what the supervisor does next, and does none of it.
//!
//! ```text
//!            Spawn            spawned             ready
//!   Idle ───────────▶ Spawning ─────▶ Warming ───────────▶ Online
//!    ▲                   │ failed        │ exit / too late   │ exit / stop
//!    │ until passed      ▼               ▼                   ▼
//!   Backoff ◀───────── verdict ◀── Reaping ◀────────────── Stopping
//!                        │      (tree gone)
//!                        └────────▶ Errored, or Idle (stays down)
//! ```
//!
//! The caller's duties: feed every event, in the order in which the keeper told it, to [`step`];
//! call it with [`Event::Tick`] at [`State::next_deadline`]; carry the actions out in order, what
//! is to be kept first (see [`Action`]); after a start, [`resume`] from what was kept.

mod action;
mod app;
mod ask;
mod beside;
mod breach;
mod build;
mod changes;
mod check;
mod departure;
mod depend;
mod event;
mod exam;
mod fleet;
mod goal;
mod health;
mod job;
mod load;
mod memory;
mod order;
mod phase;
mod record;
mod reseat;
mod restart;
mod resume;
mod rollout;
mod scale;
mod site;
mod slot;
mod state;
mod step;
mod stop;
mod stray;
mod successor;
mod timetable;
mod trial;
mod turn;
mod versions;
mod worker;

pub use action::{Action, Fact, Keep, Milestone, OnExit, Outcome, Purpose, Run, Why};
pub use app::{App, Build, Counts};
pub use changes::Changes;
pub use departure::Departure;
pub use depend::{Lacking, WAIT_MAX};
pub use event::{
    Ask, Breach, Cause, ChildId, Event, Exam, Exit, Failure, Limit, OpId, Pid, SlotId, SpawnError,
    Time,
};
pub use exam::Examiner;
pub use health::{Beat, Pulse};
pub use load::Load;
pub use memory::{Allowed, Excess, is_near};
pub use phase::{Next, Phase, Want, explain};
pub use record::{
    AppRecord, Back, Goal, Intents, PendingAsk, Plan, Reload, SlotRecord, SuccessorRecord, Waiting,
};
pub use restart::{EXITS_MAX, Past, STAY_CODES_MAX, Verdict};
pub use resume::{Ended, Entry, Roll, resume};
pub use rollout::Rollout;
pub use slot::{LastExit, Slot};
pub use state::State;
pub use step::step;
pub use stray::Stray;
pub use successor::Successor;
pub use timetable::{Calendar, Chime, LATE_MAX, Moment, Rule, Strike, Timetable, Wall};
pub use versions::{VERSIONS_MAX, Version};
