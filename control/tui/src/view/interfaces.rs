//! Interfaces.

use crate::app::Shown;
use crate::rates::{InterfaceRates, Rates};
use crate::theme::Theme;
use crate::units;
use crate::view::grid::{Cell, Column, Grid};
use crate::view::ports::link_cell;

const COLUMNS: &[Column] = &[
    Column::text("INTERFACE", 15, 0),
    Column::text("STATE", 7, 1),
    Column::number("RX pps", 8, 0),
    Column::number("RX bit/s", 8, 2),
    Column::number("TX pps", 8, 0),
    Column::number("TX bit/s", 8, 2),
    Column::number("PUNT/S", 7, 3),
    Column::number("INJECT/S", 8, 4),
];

pub(crate) fn grid(shown: &Shown, rates: &Rates, theme: Theme) -> Grid {
    let states = shown.stats.interfaces.iter();
    let rows = states.zip(&rates.interfaces).map(|(state, now)| {
        let down = state.interface.as_ref().is_some_and(|i| i.admin_down);
        let state = if down { Cell::styled("off", theme.dim()) } else { link_cell(state.state(), theme) };
        row(state, now, theme)
    });
    Grid { columns: COLUMNS, rows: rows.collect(), empty: "no interfaces" }
}

fn row(state: Cell, now: &InterfaceRates, theme: Theme) -> Vec<Cell> {
    vec![
        Cell::plain(&now.interface),
        state,
        Cell::styled(units::rate(now.rx_packets_per_s), theme.receive()),
        Cell::styled(units::rate(now.rx_bits_per_s), theme.receive()),
        Cell::styled(units::rate(now.tx_packets_per_s), theme.send()),
        Cell::styled(units::rate(now.tx_bits_per_s), theme.send()),
        Cell::plain(units::rate(now.punt_packets_per_s)),
        Cell::plain(units::rate(now.inject_packets_per_s)),
    ]
}
