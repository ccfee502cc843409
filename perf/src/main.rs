//! The program `ze-perf`.

use std::process::ExitCode;

use clap::Parser;
use ze_perf::args::Args;

fn main() -> ExitCode {
    ze_perf::run(Args::parse()).unwrap_or_else(|error| {
        eprintln!("ze-perf: {error:#}");
        ExitCode::FAILURE
    })
}
