//! The control thread's part: what the worker punts goes to the neighbour engine, and what the engine wants is done.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ze_graph::{Message, MessageKind};
use ze_packet::ethernet::{self, ethertype};
use ze_packet::{InterfaceId, MacAddr, ipv6};
use ze_punt::neighbor::Output;

use super::Memory;

/// Bytes in front of a held packet: interface and flags.
const HELD_HEADER_BYTES: usize = 4;

impl Memory {
    /// Says whether there were any.
    pub(super) fn handle_messages(&mut self) -> bool {
        let mut any = false;
        while let Ok(message) = self.worker.messages.pop() {
            any = true;
            match message.kind {
                MessageKind::Frame(_) => self.handle_frame(&message),
                MessageKind::Unresolved => self.resolve(&message),
                MessageKind::Send | MessageKind::Forward | MessageKind::Unreachable => {
                    unreachable!("{:?} goes to workers", message.kind)
                }
            }
        }
        any
    }

    fn resolve(&mut self, message: &Message) {
        let gateway: IpAddr = if message.gateway_is_ip6 {
            Ipv6Addr::from(message.gateway).into()
        } else {
            Ipv4Addr::from(message.gateway as u32).into()
        };
        let held =
            [&message.interface.0.to_ne_bytes()[..], &message.flags.to_ne_bytes(), message.packet()].concat();
        let now = self.now();
        self.engine.resolve(message.tx_interface, gateway, Some(held), now);
    }

    fn handle_frame(&mut self, message: &Message) {
        let now = self.now();
        let Some((header, payload)) = message.packet().split_first_chunk::<{ ethernet::HEADER_BYTES }>()
        else {
            return;
        };
        let mac = |at: usize| MacAddr(std::array::from_fn(|byte| header[at + byte]));
        match u16::from_be_bytes([header[12], header[13]]) {
            ethertype::ARP => self.engine.handle_arp(message.interface, mac(6), mac(0), payload, now),
            ethertype::IPV6 => {
                let Some((header, body)) = payload.split_first_chunk::<{ ipv6::HEADER_BYTES }>() else {
                    return;
                };
                let view = ipv6::View(header);
                let (from, to) = (view.source().into(), view.destination().into());
                let body = body.get(..usize::from(view.payload_len_bytes())).unwrap_or(body);
                self.engine.handle_nd(message.interface, mac(6), from, to, view.hop_limit(), body, now);
            }
            _ => {}
        }
    }

    /// Does what the neighbour engine wants done. Says whether it wanted anything.
    pub(super) fn settle(&mut self) -> bool {
        let mut any = false;
        while let Some(output) = self.engine.poll_output() {
            any = true;
            match output {
                Output::Transmit { interface, frame } => {
                    self.message(MessageKind::Send, interface, 0, &frame)
                }
                Output::Resolved { interface, address, mac } => {
                    // The tables have room for a handful of neighbours.
                    let _ = self.fib.neighbor_resolved(interface, address, mac);
                }
                Output::Withdrawn { interface, address } => self.fib.neighbor_withdrawn(interface, address),
                Output::Release { interface, mac, packets, .. } => self.release(interface, mac, &packets),
                Output::Unreachable { packets, .. } => self.give_back(MessageKind::Unreachable, &packets),
            }
        }
        any
    }

    /// Link-local destinations have no adjacency: what waited for one gets its header here.
    fn release(&mut self, interface: InterfaceId, mac: MacAddr, held: &[Vec<u8>]) {
        let (link_local, others): (Vec<_>, Vec<_>) = held.iter().cloned().partition(|held| {
            let header = held.get(HELD_HEADER_BYTES..).and_then(|packet| packet.first_chunk());
            let view = header.map(ipv6::View);
            view.is_some_and(|view| view.version() == 6 && ipv6::is_link_local(view.destination()))
        });
        for held in link_local {
            let Some(own) = self.fib.interface(interface).map(|spec| spec.mac) else { continue };
            let kind = ethertype::IPV6.to_be_bytes();
            let packet = held.get(HELD_HEADER_BYTES..).unwrap_or_default();
            self.message(MessageKind::Send, interface, 0, &[&mac.0, &own.0, &kind[..], packet].concat());
        }
        self.give_back(MessageKind::Forward, &others);
    }

    fn give_back(&mut self, kind: MessageKind, held: &[Vec<u8>]) {
        for held in held {
            let Some(([i0, i1, f0, f1], packet)) = held.split_first_chunk::<HELD_HEADER_BYTES>() else {
                continue;
            };
            let interface = InterfaceId(u16::from_ne_bytes([*i0, *i1]));
            self.message(kind, interface, u16::from_ne_bytes([*f0, *f1]), packet);
        }
    }

    fn message(&mut self, kind: MessageKind, interface: InterfaceId, flags: u16, packet: &[u8]) {
        if let Some(mut message) = Message::new(kind, interface, packet) {
            message.flags = flags;
            // A full ring loses the packet, and the scenario that expects it fails.
            self.worker.send_message(message);
        }
    }
}
