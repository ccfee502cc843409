//! `ip4_input`: is this an IPv4 packet that we may handle? RFC 1812 §5.2.2.
//!
//! takes frames whose EtherType is IPv4 · reads `l3_offset`, `data_offset`, `len`, `flags`, the IPv4 header ·
//! writes `destination`, `l3_len`, `l4_offset`, `ttl`, `protocol`, `flags`, `len` (padding is cut off),
//! `punt_reason` · leaves by `ip4_lookup`, `punt` (multicast, limited broadcast), `drop`.

use ze_graph::{Batch, CHUNK_BYTES, Cx, DropReason, Fanout, Meta, Node, PuntReason, flag};
use ze_packet::{checksum, ipv4};

use crate::bytes::{l3_available, window};

ze_graph::edges! {
    /// The ways out of `ip4_input`.
    pub enum Next {
        Ip4Lookup = "ip4_lookup",
        Punt = "punt",
        Drop = "drop",
    }
}

/// The node.
#[derive(Debug, Default)]
pub struct Ip4Input;

impl Node for Ip4Input {
    const NAME: &'static str = "ip4_input";
    type Next = Next;

    fn process(&mut self, cx: &Cx<'_>, batch: &mut Batch, out: &mut Fanout<'_, Next>) {
        batch.each(out, |frame| {
            let (meta, chunk) = cx.arena.parts_mut(frame);
            check(meta, chunk).unwrap_or_else(|reason| {
                meta.drop_reason = reason;
                Next::Drop
            })
        });
    }
}

/// Version 4 and a header of five words: what nearly every packet begins with.
const PLAIN: u8 = 0x45;

#[inline]
fn check(meta: &mut Meta, chunk: &[u8; CHUNK_BYTES]) -> Result<Next, DropReason> {
    let available = l3_available(meta);
    let header: Option<&[u8; ipv4::HEADER_BYTES]> = window(chunk, usize::from(meta.l3_offset));
    let Some(header) = header.filter(|_| available >= ipv4::HEADER_BYTES) else {
        return Err(DropReason::Ip4Short);
    };
    let view = ipv4::View(header);
    let [first, ..] = *header;
    let total = usize::from(view.total_len_bytes());
    meta.l4_offset = ipv4::HEADER_BYTES as u16;
    if first == PLAIN {
        if total < ipv4::HEADER_BYTES || total > available {
            return Err(DropReason::Ip4TotalLength);
        }
        if !checksum::ipv4_header_is_right(header) {
            return Err(DropReason::Ip4Checksum);
        }
    } else {
        check_options(meta, chunk, view, available)?;
    }
    describe(meta, view);
    if is_unusual(view.source()) | is_unusual(view.destination()) {
        return judge_unusual(meta, view);
    }
    Ok(Next::Ip4Lookup)
}

/// Notes what later nodes need, and cuts off what stands behind the packet (Ethernet padding).
#[inline]
fn describe(meta: &mut Meta, view: ipv4::View<'_>) {
    let fragment = view.fragment();
    meta.destination = u128::from(view.destination());
    meta.l3_len = view.total_len_bytes();
    meta.len = (meta.l3_offset - meta.data_offset) + meta.l3_len;
    meta.ttl = view.ttl();
    meta.protocol = view.protocol();
    if fragment & ipv4::DONT_FRAGMENT != 0 {
        meta.flags |= flag::DONT_FRAGMENT;
    }
    if fragment & ipv4::OFFSET_MASK != 0 {
        meta.flags |= flag::LATER_FRAGMENT;
    }
}

/// First octets of addresses that need a closer look: 0, 127, 169 (link-local is in it), 224 and above.
const UNUSUAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut first = 0;
    while first < 256 {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            table[first] = matches!(first, 0 | 127 | 169 | 224..);
        }
        first += 1;
    }
    table
};

#[inline]
fn is_unusual(address: u32) -> bool {
    let [first, ..] = address.to_be_bytes();
    UNUSUAL.get(usize::from(first)).copied().unwrap_or(true)
}

/// Everything but 0x45: a wrong version, a wrong length, or options.
#[cold]
fn check_options(
    meta: &mut Meta,
    chunk: &[u8; CHUNK_BYTES],
    view: ipv4::View<'_>,
    available: usize,
) -> Result<(), DropReason> {
    let header_len = view.header_len_bytes();
    if view.version() != 4 {
        return Err(DropReason::Ip4Version);
    }
    if header_len < ipv4::HEADER_BYTES || header_len > available {
        return Err(DropReason::Ip4HeaderLength);
    }
    let total = usize::from(view.total_len_bytes());
    if total < header_len || total > available {
        return Err(DropReason::Ip4TotalLength);
    }
    let start = usize::from(meta.l3_offset);
    let header = chunk.get(start..start + header_len).ok_or(DropReason::Ip4HeaderLength)?;
    if checksum::of(header) != 0 {
        return Err(DropReason::Ip4Checksum);
    }
    walk_options(header.get(ipv4::HEADER_BYTES..).unwrap_or_default())?;
    meta.flags |= flag::OPTIONS;
    meta.l4_offset = header_len as u16;
    Ok(())
}

/// Option numbers, RFC 791 §3.1.
mod option {
    pub(super) const END: u8 = 0;
    pub(super) const NO_OPERATION: u8 = 1;
    pub(super) const LOOSE_SOURCE_ROUTE: u8 = 131;
    pub(super) const STRICT_SOURCE_ROUTE: u8 = 137;
}

/// Options are forwarded unprocessed; source routes are not (RFC 7126 §4.3, §4.4), nor is what cannot be read.
fn walk_options(mut options: &[u8]) -> Result<(), DropReason> {
    while let [kind, rest @ ..] = options {
        match *kind {
            option::END => return Ok(()),
            option::NO_OPERATION => options = rest,
            option::LOOSE_SOURCE_ROUTE | option::STRICT_SOURCE_ROUTE => {
                return Err(DropReason::Ip4SourceRoute);
            }
            _ => {
                let len = rest.first().copied().map(usize::from).filter(|len| *len >= 2);
                options = len.and_then(|len| options.get(len..)).ok_or(DropReason::Ip4BadOption)?;
            }
        }
    }
    Ok(())
}

/// Addresses which are martian, multicast, broadcast or link-local: RFC 1812 §5.3.7, RFC 3927 §2.7.
#[cold]
fn judge_unusual(meta: &mut Meta, view: ipv4::View<'_>) -> Result<Next, DropReason> {
    const LIMITED_BROADCAST: u32 = u32::MAX;
    let (source, destination) = (view.source(), view.destination());
    let from_host = meta.has(flag::INJECTED | flag::GENERATED);
    let to_many = destination == LIMITED_BROADCAST || ipv4::is_multicast(destination);
    // A host without an address speaks from 0.0.0.0 to many (RFC 1122 §3.2.1.3, DHCP); that is never forwarded.
    let is_nameless = source == 0 && to_many;
    if ipv4::is_martian_source(source) && !is_nameless && !from_host {
        return Err(DropReason::Ip4SourceMartian);
    }
    if to_many {
        return to_host(meta, destination, from_host);
    }
    if ipv4::is_martian_destination(destination) {
        return Err(DropReason::Ip4DestinationMartian);
    }
    if ipv4::is_link_local(source) || ipv4::is_link_local(destination) {
        meta.flags |= flag::LINK_LOCAL;
    }
    Ok(Next::Ip4Lookup)
}

/// Multicast and limited broadcast are the host stack's; what the host stack sends so has left by L2 already.
fn to_host(meta: &mut Meta, destination: u32, from_host: bool) -> Result<Next, DropReason> {
    if from_host {
        return Err(DropReason::MulticastNotRouted);
    }
    let is_multicast = ipv4::is_multicast(destination);
    meta.punt_reason = if is_multicast { PuntReason::Multicast } else { PuntReason::Broadcast };
    Ok(Next::Punt)
}
