//! The contract of a protocol engine, and the words that engines and the RIB share.
//!
//! An engine is sans-IO: it is *told* commands, input and the time; it answers with what changed and when to wake
//! it. It owns no socket, clock, task or random source. So a test can live a week in a millisecond, and the driver
//! (`ze-host`) is the same for all.
//!
//! [`Input`] and [`Output`] have what the engines of today need; the first engine that talks to peers adds received
//! packets and packets to send.

mod route;

pub use route::{Discard, Path, RouteUpdate, Target, Via, Way};

use std::sync::Arc;
use std::time::Instant;

/// A protocol engine.
///
/// After each `handle_*`, the driver calls [`poll_output`](Self::poll_output) until there is nothing more, and then
/// [`poll_timeout`](Self::poll_timeout).
pub trait Engine {
    /// An order from control.
    type Command;
    /// News for the RIB, control and other engines.
    type Event;

    /// Takes an order.
    fn handle_command(&mut self, command: Self::Command, now: Instant);
    /// Takes what came from outside.
    fn handle_input(&mut self, input: Input<'_>, now: Instant);
    /// The time that [`poll_timeout`](Self::poll_timeout) named has come.
    fn handle_timeout(&mut self, now: Instant);
    /// When to call [`handle_timeout`](Self::handle_timeout); nothing to wait for if `None`.
    fn poll_timeout(&self) -> Option<Instant>;
    /// The next answer.
    fn poll_output(&mut self) -> Option<Output<Self::Event>>;
}

/// What an engine is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// An interface came up or went down. An interface nobody spoke of is up.
    Link {
        /// Its name.
        interface: &'a str,
        /// Whether packets can pass.
        up: bool,
    },
}

/// What an engine answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<E> {
    /// News.
    Event(E),
}

/// An [`Input`] that travels between tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedInput {
    /// See [`Input::Link`].
    Link {
        /// Name of the interface.
        interface: Arc<str>,
        /// Whether packets can pass.
        up: bool,
    },
}

impl OwnedInput {
    /// The input, borrowed.
    pub fn as_input(&self) -> Input<'_> {
        match self {
            Self::Link { interface, up } => Input::Link { interface, up: *up },
        }
    }
}
