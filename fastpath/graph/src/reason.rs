//! The two early doors and their reasons: `drop(reason)` and `punt(reason)`.
//!
//! A reason has one name (its counter, in every output) and one sentence (what an operator reads).

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal, $sentence:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name {
            $(#[doc = $sentence] $variant,)*
            #[doc(hidden)]
            #[default]
            None,
        }

        impl $name {
            /// Every reason, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// How many reasons there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The counter's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* Self::None => "none" }
            }

            /// What an operator reads.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* Self::None => "no reason given: a defect of Ze" }
            }

            /// The reason's number, below [`Self::COUNT`]` + 1`.
            #[inline]
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

reasons! {
    /// Why a packet was dropped.
    DropReason {
        RuntFrame = "runt_frame", "The frame is too short for its headers.";
        UnknownVlan = "unknown_vlan", "No interface of this port has the frame's VLAN tag.";
        ReservedVlan = "reserved_vlan", "The VLAN tag is 4095, which IEEE 802.1Q reserves.";
        NoInterface = "no_interface", "The port has no interface for untagged frames.";
        InterfaceDown = "interface_down", "The interface is administratively down.";
        NotOurMac = "not_our_mac", "The frame is for another station's address.";
        UnknownEthertype = "unknown_ethertype", "Nothing here handles this EtherType.";
        SourceIsGroup = "source_is_group", "The Ethernet source is a group address.";
        Ip4Short = "ip4_short", "The packet is shorter than an IPv4 header.";
        Ip4Version = "ip4_version", "The version field is not 4 although the EtherType says IPv4.";
        Ip4HeaderLength = "ip4_header_length", "The IPv4 header length is below 20 bytes or beyond the packet.";
        Ip4TotalLength = "ip4_total_length", "The IPv4 total length is below the header's or beyond the frame.";
        Ip4Checksum = "ip4_checksum", "The IPv4 header checksum is wrong.";
        Ip4SourceMartian = "ip4_source_martian", "The IPv4 source can not be on a wire (RFC 1812 section 5.3.7).";
        Ip4DestinationMartian = "ip4_destination_martian", "The IPv4 destination is never forwarded to (RFC 1812 section 5.3.7).";
        Ip4LinkLocal = "ip4_link_local", "IPv4 link-local addresses are not forwarded (RFC 3927 section 2.7).";
        Ip4SourceRoute = "ip4_source_route", "The packet asks for source routing (RFC 7126 section 4.3).";
        Ip4BadOption = "ip4_bad_option", "The IPv4 options are malformed.";
        Ip6Short = "ip6_short", "The packet is shorter than an IPv6 header.";
        Ip6Version = "ip6_version", "The version field is not 6 although the EtherType says IPv6.";
        Ip6PayloadLength = "ip6_payload_length", "The IPv6 payload length is beyond the frame.";
        Ip6SourceMartian = "ip6_source_martian", "The IPv6 source can not be on a wire (RFC 4291).";
        Ip6DestinationMartian = "ip6_destination_martian", "The IPv6 destination is never forwarded to (RFC 4291).";
        Ip6LinkLocal = "ip6_link_local", "IPv6 link-local addresses are not forwarded (RFC 4291 section 2.5.6).";
        Ip6ExtensionChain = "ip6_extension_chain", "The IPv6 extension headers are malformed or too many.";
        Ip6FragmentChain = "ip6_fragment_chain", "The first fragment does not hold all headers (RFC 7112).";
        NdHopLimit = "nd_hop_limit", "A neighbour discovery message crossed a router: its hop limit is not 255 (RFC 4861 section 7.1.1).";
        OwnSource = "own_source", "The packet claims one of our own addresses as its source.";
        DirectedBroadcast = "directed_broadcast", "Directed broadcasts are not forwarded (RFC 2644).";
        L2BroadcastUnicast = "l2_broadcast_unicast", "A unicast packet came in a broadcast frame (RFC 1122 section 3.3.6).";
        TtlExceeded = "ttl_exceeded", "The time to live or hop limit ran out here.";
        NoRoute = "no_route", "No route leads to the destination.";
        NoVrf = "no_vrf", "The interface's VRF has gone.";
        VrfLoop = "vrf_loop", "Routes lead from VRF to VRF in a circle, or more often than is followed.";
        VrfLocal = "vrf_local", "The destination is the router's own address in another VRF; it serves its own VRF only.";
        Blackhole = "blackhole", "A blackhole route discards this destination.";
        Unreachable = "unreachable", "A reject route refuses this destination.";
        Prohibited = "prohibited", "A route prohibits this destination.";
        TooBig = "too_big", "The packet exceeds the MTU of the way out and must not be fragmented.";
        FragmentationDisabled = "fragmentation_unsupported", "The packet exceeds the MTU of the way out and can not be fragmented here.";
        NoAdjacency = "no_adjacency", "The nexthop vanished while the packet was on its way.";
        NeighborQueueFull = "neighbor_queue_full", "Too many packets wait for address resolution.";
        NeighborFailed = "neighbor_failed", "The neighbour does not answer.";
        MulticastNotRouted = "multicast_not_routed", "Nobody here listens to this multicast group, and multicast is not routed.";
        NoRepresentor = "no_representor", "The interface has no representor to punt to.";
        PuntPoliced = "punt_policed", "The punt class is over its rate.";
        ControlQueueFull = "control_queue_full", "The queue to the control thread is full.";
        InjectMalformed = "inject_malformed", "The host stack sent a frame that can not be forwarded.";
        IcmpNotAllowed = "icmp_not_allowed", "No ICMP error may be sent about this packet (RFC 1812 section 4.3.2.7).";
        TxRingFull = "tx_ring_full", "The way out could not take the packet in time.";
        PortGone = "port_gone", "The port of the way out is gone or down.";
        PoolEmpty = "pool_empty", "No free frame was left.";
        HandoffFull = "handoff_full", "The queue to the worker that owns the way out is full.";
    }
}

reasons! {
    /// Why a packet was punted; also its class, whose policer it passes.
    PuntReason {
        Arp = "arp", "ARP, answered by the neighbour engine.";
        NeighborDiscovery = "nd", "IPv6 neighbour discovery, answered by the neighbour engine.";
        RouterDiscovery = "router_discovery", "IPv6 router solicitations and advertisements.";
        Unresolved = "unresolved", "The nexthop is not resolved yet; a copy waits for it.";
        Bgp = "bgp", "BGP to the router (TCP 179).";
        Bfd = "bfd", "BFD to the router (UDP 3784, 3785, 4784).";
        Igp = "igp", "OSPF, PIM, VRRP and other routing protocols over IP.";
        Ldp = "ldp", "LDP to the router (port 646).";
        Multicast = "multicast", "IP multicast with no listener in the fast path.";
        Broadcast = "broadcast", "IP broadcast, DHCP for one.";
        Icmp = "icmp", "ICMP and ICMPv6 to the router.";
        Local = "local", "Everything else that is destined to the router.";
        Options = "options", "IPv4 options or hop-by-hop headers that need a look.";
        Llc = "llc", "IEEE 802.3 LLC frames: IS-IS, STP, LLDP-like.";
        L2Multicast = "l2_multicast", "Multicast and broadcast frames that are not IP.";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_sentences_end() {
        let mut names: Vec<_> = DropReason::ALL.iter().map(|r| r.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DropReason::COUNT);
        assert!(DropReason::ALL.iter().all(|r| r.sentence().ends_with('.')));
        assert!(PuntReason::ALL.iter().all(|r| r.sentence().ends_with('.')));
        assert!(DropReason::ALL.iter().enumerate().all(|(i, r)| r.index() == i));
    }
}
