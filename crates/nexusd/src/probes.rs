//! Whether workers are ready and well, asked by tasks of their own: none of them holds up the loop,
//! and what they find out comes to it as commands.

mod ask;
mod lines;
mod listening;
mod opened;
mod report;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use nexus_core::{Beat, Breach, ChildId, Exam, Exit, Limit, Pulse, Time};
use nexus_log::LogFile;
use nexus_spec::{AppSpec, Check, Endpoint, Health, Ready, Span};
use regex_lite::Regex;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::clock;
use crate::command::Command;
use crate::words;

pub(crate) use lines::From;
use listening::Listening;
use report::{Report, SILENCE_MIN, lateness};

/// Questions over sockets at a time; those beyond wait for their turn.
const ASKED_MAX: usize = 256;
/// Commands that examine workers at a time: each is a process.
const EXAMS_MAX: usize = 16;
/// Logs that are read for a line at a time: each takes an inotify instance and its files.
const LOGS_MAX: usize = 64;
/// Workers that are looked at for a listening socket at a time, each about 14 times in its first
/// second; the others are ready when they have been alive for so long.
const LOOKS_MAX: usize = 32;
/// From one question whether a worker is ready to the next: the first and the longest pause.
const AGAIN: (Duration, Duration) = (Duration::from_millis(25), Duration::from_secs(1));
/// An answer that takes longer counts as none; a worker that is not ready is asked again.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// Findings about workers that have ended which are remembered; the oldest go first.
const FINDINGS_MAX: usize = 1_024;

/// What a task has found out.
#[derive(Debug)]
pub(crate) enum Found {
    /// A check cannot be asked without a process: run it, and say how it ended.
    Exam(ChildId, Exam, Span, oneshot::Sender<Option<Exit>>),
    /// The worker is not well: how bad it is, and why.
    Ill(ChildId, Breach, String),
    /// The worker listens: where.
    Listens(ChildId, String),
    /// The worker is not ready yet, and why.
    NotYet(ChildId, String),
    /// The worker is ready.
    Ready(ChildId),
    /// The worker is well, for the first time or again.
    Well(ChildId),
}

/// What is asked about a worker, and where.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) child: ChildId,
    pub(crate) instance: u16,
    /// Its main process, for those who are ready when they listen.
    pub(crate) main: Option<i32>,
    /// Its log files and the place in them, for those who wait for a line.
    pub(crate) log: Option<(Vec<LogFile>, From)>,
}

/// All tasks, by the child that they are about.
pub(crate) struct Probes {
    tools: Tools,
    tasks: HashMap<u64, Task>,
    /// Who has become ready in this turn, and is asked from now on whether it is well.
    pub(crate) newly_ready: Vec<ChildId>,
    /// What was found out last about those that are not ready, or not well.
    findings: BTreeMap<u64, String>,
    /// Who listens to what a new worker of a reload writes.
    ears: HashMap<u64, Listening>,
    /// Where the logs ended of workers that are ready when they write a line, until they run.
    places: HashMap<u64, Vec<u64>>,
    /// Those whose health is what they report.
    reports: HashMap<u64, watch::Sender<Option<Report>>>,
    /// Who waits for the end of an exam.
    exams: HashMap<u64, oneshot::Sender<Option<Exit>>>,
}

/// Ends with the value that stands for it.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What every task needs.
#[derive(Clone)]
struct Tools {
    own: mpsc::Sender<Command>,
    sockets: Arc<Semaphore>,
    exams: Arc<Semaphore>,
    logs: Arc<Semaphore>,
    looks: Arc<Semaphore>,
}

impl Probes {
    pub(crate) fn new(own: mpsc::Sender<Command>) -> Probes {
        let permits = |count| Arc::new(Semaphore::new(count));
        let tools = Tools {
            own,
            sockets: permits(ASKED_MAX),
            exams: permits(EXAMS_MAX),
            logs: permits(LOGS_MAX),
            looks: permits(LOOKS_MAX),
        };
        Probes {
            tools,
            tasks: HashMap::new(),
            newly_ready: Vec::new(),
            findings: BTreeMap::new(),
            ears: HashMap::new(),
            places: HashMap::new(),
            reports: HashMap::new(),
            exams: HashMap::new(),
        }
    }

    /// Ask whether a worker is ready until it is, if somebody has to ask.
    pub(crate) fn until_ready(&mut self, subject: Subject, spec: &AppSpec) {
        let (child, tools) = (subject.child, self.tools.clone());
        let task = match &spec.ready {
            Ready::Probe(check) => {
                let instance = subject.instance;
                let question = tools.question(child, Exam::Ready, check, spec, instance);
                tokio::spawn(question.until_ready())
            }
            Ready::Log(pattern) => {
                let pattern = pattern.clone();
                tokio::spawn(async move { tools.wait_for_line(subject, &pattern).await })
            }
            Ready::Default => {
                // One that has been given its sockets has no need to open any; another one, of its
                // metrics, would say nothing of those.
                let Some(main) = subject.main.filter(|_| spec.listen.is_empty()) else { return };
                tokio::spawn(tools.wait_for_socket(child, main))
            }
            Ready::Delay(_) | Ready::Fd | Ready::Ipc | Ready::Notify => return,
        };
        self.tasks.insert(child.0, Task(task.abort_handle()));
    }

    /// Ask a worker that has become ready whether it is well, as long as it lives.
    /// `reports`: it has reported before how late its event loop is, to a nexusd that is gone.
    pub(crate) fn while_online(
        &mut self,
        child: ChildId,
        instance: u16,
        spec: &AppSpec,
        reports: bool,
    ) {
        self.tasks.remove(&child.0);
        let Some(rule) = spec.health.clone() else { return };
        let tools = self.tools.clone();
        let mut question = tools.question(child, Exam::Health, &rule.check, spec, instance);
        if let Check::Lag(most) = rule.check {
            let begins = reports.then(|| Report { lag: 0.0, at: Instant::now() });
            let (reports, reported) = watch::channel(begins);
            self.reports.insert(child.0, reports);
            question.whom = Whom::Reports(reported, most, rule.interval.max(SILENCE_MIN));
        }
        question.patience = Duration::from_millis(rule.timeout.0);
        let task = tokio::spawn(question.while_online(rule, clock::now()));
        self.tasks.insert(child.0, Task(task.abort_handle()));
    }

    /// Nothing is to be found out about this child any more.
    pub(crate) fn forget(&mut self, child: u64) {
        self.tasks.remove(&child);
        self.exams.remove(&child);
        self.ears.remove(&child);
        self.places.remove(&child);
        self.reports.remove(&child);
    }

    /// A worker reports how late its event loop is, in ms; whether that is its health.
    pub(crate) fn reported(&self, child: u64, lag: f64) -> bool {
        let reports = self.reports.get(&child);
        let report = Report { lag, at: Instant::now() };
        reports.map(|reports| reports.send_replace(Some(report))).is_some()
    }

    /// The logs of a worker that is about to be ordered end here.
    pub(crate) fn begins_at(&mut self, child: u64, ends: Vec<u64>) {
        self.places.insert(child, ends);
    }

    /// Where they ended, asked once.
    pub(crate) fn place(&mut self, child: u64) -> Option<Vec<u64>> {
        self.places.remove(&child)
    }

    /// What was found out last.
    pub(crate) fn note(&mut self, child: u64, finding: String) {
        self.findings.insert(child, finding);
        if self.findings.len() > FINDINGS_MAX {
            self.findings.pop_first();
        }
    }

    /// What had been found out about a child that has failed in this way.
    pub(crate) fn finding(&self, child: u64, exit: Exit) -> Option<&str> {
        match exit {
            Exit::NeverReady | Exit::OverLimit(Limit::Health | Limit::Log) => {
                self.findings.get(&child).map(String::as_str)
            }
            Exit::Code(_)
            | Exit::Core(_)
            | Exit::NotSpawned(_)
            | Exit::OverLimit(Limit::Memory | Limit::TrialMemory | Limit::Watchdog)
            | Exit::Signal(_)
            | Exit::Unknown => None,
        }
    }

    /// Somebody waits for the end of an exam.
    pub(crate) fn exam_begins(&mut self, of: ChildId, done: oneshot::Sender<Option<Exit>>) {
        self.exams.insert(of.0, done);
    }

    /// An exam has ended.
    pub(crate) fn exam_ends(&mut self, of: ChildId, exit: Option<Exit>) {
        if let Some(done) = self.exams.remove(&of.0) {
            // Who does not wait any more has ended with its worker.
            let _ = done.send(exit);
        }
    }
}

/// One check of one worker, ready to be asked.
struct Question {
    tools: Tools,
    child: ChildId,
    exam: Exam,
    /// As it is told.
    written: String,
    whom: Whom,
    patience: Duration,
}

enum Whom {
    Http(Endpoint),
    Tcp(Endpoint),
    Command,
    /// Nobody is asked: it reports how late its event loop is. So much is allowed, and so long a
    /// silence.
    Reports(watch::Receiver<Option<Report>>, Span, Span),
    /// It cannot be asked: why.
    Nobody(String),
}

impl Tools {
    fn question(
        self,
        child: ChildId,
        exam: Exam,
        check: &Check,
        spec: &AppSpec,
        instance: u16,
    ) -> Question {
        let whom = match (check.endpoint(&|name| spec.variable(name, instance)), check) {
            (Ok(Some(endpoint)), Check::Http(_)) => Whom::Http(endpoint),
            (Ok(Some(endpoint)), Check::Tcp(_) | Check::Exec(_) | Check::Lag(_)) => {
                Whom::Tcp(endpoint)
            }
            (Ok(None), _) => Whom::Command,
            (Err(clause), _) => Whom::Nobody(clause),
        };
        let written = check.written();
        Question { tools: self, child, exam, written, whom, patience: ANSWER_PATIENCE }
    }

    async fn tell(&self, found: Found) {
        // The loop is gone only when the process is.
        let _ = self.own.send(Command::Found(found)).await;
    }

    async fn wait_for_line(self, subject: Subject, pattern: &str) {
        let child = subject.child;
        let waiting = format!("no line has matched /{pattern}/");
        self.tell(Found::NotYet(child, waiting)).await;
        let Some((files, from)) = subject.log else { return };
        let Ok(pattern) = Regex::new(pattern) else { return };
        // A place in line is no loss: it reads from where the worker's output begins.
        let Ok(_permit) = self.logs.acquire().await else { return };
        match lines::wait_for(pattern, files, from).await {
            Ok(()) => self.tell(Found::Ready(child)).await,
            Err(error) => {
                let finding = format!("its log cannot be read: {}", crate::files::plain(&error));
                self.tell(Found::NotYet(child, finding)).await;
            }
        }
    }
}

impl Question {
    /// Ask at once, then after growing pauses, until the answer is yes.
    async fn until_ready(self) {
        let (mut pause, longest) = AGAIN;
        let mut last = String::new();
        while let Some(Err(finding)) = self.ask().await {
            let finding = format!("{}: {finding}", self.written);
            if finding != last {
                self.tools.tell(Found::NotYet(self.child, finding.clone())).await;
                last = finding;
            }
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
        self.tools.tell(Found::Ready(self.child)).await;
    }

    /// Ask at once, then each interval, for ever.
    async fn while_online(self, rule: Health, ready_at: Time) {
        let mut pulse = Pulse::default();
        let interval = Duration::from_millis(rule.interval.0);
        loop {
            let began = Instant::now();
            let judged = self
                .ask()
                .await
                .map(|answer| (pulse.judge(&rule, ready_at, clock::now(), answer.is_ok()), answer));
            match judged {
                Some((Beat::Ill(breach), Err(finding))) => {
                    let finding = format!("{}: {finding}", self.written);
                    self.tools.tell(Found::Ill(self.child, breach, finding)).await;
                }
                Some((Beat::Well, _)) => self.tools.tell(Found::Well(self.child)).await,
                Some((Beat::Ill(_) | Beat::Same, _)) | None => {}
            }
            sleep_until(began + interval).await;
        }
    }

    /// The answer; `None` = none yet, from somebody who is not asked.
    async fn ask(&self) -> Option<Result<(), String>> {
        Some(match &self.whom {
            Whom::Http(endpoint) => self.in_time(ask::http(endpoint)).await,
            Whom::Tcp(endpoint) => self.in_time(ask::tcp(endpoint)).await,
            Whom::Command => self.examine().await,
            Whom::Nobody(clause) => Err(format!("it {clause}")),
            Whom::Reports(reported, most, silence) => {
                let last = *reported.borrow();
                return last.map(|last| lateness(last, *most, *silence));
            }
        })
    }

    async fn in_time(
        &self,
        answer: impl Future<Output = Result<(), String>>,
    ) -> Result<(), String> {
        let Ok(_permit) = self.tools.sockets.acquire().await else { return Ok(()) };
        match timeout(self.patience, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {}", spoken(self.patience))),
        }
    }

    async fn examine(&self) -> Result<(), String> {
        let Ok(_permit) = self.tools.exams.acquire().await else { return Ok(()) };
        let (done, ended) = oneshot::channel();
        let patience = Span(u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX));
        self.tools.tell(Found::Exam(self.child, self.exam, patience, done)).await;
        match ended.await {
            Ok(Some(Exit::Code(0))) => Ok(()),
            Ok(Some(Exit::NeverReady)) => Err(format!("ran for {}", spoken(self.patience))),
            Ok(Some(exit)) => Err(words::ended(exit)),
            Ok(None) | Err(_) => Err("it was not run".to_owned()),
        }
    }
}

fn spoken(time: Duration) -> String {
    words::span(Span(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
}
