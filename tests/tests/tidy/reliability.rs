//! The page of what survives what names tests that exist, for every case.

use nexus_tests::repository;

use crate::settle;
use crate::source::files;

const PAGE: &str = "docs/RELIABILITY.md";
/// Cases are numbered from 1 to this, each once.
const CASES: usize = 84;

#[test]
fn every_case_has_its_tests_or_a_reason_and_every_test_exists() {
    let page = std::fs::read_to_string(repository().join(PAGE)).unwrap_or_default();
    let sources: Vec<_> = files().into_iter().filter(|file| file.is("rs")).collect();
    let exists = |name: &str| {
        let (function, case) = (format!("fn {name}("), format!("\"{name}\""));
        let program = format!("/tests/{name}.rs");
        sources.iter().any(|file| {
            let named = file.text.contains(&function) || file.text.contains(&case);
            named || file.path.ends_with(&program)
        })
    };
    let mut faults = Vec::new();
    let cases = cases(&page);
    for number in 1..=CASES {
        match cases.iter().filter(|(found, _)| *found == number).count() {
            1 => {}
            rows => faults.push(format!("case {number} has {rows} rows in {PAGE}, not one")),
        }
    }
    for (number, proof) in cases {
        let tests: Vec<&str> = named(proof).collect();
        if tests.is_empty() && !proof.contains("*not tested") {
            faults.push(format!("case {number} names no test and says not why: {proof}"));
        }
        let missing = tests.into_iter().filter(|name| !exists(name));
        faults.extend(missing.map(|name| format!("case {number}: no test is called {name}")));
    }
    settle("cases of reliability", &faults);
}

/// The numbered rows: the number, and the last cell.
fn cases(page: &str) -> Vec<(usize, &str)> {
    let rows = page.lines().filter_map(|line| {
        let row = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let (number, proof) = (row.split(" | ").next()?, row.rsplit(" | ").next()?);
        Some((number.parse().ok()?, proof))
    });
    rows.collect()
}

/// Names of tests: what stands between backquotes and has a low line or a blank in it.
fn named(cell: &str) -> impl Iterator<Item = &str> {
    let name = |word: &&str| word.contains(['_', ' ']) && !word.contains(['.', '=']);
    cell.split('`').skip(1).step_by(2).filter(name)
}

#[test]
fn rows_and_names_are_read() {
    let page = "| | what |\n| --- | --- |\n| 7 | x | `a_b`, `--c` and `d_e` |\n| no | `f_g` |\n";
    let [(number, cell)] = cases(page)[..] else { panic!("{:?}", cases(page)) };
    assert_eq!((number, named(cell).collect::<Vec<_>>()), (7, vec!["a_b", "d_e"]));
}
