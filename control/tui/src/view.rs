//! Draws the screen. Pure: the state in, cells out; any size of terminal, down to one cell.

mod bar;
mod drops;
mod frame;
mod grid;
mod help;
mod interfaces;
mod nodes;
mod ports;
#[cfg(test)]
mod tests;
mod workers;

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::app::{App, Shown, View};
use crate::rates::Rates;
use crate::theme::Theme;

pub use bar::bar;
pub use grid::{Cell, Column, Grid};

/// Draws everything.
pub fn draw(screen: &mut Frame<'_>, app: &App, theme: Theme, now: Instant) {
    let area = screen.area();
    let body = frame::draw(screen, area, app, theme, now);
    match &app.shown {
        Some(shown) => draw_view(screen, body, app, shown, theme),
        None => frame::placeholder(screen, body, app, theme),
    }
    if app.help {
        help::draw(screen, area, theme);
    }
}

fn draw_view(screen: &mut Frame<'_>, area: Rect, app: &App, shown: &Shown, theme: Theme) {
    let Some(rates) = &shown.rates else {
        screen
            .render_widget(Line::styled("first sample taken, rates with the next one …", theme.dim()), area);
        return;
    };
    match app.view {
        View::Workers => workers::draw(screen, area, app, rates, theme),
        View::Nodes => nodes::grid(app, rates, theme).draw(screen, area, app.scroll, theme),
        View::Ports => ports::grid(shown, rates, theme).draw(screen, area, app.scroll, theme),
        View::Drops => drops::draw(screen, area, app, shown, rates, theme),
        View::Interfaces => interfaces::grid(shown, rates, theme).draw(screen, area, app.scroll, theme),
    }
}

/// Lines that the current view has to scroll through.
pub fn lines(app: &App) -> usize {
    let theme = Theme { color: false };
    let Some((shown, rates)) = app.shown.as_ref().and_then(|s| Some((s, s.rates.as_ref()?))) else {
        return 0;
    };
    match app.view {
        View::Workers => rates.workers.len(),
        View::Nodes => nodes::grid(app, rates, theme).rows.len(),
        View::Ports => ports::grid(shown, rates, theme).rows.len(),
        View::Drops => drops::grid(shown, rates, theme).rows.len(),
        View::Interfaces => interfaces::grid(shown, rates, theme).rows.len(),
    }
}

/// A figure that may not be there.
fn maybe(value: Option<f64>, text: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), text)
}

/// Drops of workers; those of the XDP program are the ports' own.
fn drop_rate(rates: &Rates) -> f64 {
    rates.total(|w| w.drop_packets_per_s)
}
