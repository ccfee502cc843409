//! The little of netlink that a port needs: queue counts, root queueing disciplines, and who takes redirected frames.
//!
//! Messages are built by hand: six kinds of them, synchronous, on the control thread.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::netlink::{GENERIC, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with,
};

// linux/rtnetlink.h, linux/netlink.h, linux/pkt_sched.h, linux/if_link.h.
const RTM_GETLINK: u16 = 18;
const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
const RTM_GETQDISC: u16 = 38;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const DUMP: u16 = 0x300;
const REPLACE: u16 = 0x100;
const CREATE: u16 = 0x400;
const ROOT: u32 = 0xffff_ffff;
const TCA_KIND: u16 = 1;
const IFLA_NUM_RX_QUEUES: u16 = 32;
// linux/genetlink.h, linux/netdev.h.
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const CTRL_ATTR_MCAST_GROUPS: u16 = 7;
const CTRL_ATTR_MCAST_GRP_NAME: u16 = 1;
const CTRL_ATTR_MCAST_GRP_ID: u16 = 2;
const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;
const NETDEV_XDP_ACT_NDO_XMIT: u64 = 1 << 2;
const NETDEV_FAMILY: &[u8] = b"netdev\0";
const NETDEV_GROUP: &[u8] = b"mgmt\0";
const GENL_BYTES: usize = 4;
const HEADER_BYTES: usize = 16;
const IFINFOMSG_BYTES: usize = 16;
const TCMSG_BYTES: usize = 20;

/// A netlink socket of one network namespace.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: OwnedFd,
}

/// How many receive queues a device was made with.
pub(crate) fn rx_queues(ifindex: u32) -> io::Result<u32> {
    let mut body = vec![0; IFINFOMSG_BYTES];
    body[4..8].copy_from_slice(&ifindex.to_ne_bytes());
    let answers = Netlink::open()?.ask(RTM_GETLINK, 0, &body)?;
    let count = answers.iter().find_map(|answer| attribute(answer, IFINFOMSG_BYTES, IFLA_NUM_RX_QUEUES));
    let count = count.and_then(|bytes| bytes.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes)));
    count.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

impl Netlink {
    pub(crate) fn open() -> io::Result<Self> {
        Self::of(None)
    }

    fn of(protocol: Option<Protocol>) -> io::Result<Self> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        Ok(Self { socket })
    }

    /// The kind of a device's root queueing discipline; none when it has only the built-in one.
    pub(crate) fn root_qdisc(&self, ifindex: u32) -> io::Result<Option<String>> {
        let answers = self.ask(RTM_GETQDISC, DUMP, &tcmsg(ifindex, 0))?;
        let root = answers.iter().find(|answer| word(answer, 4) == ifindex && word(answer, 12) == ROOT);
        let kind = root.and_then(|answer| attribute(answer, TCMSG_BYTES, TCA_KIND));
        let text = kind.map(|kind| String::from_utf8_lossy(kind).trim_end_matches('\0').to_owned());
        Ok(text.filter(|kind| kind != "noqueue"))
    }

    /// Makes `kind` the root queueing discipline.
    pub(crate) fn set_root_qdisc(&self, ifindex: u32, kind: &str) -> io::Result<()> {
        let mut body = tcmsg(ifindex, ROOT);
        let len_bytes = 4 + kind.len() + 1;
        body.extend_from_slice(&(len_bytes as u16).to_ne_bytes());
        body.extend_from_slice(&TCA_KIND.to_ne_bytes());
        body.extend_from_slice(kind.as_bytes());
        body.resize(TCMSG_BYTES + (len_bytes).next_multiple_of(4), 0);
        self.ask(RTM_NEWQDISC, ACK | CREATE | REPLACE, &body).map(drop)
    }

    /// Goes back to the built-in root queueing discipline.
    pub(crate) fn clear_root_qdisc(&self, ifindex: u32) -> io::Result<()> {
        self.ask(RTM_DELQDISC, ACK, &tcmsg(ifindex, ROOT)).map(drop)
    }

    /// Sends a request and gathers the bodies of the answers.
    fn ask(&self, kind: u16, flags: u16, body: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let mut message = Vec::with_capacity(HEADER_BYTES + body.len());
        message.extend_from_slice(&((HEADER_BYTES + body.len()) as u32).to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&(REQUEST | flags).to_ne_bytes());
        message.extend_from_slice(&[0; 8]);
        message.extend_from_slice(body);
        sendto(&self.socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        let mut answers = vec![];
        let many = flags & DUMP == DUMP;
        while !self.read(&mut answers, many)? {}
        Ok(answers)
    }

    /// Reads one datagram. True when it was the last.
    fn read(&self, answers: &mut Vec<Vec<u8>>, many: bool) -> io::Result<bool> {
        let mut buffer = vec![0u8; 64 << 10];
        let (len_bytes, _) = recv(&self.socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = buffer.get(..len_bytes).unwrap_or_default();
        while rest.len() >= HEADER_BYTES {
            let message_bytes = (word(rest, 0) as usize).clamp(HEADER_BYTES, rest.len());
            let body = &rest[HEADER_BYTES..message_bytes];
            match half(rest, 4) {
                NLMSG_ERROR => return error_of(body).map(|()| true),
                NLMSG_DONE => return Ok(true),
                _ => answers.push(body.to_vec()),
            }
            rest = rest.get(message_bytes.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(!many)
    }
}

/// Which devices take frames that XDP programs of other devices redirect to them. A veth does as long as its other end has an
/// XDP program or GRO.
#[derive(Debug)]
pub struct RedirectTargets {
    family: u16,
    events: OwnedFd,
}

impl RedirectTargets {
    /// Asks, and listens for changes, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// When the kernel does not tell (before Linux 6.3).
    pub fn open() -> io::Result<Self> {
        let mut body = generic(CTRL_CMD_GETFAMILY);
        let len_bytes = 4 + NETDEV_FAMILY.len();
        body.extend_from_slice(&(len_bytes as u16).to_ne_bytes());
        body.extend_from_slice(&CTRL_ATTR_FAMILY_NAME.to_ne_bytes());
        body.extend_from_slice(NETDEV_FAMILY);
        body.resize(GENL_BYTES + len_bytes.next_multiple_of(4), 0);
        let answers = Netlink::of(Some(GENERIC))?.ask(GENL_ID_CTRL, 0, &body)?;
        let answer = answers.first().map_or(&[][..], Vec::as_slice);
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let family = attribute(answer, GENL_BYTES, CTRL_ATTR_FAMILY_ID).ok_or_else(missing)?;
        let events = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let events = socket_with(AddressFamily::NETLINK, SocketType::RAW, events, Some(GENERIC))?;
        // Those beyond 32 can not be joined like this; who asks now and then learns of changes all the same.
        let group = attribute(answer, GENL_BYTES, CTRL_ATTR_MCAST_GROUPS).and_then(group_of);
        let group = group.and_then(|id| 1u32.checked_shl(id.checked_sub(1)?)).unwrap_or_default();
        bind(&events, &SocketAddrNetlink::new(0, group))?;
        Ok(Self { family: half(family, 0), events })
    }

    /// The indices of those that do now. Forgets the changes that it was told of.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn now(&self) -> io::Result<HashSet<u32>> {
        let mut event = [0; 4096];
        // Each is only a reason to ask.
        while recv(&self.events, &mut event[..], RecvFlags::empty()).is_ok() {}
        let answers = Netlink::of(Some(GENERIC))?.ask(self.family, DUMP, &generic(NETDEV_CMD_DEV_GET))?;
        let index = |answer: &Vec<u8>| {
            let features = attribute(answer, GENL_BYTES, NETDEV_A_DEV_XDP_FEATURES)?.first_chunk()?;
            let takes = u64::from_ne_bytes(*features) & NETDEV_XDP_ACT_NDO_XMIT != 0;
            takes.then(|| attribute(answer, GENL_BYTES, NETDEV_A_DEV_IFINDEX).map(|index| word(index, 0)))?
        };
        Ok(answers.iter().filter_map(index).collect())
    }
}

/// Readable when something has changed.
impl AsFd for RedirectTargets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

/// The number of the group that tells of devices, among a family's groups.
fn group_of(groups: &[u8]) -> Option<u32> {
    (1..=8).filter_map(|at| attribute(groups, 0, at)).find_map(|group| {
        let name = attribute(group, 0, CTRL_ATTR_MCAST_GRP_NAME)?;
        (name == NETDEV_GROUP).then(|| attribute(group, 0, CTRL_ATTR_MCAST_GRP_ID).map(|id| word(id, 0)))?
    })
}

fn generic(command: u8) -> Vec<u8> {
    vec![command, 1, 0, 0]
}

fn tcmsg(ifindex: u32, parent: u32) -> Vec<u8> {
    let mut body = vec![0; TCMSG_BYTES];
    body[4..8].copy_from_slice(&ifindex.to_ne_bytes());
    body[12..16].copy_from_slice(&parent.to_ne_bytes());
    body
}

/// An acknowledgement is an error of zero.
fn error_of(body: &[u8]) -> io::Result<()> {
    match word(body, 0).cast_signed() {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(-errno)),
    }
}

/// The value of an attribute behind the fixed part of a message.
fn attribute(body: &[u8], fixed_bytes: usize, kind: u16) -> Option<&[u8]> {
    let mut rest = body.get(fixed_bytes..)?;
    while rest.len() >= 4 {
        let len_bytes = usize::from(half(rest, 0)).clamp(4, rest.len());
        // Two bits say what is in it (NLA_F_NESTED, NLA_F_NET_BYTEORDER).
        if half(rest, 2) & 0x3fff == kind {
            return rest.get(4..len_bytes);
        }
        rest = rest.get(len_bytes.next_multiple_of(4)..)?;
    }
    None
}

/// Netlink is in host order. What is not there reads as zero.
fn word(bytes: &[u8], at: usize) -> u32 {
    let found = bytes.get(at..at + 4).and_then(|bytes| bytes.first_chunk());
    found.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

fn half(bytes: &[u8], at: usize) -> u16 {
    let found = bytes.get(at..at + 2).and_then(|bytes| bytes.first_chunk());
    found.map_or(0, |bytes| u16::from_ne_bytes(*bytes))
}
