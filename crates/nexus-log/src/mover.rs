//! Pipe to file, by splice, on a thread of its own.
//!
//! Bytes leave a pipe only by `splice(2)` into the file, so a SIGKILL at any instant finds each
//! byte in the pipe or in the file, never in neither and never in both. Another process may hold
//! duplicates of the pipe and of the file and go on where this one was; the caller's duty is that
//! only one of them moves at a time, since the kernel does not lock a file's offset for a splice.

mod dressed;
mod ear;
mod journal;
mod line;
mod scratch;
mod sink;
mod thread;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::dress::Dress;
use crate::rules::Rules;

pub use ear::Hear;

/// Orders that wait for the thread: two for each line of 16,384 workers. A disk that hangs while
/// more come is answered by [`QueueFull`], never by waiting.
const QUEUE_MAX: usize = 65_536;

/// One pipe whose bytes are moved, by the caller's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineId(pub u64);

/// Where bytes come from and go to.
#[derive(Debug)]
pub struct Source {
    /// The read end of the pipe, O_NONBLOCK.
    pub pipe: OwnedFd,
    /// The file: not O_APPEND (splice(2) refuses it); the offset is the open description's. It may
    /// have been rotated or deleted since it was opened. Lines of one path share the file of the
    /// first.
    pub file: OwnedFd,
    /// The file's path. Beside it are its index (`<path>.idx`) and what was rotated.
    pub path: PathBuf,
    /// What bounds it; lines of one path share those of the last.
    pub rules: Rules,
    /// What is done to the line on its way; needs a journal unless that is nothing.
    pub dress: Dress,
    /// A memory file, empty or as another process left it, which others hold too: where bytes are
    /// between pipe and file when something is done to them.
    pub journal: Option<OwnedFd>,
    /// A pipe of its own, which others hold too, where a slow disk needs one ([`Note::Slow`]).
    pub stage: Option<Stage>,
}

/// A pipe between a worker's pipe and a slow disk. A splice holds the lock of the pipe that it takes
/// from for as long as the disk takes: who writes to that pipe waits where no signal reaches it. This
/// one nobody else writes to.
#[derive(Debug)]
pub struct Stage {
    /// Its read end, O_NONBLOCK.
    pub out: OwnedFd,
    /// Its write end.
    pub into: OwnedFd,
}

/// Where a line goes.
struct Target {
    file: OwnedFd,
    path: PathBuf,
    rules: Rules,
}

/// Where a line comes from, and what is done to it.
struct Origins {
    pipe: OwnedFd,
    dress: Dress,
    journal: Option<OwnedFd>,
    stage: Option<Stage>,
}

impl Source {
    fn split(self) -> (Origins, Target) {
        let Source { pipe, file, path, rules, dress, journal, stage } = self;
        (Origins { pipe, dress, journal, stage }, Target { file, path, rules })
    }

    /// Of a pipe and a file, without bounds; nothing is done to the line.
    #[must_use]
    pub fn new(pipe: OwnedFd, file: OwnedFd, path: PathBuf) -> Source {
        let rules = Rules::none();
        Source { pipe, file, path, rules, dress: Dress::default(), journal: None, stage: None }
    }
}

/// What the mover noticed about a line and somebody may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Somebody truncated the file: it was written up to `from`, we go on at its end, `to`.
    Truncated {
        /// Our offset in bytes.
        from: u64,
        /// The file's size in bytes.
        to: u64,
    },
    /// Somebody deleted or renamed the file; another takes its place.
    Lost,
    /// Another file is written to, after a rotation or a loss: [`Mover::take_renewed`] has it.
    Renewed,
    /// The file cannot be rotated or made anew (the errno, 0 when it is no system error). Bytes go
    /// to the present one, and we try again.
    Refused(i32),
    /// The file system knows no splice: bytes are copied, and a kill may double some of them.
    NoSplice,
    /// The file takes no bytes (the errno); they wait in the pipe, and we try again.
    Stalled(i32),
    /// The file takes no bytes (the errno); lines are left out and counted, and we try again.
    Dropping(i32),
    /// The file takes bytes again.
    Healed,
    /// A write took longer than 250 ms: the line should get a stage ([`Mover::stage`]).
    Slow,
    /// The line's journal cannot be read (the errno, 0 when it is no system error): nothing is done
    /// to the line, and what was in the journal is lost.
    NoJournal(i32),
    /// The index cannot be written (the errno, 0 when it is no system error): lines have no time.
    NoIndex(i32),
    /// Nobody holds the pipe's write end any more, and it is empty.
    Ended,
}

/// More than 65,536 orders wait: the file system does not answer. The order was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

impl fmt::Display for QueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{QUEUE_MAX} orders wait for the log thread: its file system does not answer")
    }
}

impl std::error::Error for QueueFull {}

/// Called on the mover's thread, which moves nothing meanwhile: be quick.
type Then = Box<dyn FnOnce() + Send>;
/// Called on a thread of the mover's, with a number of bytes.
type ThenFreed = Box<dyn FnOnce(u64) + Send>;
type Notes = Box<dyn FnMut(LineId, Note) + Send>;

/// What a caller asks of the thread.
enum Order {
    Add(LineId, Box<Source>),
    Gather,
    Go,
    Remove(LineId),
    Settle(LineId, Then),
    Rotate(LineId, Then),
    Stage(LineId, Stage),
    Hear(LineId, Hear),
    Clear(LineId, ThenFreed),
}

/// What the callers and the thread both see.
struct Shared {
    orders: Mutex<VecDeque<Order>>,
    bell: EventFd,
    /// Set once, never cleared: looked at between any two splices.
    stop: AtomicBool,
    stopped: Mutex<bool>,
    stopped_bell: Condvar,
    stalled: Mutex<BTreeMap<LineId, i32>>,
    /// New files that nobody has asked for yet.
    renewed: Mutex<BTreeMap<LineId, OwnedFd>>,
}

/// A thread that moves bytes. One per file system, so that a hung disk holds up nobody else.
///
/// Dropping it stops the thread between two splices and waits for that, unless [`Mover::park`] has
/// found it stuck. What is in the pipes stays there.
pub struct Mover {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Mover {
    /// Start the thread.
    ///
    /// # Errors
    /// When the machine has no room for a thread or an epoll.
    pub fn start() -> io::Result<Mover> {
        Mover::with_notes(|_, _| ())
    }

    /// Start the thread; it calls `notes` (on the thread itself: be quick) with what it notices.
    ///
    /// # Errors
    /// When the machine has no room for a thread or an epoll.
    pub fn with_notes(notes: impl FnMut(LineId, Note) + Send + 'static) -> io::Result<Mover> {
        Mover::after(None, notes)
    }

    /// Start a thread that begins when `old` has stopped, which may take as long as its disk hangs:
    /// two at once would write to the same place of a file whose offset they share.
    ///
    /// # Errors
    /// When the machine has no room for a thread or an epoll.
    pub fn after(
        old: Option<Mover>,
        notes: impl FnMut(LineId, Note) + Send + 'static,
    ) -> io::Result<Mover> {
        let shared = Arc::new(Shared {
            orders: Mutex::default(),
            bell: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
            stop: AtomicBool::new(false),
            stopped: Mutex::new(false),
            stopped_bell: Condvar::new(),
            stalled: Mutex::default(),
            renewed: Mutex::default(),
        });
        let thread = thread::spawn(Arc::clone(&shared), Box::new(notes), old)?;
        Ok(Mover { shared, thread: Some(thread) })
    }

    /// Begin to move a pipe's bytes. A line of the same number is removed first.
    ///
    /// # Errors
    /// [`QueueFull`]; the descriptors are closed then.
    pub fn add(&self, line: LineId, source: Source) -> Result<(), QueueFull> {
        self.order(Order::Add(line, Box::new(source)))
    }

    /// Move nothing of the lines that are added from now on until [`Mover::go`]. Who takes over
    /// several lines of one file from a process that was killed needs this: what it began to write
    /// has its place in the file before anything else is written.
    ///
    /// # Errors
    /// [`QueueFull`]
    pub fn gather(&self) -> Result<(), QueueFull> {
        self.order(Order::Gather)
    }

    /// Move what was gathered.
    ///
    /// # Errors
    /// [`QueueFull`]
    pub fn go(&self) -> Result<(), QueueFull> {
        self.order(Order::Go)
    }

    /// Stop moving a pipe's bytes; its descriptors are closed, what is in the pipe stays there.
    /// What waits for the line ([`Mover::settle`], [`Mover::rotate`]) is dropped, not called.
    ///
    /// # Errors
    /// [`QueueFull`]
    pub fn remove(&self, line: LineId) -> Result<(), QueueFull> {
        self.order(Order::Remove(line))
    }

    /// Call `then` (on the mover's thread) once all that was in the pipe at this moment is in the
    /// file. Dropped without a call when the line is unknown, or removed before, or 1,024 later
    /// ones wait for a file that takes nothing.
    ///
    /// # Errors
    /// [`QueueFull`]; `then` is dropped.
    pub fn settle(&self, line: LineId, then: Then) -> Result<(), QueueFull> {
        self.order(Order::Settle(line, then))
    }

    /// Rotate the line's file now, unless it is empty: it gets another name, and from the end of its
    /// last line of text on a new one is written to. A line of text that does not end within two
    /// seconds or 1 MiB is cut. Then `then` is called on the mover's thread.
    ///
    /// # Errors
    /// [`QueueFull`]; `then` is dropped.
    pub fn rotate(&self, line: LineId, then: Then) -> Result<(), QueueFull> {
        self.order(Order::Rotate(line, then))
    }

    /// Empty the line's file and delete what was rotated. Then `then` is called on a thread of the
    /// mover's, with the bytes that this freed.
    ///
    /// # Errors
    /// [`QueueFull`]; `then` is dropped.
    pub fn clear(&self, line: LineId, then: ThenFreed) -> Result<(), QueueFull> {
        self.order(Order::Clear(line, then))
    }

    /// Bring a line's bytes to its file by way of a pipe of its own.
    ///
    /// # Errors
    /// [`QueueFull`]; the descriptors are closed.
    pub fn stage(&self, line: LineId, stage: Stage) -> Result<(), QueueFull> {
        self.order(Order::Stage(line, stage))
    }

    /// The file that a line goes to since [`Note::Renewed`], once: what another process holds in
    /// the old one's place.
    #[must_use]
    pub fn take_renewed(&self, line: LineId) -> Option<OwnedFd> {
        lock(&self.shared.renewed).remove(&line)
    }

    /// The lines whose file takes no bytes now, with the errno of the last attempt.
    #[must_use]
    pub fn stalled(&self) -> Vec<(LineId, i32)> {
        lock(&self.shared.stalled).iter().map(|(line, errno)| (*line, *errno)).collect()
    }

    /// Stop between two splices for good, so that the process may execute another program.
    /// False = it did not stop within `patience` (the disk hangs). Even then it begins no further
    /// splice, but the one that it is in may still end, and would hold up an `execve`.
    #[must_use]
    pub fn park(&self, patience: Duration) -> bool {
        self.shared.halt();
        let stopped = lock(&self.shared.stopped);
        let (stopped, _) = self
            .shared
            .stopped_bell
            .wait_timeout_while(stopped, patience, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        *stopped
    }

    /// Wait for the thread's end, however long that takes.
    fn end(mut self) {
        self.shared.halt();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by its hook; there is nothing to save here.
            let _ = thread.join();
        }
    }

    fn order(&self, order: Order) -> Result<(), QueueFull> {
        let mut orders = lock(&self.shared.orders);
        if orders.len() >= QUEUE_MAX {
            return Err(QueueFull);
        }
        orders.push_back(order);
        drop(orders);
        self.shared.ring();
        Ok(())
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        let parked_in_vain =
            self.shared.stop.load(Ordering::SeqCst) && !*lock(&self.shared.stopped);
        self.shared.halt();
        if let Some(thread) = self.thread.take()
            && !parked_in_vain
        {
            // A panic of the thread was reported by its hook; there is nothing to save here.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn halt(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.ring();
    }

    fn ring(&self) {
        // EAGAIN: the counter is full, so the bell is ringing already.
        let _ = self.bell.write(1);
    }

    fn halted(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn say_stopped(&self) {
        *lock(&self.stopped) = true;
        self.stopped_bell.notify_all();
    }
}

/// Each value behind these locks is whole between two statements, so a panic elsewhere spoils none.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
