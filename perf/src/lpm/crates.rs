//! Tables of other crates.

use std::net::{Ipv4Addr, Ipv6Addr};

use ip_network_table_deps_treebitmap::IpLookupTable;
use poptrie::Poptrie;
use prefix_trie::PrefixMap;
use ze_lpm::{Prefix, V4, V6, Value};

use super::engine::{Crate, Engine, Map};
use super::table::Net;

/// A family that they all have.
pub(super) trait Rivals: Net {
    fn rivals() -> Vec<Box<dyn Engine<Self>>>;
}

macro_rules! rivals {
    ($family:ident, $addr:ty, $ip:ty) => {
        impl Rivals for $family {
            fn rivals() -> Vec<Box<dyn Engine<Self>>> {
                vec![
                    Box::new(Crate::<IpLookupTable<$ip, u32>>::new()),
                    Box::new(Crate::<PrefixMap<($addr, u8), u32>>::new()),
                    Box::new(Crate::<Poptrie<($addr, u8), u32>>::new()),
                ]
            }
        }

        impl Map<$family> for IpLookupTable<$ip, u32> {
            const NAME: &'static str = "treebitmap";

            fn new() -> Self {
                Self::new()
            }

            fn insert(&mut self, prefix: Prefix<$family>, value: u32) {
                Self::insert(self, prefix.addr().into(), prefix.len().into(), value);
            }

            fn remove(&mut self, prefix: Prefix<$family>) -> bool {
                Self::remove(self, prefix.addr().into(), prefix.len().into()).is_some()
            }

            fn lookup(&self, addr: $addr) -> u32 {
                self.longest_match(addr.into()).map_or(0, |(_, _, &value)| value)
            }

            fn bytes(&self) -> Option<usize> {
                let (nodes, values) = self.mem_usage();
                Some(nodes + values)
            }
        }

        impl Map<$family> for PrefixMap<($addr, u8), u32> {
            const NAME: &'static str = "prefix_trie";

            fn new() -> Self {
                Self::new()
            }

            fn insert(&mut self, prefix: Prefix<$family>, value: u32) {
                Self::insert(self, (prefix.addr(), prefix.len()), value);
            }

            fn remove(&mut self, prefix: Prefix<$family>) -> bool {
                Self::remove(self, &(prefix.addr(), prefix.len())).is_some()
            }

            fn lookup(&self, addr: $addr) -> u32 {
                self.get_lpm(&(addr, <$addr>::BITS as u8)).map_or(0, |(_, &value)| value)
            }

            fn bytes(&self) -> Option<usize> {
                Some(self.mem_size())
            }
        }

        impl Map<$family> for Poptrie<($addr, u8), u32> {
            const NAME: &'static str = "poptrie";

            fn new() -> Self {
                Self::new()
            }

            fn build(routes: &[(Prefix<$family>, Value)]) -> Self {
                let pair =
                    |(prefix, value): &(Prefix<$family>, Value)| ((prefix.addr(), prefix.len()), value.get());
                routes.iter().map(pair).collect()
            }

            fn insert(&mut self, prefix: Prefix<$family>, value: u32) {
                Self::insert(self, (prefix.addr(), prefix.len()), value);
            }

            fn remove(&mut self, prefix: Prefix<$family>) -> bool {
                Self::remove(self, (prefix.addr(), prefix.len())).is_some()
            }

            fn lookup(&self, addr: $addr) -> u32 {
                Self::lookup(self, addr).copied().unwrap_or(0)
            }

            fn bytes(&self) -> Option<usize> {
                None
            }
        }
    };
}

rivals!(V4, u32, Ipv4Addr);
rivals!(V6, u128, Ipv6Addr);
