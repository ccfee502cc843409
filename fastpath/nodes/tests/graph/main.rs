//! The whole graph: bytes in, bytes out, every edge, every reason, and the law after each scenario.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests are no workers")]
#![allow(unreachable_pub, reason = "the harness is shared by several tests")]

#[path = "../harness/mod.rs"]
mod harness;

mod control;
mod edges;
mod errors;
mod forward;
mod fuzz;
mod punt;
mod trace;
