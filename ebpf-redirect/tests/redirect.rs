//! The program on real devices. Needs root.

mod support;

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;

use nix::mount::{MsFlags, mount};
use support::{RawPort, frame, ifindex, in_namespace, run, veth, wait_until};
use ze_redirect::{
    Counters, Error, Link, MACS_MAX, Mode, NoSocket, Options, PROGRAM_NAME, Program, attach, attach_best,
    attached, kernel_btf_present, remove_stale,
};

const OURS: [u8; 6] = [0x02, 0, 0, 0, 0, 1];
const OTHER: [u8; 6] = [0x02, 0, 0, 0, 0, 2];
const BROADCAST: [u8; 6] = [0xff; 6];
/// 802.3 length and the LLC header of IS-IS (ISO 8473).
const LLC: &[u8] = &[0, 46, 0xfe, 0xfe, 3];

fn options() -> Options {
    Options { promiscuous: false, macs: vec![OURS], no_socket: NoSocket::Drop, queues: 1 }
}

/// A program on `a`, and a packet socket on its peer.
fn steered(options: &Options, mode: Mode) -> (Program, Link, RawPort) {
    veth("a", "b", 1);
    let program = Program::load(options).unwrap();
    let link = attach(&program, ifindex("a"), mode).unwrap();
    (program, link, RawPort::open("b"))
}

fn await_counters(program: &Program, wanted: Counters) {
    wait_until(&format!("counters are {wanted:?}"), || program.counters().unwrap() == wanted);
}

#[test]
fn frames_without_a_socket_are_dropped_and_those_for_others_before_that() {
    in_namespace(|| {
        for (mode, device) in [(Mode::Native, "a"), (Mode::Generic, "c")] {
            veth(device, "peer", 1);
            let program = Program::load(&options()).unwrap();
            let _link = attach(&program, ifindex(device), mode).unwrap();
            let (outside, inside) = (RawPort::open("peer"), RawPort::open(device));
            for destination in [OURS, BROADCAST, OTHER, [0x01, 0x80, 0xc2, 0, 0, 0x14]] {
                assert!(outside.send(&frame(destination, LLC, 60)));
            }
            await_counters(&program, Counters { no_socket_dropped: 3, other_mac: 1, ..Default::default() });
            assert_eq!(inside.receive(), None, "nothing gets past the program");
            run(&format!("ip link del dev {device}"));
        }
    });
}

#[test]
fn frames_without_a_socket_pass_whole_if_so_configured_and_from_then_on() {
    in_namespace(|| {
        let (program, _link, outside) = steered(&options(), Mode::Native);
        let inside = RawPort::open("a");
        program.set_no_socket(NoSocket::Pass).unwrap();
        let sent = frame(OURS, LLC, 64);
        assert!(outside.send(&sent));
        let seen = inside.await_frame("the frame has passed", |frame| frame.starts_with(&OURS));
        assert_eq!(seen, sent, "the program changed the frame");
        await_counters(&program, Counters { no_socket_passed: 1, ..Default::default() });
        program.set_no_socket(NoSocket::Drop).unwrap();
        assert!(outside.send(&frame(OURS, LLC, 64)));
        await_counters(
            &program,
            Counters { no_socket_passed: 1, no_socket_dropped: 1, ..Default::default() },
        );
    });
}

#[test]
fn a_promiscuous_port_takes_frames_for_others() {
    in_namespace(|| {
        let (program, _link, outside) = steered(&Options { promiscuous: true, ..options() }, Mode::Native);
        assert!(outside.send(&frame(OTHER, LLC, 60)));
        await_counters(&program, Counters { no_socket_dropped: 1, ..Default::default() });
        // Changing the other setting does not end it.
        program.set_no_socket(NoSocket::Drop).unwrap();
        assert!(outside.send(&frame(OTHER, LLC, 60)));
        await_counters(&program, Counters { no_socket_dropped: 2, ..Default::default() });
    });
}

#[test]
fn addresses_are_replaced_while_the_program_runs() {
    in_namespace(|| {
        let (program, _link, outside) = steered(&options(), Mode::Native);
        program.set_macs(&[OTHER, [0, 0, 0x5e, 0, 1, 7]]).unwrap();
        for destination in [OURS, OTHER, [0, 0, 0x5e, 0, 1, 7]] {
            assert!(outside.send(&frame(destination, LLC, 60)));
        }
        await_counters(&program, Counters { no_socket_dropped: 2, other_mac: 1, ..Default::default() });
        // Without any, not even that of zeros is ours.
        program.set_macs(&[]).unwrap();
        for destination in [OTHER, [0; 6]] {
            assert!(outside.send(&frame(destination, LLC, 60)));
        }
        await_counters(&program, Counters { no_socket_dropped: 2, other_mac: 3, ..Default::default() });
    });
}

#[test]
fn a_port_has_as_many_addresses_as_stated_and_not_one_more() {
    in_namespace(|| {
        let program = Program::load(&options()).unwrap();
        let macs = |first: u32, count: usize| -> Vec<[u8; 6]> {
            let number = |index: usize| (first + index as u32).to_be_bytes();
            (0..count)
                .map(|index| [2, 0, number(index)[0], number(index)[1], number(index)[2], number(index)[3]])
                .collect()
        };
        program.set_macs(&macs(0, MACS_MAX)).unwrap();
        // A whole other set, although both together do not fit.
        program.set_macs(&macs(1 << 20, MACS_MAX)).unwrap();
        let refused = program.set_macs(&macs(0, MACS_MAX + 1)).unwrap_err();
        assert!(matches!(refused, Error::TooManyMacs(count) if count == MACS_MAX + 1));
        assert!(refused.to_string().contains(&MACS_MAX.to_string()));
    });
}

#[test]
fn a_queue_that_the_program_was_not_loaded_for_is_refused() {
    in_namespace(|| {
        let program = Program::load(&Options { queues: 2, ..options() }).unwrap();
        assert_eq!(program.queues(), 2);
        program.clear_socket(1).unwrap();
        let refused = program.clear_socket(2).unwrap_err();
        assert!(matches!(refused, Error::NoSuchQueue { queue: 2, queues: 2 }), "{refused}");
        let no_socket = fs::File::open("/dev/null").unwrap();
        assert!(program.set_socket(0, no_socket.as_fd()).is_err());
    });
}

#[test]
fn a_runt_is_dropped_and_counted() {
    in_namespace(|| {
        // Ethernet devices send no runts. A device without Ethernet headers does: eight bytes of an IPv4 packet.
        let mut tun = support::tun("t");
        run("ip link set dev t up");
        let program = Program::load(&options()).unwrap();
        let _link = attach(&program, ifindex("t"), Mode::Generic).unwrap();
        tun.write_all(&[0x45, 0, 0, 8, 0, 0, 0, 0]).unwrap();
        await_counters(&program, Counters { runt: 1, ..Default::default() });
        // 14 bytes are none, whatever they mean.
        tun.write_all(&[0x45; 14]).unwrap();
        wait_until("a header is enough", || program.counters().unwrap().no_socket_dropped == 1);
    });
}

#[test]
fn a_foreign_program_is_left_alone_and_named() {
    in_namespace(|| {
        veth("a", "b", 1);
        let theirs = support::foreign_program(c"somebody_else");
        support::attach_by_netlink(&theirs, "a", libbpf_sys::XDP_FLAGS_DRV_MODE);
        let there = attached(ifindex("a")).unwrap().unwrap();
        assert_eq!((there.name.as_str(), there.ours, there.via_link), ("somebody_else", false, false));
        let program = Program::load(&options()).unwrap();
        for refused in [
            attach_best(&program, ifindex("a"), true).map(drop).unwrap_err(),
            remove_stale(ifindex("a")).map(drop).unwrap_err(),
        ] {
            assert!(matches!(refused, Error::Foreign { .. }), "{refused}");
            let text = refused.to_string();
            assert!(text.contains("somebody_else") && text.contains(&there.id.to_string()), "{text}");
        }
        assert_eq!(attached(ifindex("a")).unwrap(), Some(there));
    });
}

#[test]
fn what_an_earlier_life_left_is_removed() {
    in_namespace(|| {
        veth("a", "b", 1);
        assert_eq!(remove_stale(ifindex("a")).unwrap(), None);
        for (flags, mode) in
            [(libbpf_sys::XDP_FLAGS_DRV_MODE, Mode::Native), (libbpf_sys::XDP_FLAGS_SKB_MODE, Mode::Generic)]
        {
            let earlier = Program::load(&options()).unwrap();
            support::attach_by_netlink(&earlier.as_fd(), "a", flags);
            drop(earlier);
            let removed = remove_stale(ifindex("a")).unwrap().unwrap();
            assert_eq!((removed.name.as_str(), removed.ours, removed.mode), (PROGRAM_NAME, true, mode));
            assert_eq!(attached(ifindex("a")).unwrap(), None);
        }
    });
}

#[test]
fn a_pinned_link_of_ours_is_stale_and_one_in_use_is_not() {
    in_namespace(|| {
        // In this thread's mount namespace only: it goes with the thread.
        mount(Some("bpf"), "/sys/fs/bpf", Some("bpf"), MsFlags::empty(), None::<&str>).unwrap();
        let (_program, link, _outside) = steered(&options(), Mode::Native);
        let in_use = remove_stale(ifindex("a")).unwrap_err();
        assert!(matches!(in_use, Error::InUse { pid, .. } if pid == std::process::id()), "{in_use}");
        support::pin(&link.into_owned_fd(), c"/sys/fs/bpf/ze-redirect-link");
        assert!(remove_stale(ifindex("a")).unwrap().unwrap().via_link);
        assert_eq!(attached(ifindex("a")).unwrap(), None);
    });
}

#[test]
fn the_best_mode_is_native_and_generic_only_where_it_is_allowed() {
    in_namespace(|| {
        veth("a", "b", 1);
        let program = Program::load(&options()).unwrap();
        let best = attach_best(&program, ifindex("a"), true).unwrap();
        assert_eq!(best.mode, Mode::Native);
        assert!(best.native_refused.is_none());
        assert_eq!(best.link.ifindex().unwrap(), ifindex("a"));
        drop(best);
        wait_until("the link took the program along", || attached(ifindex("a")).unwrap().is_none());
        // The loopback device has no native mode.
        let refused = attach_best(&program, ifindex("lo"), false).unwrap_err();
        assert!(matches!(refused, Error::Attach { mode: Mode::Native, .. }), "{refused}");
        let generic = attach_best(&program, ifindex("lo"), true).unwrap();
        assert_eq!(generic.mode, Mode::Generic);
        assert!(generic.native_refused.unwrap().to_string().contains("native"));
    });
}

#[test]
fn too_few_queues_are_explained() {
    in_namespace(|| {
        run(
            "ip link add name a numtxqueues 1 numrxqueues 1 type veth peer name b numtxqueues 2 numrxqueues 2",
        );
        run("ip link set dev a up");
        run("ip link set dev b up");
        let program = Program::load(&options()).unwrap();
        let refused = attach(&program, ifindex("a"), Mode::Native).unwrap_err().to_string();
        assert!(refused.contains("fewer receive queues"), "{refused}");
    });
}

#[test]
fn a_kept_link_stays_closed_and_takes_a_new_program_without_a_gap() {
    in_namespace(|| {
        let (program, link, outside) = steered(&options(), Mode::Native);
        let inside = RawPort::open("a");
        let kept = link.as_fd().try_clone_to_owned().unwrap();
        drop(link);
        // The daemon is gone; somebody keeps the link.
        assert!(outside.send(&frame(OURS, LLC, 60)));
        await_counters(&program, Counters { no_socket_dropped: 1, ..Default::default() });
        assert_eq!(inside.receive(), None);
        let successor = Program::load(&options()).unwrap();
        let link = Link::adopt(kept).unwrap();
        assert_eq!(link.ifindex().unwrap(), ifindex("a"));
        link.update(&successor).unwrap();
        assert!(outside.send(&frame(OURS, LLC, 60)));
        await_counters(&successor, Counters { no_socket_dropped: 1, ..Default::default() });
        assert_eq!(program.counters().unwrap().no_socket_dropped, 1, "the first program runs no more");
        let held_elsewhere = link.as_fd().try_clone_to_owned().unwrap();
        link.detach().unwrap();
        assert_eq!(attached(ifindex("a")).unwrap(), None, "whoever else holds the link");
        drop(held_elsewhere);
    });
}

#[test]
fn a_link_whose_device_is_gone_is_defunct_and_other_descriptors_are_no_links() {
    in_namespace(|| {
        let (program, link, _outside) = steered(&options(), Mode::Native);
        run("ip link del dev a");
        assert!(matches!(link.ifindex(), Err(Error::Defunct)));
        assert!(matches!(link.update(&program), Err(Error::Defunct)));
        assert!(matches!(Link::adopt(link.into_owned_fd()), Err(Error::Defunct)));
        let file = fs::File::open("/dev/null").unwrap();
        assert!(matches!(Link::adopt(file.into()), Err(Error::NotALink(_))));
    });
}

#[test]
fn no_kernel_btf_is_needed() {
    in_namespace(|| {
        if kernel_btf_present() {
            // In this thread's mount namespace only.
            mount(Some("none"), "/sys/kernel/btf", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        }
        assert!(!kernel_btf_present());
        let (program, _link, outside) = steered(&options(), Mode::Native);
        assert!(outside.send(&frame(OURS, LLC, 60)));
        await_counters(&program, Counters { no_socket_dropped: 1, ..Default::default() });
    });
}
