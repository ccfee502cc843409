//! The receiving end that looks at every packet.

use std::sync::Arc;

use ze_graph::{Arena, Batch, FramePool};
use ze_packet::PortId;
use ze_xsk::{Device, OpenedPort, PortReport, PortSpec, Umem, open_port};

use super::TrafficError;

/// Frames for each queue to receive into: 2 ms at 2 Mpps while the sink's core does something else.
const FILL_FRAMES: u32 = 4096;
/// The sink sends nothing.
const TRANSMIT_FRAMES: u32 = 64;
/// Frames on their way from the receive ring to the fill ring.
const FREE_FRAMES: u32 = 512;
/// Batches of one queue taken in a row.
const BATCHES_MAX: usize = 4;

/// A port whose packets are all looked at.
pub struct Sink {
    port: OpenedPort,
    arena: Arc<Arena>,
    pool: FramePool,
}

impl Sink {
    /// Opens all queues of a device of the network namespace that the calling thread is in.
    ///
    /// # Errors
    /// When the port can not be opened.
    pub fn open(device: &str) -> Result<Self, TrafficError> {
        let device = Device::by_name(device)?;
        let queues = device.rx_queues()?;
        let (arena, mut frames) = Arena::allocate(queues * (FILL_FRAMES + FREE_FRAMES), false)?;
        let (arena, all) = (Arc::new(arena), frames.len());
        let mut spec = PortSpec::new(PortId(1), device);
        (spec.fill_frames, spec.transmit_frames, spec.promiscuous) = (FILL_FRAMES, TRANSMIT_FRAMES, true);
        let port = open_port(spec, &Umem::new(Arc::clone(&arena)), &mut frames)?;
        Ok(Self { port, arena, pool: FramePool::new(frames, all) })
    }

    /// What the port became.
    #[must_use]
    pub const fn report(&self) -> &PortReport {
        &self.port.report
    }

    /// Shows each waiting frame to `look`. Returns how many there were.
    #[inline]
    pub fn poll(&mut self, mut look: impl FnMut(&[u8])) -> usize {
        let mut taken = 0;
        for port in &mut self.port.queues {
            for _ in 0..BATCHES_MAX {
                let mut batch = Batch::new();
                let count = port.receive(&self.arena, &mut batch);
                batch.frames().iter().for_each(|frame| look(self.arena.packet(frame)));
                batch.drain(|frame| self.pool.give(frame));
                taken += count;
                if count == 0 {
                    break;
                }
                port.refill(&mut self.pool, 0);
            }
            port.wake();
        }
        taken
    }

    /// Frames that the kernel had for us and could not deliver: the sink was too slow.
    #[must_use]
    pub fn missed(&self) -> u64 {
        let statistics = self.port.monitors.iter().filter_map(ze_xsk::Monitor::statistics);
        statistics.map(|s| s.rx_dropped + s.rx_ring_full).sum()
    }

    /// Closes the port.
    pub fn close(self) {
        self.port.close();
    }
}
