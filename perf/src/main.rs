//! The program `ze-perf`.

use std::process::ExitCode;

use clap::Parser;
use ze_perf::args::Args;

fn main() -> ExitCode {
    match ze_perf::run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ze-perf: {error:#}");
            ExitCode::FAILURE
        }
    }
}
