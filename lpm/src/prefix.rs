//! Prefixes without host bits, and the values routes carry.

use std::{fmt, net::IpAddr, num::NonZeroU32, str::FromStr};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::family::{Family, V4, V6};

/// An address and how many of its first bits count; all others are zero. Ordered by address, then
/// length, so that a prefix comes before what it contains.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix<F: Family> {
    addr: F::Addr,
    len: u8,
}

/// An IPv4 prefix.
pub type Prefix4 = Prefix<V4>;
/// An IPv6 prefix.
pub type Prefix6 = Prefix<V6>;

/// Why an address and a length are no prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrefixError {
    /// The length exceeds the address.
    #[error("{addr}/{len}: the length of this family's prefixes is 0 to {max}")]
    Length {
        /// The address as given.
        addr: IpAddr,
        /// The length as given.
        len: u8,
        /// The greatest length.
        max: u8,
    },
    /// Bits after the length are set.
    #[error("{addr}/{len} has host bits set; the prefix is {network}/{len}")]
    HostBits {
        /// The address as given.
        addr: IpAddr,
        /// The length as given.
        len: u8,
        /// The address without its host bits.
        network: IpAddr,
    },
    /// Not written as `address/length`, or of the other family.
    #[error("{0:?} is not a prefix of this family (address/length)")]
    Syntax(String),
}

impl<F: Family> Prefix<F> {
    /// The prefix of all addresses.
    #[must_use]
    pub fn default_route() -> Self {
        Self { addr: F::Addr::default(), len: 0 }
    }

    /// The prefix `addr/len`.
    ///
    /// # Errors
    /// When `len` is too long for the family, or `addr` has bits after it.
    pub fn new(addr: F::Addr, len: u8) -> Result<Self, PrefixError> {
        let prefix = Self::containing(addr, len)?;
        if prefix.addr != addr {
            let network = F::to_ip(prefix.addr);
            return Err(PrefixError::HostBits { addr: F::to_ip(addr), len, network });
        }
        Ok(prefix)
    }

    /// The prefix of length `len` that `addr` is in: host bits are cleared.
    ///
    /// # Errors
    /// When `len` is too long for the family.
    pub fn containing(addr: F::Addr, len: u8) -> Result<Self, PrefixError> {
        if len > F::BITS {
            return Err(PrefixError::Length { addr: F::to_ip(addr), len, max: F::BITS });
        }
        Ok(Self { addr: F::truncate(addr, len), len })
    }

    /// For lengths that come from a table's own levels.
    pub(crate) fn of_table(addr: F::Addr, len: u8) -> Self {
        debug_assert!(len <= F::BITS && F::truncate(addr, len) == addr);
        Self { addr, len }
    }

    /// The address, in host byte order.
    #[inline]
    #[must_use]
    pub fn addr(&self) -> F::Addr {
        self.addr
    }

    /// How many bits count.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "the length of a prefix, not of a collection")]
    pub fn len(&self) -> u8 {
        self.len
    }

    /// Whether `addr` lies in this prefix.
    #[must_use]
    pub fn contains(&self, addr: F::Addr) -> bool {
        F::truncate(addr, self.len) == self.addr
    }

    /// Whether `other` is this prefix or a part of it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.len <= other.len && self.contains(other.addr)
    }
}

impl<F: Family> fmt::Display for Prefix<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", F::to_ip(self.addr), self.len)
    }
}

impl<F: Family> fmt::Debug for Prefix<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<F: Family> FromStr for Prefix<F> {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let syntax = || PrefixError::Syntax(text.to_owned());
        let (addr, len) = text.split_once('/').ok_or_else(syntax)?;
        let addr = addr.parse().ok().and_then(F::from_ip).ok_or_else(syntax)?;
        Self::new(addr, len.parse().map_err(|_| syntax())?)
    }
}

impl TryFrom<Ipv4Net> for Prefix4 {
    type Error = PrefixError;

    fn try_from(net: Ipv4Net) -> Result<Self, PrefixError> {
        Self::new(net.addr().into(), net.prefix_len())
    }
}

impl TryFrom<Ipv6Net> for Prefix6 {
    type Error = PrefixError;

    fn try_from(net: Ipv6Net) -> Result<Self, PrefixError> {
        Self::new(net.addr().into(), net.prefix_len())
    }
}

impl From<Prefix4> for Ipv4Net {
    fn from(prefix: Prefix4) -> Self {
        Self::new_assert(prefix.addr.into(), prefix.len)
    }
}

impl From<Prefix6> for Ipv6Net {
    fn from(prefix: Prefix6) -> Self {
        Self::new_assert(prefix.addr.into(), prefix.len)
    }
}

/// What a route leads to, as the user numbers it: 1 to [`Value::MAX`]. Zero is left free to mean "no
/// route" in the results of a batch. Values up to 65,535 take half the memory in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(NonZeroU32);

/// Not a [`Value`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a value: 1 to {max}", max = Value::MAX.get())]
pub struct ValueError(pub u32);

impl Value {
    /// The greatest value: an entry has 30 bits for it.
    pub const MAX: Self = Self(NonZeroU32::new((1 << 30) - 1).unwrap());

    /// The value `raw`.
    ///
    /// # Errors
    /// When `raw` is 0 or above [`Value::MAX`].
    pub const fn new(raw: u32) -> Result<Self, ValueError> {
        match NonZeroU32::new(raw) {
            Some(value) if raw <= Self::MAX.get() => Ok(Self(value)),
            _ => Err(ValueError(raw)),
        }
    }

    /// What a lookup returned: none when it is 0, "no route". (Lookups return nothing above
    /// [`Value::MAX`]; were it given, it would be none as well.)
    #[inline]
    #[must_use]
    pub const fn from_raw(raw: u32) -> Option<Self> {
        match Self::new(raw) {
            Ok(value) => Some(value),
            Err(_) => None,
        }
    }

    /// The number.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl TryFrom<u32> for Value {
    type Error = ValueError;

    fn try_from(raw: u32) -> Result<Self, ValueError> {
        Self::new(raw)
    }
}

impl From<Value> for u32 {
    fn from(value: Value) -> Self {
        value.get()
    }
}
