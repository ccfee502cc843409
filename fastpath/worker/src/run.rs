//! The loop of one worker.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rtrb::{Consumer, Producer};
use ze_fib::{PortKind, Tables, View};
use ze_graph::{Arena, BATCH_MAX, Cx, Message, Node, Port, Tracer, WorkerCounters, clock};
use ze_packet::WorkerId;
use ze_sync::Reader;

use crate::bell::Bell;
use crate::handle::{Command, Reply, notify};
use crate::idle::{Idle, IdleMode, sleep};
use crate::outlets::Outlets;

/// Messages from the control thread that one round handles.
const MESSAGES_A_ROUND: usize = 32;
/// Rounds between two looks at levels and other workers' pools.
const HOUSEKEEPING_ROUNDS: u64 = 64;
/// The longest sleep; housekeeping happens at least this often.
const SLEEP_MAX: Duration = Duration::from_millis(100);
/// The first sleep while a device has not taken what is to be sent, or lacks frames to receive into. As long as nothing moves,
/// each is twice as long as the one before: the device may be down.
const PAUSE_MIN: Duration = Duration::from_micros(50);
/// Queue pairs that one worker polls at most.
pub(crate) const PORTS_MAX: usize = 1024;
/// Free frames that refilling leaves for packets generated here.
const RESERVE_FRAMES: usize = 128;

/// What a worker is made of.
pub(crate) struct Parts {
    pub(crate) id: WorkerId,
    pub(crate) arena: Arc<Arena>,
    pub(crate) tables: Arc<Tables>,
    pub(crate) reader: Reader,
    pub(crate) counters: Arc<WorkerCounters>,
    pub(crate) all_counters: Vec<Arc<WorkerCounters>>,
    pub(crate) graph: ze_nodes::Graph,
    pub(crate) outlets: Outlets,
    pub(crate) share: usize,
    pub(crate) idle: IdleMode,
    pub(crate) commands: Consumer<Command>,
    pub(crate) replies: Producer<Reply>,
    pub(crate) messages: Consumer<Message>,
    pub(crate) bell: Arc<Bell>,
    pub(crate) wake_control: Arc<OwnedFd>,
}

/// What a round moved.
struct Moved {
    /// Packets received, generated, taken over or sent. As long as there are any a worker does not sleep.
    packets: usize,
    /// Frames that came back after transmission. Nobody waits for them, and they trickle in one by one: who stays awake
    /// for them keeps the core from the soft interrupt that receives.
    completed: usize,
}

/// A worker, ready to run.
pub(crate) struct Run {
    parts: Parts,
    ports: Vec<Box<dyn Port>>,
    kinds: Vec<PortKind>,
    tracer: Tracer,
    idle: Idle,
    control_node: usize,
    punted_before: u64,
    pause: Duration,
    stopping: bool,
}

impl Run {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            idle: Idle::new(parts.idle),
            parts,
            ports: Vec::with_capacity(PORTS_MAX),
            kinds: Vec::with_capacity(PORTS_MAX),
            tracer: Tracer::new(),
            control_node: node_position(ze_nodes::control::Control::NAME),
            punted_before: 0,
            pause: PAUSE_MIN,
            stopping: false,
        }
    }

    /// Runs until told to stop.
    pub(crate) fn run(mut self) {
        let mut rounds = 0u64;
        let mut before = clock::cycles();
        while !self.stopping {
            // Before messages: a frame may follow the port that it is to leave by.
            self.obey_all();
            let Moved { packets: moved, .. } = self.round(clock::cycles());
            self.parts.reader.quiescent();
            rounds += 1;
            let now = clock::cycles();
            self.account(moved, now.wrapping_sub(before));
            before = now;
            if moved > 0 {
                self.idle.worked(now);
                self.pause = PAUSE_MIN;
            }
            if rounds.is_multiple_of(HOUSEKEEPING_ROUNDS) || moved == 0 {
                self.housekeeping();
            }
            if moved == 0 && self.idle.should_sleep(now) {
                self.sleep();
            }
        }
        self.give_everything_back();
    }

    /// One turn of the loop at a time that the caller states; never sleeps. Returns how many frames moved.
    pub(crate) fn turn(&mut self, now: u64) -> usize {
        self.obey_all();
        let moved = self.round(now);
        self.parts.reader.quiescent();
        self.housekeeping();
        moved.packets + moved.completed
    }

    /// Looks once at every source of packets, at a time in cycles.
    fn round(&mut self, now: u64) -> Moved {
        let parts = &mut self.parts;
        let guard = parts.reader.enter();
        let fib = parts.tables.view(&guard);
        let cx = cx(now, parts.id, &parts.arena, &fib, &parts.counters);
        let (mut moved, mut completed) = (0, 0);
        for at in 0..self.ports.len() {
            let (Some(port), Some(kind)) = (self.ports.get_mut(at), self.kinds.get(at)) else { break };
            completed += port.complete(&mut parts.outlets.pool);
            let input = match kind {
                PortKind::Network => parts.graph.network(),
                PortKind::Representor(_) => parts.graph.inject(),
            };
            let received = port.receive(&parts.arena, input);
            port.refill(&mut parts.outlets.pool, RESERVE_FRAMES);
            if received > 0 {
                parts.counters.rounds.batches.add(1);
                parts.graph.run(&cx, &mut self.tracer, &mut parts.outlets);
                moved += received;
            }
        }
        moved += messages(&mut parts.messages, &mut parts.graph, &mut parts.outlets, &cx, &mut self.tracer);
        moved += parts.outlets.take_over(&parts.arena, &parts.counters, BATCH_MAX);
        for port in &mut self.ports {
            moved += parts.outlets.flush(port.as_mut(), &parts.arena, &parts.counters);
            port.wake();
        }
        parts.outlets.ring_neighbors();
        Moved { packets: moved, completed }
    }

    /// Levels, and frames for workers that have too few.
    fn housekeeping(&mut self) {
        let parts = &mut self.parts;
        parts.counters.law.held.set(parts.outlets.waiting() as u64);
        parts.counters.rounds.pool_free.set(parts.outlets.pool.len() as u64);
        parts.counters.rounds.trace_lost.set(self.tracer.lost());
        let all = &parts.all_counters;
        parts.outlets.balance(parts.share, |worker| {
            all.get(usize::from(worker.0)).map_or(usize::MAX / 2, |c| c.rounds.pool_free.get() as usize)
        });
        let punted = parts.counters.nodes.get(self.control_node).map_or(0, |node| node.packets.get());
        if punted != self.punted_before {
            self.punted_before = punted;
            notify(parts.wake_control.as_fd());
        }
        parts.outlets.ring_neighbors();
    }

    fn account(&self, moved: usize, cycles: u64) {
        let rounds = &self.parts.counters.rounds;
        rounds.rounds.add(1);
        if moved > 0 {
            rounds.busy_cycles.add(cycles);
        } else {
            rounds.idle_rounds.add(1);
            rounds.idle_cycles.add(cycles);
        }
    }

    fn sleep(&mut self) {
        self.parts.bell.listen();
        if self.parts.outlets.has_arrivals() {
            return self.parts.bell.ignore();
        }
        self.parts.counters.rounds.sleeps.add(1);
        self.parts.reader.offline();
        self.ports.iter_mut().for_each(|port| port.prepare_sleep());
        let waits = self.parts.outlets.waiting() > 0 || self.ports.iter_mut().any(|port| port.is_waiting());
        let limit = if waits { self.pause } else { SLEEP_MAX };
        self.pause = (self.pause * 2).min(SLEEP_MAX);
        sleep(&self.ports, self.parts.bell.fd(), limit);
        self.parts.bell.ignore();
        self.parts.reader.online();
    }

    /// Does what it was told, as long as there is room for what it may have to give back: all ports, and two things more.
    fn obey_all(&mut self) {
        while self.parts.replies.slots() > self.ports.len() + 2
            && let Ok(command) = self.parts.commands.pop()
        {
            self.obey(command);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::AddPort { port, kind, queue } => self.add_port(port, kind, queue),
            Command::RemotePort(port, worker) => self.parts.outlets.open_remote(port, worker),
            Command::RemovePort(id) => {
                // One for each of the port's queues that are this worker's.
                while let Some(at) = self.ports.iter().position(|port| port.id() == id) {
                    self.remove_port(at);
                }
                let queue = self.parts.outlets.close(id, &self.parts.arena, &self.parts.counters);
                self.reply_memory(queue);
            }
            Command::GiveFrames(mut frames) => {
                frames.drain(..).for_each(|frame| self.parts.outlets.pool.give(frame));
                self.reply_memory(Some(frames));
            }
            Command::Trace(request) => {
                let replaced = self.tracer.arm(request);
                self.reply_trace(replaced);
            }
            Command::EndTrace => {
                let ended = self.tracer.disarm();
                self.reply_trace(ended);
            }
            Command::Stop => self.stopping = true,
        }
    }

    fn add_port(&mut self, mut port: Box<dyn Port>, kind: PortKind, queue: Vec<ze_graph::Frame>) {
        if self.ports.len() == PORTS_MAX {
            self.reply(Reply::PortRemoved(port));
            return self.reply_memory(Some(queue));
        }
        port.refill(&mut self.parts.outlets.pool, RESERVE_FRAMES);
        port.wake();
        let spare = self.parts.outlets.open(port.id(), kind, queue);
        self.ports.push(port);
        self.kinds.push(kind);
        self.reply_memory(spare);
    }

    fn remove_port(&mut self, at: usize) {
        let mut port = self.ports.remove(at);
        port.retire();
        self.kinds.remove(at);
        self.reply(Reply::PortRemoved(port));
    }

    fn reply_memory(&mut self, memory: Option<Vec<ze_graph::Frame>>) {
        if let Some(memory) = memory {
            self.reply(Reply::Memory(memory));
        }
    }

    fn reply_trace(&mut self, ended: Option<ze_graph::TraceRequest>) {
        if let Some(request) = ended {
            self.reply(Reply::TraceEnded(request));
        }
    }

    fn reply(&mut self, reply: Reply) {
        let pushed = self.parts.replies.push(reply);
        debug_assert!(pushed.is_ok(), "no command is obeyed without room for replies");
        notify(self.parts.wake_control.as_fd());
    }

    fn give_everything_back(mut self) {
        while !self.ports.is_empty() {
            self.remove_port(self.ports.len() - 1);
        }
        let trace = self.tracer.disarm();
        self.reply_trace(trace);
        self.reply(Reply::Stopped);
    }
}

/// Sends, forwards or answers what the control thread hands in.
fn messages(
    inbox: &mut Consumer<Message>,
    graph: &mut ze_nodes::Graph,
    outlets: &mut Outlets,
    cx: &Cx<'_>,
    tracer: &mut Tracer,
) -> usize {
    let mut count = 0;
    while count < MESSAGES_A_ROUND && !inbox.is_empty() {
        let Some(frame) = outlets.pool.take() else { break };
        let Ok(message) = inbox.pop() else {
            outlets.pool.give(frame);
            break;
        };
        // There is room: no round takes more messages than a batch holds.
        if let Err(frame) = graph.enter(cx, frame, &message) {
            outlets.pool.give(frame);
        }
        count += 1;
    }
    if count > 0 {
        graph.run(cx, tracer, outlets);
    }
    count
}

const _: () = assert!(MESSAGES_A_ROUND <= BATCH_MAX);

/// The place of a node among the worker's counters.
fn node_position(name: &str) -> usize {
    let nodes = ze_nodes::Graph::descriptions();
    nodes.iter().position(|(node, _)| *node == name).unwrap_or(nodes.len())
}

fn cx<'a>(
    now: u64,
    worker: WorkerId,
    arena: &'a Arena,
    fib: &'a View<'a>,
    counters: &'a WorkerCounters,
) -> Cx<'a> {
    Cx { arena, fib, now, worker, counters }
}
