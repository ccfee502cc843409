//! Ports: from what a client wants and what devices there are, to queue pairs at the workers.
//!
//! ```text
//!            device appears                opened               told to go, device gone, queue dead
//!  Missing ────────────────▶ Opening ─────────────────▶ Open ───────────────────────────▶ Closing
//!     ▲                         │ refused                                                    │
//!     │                         ▼                                                            │
//!     └──────────────────── Failed ◀── tried again when the device changes, or every 5 s     │
//!     └──────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Opening and closing block (the kernel may hold a queue for a while), so both run on their own threads.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{info, warn};
use ze_fib::PortKind;
use ze_graph::{Frame, QueueStats};
use ze_packet::{InterfaceId, MacAddr, PortId, WorkerId};
use ze_proto::v1;
use ze_punt::representor::Representor;
use ze_redirect::NoSocket;
use ze_worker::Command;
use ze_xsk::{BindMode, Device, Health, MTU_MAX, OpenedPort, PortSpec, Umem};

use super::apply::refused;
use super::kernel_forwarding::KernelForwarding;
use super::objects::{self, OwnerId, device_of};
use super::parse::Refused;
use super::{Control, LinkEvent};
use crate::fdstore;

/// Frames kept on the receive side of a representor's queue: its traffic is policed, or one host's.
const REPRESENTOR_FRAMES: u32 = 512;
/// A port that failed is tried again after this long even if nothing seems to have changed.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What an interface learns from its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Underlay {
    pub(super) mac: MacAddr,
    pub(super) mtu: u16,
    pub(super) up: bool,
}

/// Where a port stands.
enum Status {
    Missing,
    Opening,
    Open(Box<Open>),
    Closing(Box<Open>),
    Failed(String, Instant),
}

/// A port that works, or is being closed.
struct Open {
    port: OpenedPort,
    /// Queue pairs that workers have.
    out: usize,
    queues: Vec<(WorkerId, u32, Arc<QueueStats>, u64)>,
    frames: usize,
}

struct Port {
    id: PortId,
    kind: PortKind,
    device: String,
    mode: v1::XdpMode,
    admin_down: bool,
    macs: Vec<MacAddr>,
    status: Status,
    /// The kernel's forwarding on the device, off from the first opening until the port is given up.
    forwarding: Option<KernelForwarding>,
    /// Nobody wants it any more: it goes once it is closed.
    doomed: bool,
    changes: u64,
}

/// Every port, by name; representors by the name of their outer end.
pub(super) struct Ports {
    all: BTreeMap<String, Port>,
    umem: Arc<Umem>,
    /// Frames for fill rings.
    bank: Vec<Frame>,
    /// Links of an earlier life, by device.
    kept: HashMap<String, OwnedFd>,
    fail_open: bool,
    links: HashMap<String, super::Link>,
}

impl Ports {
    pub(super) fn new(umem: Arc<Umem>, bank: Vec<Frame>, kept: HashMap<String, OwnedFd>) -> Self {
        Self { all: BTreeMap::new(), umem, bank, kept, fail_open: false, links: HashMap::new() }
    }

    /// What interfaces learn from a port. Without a device there is no address, and nothing is up.
    pub(super) fn underlay(&self, name: &str) -> Underlay {
        let nothing = Underlay { mac: MacAddr::ZERO, mtu: 1500, up: false };
        let Some(port) = self.all.get(name) else { return nothing };
        let Some(link) = self.links.get(&port.device) else { return nothing };
        let open = matches!(port.status, Status::Open(_));
        let mtu = link.mtu.clamp(objects::MTU_MIN, MTU_MAX) as u16;
        Underlay { mac: link.mac, mtu, up: link.up && open && !port.admin_down }
    }

    /// The state of a port's link.
    pub(super) fn link_state(&self, name: &str) -> v1::LinkState {
        let Some(port) = self.all.get(name) else { return v1::LinkState::Missing };
        match &port.status {
            Status::Missing => v1::LinkState::Missing,
            Status::Failed(..) => v1::LinkState::Failed,
            Status::Opening | Status::Closing(_) => v1::LinkState::Down,
            Status::Open(_) if self.underlay(name).up => v1::LinkState::Up,
            Status::Open(_) => v1::LinkState::Down,
        }
    }

    /// Every port's name and number.
    pub(super) fn names(&self) -> impl Iterator<Item = (&String, PortId)> {
        self.all.iter().map(|(name, port)| (name, port.id))
    }

    /// The queues that a worker polls.
    pub(super) fn queue_stats(&self, worker: WorkerId) -> Vec<v1::QueueStats> {
        let mut out = Vec::new();
        for (name, port) in &self.all {
            let Status::Open(open) = &port.status else { continue };
            for (_, queue, stats, ring) in open.queues.iter().filter(|(of, ..)| *of == worker) {
                out.push(queue_stats(name, *queue, stats, *ring));
            }
        }
        out
    }

    /// What happens to frames while no daemon runs.
    pub(super) fn set_fail_open(&mut self, fail_open: bool) {
        self.fail_open = fail_open;
        for (name, port) in &self.all {
            if let Status::Open(open) = &port.status
                && let Err(error) = open.port.program.set_no_socket(no_socket(fail_open))
            {
                warn!(port = name, %error, "cannot change what happens without a socket");
            }
        }
    }

    /// The addresses that the port's program lets in.
    pub(super) fn set_macs(&mut self, name: &str, macs: &[MacAddr]) {
        let Some(port) = self.all.get_mut(name) else { return };
        if port.macs == macs {
            return;
        }
        port.macs = macs.to_vec();
        if let Status::Open(open) = &port.status {
            let raw: Vec<_> = macs.iter().map(|mac| mac.0).collect();
            if let Err(error) = open.port.program.set_macs(&raw) {
                warn!(port = name, %error, "cannot change the port's addresses");
            }
        }
    }

    /// The names under which the supervisor keeps links.
    pub(super) fn kept_names(&self) -> Vec<String> {
        let network = self.all.values().filter(|port| port.kind == PortKind::Network);
        network.map(|port| kept_name(&port.device)).collect()
    }

    fn state(&self, name: &str, port: &Port, owner: &str) -> v1::PortState {
        let link = self.links.get(&port.device);
        let mut state = v1::PortState {
            name: name.into(),
            device: port.device.clone(),
            owner: owner.into(),
            state: self.link_state(name).into(),
            mac: link.map_or_else(Vec::new, |l| l.mac.0.to_vec()),
            mtu: link.map_or(0, |l| l.mtu),
            index: u32::from(port.id.0),
            representor: matches!(port.kind, PortKind::Representor(_)),
            state_changes: port.changes,
            ..v1::PortState::default()
        };
        match &port.status {
            Status::Failed(why, _) => state.message.clone_from(why),
            Status::Open(open) => describe(&open.port, &mut state),
            Status::Missing => state.message = format!("there is no device '{}'", port.device),
            Status::Opening | Status::Closing(_) => {}
        }
        if port.admin_down {
            state.message = "administratively down".into();
        }
        state
    }
}

impl Control {
    // ---- what clients want ---------------------------------------------------------------------------------

    pub(super) fn put_port(&mut self, owner: OwnerId, message: v1::Port) -> Result<(), Refused> {
        self.objects.check_port(owner, &message)?;
        let name = message.name.clone();
        if !self.ids.ports.contains_key(&name) {
            let id = self.fib.create_port(PortKind::Network);
            let id = id.map_err(|e| refused(&objects::port_path(&name), &e))?;
            self.ids.ports.insert(name.clone(), id);
            let port = new_port(id, PortKind::Network, device_of(&message), &message);
            // One of the same name may still be closing; the new one takes its place.
            if let Some(old) = self.ports.all.insert(name.clone(), port) {
                self.abandon(old);
            }
        }
        let unchanged = self.objects.ports.get(&name).is_some_and(|old| old.value == message);
        if let Some(port) = self.ports.all.get_mut(&name).filter(|_| !unchanged) {
            let mode = message.xdp_mode();
            let other = port.device != device_of(&message) || port.mode != mode;
            port.device = device_of(&message).to_owned();
            (port.mode, port.admin_down) = (mode, message.admin_down);
            if other {
                self.close_port(&name);
            }
        }
        let owned = self.objects.own(owner, message);
        self.objects.ports.insert(name.clone(), owned);
        self.reconcile_port(&name);
        Ok(())
    }

    pub(super) fn delete_port(&mut self, owner: OwnerId, name: &str) -> Result<(), Refused> {
        let path = objects::port_path(name);
        self.objects.check_owner(owner, &path, self.objects.ports.get(name))?;
        self.objects.check_delete_port(name)?;
        let Some(id) = self.ids.ports.remove(name) else { return Ok(()) };
        self.objects.ports.remove(name);
        let _ = self.fib.remove_port(id);
        self.doom_port(name);
        Ok(())
    }

    /// All ports, representors last.
    pub fn list_ports(&self) -> Vec<v1::PortState> {
        let owner = |name: &str| {
            self.objects.ports.get(name).map_or("", |owned| self.objects.owner_name(owned.owner))
        };
        let mut all: Vec<_> =
            self.ports.all.iter().map(|(name, port)| self.ports.state(name, port, owner(name))).collect();
        all.sort_by_key(|state| state.representor);
        all
    }

    // ---- representors --------------------------------------------------------------------------------------

    pub(super) fn open_representor_port(&mut self, interface: InterfaceId, representor: &Representor) {
        self.close_representor_port(interface);
        let Ok(id) = self.fib.create_port(PortKind::Representor(interface)) else {
            warn!(interface = self.interface_name(interface), "no room for its representor among the ports");
            return;
        };
        let name = representor.outer_name.clone();
        let port = new_port(id, PortKind::Representor(interface), &name, &v1::Port::default());
        // One of the same name may still be closing; the new one takes its place when it has.
        if let Some(old) = self.ports.all.insert(name.clone(), port) {
            self.abandon(old);
        }
        self.reconcile_port(&name);
    }

    pub(super) fn close_representor_port(&mut self, interface: InterfaceId) {
        let of = |port: &Port| port.kind == PortKind::Representor(interface) && !port.doomed;
        let Some(name) = self.ports.all.iter().find(|(_, p)| of(p)).map(|(name, _)| name.clone()) else {
            return;
        };
        self.set_representor(interface, None);
        if let Some(port) = self.ports.all.get(&name) {
            let _ = self.fib.remove_port(port.id);
        }
        self.doom_port(&name);
    }

    // ---- what the kernel says ------------------------------------------------------------------------------

    /// A device has changed.
    pub(super) fn handle_link(&mut self, event: LinkEvent) {
        for device in self.links.apply(event) {
            match self.links.named(&device) {
                Some(link) => self.ports.links.insert(device.clone(), link.clone()),
                None => self.ports.links.remove(&device),
            };
            let of_device = self.ports.all.iter().filter(|(_, port)| port.device == device);
            let names: Vec<_> = of_device.map(|(name, _)| name.clone()).collect();
            for name in names {
                self.reconcile_port(&name);
                self.port_changed(&name);
            }
        }
    }

    /// Looks after ports that failed, and after queues that died without a word (once a second).
    pub(super) fn check_ports(&mut self) {
        let dead = |open: &Open| {
            let gone = |health| matches!(health, Health::Gone | Health::Failed(_));
            open.port.monitors.iter().map(ze_xsk::Monitor::health).find(|health| gone(*health))
        };
        let mut reopen = Vec::new();
        let mut retry = Vec::new();
        for (name, port) in &self.ports.all {
            match &port.status {
                Status::Open(open) => reopen.extend(dead(open).map(|health| (name.clone(), health))),
                Status::Failed(_, since) if since.elapsed() >= RETRY_AFTER => retry.push(name.clone()),
                Status::Failed(..) | Status::Missing | Status::Opening | Status::Closing(_) => {}
            }
        }
        for (name, health) in reopen {
            warn!(port = name, %health, "the port is opened anew");
            self.close_port(&name);
        }
        for name in retry {
            if let Some(port) = self.ports.all.get_mut(&name) {
                port.status = Status::Missing;
            }
            self.reconcile_port(&name);
        }
    }

    /// Brings a port in line with its device and with what is wanted.
    fn reconcile_port(&mut self, name: &str) {
        let Some(port) = self.ports.all.get_mut(name) else { return };
        let link = self.ports.links.get(&port.device);
        match (&port.status, link) {
            (Status::Open(open), Some(link)) => {
                let same_device = open.port.report.ifindex == link.ifindex;
                if !same_device || link.mtu > MTU_MAX {
                    self.close_port(name);
                }
            }
            (Status::Open(_), None) => self.close_port(name),
            (Status::Missing | Status::Failed(..), Some(link)) if !port.doomed => {
                let link = link.clone();
                self.open(name, &link);
            }
            (Status::Failed(..), None) => port.status = Status::Missing,
            (Status::Missing | Status::Failed(..), _) | (Status::Opening | Status::Closing(_), _) => {}
        }
    }

    // ---- opening -------------------------------------------------------------------------------------------

    fn open(&mut self, name: &str, link: &super::Link) {
        let Some(port) = self.ports.all.get_mut(name) else { return };
        let device = match Device::by_index(link.ifindex) {
            Ok(device) => device,
            Err(error) => {
                port.status = Status::Failed(error.to_string(), Instant::now());
                return;
            }
        };
        let mut spec = PortSpec::new(port.id, device);
        spec.modes = modes(port.mode);
        spec.macs = if port.macs.is_empty() { vec![link.mac] } else { port.macs.clone() };
        spec.no_socket = no_socket(self.ports.fail_open);
        if let PortKind::Representor(_) = port.kind {
            spec.promiscuous = true;
            spec.modes = vec![BindMode::Copy, BindMode::Generic];
            (spec.fill_frames, spec.transmit_frames) = (REPRESENTOR_FRAMES, REPRESENTOR_FRAMES * 2);
            spec.no_socket = NoSocket::Drop;
        }
        let kept = self.ports.kept.remove(&port.device);
        spec.link = kept.and_then(|fd| ze_redirect::Link::adopt(fd).ok());
        port.status = Status::Opening;
        let queues = spec.device.rx_queues().unwrap_or(1) as usize;
        let wanted = queues * spec.fill_frames as usize;
        let bank = &mut self.ports.bank;
        let mut frames = bank.split_off(bank.len() - wanted.min(bank.len()));
        let (umem, jobs, name) = (Arc::clone(&self.ports.umem), self.poster(), name.to_owned());
        tokio::task::spawn_blocking(move || {
            let id = spec.id;
            let result = ze_xsk::open_port(spec, &umem, &mut frames).map_err(|e| e.to_string());
            let given = wanted - frames.len().min(wanted);
            let _ = jobs.send(Box::new(move |control| control.port_opened(&name, id, result, frames, given)));
        });
    }

    fn port_opened(
        &mut self,
        name: &str,
        id: PortId,
        result: Result<OpenedPort, String>,
        rest: Vec<Frame>,
        frames: usize,
    ) {
        self.ports.bank.extend(rest);
        let wanted = self.ports.all.get(name).is_some_and(|port| port.id == id && !port.doomed);
        match result {
            Ok(port) if wanted => self.hand_out(name, port, frames),
            Ok(port) => self.close_in_background(name, id, port, frames),
            Err(why) => {
                let Some(port) = self.ports.all.get_mut(name).filter(|port| port.id == id) else { return };
                if !matches!(&port.status, Status::Failed(old, _) if *old == why) {
                    warn!(port = name, %why, "the port can not be used");
                }
                port.status = Status::Failed(why, Instant::now());
                self.port_changed(name);
                self.remove_if_doomed(name);
            }
        }
    }

    /// Gives the queue pairs to the workers.
    fn hand_out(&mut self, name: &str, mut opened: OpenedPort, frames: usize) {
        let Some(port) = self.ports.all.get_mut(name) else { return };
        let (id, kind) = (port.id, port.kind);
        let count = self.workers.len();
        let first = match kind {
            PortKind::Network => 0,
            PortKind::Representor(interface) => interface.index() % count,
        };
        let owners: Vec<_> = (0..opened.queues.len()).map(|queue| (first + queue) % count).collect();
        let queues = std::mem::take(&mut opened.queues);
        let reports = opened.report.queues.clone();
        if kind == PortKind::Network && port.forwarding.is_none() {
            match KernelForwarding::switch_off(&port.device) {
                Ok(off) => port.forwarding = Some(off),
                Err(error) => warn!(port = name, %error, "the kernel's own forwarding on the port stays on"),
            }
        }
        let mut open = Open { out: 0, queues: Vec::new(), frames, port: opened };
        for ((queue, worker), report) in queues.into_iter().zip(&owners).zip(reports) {
            let ring = u64::from(if matches!(kind, PortKind::Network) {
                ze_xsk::FILL_FRAMES_DEFAULT
            } else {
                REPRESENTOR_FRAMES
            });
            open.queues.push((WorkerId(*worker as u8), report.queue, queue.stats(), ring));
            match self.workers[*worker].send(Command::add_port(queue, kind)) {
                Ok(()) => open.out += 1,
                Err(error) => warn!(port = name, %error, "a queue has no worker"),
            }
        }
        for (at, worker) in self.workers.iter_mut().enumerate().filter(|(at, _)| !owners.contains(at)) {
            let owner = owners[at % owners.len()];
            let _ = worker.send(Command::RemotePort(id, WorkerId(owner as u8)));
        }
        info!(port = name, report = %open.port.report, "port open");
        if kind == PortKind::Network
            && let Err(error) = fdstore::keep(&kept_name(&port.device), &open.port.link)
        {
            warn!(port = name, %error, "the supervisor does not keep the XDP link: a crash would not fail closed");
        }
        port.status = Status::Open(Box::new(open));
        if let PortKind::Representor(interface) = kind {
            self.set_representor(interface, Some(id));
        }
        self.port_changed(name);
    }

    // ---- closing -------------------------------------------------------------------------------------------

    fn close_port(&mut self, name: &str) {
        let Some(port) = self.ports.all.get_mut(name) else { return };
        match std::mem::replace(&mut port.status, Status::Missing) {
            Status::Open(open) => {
                let (id, out) = (port.id, open.out);
                port.status = Status::Closing(open);
                for worker in &mut self.workers {
                    let _ = worker.send(Command::RemovePort(id));
                }
                if out == 0 {
                    self.all_queues_back(name);
                }
                self.port_changed(name);
            }
            other => port.status = other,
        }
    }

    fn doom_port(&mut self, name: &str) {
        let Some(port) = self.ports.all.get_mut(name) else { return };
        port.doomed = true;
        if port.kind == PortKind::Network {
            let _ = fdstore::forget(&kept_name(&port.device));
        }
        self.close_port(name);
        self.remove_if_doomed(name);
    }

    fn remove_if_doomed(&mut self, name: &str) {
        let over = |port: &Port| port.doomed && matches!(port.status, Status::Missing | Status::Failed(..));
        if self.ports.all.get(name).is_some_and(over)
            && let Some(port) = self.ports.all.remove(name)
        {
            port.forwarding.into_iter().for_each(KernelForwarding::restore);
        }
    }

    /// A worker has given a queue pair back.
    pub(super) fn queue_returned(&mut self, queue: Box<dyn ze_graph::Port>) {
        let id = queue.id();
        let Some((name, port)) = self.ports.all.iter_mut().find(|(_, port)| port.id == id) else {
            // Its port was replaced meanwhile; its frames come home all the same.
            return self.close_queue(queue);
        };
        let name = name.clone();
        if let Status::Closing(open) | Status::Open(open) = &mut port.status {
            open.port.queues.push(queue);
            open.out = open.out.saturating_sub(1);
            if open.out == 0 {
                self.all_queues_back(&name);
            }
        }
    }

    fn all_queues_back(&mut self, name: &str) {
        let Some(port) = self.ports.all.get_mut(name) else { return };
        let id = port.id;
        if let Status::Closing(open) = std::mem::replace(&mut port.status, Status::Opening) {
            let Open { port, frames, .. } = *open;
            self.close_in_background(name, id, port, frames);
        }
    }

    fn close_in_background(&self, name: &str, id: PortId, port: OpenedPort, given: usize) {
        let (jobs, name) = (self.poster(), name.to_owned());
        tokio::task::spawn_blocking(move || {
            let frames = port.close();
            let _ = jobs.send(Box::new(move |control| control.port_closed(&name, id, frames, given)));
        });
    }

    fn close_queue(&self, queue: Box<dyn ze_graph::Port>) {
        let jobs = self.poster();
        tokio::task::spawn_blocking(move || {
            let frames = queue.close();
            let given = frames.len();
            let _ = jobs.send(Box::new(move |control| control.take_frames(frames, given)));
        });
    }

    fn port_closed(&mut self, name: &str, id: PortId, frames: Vec<Frame>, given: usize) {
        self.take_frames(frames, given);
        let Some(port) = self.ports.all.get_mut(name).filter(|port| port.id == id) else { return };
        port.status = Status::Missing;
        info!(port = name, "port closed");
        self.port_changed(name);
        self.remove_if_doomed(name);
        self.reconcile_port(name);
    }

    /// Frames come home: as many as were given go to the bank, what workers added goes back to them.
    fn take_frames(&mut self, mut frames: Vec<Frame>, given: usize) {
        let surplus = frames.split_off(given.min(frames.len()));
        self.ports.bank.extend(frames);
        if !surplus.is_empty()
            && let Some(worker) = self.workers.first_mut()
        {
            let _ = worker.send(Command::GiveFrames(surplus));
        }
    }

    /// A port whose place is taken by another of the same name.
    fn abandon(&mut self, port: Port) {
        match port.status {
            Status::Open(open) | Status::Closing(open) => {
                for worker in &mut self.workers {
                    let _ = worker.send(Command::RemovePort(port.id));
                }
                // The queues come back one by one; program and link end here.
                let Open { port, frames, .. } = *open;
                self.close_in_background("", PortId(u16::MAX), port, frames);
            }
            Status::Missing | Status::Opening | Status::Failed(..) => {}
        }
    }

    /// Everything that hangs on a port learns of its change.
    fn port_changed(&mut self, name: &str) {
        let Some(port) = self.ports.all.get_mut(name) else { return };
        port.changes += 1;
        let port = &self.ports.all[name];
        let owner = self.objects.ports.get(name).map_or("", |o| self.objects.owner_name(o.owner));
        let state = self.ports.state(name, port, owner);
        // Nobody may be watching.
        let _ = self.events.send(v1::Event {
            at_ns: super::stats::monotonic_ns(),
            event: Some(v1::event::Event::Port(state)),
        });
        for interface in self.interfaces_of(name) {
            self.refresh_interface(&interface);
        }
    }

    /// Links of an earlier life whose ports nobody wants any more: their programs go.
    pub(super) fn drop_kept_links(&mut self) {
        for (device, _) in self.ports.kept.drain() {
            let _ = fdstore::forget(&kept_name(&device));
        }
    }

    /// Closes every port at an orderly stop. The workers have ended and given all queues back.
    pub(super) async fn close_all_ports(&mut self) {
        let all = std::mem::take(&mut self.ports.all);
        let close = move || {
            for port in all.into_values() {
                if let Status::Open(open) | Status::Closing(open) = port.status {
                    open.port.close();
                }
                port.forwarding.into_iter().for_each(KernelForwarding::restore);
            }
        };
        let _ = tokio::task::spawn_blocking(close).await;
    }
}

/// The name under which the supervisor keeps a device's link.
fn kept_name(device: &str) -> String {
    format!("{KEPT_PREFIX}{device}")
}

/// What the names of kept links begin with.
pub(super) const KEPT_PREFIX: &str = "xdp-";

fn new_port(id: PortId, kind: PortKind, device: &str, message: &v1::Port) -> Port {
    Port {
        id,
        kind,
        device: device.to_owned(),
        mode: message.xdp_mode(),
        admin_down: message.admin_down,
        macs: Vec::new(),
        status: Status::Missing,
        forwarding: None,
        doomed: false,
        changes: 0,
    }
}

fn modes(mode: v1::XdpMode) -> Vec<BindMode> {
    match mode {
        v1::XdpMode::Auto => vec![BindMode::ZeroCopy, BindMode::Copy, BindMode::Generic],
        v1::XdpMode::Native => vec![BindMode::ZeroCopy, BindMode::Copy],
        v1::XdpMode::Generic => vec![BindMode::Generic],
    }
}

const fn no_socket(fail_open: bool) -> NoSocket {
    if fail_open { NoSocket::Pass } else { NoSocket::Drop }
}

fn describe(port: &OpenedPort, state: &mut v1::PortState) {
    let report = &port.report;
    state.driver.clone_from(&report.driver);
    state.queues = report.queues.len() as u32;
    state.attach_mode = report.xdp_mode.to_string();
    let bind = |zero_copy| if zero_copy { "zero-copy" } else { "copy" };
    state.bind_modes = report.queues.iter().map(|queue| bind(queue.zero_copy).to_owned()).collect();
    let kept = report.offloads_kept.iter().map(|kept| format!("{kept} stays on"));
    state.message =
        report.fallbacks.iter().map(|why| format!("not {why}")).chain(kept).collect::<Vec<_>>().join("; ");
    let Ok(counters) = port.program.counters() else { return };
    let named = [
        ("redirected", counters.redirected, "Given to a worker's socket."),
        ("other_mac", counters.other_mac, "Unicast to an address that is not ours; dropped."),
        ("no_socket_dropped", counters.no_socket_dropped, "No socket on the queue; dropped."),
        ("no_socket_passed", counters.no_socket_passed, "No socket on the queue; left to the kernel."),
        ("runt", counters.runt, "Shorter than an Ethernet header; dropped."),
        ("redirect_failed", counters.redirect_failed, "The socket went away meanwhile; dropped."),
    ];
    let kernel = port.monitors.iter().filter_map(ze_xsk::Monitor::statistics);
    let (mut dropped, mut ring_full, mut fill_empty) = (0, 0, 0);
    for statistics in kernel {
        dropped += statistics.rx_dropped;
        ring_full += statistics.rx_ring_full;
        fill_empty += statistics.fill_ring_empty;
    }
    let kernel = [
        ("kernel_rx_dropped", dropped, "Dropped by the kernel: too long for a frame, or none was free."),
        ("kernel_rx_ring_full", ring_full, "Dropped by the kernel: the worker did not keep up."),
        ("kernel_fill_ring_empty", fill_empty, "Dropped by the kernel: the fill ring was empty."),
    ];
    let counter = |(name, value, sentence): (&str, u64, &str)| v1::NamedCounter {
        name: name.into(),
        value,
        sentence: sentence.into(),
    };
    state.xdp = named.into_iter().chain(kernel).map(counter).collect();
}

fn queue_stats(port: &str, queue: u32, stats: &QueueStats, ring: u64) -> v1::QueueStats {
    v1::QueueStats {
        port: port.into(),
        queue,
        rx_packets: stats.rx_packets.get(),
        rx_bytes: stats.rx_bytes.get(),
        tx_packets: stats.tx_packets.get(),
        tx_bytes: stats.tx_bytes.get(),
        rx_wakes: stats.rx_wakes.get(),
        tx_wakes: stats.tx_wakes.get(),
        tx_ring_full: stats.tx_ring_full.get(),
        fill_starved: stats.fill_starved.get(),
        errors: stats.errors.get(),
        fill_level: stats.fill_level.get(),
        tx_level: stats.tx_level.get(),
        ring_size: ring,
    }
}
