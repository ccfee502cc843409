//! The walk of each packet, node by node, for people.

use std::collections::BTreeMap;
use std::time::Instant;

use ze_proto::v1::TraceEvent;

use crate::dissect;
use crate::output::{Paint, Style};
use crate::text::{clean, dash, some};

/// Columns before the headers: time, node, exit.
const NODE_WIDTH: usize = 16;
const INDENT: usize = 14;
/// Bytes in a line of a dump.
const DUMP_LINE: usize = 16;

/// Gathers the steps of packets, which come mixed because nodes take batches, and writes each packet's walk.
#[derive(Debug)]
pub struct Walks {
    verbose: bool,
    paint: Paint,
    steps: BTreeMap<u32, (Instant, Vec<TraceEvent>)>,
    begun: BTreeMap<u32, Begun>,
    lost: u64,
}

/// What was said of a packet before; a packet that was held goes on later.
#[derive(Clone, Debug, Default)]
struct Begun {
    started_ns: u64,
    layers: Vec<String>,
    tx_interface: String,
    nexthop: String,
}

impl Walks {
    /// Nothing gathered so far. `verbose` writes headers at every node, changed or not, and the bytes.
    pub const fn new(verbose: bool, paint: Paint) -> Self {
        Self { verbose, paint, steps: BTreeMap::new(), begun: BTreeMap::new(), lost: 0 }
    }

    /// Takes a step that came now.
    pub fn add(&mut self, event: TraceEvent, now: Instant) {
        self.lost = self.lost.max(event.lost);
        let (last, steps) = self.steps.entry(event.packet).or_insert_with(|| (now, Vec::new()));
        *last = now;
        steps.push(event);
    }

    /// Records lost so far.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Writes the walks gathered, in the order of packets.
    pub fn flush(&mut self) -> String {
        let all = std::mem::take(&mut self.steps);
        all.into_iter().map(|(packet, (_, steps))| self.walk(packet, &steps)).collect()
    }

    /// Writes the walks of which nothing came since `quiet`, in the order of packets; nothing without a time.
    pub fn flush_before(&mut self, quiet: Option<Instant>) -> String {
        let Some(quiet) = quiet else { return String::new() };
        let (done, going): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.steps).into_iter().partition(|(_, (last, _))| *last <= quiet);
        self.steps = going;
        done.into_iter().map(|(packet, (_, steps))| self.walk(packet, &steps)).collect()
    }

    fn walk(&mut self, packet: u32, steps: &[TraceEvent]) -> String {
        let Some(first) = steps.first() else { return String::new() };
        let fresh = !self.begun.contains_key(&packet);
        let mut begun = self
            .begun
            .remove(&packet)
            .unwrap_or_else(|| Begun { started_ns: first.at_ns, ..Begun::default() });
        let mut text = self.title(packet, first, fresh);
        for step in steps {
            text += &self.step(step, &mut begun);
        }
        self.begun.insert(packet, begun);
        text.push('\n');
        text
    }

    fn title(&self, packet: u32, first: &TraceEvent, fresh: bool) -> String {
        let from = some(&first.rx_interface).map(|i| format!(" from {}", clean(&i))).unwrap_or_default();
        let title = match fresh {
            true => format!("packet {packet}: {} bytes{from}, worker {}", first.len, first.worker),
            false => format!("packet {packet} goes on, worker {}", first.worker),
        };
        self.paint.paint(Style::Heading, &title) + "\n"
    }

    fn step(&self, step: &TraceEvent, begun: &mut Begun) -> String {
        let since = step.at_ns.saturating_sub(begun.started_ns) as f64 / 1000.0;
        let node = format!("{:<NODE_WIDTH$}", clean(&step.node));
        let mut line = format!("{since:>9.2} µs  {node} {}", self.exit(step));
        line += &self.chosen(step, begun);
        let mut text = line.trim_end().to_owned() + "\n";
        if !step.reason.is_empty() {
            text += &" ".repeat(INDENT);
            text += &self
                .paint
                .paint(Style::Warning, &format!("{}: {}", clean(&step.reason), clean(&step.sentence)));
            text.push('\n');
        }
        text + &self.headers(step, begun)
    }

    fn exit(&self, step: &TraceEvent) -> String {
        let style = match step.exit.as_str() {
            "" => return String::new(),
            "drop" => Style::Bad,
            "punt" => Style::Warning,
            _ => Style::Plain,
        };
        format!("-> {}", self.paint.paint(style, &clean(&step.exit)))
    }

    /// What the node decided: the way out and the nexthop, where they change.
    fn chosen(&self, step: &TraceEvent, begun: &mut Begun) -> String {
        let mut text = String::new();
        if step.tx_interface != begun.tx_interface {
            text += &format!("  out {}", dash(Some(&clean(&step.tx_interface))));
            begun.tx_interface.clone_from(&step.tx_interface);
        }
        if step.nexthop != begun.nexthop {
            text += &format!("  nexthop {}", dash(Some(&clean(&step.nexthop))));
            begun.nexthop.clone_from(&step.nexthop);
        }
        text
    }

    /// The headers that changed since the step before; all of them when verbose, and the bytes.
    fn headers(&self, step: &TraceEvent, begun: &mut Begun) -> String {
        let layers = dissect::layers(&step.packet_bytes);
        let shown: Vec<&str> = match self.verbose {
            true => layers.iter().map(String::as_str).collect(),
            false => layers.iter().filter(|l| !begun.layers.contains(l)).map(String::as_str).collect(),
        };
        let mut text = String::new();
        if !shown.is_empty() {
            text = format!("{:INDENT$}{}\n", "", self.paint.paint(Style::Dim, &shown.join(" · ")));
        }
        if self.verbose {
            text += &dump(&step.packet_bytes);
        }
        begun.layers = layers;
        text
    }
}

fn dump(bytes: &[u8]) -> String {
    let line = |(n, line): (usize, &[u8])| {
        let hex: Vec<_> = line.iter().map(|b| format!("{b:02x}")).collect();
        format!("{:INDENT$}{:04x}  {}\n", "", n * DUMP_LINE, hex.join(" "))
    };
    bytes.chunks(DUMP_LINE).enumerate().map(line).collect()
}
