//! A router in memory: tables, one worker's graph, and a sink that remembers.
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod bytes;

use rtrb::{Consumer, RingBuffer};
use ze_fib::builder::Builder;
use ze_fib::{
    Adjacency, Group, Interface, InterfaceAddress4, InterfaceAddress6, Limits, Nexthop, PortKind, PortTable,
    Target,
};
use ze_graph::{
    Arena, BATCH_MAX, Batch, Cx, DropReason, Frame, HEADROOM_BYTES, Message, Sink, Tracer, WorkerCounters,
};
use ze_nodes::{Config, Graph, IcmpLimits, PuntRates};
use ze_packet::{GroupId, InterfaceId, MacAddr, NexthopId, PortId, VrfId, WorkerId};
use ze_sync::Reader;

pub const HERTZ: u64 = 1_000_000_000;
pub const LIMITS: Limits =
    Limits { ports: 128, interfaces: 64, vrfs: 16, nexthops: 256, groups: 16, table_bytes: 1 << 24 };

/// The MAC address of interface `n`.
pub const fn mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}
/// A host's MAC address on the link of interface `n`.
pub const fn host_mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 1, n])
}

/// What differs from router to router.
pub struct Options {
    pub frames: u32,
    pub queue: usize,
    pub icmp: IcmpLimits,
    pub punt: PuntRates,
}

impl Default for Options {
    fn default() -> Self {
        let icmp = IcmpLimits {
            rate_pps: 1_000_000,
            burst: 1_000_000,
            destination_rate_pps: 1_000_000,
            destination_burst: 1_000_000,
        };
        Self { frames: 2 * BATCH_MAX as u32, queue: 256, icmp, punt: PuntRates::default() }
    }
}

/// Where something enters.
#[derive(Clone)]
pub enum In {
    Network(u16, Vec<u8>),
    Inject(u16, Vec<u8>),
    Control(Box<Message>),
}

/// Remembers what is sent, and counts as the worker does.
pub struct Output {
    pub pool: Vec<Frame>,
    pub sent: Vec<(u16, Vec<u8>)>,
    pub remembers: bool,
}

impl Sink for Output {
    fn transmit(&mut self, cx: &Cx<'_>, batch: &mut Batch) {
        batch.drain(|frame| {
            let meta = cx.arena.meta(&frame);
            match cx.fib.port(meta.tx_port).map(|port| port.kind) {
                Some(PortKind::Network) => cx.counters.law.tx.add(1),
                Some(PortKind::Representor(_)) => cx.counters.law.punt.add(1),
                None => cx.counters.dropped(meta.rx_port, DropReason::PortGone),
            }
            if self.remembers {
                self.sent.push((meta.tx_port.0, cx.arena.packet(&frame).to_vec()));
            }
            self.pool.push(frame);
        });
    }

    fn free(&mut self, batch: &mut Batch) {
        batch.drain(|frame| self.pool.push(frame));
    }

    fn take(&mut self) -> Option<Frame> {
        self.pool.pop()
    }
}

pub struct Rig {
    pub tables: Builder,
    pub arena: Arena,
    pub counters: WorkerCounters,
    pub graph: Graph,
    pub messages: Consumer<Message>,
    pub output: Output,
    pub reader: Reader,
    pub tracer: Tracer,
    pub now: u64,
    frames: usize,
}

impl Default for Rig {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl Rig {
    pub fn new(options: Options) -> Self {
        let tables = tables();
        let (arena, pool) = Arena::allocate(options.frames, false).unwrap();
        let (producer, messages) = RingBuffer::new(options.queue);
        let config = Config {
            worker: WorkerId(0),
            workers: 1,
            hash_seed: 0x5eed,
            hertz: HERTZ,
            icmp: options.icmp,
            punt: options.punt,
            control: producer,
        };
        Self {
            reader: tables.tables.domain().register().unwrap(),
            tables,
            counters: WorkerCounters::new(WorkerId(0), Graph::descriptions(), &LIMITS),
            graph: Graph::new(config),
            messages,
            frames: pool.len(),
            output: Output { pool, sent: vec![], remembers: true },
            arena,
            tracer: Tracer::new(),
            now: HERTZ,
        }
    }

    /// Lets everything enter, runs the graph, and checks that no frame and no packet got lost.
    pub fn run(&mut self, input: &[In]) -> Vec<(u16, Vec<u8>)> {
        for chunk in input.chunks(BATCH_MAX) {
            self.run_batch(chunk);
        }
        self.check();
        std::mem::take(&mut self.output.sent)
    }

    pub fn run_batch(&mut self, input: &[In]) {
        let guard = self.reader.enter();
        let view = self.tables.tables.view(&guard);
        let cx = Cx {
            arena: &self.arena,
            fib: &view,
            now: self.now,
            worker: WorkerId(0),
            counters: &self.counters,
        };
        for arrival in input {
            let mut frame = self.output.pool.pop().expect("a frame for every arrival");
            match arrival {
                In::Network(port, bytes) => {
                    receive(&self.arena, &mut frame, *port, bytes);
                    self.graph.network().push(frame).unwrap();
                }
                In::Inject(port, bytes) => {
                    receive(&self.arena, &mut frame, *port, bytes);
                    self.graph.inject().push(frame).unwrap();
                }
                In::Control(message) => self.graph.enter(&cx, frame, message).unwrap(),
            }
        }
        self.graph.run(&cx, &mut self.tracer, &mut self.output);
        self.reader.quiescent();
    }

    /// The conservation law, for packets and for frames.
    pub fn check(&self) {
        let (from, to) = self.counters.law.sides();
        assert_eq!(from, to, "rx + inject + generated = tx + drop + punt: {:?}", self.counters.law);
        assert_eq!(self.output.pool.len(), self.frames, "every frame is back");
    }

    /// Runs one packet of a network port.
    pub fn network(&mut self, port: u16, bytes: Vec<u8>) -> Vec<(u16, Vec<u8>)> {
        self.run(&[In::Network(port, bytes)])
    }

    /// Runs one packet of a representor.
    pub fn inject(&mut self, port: u16, bytes: Vec<u8>) -> Vec<(u16, Vec<u8>)> {
        self.run(&[In::Inject(port, bytes)])
    }

    /// How many packets left `node` by `exit`.
    pub fn edge(&self, node: &str, exit: &str) -> u64 {
        let counters = self.counters.nodes.iter().find(|n| n.name == node).expect("a node's name");
        let at = counters.exits.iter().position(|e| *e == exit).expect("an exit's name");
        counters.by_exit[at].get()
    }

    /// Drops for a reason, of all ports.
    pub fn drops(&self, reason: DropReason) -> u64 {
        (0..LIMITS.ports as u16).map(|port| self.counters.drops(PortId(port), reason)).sum()
    }
}

pub fn receive(arena: &Arena, frame: &mut Frame, port: u16, bytes: &[u8]) {
    arena.chunk_mut(frame)[HEADROOM_BYTES..HEADROOM_BYTES + bytes.len()].copy_from_slice(bytes);
    arena.meta_mut(frame).received(PortId(port), HEADROOM_BYTES as u16, bytes.len() as u16);
}

/// ```text
/// port 1: untagged if1 192.0.2.1/24 2001:db8:1::1/64 fe80::1   VLAN 100 if3 198.51.100.1/24   VLAN 300 if7, no addresses
/// port 2: untagged if2 203.0.113.1/24 2001:db8:2::1/64 fe80::2   VLAN 200 if4, down
/// port 3: untagged if5, in VRF 9, which does not exist; no representor    VLAN 6 if6, no representor
/// ports 11, 12, 13, 17: representors of if1, if2, if3, if7
/// ```
fn tables() -> Builder {
    let mut tables = Builder::new(LIMITS);
    ports(&mut tables);
    interfaces(&mut tables);
    nexthops(&mut tables);
    tables.vrf(VrfId(0), 0xc000_0001, ip6("2001:db8:ffff::1"));
    tables.vrf(VrfId(1), 0, 0);
    routes(&mut tables);
    tables
}

fn ports(tables: &mut Builder) {
    let networks: [(u16, &[(usize, u16)]); 3] =
        [(1, &[(0, 1), (100, 3), (300, 7)]), (2, &[(0, 2), (200, 4)]), (3, &[(0, 5), (6, 6)])];
    for (id, vlans) in networks {
        let mut port = PortTable::new(PortId(id), PortKind::Network);
        vlans.iter().for_each(|(vlan, interface)| port.vlans[*vlan] = InterfaceId(*interface));
        tables.port(port);
    }
    for interface in [1, 2, 3, 4, 7, 50] {
        tables.port(PortTable::new(PortId(10 + interface), PortKind::Representor(InterfaceId(interface))));
    }
}

fn interfaces(tables: &mut Builder) {
    let address4 = |text: &str| vec![InterfaceAddress4 { address: ip4(text), prefix_len: 24 }];
    let address6 = |text: &str| vec![InterfaceAddress6 { address: ip6(text), prefix_len: 64 }];
    let plain = |id: u16, port: u16| Interface {
        id: InterfaceId(id),
        port: PortId(port),
        tags: vec![],
        mac: mac(id as u8),
        mtu: 1500,
        vrf: VrfId(0),
        up: true,
        representor: Some(PortId(10 + id)),
        addresses4: vec![],
        addresses6: vec![],
        link_local: ip6("fe80::") | u128::from(id),
    };
    let all = [
        Interface { addresses4: address4("192.0.2.1"), addresses6: address6("2001:db8:1::1"), ..plain(1, 1) },
        Interface {
            addresses4: address4("203.0.113.1"),
            addresses6: address6("2001:db8:2::1"),
            ..plain(2, 2)
        },
        Interface { addresses4: address4("198.51.100.1"), tags: vec![(0x8100, 100)], ..plain(3, 1) },
        Interface { up: false, tags: vec![(0x8100, 200)], ..plain(4, 2) },
        Interface { vrf: VrfId(9), representor: None, ..plain(5, 3) },
        Interface { tags: vec![(0x8100, 6)], representor: None, ..plain(6, 3) },
        Interface { tags: vec![(0x88a8, 5), (0x8100, 300)], ..plain(7, 1) },
    ];
    for interface in all {
        tables.interface(interface.id, Some(interface));
    }
}

/// Nexthops by number; routes name them.
pub mod nh {
    pub const VIA2: u32 = 1;
    pub const LOCAL: u32 = 2;
    pub const GLEAN2: u32 = 3;
    pub const UNRESOLVED: u32 = 4;
    pub const BLACKHOLE: u32 = 5;
    pub const UNREACHABLE: u32 = 6;
    pub const PROHIBIT: u32 = 7;
    pub const BROADCAST1: u32 = 8;
    pub const BROADCAST2: u32 = 9;
    pub const VIA3_TAGGED: u32 = 10;
    pub const VIA2_MTU_576: u32 = 11;
    pub const VIA2_MTU_1280: u32 = 12;
    pub const VIA1: u32 = 13;
    pub const VIA4_DOWN: u32 = 14;
    pub const VIA2_PORT_GONE: u32 = 15;
    pub const VIA2_MTU_60: u32 = 16;
    pub const UNRESOLVED6: u32 = 17;
    pub const VRF0_AGAIN: u32 = 18;
    pub const VRF1: u32 = 19;
    pub const MISSING: u32 = 40;
}

fn nexthops(tables: &mut Builder) {
    let via = |id: u8, port: u16, tags: &[(u16, u16)], mtu: u16| {
        let interface = InterfaceId(id.into());
        Nexthop::Adjacency(Adjacency::new(host_mac(id), mac(id), tags, interface, PortId(port), mtu))
    };
    let (if1, if2) = (InterfaceId(1), InterfaceId(2));
    let all = [
        (nh::VIA2, via(2, 2, &[], 1500)),
        (nh::LOCAL, Nexthop::Local { interface: if1 }),
        (nh::GLEAN2, Nexthop::Glean { interface: if2 }),
        (nh::UNRESOLVED, Nexthop::Unresolved { interface: if2, gateway: "203.0.113.9".parse().unwrap() }),
        (nh::BLACKHOLE, Nexthop::Blackhole),
        (nh::UNREACHABLE, Nexthop::Unreachable),
        (nh::PROHIBIT, Nexthop::Prohibit),
        (nh::BROADCAST1, Nexthop::SubnetBroadcast { interface: if1 }),
        (nh::BROADCAST2, Nexthop::SubnetBroadcast { interface: if2 }),
        (nh::VIA3_TAGGED, via(3, 1, &[(0x8100, 100)], 1500)),
        (nh::VIA2_MTU_576, via(2, 2, &[], 576)),
        (nh::VIA2_MTU_1280, via(2, 2, &[], 1280)),
        (nh::VIA1, via(1, 1, &[], 1500)),
        (nh::VIA4_DOWN, via(4, 2, &[], 1500)),
        (nh::VIA2_PORT_GONE, via(2, 99, &[], 1500)),
        (nh::VIA2_MTU_60, via(2, 2, &[], 60)),
        (nh::UNRESOLVED6, Nexthop::Unresolved { interface: if2, gateway: "fe80::9".parse().unwrap() }),
        (nh::VRF0_AGAIN, Nexthop::Vrf(VrfId(0))),
        (nh::VRF1, Nexthop::Vrf(VrfId(1))),
    ];
    for (id, nexthop) in all {
        tables.nexthop(NexthopId(id), Some(nexthop));
    }
    tables.group(GroupId(1), Group::new(vec![NexthopId(nh::VIA2), NexthopId(nh::VIA3_TAGGED)]).unwrap());
}

fn routes(tables: &mut Builder) {
    let routes: &[(&str, &str, u32)] = &[
        ("10.0.0.0/8", "2001:db8:a::/48", nh::VIA2),
        ("10.1.0.0/16", "2001:db8:a1::/48", nh::VIA2_MTU_1280),
        ("10.2.0.0/16", "2001:db8:a2::/48", nh::VIA3_TAGGED),
        ("10.3.0.0/16", "2001:db8:a3::/48", nh::UNRESOLVED),
        ("10.4.0.0/16", "2001:db8:a4::/48", nh::BLACKHOLE),
        ("10.5.0.0/16", "2001:db8:a5::/48", nh::UNREACHABLE),
        ("10.6.0.0/16", "2001:db8:a6::/48", nh::PROHIBIT),
        ("10.7.0.0/16", "2001:db8:a7::/48", nh::VIA4_DOWN),
        ("10.8.0.0/16", "2001:db8:a8::/48", nh::VIA2_PORT_GONE),
        ("10.9.0.0/16", "2001:db8:a9::/48", nh::VIA2_MTU_60),
        ("10.10.0.0/16", "2001:db8:aa::/48", nh::MISSING),
        ("10.12.0.0/16", "2001:db8:ac::/48", nh::UNRESOLVED6),
        ("10.13.0.0/16", "2001:db8:ad::/48", nh::VIA2_MTU_576),
        ("10.14.0.0/16", "2001:db8:ae::/48", nh::VRF0_AGAIN),
        ("10.15.0.0/16", "2001:db8:af::/48", nh::VRF1),
        ("192.0.2.1/32", "2001:db8:1::1/128", nh::LOCAL),
        ("203.0.113.1/32", "2001:db8:2::1/128", nh::LOCAL),
        ("192.0.2.10/32", "2001:db8:1::10/128", nh::VIA1),
        ("192.0.2.255/32", "2001:db8:1::ffff/128", nh::BROADCAST1),
        ("203.0.113.255/32", "2001:db8:2::ffff/128", nh::BROADCAST2),
        ("203.0.113.0/24", "2001:db8:2::/64", nh::GLEAN2),
        ("169.254.0.1/32", "2001:db8:fe::1/128", nh::LOCAL),
        ("169.254.0.0/16", "2001:db8:fe::/64", nh::VIA2),
    ];
    for (net4, net6, id) in routes {
        let target = Target::Nexthop(NexthopId(*id));
        tables.route4(VrfId(0), net4.parse().unwrap(), target);
        tables.route6(VrfId(0), net6.parse().unwrap(), target);
    }
    let own = Target::Nexthop(NexthopId(nh::LOCAL));
    tables.route4(VrfId(1), "10.15.0.0/16".parse().unwrap(), own);
    tables.route6(VrfId(1), "2001:db8:af::/48".parse().unwrap(), own);
    tables.route4(VrfId(0), "10.11.0.0/16".parse().unwrap(), Target::Group(GroupId(1)));
    tables.route6(VrfId(0), "2001:db8:ab::/48".parse().unwrap(), Target::Group(GroupId(1)));
}

pub fn ip4(text: &str) -> u32 {
    text.parse::<std::net::Ipv4Addr>().unwrap().into()
}

pub fn ip6(text: &str) -> u128 {
    text.parse::<std::net::Ipv6Addr>().unwrap().into()
}
