//! Drops by reason and port.

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::app::{App, Shown};
use crate::rates::{DropRates, Rates};
use crate::theme::Theme;
use crate::units;
use crate::view::grid::{Cell, Column, Grid};

const COLUMNS: &[Column] = &[
    Column::text("REASON", 22, 0),
    Column::text("PORT", 10, 1),
    Column::number("RATE/S", 8, 0),
    Column::number("PACKETS", 9, 1),
    Column::text("WHAT IT MEANS", 24, 2),
];

pub(crate) fn draw(
    screen: &mut Frame<'_>,
    area: Rect,
    app: &App,
    shown: &Shown,
    rates: &Rates,
    theme: Theme,
) {
    grid(shown, rates, theme).draw(screen, area, app.scroll, theme);
}

pub(crate) fn grid(shown: &Shown, rates: &Rates, theme: Theme) -> Grid {
    let mut rows: Vec<_> = rates.drops.iter().map(|drop| row(drop, theme)).collect();
    rows.extend(at_the_program(shown, theme));
    Grid { columns: COLUMNS, rows, empty: "nothing was dropped since the start" }
}

fn row(drop: &DropRates, theme: Theme) -> Vec<Cell> {
    let now = drop.packets_per_s > 0.0;
    vec![
        Cell::plain(&drop.reason),
        Cell::plain(&drop.port),
        Cell::styled(units::rate(drop.packets_per_s), if now { theme.warning() } else { theme.dim() }),
        Cell::plain(units::count(drop.packets)),
        Cell::styled(&drop.sentence, theme.dim()),
    ]
}

/// What the XDP program did not give to a worker. Its counters have no rate here.
fn at_the_program(shown: &Shown, theme: Theme) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for port in &shown.stats.ports {
        for counter in port.xdp.iter().filter(|c| c.value > 0 && c.name != "redirected") {
            rows.push(vec![
                Cell::plain(format!("xdp {}", counter.name)),
                Cell::plain(&port.name),
                Cell::styled("", theme.dim()),
                Cell::plain(units::count(counter.value)),
                Cell::styled(&counter.sentence, theme.dim()),
            ]);
        }
    }
    rows
}
