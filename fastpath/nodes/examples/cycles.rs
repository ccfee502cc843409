//! What the graph costs: TSC cycles per packet, whole and by node, in memory.
//!
//! `cargo run --release -p ze-nodes --example cycles`: batches of 64 frames of 60 bytes, one route. The frames go
//! round: written anew before each batch, which is not counted. Every batch is measured on its own; what is printed
//! is the median batch (and the quartiles, which say how noisy the machine was), of the whole and of each node.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests are no workers")]
#![allow(unreachable_pub, reason = "the harness is shared with the tests")]

#[path = "../tests/harness/mod.rs"]
mod harness;

use harness::bytes::{Ip4, Ip6, ethernet, to4, to6, udp};
use harness::{Rig, host_mac, mac, receive};
use ze_graph::{BATCH_MAX, Batch, Cx, Frame, Sink, Tracer, clock};
use ze_nodes::Graph;
use ze_packet::WorkerId;

/// So many batches are measured, each on its own.
const BATCHES: usize = 40_000;

/// Keeps the frames for the next batch.
struct Keep(Batch);

impl Sink for Keep {
    fn transmit(&mut self, _: &Cx<'_>, batch: &mut Batch) {
        batch.move_to(&mut self.0);
    }
    fn free(&mut self, batch: &mut Batch) {
        batch.move_to(&mut self.0);
    }
    fn take(&mut self) -> Option<Frame> {
        self.0.pop()
    }
}

fn main() {
    println!("TSC {:.2} GHz, batches of {BATCH_MAX}", clock::hertz() as f64 / 1e9);
    let payload4 = udp(1000, 2000, 26);
    let plain4 = |destination| Ip4 { payload: payload4.clone(), ..to4(destination) };
    let plain6 = |destination| Ip6 { payload: udp(1000, 2000, 8), ..to6(destination) };
    measure("ip4, 1 route", &[plain4("10.0.0.1").frame()]);
    measure("ip6, 1 route", &[plain6("2001:db8:a::1").frame()]);
    let tagged = ethernet(mac(3), host_mac(3), &[(0x8100, 100)], 0x0800, &plain4("10.2.0.1").bytes());
    measure("ip4, VLAN in and out", &[tagged]);
    let flows: Vec<_> = (0..64).map(|i| Ip4 { payload: udp(i, 9, 26), ..to4("10.11.0.1") }.frame()).collect();
    measure("ip4, group of 2, 64 flows", &flows);
    measure("ip4 and ip6 by turns", &[plain4("10.0.0.1").frame(), plain6("2001:db8:a::1").frame()]);
    measure("drop, no route, over the ICMP rate", &[plain4("8.8.8.8").frame()]);
}

fn measure(name: &str, packets: &[Vec<u8>]) {
    let limits = ze_nodes::IcmpLimits { destination_rate_pps: 0, ..Default::default() };
    let options = harness::Options { icmp: limits, frames: BATCH_MAX as u32 * 4, ..Default::default() };
    let mut rig = Rig::new(options);
    let mut samples = Samples::new(Graph::descriptions().len());
    run(&mut rig, packets, &mut samples);
    let [low, median, high] = quartiles(&mut samples.all);
    println!("{name:36} {median:6.1} cycles a packet ({low:.1} to {high:.1})");
    for (node, cycles) in rig.counters.nodes.iter().zip(&mut samples.nodes) {
        let share = node.packets.get() as f64 / (BATCHES * BATCH_MAX) as f64;
        if share > 0.0 {
            println!("    {:16} {:6.1}", node.name, quartiles(cycles)[1]);
        }
    }
}

/// Cycles of each batch: all of it, and by node.
struct Samples {
    all: Vec<u64>,
    nodes: Vec<Vec<u64>>,
}

impl Samples {
    fn new(nodes: usize) -> Self {
        Self { all: Vec::with_capacity(BATCHES), nodes: vec![Vec::with_capacity(BATCHES); nodes] }
    }
}

/// Cycles a packet at the quartiles.
fn quartiles(cycles: &mut [u64]) -> [f64; 3] {
    cycles.sort_unstable();
    [1, 2, 3].map(|quarter| cycles[cycles.len() * quarter / 4] as f64 / BATCH_MAX as f64)
}

fn run(rig: &mut Rig, packets: &[Vec<u8>], samples: &mut Samples) {
    let mut keep = Keep(Batch::new());
    for _ in 0..BATCH_MAX {
        assert!(keep.0.push(rig.output.pool.pop().expect("frames enough")).is_ok());
    }
    let mut seen = vec![0; samples.nodes.len()];
    for _ in 0..BATCHES {
        let mut place = 0;
        let network = rig.graph.network();
        keep.0.drain(|mut frame| {
            receive(&rig.arena, &mut frame, 1, &packets[place % packets.len()]);
            place += 1;
            assert!(network.push(frame).is_ok());
        });
        let began = clock::cycles();
        let guard = rig.reader.enter();
        let view = rig.tables.tables.view(&guard);
        let (arena, counters) = (&rig.arena, &rig.counters);
        let cx = Cx { arena, fib: &view, now: began, worker: WorkerId(0), counters };
        rig.graph.run(&cx, &mut Tracer::new(), &mut keep);
        rig.reader.quiescent();
        samples.all.push(clock::cycles() - began);
        for ((node, seen), cycles) in rig.counters.nodes.iter().zip(&mut seen).zip(&mut samples.nodes) {
            cycles.push(node.cycles.get() - *seen);
            *seen = node.cycles.get();
        }
    }
}
