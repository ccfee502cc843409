//! Frames, batches, the contract of a node, counters and the packet trace.
//!
//! A worker receives a [`Batch`] of [`Frame`]s from a [`Port`], sends it through the stages of the graph, and hands
//! what is left to the transmit queues. At most [`BATCH_MAX`] frames walk the graph at once, so a stage's input
//! can not overflow.
//!
//! One law holds between any two rounds of a worker: see [`Law`].

mod batch;
pub mod clock;
mod counters;
mod frame;
mod message;
mod meta;
mod node;
mod port;
mod reason;
mod sink;
mod trace;

pub use batch::{BATCH_MAX, Batch, RECEIVE_MAX};
pub use counters::{EXITS_MAX, InterfaceCounters, Law, LoopCounters, NodeCounters, Traffic, WorkerCounters};
pub use frame::{Arena, CHUNK_BYTES, FRAME_BYTES_MAX, Frame, FramePool, HEADROOM_BYTES, Pages};
pub use message::{Message, MessageKind};
pub use meta::{Meta, flag};
pub use node::{Cx, Edge, Fanout, Node, Outcome, Stage};
pub use port::{Port, QueueStats};
pub use reason::{DropReason, PuntReason};
pub use sink::Sink;
pub use trace::{TRACE_BYTES, TraceRecord, TraceRequest, Tracer};
