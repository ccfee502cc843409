//! ze-perf: throughput, latency and scale.
//!
//! `ze-perf pipeline` measures cycles per packet of the real graph, driven by the real worker loop, on in-memory
//! ports. `ze-perf lab` measures throughput, loss and latency through real devices, `ze-perf compare` puts Ze and other
//! forwarders between the same two cables, by turns, `ze-perf lpm` measures the routing table beside its peers.
//! `ze-perf fib` measures how fast tables are programmed, and what their readers notice.
//! `ze-perf report` shows results, `ze-perf check` compares them. How, and what the figures mean, is in
//! `docs/performance.md`.

pub mod args;
pub mod check;
pub mod compare;
pub mod dut;
pub mod fib;
pub mod history;
pub mod interrupt;
pub mod lab;
pub mod lpm;
pub mod machine;
pub mod pipeline;
pub mod progress;
pub mod report;
pub mod results;
pub mod stats;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use args::{Args, Command};
use serde::Serialize;

/// Does what the command line asks for.
///
/// # Errors
/// When it can not be done, or when what was measured did not forward as it should.
pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::Pipeline(options) => {
            pipeline::run_order(&options.check().unwrap_or_else(|error| error.exit()))
        }
        Command::Lab(options) => lab::run(options.check().unwrap_or_else(|error| error.exit())),
        Command::Lpm(options) => {
            let report = lpm::run(&options)?;
            tell(&report, options.json)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Fib(options) => fib::run_order(&options),
        Command::Compare(options) => compare::run(&options.check().unwrap_or_else(|error| error.exit())),
        Command::Report(options) => report::run(&options),
        Command::Check(options) => Ok(check::run(&options)),
    }
}

/// Prints what was measured: as JSON, or as people read it.
fn tell(report: &(impl Serialize + Display), json: bool) -> Result<()> {
    let text = if json { format!("{}\n", serde_json::to_string_pretty(report)?) } else { report.to_string() };
    Ok(io::stdout().write_all(text.as_bytes())?)
}
