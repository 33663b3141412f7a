//! Help fits, names every verb, and the manual shows them.

use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn short_help_fits_a_small_terminal_and_long_help_names_every_verb() {
    let mut command = Cli::command().term_width(80);
    command.build();
    // `help` lists all verbs, which are more than such a terminal has lines.
    let verbs = command.get_subcommands().filter(|verb| verb.get_name() != "help");
    for verb in std::iter::once(&command).chain(verbs) {
        let text = verb.clone().render_help().to_string();
        let lines = text.trim_end().lines().count();
        assert!(lines <= 24, "{} has {lines} lines of help:\n{text}", verb.get_name());
        assert!(text.lines().all(|line| line.len() <= 80), "too wide:\n{text}");
    }
    let mut command = command.clone();
    let long = command.render_long_help().to_string();
    let short = command.render_help().to_string();
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let name = verb.get_name();
        assert!(long.contains(&format!("  {name} ")), "{name} is not in:\n{long}");
        assert!(short.contains(name), "{name} is not in:\n{short}");
    }
}

#[test]
fn the_manual_shows_every_verb_at_work() {
    let manual = include_str!("../../../../docs/COMMANDS.md");
    let command = Cli::command();
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let title = format!("\n### `{}`\n", verb.get_name());
        let section = manual.split(&title).nth(1).unwrap_or_else(|| panic!("no{title}"));
        let section = section.split("\n#").next().unwrap_or_default();
        let block = section.split("```console\n").nth(1).unwrap_or_default();
        let told = format!("nexusctl {}", verb.get_name());
        assert!(block.contains(&told), "{told} is not shown in docs/COMMANDS.md");
    }
}

#[test]
fn a_command_after_two_dashes_is_left_alone() {
    let line = ["nexusctl", "start", "--name", "t", "--", "sh", "-c", "-o json"];
    let cli = Cli::try_parse_from(line).unwrap();
    let Verb::Start(start) = cli.verb else { panic!("not start") };
    assert!(start.targets.is_empty());
    assert_eq!(start.args, ["sh", "-c", "-o json"]);
}

#[test]
fn a_misspelt_verb_is_a_usage_error_with_a_suggestion() {
    let error = Cli::try_parse_from(["nexusctl", "restrat", "api"]).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("'restart'"), "{error}");
}
