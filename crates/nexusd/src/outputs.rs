//! Where a worker's output goes: its pipes, its files, and the threads that move the bytes.

mod naming;
mod noticed;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nexus_keeper::HoldId;
use nexus_log::{Dress, Hear, LineId, Mover, Rules, Source, Stage};
use nexus_spec::{LogFiles, Name};
use nix::sys::stat::fstat;
use tokio::sync::mpsc::Sender;

use crate::command::Command;
use crate::files;
use crate::held::{End, Held, Line, Stream};
use crate::holdings::Holdings;
use crate::template::Ids;

pub(crate) use naming::Naming;
use noticed::noticed;

/// How long all threads together may take to stop before the process executes another program.
const PARK_PATIENCE: Duration = Duration::from_millis(250);

/// The threads, one per file system, and what they move.
pub(crate) struct Outputs {
    /// For the threads, to tell the loop that a line goes to another file now.
    own: Sender<Command>,
    by_device: HashMap<u64, Mover>,
    /// Threads of before, of which one at least did not stop.
    before: HashMap<u64, Mover>,
    lines: HashMap<Key, Moved>,
    keys: HashMap<LineId, Key>,
    /// After a daemon's death: nothing is moved before all lines are known.
    gathering: bool,
}

/// A line that a thread moves.
struct Moved {
    id: LineId,
    device: u64,
    /// Of its rules and dress: thousands of lines need not keep them.
    settings: u64,
    /// Of its file's path.
    path: u64,
}

/// One stream of one line of an app.
type Key = (Name, Line, Stream);

impl Outputs {
    pub(crate) fn new(own: Sender<Command>) -> Outputs {
        Outputs {
            own,
            by_device: HashMap::new(),
            before: HashMap::new(),
            lines: HashMap::new(),
            keys: HashMap::new(),
            gathering: false,
        }
    }

    /// New threads for the same pipes: each begins when the one of before has stopped.
    pub(crate) fn after(own: Sender<Command>, old: Outputs) -> Outputs {
        Outputs { before: old.by_device, ..Outputs::new(own) }
    }

    /// Make sure that a line's pipes and files are there and moved. Returns what its stdout and
    /// stderr are to be opened from.
    ///
    /// # Errors
    /// When a log file cannot be opened or no descriptor is left.
    pub(crate) fn ensure(
        &mut self,
        holdings: &mut Holdings,
        naming: Naming<'_>,
        line: Line,
        owner: Option<&Ids>,
    ) -> io::Result<(HoldId, HoldId)> {
        let out = self.stream(holdings, naming, line, Stream::Out, owner)?;
        let err = match line.is_one() {
            true => out,
            false => self.stream(holdings, naming, line, Stream::Err, owner)?,
        };
        Ok((out, err))
    }

    fn stream(
        &mut self,
        holdings: &mut Holdings,
        naming: Naming<'_>,
        line: Line,
        stream: Stream,
        owner: Option<&Ids>,
    ) -> io::Result<HoldId> {
        let app = &naming.spec.name;
        let (path, under) = naming.file(line, stream);
        let file = Held::File(app.clone(), under, stream);
        let is_elsewhere = |open: &Path| !nexus_log::is_generation(open, &path);
        let key = (app.clone(), line, stream);
        let moved_there = self.lines.get(&key).is_some_and(|moved| moved.path == digest(&path));
        let opened_elsewhere = !moved_there
            && holdings
                .fd(&file)
                .is_some_and(|fd| path_of(fd).is_none_or(|open| is_elsewhere(&open)));
        if opened_elsewhere {
            self.stop(app, line, stream);
        }
        if opened_elsewhere || holdings.id(&file).is_none() {
            holdings.hold(file.clone(), files::log(&path)?)?;
        }
        let ends = [End::Read, End::Write].map(|end| Held::Pipe(app.clone(), line, stream, end));
        let [read, write] = &ends;
        // No pipe where nobody reads; one of a worker of before, which wrote elsewhere, is emptied.
        if path == Path::new(LogFiles::NOWHERE) && ends.iter().all(|end| holdings.id(end).is_none())
        {
            return holdings.id(&file).ok_or_else(|| io::Error::other("the file was not held"));
        }
        if holdings.id(read).is_none() || holdings.id(write).is_none() {
            self.stop(app, line, stream);
            let (read_end, write_end) = files::pipe(owner, self.lines.len())?;
            holdings.hold(read.clone(), read_end)?;
            holdings.hold(write.clone(), write_end)?;
        }
        let dress = naming.dress(line, stream);
        let journal = Held::Journal(app.clone(), line, stream);
        if !dress.is_plain() && holdings.id(&journal).is_none() {
            holdings.hold(journal, files::journal()?)?;
        }
        self.begin(holdings, key, (read, &file), path, (naming.rules(), dress))?;
        holdings.id(write).ok_or_else(|| io::Error::other("the pipe was not held"))
    }

    /// Begin to move a line's bytes, unless that is done already.
    fn begin(
        &mut self,
        holdings: &mut Holdings,
        key: Key,
        (pipe, file): (&Held, &Held),
        path: PathBuf,
        (rules, dress): (Rules, Dress),
    ) -> io::Result<()> {
        let (settings, of_path) = (digest(&(&rules, &dress)), digest(&path));
        if self.lines.get(&key).is_some_and(|known| known.settings == settings) {
            return Ok(());
        }
        let id = holdings.id(pipe).ok_or_else(|| io::Error::other("the pipe is not held"))?;
        let (pipe, file) = (holdings.duplicate(pipe)?, holdings.duplicate(file)?);
        let journal = Held::Journal(key.0.clone(), key.1, key.2);
        let journal = match holdings.id(&journal) {
            Some(_) => Some(holdings.duplicate(&journal)?),
            None => None,
        };
        let stage = match self.stage(holdings, &key, &file, &dress)? {
            true => Some(stage_of(holdings, &key)?),
            false => None,
        };
        let source = Source { pipe, file, path, rules, dress, journal, stage };
        let device = fstat(source.file.as_fd())?.st_dev;
        let mover = match self.by_device.entry(device) {
            std::collections::hash_map::Entry::Occupied(mover) => mover.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                let own = self.own.clone();
                let before = self.before.remove(&device);
                place.insert(Mover::after(before, move |line, note| noticed(&own, line, note))?)
            }
        };
        let id = LineId(id.0);
        if self.gathering {
            mover.gather().map_err(io::Error::other)?;
        }
        mover.add(id, source).map_err(io::Error::other)?;
        self.keys.insert(id, key.clone());
        self.lines.insert(key, Moved { id, device, settings, path: of_path });
        Ok(())
    }

    /// Whether a line goes by way of a stage: it has one, or its file is on another machine.
    fn stage(
        &self,
        holdings: &mut Holdings,
        key: &Key,
        file: &OwnedFd,
        dress: &Dress,
    ) -> io::Result<bool> {
        let end = |end| holdings.id(&Held::Stage(key.0.clone(), key.1, key.2, end)).is_some();
        let known = end(End::Read) && end(End::Write);
        if !known && dress.is_plain() && files::is_remote(file) {
            hold_stage(holdings, key)?;
            return Ok(true);
        }
        Ok(known)
    }

    /// A line's disk is slow: from now on its bytes go by way of a stage, so that who writes them
    /// can be killed while the disk hangs.
    pub(crate) fn slow(&mut self, holdings: &mut Holdings, id: LineId) -> io::Result<()> {
        let Some(key) = self.keys.get(&id) else { return Ok(()) };
        let Some(moved) = self.lines.get(key) else { return Ok(()) };
        let Some(mover) = self.by_device.get(&moved.device) else { return Ok(()) };
        hold_stage(holdings, key)?;
        mover.stage(id, stage_of(holdings, key)?).map_err(io::Error::other)
    }

    /// After a daemon's death: go on moving whatever pipes are held for an app, once
    /// [`Outputs::go`] is called.
    pub(crate) fn resume(&mut self, holdings: &mut Holdings, naming: Naming<'_>) -> io::Result<()> {
        self.gathering = true;
        for held in holdings.of_app(&naming.spec.name) {
            if let Held::Pipe(_, line, stream, End::Read) = held {
                self.stream(holdings, naming, line, stream, None)?;
            }
        }
        Ok(())
    }

    /// Move what was resumed.
    pub(crate) fn go(&mut self) -> io::Result<()> {
        self.gathering = false;
        self.by_device.values().try_for_each(|mover| mover.go().map_err(io::Error::other))
    }

    /// A line goes to another file: that is what is held from now on. Until then a successor finds
    /// out by the names on disk.
    pub(crate) fn renewed(
        &mut self,
        holdings: &mut Holdings,
        id: LineId,
        merged: impl FnOnce(&Name) -> bool,
    ) -> io::Result<()> {
        let Some((app, line, stream)) = self.keys.get(&id) else { return Ok(()) };
        let moved = self.lines.get(&(app.clone(), *line, *stream));
        let mover = moved.and_then(|moved| self.by_device.get(&moved.device));
        let Some(file) = mover.and_then(|mover| mover.take_renewed(id)) else { return Ok(()) };
        let under = naming::under(*line, merged(app));
        holdings.hold(Held::File(app.clone(), under, *stream), file)?;
        Ok(())
    }

    fn stop(&mut self, app: &Name, line: Line, stream: Stream) {
        if let Some(Moved { id, device, .. }) = self.lines.remove(&(app.clone(), line, stream))
            && let Some(mover) = self.by_device.get(&device)
        {
            self.keys.remove(&id);
            // A thread that takes no order any more hangs with its disk; the pipe stays full then.
            if let Err(error) = mover.remove(id) {
                tracing::error!(%app, %error, "its output is still being moved");
            }
        }
    }

    /// Stop moving all lines of an app.
    pub(crate) fn forget(&mut self, app: &Name) {
        let lines: Vec<_> = self.lines.keys().filter(|(name, ..)| name == app).cloned().collect();
        for (app, line, stream) in lines {
            self.stop(&app, line, stream);
        }
    }

    /// Call `then`, perhaps on another thread, once all that a line's worker has written is in its files.
    pub(crate) fn settle(&self, app: &Name, line: Line, then: Box<dyn FnOnce() + Send + Sync>) {
        let last = Arc::new(AtLast(Some(then)));
        for (line, stream) in line.pipes().flat_map(|line| Stream::BOTH.map(|of| (line, of))) {
            let line = self.lines.get(&(app.clone(), line, stream));
            if let Some(Moved { id, device, .. }) = line
                && let Some(mover) = self.by_device.get(device)
            {
                let last = Arc::clone(&last);
                // Refused or not, the closure's end is what is waited for.
                let _ = mover.settle(*id, Box::new(move || drop(last)));
            }
        }
    }

    /// Empty the file of a line, or rotate it, and call `then` with the bytes freed, on another
    /// thread. False = nobody moves it; `then` is dropped.
    pub(crate) fn flush(
        &self,
        app: &Name,
        line: Line,
        stream: Stream,
        rotate: bool,
        then: Box<dyn FnOnce(u64) + Send>,
    ) -> bool {
        let mut pipes = line.pipes();
        let line = pipes.find_map(|line| self.lines.get(&(app.clone(), line, stream)));
        let Some(Moved { id, device, .. }) = line else { return false };
        let Some(mover) = self.by_device.get(device) else { return false };
        let ordered = if rotate {
            mover.rotate(*id, Box::new(move || then(0)))
        } else {
            mover.clear(*id, then)
        };
        if let Err(error) = ordered {
            // A disk that hangs: who waits for `then` is told by its end that it was dropped.
            tracing::error!(%app, %error, "its log is not flushed");
        }
        true
    }

    /// Have `hear` told of each byte that a line's worker writes from now on.
    pub(crate) fn hear(&self, app: &Name, line: Line, stream: Stream, hear: Hear) {
        let moved = self.lines.get(&(app.clone(), line, stream));
        let mover = moved.and_then(|moved| Some((moved.id, self.by_device.get(&moved.device)?)));
        if let Some((id, mover)) = mover
            && let Err(error) = mover.hear(id, hear)
        {
            tracing::error!(%app, %error, "its lines are not looked at");
        }
    }

    /// Stop all threads between two moves, for good. False = one did not stop.
    pub(crate) fn park(&self) -> bool {
        let parked = self.by_device.values().map(|mover| mover.park(PARK_PATIENCE));
        // All are asked, also after one that does not stop.
        parked.filter(|stopped| !stopped).count() == 0
    }
}

fn digest(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

fn hold_stage(holdings: &mut Holdings, (app, line, stream): &Key) -> io::Result<()> {
    let (out, into) = files::pipe(None, 0)?;
    holdings.hold(Held::Stage(app.clone(), *line, *stream, End::Read), out)?;
    holdings.hold(Held::Stage(app.clone(), *line, *stream, End::Write), into)?;
    Ok(())
}

fn stage_of(holdings: &Holdings, (app, line, stream): &Key) -> io::Result<Stage> {
    let end = |end| holdings.duplicate(&Held::Stage(app.clone(), *line, *stream, end));
    Ok(Stage { out: end(End::Read)?, into: end(End::Write)? })
}

/// Called when the last of those who hold it lets go.
struct AtLast(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Drop for AtLast {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then();
        }
    }
}

/// The path of an open file, as long as it has one.
fn path_of(fd: std::os::fd::BorrowedFd<'_>) -> Option<PathBuf> {
    use std::os::fd::AsRawFd;
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()
}
