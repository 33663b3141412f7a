//! Names that look like one that does not exist.

/// How alike two names must be (Jaro-Winkler, 1 = the same).
const ALIKE: f64 = 0.8;
/// Suggestions at most.
const MAX: usize = 3;

/// The nearest of `known`, the best first.
pub(crate) fn near<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut scored: Vec<(f64, &str)> = known
        .map(|name| (strsim::jaro_winkler(typed, name), name))
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by_key(|(_, name)| *name);
    scored.into_iter().take(MAX).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first_and_strangers_not_at_all() {
        let known = ["settlement", "reporting", "settlements", "api"];
        assert_eq!(near("settlment", known.into_iter()), ["settlement", "settlements"]);
        assert!(near("zzz", known.into_iter()).is_empty());
    }
}
