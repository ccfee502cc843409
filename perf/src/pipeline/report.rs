//! What was measured, as JSON and as a table.

use std::fmt;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;
use ze_graph::WorkerCounters;
use ze_nodes::Graph;

use super::random::SEED;
use super::routes::Source;
use super::traffic::Pattern;
use super::{Bench, Run};
use crate::args::Scenario;
use crate::machine::Machine;
use crate::stats::{Summary, median, rounded};

/// Runs on a quiet machine differ by less: what disturbs more is told.
const QUIET_SPREAD: f64 = 0.05;

/// A report. Its JSON form is described by `ze-perf pipeline --help`.
#[derive(Debug, Serialize)]
pub struct Report {
    scenario: Scenario,
    parameters: Parameters,
    cycles_per_packet: Summary,
    baseline_cycles_per_packet: f64,
    mpps: f64,
    nodes: Vec<NodeCost>,
    runs: usize,
    machine: Machine,
    gross_cycles_per_packet: Summary,
    gross_mpps: f64,
    ns_per_packet: f64,
    rest_cycles_per_packet: f64,
    spread: f64,
    batch_fill: f64,
    table_bytes: u64,
    verified_packets: usize,
    conservation: Conservation,
    measurements: Vec<Measurement>,
}

#[derive(Debug, Serialize)]
struct Parameters {
    routes: usize,
    table: Option<String>,
    default_route_added: bool,
    pattern: Pattern,
    flows: usize,
    /// A number, or "imix".
    size: Value,
    batch: usize,
    seconds: f64,
    core: usize,
    seed: u64,
}

#[derive(Debug, Serialize)]
struct NodeCost {
    name: &'static str,
    cycles_per_packet: f64,
}

/// The terms of the law, all runs of the graph together.
#[derive(Debug, Default, Serialize)]
struct Conservation {
    rx: u64,
    inject: u64,
    generated: u64,
    handoff_in: u64,
    tx: u64,
    drop: u64,
    punt: u64,
    held: u64,
    handoff_out: u64,
    holds: bool,
}

/// One run, cycles per packet with nothing subtracted.
#[derive(Debug, Serialize)]
struct Measurement {
    gross: f64,
    baseline: f64,
    quartiles: [f64; 2],
    mean: f64,
    slices: usize,
    packets: u64,
}

impl Report {
    pub(super) fn new(
        bench: &Bench,
        runs: &[Run],
        machine: Machine,
        counters: Option<&WorkerCounters>,
    ) -> Result<Self> {
        let measured = || runs.iter().map(|run| run.graph.as_ref().unwrap_or(&run.baseline));
        let gross = Summary::of(measured().map(|m| m.cycles).collect()).context("no run")?;
        let baseline = median(runs.iter().map(|run| run.baseline.cycles).collect()).context("no run")?;
        // The baseline is not subtracted from itself.
        let net = if counters.is_some() { gross.map(|cycles| cycles - baseline) } else { gross };
        let mpps = |cycles: f64| rounded(machine.tsc_hz as f64 / cycles / 1e6);
        let nodes = nodes(runs);
        let in_nodes: f64 = nodes.iter().map(|node| node.cycles_per_packet).sum();
        let fills: Vec<_> = measured().filter_map(|m| m.batch_fill).collect();
        let verified = |run: &Run| run.baseline.verified + run.graph.as_ref().map_or(0, |m| m.verified);
        Ok(Self {
            scenario: bench.options.scenario,
            parameters: Parameters::of(bench),
            cycles_per_packet: net.map(rounded),
            baseline_cycles_per_packet: rounded(baseline),
            mpps: mpps(net.median),
            nodes,
            runs: runs.len(),
            gross_cycles_per_packet: gross.map(rounded),
            gross_mpps: mpps(gross.median),
            ns_per_packet: rounded(net.median * 1e9 / machine.tsc_hz as f64),
            rest_cycles_per_packet: if counters.is_some() { rounded(net.median - in_nodes) } else { 0.0 },
            spread: rounded(net.spread()),
            batch_fill: rounded(median(fills).unwrap_or(bench.options.batch as f64)),
            table_bytes: bench.table_bytes,
            verified_packets: runs.iter().map(verified).sum(),
            conservation: counters.map_or_else(Conservation::default, Conservation::of),
            measurements: runs.iter().map(Measurement::of).collect(),
            machine,
        })
    }
}

impl Parameters {
    fn of(bench: &Bench) -> Self {
        let options = &bench.options;
        let size = options.sizes.to_string();
        Self {
            routes: bench.routes,
            table: match &options.routes {
                Source::Synthetic(_) => None,
                Source::File(path) => Some(path.display().to_string()),
            },
            default_route_added: bench.has_added_default,
            pattern: options.pattern,
            flows: options.flows,
            size: size.parse::<u64>().map_or(Value::String(size), Value::from),
            batch: options.batch,
            seconds: options.seconds,
            core: options.core,
            seed: SEED,
        }
    }
}

impl Conservation {
    fn of(counters: &WorkerCounters) -> Self {
        let law = &counters.law;
        let (from, to) = law.sides();
        Self {
            rx: law.rx.get(),
            inject: law.inject.get(),
            generated: law.generated.get(),
            handoff_in: law.handoff_in.get(),
            tx: law.tx.get(),
            drop: law.drop.get(),
            punt: law.punt.get(),
            held: law.held.get(),
            handoff_out: law.handoff_out.get(),
            holds: from == to,
        }
    }
}

impl Measurement {
    fn of(run: &Run) -> Self {
        let measured = run.graph.as_ref().unwrap_or(&run.baseline);
        Self {
            gross: rounded(measured.cycles),
            baseline: rounded(run.baseline.cycles),
            quartiles: measured.quartiles.map(rounded),
            mean: rounded(measured.mean),
            slices: measured.slices,
            packets: measured.packets,
        }
    }
}

/// The nodes that packets went through, in their order.
fn nodes(runs: &[Run]) -> Vec<NodeCost> {
    let cost = |at: usize| {
        median(runs.iter().filter_map(|run| run.graph.as_ref()?.nodes.get(at).copied()).collect())
    };
    let all = Graph::descriptions().iter().enumerate();
    all.filter_map(|(at, (name, _))| {
        let cycles = cost(at).filter(|cycles| *cycles > 0.0)?;
        Some(NodeCost { name, cycles_per_packet: rounded(cycles) })
    })
    .collect()
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let p = &self.parameters;
        let name = serde_json::to_value(self.scenario).unwrap_or_default();
        let routes = p.table.as_ref().map_or_else(String::new, |table| format!(" ({table})"));
        let pattern = serde_json::to_value(p.pattern).unwrap_or_default();
        writeln!(
            out,
            "{}: {} routes{routes}, {} destinations, {} flows, {} bytes, batches of {}",
            name.as_str().unwrap_or_default(),
            p.routes,
            pattern.as_str().unwrap_or_default(),
            p.flows,
            p.size.as_str().map_or_else(|| p.size.to_string(), str::to_owned),
            p.batch
        )?;
        self.machine_line(out)?;
        writeln!(out, "\n{:24}{:>9}{:>9}{:>9}{:>10}", "cycles per packet", "min", "median", "max", "Mpps")?;
        let line = |out: &mut fmt::Formatter<'_>, name: &str, s: &Summary, mpps: f64| {
            writeln!(out, "{name:24}{:9.1}{:9.1}{:9.1}{mpps:10.2}", s.min, s.median, s.max)
        };
        if self.conservation.holds {
            line(out, "graph", &self.cycles_per_packet, self.mpps)?;
        }
        line(
            out,
            if self.conservation.holds { "with the harness" } else { "baseline" },
            &self.gross_cycles_per_packet,
            self.gross_mpps,
        )?;
        self.node_lines(out)?;
        let bounds = |values: Vec<f64>| Summary::of(values).map_or((0.0, 0.0), |s| (s.min, s.max));
        let (low, high) = bounds(self.measurements.iter().map(|m| m.mean).collect());
        writeln!(
            out,
            "\n{} runs of {} s, spread {:.1} %; means over whole runs {low:.1} to {high:.1} (whatever else the core did)",
            self.runs,
            p.seconds,
            self.spread * 100.0
        )?;
        if self.spread > QUIET_SPREAD {
            writeln!(
                out,
                "noisy: the machine was not quiet, and the smallest figure is nearest to the truth"
            )?;
        }
        writeln!(
            out,
            "{:.1} ns per packet; batches of {:.1}; {} packets verified byte by byte",
            self.ns_per_packet, self.batch_fill, self.verified_packets
        )?;
        if self.conservation.holds {
            let c = &self.conservation;
            writeln!(out, "conserved: {} received, {} sent, {} dropped", c.rx, c.tx, c.drop)?;
        }
        Ok(())
    }
}

impl Report {
    fn machine_line(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let m = &self.machine;
        let unknown = || "unknown".to_owned();
        writeln!(
            out,
            "{}, {} cores, TSC {:.3} GHz, Linux {}, governor {}, {}, load {}, revision {}",
            m.cpu.clone().unwrap_or_else(unknown),
            m.cores,
            m.tsc_hz as f64 / 1e9,
            m.kernel.clone().unwrap_or_else(unknown),
            m.governor.clone().unwrap_or_else(unknown),
            m.huge_pages,
            m.load_average.map_or_else(unknown, |load| load.to_string()),
            m.git_revision.unwrap_or("unknown"),
        )
    }

    fn node_lines(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes.is_empty() {
            return Ok(());
        }
        writeln!(out, "\n{:24}{:>18}", "of which", "median")?;
        for node in &self.nodes {
            writeln!(out, "  {:22}{:18.1}", node.name, node.cycles_per_packet)?;
        }
        writeln!(out, "  {:22}{:18.1}", "worker and queues", self.rest_cycles_per_packet)?;
        writeln!(out, "{:24}{:18.1}", "harness (baseline)", self.baseline_cycles_per_packet)
    }
}
