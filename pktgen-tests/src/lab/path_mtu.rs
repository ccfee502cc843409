//! Path-MTU discovery as a host does it: send big, listen, send smaller (RFC 1191, RFC 8201).

use std::io;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use rustix::net::sockopt;

use super::error::Context;
use super::traceroute::{PROBE_PORT, await_report, probe_socket};
use super::{IcmpReport, LabError, Namespace};

/// Links that get narrower on one way; each takes one round.
const ROUNDS_MAX: usize = 16;
/// Probes without any answer before the path counts as black hole.
const SILENT_PROBES_MAX: usize = 3;
/// How long an answer to one probe is waited for.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// RFC 791 §3.1 header without options, RFC 8200 §3 header, RFC 768 header.
const IP4_HEADER_BYTES: u32 = 20;
const IP6_HEADER_BYTES: u32 = 40;
const UDP_HEADER_BYTES: u32 = 8;

/// What was found out about a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathMtuReport {
    /// The largest packet the path takes, IP header included, as far as is known.
    pub mtu_bytes: u32,
    /// A packet of that size arrived: the destination said that nobody listens on its port.
    pub confirmed: bool,
    /// The messages that said "too big", in order; `from` tells which router.
    pub too_big: Vec<IcmpReport>,
}

/// Finds the path MTU from a host to `destination`, starting with packets of `start_bytes`; what the host had
/// learned before is forgotten first.
///
/// # Errors
/// When the socket fails, when an error other than "too big" comes back, or [`LabError::Interrupted`].
pub fn path_mtu(from: &Namespace, destination: IpAddr, start_bytes: u32) -> Result<PathMtuReport, LabError> {
    let what = || format!("path MTU to {destination} from {}", from.name());
    from.path_mtu_flush()?;
    let socket = from.run(|| open(destination))?.context(what)?;
    let mut report = PathMtuReport { mtu_bytes: start_bytes, confirmed: false, too_big: Vec::new() };
    let mut silent = 0;
    while report.too_big.len() < ROUNDS_MAX && silent < SILENT_PROBES_MAX {
        from.interrupt().check()?;
        match probe(&socket, destination, report.mtu_bytes).context(what)? {
            None => silent += 1,
            Some(answer) if answer.is_port_unreachable() => {
                report.confirmed = true;
                break;
            }
            Some(answer) if answer.is_too_big() => {
                let told = answer.mtu_bytes.unwrap_or(0);
                if told >= report.mtu_bytes || told == 0 {
                    return Err(wrong_mtu(told, report.mtu_bytes)).context(what);
                }
                report.mtu_bytes = told;
                report.too_big.push(answer);
            }
            Some(answer) => return Err(io::Error::from_raw_os_error(answer.errno)).context(what),
        }
    }
    Ok(report)
}

fn wrong_mtu(told: u32, sent: u32) -> io::Error {
    io::Error::other(format!("a packet of {sent} bytes is too big, but the MTU told is {told}"))
}

fn open(destination: IpAddr) -> io::Result<UdpSocket> {
    let socket = probe_socket(destination, PROBE_PORT)?;
    if destination.is_ipv6() {
        sockopt::set_ipv6_mtu_discover(&socket, sockopt::Ipv6PathMtuDiscovery::DO)?;
    } else {
        sockopt::set_ip_mtu_discover(&socket, sockopt::Ipv4PathMtuDiscovery::DO)?;
    }
    Ok(socket)
}

/// Sends one packet of `size_bytes` and returns what is said about it.
fn probe(socket: &UdpSocket, destination: IpAddr, size_bytes: u32) -> io::Result<Option<IcmpReport>> {
    let header = if destination.is_ipv6() { IP6_HEADER_BYTES } else { IP4_HEADER_BYTES };
    let payload = vec![0; size_bytes.saturating_sub(header + UDP_HEADER_BYTES) as usize];
    if let Err(error) = socket.send(&payload) {
        // Too big for our own link, or for what was learned: the kernel says it in the error queue, like a router's word.
        return super::error_queue::take(socket)?.map(Some).ok_or(error);
    }
    await_report(socket, PROBE_TIMEOUT)
}
