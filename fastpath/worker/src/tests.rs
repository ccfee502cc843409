//! Workers over in-memory ports: what goes in comes out, and no frame is lost, whatever happens.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ze_fib::writer::{Fib, InterfaceSpec};
use ze_fib::{Limits, PortKind};
use ze_graph::{Arena, Batch, DropReason, Frame, FramePool, Port, QueueStats, TraceRequest, clock};
use ze_packet::{InterfaceId, MacAddr, PortId, ipv4};
use ze_sync::Domain;
use ze_xsk::{MemoryPort, MemoryWire};

use crate::{Command, IdleMode, Reply, Setup, StartError, TX_QUEUE_MAX, WorkerHandle, spawn, stepped};

const FRAMES: u32 = 8192;
/// The port of every stub.
const STUB: PortId = PortId(15);
const HOST_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x99]);

/// What is the same for all graphs of these tests.
fn config(
    worker: ze_packet::WorkerId,
    workers: u8,
    control: rtrb::Producer<ze_graph::Message>,
) -> ze_nodes::Config {
    ze_nodes::Config {
        worker,
        workers,
        hash_seed: 1,
        hertz: clock::hertz(),
        icmp: ze_nodes::IcmpLimits::default(),
        punt: ze_nodes::PuntRates::default(),
        control,
    }
}

fn own_mac(port: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, port])
}

/// A router with two ports, 10.0.0.1/24 and 10.1.0.1/24, and a known host 10.N.0.2 on each.
struct Router {
    workers: Vec<WorkerHandle>,
    wires: Vec<MemoryWire>,
    ports: Vec<PortId>,
    _fib: Fib,
}

impl Router {
    /// `homes` says which worker polls each port.
    fn new(workers: usize, homes: [usize; 2], idle: IdleMode) -> Self {
        let (arena, frames) = Arena::allocate(FRAMES, false).unwrap();
        let domain = Domain::new();
        let mut fib = Fib::new(
            &domain,
            Limits { nexthops: 1024, groups: 16, vrfs: 4, ports: 16, interfaces: 16, table_bytes: 1 << 24 },
        );
        let available = core_affinity::get_core_ids().unwrap();
        let cores = available.iter().map(|core| core.id).cycle().take(workers).collect();
        let mut spawned = spawn(Setup {
            cores,
            idle,
            arena: Arc::new(arena),
            frames,
            tables: fib.tables(),
            graph: Box::new(move |worker, control| {
                ze_nodes::Graph::new(config(worker, workers as u8, control))
            }),
        })
        .unwrap()
        .workers;
        let (mut wires, mut ports) = (Vec::new(), Vec::new());
        for (number, home) in homes.into_iter().enumerate() {
            let number = number as u8;
            let port = fib.create_port(PortKind::Network).unwrap();
            interface(&mut fib, port, number);
            let (memory, wire) = MemoryPort::new(port, 512, 512);
            for (at, worker) in spawned.iter_mut().enumerate() {
                let home_id = ze_packet::WorkerId(home as u8);
                if at != home {
                    worker.send(Command::RemotePort(port, home_id));
                }
            }
            spawned[home].send(Command::add_port(Box::new(memory), PortKind::Network));
            wires.push(wire);
            ports.push(port);
        }
        Self { workers: spawned, wires, ports, _fib: fib }
    }

    fn sum(&self, of: impl Fn(&ze_graph::WorkerCounters) -> u64) -> u64 {
        self.workers.iter().map(|worker| of(&worker.counters)).sum()
    }

    /// Waits until the law holds over all workers with nothing on its way, and says what was received and sent.
    fn settle(&self, received: u64) -> (u64, u64) {
        wait("every packet to be received", || self.sum(|c| c.law.rx.get()) == received);
        let idle_rounds = |worker: &WorkerHandle| worker.counters.rounds.idle_rounds.get();
        let before: Vec<_> = self.workers.iter().map(idle_rounds).collect();
        wait("every packet to be accounted for", || {
            // While workers are at it, counters that are read one after the other may agree by chance. After its second
            // round without work, a worker has written down what the first left.
            let rested = |(worker, before): (&WorkerHandle, &u64)| {
                worker.bell.ring();
                idle_rounds(worker) >= before + 2
            };
            let sides = |c: &ze_graph::WorkerCounters| c.law.sides();
            let rested = self.workers.iter().zip(&before).all(rested);
            rested && self.sum(|c| sides(c).0) == self.sum(|c| sides(c).1)
        });
        (self.sum(|c| c.law.rx.get()), self.sum(|c| c.law.tx.get()))
    }

    /// How long it takes the workers to fall asleep eight times.
    fn eight_sleeps(&self) -> Duration {
        let began = Instant::now();
        let before = self.sum(|c| c.rounds.sleeps.get());
        wait("eight sleeps", || self.sum(|c| c.rounds.sleeps.get()) >= before + 8);
        began.elapsed()
    }

    fn drops(&self, reason: DropReason) -> u64 {
        self.ports.iter().map(|port| self.sum(|c| c.drops(*port, reason))).sum()
    }

    /// Ends the workers and counts the frames that come back with their ports.
    fn stop(mut self) -> usize {
        let mut frames = 0;
        for worker in &mut self.workers {
            worker.send(Command::Stop);
        }
        for worker in &mut self.workers {
            assert!(worker.join(), "{} panicked", worker.id);
            while let Ok(reply) = worker.replies.pop() {
                if let Reply::PortRemoved(port) = reply {
                    frames += port.close().len();
                }
            }
            frames += worker.counters.rounds.pool_free.get() as usize;
        }
        frames
    }
}

fn interface(fib: &mut Fib, port: PortId, number: u8) -> InterfaceId {
    let spec = InterfaceSpec {
        name: format!("port{number}"),
        port,
        vlan: 0,
        tags: vec![],
        mac: own_mac(number),
        mtu: 1500,
        vrf: Fib::DEFAULT_VRF,
        up: true,
        representor: None,
    };
    let id = fib.create_interface(spec).unwrap();
    let ip = |host: u8| IpAddr::from([10, number, 0, host]);
    fib.set_addresses(id, &[(ip(1), 24)]).unwrap();
    fib.neighbor_resolved(id, ip(2), HOST_MAC).unwrap();
    id
}

/// UDP from 10.FROM.0.2 to 10.TO.0.2.
fn packet(from: u8, to: u8) -> Vec<u8> {
    let header = ipv4::Header {
        traffic_class: 0,
        total_len_bytes: 46,
        identification: 0,
        fragment: 0,
        ttl: 64,
        protocol: 17,
        source: [10, from, 0, 2].into(),
        destination: [10, to, 0, 2].into(),
    };
    let mut out = own_mac(from).0.to_vec();
    out.extend(HOST_MAC.0);
    out.extend([8, 0]);
    out.extend(header.to_bytes());
    out.extend([0; 26]);
    out
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "waited 20 s for {what}");
        std::thread::yield_now();
    }
}

fn send(wire: &MemoryWire, packet: &[u8], count: usize) {
    for _ in 0..count {
        wait("room on the wire", || wire.send(packet));
    }
}

#[test]
fn a_worker_forwards_between_its_ports_and_gives_every_frame_back() {
    for idle in [IdleMode::Interrupt, IdleMode::DEFAULT, IdleMode::Busy] {
        let router = Router::new(1, [0, 0], idle);
        send(&router.wires[0], &packet(0, 1), 100);
        assert_eq!(router.settle(100), (100, 100), "{idle}");
        let out = router.wires[1].take();
        assert_eq!(out.len(), 100);
        assert_eq!(out[0][..14], [&HOST_MAC.0[..], &own_mac(1).0, &[8, 0]].concat());
        assert_eq!(out[0][14 + 8], 63, "TTL");
        assert_eq!(router.stop(), FRAMES as usize);
    }
}

#[test]
fn packets_for_another_workers_port_are_handed_over_and_frames_find_their_way_home() {
    let router = Router::new(2, [0, 1], IdleMode::DEFAULT);
    // One direction only, and more packets than one worker has frames: without balance it would run dry.
    let count = FRAMES as usize;
    let (from, to) = (router.wires[0].clone(), router.wires[1].clone());
    let packet = packet(0, 1);
    for _ in 0..count / 64 {
        send(&from, &packet, 64);
        router.workers[0].bell.ring();
        let mut out = 0;
        wait("the other port to send them", || {
            out += to.discard();
            out >= 64
        });
    }
    assert_eq!(router.settle(count as u64), (count as u64, count as u64));
    assert_eq!(router.sum(|c| c.law.handoff_out.get()), count as u64);
    assert_eq!(router.sum(|c| c.law.handoff_in.get()), count as u64);
}

#[test]
fn a_worker_that_sleeps_is_woken_for_what_another_hands_over() {
    let router = Router::new(2, [0, 1], IdleMode::Interrupt);
    let sleeps = |router: &Router| router.workers[1].counters.rounds.sleeps.get();
    let began = Instant::now();
    for sent in 1..=40 {
        let before = sleeps(&router);
        send(&router.wires[0], &packet(0, 1), 1);
        // Nothing else wakes the first worker: its port has no descriptor to poll.
        router.workers[0].bell.ring();
        wait("the other to send it", || router.sum(|c| c.law.tx.get()) == sent);
        wait("it to sleep again", || sleeps(&router) > before);
    }
    // Sleeps of 100 ms would take four seconds.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn a_full_transmit_ring_holds_a_bounded_number_and_drops_the_rest_with_a_reason() {
    let router = Router::new(1, [0, 0], IdleMode::DEFAULT);
    router.wires[1].limit(0);
    router.wires[1].hold_completions(true);
    let count = 512 + TX_QUEUE_MAX + 300;
    send(&router.wires[0], &packet(0, 1), count);
    let (_, sent) = router.settle(count as u64);
    let dropped = router.drops(DropReason::TxRingFull);
    assert!(dropped > 0, "something must give");
    let held = router.sum(|c| c.law.held.get());
    assert!(held <= TX_QUEUE_MAX as u64, "{held} frames held");
    assert_eq!(sent + held + dropped, count as u64);
    // Reception was not starved by it: the other direction still works.
    send(&router.wires[1], &packet(1, 0), 10);
    let mut arrived = 0;
    wait("the other direction", || {
        arrived += router.wires[0].discard();
        arrived == 10
    });
}

#[test]
fn a_worker_with_something_to_send_does_not_sleep_for_long() {
    let router = Router::new(1, [0, 0], IdleMode::Interrupt);
    router.wires[1].limit(0);
    send(&router.wires[0], &packet(0, 1), 10);
    router.workers[0].bell.ring();
    wait("frames that wait for room", || router.sum(|c| c.law.held.get()) == 10);
    assert!(router.eight_sleeps() < Duration::from_millis(400), "sleeps of 100 ms would take 800");
    router.wires[1].limit(64);
    wait("the frames to leave", || router.sum(|c| c.law.tx.get()) == 10);
}

#[test]
fn a_worker_has_room_for_all_frames_that_there_are_those_of_ports_included() {
    let (arena, mut frames) = Arena::allocate(64, false).unwrap();
    let brought = frames.split_off(32);
    let fib = Fib::new(&Domain::new(), Limits::default());
    let (mut worker, mut handle) = stepped(Setup {
        cores: Vec::new(),
        idle: IdleMode::Busy,
        arena: Arc::new(arena),
        frames,
        tables: fib.tables(),
        graph: Box::new(move |worker, control| ze_nodes::Graph::new(config(worker, 1, control))),
    })
    .unwrap();
    handle.send(Command::add_port(Box::new(Stub { brought, ..Stub::default() }), PortKind::Network));
    assert_eq!(worker.turn(1), 32);
    assert_eq!(handle.counters.rounds.pool_free.get(), 64);
}

/// A port that receives and takes nothing, and gives the frames that it brought to the worker.
#[derive(Default)]
struct Stub {
    brought: Vec<Frame>,
    /// Does it say in every round that a frame came back?
    trickles: bool,
    is_waiting: bool,
}

impl Port for Stub {
    fn id(&self) -> PortId {
        STUB
    }

    fn receive(&mut self, _: &Arena, _: &mut Batch) -> usize {
        0
    }

    fn transmit(&mut self, _: &Arena, _: &mut Vec<Frame>) -> usize {
        0
    }

    fn complete(&mut self, pool: &mut FramePool) -> usize {
        let count = self.brought.len();
        self.brought.drain(..).for_each(|frame| pool.give(frame));
        count + usize::from(self.trickles)
    }

    fn refill(&mut self, _: &mut FramePool, _: usize) -> usize {
        0
    }

    fn wake(&mut self) {}

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn is_waiting(&mut self) -> bool {
        self.is_waiting
    }

    fn held(&self) -> usize {
        self.brought.len()
    }

    fn stats(&self) -> Arc<QueueStats> {
        Arc::default()
    }

    fn close(self: Box<Self>) -> Vec<Frame> {
        self.brought
    }
}

#[test]
fn what_comes_back_from_transmission_keeps_no_worker_awake_but_a_lack_of_frames_shortens_its_sleep() {
    let with = |is_waiting| {
        let mut router = Router::new(1, [0, 0], IdleMode::Interrupt);
        let port = Stub { trickles: true, is_waiting, ..Stub::default() };
        router.workers[0].send(Command::add_port(Box::new(port), PortKind::Network));
        router
    };
    assert!(with(false).eight_sleeps() > Duration::from_millis(400), "of 100 ms each, but for the first");
    let router = with(true);
    assert!(router.eight_sleeps() < Duration::from_millis(400), "of 50 µs, 100, 200, …");
    // As long as nothing moves they get longer: the device may be down for days.
    router.eight_sleeps();
    assert!(router.eight_sleeps() > Duration::from_millis(400), "of 100 ms each");
}

#[test]
fn all_queues_of_a_removed_port_come_back_from_a_worker_that_has_several() {
    let mut router = Router::new(1, [0, 0], IdleMode::DEFAULT);
    let port = router.ports[1];
    for _ in 0..3 {
        let (queue, _) = MemoryPort::new(port, 64, 64);
        router.workers[0].send(Command::add_port(Box::new(queue), PortKind::Network));
    }
    // The second queue takes none of the memory of the first, and none of what waits in it.
    router.wires[1].limit(0);
    send(&router.wires[0], &packet(0, 1), 10);
    wait("frames to leave by the others", || router.sum(|c| c.law.tx.get()) == 10);
    router.workers[0].send(Command::RemovePort(port));
    let mut queues = 0;
    wait("all four queues", || {
        while let Ok(reply) = router.workers[0].replies.pop() {
            queues += usize::from(matches!(reply, Reply::PortRemoved(queue) if queue.id() == port));
        }
        queues == 4
    });
}

#[test]
fn no_command_is_lost_and_no_reply_however_many_wait() {
    const PORTS: usize = 900;
    let mut router = Router::new(1, [0, 0], IdleMode::Interrupt);
    for _ in 0..PORTS {
        router.workers[0].send(Command::add_port(Box::new(Stub::default()), PortKind::Network));
    }
    router.workers[0].send(Command::RemovePort(STUB));
    for _ in 0..PORTS {
        router.workers[0].send(Command::GiveFrames(Vec::new()));
    }
    let (mut queues, mut memory) = (0, 0);
    wait("everything to come back", || {
        router.workers[0].send_rest();
        while let Ok(reply) = router.workers[0].replies.pop() {
            match reply {
                Reply::PortRemoved(_) => queues += 1,
                Reply::Memory(_) => memory += 1,
                Reply::TraceEnded(_) | Reply::Stopped => panic!("nobody asked for that"),
            }
        }
        (queues, memory) == (PORTS, PORTS + PORTS)
    });
}

#[test]
fn a_removed_port_comes_back_and_what_would_leave_by_it_is_dropped_with_a_reason() {
    let mut router = Router::new(1, [0, 0], IdleMode::DEFAULT);
    let gone = router.ports[1];
    router.workers[0].send(Command::RemovePort(gone));
    let mut back = None;
    wait("the port to come back", || {
        if let Ok(Reply::PortRemoved(port)) = router.workers[0].replies.pop() {
            back = Some(port);
        }
        back.is_some()
    });
    assert_eq!(back.unwrap().id(), gone);
    send(&router.wires[0], &packet(0, 1), 5);
    router.settle(5);
    assert_eq!(router.drops(DropReason::PortGone), 5);
}

#[test]
fn frames_given_to_a_worker_join_its_pool() {
    let mut router = Router::new(1, [0, 0], IdleMode::Interrupt);
    router.workers[0].send(Command::RemovePort(router.ports[0]));
    let mut frames: Vec<Frame> = Vec::new();
    wait("the port to come back", || {
        if let Ok(Reply::PortRemoved(port)) = router.workers[0].replies.pop() {
            frames = port.close();
        }
        !frames.is_empty()
    });
    router.workers[0].send(Command::GiveFrames(frames));
    assert_eq!(router.stop(), FRAMES as usize);
}

#[test]
fn a_trace_follows_as_many_packets_as_were_asked_for() {
    let mut router = Router::new(1, [0, 0], IdleMode::DEFAULT);
    let (records, mut ring) = rtrb::RingBuffer::new(256);
    let filter = "udp and dst 10.1.0.2".parse().unwrap();
    router.workers[0].send(Command::Trace(TraceRequest { filter, packets: 2, records }));
    send(&router.wires[0], &packet(0, 1), 5);
    router.settle(5);
    let mut seen = Vec::new();
    while let Ok(record) = ring.pop() {
        seen.push(record);
    }
    assert_eq!(seen.iter().map(|r| r.packet).max(), Some(2));
    assert!(seen.iter().filter(|r| r.packet == 1).count() >= 4, "{seen:?}");
    router.workers[0].send(Command::EndTrace);
    wait("the trace to come back", || matches!(router.workers[0].replies.pop(), Ok(Reply::TraceEnded(_))));
}

#[test]
fn a_core_that_is_not_there_is_named() {
    let (arena, frames) = Arena::allocate(16, false).unwrap();
    let fib = Fib::new(&Domain::new(), Limits::default());
    let setup = |cores, frames| Setup {
        cores,
        idle: IdleMode::DEFAULT,
        arena: Arc::new(Arena::allocate(1, false).unwrap().0),
        frames,
        tables: fib.tables(),
        graph: Box::new(|_, _| panic!("no worker may start")),
    };
    drop(arena);
    assert!(matches!(spawn(setup(vec![4095], frames)), Err(StartError::NoSuchCore(4095, _))));
    assert!(matches!(spawn(setup(vec![], vec![])), Err(StartError::Cores(0, _))));
    assert!(matches!(spawn(setup(vec![0; 64], vec![])), Err(StartError::Cores(64, 63))));
}

#[test]
fn a_stepped_worker_does_nothing_between_its_turns_and_lives_at_the_time_it_is_told() {
    const HERTZ: u64 = 1_000;
    let (arena, frames) = Arena::allocate(1024, false).unwrap();
    let limits = Limits { nexthops: 16, groups: 4, vrfs: 4, ports: 4, interfaces: 4, table_bytes: 1 << 24 };
    let mut fib = Fib::new(&Domain::new(), limits);
    let rate = ze_nodes::IcmpLimits { destination_rate_pps: 1, destination_burst: 1, ..Default::default() };
    let (mut worker, mut handle) = stepped(Setup {
        cores: Vec::new(),
        idle: IdleMode::Busy,
        arena: Arc::new(arena),
        frames,
        tables: fib.tables(),
        graph: Box::new(move |worker, control| {
            ze_nodes::Graph::new(ze_nodes::Config { hertz: HERTZ, icmp: rate, ..config(worker, 1, control) })
        }),
    })
    .unwrap();
    let port = fib.create_port(PortKind::Network).unwrap();
    interface(&mut fib, port, 0);
    let (memory, wire) = MemoryPort::new(port, 64, 64);
    handle.send(Command::add_port(Box::new(memory), PortKind::Network));
    worker.turn(HERTZ);
    // Nothing leads there, and its sender, a known host, may be told once a second.
    let mut sent = 0;
    let mut errors_after_turn = |now: u64| {
        assert!(wire.send(&packet(0, 9)));
        sent += 1;
        assert_eq!((handle.counters.law.rx.get(), wire.take().len()), (sent - 1, 0), "before the turn");
        worker.turn(now);
        assert_eq!(handle.counters.law.rx.get(), sent);
        wire.take().len()
    };
    assert_eq!(errors_after_turn(HERTZ), 1);
    assert_eq!(errors_after_turn(HERTZ), 0);
    assert_eq!(errors_after_turn(2 * HERTZ - 1), 0);
    assert_eq!(errors_after_turn(2 * HERTZ), 1);
}
