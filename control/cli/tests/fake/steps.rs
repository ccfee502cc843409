//! The walks of packets: odd ones are forwarded, every second one finds no route.

use ze_proto::v1::TraceEvent;

/// The steps of `packets` packets, mixed as nodes mix them, because they take batches.
pub fn steps(packets: u32) -> Vec<TraceEvent> {
    let (forwarded, dropped): (Vec<u32>, Vec<u32>) = (1..=packets.min(4)).partition(|p| p % 2 == 1);
    let all: Vec<u32> = (1..=packets.min(4)).collect();
    let mut steps = Vec::new();
    let mut at_ns = 4_000;
    let mut node = |packets: &[u32], name: &str, exit: &str, change: fn(&mut TraceEvent)| {
        for &packet in packets {
            let mut event = TraceEvent {
                packet,
                node: name.into(),
                exit: exit.into(),
                at_ns,
                len: 98,
                rx_interface: "lan0".into(),
                packet_bytes: echo(64, 1),
                ..TraceEvent::default()
            };
            change(&mut event);
            steps.push(event);
        }
        at_ns += 130;
    };
    node(&all, "rx", "", |_| {});
    node(&all, "eth_input", "ip4_input", |_| {});
    node(&all, "ip4_input", "ip4_lookup", |_| {});
    node(&forwarded, "ip4_lookup", "ip4_forward", |e| e.nexthop = "via 192.0.2.2".into());
    node(&dropped, "ip4_lookup", "drop", |e| {
        e.reason = "no_route".into();
        e.sentence = "No route leads to the destination.".into();
    });
    node(&forwarded, "ip4_forward", "ip4_rewrite", |e| {
        e.nexthop = "via 192.0.2.2".into();
        e.packet_bytes = echo(63, 1);
    });
    node(&forwarded, "ip4_rewrite", "tx", |e| {
        e.nexthop = "via 192.0.2.2".into();
        e.tx_interface = "wan0".into();
        e.packet_bytes = echo(63, 2);
    });
    steps
}

/// An echo request of 98 bytes, of which a trace keeps some.
fn echo(ttl: u8, destination_mac: u8) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, destination_mac, 2, 0, 0, 0, 0, 9, 8, 0];
    bytes.extend([0x45, 0, 0, 84, 0, 0, 0x40, 0, ttl, 1, 0, 0, 10, 0, 0, 7, 203, 0, 113, 5]);
    bytes.extend([8, 0, 0, 0, 0, 7, 0, 1]);
    bytes
}
