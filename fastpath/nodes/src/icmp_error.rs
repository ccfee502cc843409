//! `icmp_error`: tells the sender why its packet ended here.
//!
//! takes packets that end here, with `icmp_type`, `icmp_code`, `icmp_mtu` and `drop_reason` · reads `l3_offset`,
//! `l3_len`, `flags`, `rx_interface`, `vrf`, interfaces, VRFs · turns the frame into the error in place: the packet
//! stays where it is, is cut to what may be quoted, and the new headers go in front of it · writes what the input
//! nodes write about a new packet · leaves by `ip4_lookup`, `ip6_lookup`, `drop`.
//!
//! The law: the packet counts as dropped here, with its reason; the error counts as generated. An error about
//! which nothing may be said (RFC 1812 §4.3.2.7, RFC 4443 §2.4 e) is dropped as `icmp_not_allowed`; one over the
//! rate with the reason that brought it here. A packet made here never causes another: at most two walks.

pub mod limit;
mod v4;
mod v6;

use ze_graph::{Batch, CHUNK_BYTES, Cx, DropReason, Fanout, Meta, Node, flag};

use limit::{IcmpLimiter, IcmpLimits};

ze_graph::edges! {
    /// The ways out of `icmp_error`.
    pub enum Next {
        Ip4Lookup = "ip4_lookup",
        Ip6Lookup = "ip6_lookup",
        Drop = "drop",
    }
}

/// The node.
#[derive(Debug)]
pub struct IcmpError {
    limiter: IcmpLimiter,
}

/// Where an error goes and what it says; worked out before anything is written.
struct Reply<A> {
    source: A,
    destination: A,
    kind: u8,
    code: u8,
    mtu: u16,
    /// Bytes of the packet that are quoted.
    quoted: usize,
}

impl IcmpError {
    /// The node; `seed` makes its limits unpredictable from outside.
    #[must_use]
    pub fn new(limits: IcmpLimits, workers: u8, hertz: u64, seed: u64) -> Self {
        Self { limiter: IcmpLimiter::new(limits, workers, hertz, seed) }
    }

    fn answer(&mut self, cx: &Cx<'_>, meta: &mut Meta, chunk: &mut [u8; CHUNK_BYTES]) -> Option<Next> {
        let is_ip6 = meta.has(flag::IPV6);
        let written = if is_ip6 {
            let reply = v6::reply(cx, meta, chunk)?;
            let prefix = (reply.destination >> 64) as u64;
            self.limiter.allow(cx.now, prefix).then(|| v6::write(&reply, meta, chunk))
        } else {
            let reply = v4::reply(cx, meta, chunk)?;
            self.limiter.allow(cx.now, u64::from(reply.destination)).then(|| v4::write(&reply, meta, chunk))
        };
        let Some(written) = written else {
            return Some(Next::Drop); // over the rate: keeps the reason it came with
        };
        written?;
        cx.counters.dropped(meta.rx_port, meta.drop_reason);
        cx.counters.law.generated.add(1);
        Some(if is_ip6 { Next::Ip6Lookup } else { Next::Ip4Lookup })
    }
}

impl Node for IcmpError {
    const NAME: &'static str = "icmp_error";
    type Next = Next;

    fn process(&mut self, cx: &Cx<'_>, batch: &mut Batch, out: &mut Fanout<'_, Next>) {
        batch.each(out, |frame| {
            let (meta, chunk) = cx.arena.parts_mut(frame);
            self.answer(cx, meta, chunk).unwrap_or_else(|| {
                meta.drop_reason = DropReason::IcmpNotAllowed;
                Next::Drop
            })
        });
    }
}

/// Describes the frame as the packet that it is now. It has no L2 header: a rewrite or `punt` gives it one.
fn describe(meta: &mut Meta, l3_offset: u16, l3_len: u16, l4_offset: u16, protocol: u8, family: u16) {
    meta.l3_offset = l3_offset;
    meta.data_offset = l3_offset;
    (meta.l3_len, meta.len) = (l3_len, l3_len);
    meta.l4_offset = l4_offset;
    (meta.protocol, meta.ttl) = (protocol, TTL);
    meta.flags = family | flag::GENERATED | flag::REUSED;
}

/// The default TTL of the IANA registry (RFC 1700, "ip-parameters").
const TTL: u8 = 64;
