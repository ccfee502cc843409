//! `ze-fastpath`: see `--help`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use ze_fastpath::args::Args;
use ze_fastpath::{daemon, supervise};

fn main() -> ExitCode {
    let args = Args::parse();
    let filter = match EnvFilter::try_new(&args.log) {
        Ok(filter) => filter,
        Err(error) => {
            complain(&format!("--log '{}': {error}", args.log));
            return ExitCode::from(2);
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // They would go to standard error too, by a macro that panics when nobody reads it any more.
        .log_internal_errors(false)
        .init();
    supervise::follow_supervisor();
    let result = if args.no_supervisor { daemon::run(&args) } else { supervise::supervise(&args.run_dir) };
    result.unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// Says why we end. That nobody may read it changes nothing.
fn complain(why: &str) {
    let _ = writeln!(std::io::stderr(), "ze-fastpath: {why}");
}
