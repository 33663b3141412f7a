//! A table whose columns have ranks: those of the highest rank that fit are shown.

use crate::look::{Look, Role};
use crate::text::{cut, cut_middle, pad, width};

/// Blanks between columns.
const GAP: usize = 2;
/// What a flexible column is counted with while it is decided which columns fit.
const COMFORT: usize = 20;
/// A flexible column never becomes narrower than this.
const NARROWEST: usize = 12;

/// How a column gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flex {
    /// It does not.
    Fixed,
    /// Its middle is left out: names.
    Middle,
    /// Its end is left out: sentences.
    End,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    title: &'static str,
    /// 0 is the most important.
    rank: u8,
    right: bool,
    flex: Flex,
}

/// One cell.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    role: Option<Role>,
}

/// Rows under columns.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// A rendered view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The text; ends with a line end.
    pub(crate) text: String,
    /// Columns that did not fit.
    pub(crate) hidden: usize,
}

impl Column {
    /// Words, on the left.
    pub(super) const fn left(title: &'static str, rank: u8) -> Column {
        Column { title, rank, right: false, flex: Flex::Fixed }
    }

    /// Numbers, on the right.
    pub(super) const fn right(title: &'static str, rank: u8) -> Column {
        Column { title, rank, right: true, flex: Flex::Fixed }
    }

    /// Words that may be cut.
    pub(super) const fn flexible(title: &'static str, rank: u8, flex: Flex) -> Column {
        Column { title, rank, right: false, flex }
    }
}

impl Cell {
    /// Text as it is; nothing is `-`.
    pub(super) fn new(text: impl Into<String>) -> Cell {
        let text = text.into();
        Cell { text: if text.is_empty() { "-".to_owned() } else { text }, role: None }
    }

    /// Coloured.
    pub(super) fn role(mut self, role: Role) -> Cell {
        self.role = Some(role);
        self
    }
}

impl Table {
    /// A column, with one cell for each row of the rows to come.
    pub(super) fn column(&mut self, column: Column, cells: impl Iterator<Item = Cell>) {
        for (number, cell) in cells.enumerate() {
            match self.rows.get_mut(number) {
                Some(row) => row.push(cell),
                None => self.rows.push(vec![cell]),
            }
        }
        self.columns.push(column);
    }

    /// As it fits.
    pub(super) fn render(&self, look: &Look) -> Page {
        let natural: Vec<usize> = (0..self.columns.len()).map(|at| self.natural(at)).collect();
        let shown = self.fitting(&natural, look.width);
        let widths = self.widths(&natural, &shown, look.width);
        let mut text = String::new();
        let titles: Vec<Cell> =
            self.columns.iter().map(|column| Cell::new(column.title).role(Role::Bold)).collect();
        for row in std::iter::once(&titles).chain(&self.rows) {
            text.push_str(&self.line(row, &shown, &widths, look));
            text.push('\n');
        }
        Page { text, hidden: self.columns.len() - shown.len() }
    }

    fn natural(&self, at: usize) -> usize {
        let title = self.columns.get(at).map_or(0, |column| width(column.title));
        let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| width(&cell.text));
        cells.max().unwrap_or(0).max(title)
    }

    /// The columns that are shown, in their order: from the highest rank down, until one does not
    /// fit. The first of all is shown whatever its width.
    fn fitting(&self, natural: &[usize], room: Option<usize>) -> Vec<usize> {
        let mut by_rank: Vec<usize> = (0..self.columns.len()).collect();
        by_rank.sort_by_key(|&at| self.columns.get(at).map_or(u8::MAX, |column| column.rank));
        let mut used = 0;
        let mut shown: Vec<usize> = by_rank
            .into_iter()
            .enumerate()
            .take_while(|&(order, at)| {
                let flexible =
                    self.columns.get(at).is_some_and(|column| column.flex != Flex::Fixed);
                let wide = natural.get(at).copied().unwrap_or(0);
                let gap = if order == 0 { 0 } else { GAP };
                used += gap + if flexible { wide.min(COMFORT) } else { wide };
                order == 0 || room.is_none_or(|room| used <= room)
            })
            .map(|(_, at)| at)
            .collect();
        shown.sort_unstable();
        shown
    }

    /// The width of each shown column: flexible ones share what the others leave.
    fn widths(&self, natural: &[usize], shown: &[usize], room: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> =
            shown.iter().map(|&at| natural.get(at).copied().unwrap_or(0)).collect();
        let Some(room) = room else { return widths };
        let total = widths.iter().sum::<usize>() + GAP * shown.len().saturating_sub(1);
        let mut over = total.saturating_sub(room);
        for (wide, &at) in widths.iter_mut().zip(shown).rev() {
            if self.columns.get(at).is_some_and(|column| column.flex != Flex::Fixed) {
                let gives = over.min(wide.saturating_sub(NARROWEST));
                *wide -= gives;
                over -= gives;
            }
        }
        widths
    }

    fn line(&self, row: &[Cell], shown: &[usize], widths: &[usize], look: &Look) -> String {
        let mut line = String::new();
        for (order, (&at, &wide)) in shown.iter().zip(widths).enumerate() {
            let (Some(column), Some(cell)) = (self.columns.get(at), row.get(at)) else { continue };
            let text = match column.flex {
                Flex::Fixed => cell.text.clone(),
                Flex::Middle => cut_middle(&cell.text, wide, look),
                Flex::End => cut(&cell.text, wide, look),
            };
            let padded = pad(&text, wide, column.right);
            // The colour goes around the word, not around its blanks.
            let painted = match cell.role {
                Some(role) => padded.replacen(&text, &look.paint(role, &text), 1),
                None => padded,
            };
            if order > 0 {
                line.push_str(&" ".repeat(GAP));
            }
            line.push_str(&painted);
        }
        line.truncate(line.trim_end_matches(' ').len());
        line
    }
}
