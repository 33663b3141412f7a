//! What a turn does, in the words of the stories.

use nexus_core::{Action, Fact, Failure, Keep, Milestone, Outcome, Purpose, Run};
use nexus_spec::Span;

pub(crate) fn effect(action: &Action) -> String {
    match action {
        Action::Acknowledge { child } => format!("ack #{}", child.0),
        Action::Keep(keep) => match keep {
            Keep::App(_) => "keep app".into(),
            Keep::Gone(_) => "keep gone".into(),
            Keep::Pending(_) => "keep pending".into(),
            Keep::Slot(_, instance) => format!("keep slot {instance}"),
            Keep::Versions(_) => "keep versions".into(),
        },
        Action::Examined { of, exit } => match exit {
            Some(exit) => format!("exam of #{}: {exit:?}", of.0),
            None => format!("no exam of #{}", of.0),
        },
        Action::Kill { child } => format!("kill #{}", child.0),
        Action::Note(fact) => fact_word(fact),
        Action::Reply { op, outcome, .. } => format!("op{} {}", op.0, answer(outcome)),
        Action::Spawn { child, purpose, on_exit, .. } => {
            let place = match purpose {
                Purpose::Build => "build".into(),
                Purpose::Exam { instance, .. } => format!("exam of {instance}"),
                Purpose::Worker { instance, .. } => instance.to_string(),
            };
            let absent = match (&on_exit.next, on_exit.delay) {
                (None, _) if matches!(purpose, Purpose::Exam { .. }) => String::new(),
                (None, _) => " alone".into(),
                (Some(_), Span(0)) => String::new(),
                (Some(_), Span(delay)) => format!(" +{delay}"),
            };
            format!("spawn #{} {place}{absent}", child.0)
        }
        Action::Terminate { child, signal } => format!("term{} #{}", signal.0, child.0),
        Action::Undertake { cause, .. } => format!("undertake {cause:?}"),
    }
}

fn answer(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Aborted => "aborted".into(),
        Outcome::AlreadyRunning => "already running".into(),
        Outcome::Busy { with } => format!("busy with op{}", with.0),
        Outcome::CannotAbort => "cannot abort".into(),
        Outcome::RolledBack { failure, replaced, stuck } => {
            let why = failure.map_or("aborted".into(), failed);
            format!("rolled back: {why}, {replaced} replaced, {stuck} stuck")
        }
        Outcome::BuildFailed { exit, old_serves: false } => format!("build failed {exit:?}"),
        Outcome::BuildFailed { exit, old_serves: true } => {
            format!("build failed {exit:?}, old serves")
        }
        Outcome::Conflict => "conflict".into(),
        Outcome::Done => "done".into(),
        Outcome::NotFound => "not found".into(),
        Outcome::NoVersion => "no version".into(),
        Outcome::StartFailed { instance, child, exit, again_at, .. } => {
            let again = again_at.map_or("never".into(), |at| at.0.to_string());
            format!("failed {instance} #{} {exit:?} again {again}", child.0)
        }
        Outcome::Spared { on } => format!("spared because of {on}"),
        Outcome::Superseded => "superseded".into(),
        Outcome::Waits { on, until } => format!("waits for {on} {until}"),
    }
}

fn failed(failure: Failure) -> String {
    let Failure { instance, child, exit, .. } = failure;
    format!("{instance} #{} {exit:?}", child.0)
}

fn fact_word(fact: &Fact) -> String {
    match fact {
        Fact::Built { exit, .. } => format!("(built {exit:?})"),
        Fact::Breached { breach, after, .. } => {
            format!("(breach {} of {} after {})", breach.measured, breach.allowed, after.0)
        }
        Fact::BuildStarted { .. } => "(build)".into(),
        Fact::Deleted { .. } => "(deleted)".into(),
        Fact::Errored { exits, .. } => format!("(errored after {exits})"),
        Fact::Exited { after, asked: true, .. } => format!("(ended after {})", after.0),
        Fact::Exited { after, .. } => format!("(exited after {})", after.0),
        Fact::HeldBack { after, until, .. } => format!("(held to {} after {after})", until.0),
        Fact::Killed { .. } => "(killed)".into(),
        Fact::Reload { generation, milestone, .. } => match milestone {
            Milestone::Begun { instances, overlaps } => {
                let how = if *overlaps { "beside" } else { "stop first" };
                format!("(reload {instances} to g{generation}, {how})")
            }
            Milestone::Done => format!("(reloaded g{generation})"),
            Milestone::KeptOld(failure) => format!("(kept: {})", failed(*failure)),
            Milestone::RolledBack { replaced, stuck, .. } => {
                format!("(rolled back: {replaced} replaced, {stuck} stuck)")
            }
            Milestone::RollingBack(_) => "(rolling back)".into(),
            Milestone::Watched { instances, soak } => {
                format!("(watched {instances} for {})", soak.0)
            }
        },
        Fact::Replaced { old, child, why, .. } => {
            format!("(#{} by #{}: {why:?})", old.0, child.0)
        }
        Fact::Reset { .. } => "(reset)".into(),
        Fact::Run { what, .. } => match what {
            Run::Begun => "(run)".into(),
            Run::Queued => "(queued)".into(),
            Run::Replaced => "(replaced)".into(),
            Run::Skipped => "(skipped)".into(),
        },
        Fact::Scaled { from, to, .. } => format!("(scaled {from} to {to})"),
        Fact::Ready { after, .. } => format!("(ready after {})", after.0),
        Fact::Started { .. } => "(started)".into(),
        Fact::Stopping { .. } => "(stopping)".into(),
        Fact::Waits { app, on, until } => format!("({app} waits for {on} {until})"),
        Fact::Undrained { .. } => "(not drained)".into(),
    }
}
