//! Paths of objects, as refusals name them.

use std::net::IpAddr;

use ipnet::IpNet;

/// A port's path.
pub fn port_path(name: &str) -> String {
    format!("/port[name='{name}']")
}
/// A VRF's path.
pub fn vrf_path(name: &str) -> String {
    format!("/vrf[name='{name}']")
}
/// An interface's path.
pub fn interface_path(name: &str) -> String {
    format!("/interface[name='{name}']")
}
/// An address's path.
pub fn address_path(interface: &str, address: IpAddr, prefix_len: u8) -> String {
    format!("{}/address[prefix='{address}/{prefix_len}']", interface_path(interface))
}
/// A nexthop's path.
pub fn nexthop_path(key: u64) -> String {
    format!("/nexthop[key='{key}']")
}
/// A group's path.
pub fn group_path(key: u64) -> String {
    format!("/nexthop-group[key='{key}']")
}
/// A route's path.
pub fn route_path(vrf: &str, prefix: IpNet) -> String {
    format!("{}/route[prefix='{prefix}']", vrf_path(vrf))
}
/// A static neighbour's path.
pub fn neighbor_path(interface: &str, address: IpAddr) -> String {
    format!("{}/neighbor[address='{address}']", interface_path(interface))
}
