//! A fast path that only pretends, to try screens and scripts without a router:
//! `cargo run -p ze-cli --example fake-fastpath -- /tmp/fake.sock`, then `ze --socket /tmp/fake.sock top`.

#[path = "../tests/fake/mod.rs"]
mod fake;

use std::path::PathBuf;
use std::time::Instant;

use fake::{Clock, Fake};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let Some(socket) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: fake-fastpath SOCKET");
        std::process::exit(2);
    };
    let fake = Fake { clock: Clock::Real(Instant::now()), ..Fake::default() };
    tokio::select! {
        served = fake.serve(&socket) => served,
        _ = tokio::signal::ctrl_c() => std::fs::remove_file(&socket),
    }
}
