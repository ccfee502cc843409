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
        let mut key = fnv1a64(identity.as_bytes());
        loop {
            match self.identities.get(&key) {
                Some(known) if known == identity => return key,
                Some(_) => key = key.wrapping_add(1),
                None => {
                    self.identities.insert(key, identity.to_owned());
                    return key;
                }
            }
        }
    }
}

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
    }
}
