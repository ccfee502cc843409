//! How fast frames go through two AF_XDP ports on veths: `cargo run --release -p ze-xsk --example veth_forward`.
//!
//! ```text
//!   generator ─▶ left ══ a ─▶ forwarder ─▶ c ══ right ─▶ sink        all in a network namespace of their own
//! ```
//!
//! For information: generator, kernel and forwarder share the machine's cores, and most of the time goes into the
//! kernel's copies. What the forwarding itself costs is measured with `TemplatePort`. Needs root.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use ze_graph::{Arena, Batch, Frame, FramePool, Port};
use ze_packet::PortId;
use ze_xsk::{Device, OpenedPort, PortSpec, Umem, open_port};

const FRAMES: u32 = 16384;
const SECONDS: u64 = 5;
const PACKET_BYTES: usize = 60;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    for (near, far) in [("a", "left"), ("c", "right")] {
        let queues = "numtxqueues 1 numrxqueues 1";
        run(&format!("link add name {near} {queues} type veth peer name {far} {queues}"))?;
        run(&format!("link set dev {near} addrgenmode none up"))?;
        run(&format!("link set dev {far} addrgenmode none up"))?;
    }
    let (arena, mut frames) = Arena::allocate(FRAMES, true)?;
    println!("{} frames on {}", arena.chunks(), arena.pages());
    let umem = Umem::new(Arc::new(arena));
    let mut open = |device: &str| -> Result<OpenedPort, Box<dyn std::error::Error>> {
        let mut spec = PortSpec::new(PortId(0), Device::by_name(device)?);
        spec.promiscuous = true;
        let port = open_port(spec, &umem, &mut frames)?;
        port.self_test()?;
        println!("{}", port.report);
        Ok(port)
    };
    let (mut left, mut a, mut c, mut right) = (open("left")?, open("a")?, open("c")?, open("right")?);
    let half = frames.split_off(frames.len() / 2);
    let (mut pool, mut far_pool) =
        (FramePool::new(frames, FRAMES as usize), FramePool::new(half, FRAMES as usize));
    let stop = AtomicBool::new(false);
    let arena = umem.arena();
    let (sent, received, elapsed) = std::thread::scope(|scope| {
        let forwarder = scope.spawn(|| {
            let mut waiting = Vec::with_capacity(FRAMES as usize);
            while !stop.load(Ordering::Relaxed) {
                forward(arena, a.queues[0].as_mut(), c.queues[0].as_mut(), &mut waiting, &mut pool);
            }
            waiting.into_iter().for_each(|frame| pool.give(frame));
        });
        let figures = measure(arena, left.queues[0].as_mut(), right.queues[0].as_mut(), &mut far_pool);
        stop.store(true, Ordering::Relaxed);
        forwarder.join().expect("the forwarder");
        figures
    });
    let rate = |count: u64| count as f64 / elapsed.as_secs_f64() / 1e6;
    let forwarded = c.queues[0].stats().tx_packets.get();
    println!(
        "offered {:.2} Mpps, forwarded {:.2}, arrived {:.2}",
        rate(sent),
        rate(forwarded),
        rate(received)
    );
    println!("a: {:?}", a.monitors[0].statistics());
    let closed: usize = [left, a, c, right].into_iter().map(|port| port.close().len()).sum();
    assert_eq!(closed + pool.len() + far_pool.len(), FRAMES as usize, "frames are lost");
    Ok(())
}

/// Sends as fast as the device takes, and counts what arrives at the other end.
fn measure(
    arena: &Arena,
    from: &mut dyn Port,
    to: &mut dyn Port,
    pool: &mut FramePool,
) -> (u64, u64, Duration) {
    let start = Instant::now();
    let (mut sent, mut received) = (0, 0);
    let mut queue: Vec<Frame> = Vec::with_capacity(64);
    while start.elapsed() < Duration::from_secs(SECONDS) {
        while queue.len() < 64
            && let Some(mut frame) = pool.take()
        {
            let meta = arena.meta_mut(&mut frame);
            (meta.data_offset, meta.len) = (256, PACKET_BYTES as u16);
            arena.packet_mut(&mut frame).fill(2);
            queue.push(frame);
        }
        sent += from.transmit(arena, &mut queue) as u64;
        from.wake();
        from.complete(pool);
        let mut batch = Batch::new();
        received += to.receive(arena, &mut batch) as u64;
        batch.drain(|frame| pool.give(frame));
        to.refill(pool, 0);
        to.wake();
    }
    queue.into_iter().for_each(|frame| pool.give(frame));
    (sent, received, start.elapsed())
}

fn forward(
    arena: &Arena,
    from: &mut dyn Port,
    to: &mut dyn Port,
    waiting: &mut Vec<Frame>,
    pool: &mut FramePool,
) {
    let mut batch = Batch::new();
    if waiting.len() < 1024 {
        from.receive(arena, &mut batch);
    }
    batch.drain(|frame| waiting.push(frame));
    to.transmit(arena, waiting);
    to.wake();
    to.complete(pool);
    from.refill(pool, 0);
    from.wake();
}

fn run(arguments: &str) -> Result<(), Box<dyn std::error::Error>> {
    let status = Command::new("ip").args(arguments.split(' ')).status()?;
    if status.success() { Ok(()) } else { Err(format!("ip {arguments}: {status}").into()) }
}
