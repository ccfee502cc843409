//! `ze show counters`: exact numbers of every node, and the conservation law.

use serde::Serialize;
use ze_proto::v1::{LawTerms, NamedCounter, NodeStats, Stats, WorkerStats};
use ze_tui::rates::{Law, Verdict};
use ze_tui::units;

use crate::error::Error;
use crate::output::{Page, Paint, Style};
use crate::table::{Cell, Table, left, right};

/// Everything.
#[derive(Debug, Serialize)]
struct Counters<'a> {
    workers: Vec<Worker<'a>>,
    control: Vec<Count<'a>>,
}

/// One worker.
#[derive(Debug, Serialize)]
struct Worker<'a> {
    worker: u32,
    core: u32,
    rounds: u64,
    idle_rounds: u64,
    busy_cycles: u64,
    idle_cycles: u64,
    sleeps: u64,
    batches: u64,
    trace_lost_records: u64,
    nodes: Vec<Node<'a>>,
    law: LawRow,
}

/// One node.
#[derive(Debug, Serialize)]
struct Node<'a> {
    node: &'a str,
    packets: u64,
    batches: u64,
    cycles: u64,
    packets_per_batch: Option<f64>,
    cycles_per_packet: Option<f64>,
    exits: Vec<Exit<'a>>,
}

/// A counter with a name.
#[derive(Debug, Serialize)]
struct Exit<'a> {
    name: &'a str,
    packets: u64,
}

/// A counter of the control thread; its name says what is counted.
#[derive(Debug, Serialize)]
struct Count<'a> {
    name: &'a str,
    count: u64,
}

/// The law, term by term.

#[derive(Debug, Serialize)]
struct LawRow {
    #[serde(rename = "rx_packets")]
    rx: u64,
    #[serde(rename = "inject_packets")]
    inject: u64,
    #[serde(rename = "generated_packets")]
    generated: u64,
    #[serde(rename = "handoff_in_packets")]
    handoff_in: u64,
    #[serde(rename = "tx_packets")]
    tx: u64,
    #[serde(rename = "drop_packets")]
    drop: u64,
    #[serde(rename = "punt_packets")]
    punt: u64,
    #[serde(rename = "held_packets")]
    held: u64,
    #[serde(rename = "handoff_out_packets")]
    handoff_out: u64,
    #[serde(flatten)]
    law: Law,
}

/// Counters of all workers, or of one. `older` is a sample from before, to judge the law by.
///
/// # Errors
/// When there is no such worker.
pub(super) fn page(
    stats: &Stats,
    only: Option<u32>,
    older: Option<&Stats>,
    paint: Paint,
) -> Result<Page, Error> {
    let before =
        |number| older.and_then(|s| s.workers.iter().find(|w| w.worker == number)).and_then(|w| w.law);
    let chosen = stats.workers.iter().filter(|w| only.is_none_or(|n| n == w.worker));
    let mut workers: Vec<_> = chosen.map(|w| worker(w, before(w.worker))).collect();
    if let (Some(number), true) = (only, workers.is_empty()) {
        return Err(Error::new(format!("there is no worker {number}"), "`ze show workers` lists them."));
    }
    workers.sort_by_key(|w| w.worker);
    let counters = Counters {
        workers,
        control: stats.control.iter().map(|c| Count { name: &c.name, count: c.value }).collect(),
    };
    let text = if counters.workers.is_empty() {
        "There are no workers.\n".to_owned()
    } else {
        render(&counters, paint)
    };
    Page::new(&counters, text)
}

fn worker(stats: &WorkerStats, before: Option<LawTerms>) -> Worker<'_> {
    let law = stats.law.unwrap_or_default();
    Worker {
        worker: stats.worker,
        core: stats.core,
        rounds: stats.rounds,
        idle_rounds: stats.idle_rounds,
        busy_cycles: stats.busy_cycles,
        idle_cycles: stats.idle_cycles,
        sleeps: stats.sleeps,
        batches: stats.batches,
        trace_lost_records: stats.trace_lost,
        nodes: stats.nodes.iter().map(node).collect(),
        law: law_row(&law, &before.unwrap_or(law)),
    }
}

fn node(stats: &NodeStats) -> Node<'_> {
    let ratio = |dividend: u64, divisor: u64| (divisor > 0).then(|| dividend as f64 / divisor as f64);
    Node {
        node: &stats.name,
        packets: stats.packets,
        batches: stats.batches,
        cycles: stats.cycles,
        packets_per_batch: ratio(stats.packets, stats.batches),
        cycles_per_packet: ratio(stats.cycles, stats.packets),
        exits: stats.exits.iter().map(exit).collect(),
    }
}

fn exit(counter: &NamedCounter) -> Exit<'_> {
    Exit { name: &counter.name, packets: counter.value }
}

fn law_row(law: &LawTerms, older: &LawTerms) -> LawRow {
    LawRow {
        rx: law.rx,
        inject: law.inject,
        generated: law.generated,
        handoff_in: law.handoff_in,
        tx: law.tx,
        drop: law.drop,
        punt: law.punt,
        held: law.held,
        handoff_out: law.handoff_out,
        law: Law::between(older, law),
    }
}

fn render(counters: &Counters<'_>, paint: Paint) -> String {
    let mut text = String::new();
    for worker in &counters.workers {
        text += &paint.paint(Style::Heading, &format!("Worker {} on core {}", worker.worker, worker.core));
        text += &format!(
            "  {} rounds, {} of them idle; {} batches; slept {} times\n",
            units::count(worker.rounds),
            units::count(worker.idle_rounds),
            units::count(worker.batches),
            units::count(worker.sleeps)
        );
        text += &nodes(&worker.nodes, paint);
        text += &law(&worker.law, paint);
        text.push('\n');
    }
    if !counters.control.is_empty() {
        let mut table = Table::new(&[left("CONTROL THREAD"), right("COUNT")]);
        counters.control.iter().for_each(|c| table.row([c.name.into(), units::count(c.count).into()]));
        text += &table.render(paint);
    }
    text.trim_end().to_owned() + "\n"
}

fn nodes(nodes: &[Node<'_>], paint: Paint) -> String {
    let mut table = Table::new(&[
        left("NODE"),
        right("PACKETS"),
        right("BATCHES"),
        right("PKT/BATCH"),
        right("CYC/PKT"),
        left("LEFT BY"),
    ]);
    let maybe =
        |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"));
    for node in nodes {
        let used = node.exits.iter().filter(|e| e.packets > 0);
        let exits: Vec<_> = used.map(|e| format!("{} {}", e.name, units::count(e.packets))).collect();
        table.row([
            node.node.into(),
            units::count(node.packets).into(),
            units::count(node.batches).into(),
            maybe(node.packets_per_batch, 1).into(),
            maybe(node.cycles_per_packet, 0).into(),
            Cell::styled(exits.join(", "), Style::Dim),
        ]);
    }
    table.render(paint)
}

/// Both sides as sums that can be checked by hand; terms that are 0 are left out.
fn law(row: &LawRow, paint: Paint) -> String {
    let sum = |terms: &[(&str, u64)]| {
        let used: Vec<_> = terms
            .iter()
            .filter(|t| t.1 > 0)
            .map(|(name, value)| format!("{name} {}", units::separated(*value)))
            .collect();
        if used.is_empty() { "0".to_owned() } else { used.join(" + ") }
    };
    let came = sum(&[
        ("rx", row.rx),
        ("inject", row.inject),
        ("generated", row.generated),
        ("handoff_in", row.handoff_in),
    ]);
    let went = sum(&[
        ("tx", row.tx),
        ("drop", row.drop),
        ("punt", row.punt),
        ("held", row.held),
        ("handoff_out", row.handoff_out),
    ]);
    let words = match row.law.verdict {
        Verdict::Holds => paint.paint(Style::Good, "Every packet is accounted for."),
        Verdict::InFlight => {
            let packets = units::plural(row.law.difference().unsigned_abs(), "packet");
            paint.paint(Style::Good, &format!("Every packet is accounted for, {packets} in flight."))
        }
        Verdict::Broken => paint.paint(
            Style::Bad,
            &format!("BROKEN by {}: a defect of Ze, please report it.", row.law.difference()),
        ),
    };
    let (total_in, total_out) = (units::separated(row.law.in_packets), units::separated(row.law.out_packets));
    format!("in   {came} = {total_in}\nout  {went} = {total_out}\n{words}\n")
}
