//! Verbs that help to begin: a first project file, completion, manual pages.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `init`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Looks at Procfile, package.json, Cargo.toml, server.js, main.py and the like.
Never overwrites: what is there is refused (exit 5).

Examples:
  nexusctl init
  nexusctl init --stdout           look before you write"
)]
pub(crate) struct Init {
    /// Print it instead
    #[arg(long)]
    pub(crate) stdout: bool,
}

/// `completion`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Names of apps are asked of the daemon as you type; none is ever started.

Examples:
  echo 'source <(nexusctl completion bash)' >> ~/.bashrc
  echo 'source <(nexusctl completion zsh)' >> ~/.zshrc
  echo 'nexusctl completion fish | source' >> ~/.config/fish/config.fish")]
pub(crate) struct Completion {
    /// For which shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// A shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// GNU bash
    Bash,
    /// fish
    Fish,
    /// zsh
    Zsh,
}

/// `man`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "On a terminal the page is shown by man(1); elsewhere it is printed as roff.

Examples:
  nexusctl man                     nexusctl man wait
  nexusctl man ecosystem.toml      every setting of a project file
  nexusctl man --dir /usr/local/share/man/man1"
)]
pub(crate) struct Man {
    /// A verb, or ecosystem.toml [default: all of nexusctl]
    #[arg(value_name = "PAGE")]
    pub(crate) page: Option<String>,
    /// Write all pages into this directory, and print their names
    #[arg(long, value_name = "DIR", conflicts_with = "page")]
    pub(crate) dir: Option<PathBuf>,
}
