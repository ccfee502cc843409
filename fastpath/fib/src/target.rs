//! What a prefix leads to, as the 30-bit value that the longest-prefix match holds.

use ze_packet::{GroupId, NexthopId};

const GROUP_BIT: u32 = 1 << 29;

/// A nexthop or a nexthop group, packed into the value of an LPM entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// One nexthop.
    Nexthop(NexthopId),
    /// One of several, chosen by the flow's hash.
    Group(GroupId),
}

impl Target {
    /// The largest nexthop or group number that fits.
    pub const INDEX_MAX: u32 = GROUP_BIT - 1;

    /// The packed form; never 0 because nexthop 0 does not exist and groups have their bit set.
    #[inline]
    pub const fn pack(self) -> u32 {
        match self {
            Self::Nexthop(id) => id.0,
            Self::Group(id) => id.0 | GROUP_BIT,
        }
    }

    /// What a packed value says; none for 0, which is "no route".
    #[inline]
    pub const fn unpack(raw: u32) -> Option<Self> {
        if raw == 0 {
            return None;
        }
        if raw & GROUP_BIT != 0 {
            return Some(Self::Group(GroupId(raw & (GROUP_BIT - 1))));
        }
        Some(Self::Nexthop(NexthopId(raw)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_round_trips_and_zero_is_nothing() {
        for target in [
            Target::Nexthop(NexthopId(1)),
            Target::Nexthop(NexthopId(Target::INDEX_MAX)),
            Target::Group(GroupId(0)),
            Target::Group(GroupId(Target::INDEX_MAX)),
        ] {
            assert_eq!(Target::unpack(target.pack()), Some(target));
            assert!(target.pack() < 1 << 30);
        }
        assert_eq!(Target::unpack(0), None);
    }
}
