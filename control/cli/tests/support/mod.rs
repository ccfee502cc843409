//! What the tests of the binary share: a fake fast path on a socket of its own, and the binary.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::fake::Fake;

/// A fake that serves on its own thread for as long as this lives.
pub struct Running {
    directory: TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Running {
    /// Starts one.
    pub fn start(fake: Fake) -> Self {
        let directory = tempfile::Builder::new().prefix("ze-cli-test").tempdir().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let socket = directory.path().join("fastpath.sock");
        let serve = socket.clone();
        runtime.spawn(async move { fake.serve(&serve).await.unwrap() });
        let running = Self { directory, _runtime: runtime };
        let begin = std::time::Instant::now();
        while !socket.exists() {
            assert!(begin.elapsed().as_secs() < 10, "the fake does not start");
            std::thread::yield_now();
        }
        running
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("fastpath.sock")
    }

    /// Runs `ze` with these words against it.
    pub fn ze(&self, words: &[&str]) -> Output {
        ze(&self.socket(), words)
    }
}

/// The binary, told about a socket and nothing else of this environment.
pub fn command(socket: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ze"));
    command
        .args(words)
        .env("ZE_SOCKET", socket)
        .env_remove("NO_COLOR")
        .env("COLUMNS", "80")
        .env("LINES", "24");
    command.stdin(Stdio::null());
    command
}

/// Runs `ze` to its end.
pub fn ze(socket: &Path, words: &[&str]) -> Output {
    command(socket, words).output().unwrap()
}

/// Standard output as text.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
