//! Options of `ze-perf pipeline`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use ze_graph::{BATCH_MAX, RECEIVE_MAX};

use super::values::within;
use super::{choose_core, conflict};
use crate::pipeline::Peer;
use crate::pipeline::routes::{Family, SYNTHETIC_MAX, Source};
use crate::pipeline::traffic::{Pattern, Sizes};

/// Flows when destinations vary and `--flows` is not given: more than any cache holds lines for.
const FLOWS_MANY: usize = 1 << 20;
/// Sizes of `--all`: RFC 2544 §9.1 for Ethernet, and IMIX.
const ALL_SIZES: [&str; 7] = ["128", "256", "512", "1024", "1280", "1518", "imix"];
/// Routes of `--all`, besides one and those of the tables.
const ALL_ROUTES: [usize; 2] = [10_000, 1_000_000];
/// Flows of `--all` with one route, besides one.
const ALL_FLOWS: [usize; 2] = [10_000, FLOWS_MANY];
/// The smallest batch.
const BATCH_MIN: usize = 16;

pub(super) const JSON_HELP: &str = "\
Each run measures the baseline (the same ports, nothing between) and then the graph. Cycles are those of the time \
stamp counter, its frequency measured. A run's figure is the median over slices of 64 rounds of the worker's loop, so \
that a moment in which something else had the core does not count; the mean over all of the run is told beside it. \
A sample of what leaves is compared byte by byte with what must leave, every packet must leave, and every frame must \
come back: if not, ze-perf says what is wrong and exits with 1.

Options that take lists measure every combination. Ctrl-C ends measuring: what runs have ended is reported, and the \
exit code is 130.

Output of --json: one case is one object; several are one object a line, each written when its case has ended.
  scenario, parameters           what was measured
  cycles_per_packet              min, median, max of the runs; the baseline's median is subtracted
  baseline_cycles_per_packet     median of the baseline's runs: what the harness costs
  mpps                           tsc_hz / cycles_per_packet.median / 10^6
  nodes                          name, cycles_per_packet: median of the runs
  runs                           how many
  machine                        cpu, cores, hypervisor, kernel, governor, tsc_hz, huge_pages,
                                 load_average, git_revision
  gross_cycles_per_packet        min, median, max, nothing subtracted
  gross_mpps                     tsc_hz / gross_cycles_per_packet.median / 10^6
  ns_per_packet                  of cycles_per_packet.median
  rest_cycles_per_packet         gross less baseline less nodes: the worker's loop and its queues
  noise                          1.4826 * median |run - median| / median of cycles_per_packet, a run being its gross
                                 less its own baseline: how far a run is from the next, as a share.
                                 `ze-perf check` reckons with such runs
  spread                         (max - min) / median of cycles_per_packet
  batch_fill                     packets in a batch, mean
  table_bytes                    what lookups read from, both families
  verified_packets               packets compared byte by byte
  conservation                   the terms of the law rx + inject + generated + handoff_in =
                                 tx + drop + punt + held + handoff_out, all runs together, and holds
  measurements                   by run: gross, baseline, quartiles of the slices, mean, slices, packets
  peers                          forwarders of --peer: name, cycles_per_packet, baseline_cycles_per_packet, mpps, runs,
                                 about; or name and skipped, which says why
  interrupted                    ended by Ctrl-C: runs are fewer than asked for
  kind, taken_at                 \"pipeline\"; when it ended, UTC";

/// Options of `ze-perf pipeline`, as typed.
#[derive(Debug, clap::Args)]
pub struct PipelineArgs {
    /// Which path through the graph
    #[arg(value_enum, value_name = "SCENARIO", required_unless_present = "all", conflicts_with = "all")]
    scenario: Vec<Scenario>,
    /// Both families by routes, patterns, flows, sizes and batches, one thing varied at a time: what a report needs
    #[arg(long, conflicts_with_all = ["routes", "pattern", "flows", "size", "batch"])]
    all: bool,
    /// Routes: 1 is 198.18.0.0/15 or 2001:2::/48, more are synthetic, of random prefixes and 256 nexthops [default: 1]
    #[arg(long, value_name = "N,…", value_delimiter = ',',
        value_parser = clap::value_parser!(u32).range(1..=i64::from(SYNTHETIC_MAX)))]
    routes: Vec<u32>,
    /// Routes from a file, `PREFIX NEXTHOP-NUMBER` a line, as text or compressed by zstd; once for each family
    #[arg(long, value_name = "FILE")]
    table: Vec<PathBuf>,
    /// Destinations
    #[arg(long, value_enum, value_name = "PATTERN,…", value_delimiter = ',', default_value = "fixed")]
    pattern: Vec<Pattern>,
    /// Flows that come in turn; for `zipf` the number of destinations [default: 1 if fixed, else 1048576]
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1 << 22))]
    flows: Vec<u32>,
    /// Bytes of a frame with its FCS, 64 to 1518, or `imix` (7 of 64, 4 of 594, 1 of 1518)
    #[arg(long, value_name = "BYTES|imix,…", value_delimiter = ',', default_value = "64")]
    size: Vec<Sizes>,
    /// Packets received at once, 16 to the graph's largest batch, 256 [default: what a port gives at once, 128]
    #[arg(long, value_name = "N,…", value_delimiter = ',',
        value_parser = clap::value_parser!(u16).range(BATCH_MIN as i64..=BATCH_MAX as i64))]
    batch: Vec<u16>,
    /// How long each run measures, 0.05 to 600
    #[arg(long, value_name = "S", default_value = "1", value_parser = within(0.05, 600.0))]
    seconds: f64,
    /// Runs, 5 to 1000
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(5..=1000))]
    runs: u16,
    /// The core that the worker is pinned to [default: the last one this process may use]
    #[arg(long, value_name = "N")]
    core: Option<usize>,
    /// Other forwarders in memory, measured by turns on the same core; needs root
    #[arg(long, value_enum, value_name = "NAME,…", value_delimiter = ',', conflicts_with = "all")]
    peer: Vec<Peer>,
    /// Print JSON; its fields are described by --help
    #[arg(long)]
    json: bool,
    /// Append each result to this file, one JSON object a line, for `ze-perf report` and `ze-perf check`
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
}

/// Which path through the graph is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// IPv4 forwarding, rx to tx
    Ip4,
    /// IPv6 forwarding, rx to tx
    Ip6,
    /// rx to tx with nothing between: what the harness itself costs
    Baseline,
}

impl Scenario {
    /// Its name on the command line and in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ip4 => "ip4",
            Self::Ip6 => "ip6",
            Self::Baseline => "baseline",
        }
    }

    /// The family of its packets.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Ip4 | Self::Baseline => Family::V4,
            Self::Ip6 => Family::V6,
        }
    }
}

/// What is to be measured, and what becomes of the results.
#[derive(Clone, Debug)]
pub struct PipelineOrder {
    /// One after the other.
    pub cases: Vec<Options>,
    /// Print JSON?
    pub json: bool,
    /// Where results are kept.
    pub history: Option<PathBuf>,
}

/// Options of one case that make sense together.
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
    /// Measured besides.
    pub peers: Vec<Peer>,
}

impl Options {
    /// The case in a line: `ip4, 1 route, fixed, 1 flow, 64 bytes, batches of 64`.
    #[must_use]
    pub fn describe(&self) -> String {
        let name = self.scenario.name();
        let routes = match &self.routes {
            Source::Synthetic(1) => "1 route".to_owned(),
            Source::Synthetic(count) => format!("{count} routes"),
            Source::File(path) => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        };
        let (flows, plural) = (self.flows, if self.flows == 1 { "" } else { "s" });
        let rest =
            format!("{}, {flows} flow{plural}, {} B, batch {}", self.pattern.name(), self.sizes, self.batch);
        if self.scenario == Scenario::Baseline {
            format!("{name}, {rest}")
        } else {
            format!("{name}, {routes}, {rest}")
        }
    }
}

impl PipelineArgs {
    /// Refuses what contradicts itself, and says what is left to do.
    ///
    /// # Errors
    /// An error that says what and why, as the parser's own.
    pub fn check(self) -> Result<PipelineOrder, clap::Error> {
        if self.scenario.contains(&Scenario::Baseline) {
            self.check_baseline()?;
        }
        let core = choose_core(self.core, "pipeline")?;
        let tables = self.tables()?;
        let case = Options {
            scenario: Scenario::Ip4,
            routes: Source::Synthetic(1),
            pattern: Pattern::Fixed,
            flows: 1,
            sizes: Sizes::smallest(),
            batch: RECEIVE_MAX,
            seconds: self.seconds,
            runs: self.runs.into(),
            core,
            peers: self.peer.clone(),
        };
        let cases = if self.all { all(&case, &tables) } else { self.product(&case, &tables) };
        Ok(PipelineOrder { cases, json: self.json, history: self.history })
    }

    /// Each table with its family.
    fn tables(&self) -> Result<Vec<(Family, PathBuf)>, clap::Error> {
        let mut tables: Vec<(Family, PathBuf)> = Vec::new();
        let wanted = |family| self.all || self.scenario.iter().any(|scenario| scenario.family() == family);
        for path in &self.table {
            // What can not be read is told when it is read whole, with the line.
            let family = Family::of_table(path)
                .unwrap_or_else(|_| self.scenario.first().map_or(Family::V4, |scenario| scenario.family()));
            if tables.iter().any(|(other, _)| *other == family) {
                return Err(conflict("pipeline", &format!("two tables of one family: {}", path.display())));
            }
            if !wanted(family) {
                let message = format!("no scenario is of the family of {}", path.display());
                return Err(conflict("pipeline", &message));
            }
            tables.push((family, path.clone()));
        }
        Ok(tables)
    }

    /// Every combination of what the options list.
    fn product(&self, case: &Options, tables: &[(Family, PathBuf)]) -> Vec<Options> {
        let mut cases = Vec::new();
        for scenario in &self.scenario {
            for routes in self.sources(*scenario, tables) {
                for pattern in &self.pattern {
                    for flows in self.flows_of(*pattern) {
                        for (sizes, batch) in self.shapes() {
                            let (scenario, pattern, routes) = (*scenario, *pattern, routes.clone());
                            cases.push(Options {
                                scenario,
                                routes,
                                pattern,
                                flows,
                                sizes,
                                batch,
                                ..case.clone()
                            });
                        }
                    }
                }
            }
        }
        cases
    }

    fn sources(&self, scenario: Scenario, tables: &[(Family, PathBuf)]) -> Vec<Source> {
        let synthetic = self.routes.iter().map(|count| Source::Synthetic(*count as usize));
        let files = tables.iter().filter(|(family, _)| *family == scenario.family());
        let sources: Vec<_> = synthetic.chain(files.map(|(_, path)| Source::File(path.clone()))).collect();
        if sources.is_empty() { vec![Source::Synthetic(1)] } else { sources }
    }

    fn flows_of(&self, pattern: Pattern) -> Vec<usize> {
        if self.flows.is_empty() {
            return vec![if pattern == Pattern::Fixed { 1 } else { FLOWS_MANY }];
        }
        self.flows.iter().map(|flows| *flows as usize).collect()
    }

    fn shapes(&self) -> Vec<(Sizes, usize)> {
        let batches = if self.batch.is_empty() { vec![RECEIVE_MAX as u16] } else { self.batch.clone() };
        let pair = |sizes: &Sizes| {
            batches.iter().map(|batch| (sizes.clone(), usize::from(*batch))).collect::<Vec<_>>()
        };
        self.size.iter().flat_map(pair).collect()
    }

    /// The baseline has no lookup: what only a lookup could notice is refused.
    fn check_baseline(&self) -> Result<(), clap::Error> {
        if !self.routes.is_empty() || !self.table.is_empty() {
            let message = "the baseline looks nothing up: --routes and --table have no meaning";
            return Err(conflict("pipeline", message));
        }
        if self.pattern.iter().any(|pattern| matches!(pattern, Pattern::Covered | Pattern::Zipf)) {
            let message = "the baseline has no routes: --pattern can be fixed or uniform";
            return Err(conflict("pipeline", message));
        }
        Ok(())
    }
}

/// One thing varied at a time, from the smallest case; tables by every pattern.
fn all(case: &Options, tables: &[(Family, PathBuf)]) -> Vec<Options> {
    let mut cases = Vec::new();
    for scenario in [Scenario::Ip4, Scenario::Ip6] {
        let case = Options { scenario, ..case.clone() };
        cases.push(case.clone());
        let synthetic = ALL_ROUTES.iter().map(|count| Source::Synthetic(*count));
        let files = tables.iter().filter(|(family, _)| *family == scenario.family());
        for routes in synthetic.chain(files.map(|(_, path)| Source::File(path.clone()))) {
            for pattern in [Pattern::Covered, Pattern::Uniform, Pattern::Zipf] {
                cases.push(Options { routes: routes.clone(), pattern, flows: FLOWS_MANY, ..case.clone() });
            }
        }
        cases.extend(ALL_FLOWS.map(|flows| Options { flows, ..case.clone() }));
        let sizes = ALL_SIZES.iter().filter_map(|size| Sizes::from_str(size).ok());
        cases.extend(sizes.map(|sizes| Options { sizes, ..case.clone() }));
        let batches = std::iter::successors(Some(BATCH_MIN), |batch| Some(batch * 2));
        let batches = batches.take_while(|batch| *batch <= BATCH_MAX).filter(|batch| *batch != RECEIVE_MAX);
        cases.extend(batches.map(|batch| Options { batch, ..case.clone() }));
    }
    cases
}
