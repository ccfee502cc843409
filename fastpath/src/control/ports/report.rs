//! Ports as the API reports them.

use ze_fib::PortKind;
use ze_graph::QueueStats;
use ze_packet::WorkerId;
use ze_proto::v1;

use super::{Open, Port, Ports, Status};
use crate::control::Control;

impl Control {
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
}

impl Ports {
    /// The state of a port's link.
    pub(in crate::control) fn link_state(&self, name: &str) -> v1::LinkState {
        let Some(port) = self.all.get(name) else { return v1::LinkState::Missing };
        match &port.status {
            Status::Missing => v1::LinkState::Missing,
            Status::Failed(..) => v1::LinkState::Failed,
            Status::Opening | Status::Closing(_) => v1::LinkState::Down,
            Status::Open(_) if self.underlay(name).up => v1::LinkState::Up,
            Status::Open(_) => v1::LinkState::Down,
        }
    }

    /// The queues that a worker polls.
    pub(in crate::control) fn queue_stats(&self, worker: WorkerId) -> Vec<v1::QueueStats> {
        let mut out = Vec::new();
        for (name, port) in &self.all {
            let Status::Open(open) = &port.status else { continue };
            for (_, queue, stats, ring) in open.queues.iter().filter(|(of, ..)| *of == worker) {
                out.push(queue_stats(name, *queue, stats, *ring));
            }
        }
        out
    }

    /// A port as the API reports it.
    pub(super) fn state(&self, name: &str, port: &Port, owner: &str) -> v1::PortState {
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
            Status::Open(open) => describe(open, &mut state),
            Status::Missing => state.message = format!("there is no device '{}'", port.device),
            Status::Opening | Status::Closing(_) => {}
        }
        if port.admin_down {
            state.message = "administratively down".into();
        }
        state
    }
}

fn describe(open: &Open, state: &mut v1::PortState) {
    let port = &open.port;
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
        ("exchanged", counters.exchanged, "Given to a worker in exchange for what it sends."),
        (
            "exchange_full",
            counters.exchange_full,
            "Not taken by a worker that exchanges and did not keep up; dropped.",
        ),
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
    let sum = |of: fn(&QueueStats) -> u64| open.queues.iter().map(|(_, _, stats, _)| of(stats)).sum();
    let carried = [
        ("carried", sum(|stats| stats.tx_carried.get()), "Sent in the page of a received frame."),
        (
            "taken_back",
            sum(|stats| stats.tx_taken_back.get()),
            "Waited for such a page, and sent by the socket.",
        ),
    ];
    let counter = |(name, value, sentence): (&str, u64, &str)| v1::NamedCounter {
        name: name.into(),
        value,
        sentence: sentence.into(),
    };
    state.xdp = named.into_iter().chain(carried).chain(kernel).map(counter).collect();
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
        rx_exchanged: stats.rx_exchanged.get(),
        tx_carried: stats.tx_carried.get(),
        tx_taken_back: stats.tx_taken_back.get(),
    }
}
