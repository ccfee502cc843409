//! The program `ze-perf`.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use ze_perf::args::Args;
use ze_perf::progress::note;

fn main() -> ExitCode {
    ze_perf::run(Args::parse()).unwrap_or_else(|error| {
        // Whoever read it has seen enough: `ze-perf report … | head`.
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        note(format_args!("{error:#}"));
        ExitCode::FAILURE
    })
}
