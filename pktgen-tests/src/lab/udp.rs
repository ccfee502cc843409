//! A steady stream of numbered UDP packets, to see each one that a fault costs; and an echo service.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

use super::error::Context;
use super::udp_window::{Arrival, SequenceWindow};
use super::{LabError, Namespace};

/// Stream number and sequence number, at the beginning of each payload.
const HEADER_BYTES: usize = 16;
/// Room for a receiver that does not get the processor for a while.
const RECEIVE_BUFFER_BYTES: usize = 32 << 20;
/// How often a receiver looks whether it shall stop.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(20);
/// Silence after which, at the end of a stream, nothing more is expected.
const DRAIN_SILENCE: Duration = Duration::from_millis(500);
/// The most packets sent in a row to catch up; more would be a burst no real stream has.
const CATCH_UP_MAX: u64 = 64;

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpOptions {
    /// Packets per second.
    pub rate_pps: u32,
    /// UDP payload, at least 16.
    pub payload_bytes: usize,
}

impl Default for UdpOptions {
    fn default() -> Self {
        Self { rate_pps: 2000, payload_bytes: 256 }
    }
}

/// A stream under way, on two threads.
#[derive(Debug)]
pub struct UdpStream {
    flags: Arc<Flags>,
    received: Arc<Mutex<Received>>,
    sender: Option<JoinHandle<Instant>>,
    receiver: Option<JoinHandle<()>>,
}

/// Where a stream stands. Packets that are under way are sent and not yet received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpCounts {
    /// Packets the sending host took.
    pub sent: u64,
    /// Packets it refused, because a link was down or a route missing; not among `sent`.
    pub refused: u64,
    /// Packets that arrived, each counted once.
    pub received: u64,
    /// Packets that arrived again.
    pub duplicates: u64,
    /// Packets that arrived after a later one.
    pub reordered: u64,
    /// Packets that arrived with other content than they were sent with.
    pub corrupted: u64,
    /// The longest time between two arrivals.
    pub longest_gap: Duration,
}

/// A stream that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpReport {
    /// The final counts; `longest_gap` goes up to the last packet sent.
    pub counts: UdpCounts,
    /// Packets that never arrived.
    pub lost: u64,
}

#[derive(Debug, Default)]
struct Flags {
    stop_sending: AtomicBool,
    stop_receiving: AtomicBool,
    sent: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug)]
struct Received {
    counts: UdpCounts,
    window: SequenceWindow,
    last_arrival: Option<Instant>,
}

impl UdpStream {
    /// Starts a stream from one host to `destination`, an address of another.
    ///
    /// # Errors
    /// When a socket cannot be made.
    pub fn start(
        from: &Namespace,
        to: &Namespace,
        destination: IpAddr,
        options: &UdpOptions,
    ) -> Result<Self, LabError> {
        let what = || format!("UDP stream from {} to {destination} in {}", from.name(), to.name());
        let receiver = to.run(|| receiving_socket(any_like(destination)))?.context(what)?;
        let port = receiver.local_addr().context(what)?.port();
        let sender = from.run(|| UdpSocket::bind(any_like(destination)))?.context(what)?;
        let destination = SocketAddr::new(destination, port);
        let flags = Arc::new(Flags::default());
        let window = SequenceWindow::new();
        let received =
            Arc::new(Mutex::new(Received { counts: UdpCounts::default(), window, last_arrival: None }));
        // The port tells this stream from all others at the same destination.
        let (stream, options) = (u64::from(port), *options);
        let sender = {
            let flags = Arc::clone(&flags);
            thread::spawn(move || send(&sender, destination, stream, options, &flags))
        };
        let receiver = {
            let (flags, received) = (Arc::clone(&flags), Arc::clone(&received));
            thread::spawn(move || receive(&receiver, stream, &flags, &received))
        };
        Ok(Self { flags, received, sender: Some(sender), receiver: Some(receiver) })
    }

    /// Where it stands now.
    #[must_use]
    pub fn counts(&self) -> UdpCounts {
        let counts = lock(&self.received).counts;
        UdpCounts {
            sent: self.flags.sent.load(Ordering::Relaxed),
            refused: self.flags.refused.load(Ordering::Relaxed),
            ..counts
        }
    }

    /// Stops sending, waits for what is under way, and counts up.
    #[must_use]
    pub fn stop(mut self) -> UdpReport {
        self.flags.stop_sending.store(true, Ordering::Relaxed);
        let last_sent = self.sender.take().and_then(|sender| sender.join().ok());
        self.drain();
        let mut counts = self.counts();
        let last_arrival = lock(&self.received).last_arrival;
        if let (Some(sent), Some(arrival)) = (last_sent, last_arrival) {
            counts.longest_gap = counts.longest_gap.max(sent.saturating_duration_since(arrival));
        }
        UdpReport { counts, lost: counts.sent.saturating_sub(counts.received) }
    }

    fn drain(&self) {
        let (mut before, mut changed) = (self.counts().received, Instant::now());
        while changed.elapsed() < DRAIN_SILENCE {
            let counts = self.counts();
            if counts.received >= counts.sent {
                return;
            }
            if counts.received != before {
                (before, changed) = (counts.received, Instant::now());
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for UdpStream {
    fn drop(&mut self) {
        self.flags.stop_sending.store(true, Ordering::Relaxed);
        self.flags.stop_receiving.store(true, Ordering::Relaxed);
        let _ = self.sender.take().map(JoinHandle::join);
        let _ = self.receiver.take().map(JoinHandle::join);
    }
}

fn any_like(address: IpAddr) -> SocketAddr {
    let any: IpAddr =
        if address.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    SocketAddr::new(any, 0)
}

fn receiving_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES)?;
    socket.set_read_timeout(Some(RECEIVE_TIMEOUT))?;
    Ok(socket)
}

fn lock(received: &Mutex<Received>) -> std::sync::MutexGuard<'_, Received> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends at a steady rate until told to stop; returns when the last packet went.
fn send(
    socket: &UdpSocket,
    destination: SocketAddr,
    stream: u64,
    options: UdpOptions,
    flags: &Flags,
) -> Instant {
    let mut packet = vec![0; options.payload_bytes.max(HEADER_BYTES)];
    let interval = Duration::from_secs(1) / options.rate_pps.max(1);
    let mut due = Instant::now();
    let mut sequence = 0;
    while !flags.stop_sending.load(Ordering::Relaxed) {
        let now = Instant::now();
        if now < due {
            thread::sleep((due - now).max(Duration::from_micros(200)));
            continue;
        }
        // Late by more than we may catch up: the schedule moves, the rate stays.
        due = due.max(now.checked_sub(interval * CATCH_UP_MAX as u32).unwrap_or(due)) + interval;
        fill(&mut packet, stream, sequence);
        match socket.send_to(&packet, destination) {
            Ok(_) => {
                sequence += 1;
                flags.sent.store(sequence, Ordering::Relaxed);
            }
            Err(_) => {
                flags.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    Instant::now()
}

fn receive(socket: &UdpSocket, stream: u64, flags: &Flags, received: &Mutex<Received>) {
    let mut buffer = vec![0; 65_536];
    while !flags.stop_receiving.load(Ordering::Relaxed) {
        // An error is the time-out, or the echo of one about something else: look at the flag and go on.
        if let Ok(length) = socket.recv(&mut buffer) {
            lock(received).take(stream, &buffer[..length], Instant::now());
        }
    }
}

impl Received {
    fn take(&mut self, stream: u64, packet: &[u8], now: Instant) {
        let Some(sequence) = parse(packet, stream) else {
            self.counts.corrupted += 1;
            return;
        };
        match self.window.arrive(sequence) {
            Arrival::InOrder => self.counts.received += 1,
            Arrival::Reordered => {
                self.counts.received += 1;
                self.counts.reordered += 1;
            }
            Arrival::Duplicate | Arrival::TooOld => self.counts.duplicates += 1,
        }
        if let Some(last) = self.last_arrival {
            self.counts.longest_gap = self.counts.longest_gap.max(now - last);
        }
        self.last_arrival = Some(now);
    }
}

/// Stream, sequence, and then bytes that follow from the sequence.
fn fill(packet: &mut [u8], stream: u64, sequence: u64) {
    let (header, body) = packet.split_at_mut(HEADER_BYTES);
    header[..8].copy_from_slice(&stream.to_be_bytes());
    header[8..].copy_from_slice(&sequence.to_be_bytes());
    body.fill(sequence as u8);
}

fn parse(packet: &[u8], stream: u64) -> Option<u64> {
    let (header, body) = packet.split_at_checked(HEADER_BYTES)?;
    let sequence = u64::from_be_bytes(header[8..].try_into().ok()?);
    let right = header[..8] == stream.to_be_bytes() && body.iter().all(|byte| *byte == sequence as u8);
    right.then_some(sequence)
}

/// A UDP echo service (RFC 862) in a host, until dropped.
#[derive(Debug)]
pub struct UdpEcho {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl UdpEcho {
    /// Starts the service at a free port of all addresses of the host, IPv4 and IPv6.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn start(namespace: &Namespace) -> Result<Self, LabError> {
        let what = || format!("UDP echo service in {}", namespace.name());
        // Linux sockets of the unspecified IPv6 address take IPv4, too (RFC 3493 §3.7).
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        let socket = namespace.run(|| receiving_socket(any))?.context(what)?;
        let port = socket.local_addr().context(what)?.port();
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = Some(thread::spawn(move || echo(&socket, &flag)));
        Ok(Self { port, stop, thread })
    }

    /// The port of the service.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sends `payload` from a host to the service at `destination` and waits for the same bytes; returns how long
    /// it took, `None` if they did not come back within `timeout`.
    ///
    /// # Errors
    /// When the socket cannot be made or refuses.
    pub fn exchange(
        &self,
        from: &Namespace,
        destination: IpAddr,
        payload: &[u8],
        timeout: Duration,
    ) -> Result<Option<Duration>, LabError> {
        let what = || format!("UDP echo from {} to {destination}", from.name());
        let socket = from.run(|| UdpSocket::bind(any_like(destination)))?.context(what)?;
        ask(&socket, SocketAddr::new(destination, self.port), payload, timeout).context(what)
    }
}

impl Drop for UdpEcho {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn echo(socket: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = vec![0; 65_536];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            // An answer that cannot be sent is a lost one, as on any network.
            let _ = socket.send_to(&buffer[..length], from);
        }
    }
}

fn ask(
    socket: &UdpSocket,
    to: SocketAddr,
    payload: &[u8],
    timeout: Duration,
) -> io::Result<Option<Duration>> {
    let started = Instant::now();
    let mut buffer = vec![0; 65_536];
    socket.send_to(payload, to)?;
    loop {
        let left = timeout.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) if from == to && buffer[..length] == *payload => {
                return Ok(Some(started.elapsed()));
            }
            Ok(_) => {}
            Err(error) if is_time_over(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// A socket with a time-out gives up early, too, when the kernel looks at its thread's signals for reasons of its own.
fn is_time_over(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests;
