//! The one table of exit codes, and what leads to each.

use nexus_proto::{AppResult, Code, Operation, Verdict};

/// What `nexusctl` ends with. Each number has one meaning on every verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Exit {
    /// It is true now, or the question was answered.
    Done,
    /// It ran and failed.
    Failed,
    /// A command line that makes no sense.
    Usage,
    /// Not running; only from the verbs that ask.
    NotRunning,
    /// No app, instance or operation of this name.
    Unknown,
    /// Refused: protected, in conflict.
    Refused,
    /// A project file with flaws.
    BadConfig,
    /// No daemon, and none could be started.
    NoDaemon,
    /// The socket or the file is not ours to use.
    NotPermitted,
    /// Rolled back: the old version serves.
    RolledBack,
    /// Some of several failed.
    Mixed,
    /// A bug of ours.
    Internal,
    /// Waiting took longer than the caller allowed; the work goes on.
    TimedOut,
    /// Ctrl-C while waiting; the work goes on.
    Interrupted,
    /// The reader of stdout has gone.
    ClosedPipe,
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotRunning => 3,
            Exit::Unknown => 4,
            Exit::Refused => 5,
            Exit::BadConfig => 6,
            Exit::NoDaemon => 7,
            Exit::NotPermitted => 8,
            Exit::RolledBack => 9,
            Exit::Mixed => 10,
            Exit::Internal => 70,
            Exit::TimedOut => 124,
            Exit::Interrupted => 130,
            Exit::ClosedPipe => 141,
        }
    }

    /// Of a problem of the control API.
    pub(crate) const fn of_code(code: Code) -> Exit {
        match code {
            Code::BadRequest | Code::NoSuchPath => Exit::Usage,
            Code::StartFailed | Code::BuildFailed | Code::Superseded | Code::TooMuch => {
                Exit::Failed
            }
            Code::NotFound => Exit::Unknown,
            Code::RolledBack => Exit::RolledBack,
            Code::Refused => Exit::Refused,
            Code::BadConfig => Exit::BadConfig,
            Code::NoDaemon => Exit::NoDaemon,
            Code::NotPermitted => Exit::NotPermitted,
            Code::Internal => Exit::Internal,
        }
    }

    /// Of one app's part of an operation.
    pub(crate) const fn of_verdict(verdict: Verdict) -> Exit {
        match verdict {
            Verdict::Done | Verdict::AlreadyRunning => Exit::Done,
            Verdict::StartFailed
            | Verdict::BuildFailed
            | Verdict::Spared
            | Verdict::Superseded
            | Verdict::Waits => Exit::Failed,
            Verdict::RolledBack | Verdict::Aborted => Exit::RolledBack,
            Verdict::Busy | Verdict::CannotAbort | Verdict::Conflict => Exit::Refused,
            Verdict::NotFound => Exit::Unknown,
        }
    }

    /// The same, where what was before may serve.
    pub(crate) const fn of_result(result: &AppResult) -> Exit {
        if matches!(result.verdict, Verdict::BuildFailed) && result.old_serves {
            return Exit::RolledBack;
        }
        Exit::of_verdict(result.verdict)
    }

    /// Of an operation that has ended: all well, some of several, or the worst of them.
    pub(crate) fn of_operation(operation: &Operation) -> Exit {
        let daemon = || operation.daemon.iter().map(|daemon| Exit::of_verdict(daemon.verdict));
        let ends = || operation.results.iter().map(Exit::of_result).chain(daemon());
        let failed = ends().filter(|end| *end != Exit::Done);
        let Some(worst) = failed.max_by_key(|end| end.weight()) else { return Exit::Done };
        if ends().any(|end| end == Exit::Done) { Exit::Mixed } else { worst }
    }

    /// How bad it is beside other ends of the same operation.
    const fn weight(self) -> u8 {
        match self {
            Exit::Internal => 5,
            Exit::NotPermitted | Exit::NoDaemon => 4,
            Exit::Failed | Exit::Mixed | Exit::RolledBack => 3,
            Exit::Refused | Exit::BadConfig => 2,
            Exit::Unknown | Exit::Usage | Exit::NotRunning => 1,
            Exit::Done | Exit::TimedOut | Exit::Interrupted | Exit::ClosedPipe => 0,
        }
    }
}

/// The stable code that names a verdict in an error.
pub(crate) const fn code_of(verdict: Verdict) -> Option<Code> {
    match verdict {
        Verdict::Done | Verdict::AlreadyRunning => None,
        Verdict::StartFailed | Verdict::Spared | Verdict::Waits => Some(Code::StartFailed),
        Verdict::BuildFailed => Some(Code::BuildFailed),
        Verdict::RolledBack | Verdict::Aborted => Some(Code::RolledBack),
        Verdict::Busy | Verdict::CannotAbort | Verdict::Conflict => Some(Code::Refused),
        Verdict::NotFound => Some(Code::NotFound),
        Verdict::Superseded => Some(Code::Superseded),
    }
}

#[cfg(test)]
mod tests {
    use nexus_proto::{AppResult, OpState};
    use nexus_spec::Name;

    use super::*;

    #[test]
    fn every_code_of_the_api_has_its_exit_code() {
        let table = [
            (Code::BadRequest, 2),
            (Code::StartFailed, 1),
            (Code::BuildFailed, 1),
            (Code::Superseded, 1),
            (Code::RolledBack, 9),
            (Code::NotFound, 4),
            (Code::NoSuchPath, 2),
            (Code::Refused, 5),
            (Code::TooMuch, 1),
            (Code::BadConfig, 6),
            (Code::NoDaemon, 7),
            (Code::NotPermitted, 8),
            (Code::Internal, 70),
        ];
        for (code, exit) in table {
            assert_eq!(Exit::of_code(code).code(), exit, "{code:?}");
        }
    }

    fn operation(verdicts: &[Verdict]) -> Operation {
        let result = |verdict: &Verdict| AppResult {
            app: Name::new("api").unwrap(),
            instance: None,
            verdict: *verdict,
            message: String::new(),
            old_serves: false,
            last_lines: Vec::new(),
            log: None,
        };
        Operation {
            schema: "nexus.operation/1".into(),
            key: "k".into(),
            verb: "start".into(),
            by: "alice(1000)".into(),
            begun_at: "2026-11-23T14:02:29.918Z".into(),
            state: OpState::Ended,
            results: verdicts.iter().map(result).collect(),
            waiting: Vec::new(),
            daemon: None,
        }
    }

    #[test]
    fn operations_end_with_done_the_worst_or_some_of_several() {
        use Verdict::{AlreadyRunning, BuildFailed, Conflict, Done, NotFound, StartFailed};
        let table: [(&[Verdict], u8); 9] = [
            (&[], 0),
            (&[Done], 0),
            (&[Done, AlreadyRunning], 0),
            (&[StartFailed], 1),
            (&[BuildFailed], 1),
            (&[Conflict], 5),
            (&[NotFound], 4),
            (&[NotFound, StartFailed, Conflict], 1),
            (&[Done, StartFailed], 10),
        ];
        for (verdicts, exit) in table {
            assert_eq!(Exit::of_operation(&operation(verdicts)).code(), exit, "{verdicts:?}");
        }
        assert_eq!(Exit::of_operation(&operation(&[Verdict::Superseded])).code(), 1);
        let mut reload = operation(&[BuildFailed]);
        reload.results[0].old_serves = true;
        assert_eq!(Exit::of_operation(&reload).code(), 9);
    }
}
