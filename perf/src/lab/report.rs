//! What `ze-perf lab` found, as JSON and as text.

use std::fmt;

use serde::Serialize;

use super::bench::{Placement, SinkKind};
use super::search::Goal;
use super::trial::{Latency, Trial};
use crate::machine::Machine;

/// Everything that was found. The fields are described by `ze-perf lab --help`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `lab`.
    pub kind: &'static str,
    /// When it ended, UTC.
    pub taken_at: String,
    /// What was measured.
    pub dut: String,
    /// How it ran.
    pub notes: Vec<String>,
    /// What was asked for.
    pub parameters: Parameters,
    /// What it was measured on.
    pub machine: Machine,
    /// By family and size.
    pub results: Vec<CaseResult>,
    /// Ended by Ctrl-C: results are fewer, or not whole.
    pub interrupted: bool,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Parameters {
    /// How many routes the DUT has.
    pub routes: usize,
    /// Where they come from, if from files.
    pub tables: Vec<String>,
    /// How many flows.
    pub flows: u32,
    /// Queues of each device.
    pub queues: u32,
    /// The receiving end.
    pub sink: SinkKind,
    /// Whose core does whose receiving.
    pub placement: Placement,
    /// Real-time priorities?
    pub realtime: bool,
    /// The core of generator and sink.
    pub tester_core: usize,
    /// The DUT's core.
    pub dut_core: usize,
    /// What was searched for.
    pub goals: Vec<Goal>,
}

/// Of one family and size.
#[derive(Clone, Debug, Serialize)]
pub struct CaseResult {
    /// `ip4` or `ip6`.
    pub family: &'static str,
    /// As asked for: bytes, or `imix`.
    pub size: String,
    /// Mean bytes of a frame, FCS included.
    pub frame_bytes: f64,
    /// The control run: no DUT, as many packets as possible.
    pub control: Option<Trial>,
    /// As many packets as possible through the DUT.
    pub overload: Option<Trial>,
    /// Throughput, by goal.
    pub throughput: Vec<Throughput>,
    /// Latency at shares of the throughput with the most loss.
    pub latency: Vec<LatencyAt>,
    /// The longest burst without loss.
    pub back_to_back: Option<BackToBack>,
    /// All trials of the search, in their order.
    pub trials: Vec<Trial>,
}

/// What a search came to.
#[derive(Clone, Debug, Serialize)]
pub struct Throughput {
    /// `ndr` if no loss was allowed, else `pdr`.
    pub name: &'static str,
    /// The loss that was allowed.
    pub loss_ratio: f64,
    /// The highest load that was good, packets a second; none if the tester or the DUT gave none.
    pub pps: Option<f64>,
    /// The lowest load above it that was bad.
    pub upper_pps: Option<f64>,
    /// `pps` in bits a second with FCS, without preamble and gap, / 10^9.
    pub gbps: Option<f64>,
    /// How many trials it took.
    pub trials: usize,
    /// Why there is no figure: the tester is the bottleneck, or even the least load was bad.
    pub no_figure: Option<String>,
}

/// Latency at one load.
#[derive(Clone, Debug, Serialize)]
pub struct LatencyAt {
    /// Per cent of the throughput.
    pub percent: u32,
    /// Packets a second that were offered.
    pub offered_pps: f64,
    /// Share that was lost.
    pub loss_ratio: f64,
    /// The distribution.
    #[serde(flatten)]
    pub latency: Latency,
}

/// RFC 2544 §26.4, with the correction of RFC 9004 §6.5.
#[derive(Clone, Debug, Serialize)]
pub struct BackToBack {
    /// The longest bursts without loss, packets, mean of all searches.
    pub packets: f64,
    /// As many searches.
    pub searches: usize,
    /// Rate of the burst, packets a second.
    pub burst_pps: f64,
    /// How long the burst takes.
    pub burst_ms: f64,
    /// How long a burst the DUT's buffers alone would hold, what is forwarded meanwhile taken off.
    pub corrected_buffer_ms: Option<f64>,
    /// The longest burst that was tried was without loss: there may be longer ones.
    pub at_least: bool,
}

fn mpps(pps: f64) -> f64 {
    pps / 1e6
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let p = &self.parameters;
        let count = |count: u64, what| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let (routes, flows) = (count(p.routes as u64, "route"), count(p.flows.into(), "flow"));
        writeln!(out, "{}: {routes}, {flows}, {} a device", self.dut, count(p.queues.into(), "queue"))?;
        writeln!(out, "{}", self.machine)?;
        let (sink, placement) = (word(&p.sink), word(&p.placement));
        let priorities = if p.realtime { "real-time" } else { "ordinary" };
        writeln!(
            out,
            "tester on core {}, DUT on core {}, {placement}, {priorities} priorities, {sink} sink",
            p.tester_core, p.dut_core
        )?;
        self.notes.iter().try_for_each(|note| writeln!(out, "{note}"))?;
        self.results.iter().try_for_each(|case| write!(out, "\n{case}"))?;
        if self.interrupted {
            writeln!(out, "\ninterrupted: this is what there was until then")?;
        }
        Ok(())
    }
}

fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

impl fmt::Display for CaseResult {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = if self.size.parse::<u32>().is_ok() { " B" } else { "" };
        writeln!(out, "{}, {}{bytes} (mean {:.0} B)", self.family, self.size, self.frame_bytes)?;
        if let Some(control) = &self.control {
            writeln!(
                out,
                "  {:22}{:>9.3} Mpps  without a DUT; {} of {} packets lost",
                "tester",
                mpps(control.received_pps),
                control.lost,
                control.sent
            )?;
        }
        if let Some(overload) = &self.overload {
            writeln!(
                out,
                "  {:22}{:>9.3} Mpps  of {:.3} offered",
                "overload",
                mpps(overload.received_pps),
                mpps(overload.offered_pps)
            )?;
        }
        self.throughput.iter().try_for_each(|throughput| writeln!(out, "  {throughput}"))?;
        if !self.latency.is_empty() {
            writeln!(
                out,
                "  {:22}{:>9}{:>9}{:>9}{:>9}{:>9}  loss",
                "latency, µs", "p50", "p90", "p99", "p99.9", "max"
            )?;
        }
        for at in &self.latency {
            let (l, name) = (&at.latency, format!("  at {} %, {:.3} Mpps", at.percent, mpps(at.offered_pps)));
            writeln!(
                out,
                "  {name:22}{:9.1}{:9.1}{:9.1}{:9.1}{:9.1}  {:.4} %",
                l.p50_us,
                l.p90_us,
                l.p99_us,
                l.p999_us,
                l.max_us,
                at.loss_ratio * 100.0
            )?;
        }
        self.back_to_back.iter().try_for_each(|burst| writeln!(out, "  {burst}"))
    }
}

impl fmt::Display for Throughput {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{} (loss ≤ {} %)", self.name.to_uppercase(), self.loss_ratio * 100.0);
        write!(out, "{name:22}")?;
        let Some(pps) = self.pps else {
            return write!(out, "no figure: {}", self.no_figure.as_deref().unwrap_or("not finished"));
        };
        write!(out, "{:>9.3} Mpps  {:.3} Gbit/s", mpps(pps), self.gbps.unwrap_or_default())?;
        if let Some(upper) = self.upper_pps {
            write!(out, ", bad at {:.3}", mpps(upper))?;
        }
        write!(out, "; {} trials", self.trials)
    }
}

impl fmt::Display for BackToBack {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = if self.at_least { "at least " } else { "" };
        write!(
            out,
            "{:22}{least}{:.0} packets at {:.3} Mpps, {:.2} ms",
            "back-to-back",
            self.packets,
            mpps(self.burst_pps),
            self.burst_ms
        )?;
        self.corrected_buffer_ms.map_or(Ok(()), |ms| write!(out, "; buffers of {ms:.2} ms"))
    }
}
