//! AF_XDP ports on veths. Needs root.

mod bench;
#[path = "../../../ebpf-redirect/tests/support/mod.rs"]
mod support;

use bench::{Bench, OURS, close, flow_frame, forward, pool, receive};
use support::{RawPort, frame, in_namespace, run, veth, wait_until};
use ze_graph::{FRAME_BYTES_MAX, Frame, FramePool};
use ze_redirect::Counters;
use ze_xsk::{BindMode, Health, MTU_MAX};

const COPY: &[BindMode] = &[BindMode::Copy];
const ALL: &[BindMode] = &[BindMode::ZeroCopy, BindMode::Copy, BindMode::Generic];
const IPV4: &[u8] = &[0x08, 0x00, 0x45];

#[test]
fn frames_reach_the_socket_whole_in_every_mode() {
    in_namespace(|| {
        for (mode, device) in [(BindMode::Copy, "a"), (BindMode::Generic, "c")] {
            veth(device, "peer", 1);
            run(&format!("ip link set dev peer mtu {MTU_MAX}"));
            run(&format!("ip link set dev {device} mtu {MTU_MAX}"));
            let mut bench = Bench::new(256);
            let mut port = bench.open(device, &[mode]).unwrap();
            port.self_test().unwrap();
            let (arena, mut pool) = (bench.arena(), pool(&mut bench));
            let outside = RawPort::open("peer");
            let sent = [
                frame(OURS.0, IPV4, 60),
                frame(OURS.0, &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 7, 8, 0], 68),
                // The longest that a veth lets through: it counts one tag, not two.
                frame(OURS.0, &[0x81, 0, 0x60, 7, 8, 0], MTU_MAX as usize + 14 + 4),
                frame([0x01, 0x80, 0xc2, 0, 0, 0x14], &[0, 46, 0xfe, 0xfe, 3], 60),
                frame([0xff; 6], &[8, 6], 60),
            ];
            assert!(outside.send(&frame([2, 9, 9, 9, 9, 9], IPV4, 60)), "for somebody else");
            sent.iter().for_each(|frame| assert!(outside.send(frame)));
            let mut seen = vec![];
            wait_until("all frames have come", || {
                seen.extend(receive(port.queues[0].as_mut(), &arena, &mut pool));
                seen.len() == sent.len()
            });
            assert_eq!(seen, sent, "in {mode} mode");
            let counted = Counters { redirected: 5, other_mac: 1, ..Default::default() };
            assert_eq!(port.program.counters().unwrap(), counted);
            let stats = port.queues[0].stats();
            assert_eq!(stats.rx_packets.get(), 5);
            assert_eq!(stats.rx_bytes.get(), sent.iter().map(|frame| frame.len() as u64).sum::<u64>());
            assert_eq!(stats.errors.get(), 0);
            assert_eq!(port.monitors[0].health(), Health::Up);
            assert_eq!(port.monitors[0].statistics().unwrap().rx_dropped, 0);
            let monitor = port.monitors[0].clone();
            close(&mut bench, port, pool);
            assert_eq!(monitor.health(), Health::Closed);
            assert_eq!(monitor.statistics(), None);
            assert!(monitor.self_test().is_err());
            run(&format!("ip link del dev {device}"));
        }
    });
}

#[test]
fn what_is_sent_leaves_whole_and_the_frame_comes_back() {
    in_namespace(|| {
        veth("a", "b", 1);
        run(&format!("ip link set dev a mtu {MTU_MAX}"));
        run(&format!("ip link set dev b mtu {MTU_MAX}"));
        let mut bench = Bench::new(256);
        let mut port = bench.open("a", ALL).unwrap();
        let (arena, mut pool) = (bench.arena(), pool(&mut bench));
        let outside = RawPort::open("b");
        // The longest frame, and the shortest; and two that the kernel would swallow without giving them back.
        let mut sent = vec![];
        let mut queue = vec![];
        for len in [MTU_MAX as usize + 14, 14, 13, 0] {
            let mut token = pool.take().unwrap();
            let packet = frame([0xff; 6], &[0x12, 0x34], len);
            let (meta, chunk) = arena.parts_mut(&mut token);
            meta.len = len as u16;
            // Not where a received packet would start.
            meta.data_offset = 200;
            chunk[200..200 + len].copy_from_slice(&packet[..len]);
            sent.push(packet);
            queue.push(token);
        }
        let mut beyond = pool.take().unwrap();
        arena.meta_mut(&mut beyond).len = FRAME_BYTES_MAX as u16 + 57;
        arena.meta_mut(&mut beyond).data_offset = 200;
        queue.push(beyond);
        let before = pool.len();
        assert_eq!(port.queues[0].transmit(&arena, &mut queue), 5);
        port.queues[0].wake();
        for wanted in &sent[..2] {
            assert!(outside.await_frame("the frame has left", |_| true) == *wanted, "changed");
        }
        wait_until("all frames are back", || {
            port.queues[0].complete(&mut pool);
            pool.len() == before + 5
        });
        let stats = port.queues[0].stats();
        assert_eq!((stats.tx_packets.get(), stats.errors.get()), (2, 3));
        close(&mut bench, port, pool);
    });
}

#[test]
fn two_devices_of_two_queues_forward_to_each_other_and_lose_no_frame() {
    in_namespace(|| {
        veth("a", "left", 2);
        veth("c", "right", 2);
        let mut bench = Bench::new(1024);
        let mut a = bench.open("a", COPY).unwrap();
        let mut c = bench.open("c", COPY).unwrap();
        assert_eq!((a.queues.len(), c.queues.len()), (2, 2));
        let (arena, mut pool) = (bench.arena(), pool(&mut bench));
        let (left, right) = (RawPort::open("left"), RawPort::open("right"));
        let mut waiting: [Vec<Frame>; 4] = std::array::from_fn(|_| Vec::with_capacity(64));
        let (mut arrived_left, mut arrived_right) = (0, 0);
        let mut step = |pool: &mut FramePool| {
            for queue in 0..2 {
                let (from_a, to_c) = (a.queues[queue].as_mut(), c.queues[queue].as_mut());
                forward(&arena, from_a, to_c, &mut waiting[queue], pool);
                let (from_c, to_a) = (c.queues[queue].as_mut(), a.queues[queue].as_mut());
                forward(&arena, from_c, to_a, &mut waiting[2 + queue], pool);
            }
            while left.receive().is_some_and(|frame| check_flow(&frame)) {
                arrived_left += 1;
            }
            while right.receive().is_some_and(|frame| check_flow(&frame)) {
                arrived_right += 1;
            }
            (arrived_left, arrived_right)
        };
        for round in 0..200u16 {
            for flow in 0..16u16 {
                assert!(left.send(&flow_frame(round, flow)) && right.send(&flow_frame(round, flow)));
            }
            wait_until("the round has arrived", || {
                step(&mut pool) == (16 * (usize::from(round) + 1), 16 * (usize::from(round) + 1))
            });
        }
        for port in [&a, &c] {
            let received: Vec<u64> = port.queues.iter().map(|queue| queue.stats().rx_packets.get()).collect();
            assert_eq!(received.iter().sum::<u64>(), 3200);
            assert!(received.iter().all(|count| *count > 0), "flows on both queues: {received:?}");
            assert_eq!(port.program.counters().unwrap().redirected, 3200);
        }
        assert!(waiting.iter().all(Vec::is_empty));
        bench.reclaim(pool);
        bench.frames.extend(a.close());
        bench.frames.extend(c.close());
        bench.assert_complete();
    });
}

fn check_flow(frame: &[u8]) -> bool {
    assert_eq!(frame.len(), 60);
    assert_eq!(frame[44..60], [0xa5; 16]);
    true
}

#[test]
fn transmission_that_is_stuck_does_not_starve_reception_and_loses_nothing() {
    in_namespace(|| {
        veth("a", "left", 1);
        veth("c", "right", 1);
        let mut bench = Bench::new(1024);
        let mut a = bench.open("a", COPY).unwrap();
        let mut c = bench.open("c", COPY).unwrap();
        let (arena, mut pool) = (bench.arena(), pool(&mut bench));
        let (left, right) = (RawPort::open("left"), RawPort::open("right"));
        let mut waiting = Vec::with_capacity(1024);
        let mut received = 0;
        // Nobody takes completions off `c`: its completion ring fills, then its transmit ring; the kernel says EAGAIN.
        for round in 0..20 {
            for flow in 0..16 {
                assert!(left.send(&flow_frame(round, flow)));
            }
            wait_until("the round is received", || {
                let mut batch = ze_graph::Batch::new();
                received += a.queues[0].receive(&arena, &mut batch);
                batch.drain(|frame| waiting.push(frame));
                c.queues[0].transmit(&arena, &mut waiting);
                c.queues[0].wake();
                a.queues[0].refill(&mut pool, 0);
                received == 16 * (usize::from(round) + 1)
            });
        }
        let stats = c.queues[0].stats();
        assert!(stats.tx_ring_full.get() > 0 && stats.errors.get() == 0);
        assert_eq!(waiting.len(), 320 - 128, "both rings of 64 are full, the rest waits");
        assert_eq!(a.queues[0].stats().fill_level.get(), 64, "reception is as ready as ever");
        assert_eq!(c.monitors[0].health(), Health::Up);
        assert!(
            c.queues[0].is_waiting() && !a.queues[0].is_waiting(),
            "only what is stuck wants another look"
        );
        let wakes = stats.tx_wakes.get();
        c.queues[0].wake();
        assert!(stats.tx_wakes.get() - wakes <= 2, "a wake-up without progress is not repeated");
        // Now they are taken, and everything arrives.
        let mut arrived = 0;
        wait_until("everything has arrived", || {
            c.queues[0].complete(&mut pool);
            c.queues[0].transmit(&arena, &mut waiting);
            c.queues[0].wake();
            arrived += std::iter::from_fn(|| right.receive()).count();
            arrived == 320
        });
        assert!(!c.queues[0].is_waiting());
        bench.reclaim(pool);
        bench.frames.extend(a.close());
        bench.frames.extend(c.close());
        bench.assert_complete();
    });
}

#[test]
fn an_empty_pool_starves_the_fill_ring_and_the_kernel_says_so() {
    in_namespace(|| {
        veth("a", "b", 1);
        let mut bench = Bench::new(64);
        let mut port = bench.open("a", COPY).unwrap();
        let (arena, mut pool) = (bench.arena(), pool(&mut bench));
        let outside = RawPort::open("b");
        (0..100).for_each(|_| assert!(outside.send(&frame(OURS.0, IPV4, 60))));
        wait_until("frames were dropped", || port.monitors[0].statistics().unwrap().rx_dropped > 0);
        let mut batch = ze_graph::Batch::new();
        assert_eq!(port.queues[0].receive(&arena, &mut batch), 64);
        assert!(port.queues[0].is_waiting(), "for frames");
        assert_eq!(port.queues[0].refill(&mut pool, 0), 0);
        assert_eq!(port.queues[0].stats().fill_starved.get(), 1);
        assert!(port.monitors[0].statistics().unwrap().fill_ring_empty > 0);
        batch.drain(|frame| pool.give(frame));
        assert_eq!(port.queues[0].refill(&mut pool, 60), 4, "the reserve stays");
        assert_eq!(port.queues[0].refill(&mut pool, 0), 60);
        assert!(!port.queues[0].is_waiting());
        close(&mut bench, port, pool);
    });
}
