//! While logs are followed: apps and instances that come later are followed too.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use nexus_log::{LogFile, Query};
use nexus_proto::{Snapshot, client};

use super::sieve::{Sieve, Wanted};
use super::{BATCH, Printer, wanted};
use crate::cli::Logs;
use crate::context::Context;
use crate::log_files::{Source, of_fleet};

/// One wait for a change of the fleet.
const WAIT: Duration = Duration::from_secs(30);
/// A file is found a moment after its first line may have been written.
const LATE: Duration = Duration::from_secs(5);
/// At most so often the fleet is looked at.
const PACE: Duration = Duration::from_millis(200);

/// Watch for them on a thread of its own, as long as a daemon answers.
pub(super) fn watch(context: &Context, args: &Logs, chosen: &Wanted, known: &[Source]) {
    let (context, args, chosen) = (context.clone(), args.clone(), chosen.clone());
    let mut known: BTreeSet<PathBuf> =
        known.iter().map(|source| source.file.path.clone()).collect();
    std::thread::spawn(move || {
        let mut seen = 0;
        while let Ok(snapshot) = context.client.apps_after(seen, WAIT) {
            seen = snapshot.generation;
            let mut sources = meant(&context, &args, &snapshot);
            sources
                .retain(|source| wanted(source, &args) && known.insert(source.file.path.clone()));
            if !sources.is_empty() {
                let printer = Printer::new(&context, &args, sources.clone());
                let sieve = Sieve::new(chosen.clone());
                std::thread::spawn(move || follow(printer, sieve, &sources));
            }
            std::thread::sleep(PACE);
        }
    });
}

/// The files of what was typed, as the fleet is now; none when that stands for nothing now.
fn meant(context: &Context, args: &Logs, snapshot: &Snapshot) -> Vec<Source> {
    if args.targets.is_empty() {
        return of_fleet(snapshot, None);
    }
    let targets: Result<_, client::Failure> = context.client.targets(&args.targets);
    targets.map_or_else(|_| Vec::new(), |found| of_fleet(snapshot, Some(&found.targets)))
}

/// Print their lines for ever. What cannot be read is left: the others go on.
fn follow(mut printer: Printer, mut sieve: Sieve, sources: &[Source]) {
    let files: Vec<LogFile> = sources.iter().map(|source| source.file.clone()).collect();
    let since = SystemTime::now().checked_sub(LATE);
    let query = Query { files, since, follow: true, ..Query::default() };
    let Ok(mut reader) = query.read() else { return };
    // What came meanwhile may be more than memory has.
    for record in reader.by_ref().map_while(Result::ok) {
        sieve.take(record, |shown| printer.line(&shown));
        if printer.holds() > BATCH && printer.flush().is_err() {
            return;
        }
    }
    let Ok(mut follow) = reader.follow() else { return };
    while printer.flush().is_ok()
        && let Ok(records) = follow.wait(None)
    {
        for record in records {
            sieve.take(record, |shown| printer.line(&shown));
        }
    }
}
