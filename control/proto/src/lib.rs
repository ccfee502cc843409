//! The narrow waist between the two daemons: protobuf messages and services, generated from `proto/`.
//!
//! [`v1`] is the first version of the API. Addresses travel as 4 or 16 bytes; [`address`] converts them.
//! Routes by the thousand travel [`packed`], and are compared by [`digest`].

pub mod address;
pub mod digest;
pub mod endpoint;
pub mod packed;

/// Version 1 of the API.
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated; documented in the .proto file")]
pub mod v1 {
    tonic::include_proto!("ze.v1");
}
