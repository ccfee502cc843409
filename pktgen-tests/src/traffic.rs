//! Traffic: a generator and a sink on AF_XDP.
//!
//! ```text
//!   PacketSpec ─▶ Packets ─▶ Transmission ─▶ Generator ══ device ··· router ··· device ══ Sink ─▶ Arrivals
//!   layers, flows, sizes     Pace: when                                          or Counter: only how many
//! ```
//!
//! Each packet carries a [`Signature`]: run, stream, sequence number and the time it was sent. The sink tells loss,
//! reordering and duplicates from the numbers, and latency from the time. The order is judged within a stream, that
//! is, a queue of the generator. [`trial`] does both ends on one thread; [`replay`] sends what a capture
//! holds, with its timing.

mod arrivals;
mod clock;
mod counter;
mod generator;
mod layers;
mod live;
mod object;
mod pace;
mod packets;
mod replay;
mod signature;
mod sink;
mod sizes;
mod trial;
mod values;

use crate::lab::LabError;

pub use arrivals::{Arrivals, LATENCY_MAX_NS};
pub use clock::now_ns;
pub use counter::Counter;
pub use generator::{Generator, Transmission};
pub use layers::Layer;
pub use live::{LiveGenerator, Sent};
pub use pace::{Pace, Rate, Stop};
pub use packets::{FLOWS_MAX, PacketSpec, Packets, Transport};
pub use replay::{Capture, ReplayRate, Replayed, replay};
pub use signature::{SIGNATURE_BYTES, Signature};
pub use sink::Sink;
pub use sizes::{FCS_BYTES, FRAME_MAX_BYTES, FRAME_MIN_BYTES, Sizes};
pub use trial::{Outcome, Receiver, trial, trial_live};
pub use values::{Addresses, Ports, Random};

/// Why traffic could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum TrafficError {
    /// What was asked for can not be sent.
    #[error("{0}")]
    Spec(String),
    /// A port could not be opened.
    #[error(transparent)]
    Port(#[from] ze_xsk::Error),
    /// The counting program could not be used.
    #[error(transparent)]
    Redirect(#[from] ze_redirect::Error),
    /// The program that sends could not be loaded or told what to do.
    #[error("the generator's XDP program: {0}")]
    Program(#[from] libbpf_rs::Error),
    /// No memory for frames.
    #[error("memory for frames, or a call of the kernel: {0}")]
    System(#[from] std::io::Error),
    /// The lab failed, or somebody asked to stop.
    #[error(transparent)]
    Lab(#[from] LabError),
}
