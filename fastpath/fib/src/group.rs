//! Nexthop groups: which member a flow takes.

use ze_packet::NexthopId;

/// How a group chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupOptions {
    /// A change of the members moves as few flows as can be: those of members that go, and those that new members
    /// need for their share.
    pub resilient: bool,
    /// Both directions of a flow have the same hash.
    pub symmetric: bool,
}

/// Several nexthops; a flow's hash chooses among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    buckets: Box<[NexthopId]>,
    symmetric: bool,
}

impl Group {
    /// The most buckets that a 32-bit hash chooses among evenly. The writer makes fewer.
    pub const HASH_BUCKETS_MAX: usize = 1 << 16;

    /// A group from its hash buckets. None when there are no buckets, or more than [`Group::HASH_BUCKETS_MAX`].
    pub fn new(buckets: Vec<NexthopId>) -> Option<Self> {
        (1..=Self::HASH_BUCKETS_MAX)
            .contains(&buckets.len())
            .then(|| Self { buckets: buckets.into(), symmetric: false })
    }

    /// The same group, with both directions of a flow in one bucket or not.
    #[must_use]
    pub fn with_symmetric(self, symmetric: bool) -> Self {
        Self { symmetric, ..self }
    }

    /// Must both directions of a flow have the same hash?
    #[inline]
    pub const fn is_symmetric(&self) -> bool {
        self.symmetric
    }

    /// The nexthop for a flow: the hash as a fraction of 1, times the buckets. So there need not be a power of two
    /// of them, and every share of the weights is exact.
    #[inline]
    pub fn choose(&self, hash: u32) -> NexthopId {
        let bucket = ((u64::from(hash) * self.buckets.len() as u64) >> 32) as usize;
        self.buckets.get(bucket).copied().unwrap_or(NexthopId(0))
    }

    /// The buckets.
    pub fn buckets(&self) -> &[NexthopId] {
        &self.buckets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_needs_a_bucket_and_takes_any_number_of_them() {
        assert!(Group::new(vec![]).is_none());
        assert!(Group::new(vec![NexthopId(1); Group::HASH_BUCKETS_MAX + 1]).is_none());
        let group = Group::new(vec![NexthopId(1), NexthopId(2), NexthopId(3)]).unwrap();
        let third = u32::MAX / 3;
        let chosen = [0, third, third + 1, 2 * third + 2, u32::MAX].map(|hash| group.choose(hash).0);
        assert_eq!(chosen, [1, 1, 2, 3, 3]);
    }
}
