//! What the words that a user typed stand for.
//!
//! In this order: `all` · `/regex/` · `NAME` · `NAME/INSTANCE` · `namespace:NAME` · a namespace ·
//! a number (the slot's id) · a glob.

use nexus_proto::{AppView, Code, Problem, Target};
use regex_lite::Regex;

/// How alike two words must be to be offered in place of each other (Jaro-Winkler).
const ALIKE: f64 = 0.8;
/// Names offered at most.
const OFFERED_MAX: usize = 3;

/// All that `words` stand for, each once, in the order of the words.
///
/// # Errors
/// The first word that stands for nothing, with the names that it may have meant.
pub(crate) fn resolve(words: &[String], apps: &[AppView]) -> Result<Vec<Target>, Problem> {
    let mut targets: Vec<Target> = Vec::new();
    for word in words {
        for target in one(word, apps)? {
            let covered = |other: &Target| {
                other.app == target.app
                    && (other.instance.is_none() || other.instance == target.instance)
            };
            if !targets.iter().any(covered) {
                // The whole app stands for each of its instances.
                targets.retain(|other| other.app != target.app || target.instance.is_some());
                targets.push(target);
            }
        }
    }
    Ok(targets)
}

fn one(word: &str, apps: &[AppView]) -> Result<Vec<Target>, Problem> {
    let whole = |app: &AppView| Target { app: app.name.clone(), instance: None };
    let all = |take: &dyn Fn(&AppView) -> bool| -> Vec<Target> {
        apps.iter().filter(|app| take(app)).map(whole).collect()
    };
    if word == "all" {
        return Ok(all(&|_| true));
    }
    if let Some(pattern) = word.strip_prefix('/').and_then(|word| word.strip_suffix('/')) {
        let regex = Regex::new(pattern).map_err(|error| {
            Problem::new(Code::BadRequest, format!("`{word}` is no regular expression"))
                .cause(error.to_string())
        })?;
        return found(word, all(&|app| regex.is_match(app.name.as_str())), apps);
    }
    let named = all(&|app| app.name.as_str() == word);
    if !named.is_empty() {
        return Ok(named);
    }
    if let Some((name, number)) = word.rsplit_once('/')
        && let Some(app) = apps.iter().find(|app| app.name.as_str() == name)
    {
        return instance(word, app, number);
    }
    if let Some((namespace, name)) = word.split_once(':') {
        let inside = all(&|app| app.namespace == namespace && app.name.as_str() == name);
        return found(word, inside, apps);
    }
    let inside = all(&|app| app.namespace == word);
    if !inside.is_empty() {
        return Ok(inside);
    }
    if let Ok(id) = word.parse::<u32>() {
        let by_id = apps.iter().find_map(|app| {
            let slot = app.instances.iter().find(|slot| slot.id == id)?;
            Some(Target { app: app.name.clone(), instance: Some(slot.instance) })
        });
        return found(word, by_id.into_iter().collect(), apps);
    }
    if word.contains(['*', '?']) {
        return found(word, all(&|app| glob(word, app.name.as_str())), apps);
    }
    found(word, Vec::new(), apps)
}

fn instance(word: &str, app: &AppView, number: &str) -> Result<Vec<Target>, Problem> {
    let slot = number
        .parse::<u16>()
        .ok()
        .and_then(|number| app.instances.iter().find(|slot| slot.instance == number));
    match slot {
        Some(slot) => Ok(vec![Target { app: app.name.clone(), instance: Some(slot.instance) }]),
        None => {
            let known = app.instances.iter().map(|slot| slot.instance.to_string());
            Err(Problem::new(Code::NotFound, format!("no instance `{word}`")).help(format!(
                "`{}` has the instances {}",
                app.name,
                known.collect::<Vec<_>>().join(", ")
            )))
        }
    }
}

fn found(word: &str, targets: Vec<Target>, apps: &[AppView]) -> Result<Vec<Target>, Problem> {
    if targets.is_empty() {
        return Err(unknown(word, apps.iter().map(|app| app.name.as_str())));
    }
    Ok(targets)
}

/// No app of that name, and those it may have been meant for.
pub(crate) fn unknown<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Problem {
    let mut alike: Vec<(f64, &str)> = names
        .map(|name| (strsim::jaro_winkler(word, name), name))
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0));
    let shown: String =
        word.chars().take(nexus_spec::Name::MAX).flat_map(char::escape_debug).collect();
    let mut problem = Problem::new(Code::NotFound, format!("no app named `{shown}`"));
    for (_, name) in alike.into_iter().take(OFFERED_MAX) {
        problem = problem.help(format!("did you mean `{name}`?"));
    }
    problem.help("nexusctl list                       shows all apps")
}

impl crate::daemon::Daemon {
    /// The app that is called so.
    ///
    /// # Errors
    /// There is none; with the names that may have been meant.
    pub(crate) fn named(&self, name: &str) -> Result<nexus_spec::Name, Problem> {
        match self.state.app(name) {
            Some(app) => Ok(app.spec().name.clone()),
            None => Err(unknown(name, self.state.apps().map(|(name, _)| name.as_str()))),
        }
    }
}

/// `*` stands for any text, `?` for one character.
fn glob(pattern: &str, name: &str) -> bool {
    let mut names: Vec<char> = name.chars().collect();
    names.push('\0');
    // States of a machine that has read a part of the pattern; all moves at once, so that no
    // pattern takes more than pattern × name steps.
    let pattern: Vec<char> = pattern.chars().collect();
    let mut here = vec![false; pattern.len() + 1];
    here[0] = true;
    for c in names {
        for at in 0..pattern.len() {
            if here[at] && pattern[at] == '*' {
                here[at + 1] = true;
            }
        }
        if c == '\0' {
            break;
        }
        let mut next = vec![false; pattern.len() + 1];
        for at in 0..pattern.len() {
            if here[at] {
                match pattern[at] {
                    '*' => next[at] = true,
                    '?' => next[at + 1] = true,
                    letter if letter == c => next[at + 1] = true,
                    _ => {}
                }
            }
        }
        here = next;
    }
    here[pattern.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_names() {
        for (pattern, name, matches) in [
            ("api*", "api", true),
            ("api*", "api-2", true),
            ("*api", "web-api", true),
            ("a?i", "api", true),
            ("a?i", "ai", false),
            ("*", "x", true),
            ("a*c*e", "abcde", true),
            ("a*c", "abcd", false),
        ] {
            assert_eq!(glob(pattern, name), matches, "{pattern} {name}");
        }
    }
}
