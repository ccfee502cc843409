//! Longest-prefix match for IPv4 and IPv6: batched lookups, readers that never wait.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod batch;
mod build;
mod engine;
mod entry;
mod family;
mod fib;
mod iter;
mod pool;
mod prefix;
mod rib;
mod table;
mod view;
mod words;

pub use engine::Engine;
pub use family::{Family, V4, V6};
pub use iter::Iter;
pub use prefix::{Prefix, Prefix4, Prefix6, PrefixError, Value, ValueError};
pub use table::{Config, Error, Extended, Lpm, Lpm4, Lpm6, Memory};
pub use view::{LpmReader, View};
pub use ze_sync::Domain;
