//! The XDP program that steers frames to AF_XDP sockets, its loader and maps.
//!
//! Each port has one loaded [`Program`] (its MACs, its sockets, its counters) and one [`Link`] that ties the
//! program to the device. The link is a file descriptor: who holds it keeps the program attached, and when the
//! last holder goes, by whatever signal, nothing stays behind in the kernel.
//!
//! **Fail closed.** A supervisor keeps a duplicate of the link while the daemon restarts. The sockets went with
//! the daemon, so the program finds none and drops ([`NoSocket::Drop`]). The new daemon takes the link over
//! ([`Link::adopt`]) and swaps its own program in ([`Link::update`]) without a gap.

mod attached;
mod error;
mod exchange;
mod link;
mod maps;
mod program;
mod sys;

pub use attached::{AttachedProgram, attached, remove_stale};
pub use error::{Error, Result};
pub use exchange::{
    EXCHANGE_HEAD_BYTES, EXCHANGE_IFINDEX_MAX, EXCHANGE_INDEX_BYTES, EXCHANGE_LEN_BITS, EXCHANGE_REST_BYTES,
    EXCHANGE_SLOT_BYTES, EXCHANGE_SLOTS, Exchange, Lanes,
};
pub use link::{Attached, Link, Mode, attach, attach_best};
pub use maps::{Counters, MACS_MAX, NoSocket};
pub use program::{EXCHANGE_PROGRAM_NAME, Mac, Options, PROGRAM_NAME, Program, kernel_btf_present};
