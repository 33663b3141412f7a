//! A dashboard without a terminal: messages in, the screen as text out.

use nexus_proto::{History, Snapshot};
use nexus_spec::Name;
use ratatui_core::backend::TestBackend;
use ratatui_core::style::{Color, Modifier};
use ratatui_core::terminal::Terminal;

use super::super::keys::Key;
use super::super::log_window::Line;
use super::super::model::{Effect, Model, Msg, NoAnswer};
use super::super::update::update;
use super::super::view::draw;
use crate::look::Look;
use crate::text::width;
use crate::view::fixture::{look, snapshot, story};

/// 2026-11-23T14:02:30Z.
const BEGIN: i64 = 1_795_442_550_000;

/// A dashboard and a clock.
pub(super) struct Play {
    pub(super) model: Model,
    pub(super) now: i64,
    /// What it wanted done, so far.
    pub(super) effects: Vec<Effect>,
}

impl Play {
    /// Nothing has been heard yet.
    pub(super) fn new(columns: u16, rows: u16, look: Look) -> Play {
        let model = Model::new(look, "/h".to_owned(), columns, rows);
        let mut play = Play { model, now: BEGIN, effects: Vec::new() };
        play.model.now = BEGIN;
        play
    }

    /// The fleet of five, live, with its logs and the history of the first app.
    pub(super) fn live(columns: u16, rows: u16) -> Play {
        Play::live_with(columns, rows, look(0))
    }

    /// As [`Play::live`], with another look.
    pub(super) fn live_with(columns: u16, rows: u16, look: Look) -> Play {
        let mut play = Play::new(columns, rows, look);
        play.hear(snapshot());
        play.history("api");
        play.lines(lines());
        play.take(Msg::Events(story()));
        play
    }

    /// A message.
    pub(super) fn take(&mut self, msg: Msg) -> &mut Play {
        let effects = update(&mut self.model, self.now, msg);
        self.effects.extend(effects);
        self
    }

    /// The daemon answers.
    pub(super) fn hear(&mut self, snapshot: Snapshot) -> &mut Play {
        self.take(Msg::Fleet(Box::new(snapshot)))
    }

    /// It does not, for so long.
    pub(super) fn lose(&mut self, tries: u32, ms: i64) -> &mut Play {
        self.now += ms;
        self.lose_it(NoAnswer {
            why: "cannot reach nexusd at /h/nexus.sock: there is no socket".to_owned(),
            killed: false,
            tries,
            again_in_ms: 2_000,
        })
    }

    /// It does not, in this way.
    pub(super) fn lose_it(&mut self, answer: NoAnswer) -> &mut Play {
        self.take(Msg::Lost(answer));
        self.take(Msg::Alive(6, 7))
    }

    /// So many milliseconds pass.
    pub(super) fn wait(&mut self, ms: i64) -> &mut Play {
        self.now += ms;
        self.take(Msg::Tick)
    }

    /// Lines of this reading.
    pub(super) fn lines(&mut self, lines: Vec<Line>) -> &mut Play {
        let reading = self.model.reading.number;
        self.take(Msg::Lines { reading, begins: false, lines })
    }

    /// A quarter of an hour of an app: a peak, a hole, a ramp.
    pub(super) fn history(&mut self, app: &str) -> &mut Play {
        let known = |at: usize| !(60..75).contains(&at);
        let cpu = |at: usize| if at == 100 { 92.0 } else { 30.0 + (at % 13) as f64 };
        let name = Name::new(app).unwrap();
        let history = History {
            schema: "nexus.history/1".into(),
            app: name.clone(),
            step_ms: 5_000,
            until_unix_ms: BEGIN.unsigned_abs(),
            cpu_percent: (0..180).map(|at| known(at).then(|| cpu(at))).collect(),
            memory_bytes: (0..180).map(|at| known(at).then_some((200 + at as u64) << 20)).collect(),
        };
        self.take(Msg::History(name, Some(Box::new(history))))
    }

    /// Keys: characters as they are, others as `<Down>`, `<C-c>`.
    pub(super) fn keys(&mut self, keys: &str) -> &mut Play {
        let mut rest = keys;
        while let Some(first) = rest.chars().next() {
            let (key, length) = match rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
                Some((name, _)) => (named(name), name.len() + 2),
                None => (Key::Char(first), first.len_utf8()),
            };
            self.take(Msg::Key(key));
            rest = &rest[length..];
        }
        self
    }

    /// The screen as text, through ratatui's own backend; blanks at the ends of lines left out.
    pub(super) fn screen(&self) -> String {
        self.grid(|cell| cell.to_owned(), |_, _| None)
    }

    /// How each cell looks, a letter a cell.
    pub(super) fn styles(&self) -> String {
        self.grid(|_| " ".to_owned(), |color, modifier| Some(letter(color, modifier)))
    }

    fn grid(
        &self,
        symbol: impl Fn(&str) -> String,
        style: impl Fn(Color, Modifier) -> Option<char>,
    ) -> String {
        let backend = TestBackend::new(self.model.width, self.model.height);
        let mut terminal = Terminal::new(backend).unwrap();
        terminal.draw(|frame| draw(&self.model, frame.buffer_mut())).unwrap();
        let buffer = terminal.backend().buffer();
        let mut text = String::new();
        for row in buffer.content().chunks(usize::from(self.model.width)) {
            let (mut line, mut skip) = (String::new(), 0);
            for cell in row {
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                skip = width(cell.symbol()).saturating_sub(1);
                match style(cell.fg, cell.modifier) {
                    Some(letter) => line.push(letter),
                    None => line.push_str(&symbol(cell.symbol())),
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A letter for a style: the colour's, a capital where it is bold or reversed.
fn letter(color: Color, modifier: Modifier) -> char {
    let letter = [
        (Color::Green, 'g'),
        (Color::Yellow, 'y'),
        (Color::Red, 'r'),
        (Color::Cyan, 'c'),
        (Color::Magenta, 'm'),
        (Color::Blue, 'b'),
        (Color::LightCyan, 'l'),
        (Color::LightMagenta, 'p'),
    ];
    let found = letter.iter().find(|(known, _)| *known == color).map(|(_, letter)| *letter);
    match (found, modifier) {
        (Some(letter), modifier) if modifier.is_empty() => letter,
        (Some(letter), _) => letter.to_ascii_uppercase(),
        (None, modifier) if modifier.contains(Modifier::REVERSED) => '#',
        (None, modifier) if modifier.contains(Modifier::BOLD) => '!',
        (None, modifier) if modifier.contains(Modifier::DIM) => '.',
        (None, _) => ' ',
    }
}

fn named(name: &str) -> Key {
    match name {
        "Up" => Key::Up,
        "Down" => Key::Down,
        "Left" => Key::Left,
        "Right" => Key::Right,
        "PgUp" => Key::PageUp,
        "PgDn" => Key::PageDown,
        "Home" => Key::Home,
        "End" => Key::End,
        "Enter" => Key::Enter,
        "Esc" => Key::Esc,
        "Tab" => Key::Tab,
        "BackTab" => Key::BackTab,
        "Backspace" => Key::Backspace,
        other => Key::Ctrl(other.strip_prefix("C-").and_then(|rest| rest.chars().next()).unwrap()),
    }
}

/// One line of a log.
pub(super) fn line(ms: i64, app: &str, label: &str, err: bool, text: &str) -> Line {
    let text = crate::text::own(text);
    Line { time: Some(BEGIN + ms), app: app.into(), label: label.into(), err, text, cut: false }
}

/// What the fleet of five says.
fn lines() -> Vec<Line> {
    let gateway = "order-gateway-primary-of-the-trading-floor-in-frankfurt";
    vec![
        line(-582, "api", "api/2", false, "GET /v1/orders/88213 200 3.1ms"),
        line(-560, gateway, &format!("{gateway}/0"), false, "fill 7f21 BTC-USD 0.40 @ 64210.5"),
        line(
            -498,
            "settlement",
            "settlement",
            true,
            "Error: cannot connect to redis 127.0.0.1:6379",
        ),
        line(-498, "settlement", "settlement", true, "\tat connect (settlement.js:41:11)"),
        line(-383, "api", "api/0", false, "POST /v1/orders 201 6.8ms"),
        line(
            -279,
            "market-data",
            "market-data",
            false,
            "価格 更新 取引所 4210.5 価格 更新 取引所 4210.5 終",
        ),
        line(
            -200,
            "api",
            "api/3",
            false,
            "slow \x1b[31mquery\x1b[0m 212ms\x1b[2J orders_by_account",
        ),
        line(
            -92,
            "api",
            "api/1",
            true,
            "POST /v1/orders 503 upstream risk-engine timeout after 250ms, \
            twice within one second, so the request was given up and the client was told to try again",
        ),
    ]
}
