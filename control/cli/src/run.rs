//! From the words of the command line to the exit code.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use serde_json::json;
use ze_proto::endpoint::Address;
use ze_proto::v1::FlushNeighborsRequest;
use ze_tui::units::plural;

use crate::args::{Clear, Cli, Command, DemoArgs, Format, Show};
use crate::client::{self, answer};
use crate::error::Error;
use crate::output::{Output, Page};
use crate::{doctor, show, top, trace};

/// Runs the command that `words` say, the program's name first.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) => return wrong_words(&error, &words),
    };
    let json = cli.global.output == Format::Json;
    // The demo has threads and runtimes of its own.
    if let Command::Demo(args) = &cli.command {
        return demo(args, json);
    }
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(format!("the command can not start: {error}"), ""))
        .and_then(|runtime| runtime.block_on(run(cli)));
    match done {
        Ok(code) => code,
        Err(error) => {
            let text = if json { error.json() } else { error.text() };
            // Nothing can be done when standard error is gone, too.
            _ = std::io::stderr().write_all(text.unwrap_or_default().as_bytes());
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode, Error> {
    let daemon = &cli.global.daemon()?;
    let mut out = Output::new(&cli.global);
    match cli.command {
        Command::Show(args) => match &args.what {
            Show::Trace(trace) if args.watch.is_none() => trace::run(daemon, trace, &mut out).await?,
            _ => show::run(daemon, &args, &mut out).await?,
        },
        Command::Trace(args) => trace::run(daemon, &args, &mut out).await?,
        Command::Clear(args) => clear(daemon, args.what, &mut out).await?,
        Command::Top(args) => top::run(daemon, &args, &mut out).await?,
        Command::Doctor(args) => {
            let well = doctor::run(daemon, args, &mut out).await?;
            return Ok(ExitCode::from(u8::from(!well)));
        }
        // Handled before there was a runtime.
        Command::Demo(_) => {}
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "ze", &mut script);
            out.text(&String::from_utf8_lossy(&script))?;
            out.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn demo(args: &DemoArgs, json: bool) -> ExitCode {
    ze_pktgen::demo::run_and_report(&ze_pktgen::demo::Options {
        keep: args.keep,
        quick: args.quick,
        bytes: args.bytes,
        bin_dir: args.bin_dir.clone(),
        routes: args.routes.clone(),
        quiet: args.quiet,
        json,
        idle: args.idle.clone(),
    })
}

async fn clear(daemon: &Address, what: Clear, out: &mut Output) -> Result<(), Error> {
    let Clear::Neighbors { address, interface } = what;
    let mut client = client::connect(daemon).await?;
    let request = FlushNeighborsRequest {
        interface: interface.unwrap_or_default(),
        address: address.map(ze_proto::address::to_bytes).unwrap_or_default(),
    };
    let flushed = answer(client.flush_neighbors(request)).await?.flushed;
    out.page(&Page::new(
        &json!({ "flushed": flushed }),
        format!("{} forgotten.\n", plural(flushed, "neighbour")),
    )?)
}

/// Says what is wrong with the words, or gives the help that was asked for.
fn wrong_words(error: &clap::Error, words: &[OsString]) -> ExitCode {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if words.len() == 1 {
        // clap takes the defaults of global options for words, and would only complain.
        _ = write!(std::io::stderr(), "{}", Cli::command().render_help());
        return ExitCode::from(2);
    }
    if asked || !wants_json(words) {
        _ = error.print();
        return ExitCode::from(if asked { 0 } else { 2 });
    }
    let text = error.render().to_string();
    let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    _ = std::io::stderr().write_all(Error::Usage(first).json().unwrap_or_default().as_bytes());
    ExitCode::from(2)
}

/// Is JSON asked for in words that can not be parsed?
fn wants_json(words: &[OsString]) -> bool {
    let words: Vec<&str> = words.iter().filter_map(|w| w.to_str()).collect();
    let joined = |w: &&str| matches!(*w, "-ojson" | "-o=json" | "--output=json");
    words.iter().any(joined) || words.windows(2).any(|w| matches!(w, ["-o" | "--output", "json"]))
}
