use std::net::IpAddr;

use ipnet::IpNet;
use ze_packet::{InterfaceId, MacAddr, NexthopId, PortId, VrfId};
use ze_sync::{Domain, Reader};

use super::{BACKUPS_MAX, Error, Fib, InterfaceSpec, NexthopSpec, RouteSource};
use crate::{GroupOptions, Limits, Nexthop, PortKind, Target};

const OWNER: RouteSource = RouteSource::Owner(1);
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

struct Bench {
    fib: Fib,
    reader: Reader,
    port: PortId,
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Bench {
    fn new(limits: Limits) -> Self {
        let domain = Domain::new();
        let mut fib = Fib::new(&domain, limits);
        let port = fib.create_port(PortKind::Network).unwrap();
        Self { fib, reader: domain.register().unwrap(), port }
    }

    fn spec(&self, vlan: u16) -> InterfaceSpec {
        let tags = if vlan == 0 { vec![] } else { vec![(0x8100, vlan)] };
        InterfaceSpec {
            name: format!("lan0.{vlan}"),
            port: self.port,
            vlan,
            tags,
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            vrf: Fib::DEFAULT_VRF,
            up: true,
            representor: None,
        }
    }

    fn interface(&mut self, vlan: u16, address: &str) -> InterfaceId {
        let id = self.fib.create_interface(self.spec(vlan)).unwrap();
        let address = net(address);
        self.fib.set_addresses(id, &[(address.addr(), address.prefix_len())]).unwrap();
        id
    }

    /// What a packet to `address` meets, as a worker sees it.
    fn lookup(&self, vrf: VrfId, address: &str) -> Option<Nexthop> {
        let guard = self.reader.enter();
        let tables = self.fib.tables();
        let view = tables.view(&guard);
        let vrf = view.vrf(vrf)?;
        let raw = match ip(address) {
            IpAddr::V4(a) => view.lpm4(vrf).lookup(u32::from(a)),
            IpAddr::V6(a) => view.lpm6(vrf).lookup(u128::from(a)),
        };
        let id = match Target::unpack(raw)? {
            Target::Nexthop(id) => id,
            Target::Group(id) => view.group(id)?.choose(0),
        };
        view.nexthop(id).cloned()
    }

    fn default(&self, address: &str) -> Option<Nexthop> {
        self.lookup(Fib::DEFAULT_VRF, address)
    }
}

#[test]
fn addresses_bring_local_connected_and_broadcast_routes_and_take_them_away() {
    let mut bench = Bench::new(Limits::default());
    let id = bench.interface(0, "10.0.0.1/24");
    assert_eq!(bench.default("10.0.0.1"), Some(Nexthop::Local { interface: id }));
    assert_eq!(bench.default("10.0.0.77"), Some(Nexthop::Glean { interface: id }));
    for special in ["10.0.0.255", "10.0.0.0"] {
        assert_eq!(bench.default(special), Some(Nexthop::SubnetBroadcast { interface: id }));
    }
    assert_eq!(bench.default("10.0.1.1"), None);
    bench.fib.set_addresses(id, &[(ip("2001:db8::1"), 64)]).unwrap();
    assert_eq!(bench.default("10.0.0.1"), None);
    assert_eq!(bench.default("2001:db8::1"), Some(Nexthop::Local { interface: id }));
    assert_eq!(bench.default("2001:db8::2"), Some(Nexthop::Glean { interface: id }));
    bench.fib.remove_interface(id).unwrap();
    assert_eq!(bench.default("2001:db8::2"), None);
    assert!(bench.fib.nexthops.is_empty());
}

#[test]
fn point_to_point_prefixes_have_no_broadcast() {
    let mut bench = Bench::new(Limits::default());
    let id = bench.interface(0, "10.0.0.0/31");
    assert_eq!(bench.default("10.0.0.1"), Some(Nexthop::Glean { interface: id }));
    assert_eq!(bench.default("10.0.0.0"), Some(Nexthop::Local { interface: id }));
}

#[test]
fn a_gateway_is_unresolved_until_its_neighbour_is_known_and_again_after() {
    let mut bench = Bench::new(Limits::default());
    let id = bench.interface(0, "10.0.0.1/24");
    let nexthop = bench.fib.create_nexthop(NexthopSpec::Gateway(id, ip("10.0.0.2"))).unwrap();
    bench.fib.put_route(Fib::DEFAULT_VRF, net("0.0.0.0/0"), OWNER, Target::Nexthop(nexthop)).unwrap();
    let unresolved = Some(Nexthop::Unresolved { interface: id, gateway: ip("10.0.0.2") });
    assert_eq!(bench.default("192.0.2.1"), unresolved);
    bench.fib.neighbor_resolved(id, ip("10.0.0.2"), MAC).unwrap();
    for destination in ["192.0.2.1", "10.0.0.2"] {
        let Some(Nexthop::Adjacency(adjacency)) = bench.default(destination) else {
            panic!("{destination} has no adjacency");
        };
        assert_eq!(adjacency.rewrite[10..16], MAC.0);
        assert_eq!((adjacency.mtu, adjacency.header_len), (1500, 14));
    }
    bench.fib.neighbor_withdrawn(id, ip("10.0.0.2"));
    assert_eq!(bench.default("192.0.2.1"), unresolved);
    assert_eq!(bench.default("10.0.0.2"), Some(Nexthop::Glean { interface: id }));
}

#[test]
fn adjacencies_follow_their_interface() {
    let mut bench = Bench::new(Limits::default());
    let id = bench.interface(0, "10.0.0.1/24");
    bench.fib.neighbor_resolved(id, ip("10.0.0.2"), MAC).unwrap();
    let spec = InterfaceSpec { mtu: 1400, vlan: 7, tags: vec![(0x8100, 7)], ..bench.spec(0) };
    bench.fib.replace_interface(id, spec).unwrap();
    let Some(Nexthop::Adjacency(adjacency)) = bench.default("10.0.0.2") else { panic!("no adjacency") };
    assert_eq!((adjacency.mtu, adjacency.header_len), (1400, 18));
}

#[test]
fn an_interface_moves_to_another_vrf_with_all_it_has() {
    let mut bench = Bench::new(Limits::default());
    let id = bench.interface(0, "10.0.0.1/24");
    bench.fib.neighbor_resolved(id, ip("10.0.0.2"), MAC).unwrap();
    let blue = bench.fib.create_vrf().unwrap();
    bench.fib.replace_interface(id, InterfaceSpec { vrf: blue, ..bench.spec(0) }).unwrap();
    assert_eq!(bench.default("10.0.0.1"), None);
    assert_eq!(bench.lookup(blue, "10.0.0.1"), Some(Nexthop::Local { interface: id }));
    assert!(matches!(bench.lookup(blue, "10.0.0.2"), Some(Nexthop::Adjacency(_))));
    assert!(matches!(bench.fib.remove_vrf(blue), Err(Error::InUse(..))));
}

#[test]
fn the_lesser_source_is_in_force_and_the_next_takes_over() {
    let mut bench = Bench::new(Limits::default());
    let id = bench.interface(0, "10.0.0.1/24");
    let blackhole = bench.fib.create_nexthop(NexthopSpec::Blackhole).unwrap();
    let target = Target::Nexthop(blackhole);
    assert!(bench.fib.put_route(Fib::DEFAULT_VRF, net("10.0.0.0/24"), OWNER, target).unwrap());
    assert_eq!(bench.default("10.0.0.9"), Some(Nexthop::Glean { interface: id }));
    // A client's host route beats the neighbour's.
    bench.fib.neighbor_resolved(id, ip("10.0.0.5"), MAC).unwrap();
    bench.fib.put_route(Fib::DEFAULT_VRF, net("10.0.0.5/32"), OWNER, target).unwrap();
    assert_eq!(bench.default("10.0.0.5"), Some(Nexthop::Blackhole));
    bench.fib.set_addresses(id, &[]).unwrap();
    assert_eq!(bench.default("10.0.0.9"), Some(Nexthop::Blackhole));
    assert_eq!(bench.fib.remove_route(Fib::DEFAULT_VRF, net("10.0.0.0/24"), OWNER), Some(target));
    assert_eq!(bench.default("10.0.0.9"), None);
    assert_eq!(bench.fib.remove_route(Fib::DEFAULT_VRF, net("10.0.0.0/24"), OWNER), None);
}

#[test]
fn putting_the_same_route_again_changes_nothing() {
    let mut bench = Bench::new(Limits::default());
    let blackhole = Target::Nexthop(bench.fib.create_nexthop(NexthopSpec::Blackhole).unwrap());
    let prefix = net("2001:db8::/32");
    assert_eq!(bench.fib.put_route(Fib::DEFAULT_VRF, prefix, OWNER, blackhole), Ok(true));
    assert_eq!(bench.fib.put_route(Fib::DEFAULT_VRF, prefix, OWNER, blackhole), Ok(false));
    assert_eq!(bench.fib.route_counts(Fib::DEFAULT_VRF), (0, 1));
    assert_eq!(bench.fib.longest_match(Fib::DEFAULT_VRF, ip("2001:db8::9")).unwrap().0, prefix);
}

#[test]
fn conflicts_and_unknown_references_are_refused_with_their_names() {
    let mut bench = Bench::new(Limits::default());
    let id = bench.interface(7, "10.0.0.1/24");
    let refused = bench.fib.create_interface(bench.spec(7)).unwrap_err();
    assert!(refused.to_string().contains("VLAN 7") && refused.to_string().contains("lan0.7"), "{refused}");
    let spec = InterfaceSpec { port: PortId(99), ..bench.spec(8) };
    assert!(matches!(bench.fib.create_interface(spec), Err(Error::Unknown(_))));
    let spec = InterfaceSpec { vrf: VrfId(99), ..bench.spec(8) };
    assert!(matches!(bench.fib.create_interface(spec), Err(Error::Unknown(_))));
    let unknown = NexthopSpec::Interface(InterfaceId(99));
    assert!(matches!(bench.fib.create_nexthop(unknown), Err(Error::Unknown(_))));
    assert!(matches!(bench.fib.remove_port(bench.port), Err(Error::InUse(..))));
    bench.fib.create_nexthop(NexthopSpec::Interface(id)).unwrap();
    assert!(matches!(bench.fib.remove_interface(id), Err(Error::InUse(..))));
    assert!(matches!(bench.fib.create_group(&[]), Err(Error::Conflict(_))));
    assert!(matches!(bench.fib.create_group(&[(NexthopId(999), 1)]), Err(Error::Unknown(_))));
    assert!(matches!(bench.fib.remove_vrf(Fib::DEFAULT_VRF), Err(Error::InUse(..))));
}

#[test]
fn a_full_nexthop_table_refuses_and_leaves_the_addresses_as_they_were() {
    let limits = Limits { nexthops: 1 + 4, ..Limits::default() };
    let mut bench = Bench::new(limits);
    let id = bench.interface(0, "10.0.0.1/24");
    let more = [(ip("10.0.0.1"), 24), (ip("10.1.0.1"), 24)];
    assert_eq!(bench.fib.set_addresses(id, &more), Err(Error::Full("nexthop", 5)));
    assert_eq!(bench.default("10.0.0.1"), Some(Nexthop::Local { interface: id }));
    assert_eq!(bench.default("10.0.0.9"), Some(Nexthop::Glean { interface: id }));
    assert_eq!(bench.default("10.1.0.1"), None);
    assert_eq!(bench.fib.addresses(id), [(ip("10.0.0.1"), 24)]);
}

#[test]
fn a_group_follows_its_members_and_keeps_them_in_use() {
    let mut bench = Bench::new(Limits::default());
    let one = bench.fib.create_nexthop(NexthopSpec::Blackhole).unwrap();
    let two = bench.fib.create_nexthop(NexthopSpec::Prohibit).unwrap();
    let group = bench.fib.create_group(&[(one, 1), (two, 1)]).unwrap();
    bench.fib.put_route(Fib::DEFAULT_VRF, net("0.0.0.0/0"), OWNER, Target::Group(group)).unwrap();
    assert!(bench.default("192.0.2.1").is_some());
    assert!(matches!(bench.fib.remove_nexthop(one), Err(Error::InUse(..))));
    bench.fib.replace_group(group, &[(two, 1)]).unwrap();
    assert_eq!(bench.default("192.0.2.1"), Some(Nexthop::Prohibit));
    bench.fib.remove_nexthop(one).unwrap();
    // One change of the nexthop, and the route's traffic goes elsewhere; the route was not touched.
    bench.fib.replace_nexthop(two, NexthopSpec::Unreachable).unwrap();
    assert_eq!(bench.default("192.0.2.1"), Some(Nexthop::Unreachable));
}

/// Two gateways on two interfaces, both resolved.
fn two_ways(bench: &mut Bench) -> [(InterfaceId, NexthopId); 2] {
    [(1, "10.0.1.1/24", "10.0.1.2"), (2, "10.0.2.1/24", "10.0.2.2")].map(|(vlan, own, gateway)| {
        let id = bench.interface(vlan, own);
        bench.fib.neighbor_resolved(id, ip(gateway), MAC).unwrap();
        (id, bench.fib.create_nexthop(NexthopSpec::Gateway(id, ip(gateway))).unwrap())
    })
}

fn leaves_by(nexthop: Option<Nexthop>) -> Option<InterfaceId> {
    match nexthop? {
        Nexthop::Adjacency(adjacency) => Some(adjacency.interface),
        _ => None,
    }
}

#[test]
fn a_backup_takes_over_when_the_link_or_the_neighbour_goes_and_gives_back() {
    let mut bench = Bench::new(Limits::default());
    let [(first, one), (second, two)] = two_ways(&mut bench);
    bench.fib.set_backup(one, Some(two)).unwrap();
    bench.fib.put_route(Fib::DEFAULT_VRF, net("0.0.0.0/0"), OWNER, Target::Nexthop(one)).unwrap();
    let way = |bench: &Bench| leaves_by(bench.default("192.0.2.1"));
    assert_eq!(way(&bench), Some(first));
    let up = bench.fib.interface(first).unwrap().clone();
    bench.fib.replace_interface(first, InterfaceSpec { up: false, ..up.clone() }).unwrap();
    assert_eq!((way(&bench), bench.fib.backups(one)), (Some(second), vec![(two, true)]));
    bench.fib.replace_interface(first, up).unwrap();
    assert_eq!((way(&bench), bench.fib.backups(one)), (Some(first), vec![(two, false)]));
    bench.fib.neighbor_withdrawn(first, ip("10.0.1.2"));
    assert_eq!(way(&bench), Some(second));
    let armed = [(first, ip("10.0.1.2"), false), (second, ip("10.0.2.2"), true)];
    assert_eq!(bench.fib.armed_gateways(), armed.into());
    // A backup that can not be used either is no help: what is there says why.
    bench.fib.neighbor_withdrawn(second, ip("10.0.2.2"));
    assert!(
        matches!(bench.default("192.0.2.1"), Some(Nexthop::Unresolved { interface, .. }) if interface == first)
    );
    bench.fib.neighbor_resolved(second, ip("10.0.2.2"), MAC).unwrap();
    assert_eq!(way(&bench), Some(second));
    bench.fib.neighbor_resolved(first, ip("10.0.1.2"), MAC).unwrap();
    assert_eq!(way(&bench), Some(first));
    assert!(matches!(bench.fib.remove_nexthop(two), Err(Error::InUse(..))));
    bench.fib.set_backup(one, None).unwrap();
    bench.fib.remove_nexthop(two).unwrap();
}

#[test]
fn of_several_backups_the_first_that_can_be_used_is_in_force() {
    let mut bench = Bench::new(Limits::default());
    let [(first, one), (second, two)] = two_ways(&mut bench);
    let last = bench.fib.create_nexthop(NexthopSpec::Unreachable).unwrap();
    bench.fib.set_backup(one, Some(two)).unwrap();
    bench.fib.put_route(Fib::DEFAULT_VRF, net("0.0.0.0/0"), OWNER, Target::Nexthop(one)).unwrap();
    bench.fib.neighbor_withdrawn(first, ip("10.0.1.2"));
    bench.fib.neighbor_withdrawn(second, ip("10.0.2.2"));
    assert!(matches!(bench.default("192.0.2.1"), Some(Nexthop::Unresolved { .. })));
    // What comes behind the backup counts at once, and what comes back before it, too.
    bench.fib.set_backup(two, Some(last)).unwrap();
    assert_eq!(bench.default("192.0.2.1"), Some(Nexthop::Unreachable));
    assert_eq!(bench.fib.backups(one), [(two, false), (last, true)]);
    bench.fib.neighbor_resolved(second, ip("10.0.2.2"), MAC).unwrap();
    assert_eq!(leaves_by(bench.default("192.0.2.1")), Some(second));
    assert_eq!(bench.fib.backups(one), [(two, true), (last, false)]);
    let up = bench.fib.interface(second).unwrap().clone();
    bench.fib.replace_interface(second, InterfaceSpec { up: false, ..up }).unwrap();
    assert_eq!(bench.default("192.0.2.1"), Some(Nexthop::Unreachable));
    bench.fib.neighbor_resolved(first, ip("10.0.1.2"), MAC).unwrap();
    assert_eq!(leaves_by(bench.default("192.0.2.1")), Some(first));
}

#[test]
fn no_more_backups_than_the_limit_are_looked_at_and_a_ring_of_them_ends() {
    let mut bench = Bench::new(Limits::default());
    let [(first, one), _] = two_ways(&mut bench);
    bench.fib.neighbor_withdrawn(first, ip("10.0.1.2"));
    let spec = NexthopSpec::Gateway(first, ip("10.0.1.2"));
    let mut chain = vec![one];
    chain.extend((0..BACKUPS_MAX).map(|_| bench.fib.create_nexthop(spec.clone()).unwrap()));
    let hole = bench.fib.create_nexthop(NexthopSpec::Blackhole).unwrap();
    chain.push(hole);
    chain.windows(2).for_each(|pair| bench.fib.set_backup(pair[0], Some(pair[1])).unwrap());
    bench.fib.put_route(Fib::DEFAULT_VRF, net("0.0.0.0/0"), OWNER, Target::Nexthop(one)).unwrap();
    assert!(matches!(bench.default("192.0.2.1"), Some(Nexthop::Unresolved { .. })), "one too far");
    bench.fib.set_backup(chain[BACKUPS_MAX - 1], Some(hole)).unwrap();
    assert_eq!(bench.default("192.0.2.1"), Some(Nexthop::Blackhole));
    bench.fib.set_backup(chain[BACKUPS_MAX - 1], Some(one)).unwrap();
    assert!(matches!(bench.default("192.0.2.1"), Some(Nexthop::Unresolved { .. })), "a ring");
}

#[test]
fn a_shared_nexthop_is_repointed_and_flipped_without_touching_a_prefix() {
    const PREFIXES: u32 = 100_000;
    let mut bench = Bench::new(Limits::default());
    let [(first, one), (second, two)] = two_ways(&mut bench);
    bench.fib.set_backup(one, Some(two)).unwrap();
    for n in 0..PREFIXES {
        let prefix = IpNet::new(IpAddr::from((0x1400_0000 + (n << 8)).to_be_bytes()), 24).unwrap();
        bench.fib.put_route(Fib::DEFAULT_VRF, prefix, OWNER, Target::Nexthop(one)).unwrap();
    }
    let memory = bench.fib.vrf_memory(Fib::DEFAULT_VRF);
    let timed = |what: &str, limit_ms: u128, work: &mut dyn FnMut()| {
        let least = (0..3)
            .map(|_| {
                let began = std::time::Instant::now();
                work();
                began.elapsed()
            })
            .min()
            .unwrap();
        println!("{what}: {least:?} for {PREFIXES} prefixes");
        assert!(least.as_millis() < limit_ms, "{what} took {least:?}");
    };
    let gateway = NexthopSpec::Gateway(second, ip("10.0.2.2"));
    timed("re-pointing", 50, &mut || bench.fib.replace_nexthop(one, gateway.clone()).unwrap());
    assert_eq!(leaves_by(bench.default("20.0.9.1")), Some(second));
    bench.fib.replace_nexthop(one, NexthopSpec::Gateway(first, ip("10.0.1.2"))).unwrap();
    let up = bench.fib.interface(first).unwrap().clone();
    let mut state = false;
    timed("flipping to the backup", 1, &mut || {
        bench.fib.replace_interface(first, InterfaceSpec { up: state, ..up.clone() }).unwrap();
        state = !state;
    });
    assert_eq!(leaves_by(bench.default("20.0.9.1")), Some(second));
    assert_eq!(bench.fib.vrf_memory(Fib::DEFAULT_VRF), memory, "the prefixes' tables are as they were");
    assert_eq!(bench.fib.routes_to(Target::Nexthop(one)), u64::from(PREFIXES));
    assert!(matches!(bench.fib.remove_nexthop(one), Err(Error::InUse(..))));
}

#[test]
fn a_resilient_group_keeps_the_flows_of_members_that_stay() {
    let mut bench = Bench::new(Limits::default());
    let members: Vec<_> =
        (0..8).map(|_| (bench.fib.create_nexthop(NexthopSpec::Blackhole).unwrap(), 1)).collect();
    for (resilient, most) in [(true, 1.0 / 8.0), (false, 1.0)] {
        let options = GroupOptions { resilient, symmetric: false };
        let group = bench.fib.create_group_with(&members, options).unwrap();
        let hashes = || (0..100_000_u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32);
        let choose = |fib: &Fib| {
            let guard = bench.reader.enter();
            let (tables, hashes) = (fib.tables(), hashes());
            let view = tables.view(&guard);
            hashes.map(|hash| view.group(group).unwrap().choose(hash)).collect::<Vec<_>>()
        };
        let before = choose(&bench.fib);
        bench.fib.replace_group(group, &members[1..]).unwrap();
        let after = choose(&bench.fib);
        let moved = before.iter().zip(&after).filter(|(a, b)| a != b).count() as f64 / 1e5;
        println!("resilient {resilient}: {:.2} % of the flows moved", moved * 100.0);
        assert!(moved <= most + 0.002, "{moved}");
        assert_eq!(resilient, moved < 0.2, "{moved}");
        assert_eq!(bench.fib.choose(Target::Group(group), 7), Some(after_of(&bench, group, 7)));
    }
}

fn after_of(bench: &Bench, group: ze_packet::GroupId, hash: u32) -> NexthopId {
    let guard = bench.reader.enter();
    bench.fib.tables().view(&guard).group(group).unwrap().choose(hash)
}

/// Compares all of the default VRF, `limit` prefixes at a time. Returns compared, mended, and slices.
fn mend_all(fib: &mut Fib, limit: usize) -> (u64, u64, u64) {
    let (mut checked, mut mended, mut slices, mut after) = (0, 0, 0, None);
    loop {
        let slice = fib.mend_routes(Fib::DEFAULT_VRF, after, limit);
        assert!(slice.checked <= limit as u64, "{slice:?}");
        (checked, mended, slices) = (checked + slice.checked, mended + slice.mended, slices + 1);
        let Some(next) = slice.next else { return (checked, mended, slices) };
        after = Some(next);
    }
}

#[test]
fn tables_that_differ_from_the_books_are_mended_whatever_is_wrong_and_wherever_slices_end() {
    let both = ["192.0.2.0/24", "198.51.100.0/24", "198.51.100.0/25", "2001:db8::/32", "2001:db8::/48"];
    for limit in 1..=7 {
        let mut bench = Bench::new(Limits::default());
        let [hole, wall] = [NexthopSpec::Blackhole, NexthopSpec::Prohibit]
            .map(|spec| Target::Nexthop(bench.fib.create_nexthop(spec).unwrap()));
        for prefix in both {
            bench.fib.put_route(Fib::DEFAULT_VRF, net(prefix), OWNER, hole).unwrap();
        }
        let slices = mend_all(&mut bench.fib, limit);
        assert!(slices.0 == 5 && slices.1 == 0 && slices.2 >= 5_u64.div_ceil(limit as u64), "{slices:?}");
        // Missing, different and surplus, in both families.
        for (prefix, target) in [
            ("192.0.2.0/24", None),
            ("198.51.100.0/25", Some(wall)),
            ("203.0.113.0/24", Some(wall)),
            ("2001:db8::/32", Some(wall)),
            ("2001:db8::/48", None),
            ("2001:db8:1::/48", Some(wall)),
        ] {
            bench.fib.damage_route(Fib::DEFAULT_VRF, net(prefix), target);
        }
        assert_eq!(bench.default("192.0.2.1"), None);
        assert_eq!(bench.default("203.0.113.1"), Some(Nexthop::Prohibit));
        let (checked, mended, _) = mend_all(&mut bench.fib, limit);
        assert_eq!((checked, mended), (7, 6), "{limit} at a time");
        assert_eq!(bench.default("192.0.2.1"), Some(Nexthop::Blackhole));
        assert_eq!(bench.default("203.0.113.1"), None);
        assert_eq!(mend_all(&mut bench.fib, limit).1, 0);
    }
}

#[test]
fn a_walk_over_routes_sees_what_is_there_when_it_comes_by() {
    let mut bench = Bench::new(Limits::default());
    let hole = Target::Nexthop(bench.fib.create_nexthop(NexthopSpec::Blackhole).unwrap());
    let vrf = Fib::DEFAULT_VRF;
    let put = |fib: &mut Fib, prefix, source| {
        fib.put_route(vrf, net(prefix), source, hole).unwrap();
    };
    for prefix in ["10.0.0.0/8", "10.1.0.0/16", "20.0.0.0/8", "2001:db8::/32"] {
        put(&mut bench.fib, prefix, OWNER);
    }
    put(&mut bench.fib, "10.1.0.0/16", RouteSource::Connected);
    let seen: Vec<_> =
        bench.fib.routes_after(vrf, None).map(|r| (r.prefix.to_string(), r.source, r.active)).collect();
    let own = |prefix: &str, active| (prefix.to_owned(), OWNER, active);
    let connected = ("10.1.0.0/16".to_owned(), RouteSource::Connected, true);
    let rest = [own("20.0.0.0/8", true), own("2001:db8::/32", true)];
    let wanted =
        [vec![own("10.0.0.0/8", true), connected, own("10.1.0.0/16", false)], rest.to_vec()].concat();
    assert_eq!(seen, wanted);
    // The prefix where the walk stopped goes, one before it and one after it come.
    bench.fib.remove_route(vrf, net("10.1.0.0/16"), OWNER);
    bench.fib.remove_route(vrf, net("10.1.0.0/16"), RouteSource::Connected);
    put(&mut bench.fib, "9.0.0.0/8", OWNER);
    put(&mut bench.fib, "10.2.0.0/16", OWNER);
    let after = |prefix: &str| {
        let routes = bench.fib.routes_after(vrf, Some(net(prefix)));
        routes.map(|route| route.prefix.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(after("10.1.0.0/16"), ["10.2.0.0/16", "20.0.0.0/8", "2001:db8::/32"]);
    assert_eq!(after("2001:db8::/32"), [""; 0]);
}

#[test]
fn a_route_over_the_budget_is_refused_and_nothing_has_changed() {
    let mut bench = Bench::new(Limits { table_bytes: 20_000, ..Limits::default() });
    let hole = Target::Nexthop(bench.fib.create_nexthop(NexthopSpec::Blackhole).unwrap());
    let prefix = |n: u32| IpNet::new(IpAddr::from((0x1400_0000 + (n << 8)).to_be_bytes()), 24).unwrap();
    let refused = (0..100_000).find_map(|n| {
        let refused = bench.fib.put_route(Fib::DEFAULT_VRF, prefix(n), OWNER, hole).err()?;
        Some((n, refused))
    });
    let (n, refused) = refused.expect("20 kB do not hold a full table");
    assert!(matches!(refused, Error::Lpm(_)) && refused.to_string().contains("budget"), "{refused}");
    assert_eq!(bench.fib.route_counts(Fib::DEFAULT_VRF), (u64::from(n), 0));
    assert_eq!(bench.fib.routes_to(hole), u64::from(n));
}
