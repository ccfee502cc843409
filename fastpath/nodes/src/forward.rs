//! What follows from the result of a lookup: the same for both families, so it stands once.

use std::net::IpAddr;

use ze_fib::{Adjacency, Nexthop, REWRITE_BYTES, Target};
use ze_graph::{Cx, DropReason, Meta, PuntReason, flag};
use ze_packet::{InterfaceId, NexthopId, VrfId, ethernet};

/// Where a packet goes after lookup; each family gives these its own doors.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Rewrite,
    Punt,
    Control,
    IcmpError,
    Drop,
}

/// The ICMP numbers by which a family says "no".
pub(crate) struct Refusals {
    pub(crate) kind: u8,
    pub(crate) no_route: u8,
    pub(crate) unreachable: u8,
    pub(crate) prohibited: u8,
    /// What becomes of link-local packets that would be forwarded: the reason, and the code if the sender is told.
    pub(crate) link_local: (DropReason, Option<u8>),
}

/// Packets with one of these must be looked at before they follow their nexthop.
pub(crate) const UNUSUAL: u16 = flag::L2_GROUP | flag::LINK_LOCAL;
/// Packets of our own making: of the host stack, or of the fast path.
pub(crate) const OURS: u16 = flag::INJECTED | flag::GENERATED;

/// The nexthop that the last packet was found to be rewritten for: neighbours in a batch often share it, and what was
/// looked at once in a batch does not change before its end.
pub(crate) struct Settled(NexthopId);

impl Settled {
    /// Nothing is known yet: 0 is no nexthop.
    #[inline]
    pub(crate) const fn none() -> Self {
        Self(NexthopId(0))
    }

    /// Does this lookup result lead to the same rewrite? Then the packet has its nexthop now.
    #[inline]
    pub(crate) const fn leads(&self, meta: &mut Meta, value: u32) -> bool {
        let leads = value == self.0.0 && value != 0 && meta.flags & UNUSUAL == 0;
        if leads {
            meta.nexthop = self.0;
        }
        leads
    }

    /// A packet with this result was found to be rewritten. Only what is the nexthop itself is noted: a group chooses
    /// anew for every flow, and a route into another VRF is not where it ends.
    #[inline]
    pub(crate) const fn note(&mut self, meta: &Meta, value: u32) {
        if value == meta.nexthop.0 {
            self.0 = meta.nexthop;
        }
    }
}

/// Routes that lead from VRF to VRF, one after the other, at most: a loop of them ends here.
pub const VRFS_MAX: usize = 4;

/// Follows what the longest-prefix match gave. `hash` is called only when there is a choice to make; it is told
/// whether both directions of a flow must have the same one.
#[inline]
pub(crate) fn follow(
    cx: &Cx<'_>,
    meta: &mut Meta,
    value: u32,
    refusals: &Refusals,
    hash: impl Fn(&Meta, bool) -> u32,
) -> Way {
    let Some(id) = choose(cx, meta, value, &hash) else {
        return refuse(meta, refusals.kind, refusals.no_route, DropReason::NoRoute);
    };
    meta.nexthop = id;
    match cx.fib.nexthop(id) {
        Some(Nexthop::Adjacency(_)) if meta.flags & UNUSUAL == 0 => Way::Rewrite,
        Some(Nexthop::Vrf(vrf)) => follow_vrf(cx, meta, *vrf, refusals, &hash),
        Some(nexthop) => follow_unusual(meta, nexthop, refusals),
        None => drop(meta, DropReason::NoAdjacency),
    }
}

#[inline]
fn choose(cx: &Cx<'_>, meta: &mut Meta, value: u32, hash: &impl Fn(&Meta, bool) -> u32) -> Option<NexthopId> {
    match Target::unpack(value)? {
        Target::Nexthop(id) => Some(id),
        Target::Group(group) => {
            let Some(group) = cx.fib.group(group) else { return Some(NexthopId(0)) };
            meta.flow_hash = hash(meta, group.is_symmetric());
            Some(group.choose(meta.flow_hash))
        }
    }
}

/// The route leads into another VRF: the destination is looked up there, as if the packet had come in there. Errors
/// about it still go back through its own.
#[cold]
fn follow_vrf(
    cx: &Cx<'_>,
    meta: &mut Meta,
    mut vrf: VrfId,
    refusals: &Refusals,
    hash: &impl Fn(&Meta, bool) -> u32,
) -> Way {
    for _ in 0..VRFS_MAX {
        let value = match cx.fib.vrf(vrf) {
            Some(table) if meta.has(flag::IPV6) => cx.fib.lpm6(table).lookup(meta.destination),
            Some(table) => cx.fib.lpm4(table).lookup(meta.destination as u32),
            None => return drop(meta, DropReason::NoVrf),
        };
        let Some(id) = choose(cx, meta, value, hash) else {
            return refuse(meta, refusals.kind, refusals.no_route, DropReason::NoRoute);
        };
        meta.nexthop = id;
        match cx.fib.nexthop(id) {
            Some(Nexthop::Vrf(next)) => vrf = *next,
            // The host stack of the packet's own VRF does not have the address, and that of the other can not answer.
            Some(Nexthop::Local { .. } | Nexthop::SubnetBroadcast { .. }) => {
                return refuse(meta, refusals.kind, refusals.unreachable, DropReason::VrfLocal);
            }
            Some(nexthop) => return follow_unusual(meta, nexthop, refusals),
            None => return drop(meta, DropReason::NoAdjacency),
        }
    }
    refuse(meta, refusals.kind, refusals.no_route, DropReason::VrfLoop)
}

#[cold]
fn follow_unusual(meta: &mut Meta, nexthop: &Nexthop, refusals: &Refusals) -> Way {
    let is_ours = meta.flags & OURS != 0;
    // RFC 1122 §3.3.6, RFC 1812 §5.3.4: what came to many by L2 is forwarded to none by L3, nor delivered, unless
    // its destination is many too.
    if meta.has(flag::L2_GROUP) && !matches!(nexthop, Nexthop::SubnetBroadcast { .. }) {
        return drop(meta, DropReason::L2BroadcastUnicast);
    }
    match *nexthop {
        Nexthop::Local { .. } => punt(meta, PuntReason::Local),
        Nexthop::SubnetBroadcast { interface } if interface == meta.rx_interface && !is_ours => {
            punt(meta, PuntReason::Broadcast)
        }
        Nexthop::SubnetBroadcast { .. } => drop(meta, DropReason::DirectedBroadcast),
        _ if meta.has(flag::LINK_LOCAL) && !is_ours => match refusals.link_local {
            (reason, Some(code)) => refuse(meta, refusals.kind, code, reason),
            (reason, None) => drop(meta, reason),
        },
        Nexthop::Adjacency(_) => Way::Rewrite,
        Nexthop::Unresolved { interface, gateway } => ask(meta, interface, Some(gateway)),
        Nexthop::Glean { interface } => ask(meta, interface, None),
        // `follow_vrf` has gone there.
        Nexthop::Vrf(_) => drop(meta, DropReason::NoRoute),
        Nexthop::Blackhole => drop(meta, DropReason::Blackhole),
        Nexthop::Unreachable => refuse(meta, refusals.kind, refusals.unreachable, DropReason::Unreachable),
        Nexthop::Prohibit => refuse(meta, refusals.kind, refusals.prohibited, DropReason::Prohibited),
    }
}

/// A neighbour must be asked for: the gateway, or the destination itself.
pub(crate) fn ask(meta: &mut Meta, interface: InterfaceId, gateway: Option<IpAddr>) -> Way {
    meta.tx_interface = interface;
    meta.punt_reason = PuntReason::Unresolved;
    let is_ip6 = match gateway {
        Some(IpAddr::V4(address)) => {
            meta.destination = u128::from(u32::from(address));
            false
        }
        Some(IpAddr::V6(address)) => {
            meta.destination = address.into();
            true
        }
        None => meta.has(flag::IPV6),
    };
    if is_ip6 {
        meta.flags |= flag::GATEWAY6;
    }
    Way::Control
}

pub(crate) const fn punt(meta: &mut Meta, reason: PuntReason) -> Way {
    meta.punt_reason = reason;
    Way::Punt
}

pub(crate) const fn drop(meta: &mut Meta, reason: DropReason) -> Way {
    meta.drop_reason = reason;
    Way::Drop
}

/// The packet ends here and its sender is told.
pub(crate) const fn refuse(meta: &mut Meta, kind: u8, code: u8, reason: DropReason) -> Way {
    meta.drop_reason = reason;
    (meta.icmp_type, meta.icmp_code) = (kind, code);
    Way::IcmpError
}

/// Where an untagged L2 header begins in the bytes of a rewrite.
const UNTAGGED: usize = REWRITE_BYTES - ethernet::HEADER_BYTES;

/// Writes the L2 header that ends at [`REWRITE_BYTES`] into the window.
///
/// Of an untagged one only its own bytes: what lies before them is in the cache line before the packet's, which
/// nothing else touches. To write there costs a miss for each packet that a device brought.
#[inline]
pub(crate) fn write_header<const N: usize>(window: &mut [u8; N], adjacency: &Adjacency, ethertype: u16) {
    const { assert!(N >= REWRITE_BYTES) };
    if usize::from(adjacency.header_len) > ethernet::HEADER_BYTES {
        window[..UNTAGGED].copy_from_slice(&adjacency.rewrite[..UNTAGGED]);
    }
    window[UNTAGGED..REWRITE_BYTES].copy_from_slice(&adjacency.rewrite[UNTAGGED..]);
    window[REWRITE_BYTES - 2..REWRITE_BYTES].copy_from_slice(&ethertype.to_be_bytes());
}
