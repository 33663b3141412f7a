//! Flaws drawn under the lines that they are in, in the look of rustc's errors.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::environment::Pattern;
use crate::flaw::{Bytes, Flaw, Flaws, Place};
use crate::secret;
use crate::visible::{push, visible};

/// Columns that a drawing takes at most; longer lines are cut around the marks.
const WIDTH: usize = 100;

/// The longest line that is read for a drawing, in bytes; what follows is not shown.
const LINE_MAX: usize = 4_096;

impl Flaws {
    /// All flaws drawn, then how many there are. `color` adds ANSI colours; `ascii` keeps to
    /// ASCII, the characters of the file included. Nothing that a file or its name holds reaches
    /// the terminal as a control character, and values of variables that look like secrets are
    /// shown as `***`.
    pub fn render(&self, color: bool, ascii: bool) -> String {
        let style = if ascii { DecorStyle::Ascii } else { DecorStyle::Unicode };
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(style).term_width(WIDTH);
        let path = visible(&self.file.to_string_lossy(), ascii);
        let mut drawn = String::new();
        for flaw in &self.flaws {
            drawn.push_str(&self.draw(flaw, &path, &renderer, ascii));
            drawn.push_str("\n\n");
        }
        if self.left_out > 0 {
            drawn.push_str(&format!("and {} more\n\n", self.left_out));
        }
        drawn.push_str(&visible(&self.summary(), ascii));
        drawn.push('\n');
        drawn
    }

    fn draw(&self, flaw: &Flaw, path: &str, renderer: &Renderer, ascii: bool) -> String {
        let related = flaw.related.iter().map(|related| &related.place);
        let shown = Excerpt::of(self, std::iter::once(&flaw.place).chain(related), ascii);
        let mut snippet = Snippet::source(shown.text.as_str())
            .line_start(shown.first_line)
            .path(path)
            .annotation(AnnotationKind::Primary.span(shown.span(&flaw.place)));
        for related in &flaw.related {
            let label = visible(&related.label, ascii);
            let span = shown.span(&related.place);
            snippet = snippet.annotation(AnnotationKind::Context.span(span).label(label));
        }
        let level = if self.harmless { Level::WARNING } else { Level::ERROR };
        let title = level.primary_title(visible(&flaw.problem, ascii)).id(flaw.code.as_str());
        let mut group = title.element(snippet);
        if !flaw.remedy.is_empty() {
            group = group.element(Level::HELP.message(visible(&flaw.remedy, ascii)));
        }
        renderer.render(&[group])
    }
}

/// The lines of a file from the first place to the last, made safe to show.
struct Excerpt {
    text: String,
    first_line: usize,
    /// For each byte of the file from `start`: where it is in `text`.
    moved: Vec<usize>,
    start: usize,
}

impl Excerpt {
    fn of<'a>(flaws: &Flaws, places: impl Iterator<Item = &'a Place>, ascii: bool) -> Excerpt {
        let file = flaws.text.as_str();
        let (mut start, mut end, mut first_line) = (file.len(), 0, usize::MAX);
        for place in places {
            let from = place.span.start.min(file.len());
            let line = file.get(..from).and_then(|before| before.rfind('\n'));
            start = start.min(line.map_or(0, |at| at + 1));
            end = end.max(
                file.get(from..)
                    .and_then(|after| after.find('\n'))
                    .map_or(file.len(), |at| from + at),
            );
            first_line = first_line.min(place.line);
        }
        let lines = file.get(start..end).unwrap_or("");
        let mut excerpt = Excerpt {
            text: String::new(),
            first_line,
            moved: Vec::with_capacity(lines.len()),
            start,
        };
        for line in lines.split_inclusive('\n') {
            excerpt.add(line, &flaws.secret_names, ascii);
        }
        excerpt
    }

    /// Adds one line, which may end with its line break.
    fn add(&mut self, line: &str, named: &[Pattern], ascii: bool) {
        let mut hidden = secret::values(line, named).into_iter().peekable();
        for (at, c) in line.char_indices() {
            let here = self.text.len();
            self.moved.extend(std::iter::repeat_n(here, c.len_utf8()));
            while hidden.next_if(|value| value.end <= at).is_some() {}
            match hidden.peek() {
                Some(value) if value.start == at => self.text.push_str("***"),
                Some(value) if value.contains(&at) => {}
                _ if c == '\n' => self.text.push('\n'),
                _ if at > LINE_MAX => {}
                _ if c == '\t' => self.text.push(' '),
                _ if c == '\r' && line.get(at..).is_some_and(|rest| rest.trim_end().is_empty()) => {
                }
                _ => push(&mut self.text, c, ascii),
            }
        }
    }

    /// Where the first line of a place is in the excerpt.
    fn span(&self, place: &Place) -> std::ops::Range<usize> {
        let Bytes { start, end } = place.span;
        let moved = |at: usize| {
            self.moved.get(at.saturating_sub(self.start)).copied().unwrap_or(self.text.len())
        };
        let (from, to) = (moved(start), moved(end).max(moved(start)));
        let line_end = self.text.get(from..to).and_then(|text| text.find('\n'));
        from..line_end.map_or(to, |length| from + length)
    }
}
