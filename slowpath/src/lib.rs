//! ze-slowpath: the control daemon.
//!
//! ```text
//! ze.conf ─▶ Config ─┬─ ports, VRFs, interfaces, addresses ──────────────┐
//!    ▲ SIGHUP        └─ static routes ─▶ static engine ─▶ rib ─▶ routes ─┴▶ desired state ─▶ dplane ─▶ fast path
//!                                              ▲           ▲                                  │
//!                                              └── links ──┴──────── states of ports ◀────────┘
//! ```
//!
//! [`objects`] turns a configuration into the objects of the API; [`verdict`] says what a configuration comes to and
//! whether the fast path takes it; [`daemon`] is the loop that keeps it all together; [`lock`] sees to it that there
//! is one daemon. Nothing is kept on disk: a daemon that is killed has nothing to clean, and the next one tells the
//! fast path everything again.

pub mod daemon;
pub mod links;
pub mod lock;
pub mod objects;
pub mod tables;
pub mod verdict;

/// Owner of our objects in the fast path.
pub const OWNER: &str = "slowpath";

/// Directory of the lock unless another is named.
pub const DEFAULT_RUN_DIR: &str = "/run/ze";
