//! The keys, as data: what each does, and what the help says of it.

/// A key, as far as we tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A character.
    Char(char),
    /// Ctrl and a letter.
    Ctrl(char),
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Esc,
    Tab,
    BackTab,
    Backspace,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Quit,
    Interrupt,
    Suspend,
    Redraw,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Close,
    Open,
    Toggle,
    NextPane,
    Zoom,
    Back,
    NextProblem,
    PreviousProblem,
    Filter,
    Sort,
    Follow,
    Wrap,
    Streams,
    Actions,
}

/// Where the help lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Move,
    Look,
    Logs,
    Leave,
}

/// Keys that do the same.
#[derive(Debug)]
pub(super) struct Binding {
    /// Any of these.
    pub(super) keys: &'static [Key],
    /// Does this.
    pub(super) command: Command,
    /// Where the help lists it; `None` = it goes without saying.
    pub(super) group: Option<Group>,
    /// The keys as the help writes them.
    pub(super) shown: &'static str,
    /// What the help says.
    pub(super) help: &'static str,
}

const fn bind(
    keys: &'static [Key],
    command: Command,
    group: Group,
    shown: &'static str,
    help: &'static str,
) -> Binding {
    Binding { keys, command, group: Some(group), shown, help }
}

/// The second key of a pair that the help writes in one line.
const fn also(keys: &'static [Key], command: Command) -> Binding {
    Binding { keys, command, group: None, shown: "", help: "" }
}

use Group::{Leave, Logs, Look, Move};
use Key::{Char, Ctrl};

/// Every key of the plain screen. No single one of them changes anything of an app.
pub(super) const BINDINGS: &[Binding] = &[
    bind(&[Key::Up, Char('k')], Command::Up, Move, "↑ ↓ j k", "row, or line of the log"),
    also(&[Key::Down, Char('j')], Command::Down),
    bind(&[Key::PageUp], Command::PageUp, Move, "PgUp PgDn", "page"),
    also(&[Key::PageDown], Command::PageDown),
    bind(&[Key::Home, Char('g')], Command::First, Move, "g G", "first, last"),
    also(&[Key::End, Char('G')], Command::Last),
    bind(&[Key::Left], Command::Close, Move, "← →", "close, open an app"),
    also(&[Key::Right], Command::Open),
    also(&[Char(' ')], Command::Toggle),
    bind(&[Key::Tab, Key::BackTab], Command::NextPane, Move, "Tab", "table or log"),
    bind(&[Char('e')], Command::NextProblem, Move, "e E", "next, previous problem"),
    also(&[Char('E')], Command::PreviousProblem),
    bind(&[Key::Enter], Command::Zoom, Look, "Enter", "only this app; whole log"),
    bind(&[Key::Esc], Command::Back, Look, "Esc", "back, clear filter"),
    bind(&[Char('/')], Command::Filter, Look, "/ text", "keep what has the words"),
    bind(&[Char('s')], Command::Sort, Look, "s", "sort by another column"),
    bind(&[Char('f')], Command::Follow, Logs, "f", "follow"),
    bind(&[Char('w')], Command::Wrap, Logs, "w", "wrap long lines"),
    bind(&[Char('o')], Command::Streams, Logs, "o", "both, stdout, stderr"),
    bind(&[Char('a')], Command::Actions, Leave, "a", "actions for this row"),
    bind(&[Char('?')], Command::Help, Leave, "?", "this help"),
    bind(&[Char('q')], Command::Quit, Leave, "q", "quit"),
    also(&[Ctrl('c')], Command::Interrupt),
    also(&[Ctrl('z')], Command::Suspend),
    also(&[Ctrl('l')], Command::Redraw),
];

/// What a key does on the plain screen.
pub(super) fn command(key: Key) -> Option<Command> {
    BINDINGS.iter().find(|one| one.keys.contains(&key)).map(|one| one.command)
}

/// Keys as they are written where there are no arrows.
pub(super) fn in_ascii(shown: &str) -> String {
    match shown {
        "↑ ↓ j k" => "up down j k".to_owned(),
        "← →" => "left right".to_owned(),
        shown => shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things() {
        let mut all: Vec<String> =
            BINDINGS.iter().flat_map(|one| one.keys).map(|key| format!("{key:?}")).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn what_the_help_writes_is_bound() {
        for one in BINDINGS.iter().filter(|one| one.group.is_some()) {
            for word in one.shown.split(' ').filter(|word| *word != "text") {
                let named = ["Tab", "Enter", "Esc", "PgUp", "PgDn", "↑", "↓", "←", "→"];
                let letter = word.chars().next().filter(|_| word.chars().count() == 1);
                let bound = letter.is_some_and(|c| command(Key::Char(c)).is_some());
                assert!(bound || named.contains(&word), "{word} of {:?}", one.shown);
            }
            assert!(in_ascii(one.shown).is_ascii() && one.help.is_ascii(), "{}", one.shown);
        }
    }
}
