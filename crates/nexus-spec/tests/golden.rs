//! Rendered flaws, compared with texts that a person has read. `NEXUS_BLESS=1` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::fs;
use std::path::Path;

use nexus_spec::{Flaws, project};

fn flaws(name: &str, shown_as: &str) -> Flaws {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.toml"));
    let text = fs::read_to_string(file).unwrap();
    project(&text, Path::new(shown_as), Path::new("/srv/shop"), &|_| false).unwrap_err()
}

fn same(file: &str, shown: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("NEXUS_BLESS").is_some() {
        fs::write(&file, shown).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert!(shown == expected, "{} should be:\n{shown}", file.display());
}

#[test]
fn every_kind_of_flaw_as_it_is_shown() {
    for name in ["keys", "values", "clashes", "syntax", "empty", "daemon"] {
        let shown = flaws(name, "ecosystem.toml").render(false, true);
        assert!(shown.is_ascii());
        same(&format!("{name}.txt"), &shown);
    }
}

#[test]
fn with_the_characters_of_a_utf_8_terminal() {
    same("clashes.unicode.txt", &flaws("clashes", "ecosystem.toml").render(false, false));
}

#[test]
fn nothing_of_a_file_reaches_the_terminal_as_a_control_character() {
    let flaws = flaws("hostile", "eco\u{1b}[2Jsystem.toml");
    let shown = flaws.render(false, true);
    assert!(shown.is_ascii() && !shown.contains(|c: char| c.is_control() && c != '\n'));
    assert!(!shown.contains("hunter2"));
    same("hostile.txt", &shown);
    assert!(!flaws.render(false, false).contains(['\u{1b}', '\u{202e}', '\r']));
    assert!(flaws.render(true, false).contains("\u{1b}["));
}

#[test]
fn flaws_as_json() {
    let json = serde_json::to_string_pretty(&flaws("clashes", "ecosystem.toml")).unwrap();
    same("clashes.json", &(json + "\n"));
}

#[test]
fn a_file_of_nothing_but_flaws_is_told_in_bounds() {
    let text = "[[apps]]\nscript = 'a'\n".repeat(40_000);
    let read = |text: &str| project(text, Path::new("f"), Path::new("/"), &|_| false).unwrap_err();
    let flaws = read(&text);
    assert_eq!(flaws.count(), 39_999);
    assert_eq!(flaws.flaws.len(), Flaws::MAX);
    let shown = flaws.render(false, true);
    assert!(shown.ends_with("and 39899 more\n\n39999 errors in f\n"));
    assert_eq!(
        read(&text.repeat(2)).flaws[0].problem,
        "the file has 1760000 bytes; 1048576 are read"
    );
    let long = format!("x = '{}'", "y".repeat(1_000_000));
    assert!(read(&long).render(false, true).len() < 10_000);
}

#[test]
fn places_lead_to_the_bytes_of_the_file() {
    let flaws = flaws("keys", "ecosystem.toml");
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/keys.toml"))
            .unwrap();
    let keys: Vec<_> = flaws
        .flaws
        .iter()
        .map(|flaw| {
            let span = flaw.place.span;
            let line = text.lines().nth(flaw.place.line - 1).unwrap();
            let marked = &text[span.start..span.end];
            assert!(line[flaw.place.column - 1..].starts_with(marked), "{flaw:?}");
            marked
        })
        .collect();
    assert_eq!(keys[..3], ["alerts", "max_memry_restart", "max_restart"]);
    assert!(flaws.flaws.is_sorted_by_key(|flaw| &flaw.place));
}

#[test]
fn flaws_of_pm2s_files_are_drawn_alike() {
    for name in ["flaws.json", "flaws.yml", "broken.json", "broken.yml", "odd.json"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        let text = fs::read_to_string(file).unwrap();
        let shown_as = Path::new("ecosystem").with_extension(name.rsplit('.').next().unwrap());
        let read = project(&text, &shown_as, Path::new("/srv/shop"), &|_| false);
        let flaws = read.map_or_else(|flaws| flaws, |project| project.warnings.unwrap());
        same(&format!("{name}.txt"), &flaws.render(false, true));
    }
}
