//! What was measured, as JSON and as a table.

use std::fmt;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ze_graph::WorkerCounters;
use ze_nodes::Graph;
use ze_pktgen::daemons::Terms;

use super::peer::PeerCost;
use super::random::SEED;
use super::routes::Source;
use super::traffic::Pattern;
use super::{Bench, Run};
use crate::args::Scenario;
use crate::history;
use crate::machine::Machine;
use crate::results::Figure;
use crate::stats::{Summary, deviation, median, rounded};

/// What marks a result of this kind.
pub(crate) const KIND: &str = "pipeline";
/// Runs on a quiet machine differ by less: what disturbs more is told.
const QUIET_SPREAD: f64 = 0.05;

/// A report. Its JSON form is described by `ze-perf pipeline --help`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are described where users read of them: by --help")]
pub struct Report {
    pub scenario: Scenario,
    pub parameters: Parameters,
    pub cycles_per_packet: Summary,
    pub baseline_cycles_per_packet: f64,
    pub mpps: f64,
    pub nodes: Vec<NodeCost>,
    pub runs: usize,
    pub machine: Machine,
    pub gross_cycles_per_packet: Summary,
    pub gross_mpps: f64,
    pub ns_per_packet: f64,
    pub rest_cycles_per_packet: f64,
    pub noise: f64,
    pub spread: f64,
    pub batch_fill: f64,
    pub table_bytes: u64,
    pub verified_packets: usize,
    pub conservation: Conservation,
    pub measurements: Vec<Measurement>,
    #[serde(default)]
    pub peers: Vec<PeerCost>,
    pub interrupted: bool,
    pub kind: String,
    pub taken_at: String,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as the options")]
pub struct Parameters {
    pub routes: usize,
    pub table: Option<String>,
    pub default_route_added: bool,
    pub pattern: Pattern,
    pub flows: usize,
    /// A number, or "imix".
    pub size: Value,
    pub batch: usize,
    pub seconds: f64,
    pub core: usize,
    pub seed: u64,
}

/// What a node costs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeCost {
    /// Its name in the graph.
    pub name: String,
    /// The median of the runs.
    pub cycles_per_packet: f64,
}

/// The terms of the law, all runs of the graph together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as in the law")]
pub struct Conservation {
    #[serde(flatten)]
    pub terms: Terms,
    pub holds: bool,
}

/// One run, cycles per packet with nothing subtracted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measurement {
    /// The median slice.
    pub gross: f64,
    /// The median slice of the baseline just before.
    pub baseline: f64,
    /// Of the slices.
    pub quartiles: [f64; 2],
    /// Over the whole run, whatever else the core did.
    pub mean: f64,
    /// How many slices.
    pub slices: usize,
    /// Packets that were measured.
    pub packets: u64,
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
            noise: rounded(noise(runs, bench.options.scenario, net.median)),
            spread: rounded(net.spread().abs()),
            batch_fill: rounded(median(fills).unwrap_or(bench.options.batch as f64)),
            table_bytes: bench.table_bytes,
            verified_packets: runs.iter().map(verified).sum(),
            conservation: counters.map_or_else(Conservation::default, Conservation::of),
            measurements: runs.iter().map(Measurement::of).collect(),
            peers: bench.peers.costs(machine.tsc_hz),
            machine,
            interrupted: runs.len() < bench.options.runs,
            kind: KIND.to_owned(),
            taken_at: history::now(),
        })
    }
}

/// The last part of a path: where a table lies does not change what it is.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// How far one run is from the next, as a share of what is reported.
fn noise(runs: &[Run], scenario: Scenario, reported: f64) -> f64 {
    let net: Vec<_> = runs.iter().map(|run| Measurement::of(run).net(scenario)).collect();
    deviation(&net).map_or(0.0, |deviation| (deviation / reported).abs())
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
        let terms = Terms::from(&*counters.law);
        Self { terms, holds: terms.imbalance() == 0 }
    }
}

impl Measurement {
    /// What the graph cost in this run: the baseline just before is subtracted, unless it is what is measured.
    #[must_use]
    pub fn net(&self, scenario: Scenario) -> f64 {
        if scenario == Scenario::Baseline { self.gross } else { self.gross - self.baseline }
    }

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
        Some(NodeCost { name: (*name).to_owned(), cycles_per_packet: rounded(cycles) })
    })
    .collect()
}

impl Report {
    /// What was measured, in a line.
    #[must_use]
    pub fn title(&self) -> String {
        let p = &self.parameters;
        let table = p.table.as_ref().map_or_else(String::new, |table| format!(" ({})", file_name(table)));
        let size = p.size.as_str().map_or_else(|| p.size.to_string(), str::to_owned);
        format!(
            "{}: {} routes{table}, {} destinations, {} flows, {size} bytes, batches of {}",
            self.scenario.name(),
            p.routes,
            p.pattern.name(),
            p.flows,
            p.batch
        )
    }
}

impl Report {
    /// What can be compared with another report of the same case.
    #[must_use]
    pub fn figure(&self) -> Figure {
        Figure {
            case: self.title(),
            unit: "cycles per packet",
            is_more_better: false,
            runs: self.measurements.iter().map(|run| run.net(self.scenario)).collect(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.title())?;
        writeln!(out, "{}", self.machine)?;
        writeln!(out, "\n{:24}{:>9}{:>9}{:>9}{:>10}", "cycles per packet", "min", "median", "max", "Mpps")?;
        let line = |out: &mut fmt::Formatter<'_>, name: &str, s: &Summary, mpps: f64| {
            writeln!(out, "{name:24}{:9.1}{:9.1}{:9.1}{mpps:10.2}", s.min, s.median, s.max)
        };
        if self.conservation.holds {
            line(out, "graph", &self.cycles_per_packet, self.mpps)?;
        }
        let gross = if self.conservation.holds { "with the harness" } else { "baseline" };
        line(out, gross, &self.gross_cycles_per_packet, self.gross_mpps)?;
        self.node_lines(out)?;
        self.peer_lines(out)?;
        self.noise_lines(out)?;
        writeln!(
            out,
            "{:.1} ns per packet; batches of {:.1}; {} packets verified byte by byte",
            self.ns_per_packet, self.batch_fill, self.verified_packets
        )?;
        if self.conservation.holds {
            let c = &self.conservation.terms;
            writeln!(out, "conserved: {} received, {} sent, {} dropped", c.rx, c.tx, c.drop)?;
        }
        Ok(())
    }
}

impl Report {
    fn noise_lines(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let means = Summary::of(self.measurements.iter().map(|m| m.mean).collect()).unwrap_or_default();
        writeln!(
            out,
            "\n{} runs of {} s{}: noise {:.1} %, spread {:.1} %; means over whole runs {:.1} to {:.1} (whatever else \
             the core did)",
            self.runs,
            self.parameters.seconds,
            if self.interrupted { ", then interrupted" } else { "" },
            self.noise * 100.0,
            self.spread * 100.0,
            means.min,
            means.max
        )?;
        if self.cycles_per_packet.median <= 0.0 {
            writeln!(out, "worthless: so much disturbed the baseline that it cost more than the graph")?;
        } else if self.spread.max(self.noise) > QUIET_SPREAD {
            writeln!(
                out,
                "noisy: the machine was not quiet, and the smallest figure is nearest to the truth"
            )?;
        }
        Ok(())
    }

    fn peer_lines(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.peers.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "\n{:24}{:>9}{:>9}{:>9}{:>10}",
            "others, their baseline off", "min", "median", "max", "Mpps"
        )?;
        for peer in &self.peers {
            match (&peer.cycles_per_packet, &peer.skipped) {
                (Some(s), _) => {
                    let (mpps, io) =
                        (peer.mpps.unwrap_or(0.0), peer.baseline_cycles_per_packet.unwrap_or(0.0));
                    let name = &peer.name;
                    writeln!(
                        out,
                        "  {name:22}{:9.1}{:9.1}{:9.1}{mpps:10.2}  (baseline {io:.1})",
                        s.min, s.median, s.max
                    )?;
                }
                (None, why) => {
                    writeln!(out, "  {:22}skipped: {}", peer.name, why.as_deref().unwrap_or("no run ended"))?
                }
            }
        }
        Ok(())
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
