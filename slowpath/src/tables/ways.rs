//! What stands for the gateway of a file's routes.
//!
//! One nexthop, while there never was more than one way to it. Else [`PLACES`] nexthops, shared out among the ways by
//! their weights; each prefix has its place. So a flow takes the way of its prefix, and when the ways change, nexthops
//! change and no route does. Each place has a way that it does not take as its backup.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use ze_config::{Config, VrfName};
use ze_proto::v1::{self, nexthop::Kind};
use ze_rib::feed::{gateway_key, key_of};

/// Nexthops that stand for a gateway with several ways: shares are right to a sixteenth.
pub(super) const PLACES: usize = 16;

/// A way to a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    neighbor: IpAddr,
    interface: Arc<str>,
    share: u8,
    /// The gateway itself is the neighbour, on a link of its VRF: that the fast path follows faster than we can.
    is_connected: bool,
}

impl Way {
    /// One that the RIB has found.
    pub(super) fn new(
        config: &Config,
        vrf: &VrfName,
        gateway: IpAddr,
        (neighbor, interface, share): (IpAddr, Arc<str>, u8),
    ) -> Self {
        let is_here = config.interfaces.get(&*interface).is_some_and(|on| on.vrf == *vrf);
        Self { neighbor, interface, share, is_connected: neighbor == gateway && is_here }
    }
}

/// The keys of the nexthops that routes lead to.
pub(super) fn keys(vrf: &VrfName, gateway: IpAddr, several: bool) -> Vec<u64> {
    match several {
        false => vec![gateway_key(vrf.as_str(), gateway)],
        true => (0..PLACES).map(|place| key_of(&format!("gateway {vrf} {gateway} place {place}"))).collect(),
    }
}

/// The place of a prefix among so many.
pub(super) fn place(prefix: &IpNet, places: usize) -> usize {
    if places < 2 {
        return 0;
    }
    let address = match prefix.addr() {
        IpAddr::V4(v4) => u64::from(u32::from(v4)),
        IpAddr::V6(v6) => (u128::from(v6) >> 64) as u64 ^ u128::from(v6) as u64,
    };
    // Fibonacci hashing: neighbouring prefixes go to places far apart.
    let hash = (address ^ u64::from(prefix.prefix_len())).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((u128::from(hash) * places as u128) >> 64) as usize
}

/// The nexthops of a gateway. The one that stands for it alone is always among them: routes lead there until they have
/// their places.
pub(super) fn nexthops(vrf: &VrfName, gateway: IpAddr, ways: &[Way], several: bool) -> Vec<v1::Nexthop> {
    let to = |way: &Way| kind(vrf, way);
    let backup_key = |way: &Way| key_of(&format!("way {vrf} {gateway} {}%{}", way.neighbor, way.interface));
    let armed = |key, way: Option<&Way>| v1::Nexthop {
        key,
        kind: Some(way.map_or(Kind::Unreachable(v1::Empty {}), to)),
        backup: way.and_then(|way| other(ways, way)).map(backup_key),
    };
    let mut all = Vec::new();
    if ways.len() > 1 {
        let plain = |way| v1::Nexthop { key: backup_key(way), kind: Some(to(way)), backup: None };
        all.extend(ways.iter().map(plain));
    }
    all.extend(keys(vrf, gateway, false).into_iter().map(|key| armed(key, ways.first())));
    if several {
        let places = keys(vrf, gateway, true).into_iter().enumerate();
        all.extend(places.map(|(place, key)| armed(key, way_of(ways, place))));
    }
    all
}

/// The way of a place: ways have places in a row, in proportion to their shares.
fn way_of(ways: &[Way], place: usize) -> Option<&Way> {
    let total: usize = ways.iter().map(|way| usize::from(way.share)).sum();
    // The middle of the place, as a part of the whole.
    let mut point = (2 * place + 1) * total / (2 * PLACES);
    for way in ways {
        match point.checked_sub(usize::from(way.share)) {
            None => return Some(way),
            Some(rest) => point = rest,
        }
    }
    ways.last()
}

/// Another way: by another interface, if one is.
fn other<'w>(ways: &'w [Way], way: &Way) -> Option<&'w Way> {
    let at = ways.iter().position(|one| one == way)?;
    let others = || ways.iter().cycle().skip(at + 1).take(ways.len() - 1);
    others().find(|other| other.interface != way.interface).or_else(|| others().next())
}

fn kind(vrf: &VrfName, way: &Way) -> Kind {
    Kind::Gateway(v1::Gateway {
        address: ze_proto::address::to_bytes(way.neighbor),
        interface: if way.is_connected { String::new() } else { way.interface.to_string() },
        vrf: if vrf.as_str() == VrfName::DEFAULT { String::new() } else { vrf.to_string() },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn way(neighbor: &str, interface: &str, share: u8) -> Way {
        let config = Config::default();
        let found = (neighbor.parse().unwrap(), interface.into(), share);
        Way::new(&config, &VrfName::default(), found.0, found)
    }

    fn shown(ways: &[Way], several: bool) -> Vec<String> {
        let gateway = "10.9.0.1".parse().unwrap();
        let all = nexthops(&VrfName::default(), gateway, ways, several);
        let name = |nexthop: &v1::Nexthop| match nexthop.kind.as_ref().unwrap() {
            Kind::Gateway(to) => format!("{}", ze_proto::address::from_bytes(&to.address).unwrap()),
            other => format!("{other:?}"),
        };
        let by_key: BTreeMap<u64, String> = all.iter().map(|n| (n.key, name(n))).collect();
        assert_eq!(by_key.len(), all.len(), "no key stands twice");
        let put_before = |at: usize, key: &u64| all[..at].iter().any(|n| n.key == *key && n.backup.is_none());
        all.iter()
            .enumerate()
            .map(|(at, nexthop)| match &nexthop.backup {
                None => name(nexthop),
                Some(key) => {
                    assert!(put_before(at, key));
                    format!("{} else {}", name(nexthop), by_key[key])
                }
            })
            .collect()
    }

    #[test]
    fn one_way_is_one_nexthop_and_none_says_so() {
        assert_eq!(shown(&[way("10.0.0.2", "lan0", 7)], false), ["10.0.0.2"]);
        assert_eq!(shown(&[], false), ["Unreachable(Empty)"]);
        assert_eq!(shown(&[], true).len(), 1 + PLACES);
    }

    #[test]
    fn several_ways_have_places_by_their_shares_and_each_another_one_behind_it() {
        let three = [way("10.0.0.2", "lan0", 1), way("10.0.0.3", "lan0", 2), way("192.0.2.1", "wan0", 1)];
        let all = shown(&three, true);
        let count = |words: &str| all[4..].iter().filter(|shown| *shown == words).count();
        assert_eq!(all[3], "10.0.0.2 else 192.0.2.1", "what stands for it alone");
        assert_eq!(
            ["10.0.0.2 else 192.0.2.1", "10.0.0.3 else 192.0.2.1", "192.0.2.1 else 10.0.0.2"].map(count),
            [4, 8, 4]
        );
        let same_link = shown(&three[..2], true);
        assert!(same_link.contains(&"10.0.0.2 else 10.0.0.3".to_owned()), "{same_link:?}");
        // When one way is left, the places stay and lead there.
        assert!(shown(&three[..1], true).iter().all(|shown| shown == "10.0.0.2"));
    }

    #[test]
    fn prefixes_are_spread_evenly_over_the_places_and_always_alike() {
        let mut counts = [0; PLACES];
        for n in 0..16_000_u32 {
            let prefix = IpNet::new(IpAddr::from((0x1400_0000 + (n << 8)).to_be_bytes()), 24).unwrap();
            counts[place(&prefix, PLACES)] += 1;
            assert_eq!(place(&prefix, 1), 0);
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}
