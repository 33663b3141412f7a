//! How text looks on one stream: its width, colours and symbols.

use std::io::IsTerminal;

use clap::ValueEnum;
use jiff::tz::TimeZone;
use nexus_proto::Status;

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal that wants them.
    #[default]
    Auto,
    /// Also into a pipe.
    Always,
    /// Never.
    Never,
}

/// What a text means, and so its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Online, ready.
    Good,
    /// On its way.
    Busy,
    /// Failed.
    Bad,
    /// Stopped, old.
    Off,
    /// A command to type.
    Note,
    /// A heading.
    Bold,
    /// A log prefix: one of six colours, without red and yellow.
    Tag(u8),
}

/// How text looks on one stream. Views are pure functions of data and this.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// Columns; `None` = nothing is cut (a pipe).
    pub(crate) width: Option<usize>,
    /// ANSI colours.
    pub(crate) color: bool,
    /// Only ASCII of our own.
    pub(crate) ascii: bool,
    /// Whether a person looks at it.
    pub(crate) terminal: bool,
    /// Where clock times are told.
    pub(crate) zone: TimeZone,
}

/// Which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// The result.
    Out,
    /// All else.
    Err,
}

/// The narrowest width that `COLUMNS` may ask for.
const WIDTH_MIN: usize = 20;
/// The width of a terminal that does not say.
const WIDTH_UNKNOWN: usize = 80;

impl Look {
    /// As the stream, the environment and the flags say.
    pub(crate) fn of(stream: Stream, when: When, ascii: bool) -> Look {
        let terminal = match stream {
            Stream::Out => std::io::stdout().is_terminal(),
            Stream::Err => std::io::stderr().is_terminal(),
        };
        let env = |name: &str| std::env::var(name).unwrap_or_default();
        Look {
            width: terminal.then(|| width(stream)),
            color: color(when, terminal, &env),
            ascii: ascii || !utf8(&env),
            terminal,
            zone: TimeZone::system(),
        }
    }

    /// `text` in the colour of its role, or as it is.
    pub(crate) fn paint(&self, role: Role, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let code = match role {
            Role::Good => "32",
            Role::Busy => "33",
            Role::Bad => "1;31",
            Role::Off => "2",
            Role::Note => "36",
            Role::Bold => "1",
            Role::Tag(number) => ["36", "35", "34", "32", "96", "95"][usize::from(number % 6)],
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// The mark of a state.
    pub(crate) fn symbol(&self, status: Status) -> &'static str {
        match (role(status), self.ascii) {
            (Role::Good, false) => "●",
            (Role::Good, true) => "*",
            (Role::Busy, false) => "◐",
            (Role::Busy, true) => "~",
            (Role::Bad, false) => "✗",
            (Role::Bad, true) => "x",
            (Role::Off | Role::Note | Role::Bold | Role::Tag(_), false) => "○",
            (Role::Off | Role::Note | Role::Bold | Role::Tag(_), true) => "o",
        }
    }

    /// The mark of what was left out.
    pub(crate) fn ellipsis(&self) -> &'static str {
        if self.ascii { "..." } else { "…" }
    }
}

/// What a state means.
pub(crate) const fn role(status: Status) -> Role {
    match status {
        Status::Online => Role::Good,
        Status::Building
        | Status::Waiting
        | Status::Starting
        | Status::Stopping
        | Status::Partial => Role::Busy,
        Status::Backoff | Status::Errored => Role::Bad,
        Status::Scheduled | Status::Stopped => Role::Off,
    }
}

/// The word of a state.
pub(crate) const fn word(status: Status) -> &'static str {
    match status {
        Status::Online => "online",
        Status::Building => "building",
        Status::Waiting => "waiting",
        Status::Starting => "starting",
        Status::Stopping => "stopping",
        Status::Backoff => "backoff",
        Status::Errored => "errored",
        Status::Scheduled => "scheduled",
        Status::Stopped => "stopped",
        Status::Partial => "partial",
    }
}

/// The colour of an app's log lines: one of six by its name (FNV-1a), the same on every machine.
pub(crate) fn tag(app: &str) -> Role {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = app.bytes().fold(0x811c_9dc5, mix);
    Role::Tag(u8::try_from(hash % 6).unwrap_or(0))
}

/// `COLUMNS`, else what the terminal says, else 80.
fn width(stream: Stream) -> usize {
    let written = std::env::var("COLUMNS").ok().and_then(|text| text.parse::<usize>().ok());
    if let Some(columns) = written.filter(|columns| *columns > 0) {
        return columns.max(WIDTH_MIN);
    }
    let size = match stream {
        Stream::Out => rustix::termios::tcgetwinsize(std::io::stdout()),
        Stream::Err => rustix::termios::tcgetwinsize(std::io::stderr()),
    };
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { WIDTH_UNKNOWN } else { columns.max(WIDTH_MIN) }
}

/// `--color`, then NO_COLOR (set and not empty), then CLICOLOR_FORCE, then TERM=dumb, then
/// whether it is a terminal.
fn color(when: When, terminal: bool, env: &dyn Fn(&str) -> String) -> bool {
    let forced = env("CLICOLOR_FORCE");
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto if !env("NO_COLOR").is_empty() => false,
        When::Auto if !forced.is_empty() && forced != "0" => true,
        When::Auto => terminal && env("TERM") != "dumb",
    }
}

/// Whether the locale's characters are UTF-8: the first that is set of LC_ALL, LC_CTYPE, LANG.
fn utf8(env: &dyn Fn(&str) -> String) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().map(env);
    let locale = locale.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_follows_the_flag_then_the_environment_then_the_terminal() {
        let rule = |when, terminal, set: &'static [(&str, &str)]| {
            color(when, terminal, &|name| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned()).unwrap_or_default()
            })
        };
        assert!(rule(When::Auto, true, &[]));
        assert!(!rule(When::Auto, false, &[]));
        assert!(!rule(When::Auto, true, &[("NO_COLOR", "1")]));
        assert!(rule(When::Auto, true, &[("NO_COLOR", "")]));
        assert!(rule(When::Auto, false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!rule(When::Auto, false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!rule(When::Auto, true, &[("TERM", "dumb")]));
        assert!(rule(When::Always, false, &[("NO_COLOR", "1")]));
        assert!(!rule(When::Never, true, &[("CLICOLOR_FORCE", "1")]));
    }

    #[test]
    fn the_locale_decides_on_symbols() {
        let lang = |value: &'static str| {
            utf8(&|name| if name == "LANG" { value.to_owned() } else { String::new() })
        };
        assert!(lang("de_DE.UTF-8"));
        assert!(lang("C.utf8"));
        assert!(!lang("C"));
        assert!(!lang(""));
        assert!(!utf8(&|name| {
            if name == "LC_ALL" { "POSIX".to_owned() } else { "C.UTF-8".to_owned() }
        }));
    }
}
