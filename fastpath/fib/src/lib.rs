//! Forwarding tables: what workers read and the control thread writes.
//!
//! ```text
//! (port, vlan) ─▶ Interface ─▶ Vrf ─▶ prefix ─▶ Target ─┬─▶ Group ─▶ Nexthop ─▶ Adjacency
//!                                                       └──────────▶ Nexthop
//! ```
//!
//! Every arrow is an index into a slab of published, immutable records (`ze-sync`). A worker takes a [`View`] once
//! a batch and follows indices without a lock. The control thread replaces single records; so one change of a
//! nexthop re-points every prefix that leads to it and touches none.

#[doc(hidden)]
pub mod builder;
mod group;
mod interface;
mod nexthop;
mod tables;
mod target;
pub mod writer;

pub use group::{Group, GroupOptions};
pub use interface::{Interface, InterfaceAddress4, InterfaceAddress6, PortKind, PortTable, VLANS};
pub use nexthop::{Adjacency, Nexthop, REWRITE_BYTES};
pub use tables::{Limits, Tables, View, Vrf};
pub use target::Target;
