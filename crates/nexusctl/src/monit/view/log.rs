//! The lines of the log that fit, the youngest at the bottom.

use ratatui_core::layout::Rect;
use ratatui_core::style::Style;

use super::super::log_window::{Line, Streams, rows_of};
use super::super::model::{Model, Pane};
use super::canvas::{Canvas, columns};
use crate::look::{Role, tag};
use crate::text::{cut_middle, pad};
use crate::view::clock_ms;

/// From here on, `err` is written before lines of stderr and times have milliseconds.
const ROOMY: u16 = 70;
/// The widest label.
const LABEL_MAX: usize = 16;
/// The widest label on a wide screen.
const LABEL_WIDE: usize = 28;

/// Heading and lines.
pub(super) fn log(model: &Model, area: Rect, canvas: &mut Canvas<'_>) {
    if area.height == 0 {
        return;
    }
    let focused = model.whole_log || model.pane == Pane::Log;
    let style = canvas.style(if focused { Role::Bold } else { Role::Off });
    canvas.rule(area.x, area.y, area.width, (&title(model), style), &remark(model, canvas));
    let lines = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let height = usize::from(lines.height);
    // The prefix is as wide as the labels of the lines on the screen, wrapped or not.
    let labels = model.logs.page(height, |_| 1);
    let most = if area.width >= 120 { LABEL_WIDE } else { LABEL_MAX };
    let widest = labels.iter().map(|(line, _)| usize::from(columns(&line.label))).max();
    let prefix = Prefix { roomy: area.width >= ROOMY, label: widest.unwrap_or(0).min(most) };
    let room = usize::from(area.width).saturating_sub(prefix.width()).max(1);
    let wrap = model.logs.wraps();
    let page = model.logs.page(height, |line| if wrap { rows_of(&line.text, room) } else { 1 });
    if page.is_empty() {
        canvas.text(2, lines.y, area.width, &nothing(model), canvas.style(Role::Off));
        return;
    }
    let taken: usize = page.iter().map(|(_, rows)| rows).sum();
    // Of the first line, the last rows are shown when it does not fit whole.
    let mut skip = taken.saturating_sub(height);
    let mut y = lines.y;
    for (line, rows) in page {
        y = prefix.draw(model, line, rows, skip, Rect { y, ..lines }, canvas);
        skip = 0;
    }
}

/// What stands before a line.
struct Prefix {
    roomy: bool,
    label: usize,
}

impl Prefix {
    fn width(&self) -> usize {
        let (time, mark) = if self.roomy { (12, 3) } else { (8, 1) };
        time + 1 + self.label + 1 + mark + 1
    }

    /// Gives the row below the line.
    fn draw(
        &self,
        model: &Model,
        line: &Line,
        rows: usize,
        skip: usize,
        area: Rect,
        canvas: &mut Canvas<'_>,
    ) -> u16 {
        let x = u16::try_from(self.width()).unwrap_or(u16::MAX);
        let room = area.width.saturating_sub(x);
        let mut y = area.y;
        if skip == 0 {
            self.draw_prefix(model, line, y, area.width, canvas);
        }
        let mark = if line.cut { canvas.look.ellipsis() } else { "" };
        let text = format!("{}{mark}", line.text);
        if !model.logs.wraps() {
            canvas.text(x, y, room, &text, Style::new());
            return y + 1;
        }
        for piece in pieces(&text, usize::from(room)).into_iter().take(rows).skip(skip) {
            if y >= area.bottom().max(canvas.area().bottom()) {
                break;
            }
            canvas.text(x, y, room, &piece, Style::new());
            y += 1;
        }
        y
    }

    fn draw_prefix(&self, model: &Model, line: &Line, y: u16, width: u16, canvas: &mut Canvas<'_>) {
        let time = line.time.map(|ms| clock_ms(ms, &model.look.zone)).unwrap_or_default();
        let time_width = if self.roomy { 12 } else { 8 };
        let time = pad(time.get(..time_width).unwrap_or(&time), time_width, false);
        let x = canvas.text(0, y, width, &time, canvas.style(Role::Off)) + 1;
        let label = pad(&cut_middle(&line.label, self.label, canvas.look), self.label, false);
        let room = width.saturating_sub(x);
        let x = canvas.text(x, y, room, &label, canvas.style(tag(&line.app))) + 1;
        if line.err {
            let mark = if self.roomy { "err" } else { "!" };
            canvas.text(x, y, width.saturating_sub(x), mark, canvas.style(Role::Bad));
        }
    }
}

/// A text in rows of `columns` columns; no wide character is halved.
fn pieces(text: &str, columns: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for c in text.chars() {
        let takes = crate::text::width(c.encode_utf8(&mut [0; 4]));
        if used + takes > columns.max(1) {
            pieces.push(String::new());
            used = 0;
        }
        used += takes;
        if let Some(last) = pieces.last_mut() {
            last.push(c);
        }
    }
    pieces
}

fn title(model: &Model) -> String {
    let of = match (model.fleet.only(), model.fleet.selected()) {
        (Some(only), Some(key)) if key.app == *only => key.target(),
        (Some(only), _) => only.to_string(),
        (None, _) => "all apps".to_owned(),
    };
    match model.link.is_lost() {
        true => format!("log: {of}, from the files"),
        false => format!("log: {of}"),
    }
}

fn remark(model: &Model, canvas: &Canvas<'_>) -> String {
    let mut words = Vec::new();
    if model.reading.left_out > 0 {
        words.push(format!("{} files too many", model.reading.left_out));
    }
    match model.logs.streams() {
        Streams::Both => {}
        Streams::Out => words.push("stdout".to_owned()),
        Streams::Err => words.push("stderr".to_owned()),
    }
    let filter = model.logs.filter().typed();
    if !filter.is_empty() {
        words.push(format!("/{filter}"));
    }
    if model.logs.follows() {
        words.push("follow".to_owned());
    } else {
        let mark = if canvas.look.ascii { "v" } else { "▼" };
        words.push(match model.logs.unseen() {
            0 => "stands still, f to follow".to_owned(),
            unseen => format!("{mark} {unseen} more, f to follow"),
        });
    }
    words.join("  ")
}

fn nothing(model: &Model) -> String {
    match &model.reading.problem {
        Some(problem) => format!("the log cannot be read: {problem}"),
        None if model.logs.is_empty() => "no lines yet".to_owned(),
        None => "no line has that".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_are_not_halved_by_wrapping() {
        assert_eq!(pieces("abcdef", 4), ["abcd", "ef"]);
        assert_eq!(pieces("価格価格", 5), ["価格", "価格"]);
        assert_eq!(pieces("", 5), [""]);
    }
}
