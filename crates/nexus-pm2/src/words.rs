//! A command line of PM2's, word by word, as one of ours.
//!
//! PM2 takes every flag before or after the verb, and a flag means the same on every verb. What it
//! has and we do not is left as it stands, so that it is refused by name.

/// Verbs that PM2 calls otherwise.
const VERBS: [(&str, &str); 8] = [
    ("status", "list"),
    ("dash", "monit"),
    ("dashboard", "monit"),
    ("imonit", "monit"),
    ("startOrRestart", "restart"),
    ("startOrReload", "reload"),
    ("startOrGracefulReload", "reload"),
    ("gracefulReload", "reload"),
];

/// Flags that PM2 writes otherwise.
const FLAGS: [(&str, &[&str]); 9] = [
    ("-s", &["-q"]),
    ("--silent", &["-q"]),
    ("--no-color", &["--color", "never"]),
    ("-n", &["--name"]),
    ("-o", &["--out-file"]),
    ("--output", &["--out-file"]),
    ("-e", &["--error-file"]),
    ("--error", &["--error-file"]),
    ("-k", &["--kill-timeout"]),
];

/// Flags of PM2's that take the next word for their value.
const VALUED: [&str; 17] = [
    "-n",
    "--name",
    "-i",
    "--instances",
    "--lines",
    "--max-memory-restart",
    "--interpreter",
    "--cwd",
    "--namespace",
    "-o",
    "--output",
    "-e",
    "--error",
    "-k",
    "--kill-timeout",
    "--env",
    "--only",
];

/// Lines that `pm2 logs` begins with.
const LINES: &str = "15";

/// What PM2's user typed after `pm2`, as words for nexusctl.
pub fn words(typed: &[String]) -> Vec<String> {
    let end = typed.iter().position(|word| word == "--").unwrap_or(typed.len());
    let (ours, after) = typed.split_at(end);
    let mut verb = None;
    let mut words = Vec::new();
    let mut is_value = false;
    for word in ours {
        if is_value {
            words.push(word.clone());
            is_value = false;
        } else if word.starts_with('-') && word.len() > 1 {
            is_value = VALUED.contains(&word.as_str());
            words.extend(flag(word));
        } else if verb.is_none() {
            let known = VERBS.iter().find(|(theirs, _)| theirs == word);
            verb = Some(known.map_or(word.as_str(), |(_, ours)| ours).to_owned());
        } else {
            words.push(word.clone());
        }
    }
    if matches!(verb.as_deref(), Some("logs" | "log")) {
        words = logs(words);
    }
    verb.into_iter().chain(words).chain(after.iter().cloned()).collect()
}

/// `--flag` or `--flag=value`.
fn flag(word: &str) -> Vec<String> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    };
    let known = FLAGS.iter().find(|(theirs, _)| *theirs == name);
    let mut flag: Vec<String> = match known {
        Some((_, ours)) => ours.iter().map(|part| (*part).to_owned()).collect(),
        None => vec![name.to_owned()],
    };
    if let (Some(value), Some(last)) = (value, flag.last_mut()) {
        last.push('=');
        last.push_str(value);
    }
    flag
}

/// PM2 goes on with what comes unless it is told not to.
fn logs(words: Vec<String>) -> Vec<String> {
    let stays = words.iter().all(|word| word != "--nostream");
    let counted = words.iter().any(|word| word == "--lines" || word.starts_with("--lines="));
    let mut words: Vec<String> = words.into_iter().filter(|word| word != "--nostream").collect();
    if stays {
        words.push("--follow".to_owned());
    }
    if !counted {
        words.extend(["--lines", LINES].map(str::to_owned));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> String {
        let typed: Vec<String> = line.split(' ').map(str::to_owned).collect();
        words(&typed).join(" ")
    }

    #[test]
    fn what_pm2s_users_type_is_said_in_our_words() {
        for (theirs, ours) in [
            ("list", "list"),
            ("status", "list"),
            ("restart all", "restart all"),
            ("restart all --max-memory-restart 2G", "restart all --max-memory-restart 2G"),
            ("--max-memory-restart 2G restart api", "restart --max-memory-restart 2G api"),
            ("restart api -s", "restart api -q"),
            ("logs", "logs --follow --lines 15"),
            ("logs api --lines 50 --nostream", "logs api --lines 50"),
            ("logs --lines=5", "logs --lines=5 --follow"),
            ("start app.js -n api -i 4", "start app.js --name api -i 4"),
            ("start app.js --output=o.log -- -n x", "start app.js --out-file=o.log -- -n x"),
            ("sendSignal SIGUSR2 api", "sendSignal SIGUSR2 api"),
            ("list --no-color", "list --color never"),
            ("dash", "monit"),
            ("restart api --no-such-flag", "restart api --no-such-flag"),
        ] {
            assert_eq!(said(theirs), ours, "{theirs}");
        }
    }
}
