//! The command `ze-pktgen`: one module a subcommand.
//!
//! Exit codes: 0 all is as it should be, 1 something that was looked at is wrong, 2 the command could not do its work.

mod run;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Something that was looked at is wrong.
const WRONG: u8 = 1;
/// The command could not do its work.
const FAILED: u8 = 2;

/// Packets in, packets out: scenarios, traffic and their judgement.
#[derive(Debug, Parser)]
#[command(name = "ze-pktgen", version, propagate_version = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play scenarios and judge what comes of them.
    Run(run::Args),
}

/// Runs the command; the exit code is for the shell.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Help and version are no failure; clap knows which stream each goes to.
            let _ = error.print();
            return ExitCode::from(error.exit_code().clamp(0, i32::from(u8::MAX)) as u8);
        }
    };
    let done = match &args.command {
        Command::Run(args) => run::run(args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(WRONG),
        Err(error) => {
            eprintln!("ze-pktgen: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}
