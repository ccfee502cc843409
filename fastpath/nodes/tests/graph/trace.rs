//! The packet trace sees every step, also through an ICMP error's second walk.

use rtrb::RingBuffer;
use ze_graph::{DropReason, TraceRequest};
use ze_nodes::Graph;

use crate::harness::Rig;
use crate::harness::bytes::{Ip4, to4};

#[test]
fn a_traced_packet_is_seen_at_every_node_it_passes() {
    let mut rig = Rig::default();
    let (records, mut seen) = RingBuffer::new(64);
    let filter: ze_acl::Filter = "udp and dst 10.0.0.1".parse().unwrap();
    rig.tracer.arm(TraceRequest { filter, packets: 1, records });
    rig.network(1, to4("10.2.0.1").frame());
    rig.network(1, Ip4 { ttl: 1, ..to4("10.0.0.1") }.frame());
    let mut path = vec![];
    while let Ok(record) = seen.pop() {
        let node = Graph::descriptions().get(usize::from(record.node)).map_or("rx", |(name, _)| *name);
        path.push((node, record.drop_reason));
    }
    let nodes: Vec<_> = path.iter().map(|(node, _)| *node).collect();
    let expected = [
        "rx",
        "eth_input",
        "ip4_input",
        "ip4_lookup",
        "ip4_rewrite",
        "icmp_error",
        "ip4_lookup",
        "ip4_rewrite",
        "interface_output",
    ];
    assert_eq!(nodes, expected);
    assert_eq!(path[4].1, DropReason::TtlExceeded);
}
