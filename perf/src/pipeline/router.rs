//! A router in memory: real tables, one real worker, two ports.
//!
//! ```text
//!   192.0.2.2 ── 192.0.2.1/24 [in]  worker  [out] 203.0.113.1/24 ── fe80::1:0 … one neighbour for each nexthop
//! 2001:db8:1::2 ── 2001:db8:1::1/64              2001:db8:2::1/64
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ze_fib::writer::{Fib, InterfaceSpec, NexthopSpec, RouteSource};
use ze_fib::{Limits, PortKind, Target};
use ze_graph::{Arena, DropReason, Frame, Pages, Port, WorkerCounters, clock};
use ze_packet::{InterfaceId, MacAddr, PortId};
use ze_sync::Domain;
use ze_worker::{Command, IdleMode, Reply, Setup, WorkerHandle, spawn};

use super::drain::Drain;
use super::meter::Outcome;
use super::routes::Routes;
use super::source::Source;
use super::traffic::{ROUTER_IN, ROUTER_OUT};

/// Frames of the worker. Few are in use at a time: a port takes those again that it gave last.
const FRAMES: u32 = 4096;
/// The owner of the routes.
const OWNER: RouteSource = RouteSource::Owner(1);
/// How much longer than planned a run may take before it counts as stuck; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// The router.
pub(crate) struct Router {
    /// The writer of its tables, and of nothing more once the router stands.
    pub(crate) fib: Fib,
    /// Ethernet addresses of the nexthops, in order.
    pub(crate) hops: Vec<MacAddr>,
    /// Where packets come in.
    pub(crate) port_in: PortId,
    /// Where they leave.
    pub(crate) port_out: PortId,
    worker: WorkerHandle,
    pages: Pages,
}

/// The gateway of nexthop `hop`.
pub(crate) fn gateway(hop: u16) -> IpAddr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, hop).into()
}

impl Router {
    /// With these routes, its worker on this core.
    ///
    /// # Errors
    /// When tables refuse something, or the system does.
    pub(crate) fn new(core: usize, routes: &Routes) -> Result<Self> {
        let mut fib = Fib::new(&Domain::new(), Limits::default());
        let port_in = fib.create_port(PortKind::Network)?;
        let port_out = fib.create_port(PortKind::Network)?;
        interface(&mut fib, port_in, ROUTER_IN, 1)?;
        let out = interface(&mut fib, port_out, ROUTER_OUT, 2)?;
        let hops = fill(&mut fib, out, routes)?;
        let (arena, frames) = Arena::allocate(FRAMES, true).context("memory for frames")?;
        let pages = arena.pages();
        let worker = start(core, &fib, arena, frames)?;
        Ok(Self { fib, hops, port_in, port_out, worker, pages })
    }

    /// What its worker counts.
    #[must_use]
    pub(crate) fn counters(&self) -> Arc<WorkerCounters> {
        Arc::clone(&self.worker.counters)
    }

    /// Bytes that its lookups read from.
    #[must_use]
    pub(crate) fn lookup_bytes(&self) -> u64 {
        self.fib.vrf_memory(Fib::DEFAULT_VRF).lookup_bytes
    }

    /// What pages hold its frames.
    #[must_use]
    pub(crate) const fn pages(&self) -> Pages {
        self.pages
    }

    /// Has the worker forward until the source's meter has seen enough.
    ///
    /// # Errors
    /// When the worker ends, hangs, or is not pinned.
    pub(crate) fn pass(
        &mut self,
        source: Source,
        drain: Drain,
        outcome: &Outcome,
        planned: Duration,
    ) -> Result<()> {
        self.worker.send(Command::add_port(Box::new(drain), PortKind::Network));
        self.worker.send(Command::add_port(Box::new(source), PortKind::Network));
        self.wait("measure", planned + PATIENCE, || outcome.is_done())?;
        ensure!(self.worker.is_pinned(), "the worker could not be pinned to core {}", self.worker.core);
        for id in [self.port_in, self.port_out] {
            self.worker.send(Command::RemovePort(id));
            let frames = self.port_back()?.close();
            self.worker.send(Command::GiveFrames(frames));
        }
        Ok(())
    }

    /// Did every packet that came leave, and does the law hold?
    ///
    /// # Errors
    /// When not: the terms, and why packets were dropped.
    pub(crate) fn check(&self) -> Result<()> {
        let law = &self.worker.counters.law;
        let (from, to) = law.sides();
        ensure!(from == to, "packets are not conserved: {from} came and {to} went: {law:?}");
        if law.rx.get() != law.tx.get() {
            bail!(
                "{} of {} packets did not leave: {}",
                law.rx.get() - law.tx.get(),
                law.rx.get(),
                self.losses()
            );
        }
        Ok(())
    }

    fn losses(&self) -> String {
        let counters = &self.worker.counters;
        let drops = DropReason::ALL.iter().filter_map(|reason| {
            let count = counters.drops(self.port_in, *reason);
            (count > 0).then(|| format!("{count} dropped: {}", reason.name()))
        });
        let punted = counters.law.punt.get();
        let punted = (punted > 0).then(|| format!("{punted} punted"));
        drops.chain(punted).collect::<Vec<_>>().join(", ")
    }

    /// Ends the worker.
    ///
    /// # Errors
    /// When it panicked, or not every frame has come back.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.worker.send(Command::Stop);
        ensure!(self.worker.join(), "the worker panicked");
        let back = self.worker.counters.rounds.pool_free.get();
        ensure!(back == u64::from(FRAMES), "{back} of {FRAMES} frames came back");
        Ok(())
    }

    fn port_back(&mut self) -> Result<Box<dyn Port>> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && !self.worker.is_finished() {
            match self.worker.replies.pop() {
                Ok(Reply::PortRemoved(port)) => return Ok(port),
                Ok(Reply::Memory(_) | Reply::TraceEnded(_) | Reply::Stopped) => {}
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
        bail!("the worker did not give its port back");
    }

    fn wait(&self, what: &str, most: Duration, is_done: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + most;
        while !is_done() {
            ensure!(!self.worker.is_finished(), "the worker ended while it was to {what}");
            ensure!(Instant::now() < deadline, "the worker did not {what} within {} s", most.as_secs());
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

fn start(core: usize, fib: &Fib, arena: Arena, frames: Vec<Frame>) -> Result<WorkerHandle> {
    let setup = Setup {
        cores: vec![core],
        // Between runs the core is the baseline's.
        idle: IdleMode::Interrupt,
        arena: Arc::new(arena),
        frames,
        tables: fib.tables(),
        graph: Box::new(|worker, control| {
            ze_nodes::Graph::new(ze_nodes::Config {
                worker,
                workers: 1,
                hash_seed: super::random::SEED,
                hertz: clock::hertz(),
                icmp: ze_nodes::IcmpLimits::default(),
                punt: ze_nodes::PuntRates::default(),
                control,
            })
        }),
    };
    spawn(setup)?.workers.pop().context("no worker was started")
}

fn interface(fib: &mut Fib, port: PortId, mac: MacAddr, number: u8) -> Result<InterfaceId> {
    let spec = InterfaceSpec {
        name: format!("link{number}"),
        port,
        vlan: 0,
        tags: vec![],
        mac,
        mtu: 1500,
        vrf: Fib::DEFAULT_VRF,
        up: true,
        representor: None,
    };
    let id = fib.create_interface(spec)?;
    let four = if number == 1 { Ipv4Addr::new(192, 0, 2, 1) } else { Ipv4Addr::new(203, 0, 113, 1) };
    let six = Ipv6Addr::new(0x2001, 0xdb8, number.into(), 0, 0, 0, 0, 1);
    fib.set_addresses(id, &[(four.into(), 24), (six.into(), 64)])?;
    Ok(id)
}

fn fill(fib: &mut Fib, out: InterfaceId, routes: &Routes) -> Result<Vec<MacAddr>> {
    let (mut nexthops, mut macs) = (Vec::new(), Vec::new());
    for hop in 0..routes.hops as u16 {
        let [high, low] = hop.to_be_bytes();
        let mac = MacAddr([2, 0, 0, 1, high, low]);
        fib.neighbor_resolved(out, gateway(hop), mac)?;
        nexthops.push(fib.create_nexthop(NexthopSpec::Gateway(out, gateway(hop)))?);
        macs.push(mac);
    }
    for (net, hop) in &routes.all {
        let target = Target::Nexthop(nexthops[usize::from(*hop)]);
        fib.put_route(Fib::DEFAULT_VRF, *net, OWNER, target).with_context(|| format!("route {net}"))?;
    }
    Ok(macs)
}
