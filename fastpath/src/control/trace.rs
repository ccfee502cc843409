//! The packet trace's desk: arms the workers, collects records, and ends it.

use rtrb::{Consumer, RingBuffer};
use tokio::sync::mpsc;
use ze_acl::Filter;
use ze_graph::{TraceRecord, TraceRequest, clock};
use ze_packet::InterfaceId;
use ze_proto::v1;
use ze_worker::Command;

use super::Control;

/// Records that one worker may be ahead of us: 16 nodes for each of 256 packets.
const RECORDS_MAX: usize = 4096;
/// Packets that one trace follows at most.
pub const PACKETS_MAX: u32 = 1000;
/// Events that may wait for the client; more are dropped by ending the trace.
const EVENTS_MAX: usize = 4096;

/// A trace under way.
struct Active {
    number: u64,
    began: u64,
    rings: Vec<Consumer<TraceRecord>>,
    events: mpsc::Sender<v1::TraceEvent>,
}

/// At most one trace.
#[derive(Default)]
pub(super) struct Desk {
    active: Option<Active>,
    begun: u64,
}

/// Why a trace could not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another one is under way.
    #[error("another trace is under way; one at a time is possible")]
    Busy,
}

impl Control {
    /// Begins a trace. Returns its number and where its events come out.
    ///
    /// # Errors
    /// When one is under way, or a worker does not answer.
    pub fn begin_trace(
        &mut self,
        filter: &Filter,
        packets: u16,
    ) -> Result<(u64, mpsc::Receiver<v1::TraceEvent>), Error> {
        if self.trace.active.as_ref().is_some_and(|active| !active.events.is_closed()) {
            return Err(Error::Busy);
        }
        self.end_trace(self.trace.begun);
        let (events, inbox) = mpsc::channel(EVENTS_MAX);
        let mut rings = Vec::new();
        for worker in &mut self.workers {
            let (records, ring) = RingBuffer::new(RECORDS_MAX);
            let request = TraceRequest { filter: filter.clone(), packets, records };
            worker.send(Command::Trace(request));
            rings.push(ring);
        }
        self.trace.begun += 1;
        let number = self.trace.begun;
        self.trace.active = Some(Active { number, began: clock::cycles(), rings, events });
        Ok((number, inbox))
    }

    /// Ends a trace, if it is still the one of this number.
    pub fn end_trace(&mut self, number: u64) {
        self.collect_trace();
        if self.trace.active.take_if(|active| active.number == number).is_some() {
            for worker in &mut self.workers {
                worker.send(Command::EndTrace);
            }
        }
    }

    /// Is a trace under way? Then its records must be collected every few milliseconds.
    pub(super) const fn is_tracing(&self) -> bool {
        self.trace.active.is_some()
    }

    /// Passes records on to the client.
    pub(super) fn collect_trace(&mut self) {
        let Some(mut active) = self.trace.active.take() else { return };
        for ring in &mut active.rings {
            while let Ok(record) = ring.pop() {
                let event = self.trace_event(&record, active.began);
                // A client that does not read loses records; it sees the gap in the numbers.
                let _ = active.events.try_send(event);
            }
        }
        self.trace.active = Some(active);
    }

    fn trace_event(&self, record: &TraceRecord, began: u64) -> v1::TraceEvent {
        let worker = self.workers.iter().find(|w| w.id == record.worker);
        let node = worker.and_then(|w| w.counters.nodes.get(usize::from(record.node)));
        let exit = node.and_then(|n| n.exits.get(usize::from(record.exit))).copied().unwrap_or_default();
        let (reason, sentence) = match exit {
            "drop" | "icmp_error" => (record.drop_reason.name(), record.drop_reason.sentence()),
            "punt" | "control" => (record.punt_reason.name(), record.punt_reason.sentence()),
            _ => ("", ""),
        };
        let name = |id: InterfaceId| self.interface_name(id).to_owned();
        let late = !matches!(node.map_or("rx", |n| n.name), "rx" | "eth_input" | "ip4_input" | "ip6_input");
        let cycles = u128::from(record.at.saturating_sub(began));
        v1::TraceEvent {
            packet: u32::from(record.packet),
            worker: u32::from(record.worker.0),
            node: node.map_or("rx", |n| n.name).into(),
            exit: exit.into(),
            at_ns: (cycles * 1_000_000_000 / u128::from(clock::hertz())) as u64,
            len: u32::from(record.len),
            rx_interface: if node.is_some() { name(record.rx_interface) } else { String::new() },
            tx_interface: if late { name(record.tx_interface) } else { String::new() },
            nexthop: if late && record.nexthop.0 != 0 { self.nexthop_text(record) } else { String::new() },
            reason: reason.into(),
            sentence: sentence.into(),
            packet_bytes: record.bytes[..usize::from(record.len).min(record.bytes.len())].to_vec(),
            lost: worker.map_or(0, |w| w.counters.rounds.trace_lost.get()),
        }
    }

    fn nexthop_text(&self, record: &TraceRecord) -> String {
        let state = self.nexthop_state(record.nexthop, 1);
        let gateway =
            ze_proto::address::from_bytes(&state.gateway).map(|a| format!(" {a}")).unwrap_or_default();
        format!("{}{} dev {}", state.kind, gateway, state.interface)
    }
}
