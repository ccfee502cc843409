//! The command `ze-pktgen`: one module a subcommand.
//!
//! Exit codes: 0 all is as it should be, 1 something that was looked at is wrong, 2 the command could not do its work.

/// A line on stdout. Nobody may be reading (`… | head`): the exit code tells all the same.
macro_rules! say {
    ($($words:tt)*) => {
        _ = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($words)*)))
    };
}

/// A line on stderr, with the program's name. Nobody may be reading there, either.
macro_rules! note {
    ($($words:tt)*) => {
        _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("ze-pktgen: {}\n", format_args!($($words)*)))
    };
}

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
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};

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
    let args = match parse(args) {
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
            note!("{}", told(&error));
            ExitCode::from(FAILED)
        }
    }
}

/// A negative number is a value, refused with the range, and not an unknown option.
fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Args, clap::Error> {
    let values = |arg: Arg| match arg.get_action().takes_values() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    };
    let command = Args::command().mut_subcommands(|command| command.mut_args(values));
    Args::from_arg_matches(&command.try_get_matches_from(args)?)
}

/// The error and its causes, each once: some are told by what they caused already.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&cause);
        }
    }
    let mut refusals = error.chain().filter_map(|cause| cause.downcast_ref::<libbpf_rs::Error>());
    if refusals.any(|refusal| refusal.kind() == libbpf_rs::ErrorKind::PermissionDenied) {
        text.push_str(" (it needs root)");
    }
    text
}

/// Does what ends in order at the first Ctrl-C: devices are as they were.
fn with_signals(work: impl FnOnce(&Interrupt) -> anyhow::Result<bool>) -> anyhow::Result<bool> {
    work(&crate::demo::watch_signals().context("listening to signals")?)
}

#[cfg(test)]
mod tests;
