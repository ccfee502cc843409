//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use ze_graph::{BATCH_MAX, RECEIVE_MAX};

use crate::pipeline::routes::{SYNTHETIC_MAX, Source};
use crate::pipeline::traffic::{Pattern, Sizes};

/// Flows when destinations vary and `--flows` is not given: more than any cache holds lines for.
const FLOWS_MANY: usize = 1 << 20;

/// Throughput, latency and scale of Ze.
#[derive(Debug, Parser)]
#[command(name = "ze-perf", version, about)]
pub struct Args {
    /// What to measure.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Cycles per packet of the forwarding graph, in memory, one pinned worker, no sockets
    #[command(after_long_help = JSON_HELP)]
    Pipeline(PipelineArgs),
}

const JSON_HELP: &str = "\
Each run measures the baseline (the same ports, nothing between) and then the graph. Cycles are those of the time \
stamp counter, its frequency measured. A run's figure is the median over slices of 64 rounds of the worker's loop, so \
that a moment in which something else had the core does not count; the mean over all of the run is told beside it. \
A sample of what leaves is compared byte by byte with what must leave, every packet must leave, and every frame must \
come back: if not, ze-perf says what is wrong and exits with 1.

Fields of --json:
  scenario, parameters           what was measured
  cycles_per_packet              min, median, max of the runs; the baseline's median is subtracted
  baseline_cycles_per_packet     median of the baseline's runs: what the harness costs
  mpps                           tsc_hz / cycles_per_packet.median / 10^6
  nodes                          name, cycles_per_packet: median of the runs
  runs                           how many
  machine                        cpu, cores, kernel, governor, tsc_hz, huge_pages, load_average, git_revision
  gross_cycles_per_packet        min, median, max, nothing subtracted
  gross_mpps                     tsc_hz / gross_cycles_per_packet.median / 10^6
  ns_per_packet                  of cycles_per_packet.median
  rest_cycles_per_packet         gross less baseline less nodes: the worker's loop and its queues
  spread                         (max - min) / median of cycles_per_packet: the noise of these runs
  batch_fill                     packets in a batch, mean
  table_bytes                    what lookups read from, both families
  verified_packets               packets compared byte by byte
  conservation                   the terms of the law rx + inject + generated + handoff_in =
                                 tx + drop + punt + held + handoff_out, all runs together, and holds
  measurements                   by run: gross, baseline, quartiles of the slices, mean, slices, packets";

/// Options of `ze-perf pipeline`, as typed.
#[derive(Debug, clap::Args)]
pub struct PipelineArgs {
    /// Which path through the graph
    #[arg(value_enum)]
    scenario: Scenario,
    /// Routes: 1 is 198.18.0.0/15 or 2001:2::/48, more are synthetic, of random prefixes and 256 nexthops [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(SYNTHETIC_MAX)))]
    routes: Option<u32>,
    /// Routes from a file, `PREFIX NEXTHOP-NUMBER` a line, as text or compressed by zstd
    #[arg(long, value_name = "FILE", conflicts_with = "routes")]
    table: Option<PathBuf>,
    /// Destinations
    #[arg(long, value_enum, default_value_t = Pattern::Fixed)]
    pattern: Pattern,
    /// Flows that come in turn; for `zipf` the number of destinations [default: 1 if fixed, else 1048576]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 22))]
    flows: Option<u32>,
    /// Bytes of a frame with its FCS, 64 to 1518, or `imix` (7 of 64, 4 of 594, 1 of 1518)
    #[arg(long, value_name = "BYTES|imix", default_value = "64")]
    size: Sizes,
    /// Packets received at once, 16 to the graph's largest batch, 256 [default: what a port gives at once, 128]
    #[arg(long, value_name = "N", default_value_t = RECEIVE_MAX as u16, hide_default_value = true,
        value_parser = clap::value_parser!(u16).range(16..=BATCH_MAX as i64))]
    batch: u16,
    /// How long each run measures, 0.05 to 600
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    seconds: f64,
    /// Runs, 5 to 1000
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(5..=1000))]
    runs: u16,
    /// The core that the worker is pinned to [default: the last one this process may use]
    #[arg(long, value_name = "N")]
    core: Option<usize>,
    /// Print JSON; its fields are described by --help
    #[arg(long)]
    json: bool,
}

/// Which path through the graph is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// IPv4 forwarding, rx to tx
    Ip4,
    /// IPv6 forwarding, rx to tx
    Ip6,
    /// rx to tx with nothing between: what the harness itself costs
    Baseline,
}

/// Options of `ze-perf pipeline` that make sense together.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is measured.
    pub scenario: Scenario,
    /// Where routes come from.
    pub routes: Source,
    /// How destinations vary.
    pub pattern: Pattern,
    /// How many flows.
    pub flows: usize,
    /// Sizes of frames.
    pub sizes: Sizes,
    /// Packets received at once.
    pub batch: usize,
    /// Seconds of each run.
    pub seconds: f64,
    /// How many runs.
    pub runs: usize,
    /// The worker's core.
    pub core: usize,
    /// Print JSON?
    pub json: bool,
}

impl PipelineArgs {
    /// Refuses what contradicts itself.
    ///
    /// # Errors
    /// An error that says what and why, as the parser's own.
    pub fn check(self) -> Result<Options, clap::Error> {
        if self.scenario == Scenario::Baseline {
            self.check_baseline()?;
        }
        let core = choose_core(self.core)?;
        let flows =
            self.flows.map_or(if self.pattern == Pattern::Fixed { 1 } else { FLOWS_MANY }, |n| n as usize);
        Ok(Options {
            scenario: self.scenario,
            routes: self.table.map_or(Source::Synthetic(self.routes.unwrap_or(1) as usize), Source::File),
            pattern: self.pattern,
            flows,
            sizes: self.size,
            batch: self.batch.into(),
            seconds: self.seconds,
            runs: self.runs.into(),
            core,
            json: self.json,
        })
    }

    /// The baseline has no lookup: what only a lookup could notice is refused.
    fn check_baseline(&self) -> Result<(), clap::Error> {
        if self.routes.is_some() || self.table.is_some() {
            return Err(conflict("the baseline looks nothing up: --routes and --table have no meaning"));
        }
        if matches!(self.pattern, Pattern::Covered | Pattern::Zipf) {
            return Err(conflict("the baseline has no routes: --pattern can be fixed or uniform"));
        }
        Ok(())
    }
}

fn choose_core(wanted: Option<usize>) -> Result<usize, clap::Error> {
    let available: Vec<_> = core_affinity::get_core_ids().unwrap_or_default().iter().map(|c| c.id).collect();
    match wanted {
        Some(core) if available.contains(&core) => Ok(core),
        Some(core) => {
            Err(conflict(&format!("core {core} is not available to this process; these are: {available:?}")))
        }
        None => {
            available.last().copied().ok_or_else(|| conflict("the system does not say which cores there are"))
        }
    }
}

fn conflict(message: &str) -> clap::Error {
    let mut command = Args::command();
    let pipeline = command.find_subcommand_mut("pipeline").map(std::mem::take).unwrap_or_default();
    pipeline.bin_name("ze-perf pipeline").error(ErrorKind::ArgumentConflict, message)
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = f64::from_str(text).map_err(|_| format!("'{text}' is not a number"))?;
    if !(0.05..=600.0).contains(&seconds) {
        return Err(format!("{text} is not in 0.05 to 600"));
    }
    Ok(seconds)
}
