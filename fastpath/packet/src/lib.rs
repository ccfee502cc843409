//! Wire formats, checksums, identifiers and units.
//!
//! The lowest crate of the fast path: it knows bytes and nothing else. Header fields are big-endian on the
//! wire and host-endian in our structs; the codecs here convert, once.
//!
//! Two kinds of code live here. *Views* (`ipv4`, `ipv6`, `ethernet`) read fields straight from fixed-size
//! arrays, for nodes that handle millions of packets a second. *Messages* (`arp`, `nd`, `icmp`) decode into
//! structs and emit into buffers, for the control thread and for generated packets.

pub mod arp;
pub mod checksum;
pub mod ethernet;
pub mod icmp;
pub mod id;
pub mod ipv4;
pub mod ipv6;
pub mod mac;
pub mod nd;
pub mod ports;

pub use id::{GroupId, InterfaceId, NexthopId, PortId, VrfId, WorkerId};
pub use mac::MacAddr;
