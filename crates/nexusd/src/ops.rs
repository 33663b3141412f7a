//! Operations: each is begun once, whatever happens to the daemon or the client, and its result
//! can be asked for ten minutes long.

use std::collections::{BTreeMap, HashMap};

use nexus_core::OpId;
use nexus_proto::{AppResult, DaemonResult, OpState, Operation};
use nexus_spec::Name;
use serde::{Deserialize, Serialize};

/// How long an ended operation is remembered.
const KEPT_MS: u64 = 10 * 60 * 1_000;
/// Operations remembered at the most; the oldest ended ones go first.
const OPERATIONS_MAX: usize = 10_000;

/// One operation, as it is kept on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Op {
    pub(crate) id: u64,
    pub(crate) view: Operation,
    /// In milliseconds of Unix time.
    pub(crate) ended_at: Option<u64>,
    /// It ends the daemon once it has ended.
    #[serde(default)]
    pub(crate) then_leave: bool,
    /// It puts another program in the place of both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) upgrade: Option<Upgrade>,
    /// Decided, and kept with what was decided; told once the last lines of what failed are read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) verdicts: Vec<AppResult>,
    /// Up to which mark its changes must be synced before it is shown.
    #[serde(skip)]
    pub(crate) mark: u64,
}

/// What is known of an upgrade from its beginning on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Upgrade {
    /// The new program's file.
    pub(crate) file: String,
    /// The version before.
    pub(crate) from: String,
}

/// All operations that are remembered.
#[derive(Debug, Default)]
pub(crate) struct Ops {
    by_id: BTreeMap<OpId, Op>,
    by_key: HashMap<String, OpId>,
    last: u64,
}

impl Ops {
    /// Take back operations from disk.
    pub(crate) fn restored(kept: impl Iterator<Item = Op>) -> Ops {
        let mut ops = Ops::default();
        kept.for_each(|op| ops.restore(op));
        ops
    }

    fn restore(&mut self, op: Op) {
        let id = OpId(op.id);
        self.last = self.last.max(op.id);
        self.by_key.insert(op.view.key.clone(), id);
        let verdicts = op.verdicts.clone();
        self.by_id.insert(id, op);
        // Who was to read the last lines is gone: what was decided is told without them.
        verdicts.into_iter().for_each(|verdict| self.answered(id, verdict));
    }

    /// Begin one. `waiting` has an app for each ask.
    pub(crate) fn begin(
        &mut self,
        key: String,
        verb: &str,
        by: String,
        waiting: Vec<Name>,
    ) -> OpId {
        self.last += 1;
        let view = Operation {
            schema: "nexus.operation/1".into(),
            key: key.clone(),
            verb: verb.to_owned(),
            by,
            begun_at: crate::clock::rfc3339(crate::clock::unix_ms()),
            state: OpState::Running,
            results: Vec::new(),
            waiting,
            daemon: None,
        };
        let id = OpId(self.last);
        let op = Op {
            id: self.last,
            view,
            ended_at: None,
            then_leave: false,
            upgrade: None,
            verdicts: Vec::new(),
            mark: 0,
        };
        self.by_key.insert(key, id);
        self.by_id.insert(id, op);
        self.end_if_answered(id);
        id
    }

    /// Begin one that is about the daemon: it ends by [`Ops::upgraded`].
    pub(crate) fn begin_upgrade(&mut self, key: String, by: String, upgrade: Upgrade) -> OpId {
        let id = self.begin(key, "upgrade", by, Vec::new());
        if let Some(op) = self.by_id.get_mut(&id) {
            (op.upgrade, op.ended_at, op.view.state) = (Some(upgrade), None, OpState::Running);
        }
        id
    }

    /// The upgrade that is under way.
    pub(crate) fn upgrading(&self) -> Option<&Op> {
        self.by_id.values().rev().find(|op| op.upgrade.is_some() && op.ended_at.is_none())
    }

    /// It has ended.
    pub(crate) fn upgraded(&mut self, id: OpId, result: DaemonResult) {
        if let Some(op) = self.by_id.get_mut(&id) {
            op.view.daemon = Some(result);
            op.view.state = OpState::Ended;
            op.ended_at = Some(crate::clock::unix_ms());
        }
    }

    /// What the answer for one app is, but for its evidence.
    pub(crate) fn decided(&mut self, id: OpId, verdict: AppResult) {
        if let Some(op) = self.by_id.get_mut(&id) {
            op.verdicts.push(verdict);
        }
    }

    /// One app of an operation has been answered.
    pub(crate) fn answered(&mut self, id: OpId, result: AppResult) {
        let Some(op) = self.by_id.get_mut(&id) else { return };
        op.verdicts.retain(|verdict| verdict.app != result.app);
        if let Some(at) = op.view.waiting.iter().position(|app| *app == result.app) {
            op.view.waiting.remove(at);
            op.view.results.push(result);
        }
        self.end_if_answered(id);
    }

    fn end_if_answered(&mut self, id: OpId) {
        if let Some(op) = self.by_id.get_mut(&id)
            && op.view.waiting.is_empty()
            && op.ended_at.is_none()
            && op.upgrade.is_none()
        {
            op.view.state = OpState::Ended;
            // As the list has them, whoever was done first.
            op.view.results.sort_by(|one, other| one.app.cmp(&other.app));
            op.ended_at = Some(crate::clock::unix_ms());
        }
    }

    pub(crate) fn get(&self, id: OpId) -> Option<&Op> {
        self.by_id.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: OpId) -> Option<&mut Op> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn by_key(&self, key: &str) -> Option<&Op> {
        self.by_id.get(self.by_key.get(key)?)
    }

    /// All that are remembered, oldest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Op> {
        self.by_id.values()
    }

    /// Forget what nobody can ask for any more.
    pub(crate) fn expire(&mut self) {
        let now = crate::clock::unix_ms();
        while let Some((&id, op)) = self.by_id.iter().find(|(_, op)| op.ended_at.is_some()) {
            let old = op.ended_at.is_some_and(|ended| ended + KEPT_MS < now);
            if !old && self.by_id.len() <= OPERATIONS_MAX {
                return;
            }
            self.by_key.remove(&op.view.key);
            self.by_id.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use nexus_proto::Verdict;

    use super::*;

    fn result(app: &str) -> AppResult {
        AppResult {
            app: Name::new(app).unwrap(),
            instance: None,
            verdict: Verdict::Done,
            message: String::new(),
            old_serves: false,
            last_lines: Vec::new(),
            log: None,
        }
    }

    #[test]
    fn it_ends_with_its_last_answer() {
        let mut ops = Ops::default();
        let apps = vec![Name::new("a").unwrap(), Name::new("b").unwrap()];
        let id = ops.begin("k".into(), "start", "me".into(), apps);
        ops.answered(id, result("a"));
        ops.answered(id, result("a"));
        assert_eq!(ops.by_key("k").unwrap().view.state, OpState::Running);
        ops.answered(id, result("b"));
        assert_eq!(ops.by_key("k").unwrap().view.state, OpState::Ended);
        assert_eq!(ops.get(id).unwrap().view.results.len(), 2);
    }

    #[test]
    fn what_was_decided_is_told_though_its_evidence_was_never_read() {
        let mut ops = Ops::default();
        let id = ops.begin("k".into(), "start", "me".into(), vec![Name::new("a").unwrap()]);
        ops.decided(id, result("a"));
        assert_eq!(ops.get(id).unwrap().view.state, OpState::Running);
        let kept = serde_json::to_string(ops.get(id).unwrap()).unwrap();
        let restored = Ops::restored(std::iter::once(serde_json::from_str(&kept).unwrap()));
        let op = restored.by_key("k").unwrap();
        assert_eq!((op.view.state, op.view.results.len()), (OpState::Ended, 1));
        assert!(op.verdicts.is_empty());
        ops.answered(id, result("a"));
        assert!(ops.get(id).unwrap().verdicts.is_empty());
    }
}
