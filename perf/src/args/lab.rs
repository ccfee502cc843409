//! Options of `ze-perf lab`.

use std::path::PathBuf;
use std::time::Duration;

use ze_pktgen::daemons::Binaries;
use ze_pktgen::traffic::{FLOWS_MAX, Sizes};

use super::values::{IpVersion, share, within};
use super::{choose_cores, conflict};
use crate::dut;
use crate::lab::search::Goal;
use crate::lab::{BenchOptions, GeneratorKind, LabOptions, Placement, SinkKind};
use crate::pipeline::routes::{SYNTHETIC_MAX, Source};

pub(super) const LAB_HELP: &str = "\
A generator and a sink on AF_XDP, two veths, and between them the device under test (DUT) in a network namespace of its
own. Generator and sink have one core, the DUT the other, soft interrupts included (--placement confined). Each packet
has a sequence number and a time stamp.

First the tester alone is measured, without a DUT; a throughput that comes near to that is the tester's, and is not
given as a figure. Then, for each family and size: what is forwarded of too much; the throughput without loss (NDR) and
with 0.5 % (PDR) by bisection (RFC 2544 §26.1, RFC 9971); latency at 10, 50 and 90 % of the PDR; the longest burst
without loss (RFC 2544 §26.4, RFC 9004). Destinations are random hosts of the routes, ports are pseudo-random
(RFC 4814). Latency is from the generator's memory to the sink's, both veths included.

A load is good when trials at it were good for more than the share 1 - exceed-ratio of --sum seconds. Real-time
priorities keep other work away from both cores; the machine should be quiet all the same. Ctrl-C ends it with what
there is, and exit code 130. Needs root.

Fields of --json:
  kind, taken_at                 \"lab\"; when it ended, UTC
  dut, notes                     what was measured, and how it ran
  parameters                     routes, tables, flows, queues, sink, placement, realtime, tester_core, dut_core, goals
  machine                        as in `ze-perf pipeline --help`
  results                        by family and size:
    family, size, frame_bytes      ip4 or ip6; as asked for; mean with FCS
    control, overload              trials at the largest rate, without and with the DUT
    throughput                     name (ndr, pdr), loss_ratio, pps, upper_pps (the bad load next to it), gbps (with
                                   FCS), trials; or pps null, and no_figure says why
    latency                        percent (of the PDR), offered_pps, loss_ratio, min_us, mean_us, p50_us, p90_us,
                                   p99_us, p999_us, max_us
    back_to_back                   packets (mean of searches), searches, burst_pps, burst_ms, corrected_buffer_ms,
                                   at_least (true: there may be longer ones)
    trials                         those of the searches: asked_pps, offered_pps, received_pps, frame_bytes, sent,
                                   received, lost, surplus, loss_ratio, reordered, duplicates, corrupt, foreign,
                                   missed_by_sink, returned, seconds, generator_late_s, generator_away_s, latency
  interrupted                    ended by Ctrl-C";

/// Options, as typed.
#[derive(Debug, clap::Args)]
pub struct LabArgs {
    /// What is measured: ze, or none (the tester alone), or a peer of `ze-perf compare`
    #[arg(long, value_name = "NAME", default_value = "ze")]
    dut: String,
    /// IPv4, IPv6
    #[arg(long, value_enum, value_name = "FAMILY,…", value_delimiter = ',', default_value = "ip4")]
    family: Vec<IpVersion>,
    /// Bytes of a frame with its FCS, 64 to 1518, or `imix`; IPv6 raises it to 78 at least
    #[arg(long, value_name = "BYTES|imix,…", value_delimiter = ',', default_value = "64,imix")]
    size: Vec<Sizes>,
    /// Routes: 1 is 198.18.0.0/15 or 2001:2::/48, more are synthetic
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(SYNTHETIC_MAX)))]
    routes: u32,
    /// Routes from a file, as for `ze-perf pipeline`; once for each family
    #[arg(long, value_name = "FILE", conflicts_with = "routes")]
    table: Vec<PathBuf>,
    /// Flows that come in turn
    #[arg(long, value_name = "N", default_value_t = 65536,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(FLOWS_MAX)))]
    flows: u32,
    /// Loss that is allowed, a share; each is searched for
    #[arg(long, value_name = "RATIO,…", value_delimiter = ',', default_value = "0,0.005", value_parser = share)]
    loss: Vec<f64>,
    /// How close the bounds are to be, a share
    #[arg(long, value_name = "RATIO", default_value = "0.01", value_parser = share)]
    width: f64,
    /// How long each trial is, seconds, 0.05 to 600
    #[arg(long, value_name = "S", default_value = "1", value_parser = within(TRIAL_MIN_S, TRIAL_MAX_S))]
    trial: f64,
    /// How long a load has to be tried, seconds [default: as long as three trials]
    #[arg(long, value_name = "S", value_parser = within(TRIAL_MIN_S, TRIAL_MAX_S))]
    sum: Option<f64>,
    /// Share of that time in which trials may be bad
    #[arg(long, value_name = "RATIO", default_value = "0.5", value_parser = share)]
    exceed_ratio: f64,
    /// Searches for the longest burst without loss; 0 for none
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=100))]
    bursts: u16,
    /// IPv4, 64 bytes, short trials, wide bounds: less than 20 s, and no more than a first look
    #[arg(long, conflicts_with_all = ["family", "size", "width", "trial", "sum", "bursts"])]
    quick: bool,
    /// How packets are received
    #[arg(long, value_enum, default_value = "full")]
    sink: SinkKind,
    /// Whose core receives what comes by a veth
    #[arg(long, value_enum, default_value = "confined")]
    placement: Placement,
    /// Queues of each device
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    queues: u32,
    /// What Ze's worker does when idle: busy, adaptive, adaptive:MICROSECONDSus, interrupt
    #[arg(long, value_name = "MODE", default_value = "interrupt")]
    idle: String,
    /// Core of generator and sink [default: the first that this process may use]
    #[arg(long, value_name = "N")]
    tester_core: Option<usize>,
    /// Core of the DUT [default: the last]
    #[arg(long, value_name = "N")]
    core: Option<usize>,
    /// Ordinary priorities: a machine that must do something else meanwhile
    #[arg(long)]
    no_realtime: bool,
    /// Print JSON; its fields are described by --help
    #[arg(long)]
    json: bool,
    /// Append the result to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
}

/// Seconds of a trial, and of all trials of a load.
const TRIAL_MIN_S: f64 = 0.05;
const TRIAL_MAX_S: f64 = 600.0;
/// Trials and bounds of `--quick`.
const QUICK_TRIAL_S: f64 = 0.25;
const QUICK_WIDTH: f64 = 0.05;
/// Latency is measured at least this long, so that percentiles mean something.
const LATENCY_MIN_S: f64 = 0.5;

impl LabArgs {
    /// Refuses what contradicts itself, and says what is left to do.
    ///
    /// # Errors
    /// An error that says what and why, as the parser's own.
    pub fn check(self) -> Result<LabOptions, clap::Error> {
        if !dut::names().contains(&self.dut) {
            let all = dut::names().join(", ");
            return Err(conflict("lab", &format!("there is no DUT '{}'; there are {all}", self.dut)));
        }
        let cores = choose_cores(self.tester_core, self.core, "lab")?;
        let (trial_seconds, width) =
            if self.quick { (QUICK_TRIAL_S, QUICK_WIDTH) } else { (self.trial, self.width) };
        let sum_seconds = if self.quick { trial_seconds } else { self.sum.unwrap_or(3.0 * trial_seconds) };
        if sum_seconds < trial_seconds {
            return Err(conflict("lab", "--sum is less than one trial"));
        }
        if width == 0.0 {
            return Err(conflict("lab", "--width 0 can not be reached"));
        }
        let mut loss = self.loss;
        loss.sort_by(f64::total_cmp);
        loss.dedup();
        let exceed_ratio = self.exceed_ratio;
        let goal = |loss_ratio| Goal { loss_ratio, width, trial_seconds, sum_seconds, exceed_ratio };
        let sizes = if self.quick { self.size.into_iter().take(1).collect() } else { self.size };
        let routes = if self.table.is_empty() {
            vec![Source::Synthetic(self.routes as usize)]
        } else {
            self.table.into_iter().map(Source::File).collect()
        };
        Ok(LabOptions {
            dut: self.dut,
            idle: self.idle,
            families: self.family.iter().map(|family| family.family()).collect(),
            sizes,
            routes,
            flows: self.flows,
            goals: loss.into_iter().map(goal).collect(),
            latency_seconds: trial_seconds.max(LATENCY_MIN_S),
            bursts: if self.quick { 1 } else { self.bursts.into() },
            bench: BenchOptions {
                routes: Vec::new(),
                generator: GeneratorKind::AfXdp,
                sink: self.sink,
                moderation: Duration::ZERO,
                placement: self.placement,
                queues: self.queues,
                cores,
                realtime: !self.no_realtime,
                binaries: Binaries::new(None),
            },
            json: self.json,
            history: self.history,
        })
    }
}
