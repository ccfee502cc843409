//! ARP: RFC 826, with the conduct of RFC 5227 towards probes, announcements and conflicts.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use ze_packet::arp::{self, Message, Operation};
use ze_packet::{InterfaceId, MacAddr};

use super::engine::Engine;
use super::fsm::State;
use super::transmit::arp_frame;
use super::{Interface, Output};

impl Engine {
    /// An ARP message came in: `bytes` follow the Ethernet header (and the VLAN tags).
    pub fn handle_arp(
        &mut self,
        interface: InterfaceId,
        l2_source: MacAddr,
        l2_destination: MacAddr,
        bytes: &[u8],
        now: Instant,
    ) {
        let message = match Message::decode(bytes) {
            Ok(message) => message,
            Err(error) => return self.count_malformed_arp(error),
        };
        match message.operation {
            Operation::Request => self.counters.arp_requests_received += 1,
            Operation::Reply => self.counters.arp_replies_received += 1,
        }
        let Some(on) = self.interfaces.get(&interface).filter(|on| on.up) else {
            self.counters.interface_down += 1;
            return;
        };
        if message.sender_mac == on.mac || l2_source == on.mac {
            self.counters.reflected += 1;
            return;
        }
        match Sender::of(&message, on) {
            Sender::Impossible => self.counters.malformed_arp_sender += 1,
            Sender::Ours => self.defend((interface, message.sender.into()), now),
            Sender::Nobody => self.answer_arp(interface, &message, now),
            Sender::Neighbor => {
                let to_us = l2_destination == on.mac;
                self.handle_arp_from_neighbor(interface, &message, to_us, now);
            }
        }
    }

    fn handle_arp_from_neighbor(
        &mut self,
        interface: InterfaceId,
        message: &Message,
        to_us: bool,
        now: Instant,
    ) {
        let key = (interface, IpAddr::V4(message.sender));
        let known = self.table.get(&key).map(|entry| entry.state);
        let Some(on) = self.interfaces.get(&interface) else { return };
        if known.is_none() && !on.is_on_link(key.1) {
            self.counters.implausible_sender += 1;
            return;
        }
        let for_us = on.owns(message.target.into());
        let gratuitous = message.sender == message.target;
        self.counters.gratuitous_received += u64::from(gratuitous);
        match message.operation {
            // RFC 826: whoever asks for us will talk to us, so it is worth an entry.
            Operation::Request if for_us => {
                self.learn_new(key, message.sender_mac, now);
                self.answer_arp(interface, message, now);
            }
            Operation::Request | Operation::Reply if known.is_none() => {
                self.count_unlearned(message, gratuitous)
            }
            Operation::Request => self.learn(key, message.sender_mac, false, now),
            Operation::Reply => {
                let asked = matches!(known, Some(State::Incomplete | State::Probe));
                self.learn(key, message.sender_mac, asked && to_us && for_us, now);
            }
        }
    }

    fn count_unlearned(&mut self, message: &Message, gratuitous: bool) {
        match message.operation {
            _ if gratuitous => self.counters.unknown_neighbor += 1,
            Operation::Request => self.counters.not_for_us += 1,
            Operation::Reply => self.counters.unknown_neighbor += 1,
        }
    }

    /// Answers a request if it asks for an address of ours; also an RFC 5227 probe, which that defends it against.
    fn answer_arp(&mut self, interface: InterfaceId, request: &Message, now: Instant) {
        let Some(on) = self.interfaces.get(&interface) else { return };
        if !on.owns(request.target.into()) {
            self.counters.not_for_us += 1;
            return;
        }
        let reply = Message {
            operation: Operation::Reply,
            sender_mac: on.mac,
            sender: request.target,
            target_mac: request.sender_mac,
            target: request.sender,
        };
        if self.may_reply(now) {
            self.counters.arp_replies_sent += 1;
            self.output(Output::Transmit { interface, frame: arp_frame(request.sender_mac, &reply) });
        }
    }

    /// Asks for `target`: everybody, or a known neighbour alone (RFC 1122 §2.3.2.1 (2), unicast poll).
    pub(super) fn send_arp_request(
        &mut self,
        interface: InterfaceId,
        target: Ipv4Addr,
        known: Option<MacAddr>,
    ) {
        let Some(on) = self.interfaces.get(&interface) else { return };
        let Some(sender) = on.v4_source_for(target) else {
            self.counters.no_source_address += 1;
            return;
        };
        let sender_mac = on.mac;
        let request =
            Message { operation: Operation::Request, sender_mac, sender, target_mac: MacAddr::ZERO, target };
        self.counters.arp_requests_sent += 1;
        let frame = arp_frame(known.unwrap_or(MacAddr::BROADCAST), &request);
        self.output(Output::Transmit { interface, frame });
    }

    /// A request, not a reply: every ARP implementation updates its cache from one (RFC 5227 §3).
    pub(super) fn send_gratuitous_arp(&mut self, interface: InterfaceId, address: Ipv4Addr) {
        let Some(on) = self.interfaces.get(&interface) else { return };
        let announcement = Message {
            operation: Operation::Request,
            sender_mac: on.mac,
            sender: address,
            target_mac: MacAddr::ZERO,
            target: address,
        };
        self.counters.arp_requests_sent += 1;
        let frame = arp_frame(MacAddr::BROADCAST, &announcement);
        self.output(Output::Transmit { interface, frame });
    }

    fn count_malformed_arp(&mut self, error: arp::Error) {
        match error {
            arp::Error::Short(_) => self.counters.malformed_arp_short += 1,
            arp::Error::NotEthernetIpv4 => self.counters.malformed_arp_type += 1,
            arp::Error::Operation(_) => self.counters.malformed_arp_operation += 1,
            arp::Error::SenderMac(_) => self.counters.malformed_arp_sender += 1,
        }
    }
}

/// Whose address the sender shows.
enum Sender {
    /// A possible neighbour's.
    Neighbor,
    /// None: an RFC 5227 probe.
    Nobody,
    /// One of ours: a conflict.
    Ours,
    /// One no host may have.
    Impossible,
}

impl Sender {
    fn of(message: &Message, on: &Interface) -> Self {
        let sender = message.sender;
        if sender.is_unspecified() && message.operation == Operation::Request {
            return Self::Nobody;
        }
        if on.owns(sender.into()) {
            return Self::Ours;
        }
        if on.may_be_neighbor(sender.into()) { Self::Neighbor } else { Self::Impossible }
    }
}
