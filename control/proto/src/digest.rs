//! Digests of routes, by which two sides find out where they differ without sending a million routes.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::packed::TargetKey;

/// Buckets of a digest.
pub const BUCKETS: usize = 256;

/// The digest of a set of routes: for each bucket the sum of its routes' hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Sums, by bucket.
    pub buckets: Box<[u64; BUCKETS]>,
    /// How many routes there are.
    pub routes: u64,
}

impl Default for Digest {
    fn default() -> Self {
        Self { buckets: Box::new([0; BUCKETS]), routes: 0 }
    }
}

impl Digest {
    /// A route has come.
    pub fn add(&mut self, prefix: &IpNet, target: TargetKey) {
        let (bucket, hash) = place(prefix, target);
        self.buckets[bucket] = self.buckets[bucket].wrapping_add(hash);
        self.routes += 1;
    }

    /// A route has gone.
    pub fn remove(&mut self, prefix: &IpNet, target: TargetKey) {
        let (bucket, hash) = place(prefix, target);
        self.buckets[bucket] = self.buckets[bucket].wrapping_sub(hash);
        self.routes = self.routes.saturating_sub(1);
    }

    /// The buckets in which two sets differ, all where the other side's are not as many.
    pub fn differing(&self, other: &[u64]) -> Vec<u32> {
        let differs = |at: &u32| other.get(*at as usize) != self.buckets.get(*at as usize);
        (0..BUCKETS as u32).filter(differs).collect()
    }
}

/// The bucket that a prefix belongs to, whatever it leads to.
pub fn bucket(prefix: &IpNet) -> usize {
    (of_prefix(prefix) >> 56) as usize
}

fn place(prefix: &IpNet, target: TargetKey) -> (usize, u64) {
    let of_prefix = of_prefix(prefix);
    let of_target = match target {
        TargetKey::Nexthop(key) => mix(key, 1),
        TargetKey::Group(key) => mix(key, 2),
    };
    ((of_prefix >> 56) as usize, mix(of_prefix, of_target))
}

fn of_prefix(prefix: &IpNet) -> u64 {
    let len = u64::from(prefix.prefix_len());
    match prefix.addr() {
        IpAddr::V4(address) => mix(u64::from(u32::from(address)), len),
        IpAddr::V6(address) => {
            let wide = u128::from(address);
            mix(mix((wide >> 64) as u64, wide as u64), len | 0x100)
        }
    }
}

/// Both daemons must agree on it, so it is part of the API and never changes.
const fn mix(one: u64, other: u64) -> u64 {
    let product =
        (one ^ 0x9e37_79b9_7f4a_7c15) as u128 * (other.rotate_left(32) ^ 0xbb67_ae85_84ca_a73b) as u128;
    let folded = product as u64 ^ (product >> 64) as u64;
    (folded ^ (folded >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ one.rotate_left(17) ^ other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(n: u32) -> IpNet {
        IpNet::new(IpAddr::from((0x0a00_0000 + (n << 8)).to_be_bytes()), 24).unwrap()
    }

    #[test]
    fn the_order_does_not_matter_and_what_has_gone_leaves_nothing() {
        let (mut one, mut other) = (Digest::default(), Digest::default());
        (0..1000).for_each(|n| one.add(&net(n), TargetKey::Nexthop(7)));
        (0..1000).rev().for_each(|n| other.add(&net(n), TargetKey::Nexthop(7)));
        assert_eq!(one, other);
        (0..1000).for_each(|n| one.remove(&net(n), TargetKey::Nexthop(7)));
        assert_eq!(one, Digest::default());
    }

    #[test]
    fn one_route_that_differs_is_found_in_its_bucket() {
        let (mut one, mut other) = (Digest::default(), Digest::default());
        (0..10_000).for_each(|n| one.add(&net(n), TargetKey::Nexthop(7)));
        (0..10_000).for_each(|n| {
            let target = if n == 4711 { TargetKey::Group(7) } else { TargetKey::Nexthop(7) };
            other.add(&net(n), target);
        });
        assert_eq!(one.differing(&other.buckets[..]), [bucket(&net(4711)) as u32]);
        let used: std::collections::BTreeSet<_> = (0..10_000).map(|n| bucket(&net(n))).collect();
        assert_eq!(used.len(), BUCKETS, "routes spread over all buckets");
    }
}
