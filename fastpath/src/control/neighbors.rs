//! The glue between the neighbour engine, the workers that carry its packets, and the tables it feeds.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use ze_graph::{Message, MessageKind, flag};
use ze_packet::ethernet::{self, ethertype};
use ze_packet::{InterfaceId, MacAddr, NexthopId, ipv4, ipv6};
use ze_punt::neighbor::Output;

use super::Control;

/// Bytes that go in front of a held packet: what a later forwarding of it must know.
const HELD_HEADER_BYTES: usize = 4;

/// What the glue remembers and counts.
#[derive(Default)]
pub(super) struct Glue {
    /// Packets by nexthop at the last look.
    carried: HashMap<NexthopId, u64>,
    /// Messages that no worker took.
    pub(super) messages_lost: u64,
    /// Frames that were neither ARP nor ND, or too short to be.
    pub(super) malformed: u64,
    /// Neighbours that found no room in the tables.
    pub(super) table_full: u64,
}

impl Control {
    /// A worker has punted a packet to us.
    pub(super) fn handle_message(&mut self, message: &Message) {
        let now = Instant::now();
        match message.kind {
            MessageKind::Frame(_) => self.handle_frame(message, now),
            MessageKind::Unresolved => {
                let gateway = gateway_of(message);
                let held = hold(message.interface, message.flags, message.packet());
                self.neighbors.resolve(message.tx_interface, gateway, Some(held), now);
            }
            // These go the other way.
            MessageKind::Send | MessageKind::Forward | MessageKind::Unreachable => {
                self.neighbor_glue.malformed += 1;
            }
        }
    }

    /// Asks for a neighbour before the first packet needs it.
    pub(super) fn want_neighbor(&mut self, interface: InterfaceId, address: IpAddr) {
        self.neighbors.resolve(interface, address, None, Instant::now());
    }

    /// Does what the neighbour engine wants done. Call after everything that tells it something.
    pub(super) fn settle(&mut self) {
        while let Some(output) = self.neighbors.poll_output() {
            match output {
                Output::Transmit { interface, frame } => self.send_frame(interface, &frame),
                Output::Resolved { interface, address, mac } => {
                    if self.fib.neighbor_resolved(interface, address, mac).is_err() {
                        self.neighbor_glue.table_full += 1;
                    }
                }
                Output::Withdrawn { interface, address } => {
                    self.fib.neighbor_withdrawn(interface, address);
                }
                Output::Release { interface, mac, packets, .. } => {
                    packets.iter().for_each(|held| self.release(interface, mac, held));
                }
                Output::Unreachable { packets, .. } => {
                    packets.iter().for_each(|held| self.unreachable(held));
                }
            }
        }
    }

    /// Tells the engine which neighbours carried traffic since the last call (once a second).
    pub(super) fn report_traffic(&mut self) {
        let now = Instant::now();
        let gateways: Vec<_> = self.fib.gateways().collect();
        let mut carried = HashMap::with_capacity(gateways.len());
        for (nexthop, interface, address) in gateways {
            let of_worker =
                |w: &ze_worker::WorkerHandle| w.counters.nexthop(nexthop).map_or(0, |t| t.packets.get());
            let total: u64 = self.workers.iter().map(of_worker).sum();
            let before = self.neighbor_glue.carried.get(&nexthop).copied().unwrap_or(total);
            self.neighbors.in_use(interface, address, total.saturating_sub(before), now);
            carried.insert(nexthop, total);
        }
        self.neighbor_glue.carried = carried;
        // Perhaps no packet asks: while a backup waits there is none for it, while it is in force none for the other.
        for (interface, address, is_known) in self.fib.armed_gateways() {
            match is_known {
                true => self.neighbors.in_use(interface, address, 1, now),
                false => self.want_neighbor(interface, address),
            }
        }
        self.settle();
    }

    fn handle_frame(&mut self, message: &Message, now: Instant) {
        let Some((header, payload)) = message.packet().split_first_chunk::<{ ethernet::HEADER_BYTES }>()
        else {
            self.neighbor_glue.malformed += 1;
            return;
        };
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, e0, e1] = *header;
        let (destination, source) = (MacAddr([d0, d1, d2, d3, d4, d5]), MacAddr([s0, s1, s2, s3, s4, s5]));
        match u16::from_be_bytes([e0, e1]) {
            ethertype::ARP => self.neighbors.handle_arp(message.interface, source, destination, payload, now),
            ethertype::IPV6 => self.handle_nd(message.interface, source, payload, now),
            _ => self.neighbor_glue.malformed += 1,
        }
    }

    fn handle_nd(&mut self, interface: InterfaceId, l2_source: MacAddr, packet: &[u8], now: Instant) {
        let Some((header, rest)) = packet.split_first_chunk::<{ ipv6::HEADER_BYTES }>() else {
            self.neighbor_glue.malformed += 1;
            return;
        };
        let view = ipv6::View(header);
        let message = rest.get(..usize::from(view.payload_len_bytes()));
        let (Some(message), ipv4::protocol::ICMPV6) = (message, view.next_header()) else {
            self.neighbor_glue.malformed += 1;
            return;
        };
        let (source, destination) = (Ipv6Addr::from(view.source()), Ipv6Addr::from(view.destination()));
        self.neighbors.handle_nd(interface, l2_source, source, destination, view.hop_limit(), message, now);
    }

    /// Sends an untagged Ethernet frame out of an interface.
    fn send_frame(&mut self, interface: InterfaceId, frame: &[u8]) {
        if let Some(message) = Message::new(MessageKind::Send, interface, frame) {
            self.send_to_worker(message);
        }
    }

    /// A packet whose neighbour is known now. It walks the graph again from its lookup, unless lookup would only
    /// hand it back (a link-local destination has no route): then it is sent as it is, and was not to be routed
    /// at all.
    fn release(&mut self, interface: InterfaceId, mac: MacAddr, held: &[u8]) {
        let Some((rx_interface, flags, packet)) = unhold(held) else { return };
        if is_to_link_local(packet) {
            let Some(own) = self.fib.interface(interface).map(|spec| spec.mac) else { return };
            let mut frame = vec![0; ethernet::HEADER_BYTES];
            if let Some(header) = frame.first_chunk_mut() {
                ethernet::emit(header, mac, own, ethertype::IPV6);
            }
            frame.extend_from_slice(packet);
            return self.send_frame(interface, &frame);
        }
        if let Some(mut message) = Message::new(MessageKind::Forward, rx_interface, packet) {
            message.flags = flags;
            self.send_to_worker(message);
        }
    }

    fn unreachable(&mut self, held: &[u8]) {
        let Some((rx_interface, flags, packet)) = unhold(held) else { return };
        if let Some(mut message) = Message::new(MessageKind::Unreachable, rx_interface, packet) {
            message.flags = flags;
            self.send_to_worker(message);
        }
    }

    fn send_to_worker(&mut self, message: Message) {
        // The first worker reaches every port: its own, and others' through the handoff rings.
        let taken = self.workers.first_mut().is_some_and(|worker| worker.send_message(message));
        self.neighbor_glue.messages_lost += u64::from(!taken);
    }
}

fn gateway_of(message: &Message) -> IpAddr {
    if message.gateway_is_ip6 {
        return Ipv6Addr::from(message.gateway).into();
    }
    Ipv4Addr::from(message.gateway as u32).into()
}

fn hold(interface: InterfaceId, flags: u16, packet: &[u8]) -> Vec<u8> {
    let mut held = Vec::with_capacity(HELD_HEADER_BYTES + packet.len());
    held.extend_from_slice(&interface.0.to_ne_bytes());
    held.extend_from_slice(&flags.to_ne_bytes());
    held.extend_from_slice(packet);
    held
}

fn unhold(held: &[u8]) -> Option<(InterfaceId, u16, &[u8])> {
    let ([i0, i1, f0, f1], packet) = held.split_first_chunk::<HELD_HEADER_BYTES>()?;
    let flags = u16::from_ne_bytes([*f0, *f1]);
    // "Reused" speaks of a buffer, not of the packet.
    Some((InterfaceId(u16::from_ne_bytes([*i0, *i1])), flags & !flag::REUSED, packet))
}

fn is_to_link_local(packet: &[u8]) -> bool {
    let Some(header) = packet.first_chunk::<{ ipv6::HEADER_BYTES }>() else { return false };
    let view = ipv6::View(header);
    view.version() == 6 && ipv6::is_link_local(view.destination())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_packet_keeps_its_interface_and_flags() {
        let held = hold(InterfaceId(7), flag::INJECTED | flag::IPV6 | flag::REUSED, b"packet");
        let (interface, flags, packet) = unhold(&held).unwrap();
        assert_eq!((interface, flags, packet), (InterfaceId(7), flag::INJECTED | flag::IPV6, &b"packet"[..]));
        assert!(unhold(&[1, 2, 3]).is_none());
    }
}
