//! Packets that pass between a worker and the control thread, by copy, through preallocated rings.

use ze_packet::InterfaceId;

use crate::{FRAME_BYTES_MAX, PuntReason};

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// To control: a whole Ethernet frame without its VLAN tags, for the neighbour engine (ARP, ND).
    Frame(PuntReason),
    /// To control: an L3 packet whose neighbour is not resolved. `interface` is the way out.
    Unresolved,
    /// To a worker: an untagged Ethernet frame to send by `interface`, which adds its tags.
    Send,
    /// To a worker: an L3 packet to forward now that its neighbour is resolved.
    Forward,
    /// To a worker: an L3 packet whose neighbour does not answer; an ICMP error is due about it.
    Unreachable,
}

/// One packet between a worker and the control thread.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it is about.
    pub kind: MessageKind,
    /// Interface that the packet came by, or goes by for [`MessageKind::Send`].
    pub interface: InterfaceId,
    /// Way out, for [`MessageKind::Unresolved`].
    pub tx_interface: InterfaceId,
    /// The nexthop's address to resolve, host order, IPv4 in the low 32 bits; the family is the packet's unless
    /// `gateway_is_ip6` differs.
    pub gateway: u128,
    /// The gateway is an IPv6 address.
    pub gateway_is_ip6: bool,
    /// `Meta::flags` of the packet, which a later [`MessageKind::Forward`] restores.
    pub flags: u16,
    len: u16,
    bytes: [u8; FRAME_BYTES_MAX],
}

impl Message {
    /// A message with a copy of `packet`; none when that is longer than a frame.
    pub fn new(kind: MessageKind, interface: InterfaceId, packet: &[u8]) -> Option<Self> {
        let mut bytes = [0; FRAME_BYTES_MAX];
        bytes.get_mut(..packet.len())?.copy_from_slice(packet);
        Some(Self {
            kind,
            interface,
            tx_interface: InterfaceId(0),
            gateway: 0,
            gateway_is_ip6: false,
            flags: 0,
            len: packet.len() as u16,
            bytes,
        })
    }

    /// The packet.
    pub fn packet(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}
