//! The control daemon's command line.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing_subscriber::EnvFilter;
use ze_slowpath::daemon::{self, Options, Request};
use ze_slowpath::{lock, verdict};

/// Ze's control daemon: reads the configuration, works out the routes, and keeps ze-fastpath programmed.
///
/// SIGHUP reads the configuration again and applies what differs; a wrong one changes nothing. SIGTERM and SIGINT
/// end the daemon; ze-fastpath goes on forwarding.
#[derive(Debug, Parser)]
#[command(version, name = "ze-slowpath")]
struct Arguments {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = ze_config::DEFAULT_PATH)]
    config: PathBuf,
    /// The socket of ze-fastpath
    #[arg(long, value_name = "SOCKET", default_value = ze_proto::endpoint::DEFAULT_SOCKET)]
    fastpath: PathBuf,
    /// Directory of the lock that keeps a second daemon away
    #[arg(long, value_name = "DIR", default_value = ze_slowpath::DEFAULT_RUN_DIR)]
    run_dir: PathBuf,
    /// Read the configuration, say OK or what is wrong with it, and end
    #[arg(long)]
    check: bool,
    /// What to log: error, warn, info, debug, trace, or a filter like info,ze_rib=debug
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    log: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.check { check(&arguments) } else { run(&arguments) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn check(arguments: &Arguments) -> anyhow::Result<()> {
    let document = verdict::check_tables(ze_config::load(&arguments.config)?)?;
    for warning in verdict::warnings(&document) {
        complain(&format!("warning: {warning}"));
    }
    // Who does not read it has the exit status.
    let _ = writeln!(std::io::stdout(), "OK");
    Ok(())
}

/// Says what is wrong. That nobody may read it changes nothing.
fn complain(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    start_log(&arguments.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .context("can not start the runtime")?;
    let done = runtime.block_on(serve(arguments));
    // A reload that hangs on a fast path without an answer must not hold us back.
    runtime.shutdown_background();
    done
}

/// Threads: one that computes routes, one that talks to the fast path. The cores belong to the fast path.
const WORKERS: usize = 2;

async fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    // Before anything else: from here on, SIGHUP does not kill.
    let requests = listen_to_signals()?;
    let _lock = lock::take(&arguments.run_dir)?;
    let document = ze_config::load(&arguments.config)?;
    let config = &document.config;
    tracing::info!(
        file = %arguments.config.display(),
        vrfs = config.vrfs.len(),
        interfaces = config.interfaces.len(),
        routes = config.routes.len(),
        version = env!("CARGO_PKG_VERSION"),
        "ze-slowpath starts"
    );
    let options = Options { config: arguments.config.clone(), fastpath: arguments.fastpath.clone() };
    daemon::run(options, document, requests).await;
    Ok(())
}

fn start_log(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("\"{filter}\" is no log filter"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // They would go to standard error too, by a macro that panics when nobody reads it any more.
        .log_internal_errors(false)
        .init();
    Ok(())
}

fn listen_to_signals() -> anyhow::Result<mpsc::Receiver<Request>> {
    // One of each may wait; more of the same add nothing.
    let (sender, requests) = mpsc::channel(2);
    let wanted = [
        (SignalKind::hangup(), Request::Reload),
        (SignalKind::terminate(), Request::Stop),
        (SignalKind::interrupt(), Request::Stop),
    ];
    for (kind, request) in wanted {
        let mut stream = signal(kind).context("can not listen to signals")?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                if sender.send(request).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(requests)
}
