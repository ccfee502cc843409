//! The contract of a node, and the stage that runs one.

use crate::counters::NodeCounters;
use crate::{Arena, BATCH_MAX, Batch, Frame, Tracer, WorkerCounters, clock};
use ze_fib::View;
use ze_packet::WorkerId;

/// What a node may look at besides its frames.
pub struct Cx<'a> {
    /// The chunk memory; a frame's token opens its own chunk.
    pub arena: &'a Arena,
    /// The forwarding tables of this batch.
    pub fib: &'a View<'a>,
    /// Time of this batch, TSC cycles. Read once a batch.
    pub now: u64,
    /// The worker that runs.
    pub worker: WorkerId,
    /// The worker's counters.
    pub counters: &'a WorkerCounters,
}

/// The ways out of a node. Made by [`edges!`](crate::edges), as an enum of `u8`.
pub trait Edge: Copy + Eq + Send + 'static {
    /// The name of each way out, in order of its number.
    const NAMES: &'static [&'static str];
    /// The first variant, to initialise places that are written before they are read.
    const FIRST: Self;
    /// The variant's number.
    fn index(self) -> u8;
}

/// Makes an enum of exits: `edges! { /// doc  pub enum Next { Ip4Input, Drop } }`. The names of the variants in
/// snake case are the names of the nodes that they lead to.
#[macro_export]
macro_rules! edges {
    ($(#[$doc:meta])* pub enum $name:ident { $first:ident = $first_text:literal $(, $variant:ident = $text:literal)* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name {
            #[doc = concat!("To `", $first_text, "`.")]
            $first,
            $(#[doc = concat!("To `", $text, "`.")] $variant,)*
        }

        impl $crate::Edge for $name {
            const NAMES: &'static [&'static str] = &[$first_text $(, $text)*];
            const FIRST: Self = Self::$first;
            #[inline]
            fn index(self) -> u8 {
                self as u8
            }
        }
    };
}

/// Where a node writes the exit of each frame of its batch, by position.
pub struct Fanout<'a, E: Edge> {
    exits: &'a mut [E; BATCH_MAX],
}

impl<'a, E: Edge> Fanout<'a, E> {
    /// Over the places of a stage.
    #[inline]
    pub fn new(exits: &'a mut [E; BATCH_MAX]) -> Self {
        Self { exits }
    }

    /// The places of the first `len` frames.
    #[inline]
    pub fn exits_mut(&mut self, len: usize) -> &mut [E] {
        self.exits.get_mut(..len).unwrap_or_default()
    }
}

/// One step of a packet's life. Takes a batch, chooses an exit for every frame of it.
///
/// `process` must give each frame an exit, through [`Batch::each`] or [`Batch::each_with`]; a frame can not leave
/// where there is no door. It never allocates, locks, logs, panics or reads a clock.
pub trait Node: Send {
    /// The node's name: its file, its counters and its place in the drawing.
    const NAME: &'static str;
    /// The ways out.
    type Next: Edge;
    /// Chooses an exit for every frame in `batch`.
    fn process(&mut self, cx: &Cx<'_>, batch: &mut Batch, out: &mut Fanout<'_, Self::Next>);
}

/// A node in the graph: its input, its exits, and its place among the counters.
pub struct Stage<N: Node> {
    /// The node.
    pub node: N,
    /// Frames that wait for it.
    pub input: Batch,
    exits: Box<[N::Next; BATCH_MAX]>,
    position: usize,
}

/// What a stage run came to.
pub enum Outcome<E> {
    /// There was nothing to do.
    Idle,
    /// All frames leave by one exit.
    All(E),
    /// Each frame has an exit of its own.
    Mixed,
}

impl<N: Node> Stage<N> {
    /// A stage whose counters stand at `position` among the worker's node counters.
    pub fn new(node: N, position: usize) -> Self {
        Self { node, input: Batch::new(), exits: Box::new([N::Next::FIRST; BATCH_MAX]), position }
    }

    /// The name and exits of this stage's node, for the counters.
    pub const fn description() -> (&'static str, &'static [&'static str]) {
        (N::NAME, N::Next::NAMES)
    }

    /// Runs the node over its input. `clock` is the time at which the previous stage ended; it moves on.
    #[inline]
    pub fn run(&mut self, cx: &Cx<'_>, tracer: &mut Tracer, clock: &mut u64) -> Outcome<N::Next> {
        let count = self.input.len();
        if count == 0 {
            return Outcome::Idle;
        }
        self.node.process(cx, &mut self.input, &mut Fanout::new(&mut self.exits));
        debug_assert_eq!(self.input.len(), count, "{} lost or made frames", N::NAME);
        if tracer.is_armed() {
            tracer.step(cx, self.position, &self.input, self.exits());
        }
        let now = clock::cycles();
        let Some(counters) = cx.counters.nodes.get(self.position) else {
            return Outcome::Mixed;
        };
        counters.ran(count, now.wrapping_sub(*clock));
        *clock = now;
        self.count_exits(counters)
    }

    /// The exits of the frames in `input`, in order.
    #[inline]
    pub fn exits(&self) -> &[N::Next] {
        self.exits.get(..self.input.len()).unwrap_or_default()
    }

    /// Takes the frames out with their exits.
    #[inline]
    pub fn drain(&mut self, sink: impl FnMut(Frame, N::Next)) {
        self.input.drain_with(self.exits.as_slice(), sink);
    }

    #[inline]
    fn count_exits(&self, counters: &NodeCounters) -> Outcome<N::Next> {
        let exits = self.exits();
        let Some((first, _)) = exits.split_first() else {
            return Outcome::Idle;
        };
        let mixed = exits.iter().fold(0, |acc, exit| acc | (exit.index() ^ first.index()));
        if mixed == 0 {
            counters.edge(first.index(), exits.len() as u64);
            return Outcome::All(*first);
        }
        for exit in exits {
            counters.edge(exit.index(), 1);
        }
        Outcome::Mixed
    }
}

/// Runs one stage of the graph and moves its frames on:
/// `step!(cx, tracer, clock, stage => { Exit::A => target_a, Exit::B => target_b });`
/// where a target is a place that holds frames: a [`Batch`].
#[macro_export]
macro_rules! step {
    ($cx:expr, $tracer:expr, $clock:expr, $stage:expr => { $($exit:path => $target:expr),+ $(,)? }) => {
        match $stage.run($cx, $tracer, $clock) {
            $crate::Outcome::Idle => {}
            $crate::Outcome::All(exit) => match exit {
                $($exit => $stage.input.move_to(&mut $target),)+
            },
            $crate::Outcome::Mixed => $stage.drain(|frame, exit| {
                let refused = match exit {
                    $($exit => $target.push(frame),)+
                };
                debug_assert!(refused.is_ok(), "no more than BATCH_MAX frames walk the graph at once");
            }),
        }
    };
}
