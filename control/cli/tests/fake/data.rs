//! The data of a small router: two ports, three interfaces, two VRFs, two workers.

use ze_proto::v1::*;

pub fn info() -> Info {
    Info {
        version: env!("CARGO_PKG_VERSION").into(),
        instance: 7,
        uptime_ms: 11_045_000,
        pid: u32::MAX,
        tsc_hz: 2_100_000_000,
        umem_pages: "2 MiB huge pages".into(),
        umem_frames: 16_384,
        umem_bytes: 32 << 20,
        idle_mode: "adaptive".into(),
        worker_cores: vec![1, 2],
        punt_namespace: "ze".into(),
        warnings: vec!["port wan: no zero copy on driver veth, copy mode is used".into()],
    }
}

pub fn stats(s: f64) -> Stats {
    let n = |per_s: f64| (per_s * s) as u64;
    Stats {
        at_ns: (s * 1e9) as u64,
        instance: 7,
        tsc_hz: 2_100_000_000,
        workers: vec![worker(0, s, 1.0), worker(1, s, 0.25)],
        ports: ports(s),
        interfaces: interfaces(s),
        control: vec![
            NamedCounter { name: "arp_requests_sent".into(), value: n(0.1), ..NamedCounter::default() },
            NamedCounter { name: "nd_solicitations_sent".into(), value: n(0.05), ..NamedCounter::default() },
        ],
    }
}

/// One worker with `share` of the full load. The law holds at every instant.
fn worker(worker: u32, s: f64, share: f64) -> WorkerStats {
    let n = |per_s: f64| (per_s * share * s) as u64;
    let (rx, inject, generated) = (n(1_200_000.0), n(40.0), n(10.0));
    let drops = vec![
        drop("no_route", "No route leads to the destination.", "lan", n(120.0)),
        drop("ttl_exceeded", "The time to live or hop limit ran out here.", "lan", n(2.0)),
        drop("ip4_checksum", "The IPv4 header checksum is wrong.", "wan", n(0.1)),
    ];
    let drops: Vec<_> = drops.into_iter().filter(|d| d.packets > 0).collect();
    let dropped: u64 = drops.iter().map(|d| d.packets).sum();
    let (punt, held) = (n(35.0), 3);
    let law = LawTerms {
        rx,
        inject,
        generated,
        tx: rx + inject + generated - dropped - punt - held,
        drop: dropped,
        punt,
        held,
        ..LawTerms::default()
    };
    WorkerStats {
        worker,
        core: worker + 1,
        pinned: true,
        rounds: n(90_000.0),
        idle_rounds: n(30_000.0),
        busy_cycles: n(1_500_000_000.0),
        idle_cycles: (2_100_000_000.0 * s) as u64 - n(1_500_000_000.0),
        sleeps: n(120.0),
        batches: n(50_000.0),
        pool_free: 6_120,
        trace_lost: 0,
        law: Some(law),
        nodes: nodes(law.rx, dropped, punt),
        queues: vec![
            queue("lan", worker, rx, law.tx, 0.6),
            queue("wan", worker, 0, 0, 0.4),
            queue("ze-lan0", 0, inject, punt, 0.0),
        ],
        drops,
        punts: vec![
            PuntStats {
                reason: "icmp".into(),
                sentence: "ICMP and ICMPv6 to the router.".into(),
                packets: n(30.0),
                policed: n(1.0),
                rate_pps: 1000,
                burst: 200,
            },
            PuntStats {
                reason: "arp".into(),
                sentence: "ARP, answered by the neighbour engine.".into(),
                packets: n(5.0),
                policed: 0,
                rate_pps: 500,
                burst: 100,
            },
        ],
    }
}

fn drop(reason: &str, sentence: &str, port: &str, packets: u64) -> DropStats {
    DropStats { reason: reason.into(), sentence: sentence.into(), port: port.into(), packets }
}

fn queue(port: &str, queue: u32, rx: u64, tx: u64, level: f64) -> QueueStats {
    QueueStats {
        port: port.into(),
        queue: if port == "ze-lan0" { 0 } else { queue },
        rx_packets: rx,
        rx_bytes: rx * 400,
        tx_packets: tx,
        tx_bytes: tx * 400,
        rx_wakes: rx / 1000,
        tx_wakes: tx / 64,
        tx_ring_full: 0,
        fill_starved: if port == "wan" { 12 } else { 0 },
        errors: 0,
        fill_level: 2048 - (level * 400.0) as u64,
        tx_level: (level * 100.0) as u64,
        ring_size: 2048,
        ..QueueStats::default()
    }
}

fn nodes(rx: u64, dropped: u64, punt: u64) -> Vec<NodeStats> {
    let node = |name: &str, packets: u64, cycles: u64, exits: &[(&str, u64)]| NodeStats {
        name: name.into(),
        batches: packets / 24,
        packets,
        cycles: packets * cycles,
        exits: exits
            .iter()
            .map(|(name, value)| NamedCounter {
                name: (*name).into(),
                value: *value,
                ..NamedCounter::default()
            })
            .collect(),
    };
    let forwarded = rx - dropped - punt;
    vec![
        node(
            "eth_input",
            rx,
            21,
            &[("ip4_input", rx / 5 * 4), ("ip6_input", rx - rx / 5 * 4 - punt), ("punt", punt), ("drop", 0)],
        ),
        node("ip4_input", rx / 5 * 4, 33, &[("ip4_lookup", rx / 5 * 4)]),
        node("ip4_lookup", rx / 5 * 4, 47, &[("ip4_forward", rx / 5 * 4 - dropped), ("drop", dropped)]),
        node("ip4_forward", forwarded / 5 * 4, 18, &[("ip4_rewrite", forwarded / 5 * 4)]),
        node("ip4_rewrite", forwarded / 5 * 4, 29, &[("tx", forwarded / 5 * 4)]),
        node("ip6_input", rx / 5, 36, &[("ip6_lookup", rx / 5)]),
        node("icmp_error", 0, 0, &[("ip4_lookup", 0)]),
    ]
}

fn ports(s: f64) -> Vec<PortState> {
    let counter = |name: &str, value: u64, sentence: &str| NamedCounter {
        name: name.into(),
        value,
        sentence: sentence.into(),
    };
    let port = |name: &str, device: &str, mac: u8| PortState {
        name: name.into(),
        device: device.into(),
        owner: "config".into(),
        state: LinkState::Up.into(),
        driver: "veth".into(),
        mac: vec![2, 0, 0, 0, 0, mac],
        mtu: 1500,
        queues: 2,
        attach_mode: "native".into(),
        bind_modes: vec!["copy".into(), "copy".into()],
        state_changes: 1,
        ..PortState::default()
    };
    vec![
        PortState {
            xdp: vec![
                counter("redirected", (s * 1_500_000.0) as u64, "Given to a worker."),
                counter("other_mac", 17, "Unicast to another station."),
                counter("no_socket_dropped", 0, "No worker serves the queue."),
            ],
            ..port("lan", "veth-lan", 1)
        },
        port("wan", "veth-wan", 2),
        PortState {
            state: LinkState::Missing.into(),
            message: "there is no device 'eth9'; it is used as soon as it appears".into(),
            driver: String::new(),
            mac: vec![],
            queues: 0,
            mtu: 0,
            attach_mode: String::new(),
            bind_modes: vec![],
            ..port("spare", "eth9", 0)
        },
        PortState {
            representor: true,
            queues: 1,
            bind_modes: vec!["copy".into()],
            ..port("ze-lan0", "ze-lan0", 3)
        },
    ]
}

fn interfaces(s: f64) -> Vec<InterfaceState> {
    let n = |per_s: f64| (per_s * s) as u64;
    let traffic = |packets: u64| Some(Traffic { packets, bytes: packets * 400 });
    let address = |interface: &str, address: &str, prefix_len| Address {
        interface: interface.into(),
        address: bytes(address),
        prefix_len,
    };
    let interface = |name: &str, port: &str, vlan, vrf: &str, state: LinkState| InterfaceState {
        interface: Some(Interface {
            name: name.into(),
            port: port.into(),
            vlan,
            vrf: vrf.into(),
            ..Interface::default()
        }),
        owner: "config".into(),
        state: state.into(),
        mtu: 1500,
        mac: vec![2, 0, 0, 0, 0, 1],
        namespace: "ze".into(),
        ..InterfaceState::default()
    };
    vec![
        InterfaceState {
            addresses: vec![address("lan0", "10.0.0.1", 24), address("lan0", "2001:db8::1", 64)],
            link_local: bytes("fe80::ff:fe00:1"),
            index: 1,
            rx: traffic(n(1_500_000.0)),
            tx: traffic(n(12_000.0)),
            punt: traffic(n(43.0)),
            inject: traffic(n(50.0)),
            ..interface("lan0", "lan", 0, "", LinkState::Up)
        },
        InterfaceState {
            addresses: vec![address("wan0", "192.0.2.1", 30)],
            index: 2,
            rx: traffic(n(12_000.0)),
            tx: traffic(n(1_499_000.0)),
            ..interface("wan0", "wan", 0, "", LinkState::Up)
        },
        InterfaceState {
            addresses: vec![address("guest", "10.9.0.1", 16)],
            index: 3,
            message: "waits for port spare".into(),
            ..interface("guest", "spare", 100, "blue", LinkState::Missing)
        },
    ]
}

pub fn vrfs() -> Vec<VrfState> {
    let vrf = |name: &str, owner: &str, routes4, routes6, namespace: &str| VrfState {
        name: name.into(),
        owner: owner.into(),
        routes4,
        routes6,
        lookup_bytes: routes4 * 24 + (1 << 16),
        namespace: namespace.into(),
        writer_bytes: routes4 * 60 + 1000,
    };
    vec![vrf("default", "", 1_012_345, 210_000, "ze"), vrf("blue", "config", 3, 0, "ze-blue")]
}

pub fn routes() -> Vec<RouteEntry> {
    let nexthop = |kind: &str, interface: &str, gateway: &str, weight, packets| NexthopState {
        kind: kind.into(),
        interface: interface.into(),
        gateway: bytes(gateway),
        mac: if kind == "adjacency" { vec![2, 0, 0, 0, 1, weight as u8] } else { vec![] },
        weight,
        traffic: Some(Traffic { packets, bytes: packets * 400 }),
        index: weight,
        mtu: if interface.is_empty() { 0 } else { 1500 },
        ..NexthopState::default()
    };
    let route = |vrf: &str, prefix: &str, prefix_len, owner: &str, nexthops| RouteEntry {
        vrf: vrf.into(),
        prefix: bytes(prefix),
        prefix_len,
        owner: owner.into(),
        nexthops,
        active: true,
        group: None,
    };
    let group = GroupState { key: 77, buckets: 1024, resilient: true, symmetric: false };
    let backup = |gateway, index, in_force| NexthopState {
        index,
        in_force,
        weight: 0,
        ..nexthop("adjacency", "wan1", gateway, 9, 0)
    };
    let two = vec![
        NexthopState {
            backup: 11,
            backups: vec![
                backup("203.0.113.1", 11, false),
                NexthopState { index: 12, ..nexthop("blackhole", "", "", 0, 0) },
            ],
            ..nexthop("adjacency", "wan0", "192.0.2.2", 1, 1_499_000)
        },
        NexthopState {
            backup: 13,
            backup_in_force: true,
            backups: vec![backup("203.0.113.9", 13, true)],
            ..nexthop("unresolved", "wan0", "192.0.2.3", 2, 0)
        },
    ];
    let leak = NexthopState { vrf: "default".into(), ..nexthop("vrf", "", "", 1, 0) };
    vec![
        RouteEntry { group: Some(group), ..route("default", "0.0.0.0", 0, "static", two) },
        route("default", "10.0.0.0", 24, "connected", vec![nexthop("glean", "lan0", "", 1, 12)]),
        route("default", "10.0.0.1", 32, "local", vec![nexthop("local", "lan0", "", 1, 4_300)]),
        RouteEntry {
            active: false,
            ..route(
                "default",
                "10.0.0.0",
                24,
                "static",
                vec![nexthop("adjacency", "wan0", "192.0.2.2", 1, 0)],
            )
        },
        route("default", "198.51.100.0", 24, "static", vec![nexthop("blackhole", "", "", 1, 77)]),
        route("default", "2001:db8::", 64, "connected", vec![nexthop("glean", "lan0", "", 1, 0)]),
        route("blue", "10.9.0.0", 16, "connected", vec![nexthop("glean", "guest", "", 1, 0)]),
        route("blue", "192.0.2.0", 24, "static", vec![leak]),
    ]
}

pub fn fib(audited: bool) -> FibState {
    let found = |kind: DivergenceKind, path: &str, message: &str| Divergence {
        path: path.into(),
        kind: kind.into(),
        message: message.into(),
    };
    let route = "/vrf[name='default']/route[prefix='2001:db8:77::/48']";
    let audit = AuditReport {
        checked: 1_012_400,
        missing: 1,
        surplus: 0,
        different: 2,
        divergences: vec![
            found(DivergenceKind::Missing, route, "nothing was there, a route to nexthop 7 is wanted"),
            found(
                DivergenceKind::Different,
                "/nexthop[key='7']",
                "gateway 192.0.2.9 was there, gateway 192.0.2.1 is wanted",
            ),
        ],
    };
    let feed = OwnerState {
        name: "table".into(),
        connected: true,
        preference: 200,
        generation: 1,
        routes: 1_012_300,
        nexthops: 2,
        batches: 248,
        applied: 1_012_302,
        lag_us: 812,
        lag_max_us: 1_240_000,
        backlog: 12,
        audit: Some(audit),
        audit_age_ms: 4_000,
        audit_is_new: audited,
        ..OwnerState::default()
    };
    let config = OwnerState {
        name: "config".into(),
        preference: 100,
        generation: 3,
        routes: 45,
        nexthops: 9,
        groups: 2,
        batches: 12,
        applied: 80,
        refused: 31,
        refused_now: 1,
        ..OwnerState::default()
    };
    // Short of room, and another that does not answer when it is asked.
    let short = OwnerState {
        name: "bgp".into(),
        connected: true,
        routes: 19_993,
        refused: 1_640_000,
        refused_now: 273_269,
        audit: Some(AuditReport { checked: 19_993, ..AuditReport::default() }),
        audit_is_new: audited,
        ..OwnerState::default()
    };
    let silent = OwnerState {
        name: "silent".into(),
        connected: true,
        routes: 3,
        audit: Some(AuditReport { checked: 3, ..AuditReport::default() }),
        audit_age_ms: 75_000,
        ..OwnerState::default()
    };
    FibState {
        owners: vec![config, feed, short, silent],
        vrfs: vrfs(),
        nexthops: 42,
        nexthops_max: 131_072,
        groups: 2,
        groups_max: 65_536,
        table_bytes_max: 1 << 30,
        mended: u64::from(audited) * 3,
        checked: u64::from(audited) * 1_222_348,
    }
}

pub fn neighbors() -> Vec<NeighborEntry> {
    let entry = |interface: &str, address: &str, mac: u8, state: &str, age_ms, owner: &str| NeighborEntry {
        interface: interface.into(),
        address: bytes(address),
        mac: if mac == 0 { vec![] } else { vec![2, 0, 0, 0, 1, mac] },
        state: state.into(),
        age_ms,
        held: if state == "incomplete" { 2 } else { 0 },
        owner: owner.into(),
    };
    vec![
        entry("wan0", "192.0.2.2", 1, "reachable", 12_400, ""),
        entry("lan0", "10.0.0.9", 9, "permanent", 11_000_000, "config"),
        entry("lan0", "10.0.0.7", 0, "incomplete", 800, ""),
        entry("lan0", "2001:db8::7", 7, "stale", 95_000, ""),
        entry("lan0", "10.0.0.8", 0, "failed", 4_000, ""),
    ]
}

fn bytes(address: &str) -> Vec<u8> {
    address.parse().map(ze_proto::address::to_bytes).unwrap_or_default()
}
