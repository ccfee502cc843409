//! The routers on the way to a host, by UDP probes that run out of hops.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::error::Context;
use super::{IcmpReport, LabError, Namespace, error_queue};

/// The first port nobody listens on, by the custom of traceroute (RFC 1393 §1 describes the method).
pub(super) const PROBE_PORT: u16 = 33_434;

/// How far to look, and how patiently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracerouteOptions {
    /// The largest TTL or hop limit tried.
    pub hops_max: u8,
    /// Probes to a hop before it counts as silent.
    pub attempts: u8,
    /// How long an answer to one probe is waited for.
    pub timeout: Duration,
}

impl Default for TracerouteOptions {
    fn default() -> Self {
        Self { hops_max: 16, attempts: 3, timeout: Duration::from_millis(700) }
    }
}

/// One step on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// TTL or hop limit of the probe.
    pub ttl: u8,
    /// Who answered; `None` if nobody did.
    pub address: Option<IpAddr>,
    /// From probe to answer.
    pub round_trip: Option<Duration>,
    /// What was answered.
    pub report: Option<IcmpReport>,
}

/// Finds the routers between a host and `destination`; the last hop is the destination, if it answers.
///
/// # Errors
/// When the socket fails, or [`LabError::Interrupted`].
pub fn traceroute(
    from: &Namespace,
    destination: IpAddr,
    options: &TracerouteOptions,
) -> Result<Vec<Hop>, LabError> {
    let what = || format!("traceroute to {destination} from {}", from.name());
    let mut hops = Vec::new();
    for ttl in 1..=options.hops_max {
        from.interrupt().check()?;
        let hop = from.run(|| find_hop(destination, ttl, options))?.context(what)?;
        hops.push(hop);
        // Anything but time exceeded, from whomever, is the end of the way.
        if hop.report.is_some_and(|report| !report.is_time_exceeded()) {
            break;
        }
    }
    Ok(hops)
}

fn find_hop(destination: IpAddr, ttl: u8, options: &TracerouteOptions) -> io::Result<Hop> {
    for attempt in 0..options.attempts {
        let probe = probe_socket(destination, PROBE_PORT + u16::from(attempt))?;
        set_ttl(&probe, destination.is_ipv6(), ttl)?;
        let sent = Instant::now();
        // A route that is missing here is the answer of this host.
        if let Err(error) = probe.send(&[ttl; 32])
            && error_queue::take(&probe)?.is_none()
        {
            return Err(error);
        }
        if let Some(report) = await_report(&probe, options.timeout)? {
            let round_trip = Some(sent.elapsed());
            return Ok(Hop { ttl, address: report.from, round_trip, report: Some(report) });
        }
    }
    Ok(Hop { ttl, address: None, round_trip: None, report: None })
}

fn set_ttl(socket: &UdpSocket, ipv6: bool, ttl: u8) -> io::Result<()> {
    let socket = SockRef::from(socket);
    if ipv6 { socket.set_unicast_hops_v6(ttl.into()) } else { socket.set_ttl_v4(ttl.into()) }
}

/// A UDP socket that hears the ICMP errors about what it sends to `destination`.
pub(super) fn probe_socket(destination: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let any: IpAddr =
        if destination.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    error_queue::enable(&socket, destination.is_ipv6())?;
    socket.connect(SocketAddr::new(destination, port))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The first ICMP error about a probe.
pub(super) fn await_report(socket: &UdpSocket, timeout: Duration) -> io::Result<Option<IcmpReport>> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(report) = error_queue::take(socket)? {
            return Ok(Some(report));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        error_queue::wait_ready(socket, left)?;
    }
}
