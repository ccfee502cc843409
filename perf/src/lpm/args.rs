//! The command line of `ze-perf lpm`.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;
use ze_graph::RECEIVE_MAX;

use crate::pipeline::routes::{Family, SYNTHETIC_MAX};

/// What `ze-perf lpm --help` says at its end.
pub(crate) const HELP: &str = "\
Every engine answers the same addresses, engine by engine within each run, so that a busy moment hits all alike. A rate \
is the median over chunks of 65536 lookups of all runs, in CPU time of the one thread that looks up; each turn begins \
with a round over the trace that is not counted, so that all find their own table in the caches. Answers are \
compared with a plain table's before and after, and a wrong one ends the program with 1. DPDK is measured if its \
development package is installed (Debian: dpdk-dev): a small C program is built with it. Memory is asked for in 2 MB \
pages for all.

Fields of --json:
  results    engine      ze is the code that the fast path takes on this CPU; ze_popcnt, … the others it can run;
                         rte_fib, rte_fib_scalar, rte_lpm, rte_fib6, rte_fib6_scalar, rte_lpm6; treebitmap,
                         prefix_trie, poptrie: crates
             family      4 or 6
             trace       covered, uniform, zipf
             mlps        million lookups a second
             memory_bytes, build_s
             updates_per_s  route changes a second, a quarter each withdrawn, announced, pointed elsewhere, pointed
                         back; for Ze while a reader on another core looks up
  machine    cpu, cores, hypervisor, kernel, governor, tsc_hz, huge_pages, load_average, git_revision
  tables     family, routes, source, readers_lose: the share of its rate that Ze's reader
             loses to_updates (against a writer that is merely awake), to_a_writer (against one that sleeps);
             loads_mlps: million loads a second from anywhere in as much memory as Ze's table has, and nothing else
  skipped    engine, reason
  runs, batch";

/// Options of `ze-perf lpm`, as typed.
#[derive(Debug, clap::Args)]
pub struct LpmArgs {
    /// Routes, `PREFIX NUMBER` a line, as text or compressed by zstd [default: made up]
    #[arg(long, value_name = "FILE")]
    pub(super) table: Option<PathBuf>,
    /// 4 or 6 [default: the table's; without one, both]
    #[arg(long, value_name = "4|6", value_parser = family)]
    pub(super) family: Option<Family>,
    /// So many routes: a table grows to this number by neighbours and more-specifics of its routes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1000..=i64::from(SYNTHETIC_MAX)))]
    pub(super) routes: Option<u32>,
    /// Which addresses are looked up, may be repeated [default: all]
    #[arg(long, value_enum)]
    pub(super) trace: Vec<Trace>,
    /// Only these engines, may be repeated [default: all that can run here]
    #[arg(long, value_name = "NAME")]
    pub(super) engine: Vec<String>,
    /// Addresses looked up at once, 1 to 4096 [default: what a port gives at once, 128]
    #[arg(long, value_name = "N", default_value_t = RECEIVE_MAX as u16, hide_default_value = true,
        value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(super) batch: u16,
    /// Runs, 1 to 100
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(super) runs: u16,
    /// Skip a table of DPDK's that takes longer to build, in seconds of CPU time
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) build_limit: u32,
    /// The core that looks up [default: the last one this process may use]
    #[arg(long, value_name = "N")]
    pub(super) core: Option<usize>,
    /// Print JSON; its fields are described by --help
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which addresses are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trace {
    /// A random route, then a random host in it
    Covered,
    /// Anywhere (IPv6: in 2000::/3)
    Uniform,
    /// 262144 covered destinations, the k-th with a share of 1/k
    Zipf,
}

impl LpmArgs {
    pub(super) fn traces(&self) -> Vec<Trace> {
        if self.trace.is_empty() { Trace::value_variants().to_vec() } else { self.trace.clone() }
    }

    pub(super) fn families(&self) -> anyhow::Result<Vec<Family>> {
        match (&self.table, self.family) {
            (_, Some(family)) => Ok(vec![family]),
            (Some(path), None) => Ok(vec![Family::of_table(path)?]),
            (None, None) => Ok(vec![Family::V4, Family::V6]),
        }
    }

    pub(super) fn wants(&self, engine: &str) -> bool {
        self.engine.is_empty() || self.engine.iter().any(|wanted| wanted == engine)
    }
}

impl Trace {
    /// Its name on the command line and in files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Covered => "covered",
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
        }
    }
}

fn family(text: &str) -> Result<Family, String> {
    match text {
        "4" => Ok(Family::V4),
        "6" => Ok(Family::V6),
        _ => Err(format!("'{text}' is neither 4 nor 6")),
    }
}
