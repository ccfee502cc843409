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

mod bank;
mod lifecycle;
mod report;

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;
use ze_fib::PortKind;
use ze_graph::{Frame, QueueStats};
use ze_packet::{InterfaceId, MacAddr, PortId, WorkerId};
use ze_proto::v1;
use ze_punt::representor::Representor;
use ze_redirect::NoSocket;
use ze_xsk::{BindMode, Health, Lanes, MTU_MAX, OpenedPort, Umem};

use super::apply::refused;
use super::kernel_forwarding::KernelForwarding;
use super::objects::{self, OwnerId, device_of};
use super::parse::Refused;
use super::{Control, LinkEvent};
use crate::fdstore;
pub use bank::Bank;
use bank::Need;

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
    /// What its fill rings take, as of the last time that was known.
    fill_frames: usize,
    status: Status,
    /// Nobody wants it any more: it goes once it is closed.
    doomed: bool,
    changes: u64,
}

/// Every port, by name; representors by the name of their outer end.
pub(super) struct Ports {
    all: BTreeMap<String, Port>,
    umem: Arc<Umem>,
    /// By what busy ports in copy mode send.
    lanes: Option<Arc<Lanes>>,
    /// Frames for fill rings.
    bank: Bank,
    /// Links of an earlier life, by device.
    kept: HashMap<String, OwnedFd>,
    /// The kernel's own forwarding, off on a device from its first opening until the port is given up.
    forwarding: KernelForwarding,
    fail_open: bool,
    links: HashMap<String, super::Link>,
}

impl Ports {
    pub(super) fn new(
        umem: Arc<Umem>,
        lanes: Option<Arc<Lanes>>,
        bank: Bank,
        kept: HashMap<String, OwnedFd>,
        forwarding: KernelForwarding,
    ) -> Self {
        Self {
            all: BTreeMap::new(),
            umem,
            lanes,
            bank,
            kept,
            forwarding,
            fail_open: false,
            links: HashMap::new(),
        }
    }

    /// Takes the frames for a port's fill rings out of the bank.
    ///
    /// # Errors
    /// When there are too few, with how many would do.
    fn frames_for(&mut self, name: &str, queues: usize) -> Result<Vec<Frame>, String> {
        let Some(port) = self.all.get(name) else { return Ok(vec![]) };
        let (kind, wanted) = (port.kind, port.fill_frames);
        let (mut held, mut need) = (0, Need::default());
        for port in self.all.values() {
            let wanted = if port.doomed { 0 } else { port.fill_frames };
            match (port.kind, &port.status) {
                (PortKind::Network, _) => need.network += wanted,
                (PortKind::Representor(_), Status::Missing | Status::Failed(..)) => {
                    need.representors += wanted;
                }
                (PortKind::Representor(_), Status::Opening | Status::Open(_) | Status::Closing(_)) => {
                    need.representors += wanted;
                    held += port.fill_frames;
                }
            }
        }
        let free = self.bank.free(kind, held);
        if wanted > free {
            return Err(bank::refusal(queues, wanted, free, need));
        }
        Ok(self.bank.take(wanted))
    }

    /// Gives the kernel its forwarding back on a device, unless it is a port still.
    fn restore_forwarding_of(&mut self, gone: &str) {
        let all = &self.all;
        let is_port = |device: &str| all.values().any(|port| port.device == device);
        self.forwarding.restore_except(|device| device != gone || is_port(device));
    }

    /// The same on all devices: those of an earlier life are given up too, so this is for when all ports are known.
    fn restore_forwarding(&mut self) {
        let all = &self.all;
        self.forwarding.restore_except(|device| all.values().any(|port| port.device == device));
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

    /// Every port's name and number.
    pub(super) fn names(&self) -> impl Iterator<Item = (&String, PortId)> {
        self.all.iter().map(|(name, port)| (name, port.id))
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
            let device = std::mem::replace(&mut port.device, device_of(&message).to_owned());
            let other = device != port.device || port.mode != mode;
            (port.mode, port.admin_down) = (mode, message.admin_down);
            if other {
                self.close_port(&name);
                self.ports.restore_forwarding_of(&device);
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

    /// Tells all ports which devices take pages: something has changed, or a second has passed.
    pub(super) fn tell_targets(&self) {
        let Some(targets) = &self.targets else { return };
        // Who is not known to take them does not get any.
        let targets = targets.now().unwrap_or_default();
        for port in self.ports.all.values() {
            if let Status::Open(open) = &port.status {
                open.port.monitors.iter().for_each(|monitor| monitor.tell_targets(&targets));
            }
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

    /// What an earlier life left of ports that nobody wants any more: XDP programs, switches of the kernel.
    pub(super) fn drop_kept(&mut self) {
        for (device, _) in self.ports.kept.drain() {
            let _ = fdstore::forget(&kept_name(&device));
        }
        self.ports.restore_forwarding();
    }

    /// Closes every port at an orderly stop. The workers have ended and given all queues back.
    pub(super) async fn close_all_ports(&mut self) {
        let all = std::mem::take(&mut self.ports.all);
        let close = move || {
            for port in all.into_values() {
                if let Status::Open(open) | Status::Closing(open) = port.status {
                    open.port.close();
                }
            }
        };
        let _ = tokio::task::spawn_blocking(close).await;
        self.ports.restore_forwarding();
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
        fill_frames: 0,
        status: Status::Missing,
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
