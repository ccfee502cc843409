//! What a DPDK program counts, by its telemetry socket.

use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use serde_json::Value;

/// The longest answer: what the greeting promises of DPDK 20.05 and later.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// How long an answer may take: whoever answers waits for a core that others want too.
const PATIENCE_S: i64 = 30;
/// How often the socket is looked for.
const POLL: Duration = Duration::from_millis(20);

/// A connection to one program.
#[derive(Debug)]
pub(crate) struct Telemetry {
    socket: OwnedFd,
}

impl Telemetry {
    /// To the program with this prefix, as soon as it listens, for as long as `is_alive` says so.
    ///
    /// # Errors
    /// When it has ended, or does not listen in time.
    pub(crate) fn connect(
        prefix: &str,
        timeout: Duration,
        mut is_alive: impl FnMut() -> bool,
    ) -> Result<Self> {
        let path = super::runtime_directory(prefix).join("dpdk_telemetry.v2");
        let address = UnixAddr::new(&path).context("telemetry socket")?;
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            if !is_alive() {
                bail!("the program has ended");
            }
            let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
            if connect(socket.as_raw_fd(), &address).is_ok() {
                setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(PATIENCE_S))?;
                let all = Self { socket };
                all.receive().context("greeting")?;
                return Ok(all);
            }
            thread::sleep(POLL);
        }
        bail!("the program did not listen within {} s", timeout.as_secs())
    }

    /// Packets that a port has sent.
    ///
    /// # Errors
    /// When the program does not answer, or there is no such port.
    pub(crate) fn sent(&self, port: u16) -> Result<u64> {
        let answer = self.ask(&format!("/ethdev/stats,{port}"))?;
        answer["/ethdev/stats"]["opackets"]
            .as_u64()
            .with_context(|| format!("port {port} has no counters: {answer}"))
    }

    fn ask(&self, question: &str) -> Result<Value> {
        send(self.socket.as_raw_fd(), question.as_bytes(), MsgFlags::MSG_NOSIGNAL).context("telemetry")?;
        self.receive()
    }

    fn receive(&self) -> Result<Value> {
        let mut buffer = vec![0; ANSWER_BYTES_MAX];
        let count = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).context("telemetry")?;
        serde_json::from_slice(&buffer[..count]).context("telemetry")
    }
}
