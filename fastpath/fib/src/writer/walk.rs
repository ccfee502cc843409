//! Walks over tables that stop after any prefix and go on from there, whatever has changed meanwhile: all that they
//! keep is the last prefix that they have passed.

use ze_lpm::{Family, Lpm, Prefix, Value};

/// What a slice of a comparison has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mended<P> {
    /// Prefixes compared.
    pub checked: u64,
    /// Prefixes that were wrong and have been put right.
    pub mended: u64,
    /// After which prefix to go on; none: all have been compared.
    pub next: Option<P>,
}

/// Addresses of which single bits can be set.
pub(super) trait Bits: Copy {
    /// Only the last of the first `len` bits.
    fn last_of(len: u8) -> Self;
}

impl Bits for u32 {
    fn last_of(len: u8) -> Self {
        1 << (Self::BITS - u32::from(len))
    }
}

impl Bits for u128 {
    fn last_of(len: u8) -> Self {
        1 << (Self::BITS - u32::from(len))
    }
}

/// Routes after a prefix, which need not be there, in the order of prefixes. To begin costs one descent for each bit of
/// the prefix that is zero.
pub(super) fn after<F: Family<Addr: Bits>>(
    lpm: &Lpm<F>,
    prefix: Option<Prefix<F>>,
) -> impl Iterator<Item = (Prefix<F>, Value)> {
    let all = prefix.is_none().then(|| lpm.iter());
    // What it contains comes next, then what is to the right of it, then to the right of what contains it, and so on.
    let inside = prefix.map(|prefix| lpm.subtree(prefix).filter(move |(route, _)| *route != prefix));
    let right = prefix.into_iter().flat_map(rights).flat_map(|right| lpm.subtree(right));
    all.into_iter().flatten().chain(inside.into_iter().flatten()).chain(right)
}

/// For each bit of a prefix that is zero, from the last on: the prefix up to there with the bit set.
fn rights<F: Family<Addr: Bits>>(prefix: Prefix<F>) -> impl Iterator<Item = Prefix<F>> {
    (1..=prefix.len()).rev().filter_map(move |len| {
        let left = Prefix::containing(prefix.addr(), len).ok()?;
        let right = Prefix::new(left.addr() | F::Addr::last_of(len), len).ok()?;
        (right != left).then_some(right)
    })
}

#[cfg(test)]
mod tests {
    use ze_lpm::{Config, Domain, Prefix4, Prefix6, V4, V6};

    use super::*;

    fn everywhere<F: Family<Addr: Bits>>(prefixes: &[Prefix<F>], strangers: &[Prefix<F>]) {
        let mut lpm = Lpm::new(&Domain::new(), Config::default());
        for (number, prefix) in prefixes.iter().enumerate() {
            lpm.insert(*prefix, Value::try_from(number as u32 + 1).unwrap()).unwrap();
        }
        let all: Vec<_> = lpm.iter().collect();
        assert_eq!(after(&lpm, None).collect::<Vec<_>>(), all);
        for from in prefixes.iter().chain(strangers) {
            let wanted: Vec<_> = all.iter().copied().filter(|(prefix, _)| prefix > from).collect();
            assert_eq!(after(&lpm, Some(*from)).collect::<Vec<_>>(), wanted, "after {from}");
        }
    }

    #[test]
    fn a_walk_goes_on_after_any_prefix_as_if_it_had_never_stopped() {
        let four = |text: &str| text.parse::<Prefix4>().unwrap();
        let mut some: Vec<_> = (0..500_u32)
            .map(|n| {
                let random = n.wrapping_mul(0x9e37_79b9) ^ n.rotate_left(13);
                Prefix4::containing(random, (n % 33) as u8).unwrap()
            })
            .collect();
        some.extend(["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/32", "255.255.255.255/32"].map(four));
        everywhere::<V4>(&some, &["0.0.0.0/1", "10.0.0.0/16", "10.128.0.0/9", "200.0.0.1/32"].map(four));
        let six = |text: &str| text.parse::<Prefix6>().unwrap();
        let some = ["::/0", "2001:db8::/32", "2001:db8::/48", "2001:db8:0:1::/64", "ffff::/16"].map(six);
        everywhere::<V6>(&some, &["2001:db8::/64", "fe80::1/128", "8000::/1"].map(six));
    }
}
