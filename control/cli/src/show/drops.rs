//! `ze show drops`.

use serde::Serialize;
use ze_graph::DropReason;
use ze_proto::v1::Stats;

use crate::error::Error;
use crate::output::{Page, Paint, Style};
use crate::table::{Cell, Table, left, right};
use crate::text;

/// The XDP counter of frames that went on to a worker.
const REDIRECTED: &str = "redirected";

/// One reason at one place.
#[derive(Debug, Serialize)]
struct Row {
    reason: String,
    sentence: Option<String>,
    port: Option<String>,
    /// None: at the XDP program, before any worker saw it.
    worker: Option<u32>,
    packets: u64,
}

/// What was dropped, the most first; with `all`, every reason there is.
pub(super) fn page(stats: &Stats, all: bool, paint: Paint) -> Result<Page, Error> {
    let mut rows: Vec<Row> = at_workers(stats).chain(at_programs(stats, all)).collect();
    if all {
        rows.extend(never(&rows));
    }
    rows.sort_by(|a, b| {
        b.packets.cmp(&a.packets).then_with(|| (&a.reason, &a.port).cmp(&(&b.reason, &b.port)))
    });
    let text = if rows.is_empty() {
        "Nothing was dropped since ze-fastpath started.\n".to_owned()
    } else {
        table(&rows, paint)
    };
    Page::new(&rows, text)
}

fn at_workers(stats: &Stats) -> impl Iterator<Item = Row> {
    stats.workers.iter().flat_map(|worker| {
        worker.drops.iter().filter(|d| d.packets > 0).map(|drop| Row {
            reason: drop.reason.clone(),
            sentence: text::some(&drop.sentence),
            port: text::some(&drop.port),
            worker: Some(worker.worker),
            packets: drop.packets,
        })
    })
}

fn at_programs(stats: &Stats, all: bool) -> impl Iterator<Item = Row> {
    // Frames left to the kernel are as lost for Ze as those that the program dropped.
    stats.ports.iter().flat_map(move |port| {
        port.xdp.iter().filter(move |c| c.name != REDIRECTED && (all || c.value > 0)).map(|counter| Row {
            reason: format!("xdp_{}", counter.name),
            sentence: text::some(&counter.sentence),
            port: Some(port.name.clone()),
            worker: None,
            packets: counter.value,
        })
    })
}

/// The reasons that this version knows and that did not happen.
fn never(rows: &[Row]) -> Vec<Row> {
    let unseen = DropReason::ALL.iter().filter(|r| rows.iter().all(|row| row.reason != r.name()));
    let row = |reason: &DropReason| Row {
        reason: reason.name().to_owned(),
        sentence: Some(reason.sentence().to_owned()),
        port: None,
        worker: None,
        packets: 0,
    };
    unseen.map(row).collect()
}

fn table(rows: &[Row], paint: Paint) -> String {
    let mut table =
        Table::new(&[left("REASON"), right("PACKETS"), left("PORT"), left("WORKER"), left("MEANING")]);
    for row in rows {
        let worker = row.worker.map_or_else(|| "-".to_owned(), |w| w.to_string());
        table.row([
            row.reason.as_str().into(),
            Cell::trouble(row.packets),
            text::dash(row.port.as_deref()).into(),
            worker.into(),
            Cell::styled(row.sentence.as_deref().unwrap_or_default(), Style::Dim),
        ]);
    }
    table.render(paint)
}
