//! Frames the engine sends.

use std::net::Ipv6Addr;

use ze_packet::ethernet::{self, HEADER_BYTES, MIN_FRAME_BYTES, ethertype};
use ze_packet::{MacAddr, arp, ipv4, ipv6, nd};

/// An ARP message in its frame, padded: 42 bytes are too few for Ethernet.
pub(super) fn arp_frame(destination: MacAddr, message: &arp::Message) -> Vec<u8> {
    let mut frame = header(destination, message.sender_mac, ethertype::ARP);
    frame.extend(message.to_bytes());
    frame.resize(MIN_FRAME_BYTES, 0);
    frame
}

/// A neighbour message in its packet and frame.
pub(super) fn nd_frame(
    (destination_mac, destination): (MacAddr, Ipv6Addr),
    (source_mac, source): (MacAddr, Ipv6Addr),
    message: &nd::Message,
) -> Vec<u8> {
    let mut icmp = [0; nd::MESSAGE_BYTES];
    let len = message.emit(source, destination, &mut icmp);
    let packet = ipv6::Header {
        traffic_class: 0,
        flow_label: 0,
        // At most 32.
        payload_len_bytes: len as u16,
        next_header: ipv4::protocol::ICMPV6,
        hop_limit: nd::HOP_LIMIT,
        source,
        destination,
    };
    let mut frame = header(destination_mac, source_mac, ethertype::IPV6);
    frame.extend(packet.to_bytes());
    frame.extend(&icmp[..len]);
    frame
}

fn header(destination: MacAddr, source: MacAddr, ethertype: u16) -> Vec<u8> {
    let mut bytes = [0; HEADER_BYTES];
    ethernet::emit(&mut bytes, destination, source, ethertype);
    bytes.to_vec()
}
