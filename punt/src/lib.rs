//! Representors, punt namespaces, and the neighbour engine (ARP, ND).
//!
//! [`neighbor`] decides which Ethernet address belongs to which IP address; it owns no socket and no clock.

pub mod neighbor;
