//! Nexthops and adjacencies.

use std::net::IpAddr;

use ze_packet::{InterfaceId, MacAddr, PortId, VrfId, ethernet};

/// Bytes that a rewrite writes in front of the L3 header: up to two VLAN tags, right-aligned.
pub const REWRITE_BYTES: usize = 24;

/// The L2 rewrite of a resolved nexthop, and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjacency {
    /// The L2 header, right-aligned, its last two bytes the EtherType (which the rewrite node fills in).
    pub rewrite: [u8; REWRITE_BYTES],
    /// Bytes of the L2 header that count: 14, 18 or 22.
    pub header_len: u8,
    /// The largest L3 packet that leaves here, bytes.
    pub mtu: u16,
    /// Interface to leave by.
    pub interface: InterfaceId,
    /// Port to leave by.
    pub port: PortId,
}

impl Adjacency {
    /// Builds the rewrite from addresses and VLAN tags (TPID, TCI), outer tag first.
    pub fn new(
        destination: MacAddr,
        source: MacAddr,
        tags: &[(u16, u16)],
        interface: InterfaceId,
        port: PortId,
        mtu: u16,
    ) -> Self {
        let mut header = Vec::with_capacity(REWRITE_BYTES);
        header.extend_from_slice(&destination.0);
        header.extend_from_slice(&source.0);
        for (tpid, tci) in tags.iter().take(2) {
            header.extend_from_slice(&tpid.to_be_bytes());
            header.extend_from_slice(&tci.to_be_bytes());
        }
        header.extend_from_slice(&ethernet::ethertype::IPV4.to_be_bytes());
        let mut rewrite = [0; REWRITE_BYTES];
        rewrite[REWRITE_BYTES - header.len()..].copy_from_slice(&header);
        Self { rewrite, header_len: header.len() as u8, mtu, interface, port }
    }
}

/// What happens to a packet that lookup led here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub enum Nexthop {
    /// Rewrite and send.
    Adjacency(Adjacency),
    /// The gateway's link-layer address is not known yet: a copy waits, the neighbour engine asks.
    Unresolved {
        /// Interface that the gateway is on.
        interface: InterfaceId,
        /// The gateway.
        gateway: IpAddr,
    },
    /// A directly connected prefix: the destination itself is the neighbour to ask for.
    Glean {
        /// Interface that the prefix is on.
        interface: InterfaceId,
    },
    /// One of our own addresses.
    Local {
        /// Interface that has the address.
        interface: InterfaceId,
    },
    /// The broadcast address of a connected IPv4 prefix.
    SubnetBroadcast {
        /// Interface that the prefix is on.
        interface: InterfaceId,
    },
    /// Look the destination up again in another VRF.
    Vrf(VrfId),
    /// Drop silently.
    Blackhole,
    /// Drop and say "unreachable".
    Unreachable,
    /// Drop and say "administratively prohibited".
    Prohibit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewrites_are_right_aligned_with_none_one_and_two_tags() {
        let (to, from) = (MacAddr([1; 6]), MacAddr([2; 6]));
        for (tags, len) in
            [(&[][..], 14), (&[(0x8100, 100)][..], 18), (&[(0x88a8, 7), (0x8100, 100)][..], 22)]
        {
            let adjacency = Adjacency::new(to, from, tags, InterfaceId(3), PortId(4), 1500);
            assert_eq!(usize::from(adjacency.header_len), len);
            let header = &adjacency.rewrite[REWRITE_BYTES - len..];
            assert_eq!(header[..12], [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
            assert_eq!(header[len - 2..], [0x08, 0x00]);
            assert!(adjacency.rewrite[..REWRITE_BYTES - len].iter().all(|b| *b == 0));
        }
    }
}
