//! The neighbour engine and the Linux kernel find each other. Needs root.

#[expect(dead_code, reason = "this test needs no sysctls")]
mod support;

use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::time::{Duration, Instant};

use support::{Lab, RawPort, inside, json, lab, run};
use ze_packet::{InterfaceId, MacAddr};
use ze_punt::neighbor::{Engine, Interface, Limits, Output, State};

const IF: InterfaceId = InterfaceId(1);
const MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0xaa, 1]);

/// The engine on one end of a veth; the kernel, in a namespace of its own, on the other.
struct Link {
    engine: Engine,
    port: RawPort,
    peer: String,
    peer_mac: MacAddr,
}

impl Link {
    fn new(lab: &Lab) -> Self {
        let peer = format!("{}-peer", lab.base);
        for command in [
            format!("ip netns add {peer}"),
            format!("ip link add zw0 arp off type veth peer name zw1 netns {peer}"),
            "ip link set dev zw0 up".to_owned(),
            format!("ip -n {peer} link set dev zw1 up"),
            format!("ip -n {peer} addr add 10.0.0.2/24 dev zw1"),
            format!("ip -n {peer} addr add 2001:db8::2/64 dev zw1 nodad"),
        ] {
            run(&command);
        }
        let link = json(&format!("ip -n {peer} -j link show dev zw1"));
        let peer_mac = link[0]["address"].as_str().unwrap().parse().unwrap();
        let mut engine = Engine::new(Limits::default(), 1);
        let interface = Interface {
            id: IF,
            mac: MAC,
            addresses: vec!["10.0.0.1/24".parse().unwrap(), "2001:db8::1/64".parse().unwrap()],
            link_local: Some(MAC.link_local()),
            up: true,
        };
        engine.put_interface(interface, Instant::now());
        Self { engine, port: RawPort::open("zw0"), peer, peer_mac }
    }

    /// Carries frames and time until `done`, at most 5 s.
    fn pump(&mut self, mut done: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while !done(self) {
            assert!(Instant::now() < deadline, "not within 5 s: {:?}", self.engine.counters());
            while let Some(output) = self.engine.poll_output() {
                if let Output::Transmit { frame, .. } = output {
                    self.port.send(&frame).unwrap();
                }
            }
            if let Some(frame) = self.port.take() {
                self.receive(&frame);
            }
            self.engine.handle_timeout(Instant::now());
        }
    }

    fn receive(&mut self, frame: &[u8]) {
        let mac = |at: usize| MacAddr(frame[at..at + 6].try_into().unwrap());
        let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&frame[at..at + 16]).unwrap());
        let now = Instant::now();
        match frame[12..14] {
            [0x08, 0x06] => self.engine.handle_arp(IF, mac(6), mac(0), &frame[14..], now),
            [0x86, 0xdd] if frame[20] == 58 && (135..=136).contains(&frame[54]) => {
                let len = usize::from(u16::from_be_bytes([frame[18], frame[19]]));
                let message = &frame[54..54 + len];
                self.engine.handle_nd(IF, mac(6), address(22), address(38), frame[21], message, now);
            }
            _ => {}
        }
    }

    fn state(&self, address: IpAddr) -> Option<State> {
        self.engine.snapshot(Instant::now()).find(|on| on.address == address).map(|on| on.state)
    }
}

#[test]
fn the_engine_resolves_a_linux_host_and_is_confirmed_by_it() {
    lab(async |lab| {
        let mut link = Link::new(lab);
        for address in ["10.0.0.2", "2001:db8::2"].map(|text| text.parse::<IpAddr>().unwrap()) {
            link.engine.resolve(IF, address, None, Instant::now());
            link.pump(|link| link.state(address) == Some(State::Reachable));
            assert_eq!(link.engine.mac(IF, address), Some(link.peer_mac));
        }
    });
}

#[test]
fn a_linux_host_resolves_us_and_learns_that_we_are_a_router() {
    lab(async |lab| {
        let mut link = Link::new(lab);
        inside(&link.peer, || {
            UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"x", "10.0.0.1:9").unwrap();
            UdpSocket::bind("[::]:0").unwrap().send_to(b"x", "[2001:db8::1]:9").unwrap();
        });
        for (address, router) in [("10.0.0.1", false), ("2001:db8::1", true)] {
            link.pump(|link| {
                let all = json(&format!("ip -n {} -j neigh show dev zw1 to {address}", link.peer));
                all[0]["state"][0] == "REACHABLE"
            });
            let entry = &json(&format!("ip -n {} -j neigh show dev zw1 to {address}", link.peer))[0];
            assert_eq!(entry["lladdr"], MAC.to_string());
            assert_eq!(entry.get("router").is_some(), router, "{entry}");
        }
        // It asked us, so we know it, too.
        assert_eq!(link.state("10.0.0.2".parse().unwrap()), Some(State::Stale));
    });
}

#[test]
fn a_linux_host_that_tries_to_take_our_address_learns_that_it_is_taken() {
    lab(async |lab| {
        let mut link = Link::new(lab);
        run(&format!("ip -n {} addr add 2001:db8::1/64 dev zw1", link.peer));
        link.pump(|link| run(&format!("ip -n {} addr show dev zw1", link.peer)).contains("dadfailed"));
    });
}
