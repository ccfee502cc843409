//! What the engine counts.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Counts since start, all interfaces together.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl Counters {
            /// Name and value of each counter, in the order of declaration.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),+].into_iter()
            }
        }
    };
}

counters! {
    /// ARP requests sent: solicitations, probes and announcements.
    arp_requests_sent,
    /// ARP replies sent.
    arp_replies_sent,
    /// Well-formed ARP requests received.
    arp_requests_received,
    /// Well-formed ARP replies received.
    arp_replies_received,
    /// Neighbour solicitations sent.
    nd_solicitations_sent,
    /// Neighbour advertisements sent.
    nd_advertisements_sent,
    /// Well-formed neighbour solicitations received.
    nd_solicitations_received,
    /// Well-formed neighbour advertisements received.
    nd_advertisements_received,

    /// Received on an interface that does not exist or is down.
    interface_down,
    /// ARP: fewer than 28 bytes.
    malformed_arp_short,
    /// ARP: hardware or protocol is not Ethernet and IPv4.
    malformed_arp_type,
    /// ARP: neither request nor reply.
    malformed_arp_operation,
    /// ARP: a sender with a group, zero or impossible address.
    malformed_arp_sender,
    /// ND: fewer than 24 bytes.
    malformed_nd_short,
    /// ND: another ICMPv6 type, or a code other than 0.
    malformed_nd_type,
    /// ND: wrong checksum.
    malformed_nd_checksum,
    /// ND: hop limit below 255, so it came through a router (RFC 4861 §7.1).
    malformed_nd_hop_limit,
    /// ND: a multicast target.
    malformed_nd_target,
    /// ND: an option that lies about its length, or holds a group or zero address.
    malformed_nd_option,
    /// ND: source or destination that the message may not have (RFC 4861 §7.1.1, §7.1.2).
    malformed_nd_address,

    /// Sent by ourselves and reflected by the network.
    reflected,
    /// The sender is not on any subnet of the interface.
    implausible_sender,
    /// Asked for an address that is not ours: not answered.
    not_for_us,
    /// An answer about a neighbour we have no entry for: not learned.
    unknown_neighbor,
    /// Gratuitous ARPs and unsolicited advertisements received.
    gratuitous_received,
    /// Somebody else claims an address of ours.
    conflicts,
    /// Answers to such a claim (at most one in 10 s per address).
    defences_sent,
    /// Gratuitous ARPs and unsolicited advertisements sent to announce an address.
    announcements_sent,
    /// A known neighbour's Ethernet address changed.
    moves,

    /// Resolutions asked for by packets or orders.
    resolves,
    /// Resolutions refused: multicast, broadcast, our own or another impossible neighbour.
    resolves_refused,
    /// Resolutions that ended without an answer.
    failures,
    /// Neighbours that stopped answering probes.
    probe_failures,
    /// Solicitations not sent for want of an address of ours.
    no_source_address,
    /// Solicitations put off by the rate limit.
    solicitations_rate_limited,
    /// Answers not sent because of the rate limit.
    replies_rate_limited,

    /// Packets given to us to hold.
    held_in,
    /// Packets sent on when their neighbour was found.
    held_released,
    /// Packets given back for an ICMP error.
    held_unreachable,
    /// Packets dropped because too many waited for one neighbour.
    held_overflow,
    /// Packets dropped because too many waited in all.
    held_total_overflow,
    /// Packets dropped with their evicted, flushed or refused entry.
    held_discarded,

    /// Entries evicted to make room.
    evicted,
    /// Entries not made because the table was full of neighbours in use.
    table_full,
    /// Unused entries removed.
    aged,
}
