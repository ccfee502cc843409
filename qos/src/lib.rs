//! Meters and policers.
//!
//! A policer drops what is over its rate, a shaper delays it (RFC 2475). This crate has the token bucket that
//! both are built on; it knows no packet and no clock: amounts and the time are told to it.

mod token_bucket;

pub use token_bucket::{TokenBucket, share};
