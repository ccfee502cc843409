//! The slabs that make up the forwarding tables, and a worker's view of them.

use ze_lpm::{LpmReader, V4, V6, View as LpmView};
use ze_packet::{GroupId, InterfaceId, NexthopId, PortId, VrfId};
use ze_sync::{Domain, Guard, Slab, SlabView};

use crate::{Group, Interface, Nexthop, PortTable};

/// How large each table may become. A slot costs 8 bytes whether used or not.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Ports, representors included.
    pub ports: usize,
    /// Interfaces.
    pub interfaces: usize,
    /// VRFs.
    pub vrfs: usize,
    /// Nexthops, one for each neighbour in use too.
    pub nexthops: usize,
    /// Nexthop groups.
    pub groups: usize,
    /// Bytes that the routes of one VRF and family may take.
    pub table_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ports: 1024,
            interfaces: 1024,
            vrfs: 4096,
            nexthops: 1 << 17,
            groups: 1 << 16,
            table_bytes: 1 << 30,
        }
    }
}

/// A VRF: its two longest-prefix-match tables.
#[derive(Debug)]
pub struct Vrf {
    /// Its number.
    pub id: VrfId,
    /// IPv4 routes.
    pub lpm4: LpmReader<V4>,
    /// IPv6 routes.
    pub lpm6: LpmReader<V6>,
    /// Source of ICMP errors where the interface has no IPv4 address; 0 when the VRF has none at all.
    pub icmp_source4: u32,
    /// Source of ICMPv6 errors likewise.
    pub icmp_source6: u128,
}

/// All forwarding tables. Shared by every worker and the control thread, which alone writes.
pub struct Tables {
    pub(crate) ports: Slab<PortTable>,
    pub(crate) interfaces: Slab<Interface>,
    pub(crate) vrfs: Slab<Vrf>,
    pub(crate) nexthops: Slab<Nexthop>,
    pub(crate) groups: Slab<Group>,
    domain: Domain,
    limits: Limits,
}

impl Tables {
    /// Empty tables.
    pub fn new(domain: &Domain, limits: Limits) -> Self {
        Self {
            ports: Slab::new(limits.ports, domain),
            interfaces: Slab::new(limits.interfaces, domain),
            vrfs: Slab::new(limits.vrfs, domain),
            nexthops: Slab::new(limits.nexthops, domain),
            groups: Slab::new(limits.groups, domain),
            domain: domain.clone(),
            limits,
        }
    }

    /// The tables for one batch.
    #[inline]
    pub fn view<'g>(&'g self, guard: &'g Guard<'_>) -> View<'g> {
        View {
            ports: self.ports.view(guard),
            interfaces: self.interfaces.view(guard),
            vrfs: self.vrfs.view(guard),
            nexthops: self.nexthops.view(guard),
            groups: self.groups.view(guard),
            guard,
        }
    }

    /// The domain that readers register with.
    pub const fn domain(&self) -> &Domain {
        &self.domain
    }

    /// How large the tables may become.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// The tables, for as long as a batch lasts.
pub struct View<'g> {
    ports: SlabView<'g, PortTable>,
    interfaces: SlabView<'g, Interface>,
    vrfs: SlabView<'g, Vrf>,
    nexthops: SlabView<'g, Nexthop>,
    groups: SlabView<'g, Group>,
    guard: &'g Guard<'g>,
}

impl<'g> View<'g> {
    /// A port's interfaces.
    #[inline]
    pub fn port(&self, id: PortId) -> Option<&'g PortTable> {
        self.ports.get(id.index())
    }
    /// An interface.
    #[inline]
    pub fn interface(&self, id: InterfaceId) -> Option<&'g Interface> {
        self.interfaces.get(id.index())
    }
    /// A VRF.
    #[inline]
    pub fn vrf(&self, id: VrfId) -> Option<&'g Vrf> {
        self.vrfs.get(id.index())
    }
    /// A nexthop.
    #[inline]
    pub fn nexthop(&self, id: NexthopId) -> Option<&'g Nexthop> {
        self.nexthops.get(id.index())
    }
    /// A nexthop group.
    #[inline]
    pub fn group(&self, id: GroupId) -> Option<&'g Group> {
        self.groups.get(id.index())
    }
    /// The IPv4 routes of a VRF, ready for lookups.
    #[inline]
    pub fn lpm4(&self, vrf: &'g Vrf) -> LpmView<'g, V4> {
        vrf.lpm4.view(self.guard)
    }
    /// The IPv6 routes of a VRF, ready for lookups.
    #[inline]
    pub fn lpm6(&self, vrf: &'g Vrf) -> LpmView<'g, V6> {
        vrf.lpm6.view(self.guard)
    }
}
