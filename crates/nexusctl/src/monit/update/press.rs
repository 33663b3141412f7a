//! What a key changes.

use super::super::action::{Action, Deed};
use super::super::filter::Filter;
use super::super::keys::{Command, Key, command};
use super::super::model::{Effect, Model, Overlay, Pane};
use super::super::view::{help_end, layout};
use super::{in_log, say};
use crate::exit::Exit;
use crate::look::Role;

/// A key.
pub(super) fn press(model: &mut Model, key: Key, effects: &mut Vec<Effect>) {
    match command(key) {
        Some(Command::Interrupt) => effects.push(Effect::Quit(Exit::Interrupted)),
        Some(Command::Suspend) => effects.push(Effect::Suspend),
        Some(Command::Redraw) => effects.push(Effect::Redraw),
        _ if model.typing => typed(model, key),
        _ if model.overlay.is_some() => answer(model, key, effects),
        Some(command) => obey(model, command, effects),
        None => {}
    }
}

/// Pasted text goes into a filter, or nowhere: it must not act.
pub(super) fn paste(model: &mut Model, text: &str) {
    if model.typing {
        let typed = format!("{}{text}", filter(model).typed());
        set_filter(model, &typed);
    }
}

fn obey(model: &mut Model, command: Command, effects: &mut Vec<Effect>) {
    match command {
        // Taken before: they hold whatever lies over the screen.
        Command::Interrupt | Command::Suspend | Command::Redraw => {}
        Command::Help => model.overlay = Some(Overlay::Help(0)),
        Command::Quit => effects.push(Effect::Quit(Exit::Done)),
        Command::Up => go(model, -1),
        Command::Down => go(model, 1),
        Command::PageUp => go(model, -page(model)),
        Command::PageDown => go(model, page(model)),
        Command::First => go(model, isize::MIN / 2),
        Command::Last => go(model, isize::MAX / 2),
        Command::Close => model.fleet.set_open(Some(false)),
        Command::Open => model.fleet.set_open(Some(true)),
        Command::Toggle => model.fleet.set_open(None),
        Command::NextPane => {
            model.pane = match model.pane {
                Pane::Table => Pane::Log,
                Pane::Log => Pane::Table,
            };
            model.whole_log = false;
        }
        Command::Zoom if model.link.was_killed() => effects.push(Effect::Revive),
        Command::Zoom if model.link.is_lost() => effects.push(Effect::Retry),
        Command::Zoom => zoom(model),
        Command::Back => back(model),
        Command::NextProblem => model.fleet.go_to_problem(true),
        Command::PreviousProblem => model.fleet.go_to_problem(false),
        Command::Filter => model.typing = true,
        Command::Sort => model.fleet.sort_next(),
        Command::Follow => model.logs.set_follow(!model.logs.follows()),
        Command::Wrap => model.logs.toggle_wrap(),
        Command::Streams => model.logs.next_streams(),
        Command::Actions => menu(model),
    }
    // Another app may be the only one whose log is read.
    model.reading.stale |= model.fleet.only().is_some();
}

fn go(model: &mut Model, by: isize) {
    if in_log(model) {
        let height = layout(model).map_or(1, |layout| layout.log_lines());
        model.logs.scroll(-by, height);
    } else {
        model.fleet.go(by);
    }
}

fn page(model: &Model) -> isize {
    let rows = layout(model)
        .map_or(1, |layout| if in_log(model) { layout.log_lines() } else { layout.rows() });
    // One line of the page before is kept in sight.
    isize::try_from(rows.saturating_sub(1).max(1)).unwrap_or(1)
}

fn zoom(model: &mut Model) {
    match model.pane {
        Pane::Log => model.whole_log = !model.whole_log,
        Pane::Table => {
            model.fleet.set_only(model.fleet.only().is_none());
            model.reading.stale = true;
            model.events_stale = true;
        }
    }
}

/// One step back; never out of the program.
fn back(model: &mut Model) {
    if model.whole_log {
        model.whole_log = false;
    } else if !filter(model).typed().is_empty() {
        set_filter(model, "");
    } else if model.pane == Pane::Log {
        model.pane = Pane::Table;
    } else if model.fleet.only().is_some() {
        model.fleet.set_only(false);
        model.reading.stale = true;
        model.events_stale = true;
    } else {
        model.notice = None;
    }
}

fn menu(model: &mut Model) {
    if model.link.is_lost() {
        say(model, "no actions while nexusd does not answer".to_owned(), Role::Bad);
    } else if let Some(key) = model.fleet.selected() {
        model.overlay = Some(Overlay::Menu(key.clone()));
    }
}

/// A key while a filter is typed.
fn typed(model: &mut Model, key: Key) {
    let mut typed = filter(model).typed().to_owned();
    match key {
        Key::Char(c) => typed.push(c),
        Key::Backspace if typed.is_empty() => model.typing = false,
        Key::Backspace => {
            typed.pop();
        }
        Key::Ctrl('u') => typed.clear(),
        Key::Enter | Key::Tab => model.typing = false,
        Key::Esc => {
            typed.clear();
            model.typing = false;
        }
        Key::Up => return go(model, -1),
        Key::Down => return go(model, 1),
        Key::PageUp => return go(model, -page(model)),
        Key::PageDown => return go(model, page(model)),
        Key::Ctrl(_) | Key::Left | Key::Right | Key::Home | Key::End | Key::BackTab => {}
    }
    set_filter(model, &typed);
}

fn filter(model: &Model) -> &Filter {
    if in_log(model) { model.logs.filter() } else { model.fleet.filter() }
}

fn set_filter(model: &mut Model, typed: &str) {
    let filter = Filter::parse(typed);
    if in_log(model) {
        model.logs.set_filter(filter);
    } else {
        model.fleet.set_filter(filter);
    }
}

/// A key while something lies over the screen.
fn answer(model: &mut Model, key: Key, effects: &mut Vec<Effect>) {
    let closes = matches!(key, Key::Esc | Key::Char('q'));
    match model.overlay.take() {
        Some(_) | None if closes => {}
        Some(Overlay::Help(_)) if matches!(key, Key::Enter | Key::Char('?')) => {}
        Some(Overlay::Help(top)) => {
            let down = matches!(command(key), Some(Command::Down | Command::PageDown));
            let up = matches!(command(key), Some(Command::Up | Command::PageUp));
            let top = (top + u16::from(down)).saturating_sub(u16::from(up));
            let end = help_end(model);
            model.overlay = Some(Overlay::Help(top.min(end)));
        }
        Some(Overlay::Report { .. }) if key == Key::Enter => {}
        Some(Overlay::Menu(row)) => {
            let action = if let Key::Char(letter) = key { Action::of(letter) } else { None };
            model.overlay = Some(match action.zip(model.fleet.app(&row.app)) {
                Some((action, app)) => {
                    let yes = !action.loses(app);
                    Overlay::Confirm { deed: Deed { action, key: row }, yes }
                }
                None => Overlay::Menu(row),
            });
        }
        Some(Overlay::Confirm { deed, yes }) => confirm(model, deed, yes, key, effects),
        other @ (Some(Overlay::Report { .. }) | None) => model.overlay = other,
    }
}

fn confirm(model: &mut Model, deed: Deed, yes: bool, key: Key, effects: &mut Vec<Effect>) {
    match key {
        Key::Enter if yes => act(model, deed, effects),
        Key::Char('y') => act(model, deed, effects),
        Key::Enter | Key::Char('n') => {}
        Key::Left | Key::Right | Key::Tab | Key::BackTab => {
            model.overlay = Some(Overlay::Confirm { deed, yes: !yes });
        }
        Key::Char(_)
        | Key::Ctrl(_)
        | Key::Up
        | Key::Down
        | Key::PageUp
        | Key::PageDown
        | Key::Home
        | Key::End
        | Key::Esc
        | Key::Backspace => model.overlay = Some(Overlay::Confirm { deed, yes }),
    }
}

fn act(model: &mut Model, deed: Deed, effects: &mut Vec<Effect>) {
    say(model, format!("{} {} …", deed.action.doing(), deed.key.target()), Role::Busy);
    effects.push(Effect::Act(deed));
}
