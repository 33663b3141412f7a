//! The loop: reports of the keeper, words of workers, commands of clients, deadlines.

mod begin;
mod ears;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use nexus_core::Event;
use nexus_keeper::{Handoff, Link, Order, Stage};
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::sync::mpsc;

use crate::clock;
use crate::command::{COMMANDS_MAX, Command, Front};
use crate::daemon::{Course, Daemon};
use crate::facts::{Line, NOBODY};
use crate::held::Held;
use crate::home::Home;
use crate::note::Note;
use crate::outputs::Outputs;
use crate::roll::Main;
use crate::runs::Run;

use begin::begin;

/// Reports taken before something else has its turn.
const REPORTS_MAX: usize = 64;

/// Live as nexusd with what the keeper handed down, until the daemon is to end.
///
/// # Errors
/// When the handoff or the state cannot be read, or the machine has no room. A keeper starts
/// another nexusd then.
pub fn run(handoff: RawFd) -> io::Result<()> {
    let (link, handoff) = Link::inherit(handoff)?;
    let home = Home::new(handoff.home.clone());
    // Without a log of our own we are still wanted: what can be said goes to stderr.
    if let Err(error) = crate::own_log::start(&home.own_log()) {
        eprintln!("nexusd: {}: {error}: nothing is logged", home.own_log().display());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_stack_size(256 * 1024)
        .build()?;
    let ended = runtime.block_on(live(link, handoff, home));
    if let Err(error) = &ended {
        tracing::error!(%error, "nexusd ends");
    }
    // A thread may hang in a read of a hung disk: it must not hold up the end.
    runtime.shutdown_background();
    ended
}

async fn live(link: Link, handoff: Handoff, home: Home) -> io::Result<()> {
    let (own, mut commands) = mpsc::channel(COMMANDS_MAX);
    tokio::spawn(crate::quiet::give_back());
    let outputs = Outputs::new(own.clone());
    let mut found = Some((link, handoff, outputs));
    while let Some((link, handoff, outputs)) = found.take() {
        let mut daemon = begin(link, handoff, outputs, home.clone(), own.clone())?;
        daemon.readmit();
        let front = Front {
            commands: own.clone(),
            generation: daemon.published.generation.subscribe(),
            operations: daemon.published.operations.subscribe(),
            events: daemon.published.events.subscribe(),
            synced: daemon.store.done(),
            board: daemon.sampling.board(),
            state: daemon.home.state(),
            streams: places(crate::api::STREAMS_MAX),
            guests: places(crate::api::GUESTS_MAX),
            admitted: daemon.published.admitted.subscribe(),
        };
        if daemon.holdings.link.stopping() {
            // The last nexusd was stopping all: nothing is started any more.
            daemon.shut_down();
        } else {
            daemon.resume();
        }
        daemon.look_at_upgrade();
        daemon.serves();
        let control = daemon.holdings.duplicate(&Held::Control)?;
        let serving = tokio::spawn(crate::api::serve(control, front));
        let mut watchers = Watchers::new(&daemon)?;
        let end = turns(&mut daemon, &mut watchers, &mut commands).await?;
        // Its clients come again, as at a death.
        serving.abort();
        match end {
            // Its threads are not waited for: one may hang with its disk.
            End::Left => drop(daemon.outputs.park()),
            End::GaveWay => daemon.give_way().await?,
            End::KeeperGone => found = Some(daemon.take_over()?),
        }
    }
    Ok(())
}

fn places(number: usize) -> std::sync::Arc<tokio::sync::Semaphore> {
    std::sync::Arc::new(tokio::sync::Semaphore::new(number))
}

/// Why the turns have ended.
enum End {
    /// The keeper is dead.
    KeeperGone,
    /// The keeper is another program, and starts a nexusd of it.
    GaveWay,
    /// The daemon was to end.
    Left,
}

impl Daemon {
    /// The keeper is dead.
    fn without_keeper(&self) -> End {
        match self.course {
            Course::Leaving => End::Left,
            Course::GivingWay | Course::Serve => End::KeeperGone,
        }
    }

    /// Whether the turns have ended.
    async fn end(&mut self, watch: &Watchers, broken: bool) -> io::Result<Option<End>> {
        match self.course {
            Course::GivingWay => Ok(Some(End::GaveWay)),
            Course::Leaving if broken || !self.holdings.link.wants_write() => {
                self.is_let_go(watch).await?;
                Ok(Some(End::Left))
            }
            Course::Leaving | Course::Serve => Ok(None),
        }
    }
}

/// Descriptors that the loop waits on.
struct Watchers {
    link: AsyncFd<OwnedFd>,
    keeper: AsyncFd<OwnedFd>,
    notify: AsyncFd<OwnedFd>,
    /// `None` = it is spoilt, and there is no room for another.
    hearer: Option<AsyncFd<OwnedFd>>,
    timer: AsyncFd<OwnedFd>,
    service: Option<AsyncFd<OwnedFd>>,
}

impl Watchers {
    fn new(daemon: &Daemon) -> io::Result<Watchers> {
        let link = &daemon.holdings.link;
        let (_, notify) = daemon.holdings.notify().ok_or_else(|| io::Error::other("no notify"))?;
        let notify = link.held(notify).ok_or_else(|| io::Error::other("no notify socket"))?;
        let hearer = daemon.holdings.hearer().and_then(|(_, hearer)| link.held(hearer));
        let hearer = hearer.ok_or_else(|| io::Error::other("no socket that hears channels"))?;
        Ok(Watchers {
            link: watch_on(link.socket(), Interest::READABLE | Interest::WRITABLE)?,
            keeper: watch_on(link.keeper_pidfd(), Interest::READABLE)?,
            notify: watch_on(notify, Interest::READABLE)?,
            hearer: Some(watch_on(hearer, ears::HEARER)?),
            timer: watch_on(daemon.clockwork.timer(), Interest::READABLE)?,
            service: match &daemon.holdings.service {
                Some(service) => Some(watch_on(service.socket(), Interest::WRITABLE)?),
                None => None,
            },
        })
    }
}

#[expect(
    deprecated,
    reason = "what is unsound is a type that lies about its descriptor; `OwnedFd` does not, and \
              the replacement is an unsafe function"
)]
pub(crate) fn watch_on(fd: BorrowedFd<'_>, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd.try_clone_to_owned()?, interest)
}

/// Comes when this takes bytes again; `None` = never.
async fn writable(fd: Option<&AsyncFd<OwnedFd>>) -> io::Result<AsyncFdReadyGuard<'_, OwnedFd>> {
    match fd {
        Some(fd) => fd.writable().await,
        None => std::future::pending().await,
    }
}

async fn turns(
    daemon: &mut Daemon,
    watch: &mut Watchers,
    commands: &mut mpsc::Receiver<Command>,
) -> io::Result<End> {
    // An end of file stays ready for ever: waiting for it again would leave no turn for the
    // keeper's pidfd, which is the proof of its death and may come a moment later.
    let (mut broken, mut crowded) = (false, false);
    loop {
        let mut spoilt = None;
        daemon.tick_service();
        let tick = tick(daemon.next_deadline());
        let look = tokio::time::sleep(daemon.holdings.link.end_keeper_if_hung());
        let tell = writable(watch.service.as_ref().filter(|_| daemon.holdings.service_waits()));
        let waits = daemon.holdings.link.wants_write() && !broken;
        let flush = writable(Some(&watch.link).filter(|_| waits));
        let flush_again = clock::pause(daemon.flush_after(broken, &mut crowded));
        tokio::select! {
            biased;
            ready = watch.keeper.readable() => {
                drop(ready?);
                return Ok(daemon.without_keeper());
            }
            ready = watch.link.readable(), if !broken => {
                let mut ready = ready?;
                match daemon.reports() {
                    Ok(true) => {}
                    Ok(false) => ready.clear_ready(),
                    Err(error) => broken = is_broken(&error),
                }
            }
            ready = flush => {
                ready?.clear_ready();
                broken = !daemon.flushed();
            }
            () = flush_again => broken = !daemon.flushed(),
            // It has been read: the next turn begins with telling more.
            ready = tell => ready?.clear_ready(),
            ready = watch.timer.readable() => daemon.chime(ready?),
            Some(command) = commands.recv() => daemon.command(command),
            () = tick => daemon.tick(),
            // After those: anybody on the machine may write to these.
            ready = watch.spoken() => {
                let (shared, ready) = ready?;
                match daemon.hear(ready) {
                    Err(error) if shared => spoilt = Some(error),
                    heard => heard?,
                }
            }
            () = look => {}
        }
        if let Some(error) = spoilt {
            watch.hearer = daemon.renew_hearer(&error);
        }
        daemon.commit();
        if let Some(end) = daemon.end(watch, broken).await? {
            return Ok(end);
        }
    }
}

/// Comes when the deadline does, if there is one.
async fn tick(deadline: Option<nexus_core::Time>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(clock::instant_of(at)).await,
        None => std::future::pending().await,
    }
}

/// Say once that descriptors may not travel, and once that they may again.
fn tell_crowded(was: bool, is: bool) {
    match (was, is) {
        (false, true) => tracing::warn!(
            "too many descriptors of this user are on their way through sockets \
             (ETOOMANYREFS): what the keeper is to do waits until there are fewer"
        ),
        (true, false) => tracing::info!("descriptors travel again"),
        (true, true) | (false, false) => {}
    }
}

fn is_broken(error: &io::Error) -> bool {
    tracing::warn!(%error, "the link to the keeper is broken");
    true
}

impl Daemon {
    /// After how long the keeper is to be sent again what could not travel.
    fn flush_after(&self, broken: bool, crowded: &mut bool) -> Option<std::time::Duration> {
        let after = self.holdings.link.flush_after().filter(|_| !broken);
        tell_crowded(std::mem::replace(crowded, after.is_some()), after.is_some());
        after
    }

    /// Send the keeper what waits for it; whether the link is whole.
    fn flushed(&mut self) -> bool {
        self.holdings.link.flush().map_err(|error| is_broken(&error)).is_ok()
    }

    /// What the roll says of each child. Births of those that are kept have been told.
    fn know(
        &mut self,
        notes: Vec<(u64, Note, Option<Main>)>,
        failed: Vec<(u64, Stage, i32)>,
        kept: &BTreeMap<u64, Run>,
    ) {
        for (child, note, main) in notes {
            self.notes.insert(child, note);
            if let Some(Main { pid, runs }) = main {
                self.lives(child, pid);
                if !runs {
                    self.is_born(child, pid);
                }
                if !kept.contains_key(&child) {
                    self.tell_birth(child);
                }
                self.sample(child);
            }
        }
        for (child, stage, errno) in failed {
            self.excuse(child, stage, errno);
        }
        self.keep_runs(kept);
    }

    /// Files are watched again, and workers asked again.
    fn look_at_all(&mut self) {
        self.watch_all();
        self.set_all_times();
        let living: Vec<u64> = self.pid_by_child.keys().copied().collect();
        living.into_iter().for_each(|child| self.probe(child));
    }

    /// Tell the keeper that from here on we decide.
    fn resume(&mut self) {
        let detail = format!(
            "nexusd {} (pid {}), with {} children",
            env!("CARGO_PKG_VERSION"),
            std::process::id(),
            self.notes.len()
        );
        tracing::info!("{detail}");
        self.log(Line::new("daemon_start", detail, NOBODY));
        self.turn(Event::Tick, NOBODY);
        self.order(&Order::Resumed);
    }

    fn resume_outputs(&mut self) {
        self.release_forgotten();
        let apps: Vec<_> = self.state.apps().map(|(_, app)| app.spec().clone()).collect();
        for spec in apps {
            let plain_zero = self.origins.get(&spec.name).is_some_and(|origin| origin.plain_zero);
            let slots = self.state.app(spec.name.as_str()).map(nexus_core::App::slots);
            let slots = slots.unwrap_or_default();
            let naming =
                crate::outputs::Naming { home: &self.home, spec: &spec, plain_zero, slots };
            if let Err(error) = self.outputs.resume(&mut self.holdings, naming) {
                tracing::error!(app = %spec.name, %error, "its output cannot be moved on");
            }
        }
        self.listen_again();
        if let Err(error) = self.outputs.go() {
            tracing::error!(%error, "output cannot be moved on");
        }
    }

    /// Take some reports; true = there may be more.
    ///
    /// # Errors
    /// The keeper has closed its end or is dead: its pidfd says which.
    pub(crate) fn reports(&mut self) -> io::Result<bool> {
        for _ in 0..REPORTS_MAX {
            match self.holdings.link.recv() {
                Ok(Some(report)) => self.report(report),
                Ok(None) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn tick(&mut self) {
        self.end_late_upgrade();
        if self.shutdown.is_some() {
            self.shutdown_deadline();
        } else {
            self.turn(Event::Tick, NOBODY);
        }
    }

    /// The keeper is dead: execute ourselves into its place. Comes back only when a log thread is
    /// stuck in the kernel, which would hold up the exec: then with a fresh keeper, to begin anew.
    fn take_over(mut self) -> io::Result<(Link, Handoff, Outputs)> {
        let detail = "the keeper is gone; nexusd takes its place";
        self.log(Line::new("promoted", detail.into(), NOBODY));
        tracing::warn!("{detail}");
        self.commit();
        if self.outputs.park() {
            return Err(self.holdings.link.promote());
        }
        tracing::error!("a log thread does not stop, its disk hangs: a fresh keeper is forked");
        let mut link = self.holdings.link;
        let handoff = link.found_fresh_keeper()?;
        Ok((link, handoff, Outputs::after(self.own, self.outputs)))
    }
}
