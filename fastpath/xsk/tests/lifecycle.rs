//! How ports come and go. Needs root.

mod bench;
#[path = "../../../ebpf-redirect/tests/support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use bench::{Bench, OURS, close, flow_frame, pool, receive, spec};
use support::{RawPort, frame, ifindex, in_namespace, run, veth, wait_until};
use ze_graph::Port;
use ze_redirect::{Counters, Link, Mode, attached};
use ze_xsk::{BindMode, Error, Health, MTU_MAX, Offload, OpenedPort, Step, open_port};

const COPY: &[BindMode] = &[BindMode::Copy];
const ALL: &[BindMode] = &[BindMode::ZeroCopy, BindMode::Copy, BindMode::Generic];
const IPV4: &[u8] = &[0x08, 0x00, 0x45];

#[test]
fn a_closed_port_can_be_opened_again_at_once() {
    in_namespace(|| {
        veth("a", "b", 2);
        let mut bench = Bench::new(256);
        let outside = RawPort::open("b");
        for round in 0..5 {
            let mut port = bench.open("a", COPY).unwrap();
            let (arena, mut pool) = (bench.arena(), pool(&mut bench));
            assert!(outside.send(&flow_frame(round, 0)));
            wait_until("a frame has come", || {
                port.queues.iter_mut().any(|queue| !receive(queue.as_mut(), &arena, &mut pool).is_empty())
            });
            close(&mut bench, port, pool);
        }
    });
}

#[test]
fn a_queue_that_is_taken_is_named_and_nothing_is_lost() {
    in_namespace(|| {
        veth("a", "b", 2);
        let mut bench = Bench::new(512);
        let mut first = spec("a");
        first.queues = Some(vec![1]);
        let port = open_port(first, &bench.umem, &mut bench.frames).unwrap();
        // Program and link are out of the way, the socket stays.
        drop(port.link);
        let free = bench.frames.len();
        let refused = bench.open("a", ALL).map(drop).unwrap_err();
        let Error::Queue { queue: 1, step: Step::Bind | Step::BindShared, .. } = refused else {
            panic!("{refused}")
        };
        let text = refused.to_string();
        assert!(text.contains("device a, queue 1") && text.contains("another socket"), "{text}");
        assert_eq!(bench.frames.len(), free);
        bench.frames.extend(port.queues.into_iter().flat_map(Port::close));
        bench.assert_complete();
        // Queue 0, which was bound in the attempt, is free again too.
        let port = bench.open("a", COPY).unwrap();
        bench.frames.extend(port.close());
        bench.assert_complete();
    });
}

#[test]
fn the_arena_outlives_the_port_that_registered_it() {
    in_namespace(|| {
        for (device, peer) in [("a", "left"), ("c", "right"), ("e", "other")] {
            veth(device, peer, 1);
        }
        let mut bench = Bench::new(512);
        let a = bench.open("a", COPY).unwrap();
        let c = bench.open("c", COPY).unwrap();
        // The first goes; the next binds with the memory of the second; then none is left, and it is registered anew.
        bench.frames.extend(a.close());
        let e = bench.open("e", COPY).unwrap();
        bench.frames.extend(c.close());
        bench.frames.extend(e.close());
        bench.assert_complete();
        let mut a = bench.open("a", COPY).unwrap();
        let (arena, mut pool) = (bench.arena(), pool(&mut bench));
        assert!(RawPort::open("left").send(&frame(OURS.0, IPV4, 60)));
        wait_until("a frame has come", || !receive(a.queues[0].as_mut(), &arena, &mut pool).is_empty());
        close(&mut bench, a, pool);
    });
}

#[test]
fn a_deleted_device_is_told_and_neither_hangs_nor_keeps_frames() {
    in_namespace(|| {
        veth("a", "left", 1);
        veth("c", "right", 1);
        let mut bench = Bench::new(512);
        let mut a = bench.open("a", COPY).unwrap();
        let c = bench.open("c", COPY).unwrap();
        let (arena, mut pool) = (bench.arena(), pool(&mut bench));
        run("ip link del dev a");
        assert_eq!(a.monitors[0].health(), Health::Gone);
        assert_eq!(c.monitors[0].health(), Health::Up);
        let mut token = pool.take().unwrap();
        arena.meta_mut(&mut token).len = 60;
        let mut queue = vec![token];
        assert_eq!(a.queues[0].transmit(&arena, &mut queue), 1);
        a.queues[0].wake();
        assert_eq!(a.queues[0].stats().errors.get(), 1);
        assert!(a.self_test().unwrap_err().to_string().contains("gone"));
        assert!(receive(a.queues[0].as_mut(), &arena, &mut pool).is_empty());
        assert_eq!(a.queues[0].held(), 65);
        // A new device finds a live socket to share with, not the dead one.
        veth("a", "left", 1);
        bench.reclaim(pool);
        let again = bench.open("a", COPY).unwrap();
        for port in [a, c, again] {
            bench.frames.extend(port.close());
        }
        bench.assert_complete();
    });
}

#[test]
fn a_dead_registration_is_not_shared() {
    in_namespace(|| {
        veth("a", "left", 1);
        veth("c", "right", 1);
        let mut bench = Bench::new(512);
        let a = bench.open("a", COPY).unwrap();
        run("ip link del dev a");
        // The only socket there is belongs to no device any more.
        let c = bench.open("c", COPY).unwrap();
        c.self_test().unwrap();
        bench.frames.extend(a.close());
        bench.frames.extend(c.close());
        bench.assert_complete();
    });
}

#[test]
fn a_device_that_is_down_is_told_and_recovers() {
    in_namespace(|| {
        veth("a", "b", 1);
        let mut bench = Bench::new(128);
        let port = bench.open("a", COPY).unwrap();
        run("ip link set dev a down");
        assert_eq!(port.monitors[0].health(), Health::Down);
        assert!(port.self_test().unwrap_err().to_string().contains("down"));
        run("ip link set dev a up");
        assert_eq!(port.monitors[0].health(), Health::Up);
        port.self_test().unwrap();
        bench.frames.extend(port.close());
        bench.assert_complete();
    });
}

#[test]
fn frames_that_would_not_fit_a_chunk_are_refused_before_anything_is_touched() {
    in_namespace(|| {
        veth("a", "b", 1);
        let mut bench = Bench::new(128);
        for (mtu, fits) in [(9000, false), (MTU_MAX + 1, false), (MTU_MAX, true)] {
            run(&format!("ip link set dev a mtu {mtu}"));
            match bench.open("a", COPY) {
                Ok(port) => {
                    assert!(fits, "MTU {mtu}");
                    bench.frames.extend(port.close());
                }
                Err(why) => {
                    assert!(!fits, "{why}");
                    let text = why.to_string();
                    assert!(
                        text.contains("device a has MTU") && text.contains("Set the MTU to 1770"),
                        "{text}"
                    );
                    assert_eq!(attached(ifindex("a")).unwrap(), None);
                }
            }
            bench.assert_complete();
        }
    });
}

type Change = &'static dyn Fn(&mut ze_xsk::PortSpec);

#[test]
fn settings_that_make_no_sense_are_refused_with_the_reason() {
    in_namespace(|| {
        veth("a", "b", 2);
        let mut bench = Bench::new(100);
        let refuse = |bench: &mut Bench, change: Change| {
            let mut spec = spec("a");
            change(&mut spec);
            let why = open_port(spec, &bench.umem, &mut bench.frames).map(drop).unwrap_err();
            bench.assert_complete();
            why.to_string()
        };
        let cases: [(Change, &str); 6] = [
            (&|_| (), "needs 128 frames for the fill rings of 2 queues, and 100 are free"),
            (&|spec| spec.queues = Some(vec![0, 2]), "no queue 2; it has 2"),
            (&|spec| spec.queues = Some(vec![]), "the number of queues must be 1 or more"),
            (&|spec| spec.fill_frames = 0, "must be 1 to 32768, not 0"),
            (&|spec| spec.transmit_frames = 32769, "must be 1 to 32768, not 32769"),
            (&|spec| (spec.queues, spec.modes) = (Some(vec![0]), vec![BindMode::ZeroCopy]), "zero copy: "),
        ];
        for (change, wanted) in cases {
            let text = refuse(&mut bench, change);
            assert!(text.contains(wanted), "{text}");
        }
        assert!(ze_xsk::Device::by_name("nowhere").unwrap_err().to_string().contains("'nowhere'"));
        assert!(ze_xsk::Device::by_index(4711).unwrap_err().to_string().contains("4711"));
    });
}

#[test]
fn the_report_says_what_became_of_the_port_and_why() {
    in_namespace(|| {
        veth("a", "b", 2);
        let mut bench = Bench::new(256);
        let port = bench.open("a", ALL).unwrap();
        let report = &port.report;
        assert_eq!((report.mode, report.xdp_mode), (BindMode::Copy, Mode::Native));
        assert_eq!((report.driver.as_str(), report.device_queues, report.queues.len()), ("veth", 2, 2));
        assert!(report.queues.iter().all(|queue| !queue.zero_copy));
        assert_eq!(report.fallbacks.len(), 1);
        let text = report.to_string();
        assert!(text.contains("2 of 2 queues, copy behind native XDP"), "{text}");
        assert!(text.contains("not zero copy: ") && text.contains("no zero copy"), "{text}");
        bench.frames.extend(port.close());
        // The loopback device has neither queues to count nor native mode.
        run("ip link set dev lo mtu 1500");
        run("ip link set dev lo up");
        let lo = bench.open("lo", ALL).unwrap();
        assert_eq!((lo.report.mode, lo.report.xdp_mode), (BindMode::Generic, Mode::Generic));
        assert_eq!((lo.report.fallbacks.len(), lo.queues.len()), (2, 1));
        bench.frames.extend(lo.close());
        bench.assert_complete();
    });
}

#[test]
fn what_was_changed_on_the_device_is_put_back() {
    in_namespace(|| {
        veth("a", "b", 1);
        run("ethtool -K a gro on");
        let features = || run("ethtool -k a");
        let qdisc = || run("tc qdisc show dev a root");
        let before = (features(), qdisc());
        assert!(before.0.contains("generic-receive-offload: on") && before.1.contains("noqueue"));
        let mut bench = Bench::new(128);
        let port = bench.open("a", COPY).unwrap();
        assert!(features().contains("generic-receive-offload: off"));
        assert!(qdisc().contains("pfifo_fast"), "{}", qdisc());
        assert!(port.report.back_pressure);
        assert!(port.report.to_string().contains("gro off"));
        bench.frames.extend(port.close());
        assert_eq!((features(), qdisc()), before);
        // What the operator chose stays, and what was off stays off.
        run("tc qdisc replace dev a root pfifo limit 7");
        run("ethtool -K a gro off");
        let port = bench.open("a", COPY).unwrap();
        assert!(!port.report.back_pressure && !port.report.offloads_off.contains(&Offload::Gro));
        bench.frames.extend(port.close());
        assert!(qdisc().contains("pfifo") && features().contains("generic-receive-offload: off"));
    });
}

#[test]
fn a_port_that_fails_to_open_leaves_the_device_as_it_was() {
    in_namespace(|| {
        veth("a", "b", 1);
        run("ethtool -K a gro on");
        let mut bench = Bench::new(128);
        assert!(bench.open("a", &[BindMode::ZeroCopy]).is_err());
        assert_eq!(attached(ifindex("a")).unwrap(), None);
        assert!(run("ethtool -k a").contains("generic-receive-offload: on"));
        assert!(run("tc qdisc show dev a root").contains("noqueue"));
    });
}

#[test]
fn a_foreign_program_on_the_port_is_an_error_that_names_it() {
    in_namespace(|| {
        veth("a", "b", 1);
        let theirs = support::foreign_program(c"somebody_else");
        support::attach_by_netlink(&theirs, "a", libbpf_sys::XDP_FLAGS_DRV_MODE);
        let mut bench = Bench::new(128);
        let why = bench.open("a", ALL).map(drop).unwrap_err().to_string();
        assert!(why.contains("device a") && why.contains("somebody_else"), "{why}");
        bench.assert_complete();
    });
}

#[test]
fn while_the_daemon_is_away_frames_are_dropped_and_its_successor_takes_over() {
    in_namespace(|| {
        veth("a", "b", 1);
        let (inside, outside) = (RawPort::open("a"), RawPort::open("b"));
        let mut bench = Bench::new(256);
        let port = bench.open("a", COPY).unwrap();
        // A supervisor keeps a duplicate of the link; everything else of the daemon goes.
        let kept = port.link.as_fd().try_clone_to_owned().unwrap();
        let OpenedPort { queues, link, program, prepared, .. } = port;
        drop((link, prepared));
        bench.frames.extend(queues.into_iter().flat_map(Port::close));
        // Other tests fork meanwhile, and a child holds the socket until its exec: not the first frame may be dropped.
        wait_until("a frame is dropped", || {
            assert!(outside.send(&frame(OURS.0, IPV4, 60)));
            program.counters().unwrap().no_socket_dropped > 0
        });
        assert_eq!(inside.receive(), None, "closed");
        let before = program.counters().unwrap().redirected;
        let mut spec = spec("a");
        spec.link = Some(Link::adopt(kept).unwrap());
        let mut port = open_port(spec, &bench.umem, &mut bench.frames).unwrap();
        let (arena, mut pool) = (bench.arena(), pool(&mut bench));
        assert!(outside.send(&frame(OURS.0, IPV4, 60)));
        wait_until("a frame has come", || !receive(port.queues[0].as_mut(), &arena, &mut pool).is_empty());
        assert_eq!(port.program.counters().unwrap(), Counters { redirected: 1, ..Default::default() });
        assert_eq!(program.counters().unwrap().redirected, before, "the old program runs no more");
        close(&mut bench, port, pool);
        assert_eq!(attached(ifindex("a")).unwrap(), None);
    });
}

const CHILD: &str = "ZE_XSK_TEST_CHILD";

/// Not a test by itself: the daemon that the next test kills.
#[test]
fn opens_a_port_and_waits_to_be_killed() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let mut bench = Bench::new(128);
    let _port = bench.open("a", COPY).unwrap();
    println!("\nopen");
    loop {
        std::thread::park();
    }
}

#[test]
fn nothing_stays_behind_when_the_daemon_is_killed() {
    in_namespace(|| {
        veth("a", "b", 1);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "opens_a_port_and_waits_to_be_killed", "--nocapture"])
            .env(CHILD, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(said.into_iter().any(|line| line == "open"), "the child has opened its port");
        assert!(attached(ifindex("a")).unwrap().is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        wait_until("the program is gone", || attached(ifindex("a")).unwrap().is_none());
        let mut bench = Bench::new(128);
        let port = bench.open("a", COPY).unwrap();
        bench.frames.extend(port.close());
        bench.assert_complete();
    });
}
