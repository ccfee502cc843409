//! Echo requests from a host, over a raw ICMP socket.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use rustix::net::sockopt;
use socket2::{Domain, Protocol, Socket, Type};

use super::error::Context;
use super::{IcmpReport, LabError, Namespace, error_queue};

/// RFC 792 echo and echo reply.
const ICMP4_ECHO: u8 = 8;
const ICMP4_ECHO_REPLY: u8 = 0;
/// RFC 4443 §4.1 and §4.2.
const ICMP6_ECHO: u8 = 128;
const ICMP6_ECHO_REPLY: u8 = 129;
const ICMP_HEADER_BYTES: usize = 8;
/// Reports kept of one ping; more are only counted.
const ERRORS_KEPT_MAX: usize = 16;

/// What to send, and how patiently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingOptions {
    /// How many requests.
    pub count: u16,
    /// From one request to the next.
    pub interval: Duration,
    /// ICMP payload; the packet has 28 (IPv4) or 48 (IPv6) bytes more.
    pub payload_bytes: usize,
    /// Whether a packet too big for a link is refused instead of fragmented.
    pub dont_fragment: bool,
    /// TTL or hop limit; the kernel's default if absent.
    pub ttl: Option<u8>,
    /// How long the last answers are waited for.
    pub timeout: Duration,
}

impl Default for PingOptions {
    fn default() -> Self {
        Self {
            count: 5,
            interval: Duration::from_millis(20),
            payload_bytes: 56,
            dont_fragment: false,
            ttl: None,
            timeout: Duration::from_secs(2),
        }
    }
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PingReport {
    /// Requests, those this host itself refused included.
    pub sent: u32,
    /// Requests answered with the bytes they carried.
    pub received: u32,
    /// Further answers to a request answered before.
    pub duplicates: u32,
    /// Answers with other bytes than were sent.
    pub corrupted: u32,
    /// ICMP errors instead of an answer.
    pub error_count: u32,
    /// The first of these errors.
    pub errors: Vec<IcmpReport>,
    /// Over all answers; `None` without any.
    pub round_trip: Option<RoundTrip>,
}

/// Round-trip times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrip {
    /// The shortest.
    pub min: Duration,
    /// The mean.
    pub average: Duration,
    /// The longest.
    pub max: Duration,
}

impl PingReport {
    /// Every request was answered once, unchanged.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.sent == self.received && self.duplicates + self.corrupted + self.error_count == 0
    }
}

/// Sends echo requests from a host and gathers the answers. Lost packets are a result, not an error.
///
/// # Errors
/// When the socket fails, or [`LabError::Interrupted`].
pub fn ping(from: &Namespace, destination: IpAddr, options: &PingOptions) -> Result<PingReport, LabError> {
    let what = || format!("ping {destination} from {}", from.name());
    let socket = from.run(|| open(destination, options))?.context(what)?;
    let mut pinger = Pinger::new(socket, destination.is_ipv6(), *options);
    for sequence in 0..options.count {
        from.interrupt().check()?;
        pinger.send(sequence).context(what)?;
        let last = sequence + 1 == options.count;
        pinger.gather(if last { options.timeout } else { options.interval }, last).context(what)?;
    }
    Ok(pinger.report())
}

fn open(destination: IpAddr, options: &PingOptions) -> io::Result<Socket> {
    let (domain, protocol) = match destination {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
    error_queue::enable(&socket, destination.is_ipv6())?;
    if destination.is_ipv6() {
        if options.dont_fragment {
            sockopt::set_ipv6_mtu_discover(&socket, sockopt::Ipv6PathMtuDiscovery::DO)?;
        }
        options.ttl.map_or(Ok(()), |ttl| socket.set_unicast_hops_v6(ttl.into()))?;
    } else {
        let discovery = if options.dont_fragment {
            sockopt::Ipv4PathMtuDiscovery::DO
        } else {
            sockopt::Ipv4PathMtuDiscovery::DONT
        };
        sockopt::set_ip_mtu_discover(&socket, discovery)?;
        options.ttl.map_or(Ok(()), |ttl| socket.set_ttl_v4(ttl.into()))?;
    }
    // Only answers from there.
    socket.connect(&SocketAddr::new(destination, 0).into())?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// One ping under way.
struct Pinger {
    socket: Socket,
    ipv6: bool,
    options: PingOptions,
    identifier: u16,
    waiting: HashMap<u16, Instant>,
    round_trips: Vec<Duration>,
    report: PingReport,
}

impl Pinger {
    fn new(socket: Socket, ipv6: bool, options: PingOptions) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(1);
        // Another process may ping from the same namespace: start somewhere else.
        let offset = (std::process::id() as u16).wrapping_mul(251);
        let identifier = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(offset);
        let (waiting, round_trips) = (HashMap::new(), Vec::new());
        Self { socket, ipv6, options, identifier, waiting, round_trips, report: PingReport::default() }
    }

    fn send(&mut self, sequence: u16) -> io::Result<()> {
        let request = echo_request(self.ipv6, self.identifier, sequence, self.options.payload_bytes);
        self.report.sent += 1;
        self.waiting.insert(sequence, Instant::now());
        // A send first returns what went wrong with an earlier packet; that is in the error queue, too.
        while let Err(error) = self.socket.send(&request) {
            let errors_before = self.report.error_count;
            self.take_errors()?;
            if error.raw_os_error() == Some(libc::EMSGSIZE) {
                self.waiting.remove(&sequence);
                return Ok(());
            }
            if self.report.error_count == errors_before {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes answers for `duration`; if `until_complete`, only until each request has its answer or its error.
    fn gather(&mut self, duration: Duration, until_complete: bool) -> io::Result<()> {
        let deadline = Instant::now() + duration;
        loop {
            let complete = self.waiting.len() <= self.report.error_count as usize;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || (until_complete && (self.waiting.is_empty() || complete)) {
                return Ok(());
            }
            let ready = error_queue::wait_ready(&self.socket, left)?;
            if ready.contains(PollFlags::POLLERR) {
                self.take_errors()?;
            }
            if ready.contains(PollFlags::POLLIN) {
                self.take_answers()?;
            }
        }
    }

    fn take_answers(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 65_536];
        loop {
            match (&self.socket).read(&mut buffer) {
                Ok(length) => self.take_answer(&buffer[..length], Instant::now()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // An ICMP error pending on the socket; it is in the error queue, too.
                Err(_) => return self.take_errors(),
            }
        }
    }

    fn take_answer(&mut self, packet: &[u8], now: Instant) {
        let Some((sequence, payload)) = parse_echo_reply(self.ipv6, self.identifier, packet) else {
            return;
        };
        if payload != pattern(sequence, self.options.payload_bytes) {
            self.report.corrupted += 1;
            return;
        }
        let Some(sent) = self.waiting.remove(&sequence) else {
            self.report.duplicates += 1;
            return;
        };
        self.report.received += 1;
        self.round_trips.push(now - sent);
    }

    fn take_errors(&mut self) -> io::Result<()> {
        while let Some(error) = error_queue::take(&self.socket)? {
            self.report.error_count += 1;
            if self.report.errors.len() < ERRORS_KEPT_MAX {
                self.report.errors.push(error);
            }
        }
        Ok(())
    }

    fn report(mut self) -> PingReport {
        let sum: Duration = self.round_trips.iter().sum();
        let count = u32::try_from(self.round_trips.len()).unwrap_or(u32::MAX);
        let (min, max) = (self.round_trips.iter().min(), self.round_trips.iter().max());
        self.report.round_trip =
            min.zip(max).map(|(min, max)| RoundTrip { min: *min, average: sum / count, max: *max });
        self.report
    }
}

/// The payload of one request: differs from the next one's in every byte.
fn pattern(sequence: u16, length: usize) -> Vec<u8> {
    (0..length).map(|index| (index as u8).wrapping_add(sequence as u8)).collect()
}

fn echo_request(ipv6: bool, identifier: u16, sequence: u16, payload_bytes: usize) -> Vec<u8> {
    let kind = if ipv6 { ICMP6_ECHO } else { ICMP4_ECHO };
    let mut message = vec![kind, 0, 0, 0];
    message.extend(identifier.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend(pattern(sequence, payload_bytes));
    // For ICMPv6 the kernel writes the checksum, as it knows the pseudo header (RFC 3542 §3.1).
    if !ipv6 {
        let checksum = internet_checksum(&message);
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
    message
}

/// Sequence and payload, if the packet is an answer to us.
fn parse_echo_reply(ipv6: bool, identifier: u16, packet: &[u8]) -> Option<(u16, &[u8])> {
    // A raw IPv4 socket delivers the IP header, a raw IPv6 socket does not.
    let header_bytes = if ipv6 { 0 } else { usize::from(packet.first()? & 0x0f) * 4 };
    let message = packet.get(header_bytes..)?;
    let kind = if ipv6 { ICMP6_ECHO_REPLY } else { ICMP4_ECHO_REPLY };
    let [found_kind, _, _, _, id_high, id_low, sequence_high, sequence_low, ..] = *message else {
        return None;
    };
    if found_kind != kind || u16::from_be_bytes([id_high, id_low]) != identifier {
        return None;
    }
    Some((u16::from_be_bytes([sequence_high, sequence_low]), &message[ICMP_HEADER_BYTES..]))
}

/// RFC 1071: the ones' complement of the ones' complement sum of all 16-bit words.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests;
