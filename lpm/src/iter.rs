//! Walks over routes, in the order of address and then length.

use std::fmt;

use crate::{
    family::{Family, SLOTS, STRIDE},
    prefix::{Prefix, Value},
    rib::{Home, Node, Rib, position},
};

/// The routes of a node in the order of a walk: 1 bit, its halves, their halves, …, and after each slot
/// (5 bits) the node below it. Each is (depth, first slot).
const ORDER: [(u8, u8); POSITIONS] = order();
/// 2 + 4 + 8 + 16 + 32 places for a route in one node.
const POSITIONS: usize = 62;

/// Routes in the order of address and then length, so that each comes before those it covers.
pub struct Iter<'a, F: Family> {
    rib: &'a Rib<F>,
    /// From the outermost node on; never longer than a family has levels.
    stack: Vec<Step<'a, F>>,
}

struct Step<'a, F: Family> {
    node: &'a Node,
    addr: F::Addr,
    level: u8,
    /// The places of [`ORDER`] still to be looked at.
    next: usize,
    end: usize,
    /// The slot just passed, whose node below comes next.
    below: Option<usize>,
}

impl<'a, F: Family> Iter<'a, F> {
    pub(crate) fn all(rib: &'a Rib<F>) -> Self {
        let addr = F::Addr::default();
        Self::from(rib, Step { node: rib.root(), addr, level: 0, next: 0, end: POSITIONS, below: None })
    }

    /// The routes that `prefix` covers, itself among them.
    pub(crate) fn subtree(rib: &'a Rib<F>, prefix: &Prefix<F>) -> Self {
        let home = Home::of(prefix);
        let Some(node) = rib.descend(prefix.addr(), home.level) else {
            return Self { rib, stack: Vec::new() };
        };
        let addr = F::truncate(prefix.addr(), (home.level * STRIDE).saturating_sub(F::PAD));
        let next = walk_index(home.depth, home.slot);
        // A place of depth d heads a binary tree of 2^(6-d) - 1 places.
        let end = next + (2 << (STRIDE - home.depth)) - 1;
        Self::from(rib, Step { node, addr, level: home.level, next, end, below: None })
    }

    fn from(rib: &'a Rib<F>, step: Step<'a, F>) -> Self {
        let mut stack = Vec::with_capacity(usize::from(F::LEVELS));
        stack.push(step);
        Self { rib, stack }
    }

    fn descend(&mut self) {
        let Some(step) = self.stack.last_mut() else { return };
        let Some(slot) = step.below.take() else { return };
        let (addr, level) = (step.addr | F::place(step.level, slot), step.level + 1);
        if let Some(node) = self.rib.child(step.node, slot) {
            self.stack.push(Step { node, addr, level, next: 0, end: POSITIONS, below: None });
        }
    }
}

impl<F: Family> Iterator for Iter<'_, F> {
    type Item = (Prefix<F>, Value);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.descend();
            let step = self.stack.last_mut()?;
            if step.next == step.end {
                self.stack.pop();
                continue;
            }
            let (depth, slot) = ORDER[step.next];
            let slot = usize::from(slot);
            step.next += 1;
            step.below = (depth == STRIDE).then_some(slot);
            let position = position(depth, slot);
            if step.node.routes() >> position & 1 == 0 {
                continue;
            }
            let len = step.level * STRIDE + depth - F::PAD;
            let prefix = Prefix::of_table(step.addr | F::place(step.level, slot), len);
            return Some((prefix, Value::from_raw(self.rib.value(step.node, position))?));
        }
    }
}

impl<F: Family> fmt::Debug for Iter<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").finish_non_exhaustive()
    }
}

/// Where the place of `depth` bits over `slot` stands in [`ORDER`].
fn walk_index(depth: u8, slot: usize) -> usize {
    let mut index = 0;
    for parent in 1..depth {
        let half = slot >> (STRIDE - parent - 1) & 1;
        // Past the parent, and past its first half if this place is in the second.
        index += 1 + half * ((2 << (STRIDE - parent - 1)) - 1);
    }
    let half = slot >> (STRIDE - 1) & 1;
    index + half * (POSITIONS / 2)
}

const fn order() -> [(u8, u8); POSITIONS] {
    let mut order = [(0, 0); POSITIONS];
    let (mut index, mut slot) = (0, 0);
    while slot < SLOTS {
        // At a slot begin all places whose first slot it is, the widest first.
        let mut depth = 1;
        while depth <= STRIDE {
            if slot & ((1 << (STRIDE - depth)) - 1) == 0 {
                order[index] = (depth, slot as u8);
                index += 1;
            }
            depth += 1;
        }
        slot += 1;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_a_node_is_found_where_the_walk_passes_it() {
        for (index, &(depth, slot)) in ORDER.iter().enumerate() {
            assert_eq!(walk_index(depth, usize::from(slot)), index, "depth {depth}, slot {slot}");
        }
    }
}
