//! Whether there are open files for what is asked: said before anything changes. A daemon that has
//! none left could not be spoken to any more.

use std::collections::BTreeMap;

use nexus_core::{App, Ask};
use nexus_proto::{Code, Problem};
use nexus_spec::{AppSpec, Name, Stdin};
use nix::sys::resource::{Resource, getrlimit};

use crate::daemon::Daemon;
use crate::requests::Plan;
use crate::sampling;

/// For each of a worker's two outputs: the pipe's ends as they are held, and the one that is read.
const OF_A_PIPE: u64 = 3;
/// For each log file: as it is held, and as it is written.
const OF_A_FILE: u64 = 2;
/// A worker's pidfd.
const OF_A_WORKER: u64 = 1;
/// Both ends of a stdin that we write into.
const OF_A_STDIN: u64 = 2;
/// What we have open without any app.
const OF_OURSELVES: u64 = 48;
/// Pidfds of successors while workers are replaced, but no more than a sixteenth of all.
const SUCCESSORS: u64 = 1_024;
/// Kept free for clients and for what is open for a moment, but no more than a quarter of all.
const SPARE: u64 = 208;

/// How many workers with logs of their own fit below a limit of open files.
pub fn workers(limit: u64) -> u64 {
    for_apps(limit) / (2 * (OF_A_FILE + OF_A_PIPE) + OF_A_WORKER)
}

/// The most open files that apps may take.
fn for_apps(limit: u64) -> u64 {
    let free = SPARE.min(limit / 4) + SUCCESSORS.min(limit / 16);
    let ours = OF_OURSELVES + free + sampling::files_max(limit);
    limit.saturating_sub(ours)
}

/// What so many instances of an app take.
fn taken(spec: &AppSpec, instances: u16) -> u64 {
    let instances = u64::from(instances);
    let files = if spec.log.merge_logs { 1 } else { instances };
    let streams = spec.log.kept() as u64;
    let stdin = if spec.stdin == Stdin::Pipe { OF_A_STDIN } else { 0 };
    // A reload that listens to new workers gives them a second pipe each, into the same file.
    let pipes = if spec.rollout.rollback_on.log.is_some() { 2 } else { 1 };
    streams * OF_A_FILE * files + instances * (streams * OF_A_PIPE * pipes + OF_A_WORKER + stdin)
}

impl Daemon {
    /// Whether the apps as they are to be have room; what takes no more than now always has.
    pub(crate) fn must_have_room(&self, plan: &Plan) -> Result<(), Problem> {
        let now = |app: &App| taken(app.spec(), app.instances());
        let before: u64 = self.state.apps().map(|(_, app)| now(app)).sum();
        let mut changed: BTreeMap<&Name, u64> = BTreeMap::new();
        for ask in &plan.asks {
            let after = match ask {
                Ask::Start { spec, instances } => taken(spec, *instances),
                Ask::Reload { spec: Some((spec, instances)), .. }
                | Ask::Restart { spec: Some((spec, instances)), .. } => taken(spec, *instances),
                Ask::Scale { app, to } => {
                    self.state.app(app.as_str()).map_or(0, |app| taken(app.spec(), *to))
                }
                Ask::Rollback { app, to, .. } => {
                    let known = self.state.app(app.as_str());
                    let version = known.and_then(|app| app.version_at(*to));
                    version.map_or(0, |version| taken(&version.spec, version.instances))
                }
                Ask::Abort { .. }
                | Ask::Delete { .. }
                | Ask::Reload { spec: None, .. }
                | Ask::Reset { .. }
                | Ask::Restart { spec: None, .. }
                | Ask::StartKnown { .. }
                | Ask::Stop { .. } => continue,
            };
            changed.insert(ask.app(), after);
        }
        let unchanged = |name: &Name| !changed.contains_key(name);
        let rest = self.state.apps().filter(|(name, _)| unchanged(name));
        let after = rest.map(|(_, app)| now(app)).sum::<u64>() + changed.values().sum::<u64>();
        // Where it cannot be read we go by what every system has.
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1_024, |(soft, _)| soft);
        let most = for_apps(limit);
        if after <= before || after <= most {
            return Ok(());
        }
        let title = "nothing is changed: so many workers need more open files than there are";
        let limit = "raise the daemon's limit of open files (`ulimit -Hn`, or `LimitNOFILE=` in \
                     its unit), then `nexusctl kill` and start again; `merge_logs` takes fewer, and a stream to /dev/null none";
        Err(Problem::new(Code::TooMuch, title.to_owned())
            .cause(format!("they would take {after}, and {most} are for workers"))
            .help(limit.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nexus_spec::LogFiles;

    use super::*;

    #[test]
    fn eleven_open_files_a_worker_and_four_less_where_all_write_into_the_same() {
        let (script, cwd) = (Path::new("/bin/true"), Path::new("/"));
        let mut spec = AppSpec::default_for(Name::new("a").unwrap(), script, cwd);
        assert_eq!(taken(&spec, 100), 1_100);
        spec.stdin = Stdin::Pipe;
        assert_eq!(taken(&spec, 100), 1_300);
        spec.log.merge_logs = true;
        assert_eq!(taken(&spec, 100), 904);
        spec.log.out_file = Some(LogFiles::NOWHERE.into());
        assert_eq!(taken(&spec, 100), 602);
        spec.log.error_file = Some(LogFiles::NOWHERE.into());
        spec.stdin = Stdin::Null;
        assert_eq!(taken(&spec, 10_000), 10_000);
        assert!(for_apps(20_000) >= 10_000);
        assert_eq!(workers(20_000), (20_000 - 48 - 208 - 1_024 - 2_500) / 11);
    }
}
