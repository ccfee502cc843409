//! Longest-prefix match for IPv4 and IPv6: batched lookups, readers that never wait.
//!
//! One writer, [`Lpm`], adds and takes out routes. Any number of readers ([`LpmReader`], then a [`View`] a
//! batch) look addresses up meanwhile, at the speed of the memory. A route leads to a [`Value`], a small
//! number whose meaning is the user's: the index of a nexthop group, say.
//!
//! ```
//! use ze_lpm::{Config, Domain, Lpm4, Prefix4, Value};
//!
//! let domain = Domain::new();
//! let mut table = Lpm4::new(&domain, Config::default());
//! table.insert("192.0.2.0/24".parse()?, Value::new(7)?)?;
//!
//! let source = table.reader(); // to each worker, with
//! let mut reader = domain.register()?; // one of these
//! {
//!     let guard = reader.enter();
//!     let mut values = [0; 2];
//!     source.view(&guard).lookup_batch(&[0xc000_0201, 0xc633_6401], &mut values);
//!     assert_eq!(values, [7, 0]); // 0: no route
//! }
//! reader.quiescent();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it works
//!
//! ## The question
//!
//! Of all prefixes that an address begins with, which is the longest? A million prefixes, two nanoseconds
//! a question: that is five or six instructions' worth of waiting for *one* word from the third-level
//! cache. So there are two rules. Ask memory few times, and keep what is asked small enough to stay close.
//!
//! ## Five bits at a time
//!
//! A binary tree asks 24 times for a /24. Take five bits a step instead: a node has 32 slots, one for each
//! value of the next five bits, and a route that ends within the five bits is *painted* over all slots it
//! covers, longer routes over shorter ones. Then nothing has to be remembered on the way down: the last
//! answer found is the right one.
//!
//! Five, because 32 slots fit a 32-bit bitmap, and because the strides can be laid so that they end where
//! routes end: IPv4 after 4, 9, 14, 19, **24**, 29 bits; IPv6 after 3, 8, 13, …, 43, **48**, …, 128.
//!
//! ## Runs
//!
//! Painted slots are full of repetitions. Neighbouring slots with the same answer are one *run*, kept once.
//! A bit of the bitmap says "the answer changes here", so the number of bits set up to a slot is the number
//! of its run. With the place of the runs beside it, a whole node is 8 bytes, and lies *in its parent*:
//!
//! ```text
//!  root, indexed by the first 19 bits             blocks
//!  ┌────────────────────────────┐
//!  │ …                          │
//!  │ value 12                   │ ◀── all 8,192 addresses go to 12
//!  │ bitmap 0010…0100, base ──────────▶ │ 7 │ 9 │ 7 │ 12 │      a leaf: runs are u16 values
//!  │ bitmap 1000…0000, base ─────┐
//!  │ …                          ││
//!  └────────────────────────────┘└────▶ │ value 7 │ bitmap, base │ value 7 │  a branch: runs are entries
//!                                                        │
//!                                                        └──▶ │ value 7 │ value 70000 │  too large for a leaf
//!
//!  slots 0 1 2 3 4 …            29 30 31
//!        7 7 9 9 9 … 9           7 12 12     ◀─ painted
//!  bits  0 0 1 0 0 … 0           1  1  0     ◀─ kept, with │ 7 │ 9 │ 7 │ 12 │
//! ```
//!
//! (IPv6 spends the root's bits on 2000::/3, where all global unicast addresses are; the seven other eighths
//! of the space hang off eight words of their own.)
//!
//! A full IPv4 table takes 5.7 MB so, 4 MB of it root, and a /24 is found with two accesses. A VRF with a
//! hundred routes takes 2 KB: the root starts with 4 bits and grows with the table ([`Config`]).
//!
//! ## Many at once
//!
//! One lookup waits for each access before it knows the next; many of them need not wait for one another
//! ([`View::lookup_batch`]). There are two ways, by what the table is like:
//!
//! - **Root and leaf.** With the largest IPv4 root, 99 of a hundred addresses end in the root's word or in a leaf right below
//!   it. So all go these two steps and no other, as through a pipeline: while the root's words for some addresses
//!   come from memory, the arithmetic of earlier ones is done, and values come from the leaves of still earlier
//!   ones. The one that is left over has found a branch (or a value too large for a leaf), and is looked up
//!   afterwards.
//! - **In step.** With smaller roots, and for IPv6, a batch follows branches in a loop of a dozen instructions until none is
//!   left, and takes the leaves in one step at the end. It takes little longer than its slowest member.
//!
//! Nobody can predict whether the next address ends in the root or in a leaf, and each wrong guess of the CPU throws away what it
//! had begun. So in the first way a word with one answer, like "value 12" above, is a leaf as well, with one run;
//! tables have few different values, and all such words of a value lead to the same place, which stays in the
//! first-level cache.
//!
//! Where the CPU has AVX-512, eight or sixteen lookups share a register, with AVX2 four or eight; [`Engine`] chooses, and all
//! engines agree by test.
//!
//! ## Changing it while it is read
//!
//! The writer keeps the routes themselves in a second tree, cut at the same bits (exact matches, walks and
//! covering routes come from there). A change is worked out aside, in blocks that no reader looks at, and
//! then made visible by storing single 8-byte words. A word is read whole, so every lookup finds either what
//! was or what will be; a route that covers many words appears address by address. If there is no
//! room for a change, none of its words has been stored, and the table is what it was.
//!
//! Blocks that have become unreachable may still be under a reader's eyes. They are used again when every
//! reader has passed a quiescent state ([`ze_sync`]). When the memory is full or the table has outgrown
//! its root, a new generation is built from the routes and published with one pointer.
//!
//! # Costs to know
//!
//! - A change touches as many words as the prefix has of the root: a /24 one, a /8 up to 2,048, a default route
//!   all those it shows through. A short prefix is as slow to change as it is rare.
//! - Chains are not skipped: a lone IPv6 /128 below a /48 takes sixteen steps and about 400 bytes.
//! - Insertion past the room of a generation builds a new one: 0.1 s for a full IPv4 table, once in many
//!   thousand insertions. Readers do not notice.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod batch;
mod build;
mod engine;
mod entry;
mod family;
mod fib;
mod interned;
mod iter;
mod leaf;
mod open;
#[cfg(target_arch = "x86_64")]
mod pipeline;
mod pool;
mod prefetch;
mod prefix;
#[cfg(target_arch = "x86_64")]
mod quad;
mod rib;
mod table;
mod view;
mod words;

pub use engine::Engine;
pub use family::{Family, V4, V6};
pub use iter::Iter;
pub use prefix::{Prefix, Prefix4, Prefix6, PrefixError, Value, ValueError};
pub use table::{Config, Error, Extended, Lpm, Lpm4, Lpm6, Memory};
pub use view::{LpmReader, View};
pub use ze_sync::Domain;
