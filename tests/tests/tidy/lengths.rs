//! A file fits in a head, a function on a screen.

use crate::source::{code, files};
use crate::{except, settle};

/// Lines of a file, tests included.
const FILE_MAX: usize = 400;
/// Lines of a function, from `fn` to its closing brace.
const FUNCTION_MAX: usize = 60;

/// Files that are longer, with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Functions that are longer, as `path::name`, with the reason.
const LONG_FUNCTIONS: &[(&str, &str)] = &[];

#[test]
fn files_fit_in_a_head() {
    let long = files()
        .into_iter()
        .filter(|file| file.is("rs"))
        .map(|file| (file.path, file.text.lines().count()))
        .filter(|&(_, lines)| lines > FILE_MAX)
        .map(|(path, lines)| (path, format!("{lines} lines; split it by idea, {FILE_MAX} at most")))
        .collect();
    settle("file length", &except(long, LONG_FILES));
}

#[test]
fn functions_fit_on_a_screen() {
    let mut long = Vec::new();
    for file in files().into_iter().filter(|file| file.is("rs")) {
        for (name, line, lines) in functions(&file.text) {
            if lines > FUNCTION_MAX {
                let advice = format!("line {line}: {lines} lines; {FUNCTION_MAX} at most");
                long.push((format!("{}::{name}", file.path), advice));
            }
        }
    }
    settle("function length", &except(long, LONG_FUNCTIONS));
}

/// Name, first line (from 1) and number of lines of every function with a body.
fn functions(source: &str) -> Vec<(String, usize, usize)> {
    let code = code(source);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        let rest = &code[at + 3..];
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if before.is_alphanumeric() || before == '_' || name.is_empty() {
            continue;
        }
        if let Some(length) = body_end(rest) {
            let first = code[..at].matches('\n').count() + 1;
            found.push((name, first, rest[..length].matches('\n').count() + 1));
        }
    }
    found
}

/// Where the body closes; `None` for a declaration without one.
fn body_end(signature: &str) -> Option<usize> {
    let (mut round, mut curly) = (0_i32, 0_i32);
    for (at, c) in signature.char_indices() {
        match c {
            '(' | '[' => round += 1,
            ')' | ']' => round -= 1,
            ';' if round == 0 && curly == 0 => return None,
            '{' => curly += 1,
            '}' => {
                curly -= 1;
                if curly <= 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[test]
fn functions_are_found_and_measured() {
    let source = "trait T { fn declared(a: [u8; 4]); }\n\
                  fn one() {}\n\
                  pub(crate) const fn two(f: fn(u8) -> u8) -> [u8; 2] {\n    // }\n    g(\"}\")\n}\n";
    let found = functions(source);
    let short: Vec<(&str, usize, usize)> =
        found.iter().map(|(name, first, lines)| (name.as_str(), *first, *lines)).collect();
    assert_eq!(short, [("one", 2, 1), ("two", 3, 4)]);
}
