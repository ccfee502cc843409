//! The plain, slow, obviously right table, and random routes.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::collections::BTreeMap;

use ze_lpm::{Family, Prefix, V4, V6, Value};

/// SplitMix64: small, seeded, good enough to find bugs.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn chance(&mut self, of_hundred: u64) -> bool {
        self.below(100) < of_hundred
    }
}

/// The seed of this run: ZE_SEED, or a fixed one.
pub fn seed() -> u64 {
    let seed = std::env::var("ZE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0x5eed);
    println!("seed: ZE_SEED={seed}");
    seed
}

/// How many operations: ZE_LPM_OPERATIONS, or `default`.
pub fn operations(default: u64) -> u64 {
    std::env::var("ZE_LPM_OPERATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What a test needs to know of a family beyond the crate's own interface.
pub trait Bits: Family {
    fn random(random: &mut Random) -> Self::Addr;
    fn flip(addr: Self::Addr, bit: u8) -> Self::Addr;
    /// The last address of a prefix.
    fn last(prefix: &Prefix<Self>) -> Self::Addr;
    fn plus(addr: Self::Addr, by: i8) -> Self::Addr;
    /// Places where routes crowd.
    const CROWDS: &'static [Self::Addr];
}

impl Bits for V4 {
    const CROWDS: &'static [u32] = &[0, 0x0a00_0000, 0xc0a8_0000, 0xc633_6400, 0xe000_0000, 0xffff_ffff];

    fn random(random: &mut Random) -> u32 {
        random.next() as u32
    }

    fn flip(addr: u32, bit: u8) -> u32 {
        addr ^ 1 << (31 - bit)
    }

    fn last(prefix: &Prefix<V4>) -> u32 {
        prefix.addr() | u32::MAX.checked_shr(prefix.len().into()).unwrap_or(0)
    }

    fn plus(addr: u32, by: i8) -> u32 {
        addr.wrapping_add_signed(by.into())
    }
}

impl Bits for V6 {
    const CROWDS: &'static [u128] = &[
        0,
        0x2001_0db8 << 96,
        0x2001_0db8_0000_0001_0000_0000_0000_0001,
        0x2a00_1450 << 96,
        0x3fff_ffff_ffff_ffff << 64,
        0xfd00 << 112,
        0xfe80 << 112,
        u128::MAX,
    ];

    fn random(random: &mut Random) -> u128 {
        u128::from(random.next()) << 64 | u128::from(random.next())
    }

    fn flip(addr: u128, bit: u8) -> u128 {
        addr ^ 1 << (127 - bit)
    }

    fn last(prefix: &Prefix<V6>) -> u128 {
        prefix.addr() | u128::MAX.checked_shr(prefix.len().into()).unwrap_or(0)
    }

    fn plus(addr: u128, by: i8) -> u128 {
        addr.wrapping_add_signed(by.into())
    }
}

/// An address: anywhere, or in a crowd with some bits changed.
pub fn random_addr<F: Bits>(random: &mut Random) -> F::Addr {
    if random.chance(10) {
        return F::random(random);
    }
    let mut addr = F::CROWDS[random.below(F::CROWDS.len() as u64) as usize];
    for _ in 0..random.below(5) {
        addr = F::flip(addr, random.below(u64::from(F::BITS)) as u8);
    }
    addr
}

pub fn random_prefix<F: Bits>(random: &mut Random) -> Prefix<F> {
    let len = random.below(u64::from(F::BITS) + 1) as u8;
    // Short prefixes touch much of the table, so there are fewer of them, as in life.
    let len = if len < F::BITS / 4 && random.chance(60) { len + F::BITS / 4 } else { len };
    Prefix::containing(random_addr::<F>(random), len).unwrap()
}

pub fn random_value(random: &mut Random) -> Value {
    let raw = match random.below(20) {
        0 => 1 + random.below(u64::from(Value::MAX.get())),
        1 => 0xffff + random.below(2),
        2 => 1 + random.below(0xffff),
        _ => 1 + random.below(6),
    };
    Value::new(raw as u32).unwrap()
}

/// Routes in a map; a lookup tries every length.
pub struct Model<F: Family>(pub BTreeMap<Prefix<F>, Value>);

impl<F: Family> Model<F> {
    pub fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub fn lookup(&self, addr: F::Addr) -> Option<(Prefix<F>, Value)> {
        let longest = |len| self.0.get_key_value(&Prefix::containing(addr, len).unwrap());
        (0..=F::BITS).rev().find_map(longest).map(|(&prefix, &value)| (prefix, value))
    }

    pub fn raw(&self, addr: F::Addr) -> u32 {
        self.lookup(addr).map_or(0, |(_, value)| value.get())
    }
}
