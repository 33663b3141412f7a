//! The files of the repository, and Rust source with its comments and strings blanked out.

use std::fs;
use std::path::Path;

use nexus_tests::repository;

/// A text file of the repository.
pub(crate) struct File {
    /// Relative to the repository's root.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    /// A test's file, as opposed to the programs'.
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/")
    }
}

/// Directories that hold no source of ours.
const SKIPPED: &[&str] = &["target", "node_modules", "__pycache__", "fixtures"];
/// Directories with a leading dot that do.
const HIDDEN: &[&str] = &[".cargo", ".ci", ".config", ".github"];

/// All text files of the repository, by path.
pub(crate) fn files() -> Vec<File> {
    let mut found = Vec::new();
    walk(repository(), &mut found);
    assert!(found.len() > 20, "no repository at {}", repository().display());
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn walk(dir: &Path, found: &mut Vec<File>) {
    // Cargo marks its target directories, wherever they are.
    if dir.join("CACHEDIR.TAG").exists() {
        return;
    }
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let hidden = name.starts_with('.') && !HIDDEN.contains(&name.as_str());
        if path.is_symlink() || hidden {
            continue;
        } else if path.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                walk(&path, found);
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(repository()).unwrap_or(&path);
            found.push(File { path: path.to_string_lossy().into_owned(), text });
        }
    }
}

/// Rust source with comments, strings and character literals turned into spaces, so that what is
/// left can be searched as code. Lines stay where they are.
pub(crate) fn code(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut kept: Vec<char> = Vec::with_capacity(chars.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => line_end(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => comment_end(&chars, at),
            '"' => string_end(&chars, at),
            'r' if !after_word(&kept) => raw_end(&chars, at),
            '\'' => literal_end(&chars, at),
            _ => at,
        };
        if end == at {
            kept.push(chars[at]);
            at += 1;
        } else {
            kept.extend(chars[at..end].iter().map(|&c| if c == '\n' { c } else { ' ' }));
            at = end;
        }
    }
    kept.into_iter().collect()
}

/// `r` is the last letter of a name, but for the `r` of `br"…"` and `cr"…"`.
fn after_word(kept: &[char]) -> bool {
    let mut back = kept.iter().rev();
    let last = back.next().copied().unwrap_or(' ');
    let before = back.next().copied().unwrap_or(' ');
    let word = |c: char| c.is_alphanumeric() || c == '_';
    word(last) && (word(before) || (last != 'b' && last != 'c'))
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..].iter().position(|&c| c == '\n').map_or(chars.len(), |length| at + length)
}

fn comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = at;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

fn string_end(chars: &[char], at: usize) -> usize {
    let mut at = at + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn raw_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    if chars.get(at + 1 + hashes) != Some(&'"') {
        return at;
    }
    let mut end = at + 2 + hashes;
    while end < chars.len() {
        let closes = chars[end] == '"'
            && chars.len() > end + hashes
            && chars[end + 1..=end + hashes].iter().all(|&c| c == '#');
        end += 1;
        if closes {
            return end + hashes;
        }
    }
    end
}

/// The end of `'x'` or `'\n'`; `at` itself for a lifetime.
fn literal_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), Some(_)) => {
            let close = chars[at + 3..].iter().position(|&c| c == '\'');
            close.map_or(at, |length| at + 3 + length + 1)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

#[test]
fn code_is_what_is_neither_comment_nor_string() {
    let source = "a /* { /* } */ */ b // }\nc \"}\\\"{\" d r#\"}\"{\"# e '{' 'x: '\\'' f br\"}\" g";
    let words: Vec<String> = code(source).split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["a", "b", "c", "d", "e", "'x:", "f", "b", "g"]);
    assert_eq!(code("x\n/*\n*/\"\n\"y").lines().count(), 4);
    assert_eq!(code("for r in number").trim(), "for r in number");
}
