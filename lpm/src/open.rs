//! What is left of a chunk when the quick way has answered most of it.
//!
//! With the largest root of IPv4, which a full table has, nearly every address ends in the root's entry or in a leaf below it.
//! So engines try no more at first ([`Family::ROOT_AND_LEAF`]), and say by bits whom that left open: those that lead to a
//! branch, or to a value that is too large for a leaf.

use crate::{family::Family, view::View};

/// Addresses in a chunk: as many as a port gives at once.
pub(crate) const CHUNK: usize = 128;

/// If more than so many of a chunk are open, they are walked like those of any table.
const MANY: u32 = 16;
/// Else they are looked up by so many, without asking how many there are: nobody could predict the answer, and what waits for
/// memory behind a wrong prediction has to begin anew.
const TOGETHER: usize = 4;

/// Whether the quick way answers most in a table with a root of `root_level` strides.
#[inline]
pub(crate) fn root_and_leaf_answer_most<F: Family>(root_level: u8) -> bool {
    F::ROOT_AND_LEAF && root_level == F::ROOT_LEVEL_MAX
}

/// Looks the open ones of a chunk up. If they are many, `walk` does.
#[inline(always)] // into code for a CPU feature
pub(crate) fn look_up<F: Family>(
    view: &View<'_, F>,
    open: u128,
    addrs: &[F::Addr],
    values: &mut [u32],
    walk: impl Fn(&[F::Addr], &mut [u32]),
) {
    if open.count_ones() > MANY {
        let (mut open_addrs, mut found) = ([F::Addr::default(); CHUNK], [0; CHUNK]);
        let count = open.count_ones() as usize;
        for (addr, at) in open_addrs.iter_mut().zip(bits(open)) {
            *addr = addrs[at];
        }
        walk(&open_addrs[..count], &mut found[..count]);
        for (value, at) in found.into_iter().zip(bits(open)) {
            values[at] = value;
        }
        return;
    }
    let (first, mut rest) = (open.trailing_zeros() as usize, open);
    while rest != 0 {
        let mut deeper = false;
        for _ in 0..TOGETHER {
            // Nothing left: the first of them, once more. (Not one that has been answered: what it leads to may have changed.)
            let at = if rest == 0 { first } else { rest.trailing_zeros() as usize };
            rest &= rest.wrapping_sub(1);
            let (value, at_branch) = view.lookup_through_one_branch(addrs[at]);
            values[at] = value;
            deeper |= at_branch;
        }
        if deeper {
            return bits(open).for_each(|at| values[at] = view.lookup(addrs[at]));
        }
    }
}

/// Which bits are set.
fn bits(mut mask: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = (mask != 0).then(|| mask.trailing_zeros() as usize)?;
        mask &= mask - 1;
        Some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::look_up;
    use crate::{Config, Domain, Lpm4, Value};

    /// The routes have changed since the quick way answered, so that an answered address now leads through branches.
    #[test]
    fn what_was_answered_stays_whatever_happened_since() {
        let domain = Domain::new();
        let route = |text: &str, value| (text.parse().unwrap(), Value::new(value).unwrap());
        let routes = [route("192.0.2.1/32", 9), route("198.51.100.0/24", 5), route("198.51.100.4/32", 6)];
        let table = Lpm4::build(&domain, Config::default(), routes).unwrap();
        let reader = domain.register().unwrap();
        let guard = reader.enter();
        let view = table.reader().view(&guard);
        let addrs = [0xc000_0201, 0xc633_6401, 0xc633_6404, 0xc000_0201];
        for open in 1..16_u128 {
            let mut values = [7; 4];
            look_up(&view, open, &addrs, &mut values, |_, _| unreachable!());
            let expected: [u32; 4] =
                std::array::from_fn(|at| if open >> at & 1 == 1 { view.lookup(addrs[at]) } else { 7 });
            assert_eq!(values, expected, "open: {open:04b}");
        }
    }
}
