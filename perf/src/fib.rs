//! `ze-perf fib`: how fast tables are programmed, and what those who read them notice.
//!
//! Two measurements. *Pipeline*: `ze-fastpath` runs as a process of a lab of its own, and the slow path's own feed
//! (`ze_rib::feed`) brings it a table over gRPC, changes it, and takes it away and brings it again. *Readers*: in this
//! process, a worker's part of the lookup (longest match, group, nexthop, 64 at a time) is timed batch by batch while
//! nothing changes, and while the writer changes the table as fast as it can.

mod pipeline;
mod readers;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use ipnet::IpNet;
use serde::Serialize;

use crate::pipeline::routes::{Family, Routes, SYNTHETIC_MAX, Source};

/// Options of `ze-perf fib`.
#[derive(Clone, Debug, clap::Args)]
pub struct FibArgs {
    /// Routes from a file, `PREFIX NUMBER` a line, text or zstd; may be given twice, for both families
    #[arg(long, value_name = "FILE")]
    pub table: Vec<PathBuf>,
    /// Synthetic IPv4 routes, where no table is given
    #[arg(long, value_name = "N", default_value_t = 1_000_000, 
        value_parser = clap::value_parser!(u32).range(1000..=i64::from(SYNTHETIC_MAX)))]
    pub routes: u32,
    /// How long updates are measured, each way, in seconds
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// How often the whole table is taken away and brought again, to see whether memory grows
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub flaps: u32,
    /// Directory of ze-fastpath [default: that of this program]
    #[arg(long, value_name = "DIR", env = "ZE_BIN_DIR")]
    pub bin_dir: Option<PathBuf>,
    /// Only what needs neither root nor ze-fastpath: the readers
    #[arg(long)]
    pub readers_only: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Routes of the table.
    pub routes: usize,
    /// Over gRPC into the daemon; null without root.
    pub pipeline: Option<pipeline::Figures>,
    /// In this process.
    pub readers: readers::Figures,
}

/// Measures, and prints what came of it.
///
/// # Errors
/// As for [`run`].
pub fn run_order(args: &FibArgs) -> Result<ExitCode> {
    let report = run(args)?;
    crate::tell(&report, args.json)?;
    Ok(ExitCode::SUCCESS)
}

/// Measures.
///
/// # Errors
/// When a table can not be read, or the daemon does not do as it should.
pub fn run(args: &FibArgs) -> Result<Report> {
    let routes = load(args)?;
    let pipeline = if args.readers_only { None } else { Some(pipeline::measure(args, &routes)?) };
    let readers = readers::measure(args, &routes)?;
    Ok(Report { routes: routes.len(), pipeline, readers })
}

fn load(args: &FibArgs) -> Result<Vec<(IpNet, u16)>> {
    if args.table.is_empty() {
        let routes = Routes::load(&Source::Synthetic(args.routes as usize), Family::V4)?;
        return Ok(routes.all);
    }
    let mut all = Vec::new();
    for file in &args.table {
        let family = Family::of_table(file)?;
        all.extend(Routes::load(&Source::File(file.clone()), family)?.all);
    }
    if all.is_empty() {
        bail!("the tables have no routes");
    }
    Ok(all)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} routes", self.routes)?;
        match &self.pipeline {
            Some(figures) => write!(f, "{figures}")?,
            None => writeln!(f, "pipeline  not measured (--readers-only)")?,
        }
        write!(f, "{}", self.readers)
    }
}
