//! The command `ze-pktgen`: one module a subcommand.
//!
//! Exit codes: 0 all is as it should be, 1 something that was looked at is wrong, 2 the command could not do its work.

mod fuzz;
mod generate;
mod import;
mod receive;
mod replay;
mod report;
mod run;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::lab::Interrupt;

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
    /// Send packets of many flows through AF_XDP, and tell what became of them.
    #[command(after_long_help = generate::HELP)]
    Generate(Box<generate::Args>),
    /// Count what `generate` sent elsewhere: loss, order, duplicates, latency.
    #[command(after_long_help = receive::HELP)]
    Receive(receive::Args),
    /// Send a capture again, with its timing.
    #[command(after_long_help = replay::HELP)]
    Replay(replay::Args),
    /// Make a scenario of two captures: what went in, and what came out.
    Import(import::Args),
    /// Mutate the packets of scenarios: none may get lost, and nothing may break.
    Fuzz(fuzz::Args),
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
        Command::Generate(args) => with_signals(|interrupt| generate::run(args, interrupt)),
        Command::Receive(args) => with_signals(|interrupt| receive::run(args, interrupt)),
        Command::Replay(args) => with_signals(|interrupt| replay::run(args, interrupt)),
        Command::Import(args) => import::run(args),
        Command::Fuzz(args) => fuzz::run(args),
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

/// Does what ends in order at the first Ctrl-C: devices are as they were.
fn with_signals(work: impl FnOnce(&Interrupt) -> anyhow::Result<bool>) -> anyhow::Result<bool> {
    work(&crate::demo::watch_signals().context("listening to signals")?)
}

#[cfg(test)]
mod tests;
