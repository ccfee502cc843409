//! ICMP errors about what a socket sent, as the kernel keeps them beside the socket (`IP_RECVERR`).

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};

/// RFC 792: destination unreachable, and its code "fragmentation needed".
const ICMP4_UNREACHABLE: u8 = 3;
const ICMP4_FRAGMENTATION_NEEDED: u8 = 4;
/// RFC 792: destination unreachable, port.
const ICMP4_PORT_UNREACHABLE: u8 = 3;
/// RFC 792: time exceeded.
const ICMP4_TIME_EXCEEDED: u8 = 11;
/// RFC 4443 §3.1: destination unreachable, and its code "port".
const ICMP6_UNREACHABLE: u8 = 1;
const ICMP6_PORT_UNREACHABLE: u8 = 4;
/// RFC 4443 §3.2: packet too big.
const ICMP6_PACKET_TOO_BIG: u8 = 2;
/// RFC 4443 §3.3: time exceeded.
const ICMP6_TIME_EXCEEDED: u8 = 3;

/// An error about a packet we sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpReport {
    /// Who sent the ICMP message; `None` when this host itself refused the packet.
    pub from: Option<IpAddr>,
    /// The packet was IPv6.
    pub ipv6: bool,
    /// ICMP type, as in the message; 0 when local.
    pub icmp_type: u8,
    /// ICMP code, as in the message; 0 when local.
    pub icmp_code: u8,
    /// The MTU told, where the message carries one.
    pub mtu_bytes: Option<u32>,
    /// The error number a send would have returned.
    pub errno: i32,
}

impl IcmpReport {
    /// The packet ran out of hops.
    #[must_use]
    pub fn is_time_exceeded(&self) -> bool {
        let expected = if self.ipv6 { ICMP6_TIME_EXCEEDED } else { ICMP4_TIME_EXCEEDED };
        self.from.is_some() && self.icmp_type == expected
    }

    /// The packet arrived, and nobody listens on its port.
    #[must_use]
    pub fn is_port_unreachable(&self) -> bool {
        let expected = if self.ipv6 {
            (ICMP6_UNREACHABLE, ICMP6_PORT_UNREACHABLE)
        } else {
            (ICMP4_UNREACHABLE, ICMP4_PORT_UNREACHABLE)
        };
        self.from.is_some() && (self.icmp_type, self.icmp_code) == expected
    }

    /// The packet was too big for a link.
    #[must_use]
    pub fn is_too_big(&self) -> bool {
        let told = if self.ipv6 {
            self.icmp_type == ICMP6_PACKET_TOO_BIG
        } else {
            (self.icmp_type, self.icmp_code) == (ICMP4_UNREACHABLE, ICMP4_FRAGMENTATION_NEEDED)
        };
        told || self.errno == libc::EMSGSIZE
    }
}

/// Makes the kernel keep errors for this socket.
pub(super) fn enable(socket: &impl AsFd, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        return Ok(setsockopt(socket, sockopt::Ipv6RecvErr, &true)?);
    }
    Ok(setsockopt(socket, sockopt::Ipv4RecvErr, &true)?)
}

/// Takes the oldest error about what `socket` sent.
pub(super) fn take(socket: &impl AsFd) -> io::Result<Option<IcmpReport>> {
    let mut payload = [0; 256];
    let mut parts = [IoSliceMut::new(&mut payload)];
    // The larger of the two, with the larger of the two addresses behind it.
    let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message =
        match recvmsg::<SockaddrStorage>(socket.as_fd().as_raw_fd(), &mut parts, Some(&mut control), flags) {
            Err(Errno::EAGAIN) => return Ok(None),
            result => result?,
        };
    Ok(message.cmsgs()?.find_map(|message| report(&message)))
}

fn report(message: &ControlMessageOwned) -> Option<IcmpReport> {
    let (error, from, ipv6) = match message {
        ControlMessageOwned::Ipv4RecvErr(error, from) => {
            (error, from.map(|from| IpAddr::from(Ipv4Addr::from(u32::from_be(from.sin_addr.s_addr)))), false)
        }
        ControlMessageOwned::Ipv6RecvErr(error, from) => {
            (error, from.map(|from| IpAddr::from(Ipv6Addr::from(from.sin6_addr.s6_addr))), true)
        }
        _ => return None,
    };
    let local = error.ee_origin == libc::SO_EE_ORIGIN_LOCAL;
    Some(IcmpReport {
        from: from.filter(|_| !local),
        ipv6,
        icmp_type: error.ee_type,
        icmp_code: error.ee_code,
        mtu_bytes: (error.ee_errno == libc::EMSGSIZE as u32).then_some(error.ee_info),
        errno: error.ee_errno.cast_signed(),
    })
}

/// Waits until `socket` has a packet (`POLLIN`) or an error (`POLLERR`), or the time is over (nothing set).
pub(super) fn wait_ready(socket: &impl AsFd, timeout: Duration) -> io::Result<PollFlags> {
    // Rounded up: a rest of less than a millisecond must not become a busy loop.
    let milliseconds = timeout.as_micros().div_ceil(1000);
    let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
    let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    match poll(&mut polled, timeout) {
        Ok(_) => Ok(polled[0].revents().unwrap_or(PollFlags::empty())),
        Err(Errno::EINTR) => Ok(PollFlags::empty()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests;
