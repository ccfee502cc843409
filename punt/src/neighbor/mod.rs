//! The neighbour engine: ARP (RFC 826, RFC 5227) and neighbour discovery (RFC 4861) with one state machine.
//!
//! Sans-IO: it is *told* bytes, link events, traffic and the time; it answers with [`Output`]s, taken with
//! [`Engine::poll_output`] after each call, and says with [`Engine::poll_timeout`] when to wake it.
//!
//! ```text
//!              resolve             answered                  reachable time over
//!   (none) ─────────────▶ Incomplete ─────▶ Reachable ────────────────────────▶ Stale ──gc──▶ (none)
//!                  ▲          │ 3 tries        ▲ ▲                              │  ▲
//!          back-off│          ▼                │ │ answered, confirmed    in use│  │heard, moved
//!                  └─────── Failed ◀───────────┼─┴──────── Probe ◀─────── Delay ◀  │
//!                             └────────────────┴───────── 3 unicast tries ─────────┘
//!   Permanent: configured; no message from the wire changes it.
//! ```
//!
//! Forwarding goes on with the known address in Reachable, Stale, Delay, Probe and Permanent.
//!
//! Not implemented: duplicate address detection for our own addresses (conflicts seen later are counted and
//! defended), proxy ARP and proxy ND, router discovery, redirects, secure ND (RFC 3971).

mod announce;
mod arp;
mod bucket;
mod counters;
mod engine;
mod entry;
mod fsm;
mod interface;
pub mod limits;
mod nd;
mod table;
mod transmit;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration;

use ze_packet::{InterfaceId, MacAddr};

pub use counters::Counters;
pub use engine::Engine;
pub use fsm::State;
pub use interface::Interface;
pub use limits::Limits;

/// What the engine wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this frame out of this interface.
    Transmit {
        /// The interface to send on.
        interface: InterfaceId,
        /// A complete Ethernet frame without VLAN tags and FCS.
        frame: Vec<u8>,
    },
    /// The neighbour is at `mac`: make or change its adjacency.
    Resolved {
        /// The interface the neighbour is on.
        interface: InterfaceId,
        /// The neighbour.
        address: IpAddr,
        /// Its Ethernet address.
        mac: MacAddr,
    },
    /// The neighbour is unknown from now on: its adjacency must resolve again.
    Withdrawn {
        /// The interface the neighbour was on.
        interface: InterfaceId,
        /// The neighbour.
        address: IpAddr,
    },
    /// Packets that waited: send them to `mac`, in this order.
    Release {
        /// The interface to send on.
        interface: InterfaceId,
        /// The neighbour they waited for.
        address: IpAddr,
        /// Its Ethernet address.
        mac: MacAddr,
        /// L3 packets, oldest first.
        packets: Vec<Vec<u8>>,
    },
    /// Packets that waited in vain: answer with ICMP "host unreachable", then drop.
    Unreachable {
        /// The interface the neighbour should have been on.
        interface: InterfaceId,
        /// The neighbour that did not answer.
        address: IpAddr,
        /// L3 packets, oldest first.
        packets: Vec<Vec<u8>>,
    },
}

/// One row of `show neighbors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// The interface it is on.
    pub interface: InterfaceId,
    /// Its address.
    pub address: IpAddr,
    /// Its Ethernet address, while known.
    pub mac: Option<MacAddr>,
    /// Where the state machine stands.
    pub state: State,
    /// Time since it was last confirmed, or, while unknown, since it was first asked for.
    pub age: Duration,
    /// Configured by an operator.
    pub is_static: bool,
    /// Packets that wait for it.
    pub held: usize,
    /// Solicitations sent without an answer since the last state change.
    pub probes: u32,
}

/// Why an order was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The interface was never put, or is removed.
    #[error("no interface {0}")]
    UnknownInterface(InterfaceId),
    /// A neighbour must be a unicast address that is not ours.
    #[error(
        "{0} cannot be a neighbour's address: it is multicast, broadcast, unspecified, loopback or our own"
    )]
    Address(IpAddr),
    /// A neighbour must have a unicast Ethernet address.
    #[error("{0} cannot be a neighbour's Ethernet address")]
    Mac(MacAddr),
    /// The table holds as many entries as it may, and none can be evicted.
    #[error("the neighbour table is full")]
    TableFull,
}
