//! `init`, `completion`, `man`: what helps to begin, in real shells and by the real man(1).

use std::path::Path;
use std::process::Command;

use nexus_tests::{Home, PROMPT, program, program_dir, run};

use crate::{AT_ONCE, shell};

#[test]
fn a_first_project_file_runs_as_it_is_and_is_never_overwritten() {
    let home = Home::new();
    home.write("server.py", "import time\nprint('here', flush=True)\ntime.sleep(1000)\n");
    let output = home.ctl(&["init"]).ok();
    assert_eq!(output.stdout, "ecosystem.toml\n");
    let file = home.project().join("ecosystem.toml");
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.contains("script = \"server.py\""), "{written}");
    let output = home.ctl(&["init"]).expect_code(5);
    assert!(output.stderr.contains("stays as it is"), "{output:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
    assert_eq!(home.ctl(&["init", "--stdout"]).ok().stdout, written);
    home.ctl(&["check"]).ok();
    home.ctl(&["start"]).ok();
    home.ctl(&["status"]).ok();
}

/// What a shell makes of a script, with our programs first in PATH.
fn in_shell(home: &Home, name: &str, line: &str) -> String {
    let mut command: Command = home.command(Path::new(name));
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", program_dir().display())).args(["-c", line]);
    run(&mut command, PROMPT).ok().stdout
}

/// What bash offers for a line whose last word is being typed.
fn offered(home: &Home, words: &[&str]) -> Vec<String> {
    let last = words.len() - 1;
    let typed = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let line = format!(
        "source <(nexusctl completion bash); COMP_WORDS=({typed}); COMP_CWORD={last}; \
         COMP_TYPE=9; _clap_complete_nexusctl nexusctl '{}' ''; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words[last]
    );
    in_shell(home, "bash", &line).lines().map(|word| word.trim().to_owned()).collect()
}

#[test]
fn bash_completes_verbs_flags_and_the_names_of_apps() {
    let home = Home::new();
    assert!(offered(&home, &["nexusctl", "stop", "a"]).concat().is_empty(), "there is no daemon");
    assert_eq!(home.processes(), [], "a Tab has started something");
    let more = format!("{AT_ONCE}\ninstances = 2");
    home.write("ecosystem.toml", &shell("api", "exec sleep 1000", &more));
    home.ctl(&["start"]).ok();
    assert_eq!(offered(&home, &["nexusctl", "resta"]), ["restart"]);
    assert_eq!(offered(&home, &["nexusctl", "describe", "a"]), ["all", "api"]);
    assert_eq!(offered(&home, &["nexusctl", "pid", "api/"]), ["api/0", "api/1"]);
    assert_eq!(offered(&home, &["nexusctl", "wait", "--for", "g"]), ["gone"]);
    assert_eq!(offered(&home, &["nexusctl", "signal", "US"]), ["USR1", "USR2"]);
    let files = offered(&home, &["nexusctl", "start", ""]);
    assert!(files.iter().any(|word| word == "ecosystem.toml"), "{files:?}");
}

#[test]
fn zsh_and_fish_take_their_scripts_where_they_are_installed() {
    let home = Home::new();
    for (name, line) in [
        ("zsh", "autoload -U compinit; compinit -D; source <(nexusctl completion zsh); echo taken"),
        ("fish", "nexusctl completion fish | source; echo taken"),
    ] {
        assert!(home.ctl(&["completion", name]).ok().stdout.contains("NEXUSCTL_COMPLETE"));
        if Command::new(name).arg("--version").output().is_ok() {
            assert!(in_shell(&home, name, line).contains("taken"), "{name}");
        }
    }
}

#[test]
fn manual_pages_are_clean_to_groff_and_say_what_help_says() {
    let home = Home::new();
    let written = home.ctl(&["man", "--dir", "pages"]).ok().stdout;
    assert!(written.lines().count() > 20, "{written}");
    if Command::new("groff").arg("--version").output().is_err() {
        return;
    }
    for page in written.lines() {
        let mut groff = home.command(Path::new("groff"));
        let output = run(groff.args(["-man", "-Tutf8", "-ww", "-z", page]), PROMPT).ok();
        assert!(output.stderr.is_empty(), "{page}: {}", output.stderr);
    }
    let mut groff = home.command(Path::new("groff"));
    let shown = run(groff.args(["-man", "-Tascii", "-P-c", "pages/nexusctl-wait.1"]), PROMPT).ok();
    // Bold letters are struck twice on a terminal of paper.
    let mut page = String::new();
    for c in shown.stdout.chars() {
        if c == '\u{8}' { _ = page.pop() } else { page.push(c) }
    }
    for part in ["NAME", "SYNOPSIS", "--timeout", "EXIT STATUS", "nexusctl wait api --for ready"] {
        assert!(page.contains(part), "{part} is not in:\n{page}");
    }
    assert!(program("nexusctl").is_file());
    home.ctl(&["man", "no-such-verb"]).expect_code(4);
}
