//! What is on the screen: a pure function of the model.

mod canvas;
mod chart;
mod columns;
mod detail;
mod footer;
mod happened;
mod header;
mod layout;
mod log;
mod overlay;
mod table;

use ratatui_core::buffer::Buffer;

use super::model::Model;
use canvas::Canvas;
pub(super) use layout::layout;
pub(super) use overlay::help_end;

/// Draw the screen into `buffer`, as large as the model says.
pub(super) fn draw(model: &Model, buffer: &mut Buffer) {
    let mut canvas = Canvas::new(buffer, &model.look);
    let Some(layout) = layout(model) else {
        return header::tiny(model, &mut canvas);
    };
    header::header(model, &mut canvas);
    if let Some(area) = layout.table {
        table::table(model, area, &mut canvas);
    }
    if let Some(area) = layout.detail {
        detail::detail(model, area, &mut canvas);
    }
    if let Some(area) = layout.events {
        happened::happened(model, area, &mut canvas);
    }
    if let Some(area) = layout.log {
        log::log(model, area, &mut canvas);
    }
    footer::footer(model, &layout, &mut canvas);
    overlay::overlay(model, &mut canvas);
}
