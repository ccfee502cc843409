//! ICMP (RFC 792) and ICMPv6 (RFC 4443, RFC 4861), with the packet that an error is about.

use std::net::Ipv6Addr;

use super::{be16, be32};

/// Behind the ICMP header of an error stands the packet it is about.
const HEADER_BYTES: usize = 8;

pub(super) fn v4(bytes: &[u8]) -> Option<String> {
    let [kind, code, ..] = *bytes else { return None };
    let text = match (kind, code) {
        (0 | 8, _) => {
            return Some(format!(
                "ICMP echo {}{}",
                if kind == 8 { "request" } else { "reply" },
                numbers(bytes)
            ));
        }
        (3, 0) => "net unreachable".to_owned(),
        (3, 1) => "host unreachable".to_owned(),
        (3, 2) => "protocol unreachable".to_owned(),
        (3, 3) => "port unreachable".to_owned(),
        (3, 4) => format!("fragmentation needed, mtu {}", be16(bytes, 6)?),
        (3, 13) => "administratively prohibited".to_owned(),
        (3, _) => format!("unreachable code {code}"),
        (5, _) => "redirect".to_owned(),
        (11, 0) => "time exceeded".to_owned(),
        (11, _) => "reassembly time exceeded".to_owned(),
        (12, _) => "parameter problem".to_owned(),
        _ => return Some(format!("ICMP type {kind} code {code}")),
    };
    Some(format!("ICMP {text}{}", about(bytes, super::ip4)))
}

pub(super) fn v6(bytes: &[u8]) -> Option<String> {
    let [kind, code, ..] = *bytes else { return None };
    let text = match (kind, code) {
        (128 | 129, _) => {
            return Some(format!(
                "ICMPv6 echo {}{}",
                if kind == 128 { "request" } else { "reply" },
                numbers(bytes)
            ));
        }
        (133, _) => return Some("ICMPv6 router solicitation".to_owned()),
        (134, _) => return Some("ICMPv6 router advertisement".to_owned()),
        (135, _) => return Some(format!("ICMPv6 who has {}?", target(bytes)?)),
        (136, _) => return Some(format!("ICMPv6 {} is here", target(bytes)?)),
        (1, 0) => "no route".to_owned(),
        (1, 1) => "administratively prohibited".to_owned(),
        (1, 3) => "address unreachable".to_owned(),
        (1, 4) => "port unreachable".to_owned(),
        (1, _) => format!("unreachable code {code}"),
        (2, _) => format!("packet too big, mtu {}", be32(bytes, 4)?),
        (3, 0) => "time exceeded".to_owned(),
        (3, _) => "reassembly time exceeded".to_owned(),
        (4, _) => "parameter problem".to_owned(),
        _ => return Some(format!("ICMPv6 type {kind} code {code}")),
    };
    Some(format!("ICMPv6 {text}{}", about(bytes, super::ip6)))
}

fn numbers(bytes: &[u8]) -> String {
    match (be16(bytes, 4), be16(bytes, 6)) {
        (Some(id), Some(sequence)) => format!(" id {id} seq {sequence}"),
        _ => String::new(),
    }
}

fn target(bytes: &[u8]) -> Option<Ipv6Addr> {
    bytes.get(8..)?.first_chunk::<16>().map(|b| Ipv6Addr::from(*b))
}

/// ` about (IPv4 a > b …)`. Errors about errors are not sent (RFC 1122 §3.2.2); what claims to be one is read only
/// as far as the cut below.
fn about(bytes: &[u8], read: fn(&[u8], &mut Vec<String>)) -> String {
    let Some(inner) = bytes.get(HEADER_BYTES..).filter(|inner| !inner.is_empty()) else {
        return String::new();
    };
    let mut layers = Vec::new();
    // An IPv6 header and 20 bytes of what it carries.
    read(inner.get(..60).unwrap_or(inner), &mut layers);
    format!(" about ({})", layers.join(", "))
}
