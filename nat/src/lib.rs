//! Network address translation: the arithmetic of port ownership.
//!
//! **Translation itself is not here yet**: no sessions, no mappings, no rewriting of packets. What is here, and
//! complete, is what everything else will rest on: how the external ports of a NAT pool are divided among
//! workers, so that a packet that comes back from outside names the worker that holds its session by arithmetic,
//! without a table that workers share. See [`Partition`].

mod partition;

pub use partition::{Class, Error, Partition, SYSTEM_PORTS};
