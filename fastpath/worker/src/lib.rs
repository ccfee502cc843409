//! Pinned run-to-completion workers.
//!
//! A worker is one thread on one core with its own queue pairs, frames and graph. It shares the forwarding tables
//! with the others and nothing else. The control thread speaks to it through bounded rings:
//!
//! ```text
//!              commands, messages ──▶ ┌────────┐ ──▶ replies, messages (ARP, ND, unresolved)
//!  control                            │ worker │
//!              wakes it by eventfd ──▶└────────┘ ──▶ wakes control by eventfd
//!                                      ▲      │
//!                                      └──────┘ handoff rings to and from every other worker, which are woken
//! ```
//!
//! After start-up the loop does not allocate, lock, log or free: what it is done with (a port, a trace) goes back
//! to the control thread, which frees it.

mod bell;
mod handle;
mod idle;
mod outlets;
mod run;

#[cfg(test)]
mod tests;

pub use handle::{Command, Reply, Setup, Spawned, StartError, Stepped, WorkerHandle, spawn, stepped};
pub use idle::IdleMode;
pub use outlets::{Handoff, TX_QUEUE_MAX};
