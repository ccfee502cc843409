//! The lab proves itself: real hosts behind the kernel's own router.

#[path = "lab/traffic.rs"]
mod traffic;

use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ze_pktgen::lab::{
    KernelRouter, KernelRouterOptions, Lab, LabError, Namespace, PingOptions, RawPort, TracerouteOptions,
    TransferOptions, UdpEcho, UdpOptions, UdpStream, VethOptions, path_mtu, ping, tcp_transfer, traceroute,
    wait_until,
};
use ze_pktgen::require_lab;

/// The environment variable that turns the test binary into the owner of a lab, to be killed.
const VICTIM: &str = "ZE_LAB_TEST_VICTIM";

/// Two hosts with the kernel's router between them.
struct Network {
    lan: Namespace,
    wan: Namespace,
    router: KernelRouter,
    // Last, so that it is dropped last.
    lab: Lab,
}

impl Network {
    fn new(name: &str, wan_mtu_bytes: u32) -> Result<Self> {
        let lab = Lab::new(name)?;
        let (lan, wan) = (lab.namespace("lan")?, lab.namespace("wan")?);
        let right = VethOptions { mtu_bytes: wan_mtu_bytes, ..VethOptions::default() };
        let options = KernelRouterOptions { right, ..KernelRouterOptions::default() };
        let router = KernelRouter::between(&lab, "router", &lan, &wan, &options)?;
        Ok(Self { lan, wan, router, lab })
    }
}

#[test]
fn hosts_reach_each_other_through_the_kernel_router() -> Result<()> {
    require_lab!();
    let net = Network::new("t-ping", 1500)?;
    for destination in [net.router.right.host_ip4, net.router.right.host_ip6] {
        let report = ping(&net.lan, destination, &PingOptions::default())?;
        ensure!(report.is_clean() && report.received == 5, "{destination}: {report:?}");
        let times = report.round_trip.context("no round-trip times")?;
        ensure!(times.min <= times.average && times.average <= times.max, "{times:?}");
    }
    ensure!(net.router.namespace.kernel_forwarded_packets()? >= 20, "the router's own count");
    ensure!(net.lan.kernel_forwarded_packets()? == 0, "a host forwarded");
    Ok(())
}

#[test]
fn a_ping_that_cannot_arrive_is_reported_and_not_answered() -> Result<()> {
    require_lab!();
    let net = Network::new("t-noping", 1400)?;
    let one_hop = PingOptions { count: 2, ttl: Some(1), ..PingOptions::default() };
    let too_big =
        PingOptions { count: 2, payload_bytes: 1460, dont_fragment: true, ..PingOptions::default() };
    for destination in [net.router.right.host_ip4, net.router.right.host_ip6] {
        let report = ping(&net.lan, destination, &one_hop)?;
        ensure!((report.received, report.error_count) == (0, 2), "{destination}: {report:?}");
        ensure!(report.errors[0].is_time_exceeded(), "{report:?}");
        let report = ping(&net.lan, destination, &PingOptions { payload_bytes: 1440, ..too_big })?;
        ensure!(report.received == 0 && report.errors[0].is_too_big(), "{destination}: {report:?}");
        ensure!(report.errors[0].mtu_bytes == Some(1400), "{destination}: {report:?}");
    }
    Ok(())
}

#[test]
fn traceroute_shows_the_router_and_then_the_destination() -> Result<()> {
    require_lab!();
    let net = Network::new("t-trace", 1500)?;
    let (left, right) = (&net.router.left, &net.router.right);
    for (destination, router) in [(right.host_ip4, left.router_ip4), (right.host_ip6, left.router_ip6)] {
        let hops = traceroute(&net.lan, destination, &TracerouteOptions::default())?;
        let found: Vec<_> = hops.iter().map(|hop| hop.address).collect();
        ensure!(found == [Some(router), Some(destination)], "{hops:?}");
        ensure!(hops[1].report.is_some_and(|report| report.is_port_unreachable()), "{hops:?}");
    }
    Ok(())
}

#[test]
fn a_narrow_second_link_is_found_by_path_mtu_discovery() -> Result<()> {
    require_lab!();
    let net = Network::new("t-pmtu", 1400)?;
    let (left, right) = (&net.router.left, &net.router.right);
    for (destination, router) in [(right.host_ip4, left.router_ip4), (right.host_ip6, left.router_ip6)] {
        // Twice: what was learned the first time is forgotten.
        for _ in 0..2 {
            let report = path_mtu(&net.lan, destination, 1500)?;
            ensure!((report.mtu_bytes, report.confirmed) == (1400, true), "{report:?}");
            ensure!(report.too_big.len() == 1 && report.too_big[0].from == Some(router), "{report:?}");
        }
    }
    let report = path_mtu(&net.wan, left.host_ip4, 1500)?;
    ensure!(report.mtu_bytes == 1400 && report.too_big[0].from.is_none(), "own link: {report:?}");
    Ok(())
}

#[test]
fn a_tcp_transfer_arrives_whole() -> Result<()> {
    require_lab!();
    let net = Network::new("t-tcp", 1500)?;
    let right = &net.router.right;
    for (destination, bytes) in [(right.host_ip4, 200_000_001), (right.host_ip6, 50_000_000)] {
        let options = TransferOptions { bytes, ..TransferOptions::default() };
        let mut told = Vec::new();
        let report = tcp_transfer(&net.lan, &net.wan, destination, &options, |progress| {
            told.push(progress.received_bytes);
            ControlFlow::Continue(())
        })?;
        ensure!(report.bytes == options.bytes && told.last() == Some(&options.bytes), "{report:?}");
        ensure!(told.is_sorted(), "progress went back: {told:?}");
        let counters = net.wan.link_counters("kernel0")?;
        ensure!(counters.rx_bytes > bytes, "the bytes went another way: {counters:?}");
        // No offloads: each frame fits the MTU.
        ensure!(counters.rx_bytes / counters.rx_packets <= 1514, "{counters:?}");
        println!("{destination}: {:.2} Gbit/s, {report:?}", report.bits_per_second / 1e9);
    }
    Ok(())
}

#[test]
fn a_tcp_transfer_that_stops_is_an_error_and_no_hang() -> Result<()> {
    require_lab!();
    let net = Network::new("t-stall", 1500)?;
    let destination = net.router.right.host_ip4;
    let stall_timeout = Duration::from_millis(400);
    let options = TransferOptions { bytes: 1 << 40, stall_timeout, ..TransferOptions::default() };
    let result = tcp_transfer(&net.lan, &net.wan, destination, &options, |progress| {
        if progress.received_bytes > 0 {
            net.router.namespace.set_link_down("right").expect("the link is there");
        }
        ControlFlow::Continue(())
    });
    ensure!(matches!(result, Err(LabError::Stalled { received_bytes: 1.., .. })), "{result:?}");
    net.router.namespace.set_link_up("right")?;
    let result =
        tcp_transfer(&net.wan, &net.lan, net.router.left.host_ip4, &options, |_| ControlFlow::Break(()));
    ensure!(matches!(result, Err(LabError::Interrupted)), "{result:?}");
    Ok(())
}

#[test]
fn a_udp_stream_loses_nothing_on_a_good_path_and_counts_what_a_bad_one_loses() -> Result<()> {
    require_lab!();
    let net = Network::new("t-udp", 1500)?;
    let start = |destination| UdpStream::start(&net.lan, &net.wan, destination, &UdpOptions::default());
    let streams = [start(net.router.right.host_ip4)?, start(net.router.right.host_ip6)?];
    for stream in streams {
        wait_until(Duration::from_secs(10), "500 packets", || stream.counts().received >= 500)?;
        let report = stream.stop();
        ensure!(report.lost == 0 && report.counts.sent >= 500, "{report:?}");
        ensure!(
            report.counts.corrupted + report.counts.duplicates + report.counts.refused == 0,
            "{report:?}"
        );
    }
    let stream = start(net.router.right.host_ip4)?;
    wait_until(Duration::from_secs(10), "the first packets", || stream.counts().received > 100)?;
    net.router.namespace.sysctl("net.ipv4.ip_forward", "0")?;
    let sent = stream.counts().sent;
    wait_until(Duration::from_secs(10), "400 packets into nowhere", || stream.counts().sent > sent + 400)?;
    let report = stream.stop();
    ensure!(report.lost >= 400 && report.counts.longest_gap > Duration::from_millis(150), "{report:?}");
    Ok(())
}

#[test]
fn the_echo_service_answers_both_families() -> Result<()> {
    require_lab!();
    let net = Network::new("t-echo", 1500)?;
    let echo = UdpEcho::start(&net.wan)?;
    let second = Duration::from_secs(1);
    for destination in [net.router.right.host_ip4, net.router.right.host_ip6] {
        ensure!(echo.exchange(&net.lan, destination, b"hello", second)?.is_some(), "{destination}");
    }
    net.router.namespace.sysctl("net.ipv4.ip_forward", "0")?;
    let lost = echo.exchange(&net.lan, net.router.right.host_ip4, b"hello", Duration::from_millis(100))?;
    ensure!(lost.is_none(), "answered without a path");
    Ok(())
}

#[test]
fn raw_frames_arrive_as_they_were_sent() -> Result<()> {
    require_lab!();
    let lab = Lab::new("t-raw")?;
    let (a, b) = (lab.quiet_namespace("a")?, lab.quiet_namespace("b")?);
    let mac = Some([2, 0, 0, 0, 0, 1]);
    lab.veth(&a, "a0", &b, "b0", &VethOptions { mac, queues: 2, ..VethOptions::default() })?;
    ensure!(a.mac("a0")? == [2, 0, 0, 0, 0, 1], "the MAC asked for");
    let (sender, mut receiver) = (RawPort::open(&a, "a0")?, RawPort::open(&b, "b0")?);
    let body = |length: usize| (0..length).map(|index| index as u8);
    let header = |tail: &[u8]| [&[2, 0, 0, 0, 0, 9], &[2, 0, 0, 0, 0, 1], tail].concat();
    let frames: Vec<Vec<u8>> = vec![
        // An experimental type (RFC 5342 §B.2), a tagged one, two tags, LLC with the SAPs of IS-IS, a runt, a full one.
        header(&[0x88, 0xb5]).into_iter().chain(body(46)).collect(),
        header(&[0x81, 0x00, 0x60, 0x64, 0x88, 0xb5]).into_iter().chain(body(46)).collect(),
        header(&[0x88, 0xa8, 0, 7, 0x81, 0x00, 0, 8, 0x88, 0xb5]).into_iter().chain(body(40)).collect(),
        header(&[0, 49, 0xfe, 0xfe, 0x03]).into_iter().chain(body(46)).collect(),
        header(&[0x88, 0xb5]),
        header(&[0x88, 0xb5]).into_iter().chain(body(1500)).collect(),
    ];
    for frame in &frames {
        sender.send(frame)?;
        let got = receiver.receive(Duration::from_secs(2), |_| true)?.context("nothing arrived")?;
        ensure!(got.bytes == *frame, "sent {frame:02x?}\n got {:02x?}", got.bytes);
        ensure!(!got.checksum_pending, "{got:?}");
    }
    ensure!(receiver.receive(Duration::from_millis(20), |_| true)?.is_none(), "the hosts are not quiet");
    sender.send(&[0; 1600]).expect_err("longer than the MTU");
    Ok(())
}

#[test]
fn frames_that_are_not_wanted_or_of_another_device_are_passed_over() -> Result<()> {
    require_lab!();
    let lab = Lab::new("t-filter")?;
    let (a, b) = (lab.quiet_namespace("a")?, lab.quiet_namespace("b")?);
    lab.veth(&a, "a0", &b, "b0", &VethOptions::default())?;
    lab.veth(&a, "a1", &b, "b1", &VethOptions::default())?;
    let (first, second) = (RawPort::open(&a, "a0")?, RawPort::open(&a, "a1")?);
    let mut receiver = RawPort::open(&b, "b0")?;
    let frame = |mark: u8| [[0xff; 12].as_slice(), &[0x88, 0xb5], &[mark; 46]].concat();
    second.send(&frame(1))?;
    (2..=5).try_for_each(|mark| first.send(&frame(mark)))?;
    let got = receiver.receive(Duration::from_secs(2), |frame| frame[14] != 2)?.context("nothing")?;
    ensure!(got[14] == 3, "{got:?}");
    let rest = receiver.receive_many(9, Duration::from_millis(100), |_| true)?;
    ensure!(rest.iter().map(|frame| frame[14]).eq([4, 5]), "{rest:?}");
    Ok(())
}

#[test]
fn an_offloaded_checksum_is_seen_and_the_default_cable_has_none() -> Result<()> {
    require_lab!();
    let lab = Lab::new("t-csum")?;
    for (label, tx_offload) in [("on", true), ("off", false)] {
        let (a, b) = (lab.namespace(&format!("a-{label}"))?, lab.namespace(&format!("b-{label}"))?);
        lab.veth(&a, "a0", &b, "b0", &VethOptions { tx_offload, ..VethOptions::default() })?;
        a.address("a0", "10.0.0.1/24")?;
        b.address("b0", "10.0.0.2/24")?;
        let mut tap = RawPort::open(&b, "b0")?;
        let echo = UdpEcho::start(&b)?;
        echo.exchange(&a, "10.0.0.2".parse()?, b"hello", Duration::from_secs(1))?.context("no echo")?;
        let udp = |frame: &[u8]| frame[12..14] == [0x08, 0x00] && frame[23] == 17;
        let frame = tap.receive(Duration::from_secs(1), |frame| udp(frame))?.context("no frame")?;
        ensure!(frame.checksum_pending == tx_offload, "tx_offload {tx_offload}: {frame:?}");
    }
    Ok(())
}

#[test]
fn a_carrier_that_comes_and_goes_is_noticed_without_the_kernels_second() -> Result<()> {
    require_lab!();
    let lab = Lab::new("t-link")?;
    let (a, b) = (lab.namespace("a")?, lab.namespace("b")?);
    lab.veth(&a, "eth0", &b, "eth0", &VethOptions::default())?;
    let started = Instant::now();
    for _ in 0..4 {
        b.set_link_down("eth0")?;
        b.set_link_up("eth0")?;
        a.await_link("eth0")?;
        b.await_link("eth0")?;
    }
    ensure!(started.elapsed() < Duration::from_secs(2), "{:?} for four times", started.elapsed());
    b.delete_link("eth0")?;
    a.await_link("eth0").expect_err("the other end is gone, too");
    Ok(())
}

#[test]
fn a_process_runs_in_its_namespace_and_its_log_is_watched() -> Result<()> {
    require_lab!();
    let lab = Lab::new("t-proc")?;
    let host = lab.namespace("host")?;
    let shell = |script: &str| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    };
    let mut process =
        host.spawn("server", shell("echo ready; readlink /proc/self/ns/net; exec sleep 1000"))?;
    let ready = process.wait_for_line("ready", Duration::from_secs(5))?;
    ensure!(ready == "ready", "{ready}");
    let inside = process.wait_for_line("net:[", Duration::from_secs(5))?;
    let outside = fs::read_link("/proc/self/ns/net")?;
    ensure!(inside != outside.to_string_lossy(), "{inside}");
    let error = process.wait_for_line("never", Duration::from_millis(30)).expect_err("it never says that");
    ensure!(error.to_string().contains("never") && error.to_string().contains("ready"), "{error}");
    let pid = process.pid();
    process.stop(Duration::from_secs(5))?;
    ensure!(!alive(pid), "still there after stop");

    let mut brief = host.spawn("brief", shell("echo too bad >&2; exit 3"))?;
    let error = brief.wait_for_line("ready", Duration::from_secs(5)).expect_err("it ends");
    ensure!(
        matches!(error, LabError::ProcessEnded { .. }) && error.to_string().contains("too bad"),
        "{error}"
    );

    let stubborn = host.spawn("stubborn", shell("trap '' TERM; echo up; while :; do sleep 1; done"))?;
    let (pid, mut stubborn) = (stubborn.pid(), stubborn);
    stubborn.wait_for_line("up", Duration::from_secs(5))?;
    stubborn.stop(Duration::from_millis(50))?;
    ensure!(!alive(pid), "survived");
    let dropped = host.spawn("dropped", shell("exec sleep 1000"))?;
    let pid = dropped.pid();
    drop(dropped);
    ensure!(!alive(pid), "survived its handle");
    Ok(())
}

#[test]
fn an_interrupt_ends_what_is_under_way() -> Result<()> {
    require_lab!();
    let lab = Lab::new("t-intr")?;
    let host = lab.namespace("host")?;
    lab.interrupt().set();
    let result = ping(&host, "127.0.0.1".parse()?, &PingOptions::default());
    ensure!(matches!(result, Err(LabError::Interrupted)), "{result:?}");
    Ok(())
}

#[test]
fn a_command_that_fails_says_what_and_why() -> Result<()> {
    require_lab!();
    let lab = Lab::new("t-error")?;
    let host = lab.namespace("host")?;
    let error = host.address("nowhere", "10.0.0.1/24").expect_err("no such device").to_string();
    ensure!(error.contains("ip address add 10.0.0.1/24 dev nowhere"), "{error}");
    ensure!(error.contains("Cannot find device"), "{error}");
    host.sysctl("net.ipv4.no_such_thing", "1").expect_err("no such sysctl");
    RawPort::open(&host, "nowhere").expect_err("no such device");
    lab.adopt("nothing").expect_err("no such namespace");
    let long = lab.veth(&host, "sixteen-letters-", &host, "b", &VethOptions::default());
    ensure!(matches!(long, Err(LabError::Name { kind: "device", .. })), "{long:?}");
    Ok(())
}

#[test]
fn nothing_is_left_after_drop_even_while_panicking() -> Result<()> {
    require_lab!();
    let prefix = std::sync::Mutex::new(String::new());
    let marker = std::env::temp_dir().join(format!("ze-lab-test-{}", std::process::id()));
    let result = std::panic::catch_unwind(|| {
        let net = Network::new("t-drop", 1500).expect("a network");
        prefix.lock().expect("not poisoned").push_str(net.lab.prefix());
        net.lab.on_cleanup(&format!("touch {}", marker.display())).expect("a directory");
        // Made by something else, under the lab's prefix.
        let other = net.lab.namespace_name("ze");
        assert!(Command::new("ip").args(["netns", "add", &other]).status().expect("ip").success());
        let adopted = net.lab.adopt("ze").expect("it exists");
        let mut sleep = Command::new("sleep");
        sleep.arg("1000");
        // A process without a handle, that only the lab can find.
        std::mem::drop(adopted.run(|| sleep.spawn()));
        assert!(remains(net.lab.prefix()).len() > 4, "{:?}", remains(net.lab.prefix()));
        panic!("on purpose");
    });
    ensure!(result.is_err(), "it did not panic");
    let prefix = prefix.into_inner()?;
    ensure!(prefix.starts_with("ze-t-drop-"), "{prefix}");
    ensure!(remains(&prefix).is_empty(), "{:?}", remains(&prefix));
    fs::remove_file(&marker).context("the clean-up command did not run")?;
    Ok(())
}

#[test]
fn a_kept_lab_stays_until_it_is_removed() -> Result<()> {
    require_lab!();
    let lab = Lab::new("t-keep")?;
    let host = lab.namespace("host")?;
    let mut sleep = Command::new("sleep");
    sleep.arg("1000");
    let process = host.spawn("sleep", sleep)?;
    let kept = lab.keep()?;
    drop(process);
    Lab::sweep_stale()?;
    let found = Lab::list()?.into_iter().find(|lab| lab.prefix == kept.prefix).context("gone")?;
    ensure!(found.kept && !found.owned, "{found:?}");
    ensure!(
        host.run(|| ()).is_ok() && remains(&kept.prefix).iter().any(|line| line.contains("sleep")),
        "gone"
    );
    ensure!(kept.remove_command.contains(&kept.prefix), "{kept:?}");
    Lab::remove(&kept.prefix)?;
    ensure!(remains(&kept.prefix).is_empty(), "{:?}", remains(&kept.prefix));
    Lab::remove("eth0").expect_err("no lab's prefix");
    Ok(())
}

#[test]
fn a_lab_whose_owner_and_reaper_were_killed_is_swept_by_the_next() -> Result<()> {
    require_lab!();
    let (mut owner, prefix) = victim()?;
    let reaper =
        remains(&prefix).into_iter().find(|line| line.contains("ze-lab-reaper")).context("no reaper")?;
    let pid = reaper.split_whitespace().next().context("no pid")?.to_owned();
    ensure!(Command::new("kill").args(["-9", &pid]).status()?.success(), "kill {pid}");
    Lab::sweep_stale()?;
    ensure!(!remains(&prefix).is_empty(), "swept though its owner lives");
    owner.kill()?;
    let _next = Lab::new("t-next")?;
    ensure!(remains(&prefix).is_empty(), "{:?}", remains(&prefix));
    Ok(())
}

#[test]
fn nothing_is_left_two_seconds_after_the_owner_was_killed() -> Result<()> {
    require_lab!();
    let (mut owner, prefix) = victim()?;
    let reaper =
        remains(&prefix).into_iter().find(|line| line.contains("ze-lab-reaper")).context("no reaper")?;
    let pid = reaper.split_whitespace().next().context("no pid")?.to_owned();
    // The sweep of a test beside this one shall not do the reaper's work: it passes over labs that are kept.
    fs::write(format!("/run/ze-lab/{prefix}/kept"), "")?;
    // Signals that a terminal sends do not end the reaper before its owner.
    for signal in ["-INT", "-TERM", "-HUP"] {
        ensure!(Command::new("kill").args([signal, &pid]).status()?.success(), "kill {signal} {pid}");
    }
    owner.kill()?;
    let killed = Instant::now();
    let gone = wait_until(Duration::from_secs(2), "the end of the lab", || remains(&prefix).is_empty());
    let (elapsed, left) = (killed.elapsed(), remains(&prefix));
    Lab::remove(&prefix)?;
    gone.with_context(|| format!("left: {left:?}"))?;
    println!("gone after {elapsed:?}");
    Ok(())
}

/// A child that does not outlive its handle.
struct Victim(std::process::Child);

impl Victim {
    fn kill(&mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Starts this test binary once more, as the owner of a lab, and returns it with the lab's prefix.
fn victim() -> Result<(Victim, String)> {
    let owner = Command::new(std::env::current_exe()?)
        .args(["--exact", "owns_a_lab_until_it_is_killed", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut owner = Victim(owner);
    let output = BufReader::new(owner.0.stdout.take().context("no stdout")?);
    let prefixes = output.lines().map_while(Result::ok);
    let prefix =
        prefixes.filter_map(|line| line.split_once("lab ").map(|(_, prefix)| prefix.to_owned())).next();
    let prefix = prefix.context("the owner did not start its lab")?;
    ensure!(remains(&prefix).len() > 4, "{:?}", remains(&prefix));
    Ok((owner, prefix))
}

/// Not a test of its own: the process which [`victim`] starts.
#[test]
fn owns_a_lab_until_it_is_killed() -> Result<()> {
    if std::env::var_os(VICTIM).is_none() {
        return Ok(());
    }
    let net = Network::new("t-victim", 1500)?;
    let mut forks = Command::new("/bin/sh");
    forks.args(["-c", "trap '' TERM; sleep 1000 & while :; do sleep 0.01; done"]);
    let _process = net.wan.spawn("forks", forks)?;
    let mut sleep = Command::new("sleep");
    sleep.arg("1000");
    let _second = net.lan.spawn("sleep", sleep)?;
    println!("lab {}", net.lab.prefix());
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn alive(pid: u32) -> bool {
    fs::metadata(format!("/proc/{pid}")).is_ok()
}

/// All that still bears the prefix: namespaces, the lab's directory, processes in its namespaces, its reaper.
fn remains(prefix: &str) -> Vec<String> {
    let names = |directory: &str| {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    let namespaces = names("/run/netns").into_iter().filter(|name| name.starts_with(&format!("{prefix}-")));
    let namespaces: Vec<String> = namespaces.collect();
    let inodes: Vec<String> = namespaces.iter().filter_map(|name| namespace_link(name)).collect();
    let processes = names("/proc").into_iter().filter_map(|pid| {
        let link = fs::read_link(format!("/proc/{pid}/ns/net")).ok()?.to_string_lossy().into_owned();
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?.replace('\0', " ");
        let ours = inodes.contains(&link)
            || command.contains("ze-lab-reaper") && command.contains(&format!(" {prefix} "));
        ours.then(|| format!("{pid} {command}"))
    });
    let processes: Vec<String> = processes.collect();
    let directories = names("/run/ze-lab").into_iter().filter(|name| name == prefix);
    directories.chain(namespaces.clone()).chain(processes).collect()
}

/// What `/proc/PID/ns/net` of a process inside reads.
fn namespace_link(name: &str) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let inode = fs::metadata(format!("/run/netns/{name}")).ok()?.ino();
    Some(format!("net:[{inode}]"))
}
