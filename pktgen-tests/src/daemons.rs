//! Ze's own daemons in a lab: found, started, asked, and surely ended.
//!
//! A [`Fastpath`] and a [`Slowpath`] are processes of the lab that run in its router's namespace. What they leave on
//! the machine (punt namespaces, sockets, locks) carries the lab's prefix or lies in its directory, so it goes with
//! the lab, however the lab ends.

mod binaries;
mod client;
mod error;
mod fastpath;
mod slowpath;
mod totals;

pub use binaries::{BIN_DIR_ENV, Binaries};
pub use client::Client;
pub use error::DaemonError;
pub use fastpath::{Fastpath, FastpathOptions, PUNT_LABEL};
pub use slowpath::Slowpath;
pub use totals::{Terms, Totals};
