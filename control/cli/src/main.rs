//! ze: the operator's command. Everything is in the library; this only hands over the process.

use std::process::ExitCode;

fn main() -> ExitCode {
    ze_cli::main(std::env::args_os())
}
