//! The nodes of the forwarding graph, and [`Graph`], which joins them.
//!
//! One node, one file, one name. Every node takes a batch, chooses an exit for each packet, and counts under its
//! own name. [`Graph`] is the only place that knows which exit leads where.

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::expect_used,
        clippy::unwrap_used,
        clippy::disallowed_methods,
        clippy::disallowed_macros,
    )
)]
#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests are no workers")
)]

mod bytes;
pub mod control;
pub mod control_input;
pub mod drop;
pub mod eth_input;
mod flow;
mod forward;
mod graph;
mod hop;
pub mod icmp_error;
pub mod inject_input;
pub mod interface_output;
pub mod interface_send;
pub mod ip4_fragment;
pub mod ip4_input;
pub mod ip4_lookup;
pub mod ip4_rewrite;
pub mod ip6_chain;
pub mod ip6_input;
pub mod ip6_lookup;
pub mod ip6_rewrite;
mod l2;
pub mod punt;
mod run;

pub use flow::Flow;
pub use forward::VRFS_MAX;
pub use graph::{Config, Graph};
pub use icmp_error::limit::IcmpLimits;
pub use punt::class::{PUNT_CLASSES, PuntClass, PuntRate, PuntRates};
