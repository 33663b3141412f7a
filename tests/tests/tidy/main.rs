//! The rules of the house that a machine can check. Each failure says what to do.

mod arrows;
mod documents;
mod graph;
mod lengths;
mod licences;
mod names;
mod reliability;
mod source;
mod words;

/// Fail with all faults at once, so that one run shows everything that is to be mended.
#[track_caller]
fn settle(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}: {} to mend\n  {}", faults.len(), faults.join("\n  "));
}

/// Take out what is excepted by name, and report exceptions that nothing needs any more.
fn except(found: Vec<(String, String)>, exceptions: &[(&str, &str)]) -> Vec<String> {
    let stale = exceptions
        .iter()
        .filter(|(name, _)| !found.iter().any(|(key, _)| key == name))
        .map(|(name, _)| format!("{name}: is excepted for nothing; take it out of the list"));
    let stale: Vec<String> = stale.collect();
    found
        .into_iter()
        .filter(|(key, _)| !exceptions.iter().any(|(name, _)| key == name))
        .map(|(key, fault)| format!("{key}: {fault}"))
        .chain(stale)
        .collect()
}

#[test]
fn an_exception_counts_while_it_is_needed() {
    let found = || vec![("a".to_owned(), "bad".to_owned()), ("b".to_owned(), "bad".to_owned())];
    assert_eq!(except(found(), &[("a", "so it is")]), ["b: bad"]);
    let stale = except(found(), &[("a", "x"), ("b", "x"), ("c", "x")]);
    assert_eq!(stale, ["c: is excepted for nothing; take it out of the list"]);
}
