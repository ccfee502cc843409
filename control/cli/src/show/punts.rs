//! `ze show punts`.

use serde::Serialize;
use ze_graph::PuntReason;
use ze_proto::v1::{PuntStats, Stats};
use ze_tui::units;

use crate::error::Error;
use crate::output::{Page, Paint, Style};
use crate::table::{Cell, Table, left, right};
use crate::text;

/// One punt class at one worker.
#[derive(Debug, Serialize)]
struct Row {
    class: String,
    sentence: Option<String>,
    worker: Option<u32>,
    packets: u64,
    policed_packets: u64,
    rate_packets_per_s: Option<u64>,
    burst_packets: Option<u64>,
}

/// What was punted, the most first; with `all`, every class there is.
pub(super) fn page(stats: &Stats, all: bool, paint: Paint) -> Result<Page, Error> {
    let seen = |p: &&PuntStats| all || p.packets > 0 || p.policed > 0;
    let at = |worker: u32, punts: &[PuntStats]| {
        punts.iter().filter(seen).map(|p| row(worker, p)).collect::<Vec<_>>()
    };
    let mut rows: Vec<Row> = stats.workers.iter().flat_map(|w| at(w.worker, &w.punts)).collect();
    if all {
        rows.extend(never(&rows));
    }
    rows.sort_by(|a, b| {
        b.packets.cmp(&a.packets).then_with(|| (&a.class, a.worker).cmp(&(&b.class, b.worker)))
    });
    let text = if rows.is_empty() {
        "Nothing was punted since ze-fastpath started.\n".to_owned()
    } else {
        table(&rows, paint)
    };
    Page::new(&rows, text)
}

fn row(worker: u32, punt: &PuntStats) -> Row {
    Row {
        class: punt.reason.clone(),
        sentence: text::some(&punt.sentence),
        worker: Some(worker),
        packets: punt.packets,
        policed_packets: punt.policed,
        rate_packets_per_s: Some(punt.rate_pps).filter(|r| *r > 0),
        burst_packets: Some(punt.burst).filter(|b| *b > 0),
    }
}

/// The classes that this version knows and that did not happen.
fn never(rows: &[Row]) -> Vec<Row> {
    let unseen = PuntReason::ALL.iter().filter(|r| rows.iter().all(|row| row.class != r.name()));
    let row = |reason: &PuntReason| Row {
        class: reason.name().to_owned(),
        sentence: Some(reason.sentence().to_owned()),
        worker: None,
        packets: 0,
        policed_packets: 0,
        rate_packets_per_s: None,
        burst_packets: None,
    };
    unseen.map(row).collect()
}

fn table(rows: &[Row], paint: Paint) -> String {
    let mut table = Table::new(&[
        left("CLASS"),
        right("PACKETS"),
        right("POLICED"),
        right("RATE/s"),
        right("BURST"),
        left("WORKER"),
        left("MEANING"),
    ]);
    let maybe = |value: Option<u64>| Cell::from(value.map_or_else(|| "-".to_owned(), units::count));
    for row in rows {
        table.row([
            row.class.as_str().into(),
            units::count(row.packets).into(),
            Cell::trouble(row.policed_packets),
            maybe(row.rate_packets_per_s),
            maybe(row.burst_packets),
            row.worker.map_or_else(|| "-".to_owned(), |w| w.to_string()).into(),
            Cell::styled(row.sentence.as_deref().unwrap_or_default(), Style::Dim),
        ]);
    }
    table.render(paint)
}
