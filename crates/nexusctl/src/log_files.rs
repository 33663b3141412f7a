//! Which log files belong to what was typed, with a daemon and without one.

use std::path::Path;

use nexus_log::{LogFile, Stream};
use nexus_proto::Code;
pub(crate) use nexusd::{LogSource as Source, log_sources as of_fleet};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::near::near;

/// Every file in the directory of logs, by its name.
///
/// # Errors
/// The directory exists and cannot be read.
pub(crate) fn of_directory(logs: &Path) -> Result<Vec<Source>, Failure> {
    let entries = match std::fs::read_dir(logs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let title = format!("cannot read {}", logs.display());
            return Err(Failure::new(Exit::Failed, title).cause(error.to_string()));
        }
    };
    let mut sources: Vec<Source> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let (app, instance, stream) = parse(&name)?;
            let label = match instance {
                Some(instance) => format!("{app}/{instance}"),
                None => app.clone(),
            };
            let file = LogFile { path: logs.join(&name), label, stream };
            Some(Source { app, instance, file })
        })
        .collect();
    sources.sort_by(|a, b| a.file.path.cmp(&b.file.path));
    Ok(sources)
}

/// `<app>-out.log`, `<app>-error.log`, `<app>-out-<n>.log`.
fn parse(name: &str) -> Option<(String, Option<u16>, Stream)> {
    let stem = name.strip_suffix(".log")?;
    let plain = |stem: &str| {
        let out = stem.strip_suffix("-out").map(|app| (app.to_owned(), Stream::Out));
        out.or_else(|| stem.strip_suffix("-error").map(|app| (app.to_owned(), Stream::Err)))
    };
    let numbered = stem.rsplit_once('-').and_then(|(stem, number)| {
        let (app, stream) = plain(stem)?;
        Some((app, Some(number.parse().ok()?), stream))
    });
    let parsed = numbered.or_else(|| plain(stem).map(|(app, stream)| (app, None, stream)));
    parsed.filter(|(app, _, _)| !app.is_empty())
}

/// Those of `all` that were typed: `NAME`, `NAME/INSTANCE` or `all`. Without a daemon, ids and
/// namespaces are not known.
///
/// # Errors
/// A name that no file belongs to, with the nearest.
pub(crate) fn select(all: Vec<Source>, typed: &[String]) -> Result<Vec<Source>, Failure> {
    if typed.is_empty() || typed.iter().any(|word| word == "all") {
        return Ok(all);
    }
    for word in typed {
        if !all.iter().any(|source| is_meant(source, word)) {
            let title = format!("no logs of an app named `{word}`");
            let failure = Failure::new(Exit::Unknown, title)
                .code(Code::NotFound)
                .cause("no daemon runs; names are those of the files");
            let names = near(word, all.iter().map(|source| source.app.as_str()));
            return Err(names
                .iter()
                .fold(failure, |failure, name| failure.help(format!("did you mean `{name}`?"))));
        }
    }
    let meant = |source: &Source| typed.iter().any(|word| is_meant(source, word));
    Ok(all.into_iter().filter(meant).collect())
}

fn is_meant(source: &Source, word: &str) -> bool {
    if source.app == word {
        return true;
    }
    let Some((app, instance)) = word.rsplit_once('/') else { return false };
    // Instance 0 of an app that once had one only keeps the plain name.
    let number = instance.parse::<u16>().ok();
    source.app == app && number.is_some() && source.instance.or(Some(0)) == number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_tell_app_instance_and_stream() {
        let table = [
            ("api-out.log", Some(("api", None, Stream::Out))),
            ("api-error.log", Some(("api", None, Stream::Err))),
            ("api-out-3.log", Some(("api", Some(3), Stream::Out))),
            ("my-out-app-error-12.log", Some(("my-out-app", Some(12), Stream::Err))),
            ("api-2-out.log", Some(("api-2", None, Stream::Out))),
            ("api-out.log.idx", None),
            ("api-out.log.2026-11-23T00:00:00Z.gz", None),
            ("-out.log", None),
            ("nexusd.log", None),
            ("api-out-x.log", None),
        ];
        for (name, expected) in table {
            let expected = expected.map(|(app, number, stream)| (app.to_owned(), number, stream));
            assert_eq!(parse(name), expected, "{name}");
        }
    }

    #[test]
    fn without_a_daemon_the_files_are_the_names() {
        let home = tempfile::tempdir().unwrap();
        for name in ["api-out-0.log", "api-out-1.log", "web-out.log", "web-error.log", "x.idx"] {
            std::fs::write(home.path().join(name), "").unwrap();
        }
        let all = of_directory(home.path()).unwrap();
        assert_eq!(all.len(), 4);
        let pick = |word: &str| select(all.clone(), &[word.to_owned()]).map(|some| some.len());
        assert_eq!(pick("api"), Ok(2));
        assert_eq!(pick("api/1"), Ok(1));
        assert_eq!(pick("web/0"), Ok(2));
        assert_eq!(pick("all"), Ok(4));
        let failure = pick("wep").unwrap_err();
        assert_eq!(failure.exit, Exit::Unknown);
        assert_eq!(failure.json()["help"][0], "did you mean `web`?");
        assert!(of_directory(&home.path().join("none")).unwrap().is_empty());
    }
}
