//! The control thread's side of a worker: starting it, commands, replies.

use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rtrb::{Consumer, Producer, PushError, RingBuffer};
use rustix::event::{EventfdFlags, eventfd};
use ze_fib::{PortKind, Tables};
use ze_graph::{Arena, Frame, FramePool, Message, Port, TraceRequest, WorkerCounters};
use ze_packet::{PortId, WorkerId};

use crate::bell::Bell;
use crate::outlets::{Handoff, Neighbor, TX_QUEUE_MAX};
use crate::run::{PORTS_MAX, Run};
use crate::{IdleMode, outlets::Outlets};

/// Commands that may wait for one worker.
const COMMANDS_MAX: usize = 256;
/// Messages that may wait for one worker, and for the control thread from one worker.
const MESSAGES_MAX: usize = 512;
/// Frames that may be on their way between two workers.
pub(crate) const HANDOFF_MAX: usize = 1024;

/// What the control thread tells a worker.
pub enum Command {
    /// Poll this queue pair from now on.
    AddPort {
        /// The queue pair.
        port: Box<dyn Port>,
        /// Network device or representor.
        kind: PortKind,
        /// An empty vector with room for `TX_QUEUE_MAX` frames: see [`Command::add_port`].
        queue: Vec<Frame>,
    },
    /// Another worker has the queue pair that this one sends by.
    RemotePort(PortId, WorkerId),
    /// Give this port's queue pair back, or forget who has it.
    RemovePort(PortId),
    /// Frames of a port that was closed.
    GiveFrames(Vec<Frame>),
    /// Follow packets.
    Trace(TraceRequest),
    /// Stop following them.
    EndTrace,
    /// Give everything back and end.
    Stop,
}

impl Command {
    /// Poll this queue pair from now on.
    pub fn add_port(port: Box<dyn Port>, kind: PortKind) -> Self {
        Self::AddPort { port, kind, queue: Vec::with_capacity(TX_QUEUE_MAX) }
    }
}

/// What a worker gives back; the control thread closes or frees it.
pub enum Reply {
    /// The queue pair is this worker's no more.
    PortRemoved(Box<dyn Port>),
    /// Memory that is not needed any more.
    Memory(Vec<Frame>),
    /// A trace that has ended or was replaced.
    TraceEnded(TraceRequest),
    /// The worker has ended; nothing more comes.
    Stopped,
}

/// What a set of workers is started with.
pub struct Setup {
    /// The cores to pin workers to, one worker each.
    pub cores: Vec<usize>,
    /// What workers do when idle.
    pub idle: IdleMode,
    /// The chunk memory of all workers.
    pub arena: Arc<Arena>,
    /// Its frames; shared out evenly.
    pub frames: Vec<Frame>,
    /// The forwarding tables.
    pub tables: Arc<Tables>,
    /// Makes the graph of one worker, given the ring to the control thread.
    pub graph: Box<dyn FnMut(WorkerId, Producer<Message>) -> ze_nodes::Graph>,
}

/// All workers, and what wakes the control thread.
pub struct Spawned {
    /// The workers, in the order of their numbers.
    pub workers: Vec<WorkerHandle>,
    /// Readable when a worker has pushed messages or replies.
    pub wake_control: Arc<OwnedFd>,
}

/// Why workers could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No core was named, or more than there can be workers.
    #[error("{0} worker cores; 1 to {1} are possible")]
    Cores(usize, usize),
    /// A core that this machine does not have, or that this process must not use.
    #[error("core {0} is not available to this process; these are: {1:?}")]
    NoSuchCore(usize, Vec<usize>),
    /// No room among the table readers.
    #[error("{0}")]
    Register(#[from] ze_sync::RegisterError),
    /// The system refused a thread or an eventfd.
    #[error("cannot start a worker: {0}")]
    System(#[from] std::io::Error),
}

/// The control thread's side of one worker.
pub struct WorkerHandle {
    /// Its number.
    pub id: WorkerId,
    /// The core it was told to run on.
    pub core: usize,
    /// Its counters.
    pub counters: Arc<WorkerCounters>,
    /// Messages from it.
    pub messages: Consumer<Message>,
    /// What it gives back.
    pub replies: Consumer<Reply>,
    commands: Producer<Command>,
    /// What the ring had no room for, in order.
    unsent: VecDeque<Command>,
    to_worker: Producer<Message>,
    pub(crate) bell: Arc<Bell>,
    pinned: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl WorkerHandle {
    /// Gives a command and wakes the worker. What its ring has no room for waits here: see [`WorkerHandle::send_rest`].
    pub fn send(&mut self, command: Command) {
        self.unsent.push_back(command);
        self.send_rest();
    }

    /// Gives the commands that the ring had no room for, as far as it has now. To be called again and again.
    pub fn send_rest(&mut self) {
        if self.unsent.is_empty() {
            return;
        }
        while let Some(command) = self.unsent.pop_front() {
            if let Err(PushError::Full(command)) = self.commands.push(command) {
                self.unsent.push_front(command);
                break;
            }
        }
        self.bell.ring();
    }

    /// Gives a packet and wakes the worker. Returns false when the ring is full; the packet is lost then, and the
    /// caller counts it.
    pub fn send_message(&mut self, message: Message) -> bool {
        let pushed = self.to_worker.push(message).is_ok();
        self.bell.ring();
        pushed
    }

    /// Is the thread pinned to its core?
    pub fn is_pinned(&self) -> bool {
        self.pinned.load(Ordering::Relaxed)
    }

    /// Has the thread ended? It never should before it was told to.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the thread's end. Call after [`Command::Stop`]. Returns false when it panicked.
    pub fn join(&mut self) -> bool {
        self.thread.take().is_none_or(|thread| thread.join().is_ok())
    }
}

/// Makes an eventfd readable.
pub(crate) fn notify(fd: BorrowedFd<'_>) {
    // It can only fail when 2^64 - 2 wakes have not been read, and then the reader is awake anyway.
    let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
}

/// Starts one worker a core.
///
/// # Errors
/// When a core does not exist, or the system refuses.
pub fn spawn(setup: Setup) -> Result<Spawned, StartError> {
    check_cores(&setup.cores)?;
    let cores = setup.cores.clone();
    let (prepared, wake_control) = prepare(setup)?;
    let mut workers = Vec::with_capacity(cores.len());
    for ((run, mut handle), core) in prepared.into_iter().zip(cores) {
        handle.thread = Some(start_thread(handle.id, core, run, Arc::clone(&handle.pinned))?);
        workers.push(handle);
    }
    Ok(Spawned { workers, wake_control })
}

/// Makes one worker that has no thread: the caller gives it its turns. The cores of the setup are not looked at.
///
/// # Errors
/// When the system refuses.
pub fn stepped(mut setup: Setup) -> Result<(Stepped, WorkerHandle), StartError> {
    setup.cores = vec![0];
    let (prepared, _) = prepare(setup)?;
    let (run, handle) = prepared.into_iter().next().ok_or(StartError::Cores(0, 1))?;
    Ok((Stepped(run), handle))
}

/// A worker whose caller is its thread and its clock.
pub struct Stepped(Run);

impl Stepped {
    /// Obeys commands, then looks once at every source of packets, as if it were `now` (cycles of the graph's
    /// `hertz`). Returns how many frames moved.
    pub fn turn(&mut self, now: u64) -> usize {
        self.0.turn(now)
    }
}

type Prepared = (Vec<(Run, WorkerHandle)>, Arc<OwnedFd>);

fn prepare(mut setup: Setup) -> Result<Prepared, StartError> {
    let count = setup.cores.len();
    let nodes = ze_nodes::Graph::descriptions();
    let counters: Vec<_> = (0..count)
        .map(|at| Arc::new(WorkerCounters::new(WorkerId(at as u8), nodes, setup.tables.limits())))
        .collect();
    let bells = (0..count).map(|_| Ok(Arc::new(Bell::new()?))).collect::<std::io::Result<Vec<_>>>()?;
    let mut neighbors = handoff_rings(&bells);
    let wake_control = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(os)?);
    // Ports bring frames of their own, which may come to a worker while the port is short of them.
    let capacity = setup.arena.chunks() as usize;
    let share = setup.frames.len() / count;
    let mut workers = Vec::with_capacity(count);
    for (at, core) in setup.cores.iter().copied().enumerate() {
        let id = WorkerId(at as u8);
        let frames = setup.frames.split_off(setup.frames.len() - share);
        let (commands, from_control) = RingBuffer::new(COMMANDS_MAX);
        // A worker obeys only while there is room for all that it may give back at once.
        let (reply, replies) = RingBuffer::new(PORTS_MAX + COMMANDS_MAX * 4);
        let (to_worker, messages_in) = RingBuffer::new(MESSAGES_MAX);
        let (messages_out, messages) = RingBuffer::new(MESSAGES_MAX);
        let pool = FramePool::new(frames, capacity);
        let ports_max = setup.tables.limits().ports;
        let run = Run::new(crate::run::Parts {
            id,
            arena: Arc::clone(&setup.arena),
            tables: Arc::clone(&setup.tables),
            reader: setup.tables.domain().register()?,
            counters: Arc::clone(&counters[at]),
            all_counters: counters.clone(),
            graph: (setup.graph)(id, messages_out),
            outlets: Outlets::new(pool, ports_max, std::mem::take(&mut neighbors[at])),
            share,
            idle: setup.idle,
            commands: from_control,
            replies: reply,
            messages: messages_in,
            bell: Arc::clone(&bells[at]),
            wake_control: Arc::clone(&wake_control),
        });
        let handle = WorkerHandle {
            id,
            core,
            counters: Arc::clone(&counters[at]),
            messages,
            replies,
            commands,
            unsent: VecDeque::new(),
            to_worker,
            bell: Arc::clone(&bells[at]),
            pinned: Arc::new(AtomicBool::new(false)),
            thread: None,
        };
        workers.push((run, handle));
    }
    Ok((workers, wake_control))
}

fn start_thread(
    id: WorkerId,
    core: usize,
    run: Run,
    pinned: Arc<AtomicBool>,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("ze-worker-{}", id.0)).spawn(move || {
        pinned.store(core_affinity::set_for_current(core_affinity::CoreId { id: core }), Ordering::Relaxed);
        run.run();
    })
}

fn check_cores(cores: &[usize]) -> Result<(), StartError> {
    if cores.is_empty() || cores.len() >= ze_sync::MAX_READERS {
        return Err(StartError::Cores(cores.len(), ze_sync::MAX_READERS - 1));
    }
    let available: Vec<_> = core_affinity::get_core_ids().unwrap_or_default().iter().map(|c| c.id).collect();
    match cores.iter().find(|core| !available.contains(core)) {
        Some(core) => Err(StartError::NoSuchCore(*core, available)),
        None => Ok(()),
    }
}

/// A ring in each direction between every two workers.
fn handoff_rings(bells: &[Arc<Bell>]) -> Vec<Vec<Neighbor>> {
    let count = bells.len();
    let mut all: Vec<Vec<Neighbor>> = (0..count).map(|_| Vec::new()).collect();
    for a in 0..count {
        for b in a + 1..count {
            let (to_b, from_a) = RingBuffer::<Handoff>::new(HANDOFF_MAX);
            let (to_a, from_b) = RingBuffer::<Handoff>::new(HANDOFF_MAX);
            all[a].push(Neighbor::new(WorkerId(b as u8), Arc::clone(&bells[b]), to_b, from_b));
            all[b].push(Neighbor::new(WorkerId(a as u8), Arc::clone(&bells[a]), to_a, from_a));
        }
    }
    all
}

fn os(error: rustix::io::Errno) -> std::io::Error {
    error.into()
}
