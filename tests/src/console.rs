//! Console blocks of a Markdown file, run as they stand: documentation that cannot go stale.
//!
//! A block is fenced with three backquotes and the word `console`. `$ command` runs by `sh -c`,
//! with standard error joined to standard output, as a reader sees it. The lines below it are what
//! it must say: `[..]` stands for any text within a line, a line `...` for any lines, none
//! included. A last line `? N` is the exit code, 0 if it is not given. Spaces at the end of a line
//! and empty lines at the end of an output do not count.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::home::Home;
use crate::program::{program_dir, run};

/// The longest that one command may take.
const STEP_MAX: Duration = Duration::from_secs(120);

/// One command of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its line in the file, from 1.
    pub line: usize,
    /// What is run.
    pub command: String,
    /// What it must say, with wildcards.
    pub expected: Vec<String>,
    /// What it must exit with.
    pub code: i32,
}

/// All commands of all console blocks, in order.
///
/// # Errors
/// A sentence with the line, when a block begins with an output or a code is not a number.
pub fn parse(markdown: &str) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    let mut fence: Option<bool> = None;
    let mut fresh = true;
    for (number, line) in markdown.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        if let Some(info) = line.strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(info.trim() == "console") };
            fresh = true;
        } else if fence != Some(true) {
            continue;
        } else if let Some(command) = line.strip_prefix("$ ") {
            let command = command.to_owned();
            steps.push(Step { line: number, command, expected: Vec::new(), code: 0 });
            fresh = false;
        } else if let (Some(step), false) = (steps.last_mut(), fresh) {
            match line.strip_prefix("? ") {
                Some(code) => {
                    let parsed = code.trim().parse();
                    step.code = parsed.map_err(|_| format!("line {number}: no code: {code}"))?;
                }
                None => step.expected.push(line.trim_end().to_owned()),
            }
        } else {
            return Err(format!("line {number}: output before the block's first `$ command`"));
        }
    }
    Ok(steps)
}

/// Whether a command said what it must.
///
/// # Errors
/// What was said, when it is something else.
pub fn compare(step: &Step, code: i32, said: &str) -> Result<(), String> {
    let mut said: Vec<&str> = said.lines().map(str::trim_end).collect();
    let mut expected: Vec<&str> = step.expected.iter().map(String::as_str).collect();
    while said.last() == Some(&"") {
        said.pop();
    }
    while expected.last() == Some(&"") {
        expected.pop();
    }
    if code == step.code && lines_match(&expected, &said) {
        return Ok(());
    }
    Err(format!(
        "line {}: $ {}\n-- expected, exit {}\n{}\n-- was, exit {code}\n{}\n",
        step.line,
        step.command,
        step.code,
        expected.join("\n"),
        said.join("\n")
    ))
}

/// Run every console block of a file in one home, with `dir` as the working directory and the
/// programs under test first in `PATH`; the number of commands.
///
/// # Errors
/// The first command that did not do what the file says, with both.
///
/// # Panics
/// When a command hangs.
pub fn play(file: &Path, home: &Home, dir: &Path) -> Result<usize, String> {
    let at = |problem: String| format!("{}, {problem}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| at(error.to_string()))?;
    let steps = parse(&text).map_err(at)?;
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", program_dir().display());
    for step in &steps {
        // In one file, so that the two outputs come in the order in which they were written.
        let script = format!("exec 2>&1\n{}", step.command);
        let mut command: Command = home.command(Path::new("sh"));
        let output =
            run(command.args(["-c", &script]).env("PATH", &path).current_dir(dir), STEP_MAX);
        compare(step, output.code, &output.stdout).map_err(at)?;
    }
    Ok(steps.len())
}

fn lines_match(expected: &[&str], said: &[&str]) -> bool {
    match expected.split_first() {
        None => said.is_empty(),
        Some((&"...", rest)) => (0..=said.len()).any(|skip| lines_match(rest, &said[skip..])),
        Some((line, rest)) => said
            .split_first()
            .is_some_and(|(first, left)| line_matches(line, first) && lines_match(rest, left)),
    }
}

fn line_matches(expected: &str, said: &str) -> bool {
    let mut parts = expected.split("[..]");
    let Some(mut rest) = parts.next().and_then(|head| said.strip_prefix(head)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(tail) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(expected: &[&str], code: i32) -> Step {
        let expected = expected.iter().map(|&line| line.to_owned()).collect();
        Step { line: 1, command: "true".to_owned(), expected, code }
    }

    #[test]
    fn only_console_blocks_are_read() {
        let text = "```sh\n$ rm -rf /\n```\n```console\n$ one\nsaid\n\n$ two\n? 4\n```\n$ no\n";
        let steps = parse(text).unwrap();
        assert_eq!(steps.len(), 2);
        assert_eq!((steps[0].line, steps[0].expected.len(), steps[0].code), (5, 2, 0));
        assert_eq!((steps[1].command.as_str(), steps[1].code), ("two", 4));
    }

    #[test]
    fn an_output_without_a_command_is_a_flaw() {
        let flaw = parse("```console\n$ one\n```\n```console\nstray\n```\n").unwrap_err();
        assert_eq!(flaw, "line 5: output before the block's first `$ command`");
    }

    #[test]
    fn wildcards_stand_for_text_and_for_lines() {
        let table = step(&["name  pid", "...", "api   [..] online [..]s", "..."], 0);
        assert!(compare(&table, 0, "name  pid\napi   17 online 3s\n\n").is_ok());
        assert!(compare(&table, 0, "name  pid\nx\ny\napi   17 online 3s\nz\n").is_ok());
        assert!(compare(&table, 0, "name  pid\napi   17 errored 3s\n").is_err());
        assert!(compare(&step(&["a[..]a"], 0), 0, "a").is_err());
    }

    #[test]
    fn the_code_counts() {
        assert!(compare(&step(&[], 4), 4, "").is_ok());
        let flaw = compare(&step(&["x"], 0), 1, "x\n").unwrap_err();
        assert!(flaw.contains("expected, exit 0") && flaw.contains("was, exit 1"), "{flaw}");
    }

    #[test]
    fn a_file_is_played_in_its_home() {
        let home = Home::new();
        let text = "```console\n$ echo one >&2; echo two; exit 3\none\ntwo\n? 3\n\
                    $ echo \"$NEXUS_HOME\"\n[..]/home\n```\n";
        let file = home.write("page.md", text);
        assert_eq!(play(&file, &home, &home.project()), Ok(2));
    }
}
