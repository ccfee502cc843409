//! The graph: the only place that joins nodes. It reads from top to bottom as a packet's life.
//!
//! ```text
//!  network ports        representors        control thread
//!       │                    │                    │
//!   eth_input          inject_input         control_input          each batch walks alone: at most
//!       │                    │                    │                BATCH_MAX frames are under way
//!       ├────────────────────┼────────────────────┤
//!       ▼                    ▼                    ▼
//!   ip4_input            ip6_input          interface_send
//!       │                    │                    │
//!       ▼                    ▼                    │
//!   ip4_lookup ◀─┐   ┌─▶ ip6_lookup               │      icmp_error: a packet that ends here becomes the
//!       │        │   │       │                    │      error about it, and walks once more from lookup;
//!       │      icmp_error    │                    │      an error about an error does not exist
//!       ▼        ▲   ▲       ▼                    │
//!   ip4_rewrite ─┘   └─ ip6_rewrite               │
//!       │  │                 │                    │
//!       │  └▶ ip4_fragment   │                    │
//!       ▼         ▼          ▼                    ▼
//!   interface_output ◀────────────────────────────┘
//!       │
//!       ▼                    ┌─▶ punt ──▶ transmit, to the representor
//!   transmit        (any) ───┼─▶ control ──▶ free, a copy goes to the control thread
//!                            └─▶ drop ──▶ free
//! ```

use rtrb::Producer;
use ze_graph::{Batch, Cx, Frame, Message, Node, Sink, Stage, Tracer, clock, step};
use ze_packet::WorkerId;

use crate::control::Control;
use crate::control_input::ControlInput;
use crate::drop::DropPacket;
use crate::eth_input::EthInput;
use crate::icmp_error::IcmpError;
use crate::inject_input::InjectInput;
use crate::interface_output::InterfaceOutput;
use crate::interface_send::InterfaceSend;
use crate::ip4_fragment::Ip4Fragment;
use crate::ip4_input::Ip4Input;
use crate::ip4_lookup::Ip4Lookup;
use crate::ip4_rewrite::Ip4Rewrite;
use crate::ip6_input::Ip6Input;
use crate::ip6_lookup::Ip6Lookup;
use crate::ip6_rewrite::Ip6Rewrite;
use crate::punt::Punt;
use crate::{
    IcmpLimits, PuntRates, control, control_input, drop, eth_input, icmp_error, inject_input,
    interface_output, interface_send, ip4_fragment, ip4_input, ip4_lookup, ip4_rewrite, ip6_input,
    ip6_lookup, ip6_rewrite, punt,
};

/// What a graph is made with.
pub struct Config {
    /// The worker that runs it.
    pub worker: WorkerId,
    /// How many workers share the limits; at least 1.
    pub workers: u8,
    /// Decides which flow takes which member of a nexthop group, and seeds the ICMP limits. Random for each
    /// router, the same for all its workers.
    pub hash_seed: u64,
    /// Cycles a second of `Cx::now`.
    pub hertz: u64,
    /// Limits of ICMP errors.
    pub icmp: IcmpLimits,
    /// Rates of the punt classes.
    pub punt: PuntRates,
    /// The queue to the control thread.
    pub control: Producer<Message>,
}

/// All nodes of one worker, joined.
pub struct Graph {
    eth_input: Stage<EthInput>,
    inject_input: Stage<InjectInput>,
    control_input: Stage<ControlInput>,
    ip4_input: Stage<Ip4Input>,
    ip6_input: Stage<Ip6Input>,
    ip4_lookup: Stage<Ip4Lookup>,
    ip6_lookup: Stage<Ip6Lookup>,
    ip4_rewrite: Stage<Ip4Rewrite>,
    ip6_rewrite: Stage<Ip6Rewrite>,
    icmp_error: Stage<IcmpError>,
    interface_send: Stage<InterfaceSend>,
    interface_output: Stage<InterfaceOutput>,
    ip4_fragment: Stage<Ip4Fragment>,
    punt: Stage<Punt>,
    control: Stage<Control>,
    drop: Stage<DropPacket>,
    /// Leaves by `Sink::transmit`.
    transmit: Batch,
    /// Leaves by `Sink::free`.
    free: Batch,
}

/// Name and exits of every node, in the order of a packet's life.
const DESCRIPTIONS: [(&str, &[&str]); 16] = [
    Stage::<EthInput>::description(),
    Stage::<InjectInput>::description(),
    Stage::<ControlInput>::description(),
    Stage::<Ip4Input>::description(),
    Stage::<Ip6Input>::description(),
    Stage::<Ip4Lookup>::description(),
    Stage::<Ip6Lookup>::description(),
    Stage::<Ip4Rewrite>::description(),
    Stage::<Ip6Rewrite>::description(),
    Stage::<IcmpError>::description(),
    Stage::<InterfaceSend>::description(),
    Stage::<InterfaceOutput>::description(),
    Stage::<Ip4Fragment>::description(),
    Stage::<Punt>::description(),
    Stage::<Control>::description(),
    Stage::<DropPacket>::description(),
];

/// A stage at its place among the worker's node counters.
fn stage<N: Node>(node: N) -> Stage<N> {
    let position = DESCRIPTIONS.iter().position(|(name, _)| *name == N::NAME);
    Stage::new(node, position.unwrap_or(DESCRIPTIONS.len()))
}

impl Graph {
    /// All nodes, with nothing on its way.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let Config { worker, workers, hash_seed, hertz, icmp, punt, control } = config;
        let seed = hash_seed ^ u64::from(worker.0);
        Self {
            eth_input: stage(EthInput),
            inject_input: stage(InjectInput),
            control_input: stage(ControlInput::default()),
            ip4_input: stage(Ip4Input),
            ip6_input: stage(Ip6Input),
            ip4_lookup: stage(Ip4Lookup::new(hash_seed)),
            ip6_lookup: stage(Ip6Lookup::new(hash_seed)),
            ip4_rewrite: stage(Ip4Rewrite),
            ip6_rewrite: stage(Ip6Rewrite),
            icmp_error: stage(IcmpError::new(icmp, workers, hertz, seed)),
            interface_send: stage(InterfaceSend),
            interface_output: stage(InterfaceOutput),
            ip4_fragment: stage(Ip4Fragment::default()),
            punt: stage(Punt::new(&punt, workers, hertz)),
            control: stage(Control::new(&punt, workers, hertz, control)),
            drop: stage(DropPacket),
            transmit: Batch::new(),
            free: Batch::new(),
        }
    }

    /// Name and exits of every node, for `WorkerCounters::new`.
    #[must_use]
    pub const fn descriptions() -> &'static [(&'static str, &'static [&'static str])] {
        &DESCRIPTIONS
    }

    /// Where frames received from network ports go before [`run`](Self::run). Fill it with `Port::receive`.
    pub fn network(&mut self) -> &mut Batch {
        &mut self.eth_input.input
    }

    /// Where frames received from representors go before [`run`](Self::run).
    pub fn inject(&mut self) -> &mut Batch {
        &mut self.inject_input.input
    }

    /// Copies a message of the control thread into `frame`, for the next [`run`](Self::run).
    ///
    /// # Errors
    /// Gives the frame back, and has not taken the message, when a full batch waits already.
    pub fn enter(&mut self, cx: &Cx<'_>, mut frame: Frame, message: &Message) -> Result<(), Frame> {
        let place = self.control_input.input.len();
        if self.control_input.input.room() == 0 {
            return Err(frame);
        }
        let (meta, chunk) = cx.arena.parts_mut(&mut frame);
        self.control_input.node.accept(cx, place, meta, chunk, message);
        cx.counters.law.generated.add(1);
        self.control_input.input.push(frame)
    }

    /// Sends everything that waits at the three entrances through the graph, to the sink. Nothing stays behind.
    ///
    /// Counts the law's terms `rx` and `inject` (and, in the nodes, `generated`, `drop`, and `punt` of what is
    /// copied to the control thread). The sink counts the others when a ring accepts the frame: `tx` for network
    /// ports, `punt` for representors.
    pub fn run(&mut self, cx: &Cx<'_>, tracer: &mut Tracer, sink: &mut impl Sink) {
        let mut clock = clock::cycles();
        let clock = &mut clock;
        if !self.eth_input.input.is_empty() {
            cx.counters.law.rx.add(self.eth_input.input.len() as u64);
            admit(cx, tracer, &mut self.eth_input.input);
            self.receive(cx, tracer, clock);
            self.walk(cx, tracer, clock, sink);
        }
        if !self.inject_input.input.is_empty() {
            cx.counters.law.inject.add(self.inject_input.input.len() as u64);
            admit(cx, tracer, &mut self.inject_input.input);
            self.receive_injected(cx, tracer, clock);
            self.walk(cx, tracer, clock, sink);
        }
        if !self.control_input.input.is_empty() {
            self.receive_control(cx, tracer, clock);
            self.walk(cx, tracer, clock, sink);
        }
    }

    fn receive(&mut self, cx: &Cx<'_>, tracer: &mut Tracer, clock: &mut u64) {
        use eth_input::Next;
        step!(cx, tracer, clock, self.eth_input => {
            Next::Ip4Input => self.ip4_input.input,
            Next::Ip6Input => self.ip6_input.input,
            Next::Control => self.control.input,
            Next::Punt => self.punt.input,
            Next::Drop => self.drop.input,
        });
    }

    fn receive_injected(&mut self, cx: &Cx<'_>, tracer: &mut Tracer, clock: &mut u64) {
        use inject_input::Next;
        step!(cx, tracer, clock, self.inject_input => {
            Next::Ip4Input => self.ip4_input.input,
            Next::Ip6Input => self.ip6_input.input,
            Next::InterfaceSend => self.interface_send.input,
            Next::Drop => self.drop.input,
        });
    }

    fn receive_control(&mut self, cx: &Cx<'_>, tracer: &mut Tracer, clock: &mut u64) {
        use control_input::Next;
        step!(cx, tracer, clock, self.control_input => {
            Next::InterfaceSend => self.interface_send.input,
            Next::Ip4Input => self.ip4_input.input,
            Next::Ip6Input => self.ip6_input.input,
            Next::IcmpError => self.icmp_error.input,
            Next::Drop => self.drop.input,
        });
    }

    /// From the input nodes to the sink.
    fn walk(&mut self, cx: &Cx<'_>, tracer: &mut Tracer, clock: &mut u64, sink: &mut impl Sink) {
        self.check(cx, tracer, clock);
        self.forward(cx, tracer, clock);
        if !self.icmp_error.input.is_empty() {
            self.report(cx, tracer, clock);
            self.forward(cx, tracer, clock);
            self.report(cx, tracer, clock); // what was generated and ends here too is dropped
        }
        self.output(cx, tracer, clock, sink);
        self.leave(cx, tracer, clock, sink);
    }

    fn check(&mut self, cx: &Cx<'_>, tracer: &mut Tracer, clock: &mut u64) {
        step!(cx, tracer, clock, self.ip4_input => {
            ip4_input::Next::Ip4Lookup => self.ip4_lookup.input,
            ip4_input::Next::Punt => self.punt.input,
            ip4_input::Next::Drop => self.drop.input,
        });
        step!(cx, tracer, clock, self.ip6_input => {
            ip6_input::Next::Ip6Lookup => self.ip6_lookup.input,
            ip6_input::Next::Control => self.control.input,
            ip6_input::Next::Punt => self.punt.input,
            ip6_input::Next::Drop => self.drop.input,
        });
    }

    fn forward(&mut self, cx: &Cx<'_>, tracer: &mut Tracer, clock: &mut u64) {
        step!(cx, tracer, clock, self.ip4_lookup => {
            ip4_lookup::Next::Ip4Rewrite => self.ip4_rewrite.input,
            ip4_lookup::Next::Punt => self.punt.input,
            ip4_lookup::Next::Control => self.control.input,
            ip4_lookup::Next::IcmpError => self.icmp_error.input,
            ip4_lookup::Next::Drop => self.drop.input,
        });
        step!(cx, tracer, clock, self.ip4_rewrite => {
            ip4_rewrite::Next::InterfaceOutput => self.interface_output.input,
            ip4_rewrite::Next::IcmpError => self.icmp_error.input,
            ip4_rewrite::Next::Ip4Fragment => self.ip4_fragment.input,
            ip4_rewrite::Next::Drop => self.drop.input,
        });
        step!(cx, tracer, clock, self.ip6_lookup => {
            ip6_lookup::Next::Ip6Rewrite => self.ip6_rewrite.input,
            ip6_lookup::Next::Punt => self.punt.input,
            ip6_lookup::Next::Control => self.control.input,
            ip6_lookup::Next::IcmpError => self.icmp_error.input,
            ip6_lookup::Next::Drop => self.drop.input,
        });
        step!(cx, tracer, clock, self.ip6_rewrite => {
            ip6_rewrite::Next::InterfaceOutput => self.interface_output.input,
            ip6_rewrite::Next::IcmpError => self.icmp_error.input,
            ip6_rewrite::Next::Drop => self.drop.input,
        });
    }

    fn report(&mut self, cx: &Cx<'_>, tracer: &mut Tracer, clock: &mut u64) {
        step!(cx, tracer, clock, self.icmp_error => {
            icmp_error::Next::Ip4Lookup => self.ip4_lookup.input,
            icmp_error::Next::Ip6Lookup => self.ip6_lookup.input,
            icmp_error::Next::Drop => self.drop.input,
        });
    }

    fn output(&mut self, cx: &Cx<'_>, tracer: &mut Tracer, clock: &mut u64, sink: &mut impl Sink) {
        step!(cx, tracer, clock, self.interface_send => {
            interface_send::Next::InterfaceOutput => self.interface_output.input,
            interface_send::Next::Drop => self.drop.input,
        });
        self.interface_output(cx, tracer, clock);
        if !self.ip4_fragment.input.is_empty() {
            self.fragment(cx, tracer, clock, sink);
        }
    }

    fn interface_output(&mut self, cx: &Cx<'_>, tracer: &mut Tracer, clock: &mut u64) {
        step!(cx, tracer, clock, self.interface_output => {
            interface_output::Next::Transmit => self.transmit,
            interface_output::Next::Drop => self.drop.input,
        });
    }

    /// Packets become many frames here, so they go one at a time: the fragments of one fit a batch.
    #[cold]
    fn fragment(&mut self, cx: &Cx<'_>, tracer: &mut Tracer, clock: &mut u64, sink: &mut impl Sink) {
        let mut packets = std::mem::take(&mut self.ip4_fragment.input);
        packets.drain(|packet| {
            flush(cx, sink, &mut self.transmit);
            self.drop(cx, tracer, clock, sink);
            self.ip4_fragment.node.supply(cx, &packet, sink);
            let refused = self.ip4_fragment.input.push(packet);
            debug_assert!(refused.is_ok(), "the stage is empty");
            self.fragment_one(cx, tracer, clock);
            self.interface_output(cx, tracer, clock);
        });
        self.ip4_fragment.node.release(sink);
        flush(cx, sink, &mut self.transmit);
    }

    fn fragment_one(&mut self, cx: &Cx<'_>, tracer: &mut Tracer, clock: &mut u64) {
        // The last fragment is the packet's own frame, and leaves behind the others.
        let mut last = Batch::new();
        step!(cx, tracer, clock, self.ip4_fragment => {
            ip4_fragment::Next::InterfaceOutput => last,
            ip4_fragment::Next::Drop => self.drop.input,
        });
        self.ip4_fragment.node.made.move_to(&mut self.interface_output.input);
        last.move_to(&mut self.interface_output.input);
    }

    fn leave(&mut self, cx: &Cx<'_>, tracer: &mut Tracer, clock: &mut u64, sink: &mut impl Sink) {
        step!(cx, tracer, clock, self.punt => {
            punt::Next::Transmit => self.transmit,
            punt::Next::Control => self.control.input,
            punt::Next::Drop => self.drop.input,
        });
        step!(cx, tracer, clock, self.control => {
            control::Next::Free => self.free,
            control::Next::Drop => self.drop.input,
        });
        self.drop(cx, tracer, clock, sink);
        flush(cx, sink, &mut self.transmit);
    }

    fn drop(&mut self, cx: &Cx<'_>, tracer: &mut Tracer, clock: &mut u64, sink: &mut impl Sink) {
        step!(cx, tracer, clock, self.drop => { drop::Next::Free => self.free });
        if !self.free.is_empty() {
            sink.free(&mut self.free);
        }
    }
}

fn flush(cx: &Cx<'_>, sink: &mut impl Sink, transmit: &mut Batch) {
    if !transmit.is_empty() {
        sink.transmit(cx, transmit);
    }
    debug_assert!(transmit.is_empty(), "the sink takes every frame");
}

/// Looks for packets to trace among those just received.
fn admit(cx: &Cx<'_>, tracer: &mut Tracer, batch: &mut Batch) {
    if tracer.is_armed() {
        tracer.admit(cx.arena, cx.worker, batch);
    }
}

#[cfg(test)]
mod tests;
