//! Text to addresses and prefixes, with a reason where that does not work.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

fn net(text: &str, example: &str) -> Result<IpNet, String> {
    let (address, len) = text.split_once('/').ok_or_else(|| format!("\"{text}\" is not like {example}"))?;
    let address: IpAddr = address.parse().map_err(|_| format!("\"{address}\" is no IP address"))?;
    let max = if address.is_ipv4() { 32 } else { 128 };
    let len: u8 = len.parse().map_err(|_| format!("\"{len}\" is no prefix length"))?;
    IpNet::new(address, len).map_err(|_| format!("prefix length {len}; at most {max} is possible"))
}

/// The address of an interface, host bits included.
pub(crate) fn interface_address(text: &str) -> Result<IpNet, String> {
    let net = net(text, "192.0.2.1/24")?;
    if net.prefix_len() == 0 {
        return Err("prefix length 0; 1 is the least".into());
    }
    unicast(net.addr())?;
    let IpNet::V4(v4) = net else { return Ok(net) };
    // RFC 3021 §2.1: with 31 bits both are host addresses.
    if v4.prefix_len() < 31 {
        if v4.addr() == v4.network() {
            return Err(format!("{} is the network itself, not a host in it", v4.addr()));
        }
        if v4.addr() == v4.broadcast() {
            return Err(format!("{} is the broadcast address of its network", v4.addr()));
        }
    }
    Ok(net)
}

/// The prefix of a route, without host bits.
pub(crate) fn route_prefix(text: &str) -> Result<IpNet, String> {
    let net = net(text, "192.0.2.0/24")?;
    if net.trunc() != net {
        return Err(format!("host bits are set; the prefix is {}", net.trunc()));
    }
    let addr = net.addr();
    let first_is_multicast = net.prefix_len() > 0 && addr.is_multicast();
    if first_is_multicast {
        return Err("a multicast prefix has no static unicast route".into());
    }
    if matches!(addr, IpAddr::V6(v6) if net.prefix_len() >= 10 && v6.is_unicast_link_local()) {
        return Err("link-local destinations are never routed (RFC 4291 section 2.5.6)".into());
    }
    Ok(net)
}

/// A gateway that is found by its address alone.
pub(crate) fn plain_gateway(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text
        .parse()
        .map_err(|_| format!("\"{text}\" is no IP address; an interface can not be stated here"))?;
    unicast(address)?;
    if matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local()) {
        return Err("a link-local gateway needs an interface, which can not be stated here".into());
    }
    Ok(address)
}

/// A gateway with the interface after %, for a route to `prefix`.
pub(crate) fn gateway<'t>(text: &'t str, prefix: &IpNet) -> Result<(IpAddr, Option<&'t str>), String> {
    let (address, interface) = text.split_once('%').map_or((text, None), |(a, i)| (a, Some(i)));
    let address: IpAddr = address.parse().map_err(|_| format!("\"{address}\" is no IP address"))?;
    unicast(address)?;
    if address.is_ipv4() != prefix.addr().is_ipv4() {
        return Err("the gateway is of the other address family".into());
    }
    let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    if link_local && interface.is_none() {
        return Err(format!("a link-local gateway needs its interface: {address}%wan0"));
    }
    Ok((address, interface))
}

/// Refuses what can not be the address of one host.
fn unicast(address: IpAddr) -> Result<(), String> {
    let what = if address.is_unspecified() {
        "the unspecified address"
    } else if address.is_multicast() {
        "a multicast address"
    } else if address.is_loopback() {
        "a loopback address"
    } else {
        match address {
            IpAddr::V4(Ipv4Addr::BROADCAST) => "the broadcast address",
            // RFC 1122 §3.2.1.3 (a): network 0 is "this network".
            IpAddr::V4(v4) if v4.octets()[0] == 0 => {
                "an address of \"this network\" (RFC 1122 section 3.2.1.3)"
            }
            // RFC 1112 §4: class E is reserved.
            IpAddr::V4(v4) if v4.octets()[0] >= 240 => "a reserved address (RFC 1112 section 4)",
            IpAddr::V6(v6) if is_v4_mapped(v6) => "an IPv4-mapped address",
            IpAddr::V4(_) | IpAddr::V6(_) => return Ok(()),
        }
    };
    Err(format!("{address} is {what}"))
}

fn is_v4_mapped(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}
