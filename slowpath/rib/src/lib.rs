//! Routes of all engines in; what the fast path shall have out; and the dplane that brings it there.
//!
//! ```text
//! engines ─ RouteUpdate ─▶ Rib ── compute ─▶ Fib ─┐
//! configuration: ports, VRFs, interfaces … ───────┴─▶ State ─▶ dplane ── Program ─▶ fast path
//!                                                              └ Reconciler: acknowledged, refused ◀── replies
//! ```
//!
//! [`rib`] selects by administrative distance and resolves gateways; [`state`] holds the objects of the API, keyed in
//! the order of programming; [`plan`] says which operations lead from what is acknowledged to what is desired;
//! [`reconcile`] keeps what is acknowledged and what was refused; [`dplane`] talks to the fast path. All but the last
//! are pure.

pub mod backoff;
mod divergence;
pub mod dplane;
pub mod feed;
mod keys;
pub mod plan;
pub mod reconcile;
pub mod rib;
pub mod state;
pub mod wire;
mod wire_read;

pub use feed::Feed;
pub use rib::{Connected, Fib, Problem, Rib, Source};
pub use state::{GroupHash, Key, Nexthop, RouteTarget, State, Value};
