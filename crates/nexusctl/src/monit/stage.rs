//! The loop: messages go to the model, what it wants is done, the screen is drawn when something
//! has changed. Nothing is looked at again and again: it sleeps until a message, or a second, has
//! come.

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nexus_proto::client::Client;
use nexus_spec::Name;
use nix::sys::signal::Signal;

use super::feed::log::Orders;
use super::feed::{Event, Tell, act, events, fleet, history, input, log, tell};
use super::link::Link;
use super::model::{Effect, Model, Msg};
use super::screen::{self, Screen};
use super::update::update;
use super::{signals, view};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log_files::of_directory;
use crate::look::Look;
use crate::text::plain;

/// Events that wait for the stage at most.
const INBOX: usize = 64;
/// Events that are taken in before a frame at most.
const BATCH: usize = 256;
/// Between two frames at least, unless a key was pressed.
const FRAME: Duration = Duration::from_millis(100);
/// How long the first frame waits for the first answer.
const FIRST: Duration = Duration::from_millis(100);
/// The same as [`FRAME`] on a connection over the network, where every byte is slow.
const FRAME_REMOTE: Duration = Duration::from_millis(500);

/// Why the stage is left.
enum End {
    With(Exit),
    By(Signal),
    Broken(std::io::Error),
}

/// Show the dashboard until it is left. `hasty` is a client that does not wait for a daemon.
///
/// # Errors
/// The terminal cannot be taken over.
pub(super) fn play(context: &Context, hasty: &Client) -> Result<ExitCode, Failure> {
    let (to, inbox) = sync_channel(INBOX);
    signals::watch(to.clone()).map_err(|errno| unusable(&errno.into()))?;
    let mut screen = Screen::open().map_err(|error| unusable(&error))?;
    let keys = screen.keys().and_then(|keys| Ok((keys, log::watch(to.clone())?)));
    let (keys, orders) = match keys {
        Ok(opened) => opened,
        Err(error) => {
            screen.leave();
            return Err(unusable(&error));
        }
    };
    input::watch(keys, to.clone());
    let (width, height) = screen::size();
    let console = std::env::var("TERM").is_ok_and(|term| term == "linux");
    let look = Look { ascii: context.out.ascii || console, ..context.out.clone() };
    let home = plain(&context.home.path().display().to_string());
    let remote = std::env::var_os("SSH_CONNECTION").is_some();
    let mut stage = Stage {
        model: Model::new(look, home, width, height),
        retry: fleet::watch(hasty.clone(), to.clone()),
        history: history::watch(hasty.clone(), to.clone()),
        events: events::watch(hasty.clone(), to.clone()),
        orders,
        context: context.as_it_is(),
        to,
        frame: if remote { FRAME_REMOTE } else { FRAME },
    };
    let end = stage.run(&inbox, &mut screen);
    screen.leave();
    match end {
        End::With(exit) => Ok(ExitCode::from(exit.code())),
        End::By(signal) => {
            signals::die_by(signal);
            Ok(ExitCode::from(Exit::Failed.code()))
        }
        End::Broken(error) => Err(unusable(&error)),
    }
}

fn unusable(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, "the terminal cannot be used").cause(error.to_string())
}

struct Stage {
    model: Model,
    retry: Sender<()>,
    history: Sender<Name>,
    events: Sender<Option<Name>>,
    orders: Orders,
    context: Context,
    to: Tell,
    frame: Duration,
}

impl Stage {
    fn run(&mut self, inbox: &Receiver<Event>, screen: &mut Screen) -> End {
        match self.turns(inbox, screen) {
            Ok(end) => end,
            Err(error) => End::Broken(error),
        }
    }

    fn turns(&mut self, inbox: &Receiver<Event>, screen: &mut Screen) -> std::io::Result<End> {
        let mut tick = next_second();
        let begun = Instant::now();
        let mut drawn: Option<Instant> = None;
        let mut dirty = true;
        loop {
            // The first frame shows the first answer, unless that takes long.
            let next = drawn.map_or(begun + FIRST, |drawn| drawn + self.frame);
            let wake = if dirty { tick.min(next) } else { tick };
            let wait = wake.saturating_duration_since(Instant::now());
            let first = match inbox.recv_timeout(wait) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(End::By(Signal::SIGHUP)),
            };
            let mut at_once = false;
            for event in first.into_iter().chain(inbox.try_iter()).take(BATCH) {
                at_once |= matches!(event, Event::Input(_) | Event::Continued);
                dirty = true;
                if let Some(end) = self.take(event, screen)? {
                    return Ok(end);
                }
            }
            if Instant::now() >= tick {
                tick = next_second();
                dirty = true;
                if let Some(end) = self.tell_model(Msg::Tick, screen)? {
                    return Ok(end);
                }
            }
            at_once |= drawn.is_none() && self.model.link != Link::Connecting;
            if dirty && (at_once || Instant::now() >= next) {
                screen.draw(|buffer| view::draw(&self.model, buffer))?;
                drawn = Some(Instant::now());
                dirty = false;
            }
        }
    }

    fn take(&mut self, event: Event, screen: &mut Screen) -> std::io::Result<Option<End>> {
        match event {
            Event::Msg(msg) | Event::Input(msg) => {
                if let Msg::Resize(width, height) = msg {
                    screen.resize(width, height)?;
                }
                self.tell_model(msg, screen)
            }
            Event::Continued => {
                screen.enter()?;
                let (width, height) = screen::size();
                self.tell_model(Msg::Resize(width, height), screen)
            }
            Event::Hangup => Ok(Some(End::By(Signal::SIGHUP))),
            Event::End(signal) => Ok(Some(End::By(signal))),
        }
    }

    fn tell_model(&mut self, msg: Msg, screen: &mut Screen) -> std::io::Result<Option<End>> {
        for effect in update(&mut self.model, now(), msg) {
            if let Some(end) = self.carry_out(effect, screen)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    fn carry_out(&mut self, effect: Effect, screen: &mut Screen) -> std::io::Result<Option<End>> {
        match effect {
            Effect::Quit(exit) => return Ok(Some(End::With(exit))),
            Effect::Suspend => {
                screen.leave();
                signals::stop();
                screen.enter()?;
                (self.model.width, self.model.height) = screen::size();
            }
            Effect::Redraw => screen.enter()?,
            // A feed that has gone is the end of the program anyway.
            Effect::Retry => drop(self.retry.send(())),
            Effect::Revive => act::revive(self.context.clone(), self.to.clone()),
            Effect::History(app) => drop(self.history.send(app)),
            Effect::Events(app) => drop(self.events.send(app)),
            Effect::Read { reading, sources, newcomers } => {
                self.orders.read(reading, sources, newcomers);
            }
            Effect::FindFiles => {
                let (logs, to) = (self.context.home.logs(), self.to.clone());
                // The disk may hang.
                std::thread::spawn(move || {
                    tell(&to, Msg::Files(of_directory(&logs).unwrap_or_default()))
                });
            }
            Effect::LookFor(pids) => {
                let there = |pid: &&i32| std::path::Path::new(&format!("/proc/{pid}")).exists();
                let alive = pids.iter().filter(there).count();
                let told = Msg::Alive(alive, pids.len());
                // It makes nothing else to be done.
                drop(update(&mut self.model, now(), told));
            }
            Effect::Act(deed) => {
                let look = self.model.look.clone();
                act::act(self.context.client.clone(), look, deed, self.to.clone());
            }
        }
        Ok(None)
    }
}

/// Milliseconds of Unix time.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// When the clock on the screen changes.
fn next_second() -> Instant {
    let part = u64::try_from(now().rem_euclid(1000)).unwrap_or(0);
    Instant::now() + Duration::from_millis(1000 - part)
}
