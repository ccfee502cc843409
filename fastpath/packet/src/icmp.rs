//! ICMP (RFC 792) and ICMPv6 (RFC 4443) numbers that a router sends and must recognise.

/// ICMP types.
pub mod v4 {
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Source quench; deprecated by RFC 6633, still an error message.
    pub const SOURCE_QUENCH: u8 = 4;
    /// Redirect.
    pub const REDIRECT: u8 = 5;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 8;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 12;

    /// Codes of "destination unreachable".
    pub mod code {
        /// No route.
        pub const NET: u8 = 0;
        /// The neighbour does not answer.
        pub const HOST: u8 = 1;
        /// Nobody listens on this protocol here.
        pub const PROTOCOL: u8 = 2;
        /// Too big, and "don't fragment" is set.
        pub const FRAGMENTATION_NEEDED: u8 = 4;
        /// Forbidden by policy, RFC 1812 §5.2.7.1.
        pub const ADMINISTRATIVELY_PROHIBITED: u8 = 13;
    }

    /// Is this an error message, about which no error may be sent (RFC 1812 §4.3.2.7)? Unknown types count as
    /// errors, so that two routers never talk themselves into a storm.
    #[inline]
    pub const fn is_error(kind: u8) -> bool {
        !matches!(kind, ECHO_REPLY | ECHO_REQUEST | 9 | 10 | 13..=18 | 42 | 43)
    }
}

/// ICMPv6 types.
pub mod v6 {
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 1;
    /// Packet too big.
    pub const PACKET_TOO_BIG: u8 = 2;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 3;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 4;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 128;
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 129;

    /// Codes of "destination unreachable", RFC 4443 §3.1.
    pub mod code {
        /// No route.
        pub const NO_ROUTE: u8 = 0;
        /// Forbidden by policy.
        pub const ADMINISTRATIVELY_PROHIBITED: u8 = 1;
        /// Beyond the scope of the source address.
        pub const BEYOND_SCOPE: u8 = 2;
        /// The neighbour does not answer.
        pub const ADDRESS: u8 = 3;
        /// Reject route to destination.
        pub const REJECT: u8 = 6;
    }

    /// Error messages have the high bit clear (RFC 4443 §2.1); a redirect is treated like one (§2.4 e.2).
    #[inline]
    pub const fn is_error(kind: u8) -> bool {
        kind < 128 || kind == crate::nd::REDIRECT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_unknown_types_are_errors_and_queries_are_not() {
        for kind in [3, 4, 5, 11, 12, 99, 255] {
            assert!(v4::is_error(kind), "{kind}");
        }
        for kind in [0, 8, 13, 14] {
            assert!(!v4::is_error(kind), "{kind}");
        }
        for kind in [1, 2, 3, 4, 100, 127, 137] {
            assert!(v6::is_error(kind), "{kind}");
        }
        for kind in [128, 129, 133, 135, 136] {
            assert!(!v6::is_error(kind), "{kind}");
        }
    }
}
