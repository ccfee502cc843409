//! Opening and closing a port: what blocks runs on its own thread, and posts its result back.

use std::sync::Arc;
use std::time::Instant;

use tracing::{info, warn};
use ze_fib::PortKind;
use ze_graph::Frame;
use ze_packet::{PortId, WorkerId};
use ze_redirect::NoSocket;
use ze_worker::Command;
use ze_xsk::{BindMode, Device, Health, OpenedPort, PortSpec};

use super::{Open, Port, REPRESENTOR_FRAMES, Status, kept_name, modes, no_socket};
use crate::control::{Control, Link};
use crate::fdstore;

impl Control {
    // ---- opening -------------------------------------------------------------------------------------------

    pub(super) fn open(&mut self, name: &str, link: &Link) {
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
        spec.lanes.clone_from(&self.ports.lanes);
        if let PortKind::Representor(_) = port.kind {
            spec.promiscuous = true;
            spec.modes = vec![BindMode::Copy, BindMode::Generic];
            (spec.fill_frames, spec.transmit_frames) = (REPRESENTOR_FRAMES, REPRESENTOR_FRAMES * 2);
            spec.no_socket = NoSocket::Drop;
            spec.lanes = None;
        }
        let queues = spec.device.rx_queues().unwrap_or(1) as usize;
        let wanted = queues * spec.fill_frames as usize;
        port.fill_frames = wanted;
        let mut frames = match self.ports.frames_for(name, queues) {
            Ok(frames) => frames,
            Err(why) => return self.port_failed(name, why),
        };
        let Some(port) = self.ports.all.get_mut(name) else { return };
        let kept = self.ports.kept.remove(&port.device);
        spec.link = kept.and_then(|fd| ze_redirect::Link::adopt(fd).ok());
        port.status = Status::Opening;
        let (umem, jobs, name) = (Arc::clone(&self.ports.umem), self.poster(), name.to_owned());
        tokio::task::spawn_blocking(move || {
            let id = spec.id;
            let result = ze_xsk::open_port(spec, &umem, &mut frames).map_err(|e| e.to_string());
            let result = result.and_then(|port| match broken(&port) {
                None => Ok(port),
                Some(why) => {
                    frames.extend(port.close());
                    Err(why)
                }
            });
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
        self.ports.bank.give(rest);
        let wanted = self.ports.all.get(name).is_some_and(|port| port.id == id && !port.doomed);
        match result {
            Ok(port) if wanted => self.hand_out(name, port, frames),
            Ok(port) => self.close_in_background(name, id, port, frames),
            Err(why) if self.ports.all.get(name).is_some_and(|port| port.id == id) => {
                self.port_failed(name, why);
            }
            // Another one has its name now.
            Err(_) => {}
        }
    }

    fn port_failed(&mut self, name: &str, why: String) {
        let Some(port) = self.ports.all.get_mut(name) else { return };
        if !matches!(&port.status, Status::Failed(old, _) if *old == why) {
            warn!(port = name, %why, "the port can not be used");
        }
        port.status = Status::Failed(why, Instant::now());
        self.port_changed(name);
        self.remove_if_doomed(name);
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
        if kind == PortKind::Network
            && let Err(error) = self.ports.forwarding.switch_off(&port.device)
        {
            warn!(port = name, %error, "the kernel's own forwarding on the port");
        }
        // They may have changed while it was being opened: another device of the same name has another address.
        let macs: Vec<_> = port.macs.iter().map(|mac| mac.0).collect();
        if !macs.is_empty()
            && let Err(error) = opened.program.set_macs(&macs)
        {
            warn!(port = name, %error, "the port's addresses");
        }
        let mut open = Open { out: 0, queues: Vec::new(), frames, port: opened };
        for ((mut queue, worker), report) in queues.into_iter().zip(&owners).zip(reports) {
            let ring = u64::from(if matches!(kind, PortKind::Network) {
                ze_xsk::FILL_FRAMES_DEFAULT
            } else {
                REPRESENTOR_FRAMES
            });
            queue.assign(WorkerId(*worker as u8));
            open.queues.push((WorkerId(*worker as u8), report.queue, queue.stats(), ring));
            self.workers[*worker].send(Command::add_port(queue, kind));
            open.out += 1;
        }
        for (at, worker) in self.workers.iter_mut().enumerate().filter(|(at, _)| !owners.contains(at)) {
            let owner = owners[at % owners.len()];
            worker.send(Command::RemotePort(id, WorkerId(owner as u8)));
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
        self.tell_targets();
    }

    // ---- closing -------------------------------------------------------------------------------------------

    pub(super) fn close_port(&mut self, name: &str) {
        let Some(port) = self.ports.all.get_mut(name) else { return };
        match std::mem::replace(&mut port.status, Status::Missing) {
            Status::Open(open) => {
                let (id, out) = (port.id, open.out);
                port.status = Status::Closing(open);
                for worker in &mut self.workers {
                    worker.send(Command::RemovePort(id));
                }
                if out == 0 {
                    self.all_queues_back(name);
                }
                self.port_changed(name);
            }
            other => port.status = other,
        }
    }

    pub(super) fn doom_port(&mut self, name: &str) {
        let Some(port) = self.ports.all.get_mut(name) else { return };
        port.doomed = true;
        if port.kind == PortKind::Network {
            let _ = fdstore::forget(&kept_name(&port.device));
        }
        self.close_port(name);
        self.remove_if_doomed(name);
    }

    pub(super) fn remove_if_doomed(&mut self, name: &str) {
        let over = |port: &Port| port.doomed && matches!(port.status, Status::Missing | Status::Failed(..));
        if self.ports.all.get(name).is_some_and(over)
            && let Some(port) = self.ports.all.remove(name)
        {
            self.ports.restore_forwarding_of(&port.device);
        }
    }

    /// A worker has given a queue pair back.
    pub(in crate::control) fn queue_returned(&mut self, queue: Box<dyn ze_graph::Port>) {
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
        match std::mem::replace(&mut port.status, Status::Opening) {
            Status::Closing(open) => {
                let Open { port, frames, .. } = *open;
                self.close_in_background(name, id, port, frames);
            }
            // The workers have ended; all ports are closed together after that.
            other => port.status = other,
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
        self.ports.bank.give(frames);
        if !surplus.is_empty()
            && let Some(worker) = self.workers.first_mut()
        {
            worker.send(Command::GiveFrames(surplus));
        }
    }

    /// A port whose place is taken by another of the same name.
    pub(super) fn abandon(&mut self, port: Port) {
        match port.status {
            Status::Open(open) | Status::Closing(open) => {
                for worker in &mut self.workers {
                    worker.send(Command::RemovePort(port.id));
                }
                // The queues come back one by one; program and link end here.
                let Open { port, frames, .. } = *open;
                self.close_in_background("", PortId(u16::MAX), port, frames);
            }
            Status::Missing | Status::Opening | Status::Failed(..) => {}
        }
    }
}

/// What the self-test of a port found. A device that is down takes no wake-up, and will when it is up: not broken.
fn broken(port: &OpenedPort) -> Option<String> {
    let error = port.self_test().err()?;
    let is_down = port.monitors.iter().any(|monitor| monitor.health() == Health::Down);
    (!is_down).then(|| error.to_string())
}
