//! The backend in memory: the real graph, worker, tables and neighbour engine, with ports that are queues and a clock
//! that stands still until a scenario lets time pass.
//!
//! What is not here is what the kernel adds (AF_XDP, XDP, representors) and the daemon's books. There are no threads:
//! the worker gets its turns from the caller, as does the control thread's part, a few lines of glue between worker,
//! neighbour engine and tables. So a scenario gives the same result every time.

mod control;
mod tables;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtrb::{Consumer, RingBuffer};
use ze_acl::Filter;
use ze_fib::PortKind;
use ze_fib::writer::Fib;
use ze_graph::{Arena, DropReason, PuntReason, TraceRecord, TraceRequest};
use ze_packet::{InterfaceId, PortId};
use ze_punt::neighbor::Engine;
use ze_worker::{Command, IdleMode, Setup, Stepped, WorkerHandle};
use ze_xsk::{MemoryPort, MemoryWire};

use super::router::Router;
use super::{Backend, BackendError, Place, TraceStep};
use crate::daemons::{Terms, Totals};

/// Frames of the worker.
const FRAMES: u32 = 8192;
/// Ring sizes of each port.
const RING_FRAMES: usize = 256;
/// The clock counts nanoseconds.
const HERTZ: u64 = 1_000_000_000;
/// Between two scenarios, so that what one used up is there again for the next.
const PAUSE: Duration = Duration::from_secs(60);
/// Turns without an end are a loop.
const TURNS_MAX: usize = 10_000;
/// Records of a trace.
const TRACE_RECORDS: usize = 16_384;
/// Packets of a trace.
const TRACE_PACKETS: u16 = 1000;

/// A router in this process.
pub struct Memory {
    fib: Fib,
    engine: Engine,
    stepped: Stepped,
    worker: WorkerHandle,
    wires: HashMap<Place, MemoryWire>,
    interfaces: BTreeMap<String, InterfaceId>,
    ports: Vec<PortId>,
    arrived: HashMap<Place, VecDeque<Vec<u8>>>,
    trace: Option<Consumer<TraceRecord>>,
    began: Instant,
    elapsed: Duration,
}

impl Memory {
    /// Builds the tables of a router; which flow takes which member of a group follows from `seed`.
    ///
    /// # Errors
    /// When the system refuses memory, or the tables refuse an object.
    pub fn start(router: &Router, seed: u64) -> Result<Self, BackendError> {
        let mut fib = Fib::new(&ze_sync::Domain::new(), ze_fib::Limits::default());
        let (arena, frames) = Arena::allocate(FRAMES, false)?;
        let began = Instant::now();
        let mut tables = tables::build(&mut fib, router)?;
        let (stepped, worker) = ze_worker::stepped(Setup {
            cores: Vec::new(),
            idle: IdleMode::Busy,
            arena: Arc::new(arena),
            frames,
            tables: fib.tables(),
            graph: Box::new(move |worker, control| {
                ze_nodes::Graph::new(ze_nodes::Config {
                    worker,
                    workers: 1,
                    hash_seed: seed,
                    hertz: HERTZ,
                    icmp: ze_nodes::IcmpLimits::default(),
                    punt: ze_nodes::PuntRates::default(),
                    control,
                })
            }),
        })?;
        let mut memory = Self {
            fib,
            engine: tables.engine(began),
            stepped,
            worker,
            wires: HashMap::new(),
            ports: tables.ports.iter().map(|(_, port, _)| *port).collect(),
            interfaces: tables.interfaces,
            arrived: HashMap::new(),
            trace: None,
            began,
            elapsed: Duration::from_secs(1),
        };
        for (place, port, kind) in tables.ports {
            memory.open(place, port, kind)?;
        }
        memory.put_neighbors(router)?;
        memory.pump()?;
        Ok(memory)
    }

    fn open(&mut self, place: Place, id: PortId, kind: PortKind) -> Result<(), BackendError> {
        let (port, wire) = MemoryPort::new(id, RING_FRAMES, RING_FRAMES);
        self.worker.send(Command::add_port(Box::new(port), kind));
        self.wires.insert(place, wire);
        Ok(())
    }

    fn now(&self) -> Instant {
        self.began + self.elapsed
    }

    /// Lets everything happen that happens without time passing, and gathers what came out.
    fn pump(&mut self) -> Result<(), BackendError> {
        for _ in 0..TURNS_MAX {
            let moved = self.stepped.turn(self.elapsed.as_nanos() as u64);
            while self.worker.replies.pop().is_ok() {}
            let handled = self.handle_messages();
            self.engine.handle_timeout(self.now());
            let settled = self.settle();
            for (place, wire) in &self.wires {
                self.arrived.entry(place.clone()).or_default().extend(wire.take());
            }
            if moved == 0 && !handled && !settled {
                return Ok(());
            }
        }
        Err(format!("after {TURNS_MAX} turns the router still moves frames").into())
    }

    fn trace_step(record: &TraceRecord) -> TraceStep {
        let (node, exits) =
            ze_nodes::Graph::descriptions().get(usize::from(record.node)).unwrap_or(&("rx", &[]));
        let exit = exits.get(usize::from(record.exit)).copied().unwrap_or_default();
        let reason = match exit {
            "drop" | "icmp_error" => record.drop_reason.name(),
            "punt" | "control" => record.punt_reason.name(),
            _ => "",
        };
        let shown = record.bytes.get(..usize::from(record.len)).unwrap_or(&record.bytes);
        TraceStep {
            packet: record.packet.into(),
            node: (*node).to_owned(),
            exit: exit.to_owned(),
            reason: reason.to_owned(),
            bytes: shown.to_vec(),
        }
    }
}

impl Backend for Memory {
    fn reset(&mut self) -> Result<(), BackendError> {
        self.engine.flush(None, self.now());
        self.wait(PAUSE)?;
        self.arrived.clear();
        Ok(())
    }

    fn places(&self) -> Vec<Place> {
        self.wires.keys().cloned().collect()
    }

    fn send(&mut self, at: &Place, frame: &[u8]) -> Result<(), BackendError> {
        let wire = self.wires.get(at).ok_or_else(|| format!("there is no {at}"))?;
        if !wire.send(frame) {
            return Err(format!("{at} takes no frame of {} bytes", frame.len()).into());
        }
        self.pump()
    }

    fn receive(&mut self, at: &Place, _: Duration) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(self.arrived.get_mut(at).and_then(VecDeque::pop_front))
    }

    fn wait(&mut self, time: Duration) -> Result<(), BackendError> {
        let end = self.elapsed + time;
        while let Some(next) = self.engine.poll_timeout().map(|at| at.saturating_duration_since(self.began)) {
            if next > end {
                break;
            }
            self.elapsed = self.elapsed.max(next);
            self.pump()?;
        }
        self.elapsed = end;
        self.pump()
    }

    fn totals(&mut self) -> Result<Totals, BackendError> {
        self.pump()?;
        let counters = &self.worker.counters;
        let mut totals = Totals { law: Terms::from(&*counters.law), ..Totals::default() };
        for reason in DropReason::ALL {
            let packets: u64 = self.ports.iter().map(|port| counters.drops(*port, *reason)).sum();
            totals.drops.insert(reason.name().to_owned(), packets);
        }
        for reason in PuntReason::ALL {
            totals.punts.insert(reason.name().to_owned(), counters.punts(*reason));
            totals.counters.insert(format!("policed.{}", reason.name()), counters.punts_policed(*reason));
        }
        for (name, id) in &self.interfaces {
            let Some(of) = counters.interface(*id) else { continue };
            for (way, traffic) in [("rx", &of.rx), ("tx", &of.tx), ("punt", &of.punt), ("inject", &of.inject)]
            {
                totals.count_traffic(name, way, traffic.packets.get(), traffic.bytes.get());
            }
        }
        Ok(totals)
    }

    fn takes_time(&self) -> bool {
        false
    }

    fn start_trace(&mut self) -> Result<(), BackendError> {
        let (records, consumer) = RingBuffer::new(TRACE_RECORDS);
        let filter = "".parse::<Filter>().map_err(|error| error.to_string())?;
        self.worker.send(Command::Trace(TraceRequest { filter, packets: TRACE_PACKETS, records }));
        self.trace = Some(consumer);
        self.pump()
    }

    fn take_trace(&mut self) -> Result<Vec<TraceStep>, BackendError> {
        self.worker.send(Command::EndTrace);
        self.pump()?;
        let Some(mut records) = self.trace.take() else { return Ok(Vec::new()) };
        let records = std::iter::from_fn(|| records.pop().ok());
        Ok(records.map(|record| Self::trace_step(&record)).collect())
    }
}
