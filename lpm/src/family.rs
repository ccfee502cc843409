//! What IPv4 and IPv6 do differently: how an address is cut into slots, and how the root is indexed.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "passes on the promise that a CPU feature was detected")
)]

use std::{fmt, hash::Hash, net::IpAddr, ops::BitOr};

/// Bits an entry resolves: 32 slots, whose changes fit a 32-bit bitmap.
pub(crate) const STRIDE: u8 = 5;
/// Slots of an entry.
pub(crate) const SLOTS: usize = 1 << STRIDE;

/// The root's first word. Before it there is a line of zeros, whose first word is the answer of an empty entry; so the eight
/// words of an IPv4 /16 share a line.
pub(crate) const ROOT_AT: usize = 8;

/// An address family: [`V4`] or [`V6`]. Sealed.
///
/// Both families look at an address as if a few zero bits stood before it ([`PAD`](Self::PAD)), so that
/// every stride of five ends where routes end: IPv4 after 4, 9, 14, 19, **24**, 29 bits, IPv6 after
/// 3 (2000::/3 is all of the global unicast space), 8, …, **48**, …, **128**.
pub trait Family: sealed::Sealed + Copy + Ord + Hash + fmt::Debug + Send + Sync + 'static {
    /// An address, in host byte order.
    type Addr: Copy + Ord + Hash + Default + fmt::Debug + BitOr<Output = Self::Addr> + Send + Sync + 'static;

    /// Length of an address.
    const BITS: u8;
    #[doc(hidden)]
    const PAD: u8;
    /// Levels of strides: a route of the greatest length is found on the last.
    #[doc(hidden)]
    const LEVELS: u8;
    /// The largest root: how many strides it may stand for.
    #[doc(hidden)]
    const ROOT_LEVEL_MAX: u8;
    /// Whether nearly all lookups in a table with the largest root end in its entry or in a leaf below it.
    #[doc(hidden)]
    const ROOT_AND_LEAF: bool;
    /// From so many routes on the root stands for 2, 3, … strides.
    #[doc(hidden)]
    const ROOT_GROWS_AT: &'static [usize];

    /// The five bits of `addr` that belong to `level` (fewer on level 0).
    #[doc(hidden)]
    fn slot(addr: Self::Addr, level: u8) -> usize;
    /// The address that has `slot` on `level` and zeros elsewhere.
    #[doc(hidden)]
    fn place(level: u8, slot: usize) -> Self::Addr;
    /// `addr` without the bits after the first `len`.
    #[doc(hidden)]
    fn truncate(addr: Self::Addr, len: u8) -> Self::Addr;
    /// Words of a root that stands for `root_level` strides, and of what is before it.
    #[doc(hidden)]
    fn root_words(root_level: u8) -> usize;
    /// The root's word for the addresses that begin with `path`, when the root ends at `level` there.
    /// `path` is the slots of all levels above, most significant first.
    #[doc(hidden)]
    fn root_index(root_level: u8, level: u8, path: usize) -> Option<usize>;
    /// The root's word for `addr`, and how many bits of the address it stands for.
    #[doc(hidden)]
    fn root_of(root_level: u8, addr: Self::Addr) -> (usize, u8);
    /// What is left of an address after `bits`, left-aligned.
    #[doc(hidden)]
    fn rest(addr: Self::Addr, bits: u8) -> Self::Rest;
    /// The first 64 bits of that; `bits` being 1 to 63.
    #[doc(hidden)]
    fn first_rest(addr: Self::Addr, bits: u8) -> u64;
    #[doc(hidden)]
    type Rest: Rest;
    #[doc(hidden)]
    fn to_ip(addr: Self::Addr) -> IpAddr;
    #[doc(hidden)]
    fn from_ip(ip: IpAddr) -> Option<Self::Addr>;
    /// Looks all `addrs` up; the slices are of one length.
    ///
    /// # Safety
    /// `avx512::detected()` has said yes.
    #[cfg(target_arch = "x86_64")]
    #[doc(hidden)]
    unsafe fn lookup_avx512(view: &crate::View<'_, Self>, addrs: &[Self::Addr], values: &mut [u32]);
    /// Looks all `addrs` up; the slices are of one length.
    ///
    /// # Safety
    /// `avx2::detected()` has said yes.
    #[cfg(target_arch = "x86_64")]
    #[doc(hidden)]
    unsafe fn lookup_avx2(view: &crate::View<'_, Self>, addrs: &[Self::Addr], values: &mut [u32]);
}

/// The bits of an address that a lookup has not used yet.
#[doc(hidden)]
pub trait Rest: Copy {
    /// Takes the next five bits.
    fn next_slot(&mut self) -> u32;
}

impl Rest for u64 {
    #[inline]
    fn next_slot(&mut self) -> u32 {
        let slot = *self >> (Self::BITS - u32::from(STRIDE));
        *self <<= STRIDE;
        slot as u32
    }
}

impl Rest for u128 {
    #[inline]
    fn next_slot(&mut self) -> u32 {
        let slot = *self >> (Self::BITS - u32::from(STRIDE));
        *self <<= STRIDE;
        slot as u32
    }
}

/// IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct V4;

/// IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct V6;

impl Family for V4 {
    type Addr = u32;
    type Rest = u64;
    const BITS: u8 = 32;
    const PAD: u8 = 1;
    const LEVELS: u8 = 7;
    const ROOT_LEVEL_MAX: u8 = 4;
    const ROOT_AND_LEAF: bool = true; // the root's 19 bits and a leaf's 5 make a /24
    // 128 B, 4 KB, 128 KB, 4 MB: never more than 64 bytes of root for a route.
    const ROOT_GROWS_AT: &'static [usize] = &[256, 8_192, 65_536];

    #[inline]
    fn slot(addr: u32, level: u8) -> usize {
        let padded = u64::from(addr) << (32 - Self::PAD);
        (padded << (STRIDE * level) >> (64 - STRIDE)) as usize
    }

    fn place(level: u8, slot: usize) -> u32 {
        let padded = (slot as u64) << (64 - STRIDE) >> (STRIDE * level);
        (padded >> (32 - Self::PAD)) as u32
    }

    fn truncate(addr: u32, len: u8) -> u32 {
        addr & u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0)
    }

    fn root_words(root_level: u8) -> usize {
        ROOT_AT + (1 << (STRIDE * root_level - Self::PAD))
    }

    #[inline]
    fn root_index(root_level: u8, level: u8, path: usize) -> Option<usize> {
        (level == root_level).then_some(ROOT_AT + path)
    }

    #[inline]
    fn root_of(root_level: u8, addr: u32) -> (usize, u8) {
        let bits = STRIDE * root_level - Self::PAD;
        (ROOT_AT + (addr >> (Self::BITS - bits)) as usize, bits)
    }

    #[inline]
    fn rest(addr: u32, bits: u8) -> u64 {
        u64::from(addr) << (32 + bits)
    }

    #[inline]
    fn first_rest(addr: u32, bits: u8) -> u64 {
        Self::rest(addr, bits)
    }

    fn to_ip(addr: u32) -> IpAddr {
        IpAddr::V4(addr.into())
    }

    fn from_ip(ip: IpAddr) -> Option<u32> {
        match ip {
            IpAddr::V4(addr) => Some(addr.into()),
            IpAddr::V6(_) => None,
        }
    }

    #[cfg(target_arch = "x86_64")]
    unsafe fn lookup_avx512(view: &crate::View<'_, Self>, addrs: &[u32], values: &mut [u32]) {
        // SAFETY: the caller's promise.
        unsafe { crate::avx512::lookup4(view, addrs, values) }
    }

    #[cfg(target_arch = "x86_64")]
    unsafe fn lookup_avx2(view: &crate::View<'_, Self>, addrs: &[u32], values: &mut [u32]) {
        // SAFETY: the caller's promise.
        unsafe { crate::avx2::lookup4(view, addrs, values) }
    }
}

/// Words of the outer root of IPv6: one for each value of the first three bits.
pub(crate) const V6_OUTER: usize = 8;
/// The first three bits of 2000::/3, the global unicast space (RFC 4291 §2.4): the inner root is its.
pub(crate) const V6_GLOBAL: usize = 0b001;

impl Family for V6 {
    type Addr = u128;
    type Rest = u128;
    const BITS: u8 = 128;
    const PAD: u8 = 2;
    const LEVELS: u8 = 26;
    const ROOT_LEVEL_MAX: u8 = 5;
    const ROOT_AND_LEAF: bool = false;
    // 72 B, 320 B, 8 KB, 256 KB, 8 MB.
    const ROOT_GROWS_AT: &'static [usize] = &[32, 512, 8_192, 65_536];

    #[inline]
    fn slot(addr: u128, level: u8) -> usize {
        if level == 0 {
            return (addr >> 125) as usize;
        }
        (addr << (STRIDE * level - Self::PAD) >> (128 - STRIDE)) as usize
    }

    fn place(level: u8, slot: usize) -> u128 {
        if level == 0 {
            return (slot as u128) << 125;
        }
        (slot as u128) << (128 - STRIDE) >> (STRIDE * level - Self::PAD)
    }

    fn truncate(addr: u128, len: u8) -> u128 {
        addr & u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0)
    }

    fn root_words(root_level: u8) -> usize {
        ROOT_AT + V6_OUTER + (1 << (STRIDE * (root_level - 1)))
    }

    #[inline]
    fn root_index(root_level: u8, level: u8, path: usize) -> Option<usize> {
        if level == 0 {
            return None;
        }
        let inner_bits = STRIDE * (level - 1);
        if path >> inner_bits != V6_GLOBAL {
            return (level == 1).then_some(ROOT_AT + path);
        }
        (level == root_level).then(|| ROOT_AT + V6_OUTER + (path & ((1 << inner_bits) - 1)))
    }

    #[inline]
    fn root_of(root_level: u8, addr: u128) -> (usize, u8) {
        let high = (addr >> 64) as u64; // the root ends long before; half an address is quicker to shift
        let top = (high >> 61) as usize;
        if top != V6_GLOBAL {
            return (ROOT_AT + top, 3);
        }
        let inner_bits = STRIDE * (root_level - 1);
        let inner = (high & u64::MAX >> 3) >> (61 - inner_bits);
        (ROOT_AT + V6_OUTER + inner as usize, 3 + inner_bits)
    }

    #[inline]
    fn rest(addr: u128, bits: u8) -> u128 {
        addr << bits
    }

    #[inline]
    fn first_rest(addr: u128, bits: u8) -> u64 {
        // By halves, which are quicker to shift.
        let (high, low) = ((addr >> 64) as u64, addr as u64);
        high.wrapping_shl(bits.into()) | low.wrapping_shr(64 - u32::from(bits))
    }

    fn to_ip(addr: u128) -> IpAddr {
        IpAddr::V6(addr.into())
    }

    fn from_ip(ip: IpAddr) -> Option<u128> {
        match ip {
            IpAddr::V6(addr) => Some(addr.into()),
            IpAddr::V4(_) => None,
        }
    }

    #[cfg(target_arch = "x86_64")]
    unsafe fn lookup_avx512(view: &crate::View<'_, Self>, addrs: &[u128], values: &mut [u32]) {
        // SAFETY: the caller's promise.
        unsafe { crate::avx512::lookup6(view, addrs, values) }
    }

    #[cfg(target_arch = "x86_64")]
    unsafe fn lookup_avx2(view: &crate::View<'_, Self>, addrs: &[u128], values: &mut [u32]) {
        // SAFETY: the caller's promise.
        unsafe { crate::avx2::lookup6(view, addrs, values) }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::V4 {}
    impl Sealed for super::V6 {}
}
