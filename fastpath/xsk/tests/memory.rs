//! The ports without a kernel.

mod bench;
#[path = "../../../ebpf-redirect/tests/support/mod.rs"]
mod support;

use std::sync::{Arc, Mutex};

use bench::{forward, receive};
use ze_graph::{Arena, Batch, FRAME_BYTES_MAX, Frame, FramePool, Port};
use ze_packet::PortId;
use ze_xsk::{MemoryPort, Template, TemplatePort};

fn pool(chunks: u32) -> (Arena, FramePool) {
    let (arena, frames) = Arena::allocate(chunks, false).unwrap();
    (arena, FramePool::new(frames, chunks as usize))
}

fn numbered(number: u8, len: usize) -> Vec<u8> {
    vec![number; len]
}

#[test]
fn what_is_sent_on_one_wire_arrives_on_the_other() {
    let (arena, mut pool) = pool(64);
    let (mut a, wire_a) = MemoryPort::new(PortId(1), 16, 16);
    let (mut b, wire_b) = MemoryPort::new(PortId(2), 16, 16);
    assert_eq!(a.refill(&mut pool, 0), 16);
    let sent: Vec<Vec<u8>> = (0..10).map(|n| numbered(n, 14 + usize::from(n))).collect();
    assert!(sent.iter().all(|packet| wire_a.send(packet)));
    let mut waiting = vec![];
    assert_eq!(forward(&arena, &mut a, &mut b, &mut waiting, &mut pool), 10);
    assert_eq!(wire_b.take(), sent);
    assert_eq!(pool.len() + a.held() + b.held(), 64);
    assert_eq!((b.stats().tx_packets.get(), a.stats().rx_packets.get()), (10, 10));
    assert_eq!(b.stats().tx_bytes.get(), sent.iter().map(|packet| packet.len() as u64).sum::<u64>());
    let closed = [Box::new(a).close(), Box::new(b).close()].concat_len();
    assert_eq!(pool.len() + closed, 64);
}

trait ConcatLen {
    fn concat_len(&self) -> usize;
}

impl ConcatLen for [Vec<Frame>; 2] {
    fn concat_len(&self) -> usize {
        self.iter().map(Vec::len).sum()
    }
}

#[test]
fn a_slow_wire_pushes_back_in_order() {
    let (arena, mut pool) = pool(64);
    let (mut port, wire) = MemoryPort::new(PortId(1), 32, 8);
    wire.limit(3);
    let mut queue = vec![];
    for number in 0..5u8 {
        let mut token = pool.take().unwrap();
        arena.meta_mut(&mut token).len = 20;
        arena.packet_mut(&mut token).fill(number);
        queue.push(token);
    }
    assert_eq!(port.transmit(&arena, &mut queue), 3);
    assert_eq!((queue.len(), port.stats().tx_ring_full.get()), (2, 1));
    port.wake();
    assert_eq!(port.complete(&mut pool), 3);
    assert_eq!(port.transmit(&arena, &mut queue), 0, "nothing was taken off the wire");
    let mut seen = wire.take();
    assert_eq!(port.transmit(&arena, &mut queue), 2);
    seen.extend(wire.take());
    assert_eq!(seen, (0..5).map(|number| numbered(number, 20)).collect::<Vec<_>>());
}

#[test]
fn a_device_that_does_not_complete_fills_the_transmit_ring() {
    let (arena, mut pool) = pool(16);
    let (mut port, wire) = MemoryPort::new(PortId(1), 4, 4);
    wire.hold_completions(true);
    let mut queue: Vec<Frame> = (0..6).map(|_| pool.take().unwrap()).collect();
    assert_eq!(port.transmit(&arena, &mut queue), 4);
    port.wake();
    assert_eq!(wire.discard(), 4);
    assert_eq!((port.complete(&mut pool), port.transmit(&arena, &mut queue)), (0, 0));
    assert_eq!(port.refill(&mut pool, 0), 4, "reception goes on");
    wire.hold_completions(false);
    port.wake();
    assert_eq!((port.complete(&mut pool), port.transmit(&arena, &mut queue)), (4, 2));
    assert_eq!(wire.wakes(), 2);
}

#[test]
fn packets_wait_on_the_wire_until_there_are_frames() {
    let (arena, mut pool) = pool(4);
    let (mut port, wire) = MemoryPort::new(PortId(3), 8, 8);
    assert!((0..8).all(|number| wire.send(&numbered(number, 60))));
    assert!(!wire.send(&[0; 60]), "the wire is full");
    assert!(!wire.send(&[0; FRAME_BYTES_MAX + 1]), "too long for a chunk");
    assert!(receive(&mut port, &arena, &mut pool).is_empty(), "no frame to receive into, yet");
    assert_eq!(port.stats().fill_starved.get(), 1);
    let seen: Vec<u8> =
        (0..2).flat_map(|_| receive(&mut port, &arena, &mut pool)).map(|packet| packet[0]).collect();
    assert_eq!(seen, (0..8).collect::<Vec<_>>());
    assert_eq!(wire.waiting(), 0);
}

#[test]
fn templates_come_in_turn_and_samples_show_what_was_sent() {
    let (arena, mut pool) = pool(128);
    let long: Vec<u8> = (0..=255).collect();
    let templates = vec![Template::new(&[1; 60]), Template::new(&long)];
    let mut port = TemplatePort::new(PortId(9), templates, 64);
    port.limit(70);
    let samples = Arc::new(Mutex::new(vec![]));
    let sink = Arc::clone(&samples);
    port.sample(10, Box::new(move |packet| sink.lock().unwrap().push(packet.len())));
    let mut queue = Vec::with_capacity(64);
    let mut received = 0;
    loop {
        port.refill(&mut pool, 0);
        let mut batch = Batch::new();
        received += port.receive(&arena, &mut batch);
        if batch.is_empty() {
            break;
        }
        let lens: Vec<usize> = batch.frames().iter().map(|frame| arena.packet(frame).len()).collect();
        assert!(lens.iter().all(|len| [60, 256].contains(len)));
        batch.drain(|frame| {
            assert_eq!(
                arena.packet(&frame)[..60],
                if arena.packet(&frame).len() == 60 { [1; 60] } else { long[..60].try_into().unwrap() }
            );
            queue.push(frame);
        });
        while !queue.is_empty() {
            port.transmit(&arena, &mut queue);
            port.complete(&mut pool);
        }
    }
    assert_eq!((received, port.stats().tx_packets.get()), (70, 70));
    assert_eq!(port.stats().rx_bytes.get(), 35 * (60 + 256));
    assert_eq!(samples.lock().unwrap().len(), 7);
    assert_eq!(pool.len() + Box::new(port).close().len(), 128);
}
