//! Devices of this machine in place of veths: what `--port lan0=DEVICE,TESTER` names.
//!
//! Both are moved into the lab's namespaces for the time of the run. When the lab is taken apart, however the program
//! ends, they come back under their own names and with their own addresses.

use std::fs;
use std::process::Command;

use super::BackendError;
use crate::frame::Mac;
use crate::lab::{Lab, Namespace};

/// The two devices that a cable joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cable {
    /// The router's port of the scenario.
    pub port: String,
    /// The router's device.
    pub router: String,
    /// The device that frames are sent and received by.
    pub tester: String,
}

impl std::str::FromStr for Cable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').and_then(|(port, devices)| Some((port, devices.split_once(',')?)));
        match parts {
            Some((port, (router, tester)))
                if !port.is_empty() && !router.is_empty() && !tester.is_empty() =>
            {
                Ok(Self { port: port.to_owned(), router: router.to_owned(), tester: tester.to_owned() })
            }
            _ => Err(format!("'{text}' is not PORT=DEVICE,TESTER as in lan0=enp3s0f0,enp3s0f1")),
        }
    }
}

/// Moves a device into a namespace under another name, until the lab is taken apart.
pub(super) fn borrow(
    lab: &Lab,
    namespace: &Namespace,
    device: &str,
    name: &str,
    mac: Option<Mac>,
) -> Result<(), BackendError> {
    let own = fs::read_to_string(format!("/sys/class/net/{device}/address"))
        .map_err(|error| format!("there is no device {device} on this machine: {error}"))?;
    if carries_default_route(device)? {
        return Err(format!("{device} carries this machine's default route: it is not taken").into());
    }
    let ip = format!("ip -n {}", namespace.name());
    lab.on_cleanup(&format!(
        "{ip} link set dev {name} down; {ip} link set dev {name} name {device}; \
         {ip} link set dev {device} address {}; {ip} link set dev {device} netns 1",
        own.trim()
    ))?;
    ip_here(&["link", "set", "dev", device, "down"])?;
    ip_here(&["link", "set", "dev", device, "netns", namespace.name(), "name", name])?;
    if let Some(mac) = mac {
        let mac: Vec<_> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        namespace.ip(&["link", "set", "dev", name, "address", &mac.join(":")])?;
    }
    // What the tester's device takes apart or puts together would not be what was on the wire.
    for offload in ["tso", "gso", "gro", "lro", "tx", "rx-vlan-offload", "tx-vlan-offload"] {
        // Devices that do not have it refuse, and that is as good.
        let _ = namespace.ethtool(&["-K", name, offload, "off"]);
    }
    namespace.set_link_up(name)?;
    Ok(())
}

fn carries_default_route(device: &str) -> Result<bool, BackendError> {
    let mut routes = ip_here(&["-4", "route", "show", "default", "dev", device])?;
    routes += &ip_here(&["-6", "route", "show", "default", "dev", device])?;
    Ok(!routes.trim().is_empty())
}

fn ip_here(arguments: &[&str]) -> Result<String, BackendError> {
    let output = Command::new("ip").args(arguments).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("ip {}: {}", arguments.join(" "), said.trim()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cable_names_a_port_and_two_devices() {
        let cable: Cable = "lan0=enp3s0f0,enp3s0f1".parse().unwrap();
        assert_eq!((&*cable.port, &*cable.router, &*cable.tester), ("lan0", "enp3s0f0", "enp3s0f1"));
        for bad in ["", "lan0", "lan0=", "lan0=a", "lan0=a,", "=a,b", "lan0=,b"] {
            assert!(bad.parse::<Cable>().unwrap_err().contains("PORT=DEVICE,TESTER"), "{bad}");
        }
    }
}
