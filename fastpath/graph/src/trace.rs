//! The packet trace: follow the next N packets that match a filter through every node.

use rtrb::Producer;
use ze_acl::Filter;
use ze_packet::{InterfaceId, NexthopId, WorkerId};

use crate::node::{Cx, Edge};
use crate::{Arena, Batch, DropReason, PuntReason, clock};

/// Bytes of the packet that a record keeps, from L2 on.
pub const TRACE_BYTES: usize = 96;

/// What one node did with one traced packet.
#[derive(Clone, Debug)]
pub struct TraceRecord {
    /// Number of the packet within its trace, from 1.
    pub packet: u16,
    /// The worker.
    pub worker: WorkerId,
    /// Position of the node among the worker's node counters; `u16::MAX` stands for reception.
    pub node: u16,
    /// The exit that the node chose.
    pub exit: u8,
    /// When, TSC cycles.
    pub at: u64,
    /// Length of the packet, bytes.
    pub len: u16,
    /// Interface that the packet came by, as far as known.
    pub rx_interface: InterfaceId,
    /// Interface that it leaves by, as far as known.
    pub tx_interface: InterfaceId,
    /// The nexthop chosen, as far as known.
    pub nexthop: NexthopId,
    /// The reason to drop it; meaningful at the exit to `drop`.
    pub drop_reason: DropReason,
    /// The reason to punt it; meaningful at the exit to `punt`.
    pub punt_reason: PuntReason,
    /// The packet's first bytes after the node ran.
    pub bytes: [u8; TRACE_BYTES],
}

/// A trace that was asked for: which packets, how many, and where the records go.
#[derive(Debug)]
pub struct TraceRequest {
    /// Which packets.
    pub filter: Filter,
    /// How many of them.
    pub packets: u16,
    /// Preallocated ring to the control thread. When it is full, records are lost and counted.
    pub records: Producer<TraceRecord>,
}

/// The worker's side of the packet trace. Idle it costs one test a node and batch.
#[derive(Debug, Default)]
pub struct Tracer {
    request: Option<TraceRequest>,
    started: u16,
    lost: u64,
}

impl Tracer {
    /// A tracer with nothing to do.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a trace; returns the one it replaces, to be freed off the data path.
    pub const fn arm(&mut self, request: TraceRequest) -> Option<TraceRequest> {
        self.started = 0;
        self.request.replace(request)
    }

    /// Ends the trace.
    pub const fn disarm(&mut self) -> Option<TraceRequest> {
        self.request.take()
    }

    /// Is a trace under way?
    #[inline]
    pub const fn is_armed(&self) -> bool {
        self.request.is_some()
    }

    /// Records lost so far because the ring was full.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Looks for packets to follow among those just received.
    #[cold]
    pub fn admit(&mut self, arena: &Arena, worker: WorkerId, batch: &mut Batch) {
        let Some(request) = &mut self.request else { return };
        for frame in batch.frames_mut() {
            if self.started >= request.packets || request.records.is_abandoned() {
                return;
            }
            if !request.filter.matches(arena.packet(frame)) {
                continue;
            }
            self.started += 1;
            arena.meta_mut(frame).trace = self.started;
            let record = record(arena, frame, worker, u16::MAX, 0);
            self.lost += u64::from(request.records.push(record).is_err());
        }
    }

    /// Records what a node did with the followed packets of a batch.
    #[cold]
    pub fn step<E: Edge>(&mut self, cx: &Cx<'_>, position: usize, batch: &Batch, exits: &[E]) {
        let Some(request) = &mut self.request else { return };
        for (frame, exit) in batch.frames().iter().zip(exits) {
            if cx.arena.meta(frame).trace == 0 {
                continue;
            }
            let record = record(cx.arena, frame, cx.worker, position as u16, exit.index());
            self.lost += u64::from(request.records.push(record).is_err());
        }
    }
}

fn record(arena: &Arena, frame: &crate::Frame, worker: WorkerId, node: u16, exit: u8) -> TraceRecord {
    let meta = arena.meta(frame);
    let mut bytes = [0; TRACE_BYTES];
    bytes.iter_mut().zip(arena.packet(frame)).for_each(|(to, from)| *to = *from);
    TraceRecord {
        packet: meta.trace,
        worker,
        node,
        exit,
        at: clock::cycles(),
        len: meta.len,
        rx_interface: meta.rx_interface,
        tx_interface: meta.tx_interface,
        nexthop: meta.nexthop,
        drop_reason: meta.drop_reason,
        punt_reason: meta.punt_reason,
        bytes,
    }
}
