//! All routes of a table, the way the writer wants them: exact, ordered, with every covering route.
//!
//! A tree bitmap (Eatherton, Varghese, Dittia 2004) cut at the same bits as the lookup structure: a
//! node on level k holds the routes that end within its five bits, as 62 bits in the order of length
//! and then address, and the nodes below it as 32 bits. Both arrays are packed; a popcount finds a place.

use std::collections::TryReserveError;

use crate::{
    family::{Family, SLOTS, STRIDE},
    pool::{BLOCK_MAX, Item, Pool},
    prefix::{Prefix, Value},
};

/// One step of five bits.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Node {
    /// Bit `position(depth, slot)`: a route of `depth` bits within this node, `depth` being 1 to 5.
    routes: u64,
    /// Bit s: slot s has a node below.
    children: u32,
    first_child: u32,
    first_value: u32,
}

/// The routes of a table.
pub(crate) struct Rib<F: Family> {
    nodes: Pool<Node>,
    values: Pool<u32>,
    root: Node,
    len: usize,
    family: std::marker::PhantomData<F>,
}

impl Item for Node {
    fn set_link(&mut self, next: u32) {
        self.first_child = next;
    }

    fn link(&self) -> u32 {
        self.first_child
    }
}

/// Where a prefix is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Home {
    pub(crate) level: u8,
    /// How many of the level's bits it uses: 1 to 5.
    pub(crate) depth: u8,
    pub(crate) slot: usize,
}

impl Home {
    pub(crate) fn of<F: Family>(prefix: &Prefix<F>) -> Self {
        let padded = prefix.len() + F::PAD;
        let level = (padded - 1) / STRIDE;
        Self { level, depth: padded - level * STRIDE, slot: F::slot(prefix.addr(), level) }
    }

    /// The slots the prefix covers.
    pub(crate) fn mask(&self) -> u32 {
        slot_mask(self.depth, self.slot)
    }

    fn position(&self) -> u32 {
        position(self.depth, self.slot)
    }
}

/// The bit for a route of `depth` bits that begins like `slot`.
pub(crate) fn position(depth: u8, slot: usize) -> u32 {
    (1 << depth) - 2 + (slot >> (STRIDE - depth)) as u32
}

/// The slots that begin like the first `depth` bits of `slot`.
fn slot_mask(depth: u8, slot: usize) -> u32 {
    let width = 1_u32 << (STRIDE - depth);
    let first = slot & !(width as usize - 1);
    (((1_u64 << width) - 1) << first) as u32
}

impl Node {
    fn value_index(&self, position: u32) -> u32 {
        self.first_value + (self.routes & ((1 << position) - 1)).count_ones()
    }

    fn child_index(&self, slot: usize) -> u32 {
        self.first_child + (self.children & ((1 << slot) - 1)).count_ones()
    }

    fn has_child(&self, slot: usize) -> bool {
        self.children >> slot & 1 == 1
    }

    fn is_empty(&self) -> bool {
        self.routes == 0 && self.children == 0
    }

    /// The longest route of this node over `slot`, not longer than `depth_max`.
    fn best(&self, slot: usize, depth_max: u8) -> Option<(u8, u32)> {
        let has = |&depth: &u8| self.routes >> position(depth, slot) & 1 == 1;
        let depth = (1..=depth_max).rev().find(has)?;
        Some((depth, self.value_index(position(depth, slot))))
    }

    /// The slots covered by a route of more than `depth` bits.
    pub(crate) fn covered(&self, depth: u8) -> u32 {
        let mut rest = self.routes & (u64::MAX << ((2_u32 << depth) - 2));
        let mut covered = 0;
        while rest != 0 {
            let (depth, slot) = place(rest.trailing_zeros());
            covered |= slot_mask(depth, slot);
            rest &= rest - 1;
        }
        covered
    }

    pub(crate) fn routes(&self) -> u64 {
        self.routes
    }
}

/// The inverse of [`position`]: depth, and the first slot covered.
pub(crate) fn place(position: u32) -> (u8, usize) {
    let depth = (position + 2).ilog2() as u8;
    let index = (position + 2 - (1 << depth)) as usize;
    (depth, index << (STRIDE - depth))
}

impl<F: Family> Rib<F> {
    pub(crate) fn new() -> Self {
        let (nodes, values) = (Pool::new(), Pool::new());
        Self { nodes, values, root: Node::default(), len: 0, family: std::marker::PhantomData }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.nodes.bytes() + self.values.bytes()
    }

    pub(crate) fn root(&self) -> &Node {
        &self.root
    }

    pub(crate) fn child(&self, node: &Node, slot: usize) -> Option<&Node> {
        node.has_child(slot).then(|| self.nodes.get(node.child_index(slot)))
    }

    /// The nodes below `node`, by slot.
    pub(crate) fn children(&self, node: &Node) -> impl Iterator<Item = (usize, &Node)> {
        let block = self.nodes.block(node.first_child, node.children.count_ones() as usize);
        bits(node.children).zip(block)
    }

    /// The value of the route at `position`, which the node has.
    pub(crate) fn value(&self, node: &Node, position: u32) -> u32 {
        *self.values.get(node.value_index(position))
    }

    /// For each slot the value of the longest route over it, `inherited` where this node has none.
    pub(crate) fn paint(&self, node: &Node, inherited: u32) -> [u32; SLOTS] {
        let mut painted = [inherited; SLOTS];
        let count = node.routes.count_ones() as usize;
        let mut rest = node.routes;
        // From the shortest on, so that longer ones paint over them.
        for &value in self.values.block(node.first_value, count) {
            let (depth, slot) = place(rest.trailing_zeros());
            painted[slot..slot + (1 << (STRIDE - depth))].fill(value);
            rest &= rest - 1;
        }
        painted
    }

    /// Packs the routes anew if more would ask for memory while much of what there is lies idle.
    pub(crate) fn pack(&mut self) {
        let idle = self.nodes.is_fragmented() || self.values.is_fragmented();
        if idle && self.growth_bytes() > 0 {
            // Packing is for economy only: without memory for it, the routes stay as they are.
            if let Ok(packed) = self.packed() {
                *self = packed;
            }
        }
    }

    fn packed(&self) -> Result<Self, TryReserveError> {
        let (nodes, values) = (self.nodes.fresh()?, self.values.fresh()?);
        let mut packed = Self { nodes, values, root: self.root, len: self.len, ..Self::new() };
        packed.root = self.copy_into(&mut packed, &self.root);
        Ok(packed)
    }

    fn copy_into(&self, packed: &mut Self, node: &Node) -> Node {
        let values = self.values.block(node.first_value, node.routes.count_ones() as usize);
        let children = self.nodes.block(node.first_child, node.children.count_ones() as usize);
        let first_value = packed.values.append(values);
        let first_child = packed.nodes.append(children);
        for (index, child) in (first_child..).zip(children) {
            *packed.nodes.get_mut(index) = self.copy_into(packed, child);
        }
        Node { first_value, first_child, ..*node }
    }

    /// Makes room for one more route, so that [`insert`](Self::insert) cannot fail.
    pub(crate) fn reserve(&mut self) -> Result<(), TryReserveError> {
        self.nodes.reserve(Self::nodes_a_route())?;
        self.values.reserve(BLOCK_MAX)
    }

    /// The bytes that [`reserve`](Self::reserve) would ask the system for.
    pub(crate) fn growth_bytes(&self) -> usize {
        self.nodes.growth_bytes(Self::nodes_a_route()) + self.values.growth_bytes(BLOCK_MAX)
    }

    /// One block of nodes may have to move; below it, every new node is its parent's only one.
    const fn nodes_a_route() -> usize {
        SLOTS + F::LEVELS as usize
    }

    /// Adds or replaces a route; returns the value it had.
    pub(crate) fn insert(&mut self, prefix: &Prefix<F>, value: Value) -> Option<Value> {
        let home = Home::of(prefix);
        let mut at = None;
        for level in 0..home.level {
            at = Some(self.child_or_new(at, F::slot(prefix.addr(), level)));
        }
        let mut node = *self.node(at);
        let position = home.position();
        let index = node.value_index(position);
        if node.routes >> position & 1 == 1 {
            let old = std::mem::replace(self.values.get_mut(index), value.get());
            return Value::from_raw(old);
        }
        let (count, offset) = (node.routes.count_ones() as usize, (index - node.first_value) as usize);
        node.first_value = self.values.insert(node.first_value, count, offset, value.get());
        node.routes |= 1 << position;
        *self.node_mut(at) = node;
        self.len += 1;
        None
    }

    /// Takes a route out; returns its value.
    pub(crate) fn remove(&mut self, prefix: &Prefix<F>) -> Option<Value> {
        let home = Home::of(prefix);
        let mut root = self.root;
        let value = self.remove_below(&mut root, prefix, &home, 0)?;
        self.root = root;
        self.len -= 1;
        if self.len == 0 {
            *self = Self::new(); // nothing left: give the memory back
        }
        Some(value)
    }

    /// The value of exactly this route.
    pub(crate) fn exact(&self, prefix: &Prefix<F>) -> Option<Value> {
        let home = Home::of(prefix);
        let node = self.descend(prefix.addr(), home.level)?;
        let position = home.position();
        (node.routes >> position & 1 == 1).then(|| Value::from_raw(self.value(node, position)))?
    }

    /// The longest route that covers `prefix` and is shorter.
    pub(crate) fn cover(&self, prefix: &Prefix<F>) -> Option<Value> {
        let home = Home::of(prefix);
        self.longest_within(prefix.addr(), home.level, home.depth - 1).map(|(_, value)| value)
    }

    /// The longest route that covers `addr`.
    pub(crate) fn longest(&self, addr: F::Addr) -> Option<(Prefix<F>, Value)> {
        self.longest_within(addr, F::LEVELS - 1, STRIDE)
    }

    /// The node on `level` that `addr` leads to.
    pub(crate) fn descend(&self, addr: F::Addr, level: u8) -> Option<&Node> {
        let mut node = &self.root;
        for level in 0..level {
            node = self.child(node, F::slot(addr, level))?;
        }
        Some(node)
    }

    fn longest_within(&self, addr: F::Addr, last: u8, last_depth: u8) -> Option<(Prefix<F>, Value)> {
        let mut best = None;
        let mut node = &self.root;
        for level in 0..=last {
            let slot = F::slot(addr, level);
            if let Some((depth, index)) = node.best(slot, if level == last { last_depth } else { STRIDE }) {
                best = Some((level * STRIDE + depth - F::PAD, index));
            }
            let Some(child) = self.child(node, slot) else { break };
            node = child;
        }
        let (len, index) = best?;
        Some((Prefix::of_table(F::truncate(addr, len), len), Value::from_raw(*self.values.get(index))?))
    }

    fn node(&self, at: Option<u32>) -> &Node {
        at.map_or(&self.root, |index| self.nodes.get(index))
    }

    fn node_mut(&mut self, at: Option<u32>) -> &mut Node {
        match at {
            Some(index) => self.nodes.get_mut(index),
            None => &mut self.root,
        }
    }

    fn child_or_new(&mut self, at: Option<u32>, slot: usize) -> u32 {
        let mut node = *self.node(at);
        let index = node.child_index(slot);
        if node.has_child(slot) {
            return index;
        }
        let (count, offset) = (node.children.count_ones() as usize, (index - node.first_child) as usize);
        node.first_child = self.nodes.insert(node.first_child, count, offset, Node::default());
        node.children |= 1 << slot;
        *self.node_mut(at) = node;
        node.child_index(slot)
    }

    fn remove_below(&mut self, node: &mut Node, prefix: &Prefix<F>, home: &Home, level: u8) -> Option<Value> {
        if level == home.level {
            return self.remove_here(node, home.position());
        }
        let slot = F::slot(prefix.addr(), level);
        if !node.has_child(slot) {
            return None;
        }
        let index = node.child_index(slot);
        let mut child = *self.nodes.get(index);
        let value = self.remove_below(&mut child, prefix, home, level + 1)?;
        if !child.is_empty() {
            *self.nodes.get_mut(index) = child;
            return Some(value);
        }
        let (count, offset) = (node.children.count_ones() as usize, (index - node.first_child) as usize);
        node.first_child = self.nodes.remove(node.first_child, count, offset);
        node.children &= !(1 << slot);
        Some(value)
    }

    fn remove_here(&mut self, node: &mut Node, position: u32) -> Option<Value> {
        if node.routes >> position & 1 == 0 {
            return None;
        }
        let index = node.value_index(position);
        let value = *self.values.get(index);
        let (count, offset) = (node.routes.count_ones() as usize, (index - node.first_value) as usize);
        node.first_value = self.values.remove(node.first_value, count, offset);
        node.routes &= !(1 << position);
        Value::from_raw(value)
    }
}

/// The numbers of the bits set.
pub(crate) fn bits(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (mask != 0).then(|| mask.trailing_zeros() as usize);
        mask &= mask.wrapping_sub(1);
        bit
    })
}
