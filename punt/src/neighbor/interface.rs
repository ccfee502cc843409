//! What the engine knows of an interface of ours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use ze_packet::{InterfaceId, MacAddr};

/// An L3 interface on Ethernet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its identifier.
    pub id: InterfaceId,
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Its addresses with their prefix lengths, both families, without the link-local one.
    pub addresses: Vec<IpNet>,
    /// Its IPv6 link-local address; without one, solicitations go out from a global address.
    pub link_local: Option<Ipv6Addr>,
    /// Can packets pass?
    pub up: bool,
}

impl Interface {
    /// Every address we answer for, the link-local one last.
    pub(super) fn own_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.iter().map(IpNet::addr).chain(self.link_local.map(IpAddr::V6))
    }

    /// Is this address ours?
    pub(super) fn owns(&self, address: IpAddr) -> bool {
        self.own_addresses().any(|own| own == address)
    }

    /// Can a neighbour with this address live on the link without a route that says so?
    pub(super) fn is_on_link(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => true,
            _ => self.addresses.iter().any(|net| net.contains(&address)),
        }
    }

    /// Can this be the address of a neighbour at all?
    pub(super) fn may_be_neighbor(&self, address: IpAddr) -> bool {
        let impossible = address.is_multicast() || address.is_unspecified() || address.is_loopback();
        !impossible && !self.owns(address) && !self.is_broadcast(address)
    }

    fn is_broadcast(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address else { return false };
        address.is_broadcast() || self.v4_nets().any(|net| is_subnet_broadcast(net, address))
    }

    fn v4_nets(&self) -> impl Iterator<Item = &Ipv4Net> {
        self.addresses.iter().filter_map(|net| match net {
            IpNet::V4(net) => Some(net),
            IpNet::V6(_) => None,
        })
    }

    /// The source of a request for `target`: ours in the same subnet, else any (an unnumbered link).
    pub(super) fn v4_source_for(&self, target: Ipv4Addr) -> Option<Ipv4Addr> {
        let same_subnet = self.v4_nets().find(|net| net.contains(&target));
        same_subnet.or_else(|| self.v4_nets().next()).map(Ipv4Net::addr)
    }

    /// The source of a solicitation for `target`: link-local for a link-local target, else ours in the same
    /// prefix, else link-local, else any.
    pub(super) fn v6_source_for(&self, target: Ipv6Addr) -> Option<Ipv6Addr> {
        let globals = || {
            self.addresses.iter().filter_map(|net| match net {
                IpNet::V6(net) => Some(net),
                IpNet::V4(_) => None,
            })
        };
        let same_prefix = globals()
            .find(|net| net.contains(&target))
            .map(|net| net.addr())
            .filter(|_| !target.is_unicast_link_local());
        same_prefix.or(self.link_local).or_else(|| globals().next().map(|net| net.addr()))
    }
}

/// A /31 or /32 has no broadcast address (RFC 3021 §2.1); elsewhere all-ones and all-zeroes are
/// (RFC 1122 §3.2.1.3).
fn is_subnet_broadcast(net: &Ipv4Net, address: Ipv4Addr) -> bool {
    net.prefix_len() < 31 && (address == net.broadcast() || address == net.network())
}
