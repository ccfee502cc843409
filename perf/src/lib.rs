//! ze-perf: throughput, latency and scale.
//!
//! `ze-perf pipeline` measures cycles per packet of the real graph, driven by the real worker loop, on in-memory
//! ports. How, and what the figures mean, is in `docs/performance.md`.

pub mod args;
pub mod dut;
mod machine;
pub mod pipeline;
pub mod stats;

use anyhow::Result;
use args::{Args, Command};

/// Does what the command line asks for.
///
/// # Errors
/// When it can not be done, or when what was measured did not forward as it should.
pub fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Pipeline(options) => {
            let options = options.check().unwrap_or_else(|error| error.exit());
            let report = pipeline::run(&options)?;
            if options.json {
                println!("{}", serde_json::to_string_pretty(&report)?);
            } else {
                print!("{report}");
            }
            Ok(())
        }
    }
}
