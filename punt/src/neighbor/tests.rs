//! Engines in virtual time.

mod arp;
mod flow;
mod limit;
mod malformed;
mod nd;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use ze_packet::ethernet::ethertype;
use ze_packet::{InterfaceId, MacAddr};

use super::{Engine, Interface, Limits, Neighbor, Output, State};

pub(super) const IF: InterfaceId = InterfaceId(1);
pub(super) const MAC_A: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xa]);
pub(super) const MAC_B: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xb]);
pub(super) const MAC_C: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xc]);

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(super) fn ip4(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

pub(super) fn ip6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

pub(super) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(super) fn interface(mac: MacAddr, host: u8) -> Interface {
    Interface {
        id: IF,
        mac,
        addresses: vec![
            format!("10.0.0.{host}/24").parse().unwrap(),
            format!("2001:db8::{host}/64").parse().unwrap(),
        ],
        link_local: Some(mac.link_local()),
        up: true,
    }
}

/// One engine, its time, and everything it said.
pub(super) struct Host {
    pub(super) engine: Engine,
    pub(super) now: Instant,
    pub(super) outputs: Vec<Output>,
}

impl Host {
    pub(super) fn new(mac: MacAddr, host: u8) -> Self {
        Self::with(Limits::default(), mac, host)
    }

    /// A host whose announcements are over.
    pub(super) fn with(limits: Limits, mac: MacAddr, host: u8) -> Self {
        let mut engine = Engine::new(limits, 42);
        let now = Instant::now();
        engine.put_interface(interface(mac, host), now);
        let mut this = Self { engine, now, outputs: Vec::new() };
        this.sleep(seconds(2));
        this.outputs.clear();
        this
    }

    /// Moves on, firing every timer at its time.
    pub(super) fn sleep(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.engine.handle_timeout(self.now);
            self.collect();
            assert!(
                self.engine.poll_timeout().is_none_or(|next| next > self.now),
                "a timer that fired is over"
            );
        }
        self.now = end;
    }

    pub(super) fn collect(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            self.outputs.push(output);
        }
    }

    /// What was said since the last call.
    pub(super) fn said(&mut self) -> Vec<Output> {
        self.collect();
        std::mem::take(&mut self.outputs)
    }

    /// The frames of what was said since the last call.
    pub(super) fn frames(&mut self) -> Vec<Vec<u8>> {
        let frame = |output| match output {
            Output::Transmit { interface: IF, frame } => Some(frame),
            _ => None,
        };
        self.said().into_iter().filter_map(frame).collect()
    }

    pub(super) fn resolve(&mut self, address: &str, packet: Option<u8>) {
        self.engine.resolve(IF, ip(address), packet.map(|byte| vec![byte]), self.now);
        self.collect();
    }

    /// Gives the engine a frame as the fast path punts it.
    pub(super) fn receive(&mut self, frame: &[u8]) {
        let mac = |at: usize| MacAddr(frame[at..at + 6].try_into().unwrap());
        let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&frame[at..at + 16]).unwrap());
        match u16::from_be_bytes([frame[12], frame[13]]) {
            ethertype::ARP => self.engine.handle_arp(IF, mac(6), mac(0), &frame[14..], self.now),
            ethertype::IPV6 => {
                let now = self.now;
                self.engine.handle_nd(IF, mac(6), address(22), address(38), frame[21], &frame[54..], now);
            }
            other => panic!("ethertype {other:04x}"),
        }
        self.collect();
    }

    pub(super) fn neighbor(&self, address: &str) -> Option<Neighbor> {
        self.engine.snapshot(self.now).find(|neighbor| neighbor.address == ip(address))
    }

    pub(super) fn state(&self, address: &str) -> Option<State> {
        self.neighbor(address).map(|neighbor| neighbor.state)
    }

    /// The neighbour is known and confirmed: asked for, and answered by `mac`.
    pub(super) fn make_reachable(&mut self, address: &str, mac: MacAddr) {
        self.resolve(address, None);
        let answer = match ip(address) {
            IpAddr::V4(from) => arp::reply(from, mac, ip4("10.0.0.1"), MAC_A),
            IpAddr::V6(from) => nd::advertisement(from, Some(mac), (from, mac), ip6("2001:db8::1"), 0b011),
        };
        self.receive(&answer);
        assert_eq!(self.state(address), Some(State::Reachable));
        self.outputs.clear();
    }

    /// The neighbour is known and lately unconfirmed.
    pub(super) fn make_stale(&mut self, address: &str, mac: MacAddr) {
        self.make_reachable(address, mac);
        self.sleep(seconds(46));
        assert_eq!(self.state(address), Some(State::Stale));
        self.outputs.clear();
    }

    /// Packets that came in equal packets that went somewhere or still wait.
    pub(super) fn assert_conserved(&self) {
        let c = self.engine.counters();
        let gone =
            c.held_released + c.held_unreachable + c.held_overflow + c.held_total_overflow + c.held_discarded;
        assert_eq!(c.held_in, gone + self.engine.held() as u64);
        let waiting: usize = self.engine.snapshot(self.now).map(|neighbor| neighbor.held).sum();
        assert_eq!(waiting, self.engine.held());
    }
}

/// Two hosts on one wire. Time passes for both.
pub(super) struct Wire {
    pub(super) a: Host,
    pub(super) b: Host,
    /// How many of the next frames get lost.
    pub(super) lose: usize,
    /// What each has said besides frames.
    pub(super) news: [Vec<Output>; 2],
}

impl Wire {
    pub(super) fn new() -> Self {
        let (a, b) = (Host::new(MAC_A, 1), Host::new(MAC_B, 2));
        Self { a, b, lose: 0, news: Default::default() }
    }

    /// Carries frames until both are silent.
    pub(super) fn settle(&mut self) {
        loop {
            let mut frames: VecDeque<(usize, Vec<u8>)> = VecDeque::new();
            for (side, host) in [&mut self.a, &mut self.b].into_iter().enumerate() {
                for output in host.said() {
                    match output {
                        Output::Transmit { frame, .. } => frames.push_back((1 - side, frame)),
                        other => self.news[side].push(other),
                    }
                }
            }
            if frames.is_empty() {
                return;
            }
            for (to, frame) in frames {
                if self.lose > 0 {
                    self.lose -= 1;
                    continue;
                }
                let host = if to == 0 { &mut self.a } else { &mut self.b };
                // A switch: group frames reach everybody, others their owner.
                let destination = MacAddr(frame[..6].try_into().unwrap());
                let own = if to == 0 { MAC_A } else { MAC_B };
                if destination.is_group() || destination == own {
                    host.receive(&frame);
                }
            }
        }
    }

    pub(super) fn sleep(&mut self, duration: Duration) {
        // Small steps, so that an answer comes long before the next timer.
        let step = Duration::from_millis(100);
        for _ in 0..duration.as_millis() / step.as_millis() {
            self.a.sleep(step);
            self.b.sleep(step);
            self.settle();
        }
    }

    pub(super) fn news_of_a(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.news[0])
    }
}

pub(super) fn resolved(address: &str, mac: MacAddr) -> Output {
    Output::Resolved { interface: IF, address: ip(address), mac }
}

pub(super) fn withdrawn(address: &str) -> Output {
    Output::Withdrawn { interface: IF, address: ip(address) }
}

pub(super) fn released(address: &str, mac: MacAddr, packets: &[u8]) -> Output {
    let packets = packets.iter().map(|byte| vec![*byte]).collect();
    Output::Release { interface: IF, address: ip(address), mac, packets }
}

pub(super) fn unreachable(address: &str, packets: &[u8]) -> Output {
    let packets = packets.iter().map(|byte| vec![*byte]).collect();
    Output::Unreachable { interface: IF, address: ip(address), packets }
}
