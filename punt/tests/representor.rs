//! Representors on a real kernel. Needs root.

mod support;

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::{Lab, RawPort, inside, json, lab, namespaces, run, sysctl};
use ze_ethtool::{Device, Feature};
use ze_packet::{InterfaceId, MacAddr, checksum};
use ze_punt::representor::{Error, Namespaces, Representors, Spec};

const MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0xaa, 1]);
const LINK_LOCAL: &str = "fe80::aa:1";

fn spec(id: u16, name: &str, addresses: &[&str]) -> Spec {
    Spec {
        interface: InterfaceId(id),
        name: name.to_owned(),
        vrf: None,
        mac: MAC,
        mtu_bytes: 1500,
        addresses: addresses.iter().map(|net| net.parse().unwrap()).collect(),
        link_local: Some(LINK_LOCAL.parse().unwrap()),
        up: true,
    }
}

fn dual(id: u16, name: &str) -> Spec {
    spec(id, name, &["192.0.2.1/24", "2001:db8:1::1/64"])
}

async fn open(lab: &Lab) -> Representors {
    Representors::open(&lab.base, "test").await.unwrap()
}

/// "address/length" of every address, in the kernel's order.
fn addresses(netns: &str, device: &str) -> Vec<String> {
    let all = json(&format!("ip -n {netns} -j addr show dev {device}"));
    let info = all[0]["addr_info"].as_array().unwrap();
    let text = |at: &serde_json::Value| format!("{}/{}", at["local"].as_str().unwrap(), at["prefixlen"]);
    info.iter().map(text).collect()
}

/// The device of the default route.
fn default_device(netns: &str, family: &str) -> Option<String> {
    let routes = json(&format!("ip -n {netns} {family} -j route show default"));
    let routes = routes.as_array().unwrap();
    assert!(routes.len() <= 1, "{routes:?}");
    Some(routes.first()?["dev"].as_str().unwrap().to_owned())
}

#[test]
fn a_representor_looks_like_its_interface() {
    lab(async |lab| {
        let base = &lab.base;
        let made = open(lab).await.ensure(&Spec { mtu_bytes: 1400, ..dual(7, "lan0.100") }).await.unwrap();
        assert!(made.outer_name.len() <= 15 && !made.adopted);
        assert_eq!((made.inner_name.as_str(), &made.netns), ("lan0.100", base));

        let inner = &json(&format!("ip -n {base} -d -j link show dev lan0.100"))[0];
        assert_eq!(inner["address"], MAC.to_string());
        assert_eq!(inner["mtu"], 1400);
        assert_eq!(inner["ifindex"], made.inner_ifindex);
        assert_eq!(inner["qdisc"], "pfifo_fast");
        assert_eq!(inner["inet6_addr_gen_mode"], "none");
        let flags = inner["flags"].as_array().unwrap();
        assert!(["NOARP", "UP", "LOWER_UP"].iter().all(|flag| flags.contains(&(*flag).into())), "{flags:?}");
        assert_eq!(addresses(base, "lan0.100"), ["192.0.2.1/24", "2001:db8:1::1/64", "fe80::aa:1/64"]);
        let text = run(&format!("ip -n {base} addr show dev lan0.100"));
        assert!(!text.contains("tentative"), "{text}");

        let outer = &json(&format!("ip -d -j link show dev {}", made.outer_name))[0];
        assert_eq!((&outer["mtu"], &outer["qdisc"]), (&1400.into(), &"pfifo_fast".into()));
        assert!(outer["ifalias"].as_str().unwrap().starts_with("ze-representor:test:"));
        assert_ne!(outer["address"], MAC.to_string(), "or the kernel would take what the fast path should");
        assert_eq!(run(&format!("ip -6 addr show dev {}", made.outer_name)), "");

        assert_eq!(default_device(base, "-4").as_deref(), Some("lan0.100"));
        assert_eq!(default_device(base, "-6").as_deref(), Some("lan0.100"));
        for (key, value) in [
            ("ipv4/ip_forward", "0"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/lan0.100/rp_filter", "0"),
            ("ipv4/conf/lan0.100/send_redirects", "0"),
            ("ipv6/conf/all/forwarding", "0"),
            ("ipv6/conf/lan0.100/accept_ra", "0"),
            ("ipv6/conf/lan0.100/accept_dad", "0"),
        ] {
            assert_eq!(sysctl(base, key), value, "{key}");
        }
        assert_eq!(json(&format!("ip -n {base} -j link show dev lo"))[0]["flags"][1], "UP");
        assert_features_off(lab, &made.outer_name);
    });
}

fn assert_features_off(lab: &Lab, outer: &str) {
    use Feature::{Gro, Gso, Lro, RxVlan, Tso, TxChecksum, TxVlan};
    let inner = inside(&lab.base, || {
        let device = Device::open("lan0.100").unwrap();
        [TxChecksum, Tso, Gso, Gro, Lro, TxVlan, RxVlan].map(|feature| device.feature(feature).unwrap())
    });
    assert_eq!(inner, [false; 7]);
    let outer = Device::open(outer).unwrap();
    assert_eq!(
        [Tso, Gso, Gro, Lro, TxVlan, RxVlan].map(|feature| outer.feature(feature).unwrap()),
        [false; 6]
    );
}

#[test]
fn packets_leave_finished_and_addressed_to_the_interface_itself() {
    lab(async |lab| {
        let made = open(lab).await.ensure(&dual(1, "lan0")).await.unwrap();
        let port = RawPort::open(&made.outer_name);
        let scope = made.inner_ifindex;
        let link_local = SocketAddrV6::new("fe80::99".parse().unwrap(), 4000, 0, scope).into();
        let mut seen = Vec::new();
        for destination in [
            "203.0.113.9:4000".parse().unwrap(),
            "192.0.2.77:4000".parse().unwrap(),
            "[2001:db8:ffff::9]:4000".parse().unwrap(),
            "[2001:db8:1::77]:4000".parse().unwrap(),
            link_local,
        ] {
            let destination: SocketAddr = destination;
            inside(&lab.base, move || {
                let any = if destination.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any).unwrap();
                socket.send_to(&[7; 501], destination).unwrap();
                // A handshake that nobody answers: only its first segment matters.
                let _ = TcpStream::connect_timeout(&destination, Duration::from_millis(1));
            });
            for protocol in [17, 6] {
                let frame = port.find(&mut seen, |frame| is_to(frame, protocol, destination));
                assert_eq!(frame[..6], MAC.0, "{destination}: to itself, that is to the fast path");
                assert_eq!(frame[6..12], MAC.0);
                assert!(has_right_checksums(&frame), "{destination} protocol {protocol}");
            }
        }
        for frame in &seen {
            assert_ne!(frame[12..14], [0x08, 0x06], "an ARP message");
            assert!(
                !(frame[12..14] == [0x86, 0xdd] && frame[20] == 58 && (133..=137).contains(&frame[54])),
                "ND"
            );
        }
    });
}

/// Is this a packet of this protocol to this destination and port?
fn is_to(frame: &[u8], protocol: u8, to: SocketAddr) -> bool {
    let port = to.port().to_be_bytes();
    match to {
        SocketAddr::V4(to) => {
            frame[12..14] == [8, 0]
                && frame[23] == protocol
                && frame[30..34] == to.ip().octets()
                && frame[36..38] == port
        }
        SocketAddr::V6(to) => {
            frame[12..14] == [0x86, 0xdd]
                && frame[20] == protocol
                && frame[38..54] == to.ip().octets()
                && frame[56..58] == port
        }
    }
}

/// The IP header's checksum and the L4 one. True for what is neither TCP nor UDP.
fn has_right_checksums(frame: &[u8]) -> bool {
    let packet = &frame[14..];
    let (addresses, protocol, rest) = match packet[0] >> 4 {
        4 => {
            let len = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
            if checksum::of(&packet[..20]) != 0 {
                return false;
            }
            (&packet[12..20], packet[9], &packet[20..len])
        }
        _ => (
            &packet[8..40],
            packet[6],
            &packet[40..40 + usize::from(u16::from_be_bytes([packet[4], packet[5]]))],
        ),
    };
    let (source, destination) = addresses.split_at(addresses.len() / 2);
    let sum = checksum::Sum::new().pseudo_header(source, destination, protocol, rest.len() as u32);
    !matches!(protocol, 6 | 17) || sum.bytes(rest).fold() == 0
}

#[test]
fn two_hosts_talk_tcp_through_a_relay_and_no_frame_is_unfinished_or_too_long() {
    const BYTES: usize = 8 << 20;
    lab(async |lab| {
        let mut representors = open(lab).await;
        let other = MacAddr([0x02, 0, 0, 0, 0xbb, 1]);
        let left = representors.ensure(&spec(1, "lan0", &["192.0.2.1/24"])).await.unwrap();
        let right = Spec { vrf: Some("red".into()), mac: other, ..spec(2, "lan0", &["192.0.2.2/24"]) };
        let right = representors.ensure(&right).await.unwrap();
        assert_eq!(right.netns, format!("{}-red", lab.base));

        let stop = Arc::new(AtomicBool::new(false));
        let ports = [RawPort::open(&left.outer_name), RawPort::open(&right.outer_name)].map(Arc::new);
        let relays: Vec<_> = [(0, 1, other), (1, 0, MAC)]
            .map(|(from, to, mac)| {
                let (from, to, stop) = (Arc::clone(&ports[from]), Arc::clone(&ports[to]), Arc::clone(&stop));
                std::thread::spawn(move || relay(&from, &to, mac, &stop))
            })
            .into();
        let listener = inside(&right.netns, || TcpListener::bind("192.0.2.2:5000").unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut received = Vec::new();
            stream.read_to_end(&mut received).unwrap();
            received.len()
        });
        inside(&left.netns, || {
            let server = "192.0.2.2:5000".parse().unwrap();
            let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(5)).unwrap();
            stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
            stream.write_all(&vec![0x5a; BYTES]).unwrap();
        });
        assert_eq!(server.join().unwrap(), BYTES);
        stop.store(true, Ordering::Relaxed);
        let relayed: usize = relays.into_iter().map(|relay| relay.join().unwrap()).sum();
        assert!(relayed > BYTES / 1460, "{relayed} frames");
    });
}

/// A wire between two fast-path interfaces: puts the neighbour's MAC in place. Returns how many frames passed.
fn relay(from: &RawPort, to: &RawPort, mac: MacAddr, stop: &AtomicBool) -> usize {
    let mut frames = 0;
    while !stop.load(Ordering::Relaxed) {
        let Some(mut frame) = from.take() else { continue };
        // Frames that the other relay sent out of this port come by, too: they carry the host's own MAC.
        let is_ip = matches!(frame[12..14], [8, 0] | [0x86, 0xdd]);
        if !is_ip || frame[..6] != frame[6..12] {
            continue;
        }
        assert!(frame.len() <= 1514, "a frame of {} bytes", frame.len());
        assert!(has_right_checksums(&frame), "a wrong checksum");
        frame[..6].copy_from_slice(&mac.0);
        frames += 1;
        // A full device is a loss, which TCP repairs.
        let _ = to.send(&frame);
    }
    frames
}

#[test]
fn only_differences_are_applied_and_sockets_stay() {
    lab(async |lab| {
        let base = lab.base.clone();
        let mut representors = open(lab).await;
        let before = representors.ensure(&dual(1, "lan0")).await.unwrap();
        assert_eq!(representors.ensure(&dual(1, "lan0")).await.unwrap(), before);

        let mac = MacAddr([0x02, 0, 0, 0, 0xcc, 2]);
        let link_local: Ipv6Addr = "fe80::cc:2".parse().unwrap();
        let changed = Spec {
            mac,
            mtu_bytes: 9000,
            link_local: Some(link_local),
            ..spec(1, "lan0", &["192.0.2.1/24", "198.51.100.1/31", "2001:db8:2::1/48"])
        };
        assert_eq!(representors.ensure(&changed).await.unwrap(), before, "the same devices");
        assert_eq!(
            addresses(&base, "lan0"),
            ["192.0.2.1/24", "198.51.100.1/31", "2001:db8:2::1/48", "fe80::cc:2/64"]
        );
        let inner = &json(&format!("ip -n {base} -j link show dev lan0"))[0];
        assert_eq!((&inner["mtu"], &inner["address"]), (&9000.into(), &mac.to_string().into()));
        assert_eq!(json(&format!("ip -j link show dev {}", before.outer_name))[0]["mtu"], 9000);

        // The first of two addresses of a subnet goes, the second stays.
        let two = spec(1, "lan0", &["192.0.2.1/24", "192.0.2.2/24"]);
        representors.ensure(&two).await.unwrap();
        representors.ensure(&Spec { link_local: None, ..spec(1, "lan0", &["192.0.2.2/24"]) }).await.unwrap();
        assert_eq!(addresses(&base, "lan0"), ["192.0.2.2/24"]);

        let down = Spec { up: false, ..dual(1, "lan0") };
        assert_eq!(representors.ensure(&down).await.unwrap(), before);
        let inner = json(&format!("ip -n {base} -j link show dev lan0"))[0]["flags"].clone();
        assert!(inner.as_array().unwrap().contains(&"NO-CARRIER".into()), "{inner}");
        assert_eq!(addresses(&base, "lan0").len(), 3, "addresses outlive a time without a link");
        representors.ensure(&dual(1, "lan0")).await.unwrap();
        let inner = json(&format!("ip -n {base} -j link show dev lan0"))[0]["flags"].clone();
        assert!(inner.as_array().unwrap().contains(&"LOWER_UP".into()), "{inner}");
    });
}

#[test]
fn default_routes_follow_the_first_interface_that_is_up_and_has_an_address() {
    lab(async |lab| {
        let base = &lab.base;
        let mut representors = open(lab).await;
        let of = |base: &str| (default_device(base, "-4"), default_device(base, "-6"));
        let pair = |v4: &str, v6: &str| (Some(v4.to_owned()), Some(v6.to_owned()));
        assert_eq!(of(base), (None, None));
        representors.ensure(&dual(5, "e")).await.unwrap();
        assert_eq!(of(base), pair("e", "e"));
        representors.ensure(&spec(3, "c", &["198.51.100.1/24"])).await.unwrap();
        assert_eq!(of(base), pair("c", "e"), "each family for itself; a link-local address is none");
        representors.ensure(&spec(2, "b", &["2001:db8:2::1/64"])).await.unwrap();
        assert_eq!(of(base), pair("c", "b"));
        representors.ensure(&Spec { up: false, ..spec(3, "c", &["198.51.100.1/24"]) }).await.unwrap();
        assert_eq!(of(base), pair("e", "b"), "down");
        representors.ensure(&spec(3, "c", &["198.51.100.1/24"])).await.unwrap();
        assert_eq!(of(base), pair("c", "b"), "up again");
        representors.ensure(&spec(3, "c", &[])).await.unwrap();
        assert_eq!(of(base), pair("e", "b"), "without its address");
        representors.remove(InterfaceId(2)).await.unwrap();
        assert_eq!(of(base), pair("e", "e"), "removed");
        representors.remove(InterfaceId(5)).await.unwrap();
        assert_eq!(of(base), (None, None));
    });
}

#[test]
fn a_new_daemon_adopts_what_a_killed_one_left_and_sweeps_the_rest() {
    lab(async |lab| {
        let base = lab.base.clone();
        let mut killed = open(lab).await;
        let kept = killed.ensure(&dual(1, "lan0")).await.unwrap();
        let stale = killed.ensure(&spec(2, "lan1", &["198.51.100.1/24"])).await.unwrap();
        let mut other = Representors::open(&format!("{base}-x"), "other").await.unwrap();
        let foreign = other.ensure(&dual(1, "lan0")).await.unwrap();
        drop(killed);
        let socket = inside(&base, || UdpSocket::bind("192.0.2.1:4000").unwrap());

        let mut daemon = open(lab).await;
        // Identifiers may be dealt anew; the name is what lasts.
        let adopted = daemon.ensure(&dual(9, "lan0")).await.unwrap();
        assert!(adopted.adopted);
        assert_eq!((adopted.outer_ifindex, adopted.inner_ifindex), (kept.outer_ifindex, kept.inner_ifindex));
        assert_eq!(daemon.sweep_stale().await.unwrap(), [stale.outer_name]);
        assert_eq!(daemon.sweep_stale().await.unwrap(), [""; 0]);
        assert!(run(&format!("ip -n {base} link")).contains("lan0"));
        assert!(!run(&format!("ip -n {base} link")).contains("lan1"));

        // The old socket still receives.
        let port = RawPort::open(&adopted.outer_name);
        port.send(&udp_to_lan0()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        let mut buffer = [0; 64];
        assert_eq!(socket.recv_from(&mut buffer).unwrap(), (5, "203.0.113.5:1111".parse().unwrap()));

        daemon.remove_all(Namespaces::Remove).await.unwrap();
        assert_eq!(namespaces(&base), [format!("{base}-x")], "the other instance's stays");
        assert!(run("ip link").contains(&foreign.outer_name));
        assert!(!run("ip link").contains(&adopted.outer_name));
        other.remove_all(Namespaces::Remove).await.unwrap();
        assert_eq!(namespaces(&base), [""; 0]);
        assert!(!run("ip link").contains("zer"));
    });
}

/// A frame as the fast path punts it: from a far host, "hello" for port 4000 of 192.0.2.1.
fn udp_to_lan0() -> Vec<u8> {
    let udp = [&1111u16.to_be_bytes()[..], &4000u16.to_be_bytes(), &13u16.to_be_bytes(), &[0, 0], b"hello"]
        .concat();
    let mut ip = vec![0x45, 0, 0, 33, 0, 0, 0x40, 0, 64, 17, 0, 0, 203, 0, 113, 5, 192, 0, 2, 1];
    let sum = checksum::of(&ip).to_be_bytes();
    ip[10..12].copy_from_slice(&sum);
    [&MAC.0[..], &[0x02, 0, 0, 0, 0xee, 1], &[8, 0], &ip, &udp].concat()
}

#[test]
fn an_interface_that_changes_its_vrf_or_name_moves() {
    lab(async |lab| {
        let base = &lab.base;
        let mut representors = open(lab).await;
        representors.ensure(&dual(1, "lan0")).await.unwrap();
        let red = Spec { vrf: Some("red".into()), ..dual(1, "lan0") };
        let moved = representors.ensure(&red).await.unwrap();
        assert_eq!(moved.netns, format!("{base}-red"));
        assert!(!run(&format!("ip -n {base} link")).contains("lan0"));
        assert_eq!(default_device(base, "-4"), None);
        assert_eq!(default_device(&moved.netns, "-4").as_deref(), Some("lan0"));
        let renamed = representors.ensure(&Spec { name: "uplink".into(), ..red }).await.unwrap();
        assert_eq!(renamed.inner_name, "uplink");
        assert!(!run(&format!("ip -n {} link", moved.netns)).contains("lan0"));
        assert_eq!(representors.representor(InterfaceId(1)), Some(&renamed));
    });
}

#[test]
fn half_made_pairs_are_completed_and_foreign_devices_are_refused() {
    lab(async |lab| {
        let base = lab.base.clone();
        let mut representors = open(lab).await;
        let made = representors.ensure(&dual(1, "lan0")).await.unwrap();

        // Killed between making and marking.
        run(&format!("ip link set dev {} alias {}", made.outer_name, "ze-representor:test:"));
        assert!(matches!(representors.ensure(&dual(1, "lan0")).await, Err(Error::ForeignDevice { .. })));
        run(&format!("ip link del dev {}", made.outer_name));
        run(&format!("ip link add {} type veth peer name x", made.outer_name));
        let again = representors.ensure(&dual(1, "lan0")).await.unwrap();
        assert!(!again.adopted && !run("ip link").contains("x@"));

        // A device that somebody else put into the namespace under our name.
        run(&format!("ip -n {base} link add lan1 type bridge"));
        let refused = representors.ensure(&dual(2, "lan1")).await.unwrap_err();
        assert!(refused.to_string().contains("lan1"), "{refused}");

        // The operator deleted the namespace: it is made anew.
        let third = spec(3, "lan3", &["198.51.100.1/24"]);
        representors.ensure(&third).await.unwrap();
        run(&format!("ip netns del {base}"));
        representors.ensure(&third).await.unwrap();
        assert_eq!(representors.representor(InterfaceId(1)), None, "gone with the namespace");
        assert_eq!(default_device(&base, "-4").as_deref(), Some("lan3"));
        let anew = representors.ensure(&dual(1, "lan0")).await.unwrap();
        assert!(!anew.adopted);
        assert_eq!(addresses(&base, "lan0").len(), 3);
    });
}

#[test]
fn namespaces_that_we_did_not_make_are_used_but_stay_and_foreign_ones_are_refused() {
    lab(async |lab| {
        let base = lab.base.clone();
        run(&format!("ip netns add {base}"));
        let mut representors = open(lab).await;
        representors.ensure(&dual(1, "lan0")).await.unwrap();
        representors.ensure_vrf("red").await.unwrap();
        representors.remove_all(Namespaces::Remove).await.unwrap();
        assert_eq!(namespaces(&base).join(" "), base);

        let other = Representors::open(&format!("{base}-y"), "other").await.unwrap();
        let refused = Representors::open(&format!("{base}-y"), "test").await.unwrap_err();
        assert!(
            matches!(&refused, Error::ForeignNamespace { owner, .. } if owner == "ze-netns:other"),
            "{refused}"
        );
        drop(other);
    });
}

#[test]
fn impossible_specifications_are_refused_before_anything_happens() {
    lab(async |lab| {
        let mut representors = open(lab).await;
        let small = Spec { mtu_bytes: 1279, ..dual(1, "lan0") };
        assert!(matches!(representors.ensure(&small).await, Err(Error::Mtu { least: 1280, .. })));
        let long = dual(1, "sixteen-bytes-xx");
        assert!(matches!(representors.ensure(&long).await, Err(Error::Name { .. })));
        let vrf = Spec { vrf: Some("../etc".into()), ..dual(1, "lan0") };
        assert!(matches!(representors.ensure(&vrf).await, Err(Error::Name { .. })));
        assert!(!run("ip link").contains("zer"));
        let v4 = Spec { mtu_bytes: 1279, link_local: None, ..spec(1, "lan0", &["192.0.2.1/24"]) };
        let made = representors.ensure(&v4).await.unwrap();
        // A device that small has no IPv6; it comes back as configured.
        let large = representors.ensure(&dual(1, "lan0")).await.unwrap();
        assert_eq!((large.outer_ifindex, large.inner_ifindex), (made.outer_ifindex, made.inner_ifindex));
        assert_eq!(addresses(&lab.base, "lan0"), ["192.0.2.1/24", "2001:db8:1::1/64", "fe80::aa:1/64"]);
        assert_eq!(sysctl(&lab.base, "ipv6/conf/lan0/accept_ra"), "0");
        assert_eq!(run(&format!("ip -6 addr show dev {}", large.outer_name)), "");
    });
}

#[test]
fn features_are_turned_off_and_restored_in_the_namespace_of_the_device() {
    lab(async |_| {
        run("ip link add zev0 type veth peer name zev1");
        let device = Device::open("zev0").unwrap();
        assert_eq!(device.driver().unwrap(), "veth");
        let channels = device.channels().unwrap();
        assert!(channels.rx_queues() >= 1 && channels.tx_queues() >= 1 && channels.max_rx >= channels.rx);
        let wanted = [Feature::TxChecksum, Feature::Tso, Feature::Gso, Feature::TxVlan, Feature::RxVlan];
        let state = || wanted.map(|feature| Device::open("zev0").unwrap().feature(feature).unwrap());
        let before = state();
        assert!(before[0] && before[1], "a fresh veth offloads");

        let saved = device.turn_off(&wanted).unwrap();
        assert_eq!(state(), [false; 5]);
        let from_elsewhere = std::thread::spawn(move || {
            unshare_net();
            saved.restore()
        });
        from_elsewhere.join().unwrap().unwrap();
        assert_eq!(state(), before, "also from a thread in another namespace");

        drop(Device::open("zev0").unwrap().turn_off(&wanted).unwrap());
        assert_eq!(state(), before, "dropping restores");
        Device::open("zev0").unwrap().turn_off(&wanted).unwrap().keep();
        assert_eq!(state(), [false; 5]);
        assert!(matches!(Device::open("gone0").unwrap().driver(), Err(ze_ethtool::Error::Kernel { .. })));
        assert!(matches!(Device::open("a-name-too-long-"), Err(ze_ethtool::Error::Name(_))));
        assert!(Device::open("zev0").unwrap().set_feature(Feature::Lro, true).is_err(), "veth has no LRO");
    });
}

fn unshare_net() {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
}
