//! What the books refuse, and why: the same checks serve `Verify` and `Program`.

use ze_proto::v1::{self, Reason, nexthop::Kind, operation::Operation as Op, route::Target};

use super::objects::{MTU_MAX, MTU_MIN, OWNERS_MAX, Objects};
use super::verify;

fn op(operation: Op) -> v1::Operation {
    v1::Operation { operation: Some(operation) }
}

fn port(name: &str) -> v1::Operation {
    op(Op::PutPort(v1::Port { name: name.into(), ..v1::Port::default() }))
}

fn interface(name: &str, port: &str) -> v1::Interface {
    v1::Interface { name: name.into(), port: port.into(), ..v1::Interface::default() }
}

fn put(interface: v1::Interface) -> v1::Operation {
    op(Op::PutInterface(interface))
}

fn address(interface: &str, text: &str) -> v1::Operation {
    let net: ipnet::IpNet = text.parse().unwrap();
    op(Op::PutAddress(v1::Address {
        interface: interface.into(),
        address: ze_proto::address::to_bytes(net.addr()),
        prefix_len: u32::from(net.prefix_len()),
    }))
}

fn nexthop(key: u64, kind: Kind) -> v1::Operation {
    op(Op::PutNexthop(v1::Nexthop { key, kind: Some(kind), backup: None }))
}

fn gateway(address: &str, interface: &str) -> Kind {
    let address = ze_proto::address::to_bytes(address.parse().unwrap());
    Kind::Gateway(v1::Gateway { address, interface: interface.into(), vrf: String::new() })
}

fn routes(prefix: &[u8], prefix_len: u32, target: Option<Target>) -> v1::Operation {
    let route = v1::Route { prefix: prefix.into(), prefix_len, target };
    op(Op::PutRoutes(v1::Routes { vrf: String::new(), routes: vec![route] }))
}

/// A router that is all right: a port, an interface with an address, a gateway.
fn ground() -> Vec<v1::Operation> {
    vec![
        port("lan0"),
        put(interface("lan0", "lan0")),
        address("lan0", "10.0.0.1/24"),
        nexthop(1, gateway("10.0.0.2", "")),
        routes(&[192, 0, 2, 0], 24, Some(Target::Nexthop(1))),
    ]
}

/// What is refused when `operation` follows the ground: reason and path of the one refusal.
fn refusal(operation: v1::Operation) -> (Reason, String) {
    let mut operations = ground();
    operations.push(operation);
    let refusals = verify(&Objects::default(), "test", &operations);
    let [one] = refusals.as_slice() else { panic!("expected one refusal, got {refusals:?}") };
    assert_eq!(one.operation as usize, ground().len(), "{one:?}");
    (one.reason(), one.path.clone())
}

#[test]
fn a_right_configuration_is_not_refused() {
    assert_eq!(verify(&Objects::default(), "test", &ground()), []);
}

#[test]
fn names_and_numbers_that_make_no_sense_are_malformed() {
    for name in ["", "a-name-too-long-for-linux", "a/b", "lo", "with space"] {
        assert_eq!(refusal(port(name)).0, Reason::Malformed, "{name}");
    }
    let vlan = v1::Interface { vlan: 4095, ..interface("x", "lan0") };
    assert_eq!(refusal(put(vlan)), (Reason::Malformed, "/interface[name='x']/vlan".into()));
    let mac = v1::Interface { vlan: 9, mac: vec![1, 0, 0, 0, 0, 1], ..interface("x", "lan0") };
    assert_eq!(refusal(put(mac)), (Reason::Malformed, "/interface[name='x']/mac".into()));
    assert_eq!(refusal(v1::Operation { operation: None }).0, Reason::Malformed);
    assert_eq!(refusal(op(Op::DeletePort("lan0".into()))).0, Reason::Malformed);
}

#[test]
fn the_mtu_has_two_limits_and_both_are_exact() {
    let with = |mtu| put(v1::Interface { vlan: 9, mtu, ..interface("x", "lan0") });
    let refused = |mtu| {
        let mut operations = ground();
        operations.push(with(mtu));
        verify(&Objects::default(), "test", &operations).first().map(v1::Refusal::reason)
    };
    assert_eq!(refused(MTU_MIN - 1), Some(Reason::Malformed));
    assert_eq!(refused(MTU_MIN), None);
    assert_eq!(refused(MTU_MAX), None);
    assert_eq!(refused(MTU_MAX + 1), Some(Reason::Unsupported));
}

#[test]
fn what_does_not_exist_is_named() {
    assert_eq!(
        refusal(put(interface("x", "nowhere"))),
        (Reason::UnknownReference, "/interface[name='x']/port".into())
    );
    let vrf = v1::Interface { vlan: 9, vrf: "blue".into(), ..interface("x", "lan0") };
    assert_eq!(refusal(put(vrf)), (Reason::UnknownReference, "/interface[name='x']/vrf".into()));
    assert_eq!(refusal(address("x", "10.9.0.1/24")).0, Reason::UnknownReference);
    assert_eq!(refusal(nexthop(2, gateway("172.16.0.1", ""))).0, Reason::UnknownReference);
    assert_eq!(refusal(nexthop(2, Kind::Interface("x".into()))).0, Reason::UnknownReference);
    let (reason, path) = refusal(routes(&[10, 9, 0, 0], 16, Some(Target::Nexthop(99))));
    assert_eq!(
        (reason, path.as_str()),
        (Reason::UnknownReference, "/vrf[name='default']/route[prefix='10.9.0.0/16']")
    );
    assert_eq!(
        refusal(routes(&[10, 9, 0, 0], 16, Some(Target::NexthopGroup(1)))).0,
        Reason::UnknownReference
    );
}

#[test]
fn prefixes_with_host_bits_and_of_wrong_length_are_malformed() {
    let (reason, path) = refusal(routes(&[10, 9, 0, 1], 16, Some(Target::Nexthop(1))));
    assert_eq!(
        (reason, path.as_str()),
        (Reason::Malformed, "/vrf[name='default']/route[prefix='10.9.0.1/16']")
    );
    assert_eq!(refusal(routes(&[10, 9, 0], 16, Some(Target::Nexthop(1)))).0, Reason::Malformed);
    assert_eq!(refusal(routes(&[10, 9, 0, 0], 33, Some(Target::Nexthop(1)))).0, Reason::Malformed);
    assert_eq!(refusal(routes(&[10, 9, 0, 0], 16, None)).0, Reason::Malformed);
}

#[test]
fn interface_addresses_are_addresses_of_hosts() {
    for wrong in [
        "10.0.1.0/24",
        "10.0.1.255/24",
        "224.0.0.1/24",
        "127.0.0.1/8",
        "0.0.0.1/8",
        "2001:db8::/64",
        "::1/128",
    ] {
        assert_eq!(refusal(address("lan0", wrong)).0, Reason::Malformed, "{wrong}");
    }
    assert_eq!(refusal(address("lan0", "fe80::1/64")).0, Reason::Unsupported);
    let mut operations = ground();
    // RFC 3021 and RFC 6164: both addresses of a point-to-point prefix are hosts'.
    operations.extend(["10.2.0.0/31", "10.3.0.1/32", "2001:db8::/127"].map(|a| address("lan0", a)));
    assert_eq!(verify(&Objects::default(), "test", &operations), []);
}

#[test]
fn contradictions_are_conflicts() {
    assert_eq!(
        refusal(put(interface("twin", "lan0"))),
        (Reason::Conflict, "/interface[name='twin']/vlan".into())
    );
    let same_device = v1::Port { name: "p".into(), device: "lan0".into(), ..v1::Port::default() };
    assert_eq!(refusal(op(Op::PutPort(same_device))).0, Reason::Conflict);
    let mut operations = ground();
    operations.push(put(v1::Interface { vlan: 7, ..interface("lan0.7", "lan0") }));
    operations.push(address("lan0.7", "10.0.0.1/24"));
    assert_eq!(verify(&Objects::default(), "test", &operations)[0].reason(), Reason::Conflict);
    // In another VRF the same address is another one.
    operations.truncate(ground().len());
    operations.push(op(Op::PutVrf(v1::Vrf { name: "blue".into() })));
    operations.push(put(v1::Interface { vlan: 7, vrf: "blue".into(), ..interface("lan0.7", "lan0") }));
    operations.push(address("lan0.7", "10.0.0.1/24"));
    assert_eq!(verify(&Objects::default(), "test", &operations), []);
}

#[test]
fn groups_have_members_that_exist_once_and_weights_in_range() {
    let group = |members: &[(u64, u32)]| {
        let members =
            members.iter().map(|(nexthop, weight)| v1::GroupMember { nexthop: *nexthop, weight: *weight });
        op(Op::PutNexthopGroup(v1::NexthopGroup {
            key: 1,
            members: members.collect(),
            ..v1::NexthopGroup::default()
        }))
    };
    assert_eq!(refusal(group(&[])).0, Reason::Malformed);
    assert_eq!(refusal(group(&[(1, 256)])).0, Reason::Malformed);
    assert_eq!(refusal(group(&[(1, 0)])).0, Reason::Malformed);
    assert_eq!(refusal(group(&[(1, 1), (1, 1)])).0, Reason::Malformed);
    assert_eq!(refusal(group(&[(9, 1)])).0, Reason::UnknownReference);
    let many: Vec<_> = (0..129).map(|key| (key, 1)).collect();
    assert_eq!(refusal(group(&many)).0, Reason::Malformed);
}

#[test]
fn what_another_owner_has_is_not_ours() {
    let mut books = Objects::default();
    let other = books.hello("other", false).unwrap();
    let owned = books.own(other, v1::Port { name: "lan0".into(), ..v1::Port::default() });
    books.ports.insert("lan0".into(), owned);
    let refusals = verify(&books, "test", &[port("lan0")]);
    assert_eq!(refusals[0].reason(), Reason::OwnedByOther);
    assert!(refusals[0].message.contains("other"), "{refusals:?}");
    // Its own objects are its to put again.
    assert_eq!(verify(&books, "other", &[port("lan0")]), []);
}

#[test]
fn what_is_referred_to_can_not_go() {
    let mut books = Objects::default();
    let owner = books.hello("test", false).unwrap();
    let object = super::parse::interface(&interface("lan0", "lan0")).unwrap();
    let owned = books.own(owner, object);
    books.interfaces.insert("lan0".into(), owned);
    let refused = books.check_delete_port("lan0").unwrap_err();
    assert_eq!(refused.reason, Reason::InUse);
    assert!(refused.message.contains("interface lan0"), "{refused}");
    let owned = books.own(owner, 24);
    books.addresses.insert(("lan0".into(), "10.0.0.1".parse().unwrap()), owned);
    assert_eq!(books.check_delete_interface("lan0").unwrap_err().reason, Reason::InUse);
    assert_eq!(books.check_delete_vrf("default").unwrap_err().reason, Reason::InUse);
}

#[test]
fn owners_have_names_and_a_limit_and_snapshots_count() {
    let mut books = Objects::default();
    for bad in ["", "Upper", "under_score", &"x".repeat(33)] {
        assert_eq!(books.hello(bad, false).unwrap_err().reason, Reason::Malformed, "{bad}");
    }
    let first = books.hello("owner-0", true).unwrap();
    assert_eq!(books.generation(first), 1);
    assert_eq!(books.hello("owner-0", true), Ok(first));
    assert_eq!(books.generation(first), 2);
    for number in 1..OWNERS_MAX {
        books.hello(&format!("owner-{number}"), false).unwrap();
    }
    assert_eq!(books.hello("one-more", false).unwrap_err().reason, Reason::Limit);
    assert!(books.hello("owner-7", false).is_ok());
}

fn packed(vrf: &str, routes: &[(&str, u64)]) -> v1::PackedRoutes {
    let route =
        |(prefix, key): &(&str, u64)| (prefix.parse().unwrap(), ze_proto::packed::TargetKey::Nexthop(*key));
    ze_proto::packed::put(vrf, routes.iter().map(route))
}

#[test]
fn packed_routes_are_refused_one_by_one_with_their_prefix_and_as_a_whole_with_their_vrf() {
    let refused = |packed| refusal(op(Op::PutPackedRoutes(packed)));
    let unknown = packed("", &[("198.51.100.0/24", 1), ("203.0.113.0/24", 9)]);
    let path = "/vrf[name='default']/route[prefix='203.0.113.0/24']";
    assert_eq!(refused(unknown), (Reason::UnknownReference, path.into()));
    assert_eq!(refused(packed("green", &[])), (Reason::UnknownReference, "/vrf[name='green']".into()));
    let mut host_bits = packed("", &[("198.51.100.0/23", 1)]);
    host_bits.routes4[3] |= 1;
    assert_eq!(refused(host_bits).0, Reason::Malformed);
    let mut short = packed("", &[("198.51.100.0/24", 1), ("203.0.113.0/24", 1)]);
    short.routes4.pop();
    assert_eq!(refused(short), (Reason::Malformed, "/vrf[name='default']".into()));
    let mut number = packed("", &[("198.51.100.0/24", 1)]);
    number.nexthops.clear();
    assert_eq!(refused(number).0, Reason::Malformed);
}

#[test]
fn backups_exist_and_are_others_and_vrfs_that_routes_lead_to_exist() {
    let with = |key, kind, backup| op(Op::PutNexthop(v1::Nexthop { key, kind: Some(kind), backup }));
    let hole = || Kind::Blackhole(v1::Empty {});
    assert_eq!(
        refusal(with(7, hole(), Some(9))),
        (Reason::UnknownReference, "/nexthop[key='7']/backup".into())
    );
    assert_eq!(refusal(with(7, hole(), Some(7))).0, Reason::Conflict);
    let there = [ground(), vec![with(7, hole(), Some(1))]].concat();
    assert_eq!(verify(&Objects::default(), "test", &there), []);
    assert_eq!(refusal(with(7, Kind::LookupVrf("green".into()), None)).0, Reason::UnknownReference);
}

#[test]
fn a_hello_of_a_former_life_or_without_sense_is_refused() {
    let mut objects = Objects::default();
    let hello =
        |generation, preference| v1::Hello { owner: "test".into(), snapshot: true, preference, generation };
    objects.hello_with(&hello(5, 0)).unwrap();
    let refused = objects.hello_with(&hello(4, 0)).unwrap_err();
    assert!(refused.message.contains("generation 4 of test is out of order: 5 has begun"), "{refused}");
    objects.hello_with(&hello(0, 0)).unwrap();
    objects.hello_with(&hello(6, 0)).unwrap();
    assert_eq!(objects.hello_with(&hello(7, 256)).unwrap_err().reason, Reason::Malformed);
}
