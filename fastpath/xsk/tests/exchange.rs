//! Pages exchanged between veths. Needs root, and Linux 6.3.

mod bench;
#[path = "../../../ebpf-redirect/tests/support/mod.rs"]
mod support;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use bench::{Bench, OURS, forward, pool, receive, spec};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use support::{RawPort, attach_by_netlink, foreign_program, frame, in_namespace, run, veth, wait_until};
use ze_graph::{Frame, FramePool, Port};
use ze_packet::WorkerId;
use ze_redirect::Counters;
use ze_xsk::{BindMode, Lanes, OpenedPort, RedirectTargets, open_port};

/// A busy burst.
const BURST: usize = 64;
/// `WAKE_FRAMES`: what ends a sleep in the middle of a stream.
const WAKE_FRAMES: usize = 128;
/// Slots of a ring.
const SLOTS: usize = 1024;

/// Two ports, with somebody at the other end of each: "left" sends, "right" receives.
struct Lab {
    bench: Bench,
    pool: FramePool,
    a: OpenedPort,
    c: OpenedPort,
    left: RawPort,
    right: RawPort,
    targets: RedirectTargets,
    waiting: Vec<Frame>,
    sent: usize,
    arrived: usize,
}

impl Lab {
    fn new() -> Self {
        Self::with_queues(1)
    }

    /// With so many queues where frames leave, all of them one worker's.
    fn with_queues(queues: u32) -> Self {
        // Sender, worker and soft interrupts have one CPU, as where pages can carry.
        assert!(pin_to(sched_getcpu().unwrap()));
        veth("a", "left", 1);
        veth("c", "right", queues);
        let mut bench = Bench::new(4096);
        let lanes = Arc::new(Lanes::new(1).unwrap());
        let mut open = |device| {
            let mut spec = spec(device);
            (spec.fill_frames, spec.transmit_frames) = (512, 512);
            spec.modes = vec![BindMode::Copy];
            spec.lanes = Some(Arc::clone(&lanes));
            let mut port = open_port(spec, &bench.umem, &mut bench.frames).unwrap();
            assert!(port.report.exchanges);
            port.queues.iter_mut().for_each(|queue| queue.assign(WorkerId(0)));
            port
        };
        let (a, c) = (open("a"), open("c"));
        let pool = pool(&mut bench);
        let (left, right) = (RawPort::open("left"), RawPort::open("right"));
        let targets = RedirectTargets::open().unwrap();
        Self {
            bench,
            pool,
            a,
            c,
            left,
            right,
            targets,
            waiting: Vec::with_capacity(512),
            sent: 0,
            arrived: 0,
        }
    }

    /// With a right end that takes pages: its program lets all pass.
    fn with_taker() -> (Self, OwnedFd) {
        let lab = Self::new();
        let program = lab.take_pages();
        (lab, program)
    }

    fn take_pages(&self) -> OwnedFd {
        let program = foreign_program(c"pass");
        attach_by_netlink(&program, "right", libbpf_sys::XDP_FLAGS_DRV_MODE);
        self.tell();
        program
    }

    fn tell(&self) {
        let targets = self.targets.now().unwrap();
        [&self.a, &self.c].iter().for_each(|port| port.monitors[0].tell_targets(&targets));
    }

    fn send(&mut self, count: usize) {
        for _ in 0..count {
            assert!(self.left.send(&packet(self.sent)));
            self.sent += 1;
        }
    }

    /// One turn of a worker, and what has arrived by then: each packet once, whole, in order.
    fn turn(&mut self) {
        let (a, c) = (self.a.queues[0].as_mut(), self.c.queues[0].as_mut());
        forward(&self.bench.arena(), a, c, &mut self.waiting, &mut self.pool);
        while let Some(frame) = self.right.receive() {
            let number = frame[15..23].try_into().map(u64::from_be_bytes).unwrap();
            assert_eq!((number, frame.len()), (self.arrived as u64, packet(self.arrived).len()));
            assert!(frame == packet(self.arrived), "packet {} has changed", self.arrived);
            self.arrived += 1;
        }
    }

    /// A burst, which carries what the one before has left behind.
    fn stream(&mut self, count: usize) {
        self.send(count);
        self.turn();
        self.turn();
    }

    fn await_all(&mut self) {
        wait_until("all have arrived", || {
            self.turn();
            self.arrived == self.sent
        });
    }

    /// Bursts until both ends exchange pages.
    fn warm_up(&mut self) {
        for _ in 0..6 {
            self.stream(BURST);
        }
        self.await_all();
        assert!(self.exchanged() > 0 && self.carried() > 0);
    }

    fn exchanged(&self) -> u64 {
        self.a.queues[0].stats().rx_exchanged.get()
    }

    fn carried(&self) -> u64 {
        self.c.queues[0].stats().tx_carried.get()
    }

    fn taken_back(&self) -> u64 {
        self.c.queues[0].stats().tx_taken_back.get()
    }

    fn close(mut self) {
        self.bench.reclaim(self.pool);
        self.bench.frames.extend(self.waiting);
        self.bench.frames.extend(self.a.close());
        self.bench.frames.extend(self.c.close());
        self.bench.assert_complete();
    }
}

/// Packets of all lengths, shorter ones than a slot's head too: pages must grow and shrink.
fn packet(number: usize) -> Vec<u8> {
    let len_bytes = 30 + number * 131 % 1470;
    let mut packet = vec![0x08, 0x00, 0x45];
    packet.extend_from_slice(&(number as u64).to_be_bytes());
    frame(OURS.0, &packet, len_bytes)
}

/// Does it show at what a sleeping worker polls?
fn shows(port: &dyn Port) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(port.poll_fd().unwrap(), PollFlags::IN)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 50_000_000 })).unwrap() > 0
}

#[test]
fn pages_carry_what_leaves_and_nothing_is_lost_changed_or_overtaken() {
    in_namespace(|| {
        let (mut lab, _program) = Lab::with_taker();
        for round in 0..60 {
            lab.stream(BURST + round);
        }
        lab.await_all();
        let total = lab.sent as u64;
        assert!(lab.exchanged() > total * 9 / 10, "{} of {total} came by the ring", lab.exchanged());
        assert!(lab.carried() > total / 10, "pages carried {} of {total}", lab.carried());
        // The last wait in vain: nobody sends until they have arrived.
        assert!(lab.taken_back() > 0);
        let (rx, tx) = (lab.a.queues[0].stats(), lab.c.queues[0].stats());
        assert_eq!((rx.rx_packets.get(), tx.tx_packets.get()), (total, total));
        assert_eq!((rx.rx_bytes.get(), rx.errors.get(), tx.errors.get()), (tx.tx_bytes.get(), 0, 0));
        let counted = lab.a.program.counters().unwrap();
        assert_eq!((counted.redirected + counted.exchanged, counted.exchange_full), (total, 0));
        lab.close();
    });
}

#[test]
fn a_stream_that_outruns_its_pages_leaves_in_order_too() {
    in_namespace(|| {
        let (mut lab, _program) = Lab::with_taker();
        lab.warm_up();
        // Turns in the middle of bursts of changing length: pages are too few, too many, too late.
        for round in 0..200 {
            lab.send(1 + round * 37 % 90);
            lab.turn();
            if round % 5 == 0 {
                lab.turn();
            }
        }
        lab.await_all();
        lab.close();
    });
}

#[test]
fn devices_that_take_no_pages_are_sent_to_by_the_socket() {
    in_namespace(|| {
        let mut lab = Lab::new();
        lab.tell();
        (0..10).for_each(|_| lab.stream(BURST));
        lab.await_all();
        assert_eq!((lab.exchanged(), lab.carried()), (0, 0));
        // They begin to, and cease to.
        let program = foreign_program(c"pass");
        attach_by_netlink(&program, "right", libbpf_sys::XDP_FLAGS_DRV_MODE);
        assert!(lab.targets.now().unwrap().contains(&support::ifindex("c")));
        lab.tell();
        lab.warm_up();
        run("ip link set dev right xdpdrv off");
        assert!(!lab.targets.now().unwrap().contains(&support::ifindex("c")));
        lab.tell();
        let carried = lab.carried();
        (0..10).for_each(|_| lab.stream(BURST));
        lab.await_all();
        assert_eq!(lab.carried(), carried);
        lab.close();
    });
}

#[test]
fn changes_of_who_takes_pages_are_told() {
    in_namespace(|| {
        veth("c", "right", 1);
        let targets = RedirectTargets::open().unwrap();
        assert!(targets.now().unwrap().is_empty());
        let told = || {
            let mut fds = [PollFd::new(&targets, PollFlags::IN)];
            poll(&mut fds, Some(&Timespec { tv_sec: 1, tv_nsec: 0 })).unwrap() > 0
        };
        let program = foreign_program(c"pass");
        attach_by_netlink(&program, "right", libbpf_sys::XDP_FLAGS_DRV_MODE);
        assert!(told());
        assert!(targets.now().unwrap().contains(&support::ifindex("c")));
    });
}

#[test]
fn a_sleeping_worker_is_woken_by_one_frame_and_in_a_stream_by_many() {
    in_namespace(|| {
        let (mut lab, _program) = Lab::with_taker();
        lab.warm_up();
        let arena = lab.bench.arena();
        // In the middle of a stream the worker sleeps for a moment; only many wake it earlier.
        let queue = lab.a.queues[0].as_mut();
        queue.prepare_sleep();
        assert!(queue.is_waiting(), "nothing else would end the sleep");
        lab.send(WAKE_FRAMES - 1);
        assert!(!shows(lab.a.queues[0].as_ref()));
        lab.send(1);
        assert!(shows(lab.a.queues[0].as_ref()));
        lab.send(30);
        lab.await_all();
        // Nothing has come since: one is enough.
        let queue = lab.a.queues[0].as_mut();
        queue.prepare_sleep();
        queue.prepare_sleep();
        assert!(!queue.is_waiting());
        lab.send(1);
        assert!(shows(lab.a.queues[0].as_ref()));
        lab.await_all();
        // Quiet times switch it off.
        (0..20).for_each(|_| lab.a.queues[0].prepare_sleep());
        let before = lab.exchanged();
        lab.send(20);
        assert!(shows(lab.a.queues[0].as_ref()));
        lab.await_all();
        assert_eq!(lab.exchanged(), before);
        assert!(receive(lab.a.queues[0].as_mut(), &arena, &mut lab.pool).is_empty());
        lab.close();
    });
}

#[test]
fn a_worker_that_does_not_look_loses_what_does_not_fit_and_it_is_counted() {
    in_namespace(|| {
        let (mut lab, _program) = Lab::with_taker();
        lab.warm_up();
        let before = lab.a.program.counters().unwrap();
        lab.send(SLOTS + 7);
        let after = lab.a.program.counters().unwrap();
        assert_eq!(after.exchanged - before.exchanged, SLOTS as u64);
        assert_eq!(after.exchange_full, 7);
        lab.sent -= 7;
        lab.await_all();
        lab.close();
    });
}

#[test]
fn without_its_socket_the_queue_does_as_it_was_told() {
    in_namespace(|| {
        let (mut lab, _program) = Lab::with_taker();
        lab.warm_up();
        let before = lab.a.program.counters().unwrap();
        // As when the process has died.
        lab.a.program.clear_socket(0).unwrap();
        assert!(lab.left.send(&packet(0)));
        let after = lab.a.program.counters().unwrap();
        assert_eq!(after, Counters { no_socket_dropped: 1, ..before });
        lab.close();
    });
}

#[test]
fn without_pages_on_the_workers_cpu_the_socket_is_better() {
    in_namespace(|| {
        let (mut lab, _program) = Lab::with_taker();
        lab.warm_up();
        // From now on frames come on another CPU than that on which the queue was switched on.
        let was = sched_getcpu().unwrap();
        let Some(other) = (0..std::thread::available_parallelism().map_or(1, usize::from) + was + 1)
            .filter(|cpu| *cpu != was)
            .find(|cpu| pin_to(*cpu))
        else {
            eprintln!("SKIPPED: there is one CPU only");
            return lab.close();
        };
        let (exchanged, carried) = (lab.exchanged(), lab.carried());
        (0..5 * SLOTS / BURST).for_each(|_| lab.stream(BURST));
        lab.await_all();
        let gave_up = lab.exchanged() - exchanged;
        assert!(gave_up > 0 && gave_up < 5 * SLOTS as u64, "{gave_up} frames on CPU {other}");
        // One page may have been on its way.
        assert!(lab.carried() - carried <= BURST as u64);
        lab.close();
    });
}

fn pin_to(cpu: usize) -> bool {
    let mut there = CpuSet::new();
    there.set(cpu).is_ok() && sched_setaffinity(Pid::from_raw(0), &there).is_ok()
}

#[test]
fn what_leaves_by_the_socket_is_gone_before_pages_can_carry_what_is_younger() {
    in_namespace(|| {
        let (mut lab, _program) = Lab::with_taker();
        lab.warm_up();
        let arena = lab.bench.arena();
        // A burst that stays here: its pages are counted upon.
        (0..BURST).for_each(|_| assert!(lab.left.send(&packet(0))));
        while !receive(lab.a.queues[0].as_mut(), &arena, &mut lab.pool).is_empty() {}
        // More than there are pages for.
        let mut queue = vec![];
        for number in lab.sent..lab.sent + 2 * BURST {
            let (mut frame, bytes) = (lab.pool.take().unwrap(), packet(number));
            arena.meta_mut(&mut frame).len = bytes.len() as u16;
            arena.packet_mut(&mut frame).copy_from_slice(&bytes);
            queue.push(frame);
        }
        lab.sent += queue.len();
        assert_eq!(lab.c.queues[0].transmit(&arena, &mut queue), 2 * BURST);
        assert!(lab.c.queues[0].is_waiting(), "some wait for pages");
        // Pages come before the worker has come to wake the socket.
        (0..BURST).for_each(|_| assert!(lab.left.send(&packet(0))));
        let first = lab.right.receive().unwrap();
        assert!(first == packet(lab.arrived), "a younger one has overtaken it");
        lab.arrived += 1;
        while !receive(lab.a.queues[0].as_mut(), &arena, &mut lab.pool).is_empty() {}
        lab.await_all();
        lab.close();
    });
}

#[test]
fn a_second_queue_of_the_port_does_not_overtake_what_waits_for_pages() {
    in_namespace(|| {
        let mut lab = Lab::with_queues(2);
        let _program = lab.take_pages();
        lab.warm_up();
        lab.send(BURST);
        lab.turn();
        let [first, second] = &mut lab.c.queues[..] else { panic!("two queues") };
        assert!(first.is_waiting() && !second.is_waiting());
        let arena = lab.bench.arena();
        let mut frame = lab.pool.take().unwrap();
        let bytes = packet(lab.sent);
        arena.meta_mut(&mut frame).len = bytes.len() as u16;
        arena.packet_mut(&mut frame).copy_from_slice(&bytes);
        lab.sent += 1;
        // With those that the first queue has left for the next time.
        let mut later = std::mem::take(&mut lab.waiting);
        later.push(frame);
        assert_eq!(second.transmit(&arena, &mut later), 0, "the first queue has older ones");
        // Nobody sends: what waits is taken back.
        wait_until("the older ones have left", || {
            lab.c.queues[0].wake();
            lab.c.queues[0].complete(&mut lab.pool);
            let second = &mut lab.c.queues[1];
            let sent = second.transmit(&arena, &mut later);
            second.wake();
            sent > 0 && later.is_empty()
        });
        lab.await_all();
        lab.c.queues[1].complete(&mut lab.pool);
        lab.close();
    });
}

#[test]
fn a_port_that_is_closed_takes_nothing_along_and_leaves_nothing_behind() {
    in_namespace(|| {
        let (mut lab, _program) = Lab::with_taker();
        lab.warm_up();
        // Its frames are in the lane.
        lab.send(BURST);
        lab.turn();
        let held = lab.c.queues[0].held();
        assert!(held > 512, "{held}: nothing waits for pages");
        let carried = lab.carried();
        let stats = lab.c.queues[0].stats();
        lab.c.queues[0].retire();
        assert_eq!(lab.c.queues[0].held(), held, "they are given back at the end");
        let Lab { mut bench, mut pool, mut a, c, left, waiting, sent, .. } = lab;
        bench.frames.extend(waiting);
        bench.frames.extend(c.close());
        // Pages still come by the other port, and find nothing to carry.
        for number in 0..BURST {
            assert!(left.send(&packet(sent + number)));
        }
        let arena = bench.arena();
        let mut count = 0;
        wait_until("they have come", || {
            count += receive(a.queues[0].as_mut(), &arena, &mut pool).len();
            count == BURST
        });
        assert_eq!(stats.tx_carried.get(), carried);
        bench.reclaim(pool);
        bench.frames.extend(a.close());
        bench.assert_complete();
    });
}
