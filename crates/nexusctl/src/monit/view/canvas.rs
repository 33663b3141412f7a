//! Text on the screen: cut to its room by display width, in the style of its role.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier, Style};

use crate::look::{Look, Role};
use crate::text::{cut, width};

/// The screen while it is drawn.
pub(super) struct Canvas<'a> {
    buffer: &'a mut Buffer,
    /// Symbols and colours.
    pub(super) look: &'a Look,
}

impl<'a> Canvas<'a> {
    /// Draws into `buffer`.
    pub(super) fn new(buffer: &'a mut Buffer, look: &'a Look) -> Canvas<'a> {
        Canvas { buffer, look }
    }

    /// The whole screen.
    pub(super) fn area(&self) -> Rect {
        *self.buffer.area()
    }

    /// At most `room` columns of `text`; gives where the next text would begin.
    pub(super) fn text(&mut self, x: u16, y: u16, room: u16, text: &str, style: Style) -> u16 {
        let area = self.area();
        if x >= area.right() || y >= area.bottom() {
            return x;
        }
        let room = room.min(area.right() - x);
        let text = cut(text, usize::from(room), self.look);
        self.buffer.set_stringn(x, y, &text, usize::from(room), style).0
    }

    /// A line over `room` columns with a title at its left and a remark at its right.
    pub(super) fn rule(&mut self, x: u16, y: u16, room: u16, title: (&str, Style), remark: &str) {
        let line = if self.look.ascii { "-" } else { "─" };
        let dim = self.style(Role::Off);
        self.text(x, y, room, &line.repeat(usize::from(room)), dim);
        let mut left = room;
        if !remark.is_empty() {
            let takes = columns(remark).saturating_add(3).min(room);
            left = room - takes;
            self.text(x + left, y, takes - 1, &format!(" {remark} "), dim);
        }
        if !title.0.is_empty() {
            self.text(x + 1, y, left.saturating_sub(2), &format!(" {} ", title.0), title.1);
        }
    }

    /// Blanks over an area.
    pub(super) fn clear(&mut self, area: Rect) {
        for y in area.top()..area.bottom() {
            // A wide character that reaches into the area is cut off: half of one cannot stay.
            if let Some(x) = area.left().checked_sub(1)
                && self.buffer.cell((x, y)).is_some_and(|cell| width(cell.symbol()) > 1)
                && let Some(cell) = self.buffer.cell_mut((x, y))
            {
                cell.set_symbol(" ");
            }
            for x in area.left()..area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                }
            }
        }
    }

    /// A style over a row.
    pub(super) fn over(&mut self, area: Rect, style: Style) {
        self.buffer.set_style(area, style);
    }

    /// How a role looks; without colours, by weight alone.
    pub(super) fn style(&self, role: Role) -> Style {
        let style = match role {
            Role::Bad | Role::Bold => Style::new().add_modifier(Modifier::BOLD),
            Role::Off => Style::new().add_modifier(Modifier::DIM),
            Role::Good | Role::Busy | Role::Note | Role::Tag(_) => Style::new(),
        };
        let color = match role {
            Role::Good => Color::Green,
            Role::Busy => Color::Yellow,
            Role::Bad => Color::Red,
            Role::Note => Color::Cyan,
            Role::Off | Role::Bold => return style,
            Role::Tag(number) => TAGS[usize::from(number) % TAGS.len()],
        };
        if self.look.color { style.fg(color) } else { style }
    }

    /// How a state looks that nobody knows.
    pub(super) fn unknown(&self) -> Style {
        if self.look.color { Style::new().fg(Color::Magenta) } else { Style::new() }
    }

    /// Between two columns of text.
    pub(super) fn bar(&self) -> &'static str {
        if self.look.ascii { "|" } else { "│" }
    }
}

/// Colours of apps in the log, without red and yellow.
const TAGS: [Color; 6] =
    [Color::Cyan, Color::Magenta, Color::Blue, Color::Green, Color::LightCyan, Color::LightMagenta];

/// Display width as the screen counts it.
pub(super) fn columns(text: &str) -> u16 {
    u16::try_from(width(text)).unwrap_or(u16::MAX)
}
