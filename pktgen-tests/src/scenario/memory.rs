//! The backend in memory: the real graph, worker, tables and neighbour engine, with ports that are queues.
//!
//! What is not here is what the kernel adds (AF_XDP, XDP, representors) and the daemon's books. The control thread's
//! part, a few lines of glue between worker, neighbour engine and tables, is the caller's thread.

mod control;
mod tables;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ze_fib::PortKind;
use ze_fib::writer::Fib;
use ze_graph::{Arena, DropReason, PuntReason};
use ze_packet::{InterfaceId, PortId};
use ze_punt::neighbor::Engine;
use ze_worker::{Command, IdleMode, Setup, WorkerHandle};
use ze_xsk::{MemoryPort, MemoryWire};

use super::{At, Backend, BackendError};
use crate::daemons::{Terms, Totals};

/// Frames of the worker.
const FRAMES: u32 = 8192;
/// Ring sizes of each port.
const RING_FRAMES: usize = 256;
/// Between two looks at the worker.
const POLL_INTERVAL: Duration = Duration::from_micros(100);

/// A router in this process.
pub struct Memory {
    fib: Fib,
    engine: Engine,
    worker: WorkerHandle,
    wires: HashMap<At, MemoryWire>,
    ports: Vec<PortId>,
    arrived: HashMap<At, Vec<Vec<u8>>>,
}

impl Memory {
    /// Builds the tables of [`network`] and starts a worker on the last core.
    ///
    /// # Errors
    /// When the system refuses memory or a thread.
    pub fn start() -> Result<Self, BackendError> {
        let mut fib = Fib::new(&ze_sync::Domain::new(), ze_fib::Limits::default());
        let (arena, frames) = Arena::allocate(FRAMES, false)?;
        let mut tables = tables::build(&mut fib)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let hertz = ze_graph::clock::hertz();
        let spawned = ze_worker::spawn(Setup {
            cores: vec![cores - 1],
            idle: IdleMode::DEFAULT,
            arena: Arc::new(arena),
            frames,
            tables: fib.tables(),
            graph: Box::new(move |worker, control| {
                ze_nodes::Graph::new(ze_nodes::Config {
                    worker,
                    workers: 1,
                    hash_seed: 1,
                    hertz,
                    icmp: ze_nodes::IcmpLimits::default(),
                    punt: ze_nodes::PuntRates::default(),
                    control,
                })
            }),
        })?;
        let worker = spawned.workers.into_iter().next().ok_or("no worker")?;
        let ports = tables.ports.iter().map(|(_, port, _)| *port).collect();
        let mut memory = Self {
            fib,
            engine: tables.engine(),
            worker,
            wires: HashMap::new(),
            ports,
            arrived: HashMap::new(),
        };
        for (at, port, kind) in tables.ports {
            memory.open(at, port, kind)?;
        }
        tables::put_neighbors(&tables.interfaces, &mut memory.engine)?;
        memory.settle();
        Ok(memory)
    }

    fn open(&mut self, at: At, id: PortId, kind: PortKind) -> Result<(), BackendError> {
        let (port, wire) = MemoryPort::new(id, RING_FRAMES, RING_FRAMES);
        self.worker.send(Command::add_port(Box::new(port), kind))?;
        self.wires.insert(at, wire);
        Ok(())
    }

    /// Ports in memory have nothing to poll: a command wakes a worker that sleeps.
    fn wake(&mut self) -> Result<(), BackendError> {
        Ok(self.worker.send(Command::EndTrace)?)
    }

    /// Does the control thread's work that has come up, and gathers what came out.
    fn pump(&mut self) {
        while self.worker.replies.pop().is_ok() {}
        self.handle_messages();
        self.engine.handle_timeout(Instant::now());
        self.settle();
        for (at, wire) in &self.wires {
            self.arrived.entry(*at).or_default().extend(wire.take());
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // A worker that does not take the command has ended already.
        if self.worker.send(Command::Stop).is_ok() {
            self.worker.join();
        }
    }
}

impl Backend for Memory {
    fn reset(&mut self) -> Result<(), BackendError> {
        self.engine.flush(None, Instant::now());
        self.settle();
        self.pump();
        self.arrived.clear();
        Ok(())
    }

    fn send(&mut self, at: At, frame: &[u8]) -> Result<(), BackendError> {
        let wire = self.wires.get(&at).ok_or_else(|| format!("there is no {at:?}"))?;
        if !wire.send(frame) {
            return Err(format!("{at:?} takes no frame of {} bytes", frame.len()).into());
        }
        self.wake()
    }

    fn receive(&mut self, at: At, timeout: Duration) -> Result<Option<Vec<u8>>, BackendError> {
        let deadline = Instant::now() + timeout;
        loop {
            self.pump();
            if let Some(arrived) = self.arrived.get_mut(&at).filter(|frames| !frames.is_empty()) {
                return Ok(Some(arrived.remove(0)));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn totals(&mut self) -> Result<Totals, BackendError> {
        // Levels are written in housekeeping, which a sleeping worker does when it wakes.
        self.wake()?;
        self.pump();
        if self.worker.is_finished() {
            return Err("the worker has ended".into());
        }
        let counters = &self.worker.counters;
        let law = &counters.law;
        let terms = Terms {
            rx: law.rx.get(),
            inject: law.inject.get(),
            generated: law.generated.get(),
            handoff_in: law.handoff_in.get(),
            tx: law.tx.get(),
            drop: law.drop.get(),
            punt: law.punt.get(),
            held: law.held.get(),
            handoff_out: law.handoff_out.get(),
        };
        let dropped = |reason: &DropReason| {
            let packets: u64 = self.ports.iter().map(|port| counters.drops(*port, *reason)).sum();
            (packets > 0).then(|| (reason.name().to_owned(), packets))
        };
        let punted = |reason: &PuntReason| {
            let packets = counters.punts(*reason);
            (packets > 0).then(|| (reason.name().to_owned(), packets))
        };
        Ok(Totals {
            law: terms,
            drops: DropReason::ALL.iter().filter_map(dropped).collect(),
            punts: PuntReason::ALL.iter().filter_map(punted).collect(),
        })
    }
}

/// Numbers of the interfaces, by name.
type Interfaces = HashMap<&'static str, InterfaceId>;
