//! What an audit finds: objects that the fast path has otherwise than it acknowledged.

use std::net::IpAddr;

use ze_proto::packed::TargetKey;
use ze_proto::v1::{self, DivergenceKind as Kind};

use crate::state::{Nexthop, RouteTarget, Value};

/// Divergences told one by one; a table that has gone altogether diverges by the million.
pub(crate) const DIVERGENCES_TOLD_MAX: usize = 100;

/// Counts a divergence, and tells it if there is room. `there` and `wanted` are words for what was found and for what
/// was acknowledged; none: nothing.
pub(crate) fn found(
    report: &mut v1::AuditReport,
    path: impl ToString,
    there: Option<impl ToString>,
    wanted: Option<impl ToString>,
) {
    let words =
        |words: Option<&dyn ToString>| words.map_or_else(|| "nothing".to_owned(), ToString::to_string);
    let (kind, count) = match (&there, &wanted) {
        (None, _) => (Kind::Missing, &mut report.missing),
        (Some(_), None) => (Kind::Surplus, &mut report.surplus),
        (Some(_), Some(_)) => (Kind::Different, &mut report.different),
    };
    *count += 1;
    if report.divergences.len() < DIVERGENCES_TOLD_MAX {
        let there = there.as_ref().map(|there| there as &dyn ToString);
        let wanted = wanted.as_ref().map(|wanted| wanted as &dyn ToString);
        let message = format!("{} was there, {} is wanted", words(there), words(wanted));
        report.divergences.push(v1::Divergence { path: path.to_string(), kind: kind.into(), message });
    }
}

/// Adds what another comparison has found.
pub(crate) fn add(report: &mut v1::AuditReport, other: v1::AuditReport) {
    report.checked += other.checked;
    report.missing += other.missing;
    report.surplus += other.surplus;
    report.different += other.different;
    report.divergences.extend(other.divergences);
    report.divergences.truncate(DIVERGENCES_TOLD_MAX);
}

/// How many objects differed.
pub(crate) const fn count(report: &v1::AuditReport) -> u64 {
    report.missing + report.surplus + report.different
}

/// Says in the log what an audit has found.
pub(crate) fn log(owner: &str, report: &v1::AuditReport) {
    let v1::AuditReport { checked, missing, surplus, different, divergences } = report;
    if count(report) == 0 {
        tracing::debug!(owner, checked, "audit: nothing differs");
        return;
    }
    for divergence in divergences {
        let path = &divergence.path;
        tracing::warn!(owner, path, "audit: {}", divergence.message);
    }
    tracing::warn!(owner, checked, missing, surplus, different, "audit: healed");
}

/// Words for an object.
pub(crate) fn words(value: &Value) -> String {
    match value {
        Value::System(_) | Value::Vrf | Value::Address => "the object".to_owned(),
        Value::Port(port) => {
            let device = if port.device.is_empty() { &port.name } else { &port.device };
            let down = if port.admin_down { ", down" } else { "" };
            format!("device {device}, {}{down}", port.xdp_mode().as_str_name())
        }
        Value::Interface(i) => {
            let vrf = if i.vrf.is_empty() { "default" } else { &i.vrf };
            let mut words = format!("port {}, VLAN {}, VRF {vrf}, MTU {}", i.port, i.vlan, i.mtu);
            if i.admin_down {
                words += ", down";
            }
            if !i.description.is_empty() {
                words += &format!(", \"{}\"", i.description);
            }
            words
        }
        Value::Nexthop(nexthop, None) => nexthop_words(nexthop),
        Value::Nexthop(nexthop, Some(backup)) => {
            format!("{}, backup nexthop {backup}", nexthop_words(nexthop))
        }
        Value::Group(members, hash) => {
            let member = |(key, weight): &(u64, u8)| format!("nexthop {key} of weight {weight}");
            let mut words = members.iter().map(member).collect::<Vec<_>>().join(", ");
            words += if hash.resilient { ", resilient" } else { "" };
            words += if hash.symmetric { ", symmetric" } else { "" };
            words
        }
        Value::Route(RouteTarget::Nexthop(key)) => target_words(TargetKey::Nexthop(*key)),
        Value::Route(RouteTarget::Group(key)) => target_words(TargetKey::Group(*key)),
    }
}

/// Words for where a route leads.
pub(crate) fn target_words(target: TargetKey) -> String {
    match target {
        TargetKey::Nexthop(key) => format!("a route to nexthop {key}"),
        TargetKey::Group(key) => format!("a route to nexthop group {key}"),
    }
}

fn nexthop_words(nexthop: &Nexthop) -> String {
    match nexthop {
        Nexthop::Interface { gateway: Some(gateway), interface } => gateway_words(*gateway, interface),
        Nexthop::Interface { gateway: None, interface } => format!("interface {interface}"),
        Nexthop::Vrf(vrf) => format!("VRF {vrf}"),
        Nexthop::Discard(discard) => format!("{discard:?}").to_lowercase(),
    }
}

fn gateway_words(gateway: IpAddr, interface: &str) -> String {
    if interface.is_empty() {
        format!("gateway {gateway}")
    } else {
        format!("gateway {gateway} on {interface}")
    }
}

/// Words for a nexthop of the API.
pub(crate) fn message_words(nexthop: &v1::Nexthop) -> String {
    use v1::nexthop::Kind;
    let words = match &nexthop.kind {
        None => "a nexthop of no kind".to_owned(),
        Some(Kind::Gateway(gateway)) => match ze_proto::address::from_bytes(&gateway.address) {
            Ok(address) => gateway_words(address, &gateway.interface),
            Err(error) => error.to_string(),
        },
        Some(Kind::Interface(name)) => format!("interface {name}"),
        Some(Kind::LookupVrf(name)) => format!("VRF {name}"),
        Some(Kind::Blackhole(_)) => "blackhole".to_owned(),
        Some(Kind::Unreachable(_)) => "unreachable".to_owned(),
        Some(Kind::Prohibit(_)) => "prohibit".to_owned(),
    };
    nexthop.backup.map_or(words.clone(), |backup| format!("{words}, backup nexthop {backup}"))
}
