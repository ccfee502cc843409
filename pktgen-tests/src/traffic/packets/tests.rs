use super::*;

fn spec(layers: &[&str], transport: Transport, is_ip4: bool, size: usize) -> PacketSpec {
    let (sources, destinations) = if is_ip4 {
        ("10.0.0.1-10.0.0.99", "random:198.18.0.0/15")
    } else {
        ("2001:db8::1-2001:db8::ff", "random:2001:2::/48")
    };
    PacketSpec {
        to_mac: MacAddr([2, 0, 0, 0, 0, 1]),
        from_mac: MacAddr([2, 0, 0, 0, 0, 2]),
        layers: layers.iter().map(|text| text.parse().unwrap()).collect(),
        transport,
        sources: sources.parse().unwrap(),
        destinations: destinations.parse().unwrap(),
        source_ports: Ports::Random,
        destination_ports: Ports::Random,
        flows: 1000,
        sizes: Sizes::new(vec![size]).unwrap(),
        seed: 7,
    }
}

fn signature(sequence: u32) -> Signature {
    Signature { run: 0xbeef, stream: 3, sequence, sent_at_ns: sequence.wrapping_mul(0x9e37_79b9) }
}

fn packet(packets: &Packets, number: u64) -> Vec<u8> {
    let mut out = [0xaa; 2048];
    let len_bytes = packets.write(number, signature(number as u32), &mut out);
    out[..len_bytes].to_vec()
}

/// The plain model: both checksums over the whole packet come out right.
fn assert_right(frame: &[u8], packets: &Packets, protocol: u8) {
    let (ip, l4) = (&frame[packets.ip_at..], &frame[packets.l4_at..]);
    let (source, destination) = if packets.is_ip4 {
        assert_eq!(checksum::of(&ip[..20]), 0, "header checksum");
        assert_eq!(usize::from(u16::from_be_bytes([ip[2], ip[3]])), ip.len());
        (&ip[12..16], &ip[16..20])
    } else {
        assert_eq!(usize::from(u16::from_be_bytes([ip[4], ip[5]])) + 40, ip.len());
        (&ip[8..24], &ip[24..40])
    };
    let sum = if packets.transport.has_pseudo_header(packets.is_ip4) {
        Sum::new().pseudo_header(source, destination, protocol, l4.len() as u32)
    } else {
        Sum::new()
    };
    assert_eq!(sum.bytes(l4).fold(), 0, "L4 checksum");
}

#[test]
fn every_checksum_and_length_is_right_for_every_family_transport_and_encapsulation() {
    let encapsulations: [&[&str]; 6] = [
        &[],
        &["vlan:100"],
        &["svlan:200", "vlan:4094"],
        &["mpls:16", "mpls:1048575"],
        &["gre:10.1.0.1>10.2.0.1#99"],
        &["vlan:7", "vxlan:2001:db8::1>2001:db8::2#4096"],
    ];
    for layers in encapsulations {
        for transport in [Transport::Udp, Transport::Tcp, Transport::Icmp] {
            for is_ip4 in [true, false] {
                let spec = spec(layers, transport, is_ip4, 300);
                let packets = Packets::new(&spec).unwrap();
                for number in 0..200 {
                    let frame = packet(&packets, number);
                    assert_eq!(frame.len(), 296);
                    assert_right(&frame, &packets, transport.protocol(is_ip4));
                    assert_eq!(packets.signature(&frame), Some(signature(number as u32)));
                }
            }
        }
    }
}

#[test]
fn layers_are_on_the_wire_as_their_standards_say() {
    let frame = |layers: &[&str]| packet(&Packets::new(&spec(layers, Transport::Udp, true, 200)).unwrap(), 0);
    let qinq = frame(&["svlan:200", "vlan:100"]);
    assert_eq!(qinq[12..22], [0x88, 0xa8, 0, 200, 0x81, 0, 0, 100, 8, 0]);
    let mpls = frame(&["mpls:16", "mpls:17"]);
    assert_eq!(mpls[12..22], [0x88, 0x47, 0, 1, 0, 64, 0, 1, 0x11, 64], "only the last entry ends the stack");
    let gre = frame(&["gre:10.1.0.1>10.2.0.1#5"]);
    assert_eq!((gre[14 + 9], &gre[34..42]), (47, &[0x20, 0, 8, 0, 0, 0, 0, 5][..]));
    assert_eq!(checksum::of(&gre[14..34]), 0);
    let vxlan = frame(&["vxlan:10.1.0.1>10.2.0.1#4096"]);
    let udp_bytes = ((200 - 4 - 34) as u16).to_be_bytes();
    assert_eq!(vxlan[36..42], [0x12, 0xb5, udp_bytes[0], udp_bytes[1], 0, 0]);
    assert_eq!(vxlan[42..50], [8, 0, 0, 0, 0, 16, 0, 0]);
    assert_eq!(vxlan[62..64], [8, 0]);
}

#[test]
fn flows_come_by_turns_and_are_the_same_for_a_seed() {
    let spec = PacketSpec { flows: 50, ..spec(&[], Transport::Udp, true, 64) };
    let [one, same] = [Packets::new(&spec).unwrap(), Packets::new(&spec).unwrap()];
    let five = |frame: &[u8]| frame[26..38].to_vec();
    let flows: Vec<_> = (0..50).map(|number| five(&packet(&one, number))).collect();
    assert_eq!(flows.iter().collect::<std::collections::BTreeSet<_>>().len(), 50);
    assert_eq!(five(&packet(&one, 50)), flows[0]);
    assert_eq!(five(&packet(&same, 31)), flows[31]);
    let other = Packets::new(&PacketSpec { seed: 8, ..spec }).unwrap();
    assert_ne!(five(&packet(&other, 31)), flows[31]);
}

#[test]
fn sizes_come_by_turns_and_imix_keeps_its_shares() {
    let imix = PacketSpec { sizes: "imix".parse().unwrap(), ..spec(&[], Transport::Udp, false, 64) };
    let packets = Packets::new(&imix).unwrap();
    let mut count = std::collections::BTreeMap::new();
    (0..12).for_each(|number| *count.entry(packet(&packets, number).len() + 4).or_insert(0) += 1);
    assert_eq!(count.into_iter().collect::<Vec<_>>(), [(78, 7), (594, 4), (1518, 1)]);
    assert_eq!((packets.longest_bytes(), packets.flows()), (1514, 1000));
}

#[test]
fn what_can_not_be_sent_is_refused_with_the_reason() {
    let small = Packets::new(&spec(&[], Transport::Udp, false, 64)).err().unwrap();
    assert!(small.contains("the least is 78"), "{small}");
    assert!(Packets::new(&spec(&[], Transport::Udp, false, 78)).is_ok());
    let mixed =
        PacketSpec { destinations: "2001:db8::1".parse().unwrap(), ..spec(&[], Transport::Udp, true, 64) };
    assert!(Packets::new(&mixed).err().unwrap().contains("different families"));
    assert!(Packets::new(&PacketSpec { flows: 0, ..spec(&[], Transport::Udp, true, 64) }).is_err());
    for wrong in
        ["vlan:4095", "mpls:1048576", "gre:10.0.0.1>2001:db8::1", "vxlan:10.0.0.1>10.0.0.2", "ppp:1", "vlan"]
    {
        assert!(wrong.parse::<Layer>().is_err(), "{wrong}");
    }
}

#[test]
fn a_frame_that_is_not_ours_has_no_signature() {
    let packets = Packets::new(&spec(&[], Transport::Udp, true, 64)).unwrap();
    let mut frame = packet(&packets, 1);
    frame[14] = 0x60;
    assert_eq!(packets.signature(&frame), None);
    assert_eq!(packets.signature(&[0; 20]), None);
}
