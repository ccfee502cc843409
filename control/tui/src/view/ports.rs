//! Queues of the ports: one row for each queue of each worker.

use ze_proto::v1::{LinkState, PortState};

use crate::app::Shown;
use crate::rates::{QueueRates, Rates};
use crate::theme::Theme;
use crate::units;
use crate::view::bar::bar;
use crate::view::grid::{Cell, Column, Grid};

const COLUMNS: &[Column] = &[
    Column::text("PORT:QUEUE", 12, 0),
    Column::text("STATE", 7, 1),
    Column::number("RX pps", 8, 0),
    Column::number("RX bit/s", 8, 2),
    Column::number("TX pps", 8, 0),
    Column::number("TX bit/s", 8, 2),
    Column::text("FILL", 6, 3),
    Column::text("TX", 6, 3),
    Column::number("STARVED", 8, 1),
    Column::number("TX FULL", 8, 4),
    Column::number("ERRORS", 7, 6),
    Column::number("WORKER", 6, 7),
    Column::text("MODE", 18, 8),
];

pub(crate) fn grid(shown: &Shown, rates: &Rates, theme: Theme) -> Grid {
    let mut rows = Vec::new();
    for port in &shown.stats.ports {
        let before = rows.len();
        for worker in &rates.workers {
            for queue in worker.queues.iter().filter(|q| q.port == port.name) {
                rows.push(row(port, worker.worker, queue, theme));
            }
        }
        if rows.len() == before {
            rows.push(without_queues(port, theme));
        }
    }
    Grid { columns: COLUMNS, rows, empty: "no ports" }
}

fn row(port: &PortState, worker: u32, queue: &QueueRates, theme: Theme) -> Vec<Cell> {
    let level = |frames: u64| {
        if queue.ring_size_frames == 0 { 0.0 } else { frames as f64 / queue.ring_size_frames as f64 }
    };
    let (fill, tx) = (level(queue.fill_level_frames), level(queue.tx_level_frames));
    vec![
        Cell::plain(format!("{}:{}", port.name, queue.queue)),
        state(port, theme),
        Cell::styled(units::rate(queue.rx_packets_per_s), theme.receive()),
        Cell::styled(units::rate(queue.rx_bits_per_s), theme.receive()),
        Cell::styled(units::rate(queue.tx_packets_per_s), theme.send()),
        Cell::styled(units::rate(queue.tx_bits_per_s), theme.send()),
        // A fill ring is well when it is full, a transmit ring when it is empty.
        Cell::styled(bar(fill, 6), theme.load(1.0 - fill)),
        Cell::styled(bar(tx, 6), theme.load(tx)),
        trouble(queue.fill_starved_per_s, queue.fill_starved, theme),
        trouble(queue.tx_ring_full_per_s, queue.tx_ring_full, theme),
        trouble(queue.errors_per_s, queue.errors, theme),
        Cell::plain(worker.to_string()),
        Cell::styled(mode(port, queue.queue), theme.dim()),
    ]
}

fn without_queues(port: &PortState, theme: Theme) -> Vec<Cell> {
    let mut cells = vec![Cell::plain(""); COLUMNS.len()];
    for (cell, content) in cells.iter_mut().zip([Cell::plain(&port.name), state(port, theme)]) {
        *cell = content;
    }
    cells
}

/// The rate while it happens, else what was counted since start.
fn trouble(per_s: f64, since_start: u64, theme: Theme) -> Cell {
    match since_start {
        0 => Cell::styled("0", theme.dim()),
        _ if per_s > 0.0 => Cell::styled(format!("{}/s", units::rate(per_s)), theme.bad()),
        _ => Cell::plain(units::count(since_start)),
    }
}

fn mode(port: &PortState, queue: u32) -> String {
    let bind = port.bind_modes.get(queue as usize).map_or("", String::as_str);
    [port.attach_mode.as_str(), bind].into_iter().filter(|m| !m.is_empty()).collect::<Vec<_>>().join(" ")
}

pub(crate) fn link_cell(state: LinkState, theme: Theme) -> Cell {
    match state {
        LinkState::Up => Cell::styled("up", theme.good()),
        LinkState::Down => Cell::styled("down", theme.warning()),
        LinkState::Missing => Cell::styled("missing", theme.bad()),
        LinkState::Failed => Cell::styled("failed", theme.bad()),
        LinkState::Unspecified => Cell::styled("-", theme.dim()),
    }
}

fn state(port: &PortState, theme: Theme) -> Cell {
    link_cell(port.state(), theme)
}
