//! The control thread: one owner of all state that is not a worker's.
//!
//! ```text
//!  API handlers ──jobs──▶ ┌─────────┐ ──commands, messages──▶ workers
//!  link events ─────────▶ │ Control │ ◀──messages, replies──── workers
//!  timers ──────────────▶ └─────────┘ ──specs──▶ representor task, port openers ──jobs──▶ back
//! ```
//!
//! Everything that may block (opening ports, netlink) runs elsewhere and posts its result as a [`Job`]. So the
//! neighbour engine answers within a batch, whatever else goes on.

pub mod objects;
pub mod parse;
pub mod paths;

mod apply;
mod audit;
mod checks;
mod interfaces;
mod kernel_forwarding;
mod links;
mod list;
mod neighbors;
mod ports;
mod programming;
mod representors;
mod routes;
mod run;
mod stats;
mod sweep;
mod trace;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{broadcast, mpsc, oneshot};
use ze_fib::Target;
use ze_fib::writer::Fib;
use ze_packet::{GroupId, InterfaceId, NexthopId, PortId, VrfId};
use ze_proto::v1;
use ze_punt::neighbor::Engine;
use ze_worker::WorkerHandle;

pub use apply::{Begun, verify};
pub use audit::OwnedListing;
pub use links::{Link, LinkEvent};
use objects::{DEFAULT_VRF, Objects, OwnerId, TargetKey};
pub use ports::Bank;
pub use programming::Batch;
pub use run::{Ended, Parts, Ready};
pub use trace::{Error as TraceError, PACKETS_MAX};
pub use walk::Walk;

/// Work for the control thread.
pub type Job = Box<dyn FnOnce(&mut Control) + Send>;

/// Jobs that may wait; API handlers wait for room, so a flood of requests slows itself down.
const JOBS_MAX: usize = 1024;
/// Events that a slow watcher may lag behind before it loses some (and is told so).
const EVENTS_MAX: usize = 256;

/// How other tasks reach the control thread.
#[derive(Clone)]
pub struct Handle {
    jobs: mpsc::Sender<Job>,
    events: broadcast::Sender<v1::Event>,
}

/// The control thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the forwarding daemon is stopping")]
pub struct Stopping;

impl Handle {
    /// Runs `f` on the control thread and returns what it returns.
    ///
    /// # Errors
    /// When the daemon is stopping.
    pub async fn ask<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Control) -> R + Send + 'static,
    ) -> Result<R, Stopping> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |control| {
            // Whoever asked may have gone; then nobody needs the answer.
            let _ = reply.send(f(control));
        });
        self.jobs.send(job).await.map_err(|_| Stopping)?;
        answer.await.map_err(|_| Stopping)
    }

    /// Changes of ports from now on.
    pub fn watch(&self) -> broadcast::Receiver<v1::Event> {
        self.events.subscribe()
    }
}

/// What does not change while the daemon runs.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Changes with each start.
    pub instance: u64,
    /// Base name of the punt namespaces.
    pub punt_namespace: String,
    /// What workers do when idle.
    pub idle: ze_worker::IdleMode,
    /// Decides which flow takes which member of a nexthop group.
    pub hash_seed: u64,
    /// Things an operator should know of.
    pub warnings: Vec<String>,
}

/// Tables' numbers of named objects.
#[derive(Default)]
struct Ids {
    ports: HashMap<String, PortId>,
    vrfs: HashMap<String, VrfId>,
    interfaces: HashMap<String, InterfaceId>,
    nexthops: HashMap<(OwnerId, u64), NexthopId>,
    groups: HashMap<(OwnerId, u64), GroupId>,
    /// Whose each target is, and under which key.
    target_keys: HashMap<Target, (OwnerId, TargetKey)>,
}

/// All state of the daemon that is not a worker's. Lives on the control thread.
pub struct Control {
    facts: Facts,
    began: Instant,
    fib: Fib,
    objects: Objects,
    ids: Ids,
    programming: programming::Programming,
    neighbors: Engine,
    neighbor_glue: neighbors::Glue,
    workers: Vec<WorkerHandle>,
    arena: Arc<ze_graph::Arena>,
    /// Who takes pages; none if none are exchanged, or the kernel does not tell.
    targets: Option<ze_xsk::RedirectTargets>,
    ports: ports::Ports,
    representors: representors::Desk,
    links: links::Links,
    trace: trace::Desk,
    jobs: mpsc::UnboundedSender<Job>,
    events: broadcast::Sender<v1::Event>,
    /// The stream that programs for each owner, by number; a new one takes its place, and what was told to the old one
    /// by being kept here is no more.
    streams: HashMap<OwnerId, (u64, oneshot::Sender<Infallible>)>,
    streams_begun: u64,
    /// Owners whose stream has not ended.
    connected: std::collections::BTreeSet<OwnerId>,
    turns: run::Turns,
    /// Slices of walks so far.
    slices: u64,
    fail_open: bool,
}

impl Control {
    /// The VRF of a name, "default" included.
    fn vrf_id(&self, name: &str) -> Option<VrfId> {
        if name == DEFAULT_VRF {
            return Some(Fib::DEFAULT_VRF);
        }
        self.ids.vrfs.get(name).copied()
    }

    /// The name of a VRF.
    fn vrf_name(&self, id: VrfId) -> &str {
        if id == Fib::DEFAULT_VRF {
            return DEFAULT_VRF;
        }
        self.ids.vrfs.iter().find(|(_, v)| **v == id).map_or("?", |(name, _)| name)
    }

    /// The name of an interface.
    fn interface_name(&self, id: InterfaceId) -> &str {
        self.fib.interface(id).map_or("", |spec| &spec.name)
    }

    /// A copy of the books without routes, to verify against.
    pub fn books(&self) -> Objects {
        self.objects.without(OwnerId(u16::MAX))
    }

    /// What changes with each start.
    pub const fn instance(&self) -> u64 {
        self.facts.instance
    }

    /// Posts a job to ourselves from another task.
    fn poster(&self) -> mpsc::UnboundedSender<Job> {
        self.jobs.clone()
    }
}
