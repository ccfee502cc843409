//! Neighbour discovery: solicitations and advertisements, RFC 4861 §7.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use ze_packet::ipv6::solicited_node;
use ze_packet::nd::{self, Message};
use ze_packet::{InterfaceId, MacAddr};

use super::Output;
use super::engine::Engine;
use super::fsm::Event;
use super::transmit::nd_frame;

/// ff02::1, RFC 4291 §2.7.1.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Where a message came from and went to.
#[derive(Clone, Copy)]
struct Envelope {
    interface: InterfaceId,
    l2_source: MacAddr,
    source: Ipv6Addr,
    destination: Ipv6Addr,
}

/// What an advertisement says.
struct Advertisement {
    target: Ipv6Addr,
    target_mac: Option<MacAddr>,
    solicited: bool,
    override_cache: bool,
}

impl Engine {
    /// An ICMPv6 message of neighbour discovery came in: `bytes` follow the IPv6 header.
    #[expect(clippy::too_many_arguments, reason = "each is a header field of one packet")]
    pub fn handle_nd(
        &mut self,
        interface: InterfaceId,
        l2_source: MacAddr,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        hop_limit: u8,
        bytes: &[u8],
        now: Instant,
    ) {
        if hop_limit != nd::HOP_LIMIT {
            self.counters.malformed_nd_hop_limit += 1;
            return;
        }
        let message = match Message::decode(source, destination, bytes) {
            Ok(message) => message,
            Err(error) => return self.count_malformed_nd(error),
        };
        match message {
            Message::Solicitation { .. } => self.counters.nd_solicitations_received += 1,
            Message::Advertisement { .. } => self.counters.nd_advertisements_received += 1,
        }
        let Some(on) = self.interfaces.get(&interface).filter(|on| on.up) else {
            self.counters.interface_down += 1;
            return;
        };
        if l2_source == on.mac {
            self.counters.reflected += 1;
            return;
        }
        let envelope = Envelope { interface, l2_source, source, destination };
        match message {
            Message::Solicitation { target, source_mac } => {
                self.handle_solicitation(envelope, target, source_mac, now);
            }
            Message::Advertisement { target, target_mac, router: _, solicited, override_cache } => {
                let said = Advertisement { target, target_mac, solicited, override_cache };
                self.handle_advertisement(envelope, &said, now);
            }
        }
    }

    fn handle_solicitation(&mut self, from: Envelope, target: Ipv6Addr, mac: Option<MacAddr>, now: Instant) {
        let Envelope { interface, source, destination, .. } = from;
        let probe = source.is_unspecified();
        // RFC 4861 §7.1.1: a probe goes to the solicited-node group and shows no link-layer address.
        let malformed_probe = probe && (mac.is_some() || destination != solicited_node(target));
        let malformed_group = destination.is_multicast() && destination != solicited_node(target);
        if malformed_probe || malformed_group || source.is_multicast() || source.is_loopback() {
            self.counters.malformed_nd_address += 1;
            return;
        }
        let Some(on) = self.interfaces.get(&interface) else { return };
        if !on.owns(target.into()) {
            self.counters.not_for_us += 1;
            return;
        }
        if on.owns(source.into()) {
            self.defend((interface, source.into()), now);
            return;
        }
        if probe {
            // RFC 4861 §7.2.4: the prober has no address yet, so all nodes hear that it is taken.
            self.send_advertisement(
                interface,
                target,
                (MacAddr::ipv6_multicast(ALL_NODES), ALL_NODES),
                false,
                now,
            );
            return;
        }
        let key = (interface, IpAddr::V6(source));
        if !on.is_on_link(key.1) && self.table.get(&key).is_none() {
            self.counters.implausible_sender += 1;
            return;
        }
        // RFC 4861 §7.2.3: no entry is made from a solicitation without the option.
        if let Some(mac) = mac {
            self.learn_new(key, mac, now);
        }
        let reply_to = mac.or_else(|| self.mac(interface, key.1)).unwrap_or(from.l2_source);
        self.send_advertisement(interface, target, (reply_to, source), true, now);
    }

    /// RFC 4861 §7.2.5.
    fn handle_advertisement(&mut self, from: Envelope, said: &Advertisement, now: Instant) {
        let Envelope { interface, source, destination, .. } = from;
        // RFC 4861 §7.1.2: the answer to a question goes to the one who asked.
        let impossible_source = source.is_multicast() || source.is_unspecified() || source.is_loopback();
        if impossible_source || (said.solicited && destination.is_multicast()) {
            self.counters.malformed_nd_address += 1;
            return;
        }
        let key = (interface, IpAddr::V6(said.target));
        let Some(on) = self.interfaces.get(&interface) else { return };
        if on.owns(key.1) {
            self.defend(key, now);
            return;
        }
        self.counters.gratuitous_received += u64::from(!said.solicited);
        let Some(entry) = self.table.get(&key) else {
            self.counters.unknown_neighbor += 1;
            return;
        };
        match (entry.mac, said.target_mac) {
            // Without an address in the message or in the entry there is nothing to learn.
            (None, None) => self.counters.unknown_neighbor += 1,
            (None, Some(mac)) => self.learn(key, mac, said.solicited, now),
            (Some(known), Some(mac)) if mac != known && !said.override_cache => {
                self.apply(key, Event::Challenged, None, now);
            }
            (Some(known), mac) => self.learn(key, mac.unwrap_or(known), said.solicited, now),
        }
    }

    fn send_advertisement(
        &mut self,
        interface: InterfaceId,
        target: Ipv6Addr,
        to: (MacAddr, Ipv6Addr),
        solicited: bool,
        now: Instant,
    ) {
        if self.may_reply(now) {
            self.transmit_advertisement(interface, target, to, solicited);
        }
    }

    /// RFC 4861 §7.2.6, to all nodes.
    pub(super) fn send_unsolicited_advertisement(&mut self, interface: InterfaceId, target: Ipv6Addr) {
        self.transmit_advertisement(
            interface,
            target,
            (MacAddr::ipv6_multicast(ALL_NODES), ALL_NODES),
            false,
        );
    }

    fn transmit_advertisement(
        &mut self,
        interface: InterfaceId,
        target: Ipv6Addr,
        to: (MacAddr, Ipv6Addr),
        solicited: bool,
    ) {
        let Some(on) = self.interfaces.get(&interface) else { return };
        let mac = on.mac;
        // We forward, so we are a router (RFC 4861 §6.2.2), and the address is ours alone: override.
        let message = Message::Advertisement {
            target,
            target_mac: Some(mac),
            router: true,
            solicited,
            override_cache: true,
        };
        self.counters.nd_advertisements_sent += 1;
        let frame = nd_frame(to, (mac, target), &message);
        self.output(Output::Transmit { interface, frame });
    }

    /// Asks for `target`: its solicited-node group, or a known neighbour alone (RFC 4861 §7.2.2, §7.3.3).
    pub(super) fn send_nd_solicitation(
        &mut self,
        interface: InterfaceId,
        target: Ipv6Addr,
        known: Option<MacAddr>,
    ) {
        let Some(on) = self.interfaces.get(&interface) else { return };
        let Some(source) = on.v6_source_for(target) else {
            self.counters.no_source_address += 1;
            return;
        };
        let mac = on.mac;
        let group = solicited_node(target);
        let to = known.map_or((MacAddr::ipv6_multicast(group), group), |mac| (mac, target));
        self.counters.nd_solicitations_sent += 1;
        let frame = nd_frame(to, (mac, source), &Message::Solicitation { target, source_mac: Some(mac) });
        self.output(Output::Transmit { interface, frame });
    }

    fn count_malformed_nd(&mut self, error: nd::Error) {
        match error {
            nd::Error::Short(_) => self.counters.malformed_nd_short += 1,
            nd::Error::Type(..) => self.counters.malformed_nd_type += 1,
            nd::Error::Checksum => self.counters.malformed_nd_checksum += 1,
            nd::Error::MulticastTarget(_) => self.counters.malformed_nd_target += 1,
            nd::Error::Option(_) | nd::Error::Mac(_) => self.counters.malformed_nd_option += 1,
        }
    }
}
