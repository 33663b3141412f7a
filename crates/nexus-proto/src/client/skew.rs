//! A daemon of another version: what to do about it, in words.

use std::cmp::Ordering;

use super::Client;
use crate::problem::{Code, Problem};

/// Ours.
const OWN: &str = env!("CARGO_PKG_VERSION");

/// What to do where nexusd is of another version than this program; `None` = it is not.
pub fn skew(daemon: &str) -> Option<String> {
    match compare(daemon, OWN) {
        Ordering::Equal => None,
        Ordering::Less => Some(format!(
            "nexusd is {daemon}, older than this program ({OWN}): `nexusctl daemon upgrade` brings \
             it to {OWN}, and every app runs on"
        )),
        Ordering::Greater => Some(format!(
            "nexusd is {daemon}, newer than this program ({OWN}): use the nexusctl that came with it"
        )),
    }
}

/// By their numbers; what has none is compared as text.
fn compare(one: &str, other: &str) -> Ordering {
    let numbers = |version: &str| -> Option<Vec<u64>> {
        let core = version.split(['-', '+']).next()?;
        core.split('.').map(|part| part.parse().ok()).collect()
    };
    match (numbers(one), numbers(other)) {
        (Some(a), Some(b)) => a.cmp(&b).then_with(|| one.cmp(other)),
        (None, _) | (_, None) => one.cmp(other),
    }
}

impl Client {
    fn skew(&self) -> Option<String> {
        skew(&self.heard_version()?)
    }

    /// What was not understood, with why that may be.
    pub(super) fn explained(&self, what: String) -> String {
        match self.skew() {
            Some(skew) => format!("{what}; {skew}"),
            None => what,
        }
    }

    /// A refusal that comes of the other version says so.
    pub(super) fn with_skew(&self, problem: Problem) -> Problem {
        match self.skew().filter(|_| matches!(problem.code, Code::NoSuchPath | Code::BadRequest)) {
            Some(skew) => problem.cause(skew),
            None => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(compare("0.10.0", "0.9.9"), Ordering::Greater);
        assert_eq!(compare("1.0.0", "1.0.0-rc.1"), Ordering::Less);
        assert_eq!(compare("0.1.0", "0.1.0"), Ordering::Equal);
        assert_eq!(compare("odd", "0.1.0"), Ordering::Greater);
        assert_eq!(skew(OWN), None);
        assert!(skew("0.0.9").unwrap().contains("nexusctl daemon upgrade"));
        assert!(skew("99.0.0").unwrap().contains("came with it"));
    }
}
