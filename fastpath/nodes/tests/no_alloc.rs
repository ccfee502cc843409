//! After warm-up the graph does not allocate: not on the plain path, nor on any other.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests are no workers")]
#![allow(unreachable_pub, reason = "the harness is shared by several tests")]
#![expect(unsafe_code, reason = "a global allocator that counts")]

mod harness;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use harness::bytes::{Ip4, Ip6, frame, message, to4, to6, udp};
use harness::{In, Rig};
use ze_graph::MessageKind;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is the system allocator's; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> usize {
    ALLOCATIONS.with(Cell::get)
}

#[test]
fn the_counter_counts() {
    let before = allocations();
    drop(std::hint::black_box(vec![1u8; 100]));
    assert!(allocations() > before);
}

#[test]
fn the_graph_does_not_allocate_after_warm_up() {
    let mut rig = Rig::default();
    rig.output.remembers = false;
    let input: Vec<In> = [
        to4("10.0.0.1").frame(),
        to6("2001:db8:a::1").frame(),
        to4("10.2.0.1").frame(),
        to4("10.11.0.1").frame(),
        to4("8.8.8.8").frame(),
        to6("2001:4860::1").frame(),
        Ip4 { ttl: 1, ..to4("10.0.0.1") }.frame(),
        Ip4 { payload: udp(1, 2, 1400), ..to4("10.13.0.1") }.frame(),
        Ip6 { payload: udp(1, 2, 1400), ..to6("2001:db8:a1::1") }.frame(),
        to4("192.0.2.1").frame(),
        to4("10.3.0.1").frame(),
        frame(0x0806, &[1; 28]),
        vec![0; 9],
    ]
    .into_iter()
    .map(|bytes| In::Network(1, bytes))
    .chain([
        In::Inject(11, to4("10.0.0.1").frame()),
        In::Control(message(MessageKind::Forward, 1, &to4("10.0.0.1").bytes())),
        In::Control(message(MessageKind::Unreachable, 1, &to6("2001:db8:a::1").bytes())),
    ])
    .collect();
    rig.run_batch(&input);
    let before = allocations();
    for _ in 0..100 {
        rig.run_batch(&input);
        while rig.messages.pop().is_ok() {}
    }
    assert_eq!(allocations() - before, 0);
    rig.check();
}
