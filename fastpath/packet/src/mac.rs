//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

/// A 48-bit Ethernet address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// ff:ff:ff:ff:ff:ff.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// 00:00:00:00:00:00.
    pub const ZERO: Self = Self([0; 6]);

    /// Is the group bit set (multicast or broadcast)? IEEE 802-2014 §8.2.
    #[inline]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The address in the low 48 bits, first byte highest: cheap to compare.
    #[inline]
    pub const fn to_u64(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    /// The Ethernet group address of an IPv4 multicast group, RFC 1112 §6.4.
    pub const fn ipv4_multicast(group: std::net::Ipv4Addr) -> Self {
        let [_, b, c, d] = group.octets();
        Self([0x01, 0x00, 0x5e, b & 0x7f, c, d])
    }

    /// The Ethernet group address of an IPv6 multicast group, RFC 2464 §7.
    pub const fn ipv6_multicast(group: std::net::Ipv6Addr) -> Self {
        let o = group.octets();
        Self([0x33, 0x33, o[12], o[13], o[14], o[15]])
    }

    /// The modified EUI-64 interface identifier, RFC 4291 appendix A, as a link-local address.
    pub const fn link_local(self) -> std::net::Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        std::net::Ipv6Addr::new(
            0xfe80,
            0,
            0,
            0,
            u16::from_be_bytes([a ^ 0x02, b]),
            u16::from_be_bytes([c, 0xff]),
            u16::from_be_bytes([0xfe, d]),
            u16::from_be_bytes([e, f]),
        )
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// A text that is not six hexadecimal octets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an Ethernet address (six hexadecimal octets, as in 02:00:00:00:00:01)")]
pub struct ParseMacError(String);

impl FromStr for MacAddr {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseMacError(text.to_owned());
        let mut octets = [0; 6];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            let part = parts.next().filter(|p| p.len() == 2).ok_or_else(wrong)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        parts.next().is_none().then_some(Self(octets)).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_address_round_trip_and_bad_text_is_named() {
        let mac: MacAddr = "02:00:5e:10:00:0f".parse().unwrap();
        assert_eq!(mac.to_string(), "02:00:5e:10:00:0f");
        for bad in ["", "02:00:5e:10:00", "02:00:5e:10:00:0f:01", "02:00:5e:10:00:zz", "2:0:5e:10:0:f"] {
            assert!(bad.parse::<MacAddr>().unwrap_err().to_string().contains(bad));
        }
    }

    #[test]
    fn group_addresses_follow_their_rfcs() {
        assert_eq!(MacAddr::ipv4_multicast([224, 0, 0, 251].into()).to_string(), "01:00:5e:00:00:fb");
        assert_eq!(MacAddr::ipv4_multicast([239, 255, 1, 2].into()).to_string(), "01:00:5e:7f:01:02");
        let solicited = "ff02::1:ff28:9c5a".parse().unwrap();
        assert_eq!(MacAddr::ipv6_multicast(solicited).to_string(), "33:33:ff:28:9c:5a");
    }

    #[test]
    fn link_local_flips_the_universal_bit() {
        let mac: MacAddr = "02:00:00:00:00:01".parse().unwrap();
        assert_eq!(mac.link_local(), "fe80::ff:fe00:1".parse::<std::net::Ipv6Addr>().unwrap());
    }
}
