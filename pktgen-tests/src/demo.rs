//! The guided tour of `ze demo`: a whole network on this machine, real traffic through Ze, and plain kernel
//! forwarding beside it.
//!
//! ```text
//!   lan ──eth0────lan0── router: ze-fastpath, ze-slowpath ──wan0────eth0── wan
//!    └───kernel0──left── kernel: Linux forwards ───────────right──kernel0───┘
//! ```
//!
//! [`run`] builds it, walks through the steps, shows progress on standard error, and returns a [`Summary`].
//! [`run_and_report`] is all of a command: it prints the summary, or why there is none, and gives the exit code.

mod failure;
mod network;
mod report;
mod screen;
mod signals;
mod steps;
mod summary;
mod table;
mod throughput;
mod workers;

use std::io::{Write as _, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

pub use failure::Failure;
pub use summary::{Environment, Kept, Rates, StepResult, Summary, TableLoad, Transfer, WorkerFigures};

use network::Network;
use screen::{Screen, Silent, Terminal};
pub(crate) use signals::watch as watch_signals;
use steps::Tour;

/// Bytes of each measured transfer.
pub const BYTES_DEFAULT: u64 = 1_000_000_000;
/// The same for a quick tour.
pub const BYTES_QUICK: u64 = 200_000_000;

/// What kind of tour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Leave the network running.
    pub keep: bool,
    /// Smaller transfers, each measured once.
    pub quick: bool,
    /// Bytes of each measured transfer, where the usual figure does not please.
    pub bytes: Option<u64>,
    /// Directory of the daemons; see [`Binaries::new`](crate::daemons::Binaries::new).
    pub bin_dir: Option<PathBuf>,
    /// No progress on standard error.
    pub quiet: bool,
    /// The summary as JSON (for [`run_and_report`]).
    pub json: bool,
    /// A file of routes to load while traffic flows: a prefix and a number a line, plain or compressed by zstd.
    pub routes: Option<PathBuf>,
    /// What the workers of `ze-fastpath` do when idle; the daemon's default if absent.
    pub idle: Option<String>,
}

impl Options {
    fn transfer_bytes(&self) -> u64 {
        self.bytes.unwrap_or(if self.quick { BYTES_QUICK } else { BYTES_DEFAULT })
    }

    /// How often each measured transfer is repeated, on both paths.
    const fn rounds(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }
}

/// Builds the network, walks through it, and takes it apart unless it shall be kept.
///
/// # Errors
/// When a step fails; the failure names it and quotes the daemons' logs. Nothing is left behind then.
pub fn run(options: &Options) -> Result<Summary, Failure> {
    let mut screen: Box<dyn Screen> =
        if options.quiet { Box::new(Silent) } else { Box::new(Terminal::new()) };
    let began = Instant::now();
    let interrupt = signals::watch().map_err(|error| Failure::before("wait for signals", &error))?;
    let network = Network::build(options, &interrupt, screen.as_mut())?;
    let mut tour = Tour::new(network, options, screen.as_mut());
    match tour.walk() {
        Ok(()) => tour.finish(began),
        Err(failure) => Err(tour.fail(failure)),
    }
}

/// Runs the tour and prints the summary to standard output, or the failure to standard error. Nobody may be reading: the
/// exit code tells all the same.
#[must_use]
pub fn run_and_report(options: &Options) -> ExitCode {
    match run(options) {
        Ok(summary) if options.json => {
            _ = writeln!(stdout(), "{}", summary.to_json());
            ExitCode::SUCCESS
        }
        Ok(summary) => {
            _ = write!(stdout(), "{summary}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            _ = writeln!(stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}
