//! What must hold whatever is typed, however small the terminal is.

use std::io::Write;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use ratatui_core::layout::Rect;
use ratatui_core::terminal::{Terminal, TerminalOptions, Viewport};
use ratatui_crossterm::CrosstermBackend;

use super::super::keys::{BINDINGS, Key};
use super::super::model::{Effect, Msg, NoAnswer, Overlay, Pane};
use super::super::view::draw;
use super::play::{Play, line};
use crate::exit::Exit;
use crate::look::Look;
use crate::view::fixture::{app, look, snapshot};
use nexus_proto::Status;

fn any_key() -> impl Strategy<Value = Key> {
    let bound: Vec<Key> = BINDINGS.iter().flat_map(|one| one.keys).copied().collect();
    let answers = ['r', 'l', 's', 't', 'y', 'n', '!', '価'].map(Key::Char);
    prop::sample::select([bound, answers.to_vec(), vec![Key::Backspace]].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_typed_the_screen_is_drawn_and_nothing_is_done_unasked(
        keys in prop::collection::vec(any_key(), 0..60),
        columns in 1_u16..170, rows in 1_u16..50,
    ) {
        let mut play = Play::live(columns, rows);
        for key in keys {
            let asked = matches!(play.model.overlay, Some(Overlay::Confirm { .. }));
            play.effects.clear();
            play.take(Msg::Key(key));
            let acts = play.effects.iter().any(|effect| matches!(effect, Effect::Act(_)));
            prop_assert!(!acts || asked, "{key:?} acts unasked");
            let screen = play.screen();
            prop_assert!(!play.effects.contains(&Effect::Quit(Exit::Done)) || key == Key::Char('q'));
            if columns >= 40 && rows >= 8 && play.model.overlay.is_none() {
                prop_assert!(screen.lines().next().is_some_and(|line| line.ends_with("● live")));
                prop_assert!(screen.lines().last().is_some_and(|line| !line.is_empty()));
            }
        }
    }
}

#[test]
fn every_edge_of_size_is_drawn_in_every_state() {
    let sizes = [1, 2, 39, 40, 59, 60, 69, 70, 79, 80, 119, 120, 400];
    let states = ["", "?", "at", "<Right>jj", "<Enter>", "<Tab><Enter>w", "/x", "e"];
    for (keys, lost) in states.into_iter().flat_map(|keys| [(keys, false), (keys, true)]) {
        let mut play = Play::live(80, 24);
        play.keys(keys);
        if lost {
            play.lose(3, 5_000);
        }
        for columns in sizes {
            for rows in [1, 2, 3, 7, 8, 15, 16, 19, 20, 45, 120] {
                play.take(Msg::Resize(columns, rows)).screen();
            }
        }
    }
}

#[test]
fn the_selected_row_is_seen_in_a_fleet_of_a_thousand() {
    let mut fleet = snapshot();
    fleet.apps = (0..1_000).map(|n| app(&format!("app-{n:04}"), n, 1, Status::Online)).collect();
    let mut play = Play::live(80, 24);
    play.hear(fleet.clone());
    for keys in ["G", "k", "<PgUp>", "g", "<PgDn>", "<Right>j", "/999<Enter>"] {
        let screen = play.keys(keys).screen();
        assert_eq!(screen.matches("\n▸ ").count(), 1, "after {keys}:\n{screen}");
    }
    // The files of a large fleet are not all read, and that is said.
    let read = play.effects.iter().filter_map(|effect| match effect {
        Effect::Read { sources, .. } => Some(sources.len()),
        Effect::Quit(_)
        | Effect::Suspend
        | Effect::Redraw
        | Effect::Retry
        | Effect::Revive
        | Effect::History(_)
        | Effect::Events(_)
        | Effect::FindFiles
        | Effect::LookFor(_)
        | Effect::Act(_) => None,
    });
    assert!(read.max() <= Some(256));
}

#[test]
fn keys_leave_stop_and_retry() {
    let effect = |keys: &str| {
        let mut play = Play::live(80, 24);
        play.effects.clear();
        play.keys(keys).effects.pop()
    };
    assert_eq!(effect("q"), Some(Effect::Quit(Exit::Done)));
    assert_eq!(effect("<C-c>"), Some(Effect::Quit(Exit::Interrupted)));
    for keys in ["?<C-c>", "a<C-c>", "at<C-c>", "/x<C-c>"] {
        assert_eq!(effect(keys), Some(Effect::Quit(Exit::Interrupted)), "{keys}");
    }
    assert_eq!(effect("<C-z>"), Some(Effect::Suspend));
    assert_eq!(effect("<Esc><Esc><Esc>"), None, "Esc never quits");
    assert_eq!(effect("?q"), None, "q closes the help");
    let mut play = Play::live(80, 24);
    play.lose(2, 3_000).effects.clear();
    assert_eq!(play.keys("<Enter>").effects, [Effect::Retry]);
    let killed = NoAnswer { why: "refused".into(), killed: true, tries: 3, again_in_ms: 500 };
    play.lose_it(killed).effects.clear();
    assert_eq!(play.keys("<Enter>").effects, [Effect::Revive]);
    assert!(play.screen().contains("Enter brings nexusd back"), "{}", play.screen());
    play.keys("a");
    assert!(play.model.overlay.is_none(), "no actions while nobody answers");
}

#[test]
fn events_are_asked_for_when_they_are_seen_and_something_has_happened() {
    let asked = |play: &mut Play| {
        let events =
            |effect: Effect| if let Effect::Events(app) = effect { Some(app) } else { None };
        play.effects.drain(..).filter_map(events).collect::<Vec<_>>()
    };
    let mut play = Play::live(80, 24);
    assert_eq!(asked(&mut play), [], "there is no room for them");
    play.take(Msg::Resize(160, 45));
    assert_eq!(asked(&mut play), [None]);
    play.hear(snapshot()).wait(1_000);
    assert_eq!(asked(&mut play), [], "nothing has happened");
    play.keys("<Enter>");
    assert_eq!(asked(&mut play), [Some(snapshot().apps[0].name.clone())]);
    play.keys("<Esc>");
    assert_eq!(asked(&mut play), [None]);
}

#[test]
fn what_is_pasted_never_acts() {
    let mut play = Play::live(80, 24);
    play.effects.clear();
    play.take(Msg::Paste("q\natyary".into()));
    assert!(play.effects.is_empty() && play.model.overlay.is_none());
    play.keys("/se").take(Msg::Paste("ttle\nment".into()));
    assert_eq!(play.model.fleet.filter().typed(), "settlement");
}

#[test]
fn an_action_asks_and_then_acts_on_what_was_selected() {
    let mut play = Play::live(80, 24);
    play.effects.clear();
    play.keys("<Right>jjat<Enter>");
    assert!(play.effects.is_empty(), "Enter means cancel where less would serve");
    play.keys("at<Tab><Enter>");
    let Some(Effect::Act(deed)) = play.effects.pop() else { panic!("nothing is done") };
    assert_eq!((deed.action.verb(), deed.key.target().as_str()), ("stop", "api/1"));
    play.keys("as<Enter>");
    assert!(matches!(play.effects.pop(), Some(Effect::Act(_))), "a start loses nothing");
    // The app goes while we are asked about it.
    let mut less = snapshot();
    less.apps.remove(0);
    play.keys("at").hear(less);
    assert!(play.model.overlay.is_none() && play.screen().contains("api is gone"));
}

#[test]
fn the_log_is_of_what_is_chosen() {
    let mut play = Play::live(80, 24);
    let files = |play: &mut Play| {
        let mut read = Vec::new();
        for effect in play.effects.drain(..) {
            if let Effect::Read { sources, newcomers, .. } = effect {
                let labels = sources.into_iter().map(|one| one.file.label);
                read.push((labels.collect::<std::collections::BTreeSet<_>>().len(), newcomers));
            }
        }
        read
    };
    // All apps of the fixture write into the same files: one label a number.
    files(&mut play);
    play.keys("<Enter>");
    assert_eq!(files(&mut play).len(), 1, "only api");
    play.keys("jj");
    assert_eq!(files(&mut play).len(), 2, "one instance, and another");
    play.keys("<Esc>");
    assert_eq!(files(&mut play).len(), 1, "all again");
    // One more app: its files are read besides.
    let mut more = snapshot();
    more.generation += 1;
    let mut one = app("zebra", 20, 1, Status::Online);
    one.instances[0].logs[0].path = "/h/logs/zebra-out.log".into();
    one.instances[0].logs[1].path = "/h/logs/zebra-error.log".into();
    more.apps.push(one);
    play.hear(more.clone());
    assert_eq!(files(&mut play), [(1, true)]);
    play.hear(more);
    assert_eq!(files(&mut play), [], "nothing has changed");
    // Lines of an older reading are late.
    play.take(Msg::Lines { reading: 0, begins: true, lines: Vec::new() });
    assert!(!play.model.logs.is_empty());
    assert_eq!(play.model.pane, Pane::Table);
}

/// Counts bytes.
#[derive(Clone, Default)]
struct Counter(Arc<Mutex<usize>>);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        *self.0.lock().unwrap() += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_frame_is_a_few_kilobytes() {
    for (columns, rows, most) in [(80, 24, 2_048), (160, 45, 8_192)] {
        let colored = Look { color: true, ..look(0) };
        let mut play = Play::live_with(columns, rows, colored);
        let counter = Counter::default();
        let area = Rect { x: 0, y: 0, width: columns, height: rows };
        let options = TerminalOptions { viewport: Viewport::Fixed(area) };
        let backend = CrosstermBackend::new(counter.clone());
        let mut terminal = Terminal::with_options(backend, options).unwrap();
        terminal.draw(|frame| draw(&play.model, frame.buffer_mut())).unwrap();
        for second in 0..10_u32 {
            *counter.0.lock().unwrap() = 0;
            let mut fleet = snapshot();
            for app in &mut fleet.apps {
                app.cpu_percent = app.cpu_percent.map(|cpu| cpu + f64::from(second));
                app.memory_bytes =
                    app.memory_bytes.map(|bytes| bytes + u64::from(second) * 7_777_777);
            }
            play.now += 1_000;
            play.hear(fleet).lines(vec![
                line(i64::from(second) * 1_000, "api", "api/0", false, "POST /v1/orders 201 6.8ms"),
                line(i64::from(second) * 1_000, "api", "api/1", false, "GET /v1/book 200 1.9ms"),
            ]);
            terminal.draw(|frame| draw(&play.model, frame.buffer_mut())).unwrap();
            let bytes = *counter.0.lock().unwrap();
            assert!(bytes <= most, "{columns}x{rows}: {bytes} bytes");
        }
    }
}
