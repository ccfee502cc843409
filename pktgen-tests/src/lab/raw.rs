//! Whole frames, in and out of a device, as they are on the wire.

use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Deref;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvmsg,
    sendmsg, setsockopt, socket, sockopt,
};
use nix::{setsockopt_impl, sockopt_impl};

use super::error::Context;
use super::{LabError, Namespace, error_queue};

sockopt_impl!(
    /// Deliver what the kernel took out of the frame: VLAN tag, checksum state.
    PacketAuxdata, SetOnly, libc::SOL_PACKET, libc::PACKET_AUXDATA, bool
);
sockopt_impl!(
    /// Do not deliver what this host sends.
    PacketIgnoreOutgoing, SetOnly, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, bool
);

/// The largest frame taken: a packet of 64 KiB (offloads on) with its Ethernet header and two tags.
const FRAME_BYTES_MAX: usize = 65_536 + 22;
/// Memory for frames that wait to be read.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;
/// Frames of other devices that may have come between opening and binding the socket.
const DRAIN_MAX: usize = 100_000;
/// Bytes before the tag: two MAC addresses.
const VLAN_TAG_OFFSET: usize = 12;

/// A device of a namespace, with all its protocols: what arrives there is seen, what is sent goes out unchanged.
///
/// The host's own stack sees what arrives, too; [`Lab::quiet_namespace`](super::Lab::quiet_namespace) makes one that
/// does not answer.
#[derive(Debug)]
pub struct RawPort {
    socket: OwnedFd,
    what: String,
    buffer: Box<[u8]>,
}

/// A frame as it was on the wire, without FCS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedFrame {
    /// From the destination MAC on; a VLAN tag is in its place.
    pub bytes: Vec<u8>,
    /// The sender left the L4 checksum to an offload, so it is not right yet.
    pub checksum_pending: bool,
}

impl Deref for CapturedFrame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl RawPort {
    /// Opens `device` of `namespace`.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn open(namespace: &Namespace, device: &str) -> Result<Self, LabError> {
        let what = format!("raw port {device} in {}", namespace.name());
        let socket = namespace.run(|| open(device))??;
        Ok(Self { socket, what, buffer: vec![0; FRAME_BYTES_MAX].into() })
    }

    /// Sends one frame, from the destination MAC on, without FCS.
    ///
    /// # Errors
    /// When the device is down, or the frame is longer than its MTU or shorter than an Ethernet header.
    pub fn send(&self, frame: &[u8]) -> Result<(), LabError> {
        let parts = [IoSlice::new(frame)];
        let send = || sendmsg::<()>(self.socket.as_raw_fd(), &parts, &[], MsgFlags::empty(), None);
        loop {
            match send() {
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    return Err(errno).context(|| format!("{}: send {} bytes", self.what, frame.len()));
                }
                Ok(_) => return Ok(()),
            }
        }
    }

    /// The next frame for which `wanted` is true; others are thrown away. `None` after `timeout`.
    ///
    /// # Errors
    /// When the device goes down or away.
    pub fn receive(
        &mut self,
        timeout: Duration,
        mut wanted: impl FnMut(&CapturedFrame) -> bool,
    ) -> Result<Option<CapturedFrame>, LabError> {
        let deadline = Instant::now() + timeout;
        loop {
            while let Some(frame) = self.take()? {
                if wanted(&frame) {
                    return Ok(Some(frame));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            error_queue::wait_ready(&self.socket, left).context(|| format!("{}: poll", self.what))?;
        }
    }

    /// Up to `count` frames for which `wanted` is true, for at most `timeout`.
    ///
    /// # Errors
    /// When the device goes down or away.
    pub fn receive_many(
        &mut self,
        count: usize,
        timeout: Duration,
        mut wanted: impl FnMut(&CapturedFrame) -> bool,
    ) -> Result<Vec<CapturedFrame>, LabError> {
        let deadline = Instant::now() + timeout;
        let mut frames = Vec::new();
        while frames.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(frame) = self.receive(left, &mut wanted)? else { break };
            frames.push(frame);
        }
        Ok(frames)
    }

    /// Throws away what has arrived so far.
    ///
    /// # Errors
    /// When the device goes down or away.
    pub fn clear(&mut self) -> Result<(), LabError> {
        for _ in 0..DRAIN_MAX {
            if self.take()?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// A frame that has arrived already.
    fn take(&mut self) -> Result<Option<CapturedFrame>, LabError> {
        loop {
            match take(&self.socket, &mut self.buffer) {
                Ok(frame) => return Ok(Some(frame)),
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).context(|| format!("{}: receive", self.what)),
            }
        }
    }
}

fn open(device: &str) -> Result<OwnedFd, LabError> {
    let address = link_address(device)?;
    let bound = || -> io::Result<OwnedFd> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
        setsockopt(&socket, PacketAuxdata, &true)?;
        setsockopt(&socket, PacketIgnoreOutgoing, &true)?;
        setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES)?;
        // The address is without a protocol, and so keeps the socket's.
        bind(socket.as_raw_fd(), &address)?;
        drain(&socket)?;
        Ok(socket)
    };
    bound().context(|| format!("open a raw socket on {device}"))
}

/// Until it was bound, the socket heard all devices of the namespace.
fn drain(socket: &OwnedFd) -> io::Result<()> {
    let mut buffer = [0; 1];
    for _ in 0..DRAIN_MAX {
        match take(socket, &mut buffer) {
            Ok(_) => {}
            Err(Errno::EAGAIN) => break,
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// The link-layer address of a device of the namespace the calling thread is in.
pub(super) fn link_address(device: &str) -> Result<LinkAddr, LabError> {
    let what = || format!("find device {device}");
    let mut found = getifaddrs().context(what)?.filter(|entry| entry.interface_name == device);
    let address = found.find_map(|entry| entry.address?.as_link_addr().copied());
    address.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound)).context(what)
}

fn take(socket: &OwnedFd, buffer: &mut [u8]) -> Result<CapturedFrame, Errno> {
    let mut parts = [IoSliceMut::new(buffer)];
    let mut control = nix::cmsg_space!(libc::tpacket_auxdata);
    let flags = MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let auxiliary = message.cmsgs()?.find_map(|message| Auxiliary::parse(&message));
    let length = message.bytes;
    Ok(rebuild(&buffer[..length], auxiliary.unwrap_or_default()))
}

/// Puts back what the kernel took out of the frame.
fn rebuild(bytes: &[u8], auxiliary: Auxiliary) -> CapturedFrame {
    let mut bytes = bytes.to_vec();
    if let Some((tpid, tci)) = auxiliary.vlan
        && bytes.len() >= VLAN_TAG_OFFSET
    {
        let tag = [tpid.to_be_bytes(), tci.to_be_bytes()].concat();
        bytes.splice(VLAN_TAG_OFFSET..VLAN_TAG_OFFSET, tag);
    }
    CapturedFrame { bytes, checksum_pending: auxiliary.checksum_pending }
}

/// What we need of `struct tpacket_auxdata`.
#[derive(Clone, Copy, Debug, Default)]
struct Auxiliary {
    checksum_pending: bool,
    /// TPID and TCI.
    vlan: Option<(u16, u16)>,
}

impl Auxiliary {
    fn parse(message: &ControlMessageOwned) -> Option<Self> {
        let ControlMessageOwned::Unknown(message) = message else { return None };
        let header = &message.cmsg_header;
        if (header.cmsg_level, header.cmsg_type) != (libc::SOL_PACKET, libc::PACKET_AUXDATA) {
            return None;
        }
        Self::parse_bytes(&message.data_bytes)
    }

    /// `<linux/if_packet.h>`: status, len, snaplen (u32 each), mac, net, vlan_tci, vlan_tpid (u16 each), in host order.
    fn parse_bytes(bytes: &[u8]) -> Option<Self> {
        let status = u32::from_ne_bytes(bytes.get(0..4)?.try_into().ok()?);
        let tci = u16::from_ne_bytes(bytes.get(16..18)?.try_into().ok()?);
        let tpid = u16::from_ne_bytes(bytes.get(18..20)?.try_into().ok()?);
        let vlan = (status & libc::TP_STATUS_VLAN_VALID != 0).then_some((tpid, tci));
        Some(Self { checksum_pending: status & libc::TP_STATUS_CSUMNOTREADY != 0, vlan })
    }
}

#[cfg(test)]
mod tests;
