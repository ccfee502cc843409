//! Scenarios: frames in, frames out, counters, and the conservation law; the same on every backend.
//!
//! A [`Scenario`] is a list of [`Step`]s against the router of [`network`]. [`run`] plays it on a [`Backend`]: on the
//! graph and a worker with ports in memory ([`memory`]), or through AF_XDP on veths with the real `ze-fastpath`
//! ([`veth`]). After the steps it checks that
//!
//! - no frame came out anywhere that was not expected,
//! - the drop counters grew exactly by what the scenario says, and the punt counters it names likewise,
//! - every frame sent was received, and the law holds: `rx + inject + generated = tx + drop + punt + held`.

pub mod memory;
pub mod network;
mod pattern;
mod run;
pub mod suite;
pub mod veth;

pub use pattern::Pattern;
pub use run::{Failure, run};

use std::time::Duration;

use crate::daemons::Totals;

/// A place where frames go in and come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum At {
    /// The wire at a port.
    Wire(&'static str),
    /// The host stack's end of an interface.
    Host(&'static str),
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// A frame goes in.
    Send(At, Vec<u8>),
    /// The next frame that comes out here is this one.
    Expect(At, Pattern),
}

/// What happens to a router, and what must come of it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// A sentence.
    pub name: &'static str,
    /// In order.
    pub steps: Vec<Step>,
    /// Every drop, by reason.
    pub drops: Vec<(&'static str, u64)>,
    /// Punts, by reason; reasons that are not named are not looked at.
    pub punts: Vec<(&'static str, u64)>,
}

impl Scenario {
    /// Nothing happens.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, steps: Vec::new(), drops: Vec::new(), punts: Vec::new() }
    }

    /// Then this frame goes in.
    #[must_use]
    pub fn send(mut self, at: At, frame: Vec<u8>) -> Self {
        self.steps.push(Step::Send(at, frame));
        self
    }

    /// Then this frame comes out.
    #[must_use]
    pub fn expect(mut self, at: At, pattern: impl Into<Pattern>) -> Self {
        self.steps.push(Step::Expect(at, pattern.into()));
        self
    }

    /// In the end so many packets were dropped for this reason.
    #[must_use]
    pub fn drops(mut self, reason: &'static str, packets: u64) -> Self {
        self.drops.push((reason, packets));
        self
    }

    /// In the end so many packets were punted for this reason.
    #[must_use]
    pub fn punts(mut self, reason: &'static str, packets: u64) -> Self {
        self.punts.push((reason, packets));
        self
    }
}

/// Why a backend failed; not what a scenario finds out.
pub type BackendError = Box<dyn std::error::Error + Send + Sync>;

/// A router of [`network`] with places to send and receive.
pub trait Backend {
    /// Makes it forget learned neighbours, and what came out so far.
    ///
    /// # Errors
    /// When the router does not answer.
    fn reset(&mut self) -> Result<(), BackendError>;

    /// Puts a frame in.
    ///
    /// # Errors
    /// When that is not possible.
    fn send(&mut self, at: At, frame: &[u8]) -> Result<(), BackendError>;

    /// The next frame that came out; none after `timeout`.
    ///
    /// # Errors
    /// When the place is gone.
    fn receive(&mut self, at: At, timeout: Duration) -> Result<Option<Vec<u8>>, BackendError>;

    /// What was counted so far.
    ///
    /// # Errors
    /// When the router does not answer.
    fn totals(&mut self) -> Result<Totals, BackendError>;
}
