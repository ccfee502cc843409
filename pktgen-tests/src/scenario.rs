//! Scenarios: frames in, frames out, counters, and the conservation law; the same file on every backend.
//!
//! A scenario is read from a file ([`file`]; docs/scenarios.md describes the format) and played ([`run`]) on a
//! [`Backend`]: on the graph and a worker with ports in memory and a clock that is moved ([`memory`]), or through
//! AF_XDP with the real `ze-fastpath` ([`veth`]). After the steps it is checked that
//!
//! - no frame came out anywhere that was not expected,
//! - the drop counters grew exactly by what the scenario says, and the punts and counters that it names likewise,
//! - every frame sent was received, and the law holds: `rx + inject + generated = tx + drop + punt + held`.

pub mod devices;
pub mod file;
pub mod fuzz;
pub mod memory;
pub mod router;
mod run;
pub mod suite;
pub mod veth;
pub mod write;

pub use run::{Failure, run};

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::daemons::Totals;
use crate::packet::Packet;
use router::Router;

/// A place where frames go in and come out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The wire at a port.
    Wire(String),
    /// The host stack's end of an interface.
    Host(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire(port) => f.write_str(port),
            Self::Host(interface) => write!(f, "host {interface}"),
        }
    }
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Action {
    /// A frame goes in.
    Send(Place, Vec<u8>),
    /// The next frame that comes out here is this one.
    Expect(Place, Packet),
    /// Time passes.
    Wait(Duration),
}

/// One thing that happens, and where that is written.
#[derive(Clone, Debug)]
pub struct Step {
    /// Line of the file.
    pub line: u64,
    /// What happens.
    pub action: Action,
}

/// How many there must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// At least.
    pub least: u64,
    /// At most.
    pub most: u64,
}

impl Amount {
    /// Are these as many as there must be?
    #[must_use]
    pub const fn holds(self, count: u64) -> bool {
        self.least <= count && count <= self.most
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.least == self.most {
            write!(f, "{}", self.least)
        } else {
            write!(f, "{}..{}", self.least, self.most)
        }
    }
}

/// What happens to a router, and what must come of it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// A sentence.
    pub name: String,
    /// Where it is written.
    pub file: PathBuf,
    /// And in which line.
    pub line: u64,
    /// The router that it happens to.
    pub router: Arc<Router>,
    /// The only backend it is meant for, and why.
    pub only: Option<(BackendKind, String)>,
    /// In order.
    pub steps: Vec<Step>,
    /// Every drop, by reason.
    pub drops: BTreeMap<String, Amount>,
    /// Punts, by reason; reasons that are not named are not looked at.
    pub punts: BTreeMap<String, Amount>,
    /// Other counters by name; those that are not named are not looked at.
    pub counters: BTreeMap<String, Amount>,
    /// Nothing is looked at but the law: neither what comes out nor what is counted.
    pub law_only: bool,
}

impl Scenario {
    /// Is it meant for this backend?
    #[must_use]
    pub fn is_for(&self, kind: BackendKind) -> bool {
        self.only.as_ref().is_none_or(|(only, _)| *only == kind)
    }
}

/// What scenarios are played on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BackendKind {
    /// The graph and a worker in this process, with ports in memory.
    Mem,
    /// The real forwarding daemon through AF_XDP on veths, in a lab (root).
    Veth,
    /// The real forwarding daemon on devices of this machine, named by --port (root).
    Nic,
}

/// Why a backend failed; not what a scenario finds out.
pub type BackendError = Box<dyn std::error::Error + Send + Sync>;

/// One node that a packet came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceStep {
    /// Number of the packet within the trace, from 1.
    pub packet: u32,
    /// The node.
    pub node: String,
    /// The way it left by; "" at reception.
    pub exit: String,
    /// Of a drop or punt; "" otherwise.
    pub reason: String,
    /// What is known of the packet's beginning, from L2 on.
    pub bytes: Vec<u8>,
}

/// A router with places to send and receive.
pub trait Backend {
    /// Makes it forget learned neighbours, and what came out so far.
    ///
    /// # Errors
    /// When the router does not answer.
    fn reset(&mut self) -> Result<(), BackendError>;

    /// Everywhere frames can come out.
    fn places(&self) -> Vec<Place>;

    /// Puts a frame in.
    ///
    /// # Errors
    /// When that is not possible.
    fn send(&mut self, at: &Place, frame: &[u8]) -> Result<(), BackendError>;

    /// The next frame that came out; none after `timeout`, where frames take time.
    ///
    /// # Errors
    /// When the place is gone.
    fn receive(&mut self, at: &Place, timeout: Duration) -> Result<Option<Vec<u8>>, BackendError>;

    /// Lets time pass.
    ///
    /// # Errors
    /// When the router does not answer.
    fn wait(&mut self, time: Duration) -> Result<(), BackendError>;

    /// What was counted so far.
    ///
    /// # Errors
    /// When the router does not answer.
    fn totals(&mut self) -> Result<Totals, BackendError>;

    /// Says whether frames and counters take time here; otherwise all that can happen has happened after each call.
    fn takes_time(&self) -> bool;

    /// Follows packets from now on.
    ///
    /// # Errors
    /// When the router does not answer.
    fn start_trace(&mut self) -> Result<(), BackendError>;

    /// Ends the trace, and says what it saw.
    ///
    /// # Errors
    /// When the router does not answer.
    fn take_trace(&mut self) -> Result<Vec<TraceStep>, BackendError>;
}
