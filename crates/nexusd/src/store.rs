//! The intents on disk: what the operator asked for, and what every slot has been through.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use nexus_core::{Intents, Want};
use nexus_proto::EventView;
use nexus_spec::Name;

use crate::history::{History, StoredVersion};
use crate::lines::Lines;
use crate::ops::Op;
use crate::origin::Origin;
use crate::records::{Entry, StoredApp, StoredPending, StoredSlot};
use crate::runs::Run;
use crate::sync::Syncer;
use crate::vault::Vault;

const STEM: &str = "intents";
/// A file shorter than this is never rewritten.
const REWRITE_FROM: u64 = 1 << 20;

/// The file of intents.
pub(crate) struct Store {
    lines: Lines,
    syncer: Syncer,
    /// What the present turn has changed so far.
    batch: Vec<Entry>,
    mark: u64,
    synced: u64,
    vault: Vault,
    /// Something could not be written: the file lacks it until it is rewritten.
    lacking: Option<Lack>,
}

/// Why the file lacks something, and when it was last tried to mend that.
struct Lack {
    why: io::Error,
    tried: Instant,
}

/// Between two tries to write the whole state anew to a disk that takes nothing.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// What was on disk.
#[derive(Debug, Default)]
pub(crate) struct Image {
    apps: BTreeMap<Name, StoredApp>,
    versions: BTreeMap<Name, Vec<StoredVersion>>,
    pub(crate) ops: BTreeMap<u64, Op>,
    pending: BTreeMap<Name, Vec<StoredPending>>,
    pub(crate) runs: BTreeMap<u64, Run>,
    next_slot: u32,
    /// What was told last: a kill may have come before it was written into the journal.
    pub(crate) told: Vec<EventView>,
    boot_id: String,
    /// The highest child number that any line speaks of.
    pub(crate) last_child: u64,
    /// Files that could not be read and were moved aside.
    pub(crate) aside: Vec<String>,
}

impl Store {
    /// Read the intents. What was written before the machine's last boot is brought up to date.
    ///
    /// # Errors
    /// When the state folder cannot be read or written.
    pub(crate) fn open(folder: &Path) -> io::Result<(Store, Image)> {
        let (lines, loaded) = Lines::open::<Vec<Entry>>(folder, STEM)?;
        let mut image = Image::of(loaded.entries.into_iter().flatten());
        image.aside = loaded.aside;
        let vault = Vault::open(folder)?;
        image.apps.values_mut().for_each(|app| app.unseal(&vault));
        image.versions.values_mut().flatten().for_each(|version| version.unseal(&vault));
        let syncer = Syncer::start()?;
        let mut store =
            Store { lines, syncer, batch: Vec::new(), mark: 0, synced: 0, vault, lacking: None };
        let boot_id = crate::cpus::boot_id();
        if image.boot_id != boot_id {
            image.after_boot();
            store.keep(Entry::Boot { boot_id });
            store.commit();
        }
        Ok((store, image))
    }

    /// What secrets are kept with.
    pub(crate) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Keep one thing, together with all else that this turn keeps.
    pub(crate) fn keep(&mut self, entry: Entry) {
        self.batch.push(entry);
    }

    /// Write what the turn keeps. It outlives our own death from here on.
    pub(crate) fn commit(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        self.mark += 1;
        if let Err(error) = self.lines.append(&self.batch) {
            // The operation goes on: a daemon that can no longer write must still be able to
            // restart and to stop what runs.
            tracing::error!(%error, path = %self.lines.path().display(), "the state cannot be kept");
            self.lacking = Some(Lack { why: error, tried: Instant::now() });
        }
        self.batch.clear();
    }

    /// Make everything so far durable, soon. Returns the mark to wait for.
    pub(crate) fn sync(&mut self) -> u64 {
        if self.synced < self.mark {
            match self.lines.handle() {
                Ok(file) => self.syncer.ask(file, self.mark),
                Err(error) => tracing::error!(%error, "the state could not be synced to disk"),
            }
            self.synced = self.mark;
        }
        self.mark
    }

    /// Which marks are durable.
    pub(crate) fn done(&self) -> tokio::sync::watch::Receiver<u64> {
        self.syncer.done()
    }

    pub(crate) fn wants_rewrite(&self) -> bool {
        let again = |lack: &Lack| lack.tried.elapsed() >= TRY_AGAIN;
        self.lacking.as_ref().is_some_and(again) || self.lines.wants_rewrite(REWRITE_FROM)
    }

    /// Why what happens now cannot be kept, if it cannot.
    pub(crate) fn lacking(&self) -> Option<&io::Error> {
        self.lacking.as_ref().map(|lack| &lack.why)
    }

    /// Replace the file by what is true now.
    pub(crate) fn rewrite(&mut self, entries: impl Iterator<Item = Entry>) {
        let boot = Entry::Boot { boot_id: crate::cpus::boot_id() };
        let lines = std::iter::once(boot).chain(entries).map(|entry| [entry]);
        match self.lines.rewrite(lines) {
            Ok(()) => self.lacking = None,
            Err(error) => {
                tracing::error!(%error, "the state could not be written anew; the old file goes on");
                self.lacking =
                    self.lacking.take().map(|_| Lack { why: error, tried: Instant::now() });
            }
        }
    }
}

/// The apps that a home knows while no daemon runs there, with how many of their instances are
/// wanted up.
///
/// # Errors
/// When the state cannot be read.
pub fn known(home: &Path) -> io::Result<Vec<(Name, u16)>> {
    let mut image = Image::default();
    let lines = Lines::peek::<Vec<Entry>>(&home.join("state"), STEM)?;
    lines.into_iter().flatten().for_each(|entry| image.take(entry));
    let wanted = |app: &StoredApp| {
        let up = app.record().slots.iter().filter(|slot| slot.want == Want::Up).count();
        u16::try_from(up).unwrap_or(u16::MAX)
    };
    Ok(image.apps.iter().map(|(name, app)| (name.clone(), wanted(app))).collect())
}

impl Image {
    /// What these come to, one after another.
    pub(crate) fn of(entries: impl Iterator<Item = Entry>) -> Image {
        let mut image = Image::default();
        entries.for_each(|entry| image.take(entry));
        image
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::App(app) => {
                self.seen(&app.slots);
                // Who ran in an instance that is gone is not who runs in a later one of its number.
                let there = |run: &Run| app.slots.iter().any(|slot| slot.instance == run.instance);
                self.runs.retain(|_, run| run.app != app.spec.name || there(run));
                self.apps.insert(app.spec.name.clone(), *app);
            }
            Entry::Boot { boot_id } => {
                if !self.boot_id.is_empty() && self.boot_id != boot_id {
                    self.after_boot();
                }
                self.boot_id = boot_id;
            }
            Entry::Gone { app } => {
                self.apps.remove(&app);
                self.pending.remove(&app);
                self.versions.remove(&app);
                self.runs.retain(|_, run| run.app != app);
            }
            Entry::Operation(op) => drop(self.ops.insert(op.id, *op)),
            Entry::Pending { app, asks } => drop(self.pending.insert(app, asks)),
            Entry::Run(run) => {
                self.last_child = self.last_child.max(run.child);
                self.runs.retain(|_, old| old.app != run.app || old.instance != run.instance);
                self.runs.insert(run.child, run);
            }
            Entry::Slot { app, slot } => {
                self.seen(std::slice::from_ref(&slot));
                let slots = self.apps.get_mut(&app).map(|app| &mut app.slots);
                if let Some(kept) = slots
                    .and_then(|slots| slots.iter_mut().find(|kept| kept.instance == slot.instance))
                {
                    *kept = slot;
                }
            }
            Entry::NextSlot { id } => self.next_slot = id,
            Entry::Told { events } => self.told = events,
            Entry::Versions { app, versions } => drop(self.versions.insert(app, versions)),
        }
    }

    fn seen(&mut self, slots: &[StoredSlot]) {
        let highest = slots.iter().map(StoredSlot::last_child).max().unwrap_or(0);
        self.last_child = self.last_child.max(highest);
    }

    fn after_boot(&mut self) {
        self.runs.clear();
        for app in self.apps.values_mut() {
            app.slots.iter_mut().for_each(StoredSlot::after_boot);
        }
    }

    /// The core's intents, and what only the shell knows of each app and of what it has been.
    pub(crate) fn intents(&self) -> (Intents, BTreeMap<Name, Origin>, History) {
        let origins = self.apps.iter().map(|(name, app)| (name.clone(), app.origin.clone()));
        let mut history = History::new();
        let record = |(name, app): (&Name, &StoredApp)| {
            let mut record = app.record();
            for stored in self.versions.get(name).into_iter().flatten() {
                let (version, came) = stored.parts(&app.spec);
                history.entry(name.clone()).or_default().insert(version.generation, came);
                record.versions.push(version);
            }
            record
        };
        let intents = Intents {
            apps: self.apps.iter().map(record).collect(),
            next_slot_id: self.next_slot,
            pending: self.pending.values().flatten().map(StoredPending::ask).collect(),
        };
        (intents, origins.collect(), history)
    }
}
