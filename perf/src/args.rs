//! The command line.

mod compare;
mod lab;
mod pipeline;
mod results;
mod values;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::lab::Cores;
use crate::lpm::args::LpmArgs;
pub use compare::{CompareArgs, CompareOrder};
pub use lab::LabArgs;
pub use pipeline::{Options, PipelineArgs, PipelineOrder, Scenario};
pub use results::{CheckArgs, ReportArgs};
pub use values::IpVersion;

/// Throughput, latency and scale of Ze.
#[derive(Debug, Parser)]
#[command(name = "ze-perf", version, about)]
pub struct Args {
    /// What to measure.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Cycles per packet of the forwarding graph, in memory, one pinned worker, no sockets
    #[command(after_long_help = pipeline::JSON_HELP)]
    Pipeline(PipelineArgs),
    /// Throughput, loss and latency over AF_XDP in network namespaces, RFC 2544 style
    #[command(after_long_help = lab::LAB_HELP)]
    Lab(LabArgs),
    /// Longest-prefix match: lookups, memory and updates, beside DPDK's tables and other crates'
    #[command(after_long_help = crate::lpm::args::HELP)]
    Lpm(LpmArgs),
    /// Programming the FIB: a full table through gRPC, updates, flaps; and what lookups notice of it
    Fib(crate::fib::FibArgs),
    /// Ze, the kernel, XDP, DPDK and VPP between the same two cables, by turns
    #[command(after_long_help = compare::COMPARE_HELP)]
    Compare(CompareArgs),
    /// Results as a page with plots (--html), and as Markdown
    Report(ReportArgs),
    /// Is NEW worse than OLD? Exits with 1 if so
    #[command(after_long_help = results::CHECK_HELP)]
    Check(CheckArgs),
}

/// The core to measure on: the one that is wanted, or the last of those that this process may use.
pub(crate) fn choose_core(wanted: Option<usize>, command: &str) -> Result<usize, clap::Error> {
    let available = available_cores();
    match wanted {
        Some(core) if available.contains(&core) => Ok(core),
        Some(core) => Err(conflict(
            command,
            &format!("core {core} is not available to this process; these are: {available:?}"),
        )),
        None => available
            .last()
            .copied()
            .ok_or_else(|| conflict(command, "the system does not say which cores there are")),
    }
}

/// A core each for the tester, by default the first that this process may use, and for the DUT, by default the last.
fn choose_cores(tester: Option<usize>, dut: Option<usize>, command: &str) -> Result<Cores, clap::Error> {
    let tester = tester.or_else(|| available_cores().first().copied());
    let cores = Cores { tester: choose_core(tester, command)?, dut: choose_core(dut, command)? };
    if cores.tester == cores.dut {
        return Err(conflict(command, "the tester and the DUT need a core each"));
    }
    Ok(cores)
}

fn available_cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect()
}

/// An error as the parser's own, for what the parser can not see.
fn conflict(command: &str, message: &str) -> clap::Error {
    let mut all = Args::command();
    let one = all.find_subcommand_mut(command).map(std::mem::take).unwrap_or_default();
    one.bin_name(format!("ze-perf {command}")).error(ErrorKind::ArgumentConflict, message)
}
