//! rx → tx with nothing between: the same ports and calls as in a round of the worker, without the worker.

use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use ze_graph::{Arena, Batch, Frame, FramePool, Pages, Port};

use super::drain::Drain;
use super::source::Source;

/// Frames: as many as the ports hold, and some.
const FRAMES: u32 = 4096;
/// Free frames that refilling leaves, as in the worker.
const RESERVE_FRAMES: usize = 128;
/// Frames that wait to be sent, as in the worker.
const QUEUE_FRAMES: usize = 512;

/// Memory for the baseline, and the core that it runs on.
pub(crate) struct Baseline {
    core: usize,
    arena: Arc<Arena>,
    frames: Vec<Frame>,
}

impl Baseline {
    /// On this core.
    ///
    /// # Errors
    /// When there is no memory.
    pub(crate) fn new(core: usize) -> Result<Self> {
        let (arena, frames) = Arena::allocate(FRAMES, true).context("memory for frames")?;
        Ok(Self { core, arena: Arc::new(arena), frames })
    }

    /// What pages hold its frames.
    #[must_use]
    pub(crate) fn pages(&self) -> Pages {
        self.arena.pages()
    }

    /// Passes packets until the source's meter has seen enough.
    ///
    /// # Errors
    /// When the core refuses the thread, or a packet or a frame got lost.
    pub(crate) fn pass(&mut self, source: Source, drain: Drain) -> Result<()> {
        let (core, arena, frames) = (self.core, Arc::clone(&self.arena), std::mem::take(&mut self.frames));
        let thread = thread::Builder::new().name("ze-perf-base".into()).spawn(move || {
            if !core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
                bail!("the baseline could not be pinned to core {core}");
            }
            Ok(run(&arena, frames, Box::new(source), Box::new(drain)))
        })?;
        let Ok(result) = thread.join() else { bail!("the baseline panicked") };
        let (frames, received, sent) = result?;
        self.frames = frames;
        ensure!(received == sent, "the baseline received {received} packets and sent {sent}");
        ensure!(self.frames.len() == FRAMES as usize, "{} of {FRAMES} frames came back", self.frames.len());
        Ok(())
    }
}

/// The frames, and how many packets came and went.
fn run(
    arena: &Arena,
    frames: Vec<Frame>,
    mut source: Box<dyn Port>,
    mut drain: Box<dyn Port>,
) -> (Vec<Frame>, u64, u64) {
    let mut pool = FramePool::new(frames, FRAMES as usize);
    let (mut batch, mut queue) = (Batch::new(), Vec::with_capacity(QUEUE_FRAMES));
    source.refill(&mut pool, RESERVE_FRAMES);
    drain.refill(&mut pool, RESERVE_FRAMES);
    loop {
        let mut moved = 0;
        for port in [&mut drain, &mut source] {
            moved += port.complete(&mut pool);
            moved += port.receive(arena, &mut batch);
            port.refill(&mut pool, RESERVE_FRAMES);
        }
        batch.drain(|frame| queue.push(frame));
        moved += drain.transmit(arena, &mut queue);
        drain.wake();
        source.wake();
        if moved == 0 {
            break;
        }
    }
    let counts = (source.stats().rx_packets.get(), drain.stats().tx_packets.get());
    let mut back: Vec<Frame> = std::iter::from_fn(|| pool.take()).collect();
    back.extend(queue);
    back.extend(source.close());
    back.extend(drain.close());
    (back, counts.0, counts.1)
}
