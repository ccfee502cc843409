//! Frames, ports and a trivial worker for the tests of ports.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::HashSet;
use std::sync::Arc;

use ze_graph::{Arena, Batch, Frame, FramePool, Port};
use ze_packet::{MacAddr, PortId};
use ze_xsk::{BindMode, Device, OpenedPort, PortSpec, Umem, open_port};

/// Our address on every port of these tests.
pub(crate) const OURS: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 1]);

/// An arena and its frames, of which none may get lost.
pub(crate) struct Bench {
    pub(crate) umem: Umem,
    pub(crate) frames: Vec<Frame>,
    chunks: usize,
}

impl Bench {
    pub(crate) fn new(chunks: u32) -> Self {
        let (arena, frames) = Arena::allocate(chunks, false).expect("memory");
        Self { umem: Umem::new(Arc::new(arena)), frames, chunks: chunks as usize }
    }

    pub(crate) fn arena(&self) -> Arc<Arena> {
        Arc::clone(self.umem.arena())
    }

    /// Opens a device with small rings and the given modes.
    pub(crate) fn open(&mut self, device: &str, modes: &[BindMode]) -> ze_xsk::Result<OpenedPort> {
        let mut spec = spec(device);
        spec.modes = modes.to_vec();
        open_port(spec, &self.umem, &mut self.frames)
    }

    /// Takes what is left of a pool.
    pub(crate) fn reclaim(&mut self, mut pool: FramePool) {
        while let Some(frame) = pool.take() {
            self.frames.push(frame);
        }
    }

    /// All frames, each once.
    pub(crate) fn assert_complete(&self) {
        let seen: HashSet<u32> = self.frames.iter().map(Frame::index).collect();
        assert_eq!((self.frames.len(), seen.len()), (self.chunks, self.chunks), "frames are lost or doubled");
    }
}

/// A port with rings of 64.
pub(crate) fn spec(device: &str) -> PortSpec {
    let device = Device::by_name(device).expect("the device");
    let mut spec = PortSpec::new(PortId(device.ifindex() as u16), device);
    spec.fill_frames = 64;
    spec.transmit_frames = 64;
    spec.macs = vec![OURS];
    spec
}

/// Receives what waits on a queue; the packets, and their frames back to the pool.
pub(crate) fn receive(port: &mut dyn Port, arena: &Arena, pool: &mut FramePool) -> Vec<Vec<u8>> {
    let mut batch = Batch::new();
    port.receive(arena, &mut batch);
    let mut packets = vec![];
    batch.drain(|frame| {
        assert_eq!(arena.meta(&frame).rx_port, port.id());
        packets.push(arena.packet(&frame).to_vec());
        pool.give(frame);
    });
    port.refill(pool, 0);
    port.wake();
    packets
}

/// One direction of a wire: everything that comes by `from` leaves by `to`.
pub(crate) fn forward(
    arena: &Arena,
    from: &mut dyn Port,
    to: &mut dyn Port,
    waiting: &mut Vec<Frame>,
    pool: &mut FramePool,
) -> usize {
    let mut batch = Batch::new();
    let count = from.receive(arena, &mut batch);
    batch.drain(|frame| waiting.push(frame));
    to.transmit(arena, waiting);
    to.wake();
    to.complete(pool);
    from.refill(pool, 0);
    from.wake();
    count
}

/// A UDP packet of a flow, so that senders spread them over queues.
pub(crate) fn flow_frame(round: u16, flow: u16) -> Vec<u8> {
    let mut packet = vec![
        0x08, 0x00, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0x13, 0x88, 0,
        26, 0, 0,
    ];
    packet[22..24].copy_from_slice(&(1000 + flow).to_be_bytes());
    packet.extend_from_slice(&round.to_be_bytes());
    packet.extend_from_slice(&[0xa5; 16]);
    crate::support::frame(OURS.0, &packet, 60)
}

/// All free frames.
pub(crate) fn pool(bench: &mut Bench) -> FramePool {
    FramePool::new(std::mem::take(&mut bench.frames), 1 << 16)
}

/// Closes a port; nothing may be missing then.
pub(crate) fn close(bench: &mut Bench, port: OpenedPort, pool: FramePool) {
    bench.reclaim(pool);
    bench.frames.extend(port.close());
    bench.assert_complete();
}
