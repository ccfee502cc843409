//! A TCP transfer between two hosts, as fast as it goes, with the content checked.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::error::Context;
use super::{Interrupt, LabError, Namespace, wait_for};

/// One write, and the unit of checking. Large, so that system calls do not count.
const BLOCK_BYTES: usize = 256 * 1024;
/// Each block's number is checked, and the whole of one block in this many: memory bandwidth is not the measurement.
const BLOCKS_PER_FULL_CHECK: u64 = 16;
/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(20);

/// How much to send, and how patiently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferOptions {
    /// How many bytes.
    pub bytes: u64,
    /// How long the connection may take to be set up.
    pub connect_timeout: Duration,
    /// How long nothing may arrive before the transfer counts as stalled.
    pub stall_timeout: Duration,
}

impl Default for TransferOptions {
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            connect_timeout: Duration::from_secs(5),
            stall_timeout: Duration::from_secs(10),
        }
    }
}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that arrived and were checked.
    pub received_bytes: u64,
    /// Bytes to come altogether.
    pub total_bytes: u64,
    /// Since the connection was set up.
    pub elapsed: Duration,
}

/// A finished transfer. All bytes arrived; a wrong one would have been [`LabError::Corrupt`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TransferReport {
    /// Bytes that arrived.
    pub bytes: u64,
    /// From the set-up of the connection to the last byte.
    pub elapsed: Duration,
    /// Payload rate over that time.
    pub bits_per_second: f64,
    /// Segments the sending host's TCP sent again meanwhile: a loss that the rate hides.
    pub retransmitted_segments: u64,
}

/// Sends `options.bytes` from one host to `destination`, an address of another, and checks what arrives.
///
/// `progress` is called about 50 times a second and can end the transfer by returning `Break`.
///
/// # Errors
/// When it cannot connect, stalls, delivers wrong bytes, or is interrupted.
pub fn tcp_transfer(
    from: &Namespace,
    to: &Namespace,
    destination: IpAddr,
    options: &TransferOptions,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<TransferReport, LabError> {
    let retransmitted_before = from.tcp_retransmitted_segments()?;
    let (client, server) = connect(from, to, destination, options.connect_timeout)?;
    let watch = Watch { destination, options, received: &AtomicU64::new(0), started: Instant::now() };
    let finished = thread::scope(|scope| {
        let sender = scope.spawn(|| send(&client, options.bytes));
        let receiver = scope.spawn(|| receive(&server, options.bytes, watch.received));
        let watched = watch.until_finished(&receiver, from.interrupt(), &mut progress);
        // Whoever is still blocked comes back at once; after a complete transfer it changes nothing.
        if watched.is_err() || !sender.is_finished() {
            let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
        }
        let (sent, received) = (join(sender), join(receiver));
        watched.and_then(|()| watch.result(sent, received))
    })?;
    let elapsed = finished - watch.started;
    Ok(TransferReport {
        bytes: options.bytes,
        elapsed,
        bits_per_second: options.bytes as f64 * 8.0 / elapsed.as_secs_f64(),
        retransmitted_segments: from.tcp_retransmitted_segments()?.saturating_sub(retransmitted_before),
    })
}

/// Both ends of a new connection, each made in its namespace.
fn connect(
    from: &Namespace,
    to: &Namespace,
    destination: IpAddr,
    timeout: Duration,
) -> Result<(TcpStream, TcpStream), LabError> {
    let any: IpAddr =
        if destination.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let what = || format!("TCP connection from {} to {destination} in {}", from.name(), to.name());
    let listener = to.run(|| TcpListener::bind((any, 0)))?.context(what)?;
    let port = listener.local_addr().context(what)?.port();
    let address = SocketAddr::new(destination, port);
    let client = from.run(|| TcpStream::connect_timeout(&address, timeout))?.context(what)?;
    listener.set_nonblocking(true).context(what)?;
    let (server, _) = wait_for(timeout, &what(), || listener.accept().ok())?;
    server.set_nonblocking(false).context(what)?;
    Ok((client, server))
}

/// Why one of the two threads stopped.
enum Stop {
    Io(io::Error),
    Corrupt { offset: u64 },
}

/// What the calling thread knows of a transfer.
struct Watch<'a> {
    destination: IpAddr,
    options: &'a TransferOptions,
    received: &'a AtomicU64,
    started: Instant,
}

impl Watch<'_> {
    fn until_finished<T>(
        &self,
        receiver: &ScopedJoinHandle<'_, T>,
        interrupt: &Interrupt,
        progress: &mut impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(), LabError> {
        let (mut received_bytes, mut changed) = (0, Instant::now());
        loop {
            let before = std::mem::replace(&mut received_bytes, self.received.load(Ordering::Relaxed));
            let (total_bytes, elapsed) = (self.options.bytes, self.started.elapsed());
            let told = progress(Progress { received_bytes, total_bytes, elapsed });
            if receiver.is_finished() {
                return Ok(());
            }
            if told.is_break() || interrupt.is_set() {
                return Err(LabError::Interrupted);
            }
            if received_bytes != before {
                changed = Instant::now();
            }
            let timeout = self.options.stall_timeout;
            if changed.elapsed() > timeout {
                return Err(LabError::Stalled { destination: self.destination, received_bytes, timeout });
            }
            thread::park_timeout(PROGRESS_INTERVAL);
        }
    }

    fn result(&self, sent: Result<(), Stop>, received: Result<Instant, Stop>) -> Result<Instant, LabError> {
        let destination = self.destination;
        let what = || format!("TCP transfer to {destination}");
        match (sent, received) {
            (_, Ok(finished)) => Ok(finished),
            (_, Err(Stop::Corrupt { offset })) => Err(LabError::Corrupt { destination, offset }),
            // The sender's error is the cause of the receiver's.
            (Err(Stop::Io(error)), Err(Stop::Io(_))) | (_, Err(Stop::Io(error))) => Err(error).context(what),
        }
    }
}

fn join<T>(handle: ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

fn send(mut stream: &TcpStream, total: u64) -> Result<(), Stop> {
    let mut block = pattern();
    for (number, length) in blocks(total) {
        block[..8].copy_from_slice(&number.to_le_bytes());
        if let Err(error) = stream.write_all(&block[..length]) {
            // The receiver must not wait for what will not come.
            let _ = stream.shutdown(Shutdown::Both);
            return Err(Stop::Io(error));
        }
    }
    Ok(())
}

fn receive(mut stream: &TcpStream, total: u64, received: &AtomicU64) -> Result<Instant, Stop> {
    let mut expected = pattern();
    let mut block = vec![0; BLOCK_BYTES];
    let mut finished = Instant::now();
    for (number, length) in blocks(total) {
        let mut filled = 0;
        while filled < length {
            match stream.read(&mut block[filled..length]) {
                Ok(0) => return Err(Stop::Io(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => {
                    filled += count;
                    received.fetch_add(count as u64, Ordering::Relaxed);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Stop::Io(error)),
            }
        }
        finished = Instant::now();
        expected[..8].copy_from_slice(&number.to_le_bytes());
        if !block_is_right(number, &block[..length], &expected[..length]) {
            return Err(Stop::Corrupt { offset: number * BLOCK_BYTES as u64 });
        }
    }
    Ok(finished)
}

fn block_is_right(number: u64, block: &[u8], expected: &[u8]) -> bool {
    let checked = if number.is_multiple_of(BLOCKS_PER_FULL_CHECK) { expected.len() } else { 8 };
    let checked = checked.min(expected.len());
    block[..checked] == expected[..checked]
}

/// Number and length of each block of a transfer.
fn blocks(total: u64) -> impl Iterator<Item = (u64, usize)> {
    let block = BLOCK_BYTES as u64;
    (0..total.div_ceil(block)).map(move |number| (number, (total - number * block).min(block) as usize))
}

/// The content of every block but for its number: bytes without a period that a lost or doubled segment could hit.
fn pattern() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        // Marsaglia's xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..BLOCK_BYTES / 8).flat_map(next).collect()
}

#[cfg(test)]
mod tests;
