//! Many routes in few bytes: [`PackedRoutes`] written and read.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::v1::PackedRoutes;

/// Targets of one message: their numbers are 16 bits wide.
pub const TARGETS_MAX: usize = 1 << 16;

/// What a route leads to, by its owner's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetKey {
    /// A nexthop.
    Nexthop(u64),
    /// A nexthop group.
    Group(u64),
}

/// Bytes that are no packed routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Position of the route, from 0.
    pub element: u32,
    /// What is the matter.
    pub what: &'static str,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "packed route {}: {}", self.element, self.what)
    }
}

impl std::error::Error for Malformed {}

/// Packs routes to be put, in their order within each family.
pub fn put(vrf: &str, routes: impl IntoIterator<Item = (IpNet, TargetKey)>) -> PackedRoutes {
    let routes: Vec<_> = routes.into_iter().collect();
    let mut packed = PackedRoutes { vrf: vrf.to_owned(), ..PackedRoutes::default() };
    let mut numbers: HashMap<TargetKey, u16> = HashMap::new();
    for (_, target) in &routes {
        if let TargetKey::Nexthop(key) = target
            && !numbers.contains_key(target)
        {
            numbers.insert(*target, packed.nexthops.len() as u16);
            packed.nexthops.push(*key);
        }
    }
    for (_, target) in &routes {
        if let TargetKey::Group(key) = target
            && !numbers.contains_key(target)
        {
            numbers.insert(*target, (packed.nexthops.len() + packed.groups.len()) as u16);
            packed.groups.push(*key);
        }
    }
    for (prefix, target) in routes {
        write(&mut packed, prefix).extend_from_slice(&numbers[&target].to_le_bytes());
    }
    packed
}

/// Packs routes to be deleted.
pub fn delete(vrf: &str, prefixes: impl IntoIterator<Item = IpNet>) -> PackedRoutes {
    let mut packed = PackedRoutes { vrf: vrf.to_owned(), ..PackedRoutes::default() };
    for prefix in prefixes {
        write(&mut packed, prefix);
    }
    packed
}

fn write(packed: &mut PackedRoutes, prefix: IpNet) -> &mut Vec<u8> {
    let len = usize::from(prefix.prefix_len()).div_ceil(8);
    match prefix.addr() {
        IpAddr::V4(address) => {
            packed.routes4.push(prefix.prefix_len());
            packed.routes4.extend_from_slice(&address.octets()[..len]);
            &mut packed.routes4
        }
        IpAddr::V6(address) => {
            packed.routes6.push(prefix.prefix_len());
            packed.routes6.extend_from_slice(&address.octets()[..len]);
            &mut packed.routes6
        }
    }
}

/// The routes to be put: prefix (possibly with host bits, which are the caller's to refuse) and number of the target.
pub fn read_put(packed: &PackedRoutes) -> impl Iterator<Item = Result<(IpNet, usize), Malformed>> + '_ {
    let read = |bytes, wide| Reader { bytes, wide, targets: true };
    read(packed.routes4.as_slice(), false)
        .chain(read(packed.routes6.as_slice(), true))
        .enumerate()
        .map(numbered)
}

/// The prefixes to be deleted.
pub fn read_delete(packed: &PackedRoutes) -> impl Iterator<Item = Result<IpNet, Malformed>> + '_ {
    let read = |bytes, wide| Reader { bytes, wide, targets: false };
    let all = read(packed.routes4.as_slice(), false).chain(read(packed.routes6.as_slice(), true));
    all.enumerate().map(|item| numbered(item).map(|(prefix, _)| prefix))
}

/// The targets by their numbers.
pub fn targets(packed: &PackedRoutes) -> impl Iterator<Item = TargetKey> + '_ {
    let nexthops = packed.nexthops.iter().map(|key| TargetKey::Nexthop(*key));
    nexthops.chain(packed.groups.iter().map(|key| TargetKey::Group(*key)))
}

fn numbered<T>((at, read): (usize, Result<T, &'static str>)) -> Result<T, Malformed> {
    read.map_err(|what| Malformed { element: at as u32, what })
}

struct Reader<'a> {
    bytes: &'a [u8],
    wide: bool,
    targets: bool,
}

impl Iterator for Reader<'_> {
    type Item = Result<(IpNet, usize), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            // Where the next one would begin, nobody knows.
            self.bytes = &[];
        }
        Some(read)
    }
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(IpNet, usize), &'static str> {
        let len = self.take(1)?[0];
        let prefix = if self.wide {
            IpNet::new(IpAddr::from(self.address::<16>(len)?), len)
        } else {
            IpNet::new(IpAddr::from(self.address::<4>(len)?), len)
        };
        let target = if self.targets { self.take(2)? } else { &[0, 0] };
        let target = usize::from(u16::from_le_bytes([target[0], target[1]]));
        Ok((prefix.map_err(|_| LENGTH)?, target))
    }

    fn address<const BYTES: usize>(&mut self, len: u8) -> Result<[u8; BYTES], &'static str> {
        let count = usize::from(len).div_ceil(8);
        if count > BYTES {
            return Err(LENGTH);
        }
        let mut address = [0; BYTES];
        address[..count].copy_from_slice(self.take(count)?);
        Ok(address)
    }

    fn take(&mut self, count: usize) -> Result<&[u8], &'static str> {
        let (head, rest) = self.bytes.split_at_checked(count).ok_or("it ends in the middle")?;
        self.bytes = rest;
        Ok(head)
    }
}

const LENGTH: &str = "its prefix is longer than an address";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_both_families_and_kinds_of_target_round_trip() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let (one, two, group) = (TargetKey::Nexthop(u64::MAX), TargetKey::Nexthop(2), TargetKey::Group(2));
        let routes = [
            (net("0.0.0.0/0"), two),
            (net("192.0.2.128/25"), group),
            (net("10.0.0.0/8"), one),
            (net("::/0"), one),
            (net("2001:db8::/33"), group),
            (net("2001:db8::1/128"), two),
            (net("192.0.2.1/32"), one),
        ];
        let packed = put("blue", routes);
        assert_eq!((packed.vrf.as_str(), packed.nexthops.len(), packed.groups.len()), ("blue", 2, 1));
        let targets: Vec<_> = targets(&packed).collect();
        let mut read: Vec<_> =
            read_put(&packed).map(|route| route.map(|(net, at)| (net, targets[at])).unwrap()).collect();
        let mut wanted = routes.to_vec();
        read.sort();
        wanted.sort();
        assert_eq!(read, wanted);
        let deleted = delete("blue", routes.iter().map(|(net, _)| *net));
        assert_eq!(read_delete(&deleted).filter_map(Result::ok).count(), routes.len());
    }

    #[test]
    fn a_slash_24_takes_six_bytes() {
        let packed = put("", [("192.0.2.0/24".parse().unwrap(), TargetKey::Nexthop(1))]);
        assert_eq!(packed.routes4, [24, 192, 0, 2, 0, 0]);
    }

    #[test]
    fn what_ends_too_early_or_is_too_long_is_told_with_its_position() {
        let packed = |routes4: &[u8], routes6: &[u8]| PackedRoutes {
            routes4: routes4.to_vec(),
            routes6: routes6.to_vec(),
            ..PackedRoutes::default()
        };
        for (bad, element) in [
            (packed(&[24, 192, 0], &[]), 0),
            (packed(&[8, 10, 0, 0, 33, 1, 2, 3, 4, 5, 0, 0], &[]), 1),
            (packed(&[8, 10, 0, 0], &[129, 0]), 1),
            (packed(&[8, 10, 0], &[]), 0),
        ] {
            let error = read_put(&bad).find_map(Result::err).unwrap();
            assert_eq!(error.element, element, "{error}");
        }
    }
}
