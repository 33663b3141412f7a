//! The lines of logs that are kept, and which of them are on the screen.

use std::collections::VecDeque;
use std::sync::Arc;

use super::filter::Filter;
use crate::text::width;

/// Lines that are kept.
const LINES_MAX: usize = 5_000;
/// Bytes of them that are kept.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// One line of a log, harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// When it came, in milliseconds of Unix time.
    pub(super) time: Option<i64>,
    /// The app, which has a colour.
    pub(super) app: Arc<str>,
    /// `api/2`.
    pub(super) label: Arc<str>,
    /// Whether it came from stderr.
    pub(super) err: bool,
    /// What it says.
    pub(super) text: String,
    /// Whether its end was left out.
    pub(super) cut: bool,
}

/// Which streams are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Streams {
    #[default]
    Both,
    Out,
    Err,
}

/// The lines.
#[derive(Clone, Debug, Default)]
pub(super) struct LogWindow {
    lines: VecDeque<Line>,
    bytes: usize,
    /// Number of the first line that is kept; lines are counted from the beginning.
    first: u64,
    /// Number of the line at the bottom of the screen; `None` = the last, whichever it is.
    anchor: Option<u64>,
    filter: Filter,
    streams: Streams,
    wrap: bool,
}

impl LogWindow {
    /// Lines that have come.
    pub(super) fn push(&mut self, lines: impl IntoIterator<Item = Line>) {
        for line in lines {
            self.bytes += line.text.len();
            self.lines.push_back(line);
            while self.lines.len() > LINES_MAX || self.bytes > BYTES_MAX {
                let Some(gone) = self.lines.pop_front() else { break };
                self.bytes -= gone.text.len();
                self.first += 1;
            }
        }
        // The bottom of the screen has been forgotten: the oldest that is left takes its place.
        self.anchor = self.anchor.map(|at| at.max(self.first));
    }

    /// Forget all lines; the screen follows again.
    pub(super) fn clear(&mut self) {
        self.first += self.lines.len() as u64;
        self.lines.clear();
        self.bytes = 0;
        self.anchor = None;
    }

    /// Whether there are no lines, filtered or not.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether the last line is at the bottom.
    pub(super) fn follows(&self) -> bool {
        self.anchor.is_none()
    }

    /// What lines must have.
    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Which streams are shown.
    pub(super) fn streams(&self) -> Streams {
        self.streams
    }

    /// Whether long lines go on in the next row.
    pub(super) fn wraps(&self) -> bool {
        self.wrap
    }

    /// Only lines that have this.
    pub(super) fn set_filter(&mut self, filter: Filter) {
        self.filter = filter;
    }

    /// The other way round.
    pub(super) fn toggle_wrap(&mut self) {
        self.wrap = !self.wrap;
    }

    /// The next choice of streams.
    pub(super) fn next_streams(&mut self) {
        self.streams = match self.streams {
            Streams::Both => Streams::Out,
            Streams::Out => Streams::Err,
            Streams::Err => Streams::Both,
        };
    }

    /// Keep the last line at the bottom from now on, or the line that is there now.
    pub(super) fn set_follow(&mut self, follow: bool) {
        let last = self.first + (self.lines.len() as u64).saturating_sub(1);
        self.anchor = if follow { None } else { self.anchor.or(Some(last)) };
    }

    /// Lines below the screen.
    pub(super) fn unseen(&self) -> usize {
        let Some(anchor) = self.anchor else { return 0 };
        self.wanted().take_while(|(number, _)| *number > anchor).count()
    }

    /// Scroll so many lines back (on, when negative), on a screen of `height` lines. At the end it
    /// follows again.
    pub(super) fn scroll(&mut self, back: isize, height: usize) {
        if back >= 0 {
            let numbers: Vec<u64> = self.above().map(|(number, _)| number).collect();
            // The first page is a whole one.
            let most = numbers.len().saturating_sub(height);
            if let Some(number) = numbers.get(back.unsigned_abs().min(most)) {
                self.anchor = Some(*number);
            }
            return;
        }
        let Some(anchor) = self.anchor else { return };
        let mut below: Vec<u64> =
            self.wanted().map(|(number, _)| number).take_while(|n| *n > anchor).collect();
        below.reverse();
        let to = below.get(back.unsigned_abs() - 1).copied();
        self.anchor = to.filter(|to| Some(to) != below.last());
    }

    /// The lines that fill `height` rows of `columns` columns, oldest first, each with the rows it
    /// takes. The first one may not fit whole.
    pub(super) fn page(&self, height: usize, rows: impl Fn(&Line) -> usize) -> Vec<(&Line, usize)> {
        let mut left = height;
        let mut page = Vec::new();
        for (_, line) in self.above() {
            let takes = rows(line).max(1);
            page.push((line, takes));
            if takes >= left {
                break;
            }
            left -= takes;
        }
        page.reverse();
        page
    }

    /// Wanted lines up to the bottom of the screen, youngest first.
    fn above(&self) -> impl Iterator<Item = (u64, &Line)> {
        let anchor = self.anchor.unwrap_or(u64::MAX);
        self.wanted().skip_while(move |(number, _)| *number > anchor)
    }

    /// Wanted lines, youngest first.
    fn wanted(&self) -> impl Iterator<Item = (u64, &Line)> {
        let numbered = self.lines.iter().enumerate().rev();
        numbered
            .map(|(at, line)| (self.first + at as u64, line))
            .filter(|(_, line)| self.wants(line))
    }

    fn wants(&self, line: &Line) -> bool {
        let stream = match self.streams {
            Streams::Both => true,
            Streams::Out => !line.err,
            Streams::Err => line.err,
        };
        stream && self.filter.keeps(&[&line.label, &line.text])
    }
}

/// Rows that a text takes in `columns` columns.
pub(super) fn rows_of(text: &str, columns: usize) -> usize {
    width(text).div_ceil(columns.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize) -> Line {
        Line {
            time: None,
            app: "a".into(),
            label: "a/0".into(),
            err: number.is_multiple_of(5),
            text: number.to_string(),
            cut: false,
        }
    }

    fn page(window: &LogWindow, height: usize) -> Vec<String> {
        window.page(height, |_| 1).iter().map(|(line, _)| line.text.clone()).collect()
    }

    #[test]
    fn follows_until_scrolled_and_again_at_the_end() {
        let mut window = LogWindow::default();
        window.push((0..10).map(line));
        assert_eq!(page(&window, 3), ["7", "8", "9"]);
        window.scroll(2, 3);
        assert_eq!(page(&window, 3), ["5", "6", "7"]);
        window.push((10..12).map(line));
        assert_eq!(
            (page(&window, 3), window.unseen()),
            (vec!["5".into(), "6".into(), "7".into()], 4)
        );
        window.scroll(99, 3);
        assert_eq!(page(&window, 3), ["0", "1", "2"]);
        window.scroll(-1, 3);
        assert_eq!(page(&window, 3), ["1", "2", "3"]);
        window.scroll(-99, 3);
        assert!(window.follows());
        window.set_follow(false);
        window.push([line(12)]);
        assert_eq!((page(&window, 1), window.unseen()), (vec!["11".to_owned()], 1));
    }

    #[test]
    fn filters_hold_for_the_whole_window_and_while_it_stands_still() {
        let mut window = LogWindow::default();
        window.push((0..20).map(line));
        window.next_streams();
        window.next_streams();
        assert_eq!(page(&window, 9), ["0", "5", "10", "15"]);
        window.scroll(1, 2);
        assert_eq!(page(&window, 2), ["5", "10"]);
        window.set_filter(Filter::parse("!1"));
        assert_eq!(page(&window, 9), ["0", "5"]);
        window.set_filter(Filter::parse("nothing"));
        window.scroll(1, 2);
        assert!(page(&window, 9).is_empty() && window.unseen() == 0);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut window = LogWindow::default();
        window.push((0..LINES_MAX + 10).map(line));
        assert_eq!((window.lines.len(), window.first), (LINES_MAX, 10));
        window.scroll(LINES_MAX as isize * 2, 1);
        window.push((0..20).map(line));
        assert_eq!(page(&window, 1), ["30"]);
        let long = Line { text: "x".repeat(BYTES_MAX / 2), ..line(0) };
        window.push([long.clone(), long.clone(), long]);
        assert!(window.bytes <= BYTES_MAX && window.lines.len() == 2);
        window.clear();
        assert!(window.is_empty() && window.follows());
    }

    #[test]
    fn long_lines_take_rows() {
        assert_eq!([rows_of("", 4), rows_of("abcd", 4), rows_of("価格価", 4)], [1, 1, 2]);
        let mut window = LogWindow::default();
        window.push((0..10).map(line));
        let two: Vec<_> = window.page(5, |_| 2).into_iter().map(|(_, rows)| rows).collect();
        assert_eq!(two, [2, 2, 2]);
    }
}
