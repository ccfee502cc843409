//! Floating static routes and leaks between VRFs, by the configuration alone, on real links.

use anyhow::{Context, Result, ensure};
use ze_pktgen::daemons::{Binaries, Fastpath, FastpathOptions, Slowpath};
use ze_pktgen::lab::{Lab, Namespace, PingOptions, UdpOptions, UdpStream, ping, wait_for, wait_until};
use ze_pktgen::require_lab_with_xdp;
use ze_proto::v1::NexthopState;

use crate::router::{LAN_HOST, PATIENCE, Router, WAN_HOST, address, cable, ip};

/// Behind both uplinks.
const FAR: &str = "198.51.100.7";

const CONFIG: &str = "\
interfaces {
    lan0 { address 10.0.1.1/24; address 2001:db8:1::1/64; }
    wan0 { address 10.0.2.1/24; address 2001:db8:2::1/64; }
    alt0 { address 10.0.3.1/24; }
    blue0 { vrf blue; address 10.0.4.1/24; address 2001:db8:4::1/64; }
}
vrf blue {
    static {
        route 10.0.1.0/24 { lookup-vrf default; }
        route 2001:db8:1::/64 { lookup-vrf default; }
    }
}
static {
    route 198.51.100.0/24 { via 10.0.2.2; via 10.0.3.2 { distance 10; } }
    route 10.0.4.0/24 { lookup-vrf blue; }
    route 2001:db8:4::/64 { lookup-vrf blue; }
}
";

struct Network {
    router: Router,
    blue: Namespace,
}

/// A LAN host; a WAN host on two links; a host in VRF blue.
fn network(name: &str) -> Result<Network> {
    let lab = Lab::new(name)?;
    let (lan, wan, blue) = (lab.namespace("lan")?, lab.namespace("wan")?, lab.namespace("blue")?);
    let router = lab.namespace("router")?;
    for (host, device, port) in
        [(&lan, "eth0", "lan0"), (&wan, "eth0", "wan0"), (&wan, "eth1", "alt0"), (&blue, "eth0", "blue0")]
    {
        lab.veth(host, device, &router, port, &cable(1500, 1))?;
    }
    address(&lan, LAN_HOST, "2001:db8:1::2", "10.0.1.1", "2001:db8:1::1")?;
    address(&wan, WAN_HOST, "2001:db8:2::2", "10.0.2.1", "2001:db8:2::1")?;
    address(&blue, "10.0.4.2", "2001:db8:4::2", "10.0.4.1", "2001:db8:4::1")?;
    wan.address("eth1", "10.0.3.2/24")?;
    wan.address("lo", &format!("{FAR}/32"))?;
    let binaries = Binaries::new(None);
    let fastpath = Fastpath::start(&lab, &router, &binaries, &FastpathOptions::default())?;
    let slowpath = Slowpath::start(&lab, &router, &binaries, &fastpath, CONFIG)?;
    let router = Router { slowpath, fastpath, lan, wan, router, lab };
    router.fastpath.await_interfaces(&["lan0", "wan0", "alt0", "blue0"], PATIENCE)?;
    Ok(Network { router, blue })
}

/// The nexthop of the floating route, once it is as wanted.
fn await_nexthop(
    router: &Router,
    what: &str,
    wanted: impl Fn(&NexthopState) -> bool,
) -> Result<NexthopState> {
    let there = || {
        let route = router.fastpath.client().ok()?.lookup(ip(FAR)).ok()??;
        route.nexthops.first().filter(|state| wanted(state)).cloned()
    };
    wait_for(PATIENCE, what, there).with_context(|| router.logs())
}

/// By its own interface; with the other one's armed behind.
fn is_armed(state: &NexthopState) -> bool {
    let backup = state.backups.first();
    state.interface == "wan0"
        && state.kind == "adjacency"
        && !state.backup_in_force
        && backup.is_some_and(|b| b.interface == "alt0" && b.kind == "adjacency" && !b.in_force)
}

#[test]
fn a_floating_route_fails_over_by_itself_while_the_slow_path_is_dead_and_comes_back() -> Result<()> {
    require_lab_with_xdp!();
    let Network { mut router, .. } = network("floating")?;
    await_nexthop(&router, "the backup to be armed", is_armed)?;
    let options = UdpOptions { rate_pps: 1000, ..UdpOptions::default() };
    let stream = UdpStream::start(&router.lan, &router.wan, ip(FAR), &options)?;
    wait_until(PATIENCE, "the stream to arrive", || stream.counts().received > 100)?;
    let by = |device: &str| router.wan.link_counters(device).map(|counters| counters.rx_packets);
    ensure!(
        by("eth1")? < 50 && by("eth0")? > 100,
        "the stream goes by wan0: {} {}",
        by("eth0")?,
        by("eth1")?
    );

    // Nobody but the fast path is there to notice.
    router.slowpath.process.kill()?;
    let before = stream.counts().received;
    router.router.set_link_down("wan0")?;
    wait_until(PATIENCE, "packets by the other uplink", || stream.counts().received > before + 300)?;
    await_nexthop(&router, "the backup to be in force", |state| {
        state.backup_in_force && state.backups.first().is_some_and(|b| b.in_force && b.interface == "alt0")
    })?;
    let gap = stream.counts().longest_gap;
    println!("longest gap of the stream over the failover: {gap:?}");
    ensure!(gap.as_millis() < 1000, "{gap:?}\n{}", router.logs());

    // A new slow path takes the route by the other uplink, and gives it back when the first is there again.
    router.slowpath =
        Slowpath::start(&router.lab, &router.router, &Binaries::new(None), &router.fastpath, CONFIG)?;
    await_nexthop(&router, "the route by alt0 alone", |state| {
        state.interface == "alt0" && state.backups.is_empty()
    })?;
    router.router.set_link_up("wan0")?;
    await_nexthop(&router, "the first uplink again, armed", is_armed)?;
    let report = stream.stop();
    ensure!(report.counts.corrupted + report.counts.duplicates == 0, "{report:?}");
    router.nothing_is_lost()
}

#[test]
fn hosts_in_two_vrfs_talk_by_leaks_and_a_reload_takes_them_away() -> Result<()> {
    require_lab_with_xdp!();
    let Network { mut router, blue } = network("leak")?;
    for (from, target) in [
        (&router.lan, "10.0.4.2"),
        (&router.lan, "2001:db8:4::2"),
        (&blue, LAN_HOST),
        (&blue, "2001:db8:1::2"),
    ] {
        let one = PingOptions {
            count: 1,
            timeout: std::time::Duration::from_millis(500),
            ..PingOptions::default()
        };
        let answers = || ping(from, ip(target), &one).is_ok_and(|report| report.received == 1);
        wait_until(PATIENCE, &format!("{target} to answer"), answers).with_context(|| router.logs())?;
        let report = ping(from, ip(target), &PingOptions::default())?;
        ensure!(report.is_clean(), "{target}: {report:?}\n{}", router.logs());
    }
    // A circle is refused with its line, and changes nothing.
    let circle =
        CONFIG.replace("route 10.0.4.0/24", "route 10.0.1.0/25 { lookup-vrf blue; }\n    route 10.0.4.0/24");
    router.slowpath.reload(&circle)?;
    let complaint = router.slowpath.process.wait_for_line("in a circle", PATIENCE)?;
    ensure!(
        complaint.contains("ze.conf:15") && complaint.contains("static route 10.0.1.0/25"),
        "{complaint}"
    );
    let report = ping(&router.lan, ip("10.0.4.2"), &PingOptions::default())?;
    ensure!(report.is_clean(), "{report:?}");
    router.slowpath.reload(&CONFIG.replace("    route 10.0.4.0/24 { lookup-vrf blue; }\n", ""))?;
    router.await_route("10.0.4.2", false)?;
    router.await_route("2001:db8:4::2", true)?;
    router.nothing_is_lost()
}
