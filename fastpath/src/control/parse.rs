//! From protobuf messages to objects that make sense: past here only right values exist.

use std::net::IpAddr;

use ipnet::IpNet;
use ze_packet::MacAddr;
use ze_proto::v1::{self, Reason};

use ze_fib::GroupOptions;

use super::objects::{
    self, DEFAULT_VRF, GroupObject, InterfaceObject, MTU_MAX, MTU_MIN, NexthopKind, NexthopObject, TargetKey,
};

/// Why an operation was refused: path, reason, sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Refused {
    /// The object.
    pub path: String,
    /// The kind of reason.
    pub reason: Reason,
    /// A sentence for an operator.
    pub message: String,
}

/// Refuses.
///
/// # Errors
/// Always: that is its purpose.
pub fn refuse<T>(reason: Reason, path: impl Into<String>, message: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { path: path.into(), reason, message: message.into() })
}

impl Refused {
    /// As the API reports it.
    pub fn into_proto(self, operation: u32, element: u32) -> v1::Refusal {
        v1::Refusal { operation, element, path: self.path, reason: self.reason.into(), message: self.message }
    }
}

/// An owner's name: 1 to 32 of a-z 0-9 -.
///
/// # Errors
/// When it is not.
pub fn owner_name(name: &str) -> Result<(), Refused> {
    let right = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=32).contains(&name.len()) && name.chars().all(right) {
        return Ok(());
    }
    refuse(Reason::Malformed, "/owner", format!("'{name}' is no owner's name (1 to 32 of a-z 0-9 -)"))
}

/// A name that a network device can have.
///
/// # Errors
/// When it can not.
pub fn device_name(path: &str, name: &str) -> Result<(), Refused> {
    let right = |c: char| c.is_ascii_graphic() && c != '/' && c != ':';
    let fits = (1..=15).contains(&name.len()) && name.chars().all(right);
    if fits && !matches!(name, "." | ".." | "lo" | "all" | "default") {
        return Ok(());
    }
    refuse(
        Reason::Malformed,
        path,
        format!("'{name}' can not be the name of an interface (1 to 15 characters)"),
    )
}

/// A VRF's name: 1 to 32 of letters, digits, - and _. "" is the default.
///
/// # Errors
/// When it is not.
pub fn vrf_name(name: &str) -> Result<String, Refused> {
    if name.is_empty() {
        return Ok(DEFAULT_VRF.into());
    }
    let right = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.len() <= 32 && name.chars().all(right) {
        return Ok(name.to_owned());
    }
    let message = format!("'{name}' is no VRF's name (1 to 32 letters, digits, - and _)");
    refuse(Reason::Malformed, objects::vrf_path(name), message)
}

/// An interface.
///
/// # Errors
/// Names the field that is wrong.
pub fn interface(message: &v1::Interface) -> Result<InterfaceObject, Refused> {
    let path = objects::interface_path(&message.name);
    if message.vlan > 4094 {
        let text = format!("{} is no VLAN number (1 to 4094; 0 is untagged)", message.vlan);
        return refuse(Reason::Malformed, path + "/vlan", text);
    }
    let mtu = match message.mtu {
        0 => None,
        mtu if mtu < MTU_MIN => {
            let text = format!("an MTU of {mtu} is below {MTU_MIN} (RFC 791)");
            return refuse(Reason::Malformed, path + "/mtu", text);
        }
        mtu if mtu > MTU_MAX => {
            let text = format!("an MTU of {mtu} does not fit one AF_XDP chunk; the largest is {MTU_MAX}");
            return refuse(Reason::Unsupported, path + "/mtu", text);
        }
        mtu => Some(mtu as u16),
    };
    let mac = match message.mac.as_slice() {
        [] => None,
        bytes => Some(unicast_mac(&(path + "/mac"), bytes)?),
    };
    Ok(InterfaceObject {
        port: message.port.clone(),
        vlan: message.vlan as u16,
        vrf: vrf_name(&message.vrf)?,
        mtu,
        mac,
        admin_down: message.admin_down,
        description: message.description.clone(),
    })
}

/// An address of 4 or 16 bytes.
///
/// # Errors
/// When there are not so many.
pub fn address(path: &str, bytes: &[u8]) -> Result<IpAddr, Refused> {
    ze_proto::address::from_bytes(bytes).or_else(|e| refuse(Reason::Malformed, path, e.to_string()))
}

/// An address and its prefix length, which must fit each other.
///
/// # Errors
/// When they do not.
pub fn address_and_len(path: &str, bytes: &[u8], prefix_len: u32) -> Result<(IpAddr, u8), Refused> {
    let address = address(path, bytes)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    if prefix_len > most {
        return refuse(
            Reason::Malformed,
            path,
            format!("{address}/{prefix_len}: prefixes are 0 to {most} long"),
        );
    }
    Ok((address, prefix_len as u8))
}

/// An address that an interface can have.
///
/// # Errors
/// When no host can have it, or it is its own network's.
pub fn interface_address(path: &str, address: IpAddr, prefix_len: u8) -> Result<(), Refused> {
    gateway(path, address)?;
    let link_local = matches!(address, IpAddr::V6(a) if a.is_unicast_link_local());
    if link_local {
        let text = "the link-local address follows from the Ethernet address and can not be set";
        return refuse(Reason::Unsupported, path, text);
    }
    if prefix_len == 0 {
        return refuse(Reason::Malformed, path, "an interface's prefix can not be the whole address space");
    }
    let net = IpNet::new(address, prefix_len).ok();
    let special = net.is_some_and(|net| match net {
        IpNet::V4(net) => {
            net.prefix_len() < 31 && (net.network() == net.addr() || net.broadcast() == net.addr())
        }
        // The subnet-router anycast address, RFC 4291 §2.6.1; on /127 and /128 there is none (RFC 6164).
        IpNet::V6(net) => net.prefix_len() < 127 && net.network() == net.addr(),
    });
    if special {
        let text = format!("{address}/{prefix_len} is the network or broadcast address of its own prefix");
        return refuse(Reason::Malformed, path, text);
    }
    Ok(())
}

/// An address that one host has.
///
/// # Errors
/// When it is multicast, loopback, unspecified or broadcast.
pub fn gateway(path: &str, address: IpAddr) -> Result<(), Refused> {
    let never = match address {
        IpAddr::V4(a) => a.is_broadcast() || a.octets()[0] == 0 || a.octets()[0] >= 240,
        IpAddr::V6(a) => a.to_ipv4_mapped().is_some(),
    };
    if never || address.is_multicast() || address.is_loopback() || address.is_unspecified() {
        return refuse(Reason::Malformed, path, format!("{address} can not be the address of one host"));
    }
    Ok(())
}

/// A route's prefix.
///
/// # Errors
/// When host bits are set, or it is no prefix at all.
pub fn prefix(vrf: &str, bytes: &[u8], prefix_len: u32) -> Result<IpNet, Refused> {
    let path = || format!("{}/route", objects::vrf_path(vrf));
    let Ok(address) = ze_proto::address::from_bytes(bytes) else {
        return Err(address(&path(), bytes).unwrap_err());
    };
    let Some(net) = u8::try_from(prefix_len).ok().and_then(|len| IpNet::new(address, len).ok()) else {
        return Err(address_and_len(&path(), bytes, prefix_len).unwrap_err());
    };
    no_host_bits(vrf, net)
}

/// The same prefix, if no host bits are set.
///
/// # Errors
/// When some are.
pub fn no_host_bits(vrf: &str, net: IpNet) -> Result<IpNet, Refused> {
    if net.trunc() == net {
        return Ok(net);
    }
    let text = format!("{net} has host bits set; the prefix is {}", net.trunc());
    refuse(Reason::Malformed, objects::route_path(vrf, net), text)
}

/// The preference of an owner's routes.
///
/// # Errors
/// When it is beyond 255.
pub fn preference(told: u32) -> Result<u8, Refused> {
    const USUAL: u8 = 100;
    match u8::try_from(told) {
        Ok(0) => Ok(USUAL),
        Ok(preference) => Ok(preference),
        Err(_) => refuse(Reason::Malformed, "/owner", format!("a preference of {told}; 1 to 255 are right")),
    }
}

/// A route's target.
///
/// # Errors
/// When there is none.
pub fn target(vrf: &str, prefix: IpNet, target: Option<v1::route::Target>) -> Result<TargetKey, Refused> {
    match target {
        Some(v1::route::Target::Nexthop(key)) => Ok(TargetKey::Nexthop(key)),
        Some(v1::route::Target::NexthopGroup(key)) => Ok(TargetKey::Group(key)),
        None => {
            refuse(Reason::Malformed, objects::route_path(vrf, prefix), "a route needs a nexthop or a group")
        }
    }
}

/// A nexthop.
///
/// # Errors
/// Names what is wrong.
pub fn nexthop(message: &v1::Nexthop) -> Result<NexthopObject, Refused> {
    use v1::nexthop::Kind;
    let path = objects::nexthop_path(message.key);
    let kind = match &message.kind {
        None => return refuse(Reason::Malformed, path, "a nexthop needs a kind"),
        Some(Kind::Gateway(gateway)) => NexthopKind::Gateway {
            address: address(&path, &gateway.address)?,
            interface: (!gateway.interface.is_empty()).then(|| gateway.interface.clone()),
            vrf: vrf_name(&gateway.vrf)?,
        },
        Some(Kind::Interface(name)) => NexthopKind::Interface(name.clone()),
        Some(Kind::Blackhole(_)) => NexthopKind::Blackhole,
        Some(Kind::Unreachable(_)) => NexthopKind::Unreachable,
        Some(Kind::Prohibit(_)) => NexthopKind::Prohibit,
        Some(Kind::LookupVrf(name)) => NexthopKind::Vrf(vrf_name(name)?),
    };
    Ok(NexthopObject { kind, backup: message.backup })
}

/// A group.
///
/// # Errors
/// When a weight is 0 or too large, or a member stands twice.
pub fn group(message: &v1::NexthopGroup) -> Result<GroupObject, Refused> {
    let path = || objects::group_path(message.key);
    let mut out: Vec<(u64, u8)> = Vec::with_capacity(message.members.len());
    for member in &message.members {
        let Some(weight) = u8::try_from(member.weight).ok().filter(|weight| *weight > 0) else {
            return refuse(
                Reason::Malformed,
                path(),
                format!("nexthop {} has a weight of {}; 1 to 255 are right", member.nexthop, member.weight),
            );
        };
        if out.iter().any(|(key, _)| *key == member.nexthop) {
            return refuse(Reason::Malformed, path(), format!("nexthop {} stands twice", member.nexthop));
        }
        out.push((member.nexthop, weight));
    }
    let options = GroupOptions { resilient: message.resilient, symmetric: message.symmetric };
    Ok(GroupObject { members: out, options })
}

/// A unicast Ethernet address of 6 bytes.
///
/// # Errors
/// When it is not.
pub fn unicast_mac(path: &str, bytes: &[u8]) -> Result<MacAddr, Refused> {
    let Ok(octets) = <[u8; 6]>::try_from(bytes) else {
        return refuse(Reason::Malformed, path, format!("an Ethernet address of {} bytes", bytes.len()));
    };
    let mac = MacAddr(octets);
    if mac.is_group() || mac == MacAddr::ZERO {
        return refuse(Reason::Malformed, path, format!("{mac} is no station's Ethernet address"));
    }
    Ok(mac)
}
