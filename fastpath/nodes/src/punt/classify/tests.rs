use super::*;

/// A chunk with an L3 packet at its start, and the metadata that the input nodes would write.
fn packet4(kind: u8, l4: &[u8], reason: PuntReason, flags: u16) -> (Meta, Box<[u8; CHUNK_BYTES]>) {
    let mut chunk = Box::new([0; CHUNK_BYTES]);
    chunk[..20].fill(0);
    chunk[20..20 + l4.len()].copy_from_slice(l4);
    let meta = Meta {
        l3_len: 20 + l4.len() as u16,
        l4_offset: 20,
        protocol: kind,
        punt_reason: reason,
        flags,
        ..Meta::default()
    };
    (meta, chunk)
}

fn packet6(kind: u8, l4: &[u8], hop_limit: u8) -> (Meta, Box<[u8; CHUNK_BYTES]>) {
    let (mut meta, mut chunk) = packet4(kind, &[], PuntReason::Local, flag::IPV6);
    chunk[6] = kind;
    chunk[40..40 + l4.len()].copy_from_slice(l4);
    (meta.l3_len, meta.l4_offset, meta.ttl) = (40 + l4.len() as u16, 40, hop_limit);
    (meta, chunk)
}

fn ports(source: u16, destination: u16) -> [u8; 8] {
    let ([a, b], [c, d]) = (source.to_be_bytes(), destination.to_be_bytes());
    [a, b, c, d, 0, 8, 0, 0]
}

#[test]
fn every_row_of_the_matrix_for_ipv4() {
    use PuntReason::*;
    let rows: &[(u8, [u8; 8], PuntReason, u16, PuntReason)] = &[
        (6, ports(50000, 179), Local, 0, Bgp),
        (6, ports(179, 50000), Local, 0, Bgp),
        (17, ports(50000, 179), Local, 0, Local),
        (17, ports(49152, 3784), Local, 0, Bfd),
        (17, ports(49152, 3785), Local, 0, Bfd),
        (17, ports(49152, 4784), Local, 0, Bfd),
        (17, ports(3784, 49152), Local, 0, Local),
        (6, ports(646, 50000), Local, 0, Ldp),
        (17, ports(646, 646), Local, 0, Ldp),
        (17, ports(646, 646), Multicast, 0, Ldp),
        (89, [0; 8], Local, 0, Igp),
        (89, [0; 8], Multicast, 0, Igp),
        (103, [0; 8], Multicast, 0, Igp),
        (112, [0; 8], Multicast, 0, Igp),
        (2, [0; 8], Multicast, flag::OPTIONS, Igp),
        (1, [8, 0, 0, 0, 0, 0, 0, 0], Local, 0, Icmp),
        (1, [8, 0, 0, 0, 0, 0, 0, 0], Multicast, 0, Multicast),
        (17, ports(5353, 5353), Multicast, 0, Multicast),
        (17, ports(68, 67), Broadcast, 0, Broadcast),
        (6, ports(50000, 22), Local, 0, Local),
        (6, ports(50000, 179), Local, flag::OPTIONS, Options),
        (6, ports(50000, 179), Local, flag::LATER_FRAGMENT, Local),
        (0, [0; 8], Llc, 0, Llc),
        (0, [0; 8], L2Multicast, 0, L2Multicast),
    ];
    for (kind, l4, reason, flags, class) in rows {
        let (mut meta, chunk) = packet4(*kind, l4, *reason, *flags);
        assert_eq!(classify(&mut meta, &chunk), Ok(*class), "protocol {kind} {l4:?} as {reason:?}");
    }
}

#[test]
fn every_row_of_the_matrix_for_ipv6() {
    use PuntReason::*;
    type Row = (u8, [u8; 8], u8, Result<PuntReason, DropReason>);
    let rows: &[Row] = &[
        (6, ports(50000, 179), 64, Ok(Bgp)),
        (17, ports(49152, 3784), 255, Ok(Bfd)),
        (58, [128, 0, 0, 0, 0, 0, 0, 0], 64, Ok(Icmp)),
        (58, [135, 0, 0, 0, 0, 0, 0, 0], 255, Ok(NeighborDiscovery)),
        (58, [136, 0, 0, 0, 0, 0, 0, 0], 254, Err(DropReason::NdHopLimit)),
        (58, [133, 0, 0, 0, 0, 0, 0, 0], 255, Ok(RouterDiscovery)),
        (58, [134, 0, 0, 0, 0, 0, 0, 0], 255, Ok(RouterDiscovery)),
        (58, [137, 0, 0, 0, 0, 0, 0, 0], 255, Ok(Icmp)),
        (89, [0; 8], 1, Ok(Igp)),
        (6, ports(50000, 22), 64, Ok(Local)),
        (60, [6, 9, 0, 0, 0, 0, 0, 0], 64, Err(DropReason::Ip6ExtensionChain)),
        (44, [60, 0, 0, 1, 0, 0, 0, 0], 64, Err(DropReason::Ip6FragmentChain)),
    ];
    for (kind, l4, hop_limit, class) in rows {
        let (mut meta, chunk) = packet6(*kind, l4, *hop_limit);
        assert_eq!(classify(&mut meta, &chunk), *class, "protocol {kind} {l4:?}");
    }
}

#[test]
fn a_packet_that_ends_before_its_ports_is_plainly_local() {
    let (mut meta, chunk) = packet4(6, &[0, 179], PuntReason::Local, 0);
    assert_eq!(classify(&mut meta, &chunk), Ok(PuntReason::Local));
    let (mut meta, chunk) = packet6(58, &[], 64);
    assert_eq!(classify(&mut meta, &chunk), Err(DropReason::Ip6Short));
}
