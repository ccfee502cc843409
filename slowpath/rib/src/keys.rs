//! Keys of nexthops and groups: made of what the object *is for*, so that they are the same after a restart, and so
//! that an object whose resolution changes keeps its key and its routes are not touched.

use std::collections::HashMap;

/// Gives keys for identities. An identity gets the same key in each run, unless two identities collide.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    identities: HashMap<u64, String>,
}

impl Keys {
    pub(crate) fn key(&mut self, identity: &str) -> u64 {
        self.free_from(fnv1a64(identity.as_bytes()), identity, |key| key.wrapping_add(1))
    }

    /// A key that is greater than every one of a lesser rank. Objects are put in the order of their keys, so what is
    /// referred to has the lesser rank.
    pub(crate) fn ranked(&mut self, rank: u8, identity: &str) -> u64 {
        let top = u64::from(rank) << (u64::BITS - RANK_BITS);
        let identity = format!("{rank} {identity}");
        self.free_from(top | fnv1a64(identity.as_bytes()) & HASH, &identity, |key| {
            top | key.wrapping_add(1) & HASH
        })
    }

    fn free_from(&mut self, mut key: u64, identity: &str, next: impl Fn(u64) -> u64) -> u64 {
        loop {
            match self.identities.get(&key) {
                Some(known) if known == identity => return key,
                Some(_) => key = next(key),
                None => {
                    self.identities.insert(key, identity.to_owned());
                    return key;
                }
            }
        }
    }
}

/// Bits of a key that are its rank.
pub(crate) const RANK_BITS: u32 = 2;

const HASH: u64 = u64::MAX >> RANK_BITS;

/// FNV-1a, 64 bits (draft-eastlake-fnv §4): never changes between versions, unlike the standard library's hash.
pub(crate) fn fnv1a64(bytes: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_standard() {
        assert_eq!(fnv1a64(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a64(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a64(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn an_identity_keeps_its_key_and_a_collision_gets_another() {
        let mut keys = Keys::default();
        let a = keys.key("a");
        assert_eq!(keys.key("a"), a);
        assert_eq!(Keys::default().key("a"), a);
        let mut full = Keys::default();
        full.identities.insert(a, "other".into());
        assert_eq!(full.key("a"), a + 1);
        let low = keys.ranked(0, "a");
        assert!((1..4).map(|rank| keys.ranked(rank, "a")).is_sorted() && low < keys.ranked(1, "a"));
        let mut full = Keys::default();
        full.identities.insert(low, "other".into());
        assert_eq!(full.ranked(0, "a"), low + 1);
    }
}
