//! Offloads of devices that corrupt what AF_XDP receives or what others send through it.

use std::process::Command;

use ze_proto::v1::{LinkState, PortState};

use super::{Finding, Severity};

/// Features that must be off under AF_XDP: merged frames are not the sender's, and a stripped VLAN tag is lost.
const HARMFUL: [(&str, &str); 3] =
    [("generic-receive-offload", "gro"), ("large-receive-offload", "lro"), ("rx-vlan-offload", "rxvlan")];

/// Looks at the device of each port, where this command can see it.
pub(super) fn findings(ports: &[PortState], same_network: Option<bool>) -> Vec<Finding> {
    let used: Vec<&PortState> =
        ports.iter().filter(|p| !p.representor && p.state() == LinkState::Up).collect();
    let mut findings: Vec<Finding> = unfinished_checksums(&used).into_iter().collect();
    if used.is_empty() {
        return findings;
    }
    if same_network == Some(false) {
        findings.push(Finding::new(
            Severity::Note,
            "offloads",
            "ze-fastpath runs in another network namespace, so the offloads of its ports were not looked at.",
            "Run `ze doctor` there: nsenter -n -t $(pidof ze-fastpath) ze doctor.",
        ));
        return findings;
    }
    for port in used {
        findings.extend(of_device(port));
    }
    findings
}

fn of_device(port: &PortState) -> Vec<Finding> {
    let device = if port.device.is_empty() { &port.name } else { &port.device };
    let Ok(done) = Command::new("ethtool").args(["-k", device]).output() else {
        return vec![Finding::new(
            Severity::Note,
            "offloads",
            format!("The offloads of {device} were not looked at: there is no ethtool here."),
            "apt install ethtool",
        )];
    };
    if !done.status.success() {
        let message = format!("The offloads of {device} can not be seen from here.");
        return vec![Finding::new(
            Severity::Note,
            "offloads",
            message,
            format!("ethtool -k {device} says why."),
        )];
    }
    harmful(device, &String::from_utf8_lossy(&done.stdout))
}

/// What `ethtool -k` says of a device.
pub(super) fn harmful(device: &str, features: &str) -> Vec<Finding> {
    let on = |feature: &str| {
        let line = features.lines().find_map(|line| line.trim().strip_prefix(feature));
        line.is_some_and(|rest| rest.trim_start_matches(':').trim().starts_with("on"))
    };
    let bad: Vec<_> = HARMFUL.iter().filter(|(feature, _)| on(feature)).collect();
    if bad.is_empty() {
        return vec![Finding::ok("offloads", format!("No offload of {device} harms AF_XDP."))];
    }
    let one = |(feature, short): &&(&str, &str)| {
        let message = format!("{device} has {feature} on: frames reach Ze merged or without their VLAN tag.");
        Finding::new(
            Severity::Error,
            "offloads",
            message,
            format!(
                "ethtool -K {device} {short} off; ze-fastpath does it at start, so something turned it on again."
            ),
        )
    };
    bad.iter().map(one).collect()
}

/// Kernel senders on the other end of these leave L4 checksums to hardware that is not there.
fn unfinished_checksums(ports: &[&PortState]) -> Option<Finding> {
    let virtual_port = |p: &&&PortState| matches!(p.driver.as_str(), "veth" | "virtio_net" | "tun");
    let names: Vec<_> =
        ports.iter().filter(virtual_port).map(|p| format!("{} ({})", p.name, p.driver)).collect();
    (!names.is_empty()).then(|| {
        Finding::new(
            Severity::Note,
            "checksums",
            format!(
                "Linux senders on the other end of {} may leave TCP and UDP checksums unfinished; receivers discard \
                 what Ze then forwards.",
                names.join(", ")
            ),
            "On the sender's device: ethtool -K DEVICE tx off. Symptom: ping works, TCP does not.",
        )
    })
}
