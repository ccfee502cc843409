//! Packet filters over the five-tuple.
//!
//! One [`Filter`] today: it says whether a frame is one that the operator wants to follow (`ze trace`). It reads the
//! frame itself, from L2 on, so it works at the very start of a packet's life. Rule sets with thousands of rules
//! are another structure and will stand beside it.
//!
//! The text form: `host 10.0.0.1 and tcp and port 179`, words joined by `and`, each at most once:
//! `ip`, `ip6`, `arp`, `tcp`, `udp`, `icmp`, `icmp6`, `proto N`, `src PREFIX`, `dst PREFIX`, `host PREFIX`, `sport N`,
//! `dport N`, `port N`, `vlan N`. The empty text matches everything.

mod filter;
mod parse;

#[cfg(test)]
mod tests;

pub use filter::Filter;
pub use parse::ParseError;
