//! `ze demo` without `ze`: `cargo run -p ze-pktgen --example tour -- --quick`.

use std::process::ExitCode;

use ze_pktgen::demo::{Options, run_and_report};

fn main() -> ExitCode {
    let mut options = Options::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--keep" => options.keep = true,
            "--quick" => options.quick = true,
            "--quiet" => options.quiet = true,
            "--json" => options.json = true,
            "--idle" => options.idle = words.next(),
            "--bytes" => options.bytes = words.next().and_then(|bytes| bytes.parse().ok()),
            _ => {
                eprintln!(
                    "tour: no option {word}; there are --keep --quick --quiet --json --idle MODE --bytes COUNT"
                );
                return ExitCode::FAILURE;
            }
        }
    }
    run_and_report(&options)
}
