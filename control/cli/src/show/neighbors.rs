//! `ze show neighbors`.

use std::time::Duration;

use serde::Serialize;
use ze_proto::v1::NeighborEntry;
use ze_tui::units;

use crate::error::Error;
use crate::output::{Page, Paint, Style};
use crate::table::{Cell, Table, left, right};
use crate::text;

/// One neighbour.
#[derive(Debug, Serialize)]
struct Row<'a> {
    interface: &'a str,
    address: Option<String>,
    mac: Option<String>,
    state: &'a str,
    age_ms: u64,
    held_packets: u32,
    owner: Option<String>,
}

/// Neighbours in the order of interface and address.
pub(super) fn page(entries: &[NeighborEntry], paint: Paint) -> Result<Page, Error> {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by_key(|e| (&e.interface, e.address.len(), &e.address));
    let rows: Vec<Row<'_>> = sorted.into_iter().map(row).collect();
    let text = if rows.is_empty() { "No neighbours are known.\n".to_owned() } else { table(&rows, paint) };
    Page::new(&rows, text)
}

fn row(entry: &NeighborEntry) -> Row<'_> {
    Row {
        interface: &entry.interface,
        address: text::address(&entry.address),
        mac: text::mac(&entry.mac),
        state: &entry.state,
        age_ms: entry.age_ms,
        held_packets: entry.held,
        owner: text::some(&entry.owner),
    }
}

fn table(rows: &[Row<'_>], paint: Paint) -> String {
    let mut table = Table::new(&[
        left("INTERFACE"),
        left("ADDRESS"),
        left("MAC"),
        left("STATE"),
        right("SINCE"),
        right("HELD"),
        left("OWNER"),
    ]);
    for row in rows {
        table.row([
            row.interface.into(),
            text::dash(row.address.as_deref()).into(),
            text::dash(row.mac.as_deref()).into(),
            state(row.state),
            units::duration(Duration::from_millis(row.age_ms)).into(),
            Cell::trouble(row.held_packets.into()),
            row.owner.as_deref().unwrap_or("learned").into(),
        ]);
    }
    table.render(paint)
}

fn state(state: &str) -> Cell {
    let style = match state {
        "reachable" | "permanent" => Style::Good,
        "incomplete" => Style::Warning,
        "failed" => Style::Bad,
        _ => Style::Plain,
    };
    Cell::styled(state, style)
}
