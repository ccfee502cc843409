//! ze-pktgen: packets in, packets out. Everything is in the library; this only hands over the process.

use std::process::ExitCode;

fn main() -> ExitCode {
    ze_pktgen::cli::main(std::env::args_os())
}
