//! The control thread's loop: jobs, workers, links, timers, in no particular order, one at a time.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::sync::{broadcast, mpsc};
use tracing::{error, info};
use ze_fib::writer::Fib;
use ze_graph::Arena;
use ze_punt::neighbor::{Engine, Limits};
use ze_punt::representor::Representors;
use ze_worker::{Command, Reply, Spawned};
use ze_xsk::{Lanes, RedirectTargets, Umem};

use super::kernel_forwarding::KernelForwarding;
use super::objects::Objects;
use super::ports::{Bank, KEPT_PREFIX, Ports};
use super::{
    Control, EVENTS_MAX, Facts, Handle, Ids, JOBS_MAX, Job, LinkEvent, links, neighbors, representors, trace,
};
use crate::fdstore;

/// How often traces are collected while one is under way.
const TRACE_INTERVAL: Duration = Duration::from_millis(5);
/// How often the kernel's devices are listed anew, in case a notification was lost.
const RESYNC_INTERVAL: Duration = Duration::from_secs(10);
/// Messages taken from one worker before others have their turn.
const MESSAGES_A_TURN: usize = 256;
/// A turn beyond it is counted: what the control thread does for one client must not be felt by another, and a
/// programming lag of this much is within what a loaded pipeline shows anyway.
const TURN_LONG: Duration = Duration::from_millis(10);
/// How long workers may take to give their ports back at an orderly stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the loop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Told,
    /// A worker's thread ended by itself: a defect. The process must be restarted.
    WorkerDied(u8),
    /// The netlink listener ended.
    Links(String),
}

/// What the control thread does next. Whatever it is, it is short: everything else waits meanwhile.
enum Turn {
    Job(Job),
    Link(LinkEvent),
    /// A worker has something for us.
    Workers,
    Neighbors,
    Trace,
    /// Some device takes pages now, or does not any more.
    Targets,
    /// Another second.
    Second,
}

/// How long turns take. The longest is how long a neighbour, a port or a route may have waited.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turns {
    pub(super) count: u64,
    pub(super) longest: Duration,
    /// Longer than [`TURN_LONG`].
    pub(super) long: u64,
}

impl Turns {
    fn took(&mut self, time: Duration) {
        self.count += 1;
        self.longest = self.longest.max(time);
        self.long += u64::from(time > TURN_LONG);
    }
}

/// What the control thread is made of.
pub struct Parts {
    /// What does not change.
    pub facts: Facts,
    /// The tables' writer.
    pub fib: Fib,
    /// The workers.
    pub spawned: Spawned,
    /// The chunk memory.
    pub arena: Arc<Arena>,
    /// By what busy ports send where the kernel copies.
    pub lanes: Option<Arc<Lanes>>,
    /// Frames for fill rings.
    pub bank: Bank,
    /// Descriptors of an earlier life.
    pub kept: HashMap<String, OwnedFd>,
    /// Where an earlier life left files.
    pub run_dir: PathBuf,
    /// The representors.
    pub representors: Representors,
}

/// The control thread, ready to run.
pub struct Ready {
    control: Control,
    wake: AsyncFd<Arc<OwnedFd>>,
    targets: Option<AsyncFd<OwnedFd>>,
    jobs: mpsc::Receiver<Job>,
    own_jobs: mpsc::UnboundedReceiver<Job>,
}

impl Ready {
    /// Puts the parts together. Call within a tokio runtime.
    ///
    /// # Errors
    /// When the eventfd can not be watched.
    pub fn new(parts: Parts) -> std::io::Result<(Self, Handle)> {
        let (jobs, inbox) = mpsc::channel(JOBS_MAX);
        let (own, own_inbox) = mpsc::unbounded_channel();
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let handle = Handle { jobs, events: events.clone() };
        #[expect(
            deprecated,
            reason = "its replacement is unsafe; what is watched is owned here and stays open"
        )]
        let wake = AsyncFd::new(parts.spawned.wake_control)?;
        let targets = parts.lanes.as_ref().and_then(|_| RedirectTargets::open().ok());
        // Before Linux 6.3 it is not known who takes pages.
        let lanes = parts.lanes.filter(|_| targets.is_some());
        #[expect(
            deprecated,
            reason = "its replacement is unsafe; what is watched is owned here and stays open"
        )]
        let watch = |targets: &RedirectTargets| AsyncFd::new(targets.as_fd().try_clone_to_owned().ok()?).ok();
        let changed = targets.as_ref().and_then(watch);
        let strip = |(name, fd): (String, OwnedFd)| Some((name.strip_prefix(KEPT_PREFIX)?.to_owned(), fd));
        let kept = parts.kept.into_iter().filter_map(strip).collect();
        let control = Control {
            began: Instant::now(),
            fib: parts.fib,
            objects: Objects::default(),
            ids: Ids::default(),
            programming: super::programming::Programming::default(),
            neighbors: Engine::new(Limits::default(), parts.facts.instance),
            neighbor_glue: neighbors::Glue::default(),
            workers: parts.spawned.workers,
            targets,
            ports: Ports::new(
                Arc::new(Umem::new(Arc::clone(&parts.arena))),
                lanes,
                parts.bank,
                kept,
                KernelForwarding::open(&parts.run_dir),
            ),
            arena: parts.arena,
            representors: representors::Desk::start(parts.representors, own.clone()),
            links: links::Links::default(),
            trace: trace::Desk::default(),
            jobs: own,
            events,
            streams: HashMap::new(),
            streams_begun: 0,
            connected: std::collections::BTreeSet::new(),
            turns: Turns::default(),
            slices: 0,
            fail_open: false,
            facts: parts.facts,
        };
        Ok((Self { control, wake, targets: changed, jobs: inbox, own_jobs: own_inbox }, handle))
    }

    /// Runs until `stop` completes, then ends everything in good order.
    pub async fn run(mut self, stop: impl Future<Output = ()>, keep_representors: bool) -> Ended {
        let (link_events, mut links) = mpsc::channel(64);
        let listener = links::listen(link_events, tokio::time::interval(RESYNC_INTERVAL));
        let ended = self.serve(stop, listener, &mut links).await;
        info!(?ended, "stopping");
        if ended == Ended::Told {
            self.end(keep_representors).await;
        }
        ended
    }

    async fn serve(
        &mut self,
        stop: impl Future<Output = ()>,
        listener: impl Future<Output = anyhow::Result<()>>,
        links: &mut mpsc::Receiver<LinkEvent>,
    ) -> Ended {
        tokio::pin!(stop, listener);
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let timer = self.control.neighbors.poll_timeout();
            let turn = tokio::select! {
                () = &mut stop => return Ended::Told,
                result = &mut listener => {
                    return Ended::Links(result.map_or_else(|e| e.to_string(), |()| "it ended".into()));
                }
                Some(job) = self.jobs.recv() => Turn::Job(job),
                Some(job) = self.own_jobs.recv() => Turn::Job(job),
                Some(event) = links.recv() => Turn::Link(event),
                ready = self.wake.readable() => {
                    if let Ok(mut ready) = ready {
                        let mut count = [0; 8];
                        let _ = rustix::io::read(self.wake.get_ref(), &mut count);
                        ready.clear_ready();
                    }
                    Turn::Workers
                }
                () = sleep_until(timer) => Turn::Neighbors,
                () = tokio::time::sleep(TRACE_INTERVAL), if self.control.is_tracing() => Turn::Trace,
                ready = readable(self.targets.as_ref()) => {
                    // Nobody else waits for it: an error is one of the kernel's, and a second passes soon.
                    ready.into_iter().for_each(|mut ready| ready.clear_ready());
                    Turn::Targets
                }
                _ = second.tick() => Turn::Second,
            };
            let began = Instant::now();
            self.control.take_turn(turn);
            self.control.turns.took(began.elapsed());
            if let Some(worker) = self.control.workers.iter().find(|worker| worker.is_finished()) {
                error!(worker = %worker.id, "a worker has died");
                return Ended::WorkerDied(worker.id.0);
            }
        }
    }

    /// The orderly end: workers give everything back, ports are closed and their devices put back as they were.
    async fn end(mut self, keep_representors: bool) {
        let control = &mut self.control;
        for name in control.ports.kept_names() {
            let _ = fdstore::forget(&name);
        }
        control.drop_kept();
        for worker in &mut control.workers {
            worker.send(Command::Stop);
        }
        let deadline = Instant::now() + STOP_TIMEOUT;
        while control.workers.iter().any(|worker| !worker.is_finished()) && Instant::now() < deadline {
            // They end only when there is room for what they give back.
            control.take_from_workers();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        control.take_from_workers();
        control.close_all_ports().await;
        control.representors.end(keep_representors).await;
        for worker in control.workers.iter_mut().filter(|worker| worker.is_finished()) {
            worker.join();
        }
    }
}

impl Control {
    fn take_turn(&mut self, turn: Turn) {
        match turn {
            Turn::Job(job) => job(self),
            Turn::Link(event) => self.handle_link(event),
            Turn::Workers => {}
            Turn::Neighbors => self.neighbors.handle_timeout(Instant::now()),
            Turn::Trace => self.collect_trace(),
            Turn::Targets => self.tell_targets(),
            Turn::Second => {
                self.report_traffic();
                self.check_ports();
                self.tell_targets();
                self.fib.reclaim();
            }
        }
        self.take_from_workers();
        self.settle();
    }

    /// Handles what workers have sent and given back.
    fn take_from_workers(&mut self) {
        for at in 0..self.workers.len() {
            self.workers[at].send_rest();
            for _ in 0..MESSAGES_A_TURN {
                let Ok(message) = self.workers[at].messages.pop() else { break };
                self.handle_message(&message);
            }
            while let Ok(reply) = self.workers[at].replies.pop() {
                match reply {
                    Reply::PortRemoved(queue) => self.queue_returned(queue),
                    // Freed here, off the data path.
                    Reply::Memory(_) | Reply::TraceEnded(_) | Reply::Stopped => {}
                }
            }
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Waits until it is readable; for ever if there is nothing.
async fn readable(fd: Option<&AsyncFd<OwnedFd>>) -> std::io::Result<AsyncFdReadyGuard<'_, OwnedFd>> {
    match fd {
        Some(fd) => fd.readable().await,
        None => std::future::pending().await,
    }
}
