//! The whole graph: bytes in, bytes out, every edge, every reason, and the law after each scenario.
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
