//! Representors, punt namespaces, and the neighbour engine (ARP, ND).
//!
//! [`neighbor`] decides which Ethernet address belongs to which IP address; it owns no socket and no clock.
//! [`representor`] keeps the veth pairs through which Linux sockets see the router's interfaces.

pub mod neighbor;
pub mod representor;
