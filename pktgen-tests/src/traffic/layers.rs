//! The headers of a packet, from outside in, written with right lengths and checksums.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ze_packet::{MacAddr, checksum, ethernet, ipv4};

/// EtherType of MPLS unicast: RFC 3032 §5.
const ETHERTYPE_MPLS: u16 = 0x8847;
/// EtherType of an Ethernet frame inside GRE: RFC 7637 §3.2.
const PROTOCOL_GRE: u8 = 47;
/// UDP port of VXLAN: RFC 7348 §5.
const PORT_VXLAN: u16 = 4789;
/// The I flag of VXLAN: RFC 7348 §5.
const VXLAN_FLAGS: u8 = 0x08;
/// The K flag of GRE: RFC 2890 §2.
const GRE_KEY_PRESENT: u16 = 0x2000;
/// Hops that a packet has before it: what most systems begin with.
pub(super) const HOPS: u8 = 64;

/// A layer between the first Ethernet header and the packet of the flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A VLAN tag; two of them are QinQ.
    Vlan {
        /// 0x8100, or 0x88a8 for a service tag.
        tpid: u16,
        /// VLAN number, priority above it.
        tci: u16,
    },
    /// An entry of an MPLS label stack; the last one before IP ends the stack.
    Mpls {
        /// The label, 20 bits.
        label: u32,
    },
    /// GRE over IPv4 or IPv6: RFC 2784, RFC 2890.
    Gre {
        /// Tunnel endpoints.
        from: IpAddr,
        /// Tunnel endpoints, of the same family.
        to: IpAddr,
        /// The key, if there is one.
        key: Option<u32>,
    },
    /// VXLAN over IPv4 or IPv6: RFC 7348.
    Vxlan {
        /// Tunnel endpoints.
        from: IpAddr,
        /// Tunnel endpoints, of the same family.
        to: IpAddr,
        /// The network, 24 bits.
        vni: u32,
        /// Ethernet source inside.
        inner_from: MacAddr,
        /// Ethernet destination inside.
        inner_to: MacAddr,
    },
}

impl Layer {
    /// Bytes that it adds.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        match self {
            Self::Vlan { .. } => ethernet::TAG_BYTES,
            Self::Mpls { .. } => 4,
            Self::Gre { to, key, .. } => ip_bytes(*to) + 4 + if key.is_some() { 4 } else { 0 },
            Self::Vxlan { to, .. } => ip_bytes(*to) + 8 + 8 + ethernet::HEADER_BYTES,
        }
    }

    /// The EtherType that announces it.
    const fn ethertype(&self) -> u16 {
        match self {
            Self::Vlan { tpid, .. } => *tpid,
            Self::Mpls { .. } => ETHERTYPE_MPLS,
            Self::Gre { to, .. } | Self::Vxlan { to, .. } => ethertype_of(*to),
        }
    }

    /// Can it be built?
    ///
    /// # Errors
    /// What can not be, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        let same = |from: &IpAddr, to: &IpAddr| {
            if from.is_ipv4() == to.is_ipv4() {
                Ok(())
            } else {
                Err(format!("a tunnel from {from} to {to} mixes families"))
            }
        };
        match self {
            Self::Vlan { .. } => Ok(()),
            Self::Mpls { label } if *label >= 1 << 20 => Err(format!("label {label} has more than 20 bits")),
            Self::Mpls { .. } => Ok(()),
            Self::Gre { from, to, .. } => same(from, to),
            Self::Vxlan { vni, .. } if *vni >= 1 << 24 => {
                Err(format!("VXLAN network {vni} has more than 24 bits"))
            }
            Self::Vxlan { from, to, .. } => same(from, to),
        }
    }
}

/// The EtherType of a family.
pub(super) const fn ethertype_of(address: IpAddr) -> u16 {
    if address.is_ipv4() { ethernet::ethertype::IPV4 } else { ethernet::ethertype::IPV6 }
}

/// Bytes of an IP header without options.
pub(super) const fn ip_bytes(address: IpAddr) -> usize {
    if address.is_ipv4() { ipv4::HEADER_BYTES } else { 40 }
}

/// Writes Ethernet and all layers to the start of `frame`, which is as long as the frame will be. `inner` is the
/// EtherType of what follows. Returns where that begins.
pub(super) fn write(frame: &mut [u8], to: MacAddr, from: MacAddr, layers: &[Layer], inner: u16) -> usize {
    let next = |at: usize| layers.get(at).map_or(inner, Layer::ethertype);
    let mut at = put_ethernet(frame, 0, to, from, next(0));
    for (number, layer) in layers.iter().enumerate() {
        let following = next(number + 1);
        at = match layer {
            Layer::Vlan { tci, .. } => put(frame, at, &[tci.to_be_bytes(), following.to_be_bytes()].concat()),
            Layer::Mpls { label } => {
                let is_last = following != ETHERTYPE_MPLS;
                let entry = label << 12 | u32::from(is_last) << 8 | u32::from(HOPS);
                put(frame, at, &entry.to_be_bytes())
            }
            Layer::Gre { from, to, key } => {
                let at = put_ip(frame, at, *from, *to, PROTOCOL_GRE);
                let flags = if key.is_some() { GRE_KEY_PRESENT } else { 0 };
                let at = put(frame, at, &[flags.to_be_bytes(), following.to_be_bytes()].concat());
                key.map_or(at, |key| put(frame, at, &key.to_be_bytes()))
            }
            Layer::Vxlan { from, to, vni, inner_from, inner_to } => {
                let at = put_ip(frame, at, *from, *to, ipv4::protocol::UDP);
                let len_bytes = (frame.len() - at) as u16;
                // No checksum: RFC 7348 §5 for IPv4, RFC 6935 §5 for IPv6.
                let udp =
                    [PORT_VXLAN.to_be_bytes(), PORT_VXLAN.to_be_bytes(), len_bytes.to_be_bytes(), [0, 0]];
                let at = put(frame, at, &udp.concat());
                let at = put(frame, at, &[VXLAN_FLAGS, 0, 0, 0]);
                let at = put(frame, at, &(vni << 8).to_be_bytes());
                put_ethernet(frame, at, *inner_to, *inner_from, following)
            }
        };
    }
    at
}

/// Writes an IP header whose packet reaches to the end of the frame. Returns where its payload begins.
pub(super) fn put_ip(frame: &mut [u8], at: usize, from: IpAddr, to: IpAddr, protocol: u8) -> usize {
    let len_bytes = frame.len() - at;
    match (from, to) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let header = ipv4::Header {
                traffic_class: 0,
                total_len_bytes: len_bytes as u16,
                identification: 0,
                fragment: 0,
                ttl: HOPS,
                protocol,
                source,
                destination,
            };
            put(frame, at, &header.to_bytes())
        }
        (IpAddr::V6(_), _) | (_, IpAddr::V6(_)) => {
            let octets = |address: IpAddr| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            };
            let at = put(frame, at, &[0x60, 0, 0, 0]);
            let at = put(frame, at, &((len_bytes - 40) as u16).to_be_bytes());
            let at = put(frame, at, &[protocol, HOPS]);
            let at = put(frame, at, &octets(from));
            put(frame, at, &octets(to))
        }
    }
}

fn put_ethernet(frame: &mut [u8], at: usize, to: MacAddr, from: MacAddr, ethertype: u16) -> usize {
    put(frame, at, &[&to.0[..], &from.0, &ethertype.to_be_bytes()].concat())
}

fn put(frame: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    let end = at + bytes.len();
    frame[at..end].copy_from_slice(bytes);
    end
}

/// One's-complement sum of bytes, folded to 16 bits, as part of a larger one.
pub(super) fn sum(bytes: &[u8]) -> u32 {
    u32::from(!checksum::Sum::new().bytes(bytes).fold())
}

impl FromStr for Layer {
    type Err = String;

    /// `vlan:100`, `svlan:100`, `mpls:16`, `gre:FROM>TO[:key]` with the key after `#`, `vxlan:FROM>TO#VNI`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').ok_or_else(|| format!("'{text}' is no layer: kind:value"))?;
        let layer = match kind {
            "vlan" => Self::Vlan { tpid: ethernet::ethertype::VLAN, tci: vlan(rest)? },
            "svlan" => Self::Vlan { tpid: ethernet::ethertype::SERVICE_VLAN, tci: vlan(rest)? },
            "mpls" => Self::Mpls { label: number(rest)? },
            "gre" => {
                let (from, to, key) = tunnel(rest)?;
                Self::Gre { from, to, key }
            }
            "vxlan" => {
                let (from, to, vni) = tunnel(rest)?;
                let vni = vni.ok_or_else(|| format!("'{text}' has no network: vxlan:FROM>TO#VNI"))?;
                // Locally administered; behind the tunnel nobody of ours looks.
                let (inner_from, inner_to) = (MacAddr([2, 0, 0, 0, 2, 1]), MacAddr([2, 0, 0, 0, 2, 2]));
                Self::Vxlan { from, to, vni, inner_from, inner_to }
            }
            _ => return Err(format!("'{kind}' is no layer; there are vlan, svlan, mpls, gre, vxlan")),
        };
        layer.check()?;
        Ok(layer)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vlan { tpid: ethernet::ethertype::SERVICE_VLAN, tci } => write!(f, "svlan:{tci}"),
            Self::Vlan { tci, .. } => write!(f, "vlan:{tci}"),
            Self::Mpls { label } => write!(f, "mpls:{label}"),
            Self::Gre { from, to, key: None } => write!(f, "gre:{from}>{to}"),
            Self::Gre { from, to, key: Some(key) } => write!(f, "gre:{from}>{to}#{key}"),
            Self::Vxlan { from, to, vni, .. } => write!(f, "vxlan:{from}>{to}#{vni}"),
        }
    }
}

fn vlan(text: &str) -> Result<u16, String> {
    match text.parse() {
        // IEEE 802.1Q-2018 §9.6: 4095 is reserved.
        Ok(vlan) if vlan < 4095 => Ok(vlan),
        _ => Err(format!("'{text}' is no VLAN: 0 to 4094")),
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("'{text}' is no number"))
}

fn tunnel(text: &str) -> Result<(IpAddr, IpAddr, Option<u32>), String> {
    let (ends, key) = text.split_once('#').map_or((text, None), |(ends, key)| (ends, Some(key)));
    let (from, to) =
        ends.split_once('>').ok_or_else(|| format!("'{text}' is no tunnel: FROM>TO or FROM>TO#KEY"))?;
    let address = |word: &str| word.parse().map_err(|_| format!("'{word}' is no address"));
    Ok((address(from)?, address(to)?, key.map(number).transpose()?))
}
