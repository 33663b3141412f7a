//! How we were called, and so whose command line this is: ours, or PM2's.

use std::ffi::OsString;
use std::path::Path;

/// Whose words, exit codes and home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Our own.
    Ours,
    /// PM2's: called by a link of that name, or as `nexusctl pm2 …`.
    Pm2,
}

/// The dialect, and the words in our own one. `nexusd ARGS` (a link to this program) is
/// `nexusctl daemon run ARGS`.
pub(crate) fn of(args: impl Iterator<Item = OsString>) -> (Dialect, Vec<OsString>) {
    let mut words: Vec<OsString> = args.collect();
    let name = words.first().and_then(|word| Path::new(word).file_name()).unwrap_or_default();
    let named = name.to_string_lossy().into_owned();
    let second = words.get(1).is_some_and(|word| word == "pm2");
    match named.as_str() {
        "nexusd" => {
            words.splice(..1, ["nexusctl", "daemon", "run"].map(OsString::from));
            (Dialect::Ours, words)
        }
        "pm2" => (Dialect::Pm2, translated(&words, 1)),
        _ if second => (Dialect::Pm2, translated(&words, 2)),
        _ => (Dialect::Ours, words),
    }
}

/// All words after the first `from`; PM2 has no flag that is not text.
fn translated(words: &[OsString], from: usize) -> Vec<OsString> {
    let typed = words.iter().skip(from).map(|word| word.to_string_lossy().into_owned());
    let ours = nexus_pm2::words(&typed.collect::<Vec<_>>());
    std::iter::once("nexusctl".to_owned()).chain(ours).map(OsString::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_we_are_called_by_chooses() {
        for (line, dialect, ours) in [
            ("nexusctl list", Dialect::Ours, "nexusctl list"),
            ("/usr/bin/nexusd --detached", Dialect::Ours, "nexusctl daemon run --detached"),
            ("/usr/bin/pm2 restart all", Dialect::Pm2, "nexusctl restart all"),
            ("nexusctl pm2 logs --nostream", Dialect::Pm2, "nexusctl logs --lines 15"),
            ("pm2", Dialect::Pm2, "nexusctl"),
        ] {
            let (said, words) = of(line.split(' ').map(OsString::from));
            let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
            assert_eq!((said, words.join(" ").as_str()), (dialect, ours), "{line}");
        }
    }
}
