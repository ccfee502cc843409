//! Ports and L3 interfaces, as the nodes see them.

use ze_packet::{InterfaceId, MacAddr, PortId, VrfId};

/// How many VLAN numbers there are, 0 standing for untagged and priority-tagged frames.
pub const VLANS: usize = 4096;

/// What kind of port frames come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// A network device.
    Network,
    /// The outer end of the veth that stands for an interface in the punt namespace.
    Representor(InterfaceId),
}

/// Which interface frames of a port belong to.
#[derive(Clone, Debug)]
pub struct PortTable {
    /// The port.
    pub id: PortId,
    /// Network device or representor.
    pub kind: PortKind,
    /// Interface by VLAN number; 0 of it is for untagged frames. `InterfaceId(0)` where there is none.
    pub vlans: Box<[InterfaceId; VLANS]>,
}

impl PortTable {
    /// A port without interfaces.
    pub fn new(id: PortId, kind: PortKind) -> Self {
        Self { id, kind, vlans: Box::new([InterfaceId(0); VLANS]) }
    }

    /// The interface for a VLAN number (0: untagged).
    #[inline]
    pub fn interface(&self, vlan: u16) -> InterfaceId {
        self.vlans.get(usize::from(vlan)).copied().unwrap_or_default()
    }
}

/// An IPv4 address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress4 {
    /// The address, host order.
    pub address: u32,
    /// Its prefix length, bits.
    pub prefix_len: u8,
}

/// An IPv6 address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress6 {
    /// The address, host order.
    pub address: u128,
    /// Its prefix length, bits.
    pub prefix_len: u8,
}

/// An L3 interface.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its number.
    pub id: InterfaceId,
    /// The port it sends by.
    pub port: PortId,
    /// VLAN tags it sends with: (TPID, TCI), outer first; empty for untagged.
    pub tags: Vec<(u16, u16)>,
    /// Its own Ethernet address.
    pub mac: MacAddr,
    /// The largest L3 packet, bytes.
    pub mtu: u16,
    /// The VRF that its packets are looked up in.
    pub vrf: VrfId,
    /// Administratively and physically up.
    pub up: bool,
    /// The representor's port, once there is one.
    pub representor: Option<PortId>,
    /// IPv4 addresses, the first is the source of ICMP errors.
    pub addresses4: Vec<InterfaceAddress4>,
    /// IPv6 addresses (global), the first is the source of ICMPv6 errors.
    pub addresses6: Vec<InterfaceAddress6>,
    /// The link-local address; 0 when IPv6 is off.
    pub link_local: u128,
}
