//! What may go wrong, done on purpose: each test fails when the behaviour it asks for is taken out.

#[path = "faults/api.rs"]
mod api;
#[path = "faults/audit.rs"]
mod audit;
#[path = "faults/bad_input.rs"]
mod bad_input;
#[path = "faults/between.rs"]
mod between;
#[path = "faults/failover.rs"]
mod failover;
#[path = "faults/machine.rs"]
mod machine;
#[path = "faults/remote_api.rs"]
mod remote_api;
#[path = "faults/router.rs"]
mod router;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use router::{CONFIG, Hosts, LAN_HOST, PATIENCE, Plan, Router, WAN_HOST, cable, ip};
use ze_pktgen::daemons::{Binaries, Fastpath, FastpathOptions, Slowpath};
use ze_pktgen::lab::{Lab, Namespace, PingOptions, ping, wait_until};
use ze_pktgen::require_lab_with_xdp;
use ze_proto::v1::{LinkState, PortState};

/// `kill -9 ze-fastpath`: traffic must be back within this.
const BACK_WITHIN: Duration = Duration::from_secs(2);

#[test]
fn a_killed_slow_path_costs_no_packet_and_its_successor_sweeps_what_it_no_longer_wants() -> Result<()> {
    require_lab_with_xdp!();
    let mut router = Router::start("killslow")?;
    let route = format!("{CONFIG}static {{ route 203.0.113.0/24 {{ via {WAN_HOST}; }} }}\n");
    router.slowpath.reload(&route)?;
    router.await_route("203.0.113.9", true)?;
    let stream = router.stream()?;
    router.slowpath.process.kill()?;
    // Its life's work stays in force without it.
    let at_kill = stream.counts().received;
    wait_until(PATIENCE, "packets without a slow path", || stream.counts().received > at_kill + 500)?;
    router.await_route("203.0.113.9", true)?;
    router.slowpath =
        Slowpath::start(&router.lab, &router.router, &Binaries::new(None), &router.fastpath, CONFIG)?;
    router.await_route("203.0.113.9", false)?;
    let report = stream.stop();
    ensure!(report.lost == 0, "{report:?}\n{}", router.logs());
    router.nothing_is_lost()
}

/// The router's namespace could forward by itself: addresses, neighbours, the switch. It must not come to it.
fn kernel_could_forward(hosts: &Hosts) -> Result<()> {
    hosts.router.address("lan0", "10.0.1.254/24")?;
    hosts.router.address("wan0", "10.0.2.254/24")?;
    hosts.router.neighbor("lan0", ip(LAN_HOST), hosts.lan.mac("eth0")?)?;
    hosts.router.neighbor("wan0", ip(WAN_HOST), hosts.wan.mac("eth0")?)?;
    Ok(())
}

#[test]
fn a_killed_fast_path_fails_closed_and_is_back_within_two_seconds() -> Result<()> {
    require_lab_with_xdp!();
    let hosts = Hosts::build("killfast", Plan::default())?;
    kernel_could_forward(&hosts)?;
    // The proof that the kernel would do it: without Ze, it does.
    hosts.router.enable_forwarding()?;
    hosts.lan.neighbor("eth0", ip("10.0.1.1"), hosts.router.mac("lan0")?)?;
    hosts.wan.neighbor("eth0", ip("10.0.2.1"), hosts.router.mac("wan0")?)?;
    let report = ping(&hosts.lan, ip(WAN_HOST), &PingOptions::default())?;
    ensure!(
        report.is_clean() && hosts.router.kernel_forwarded_packets()? > 0,
        "the kernel can not: {report:?}"
    );
    let router = hosts.start()?;
    router.fastpath.await_interfaces(&["lan0", "wan0"], PATIENCE)?;
    router.passes()?;
    // Ze has switched it off on its ports; we switch it on again, so that only the XDP program stands in the way.
    router.router.enable_forwarding()?;
    let before = router.router.kernel_forwarded_packets()?;
    let stream = router.stream()?;
    let first = router.fastpath.client()?.info()?;
    let killed_at = Instant::now();
    kill(Pid::from_raw(first.pid as i32), Signal::SIGKILL)?;
    let at_kill = stream.counts().received;
    wait_until(PATIENCE, "another life of ze-fastpath", || {
        let info = router.fastpath.client().and_then(|mut client| client.info());
        info.is_ok_and(|info| info.instance != first.instance)
    })?;
    wait_until(PATIENCE, "packets again", || stream.counts().received > at_kill + 200)?;
    let away = killed_at.elapsed();
    let report = stream.stop();
    let forwarded = router.router.kernel_forwarded_packets()? - before;
    ensure!(forwarded == 0, "the kernel forwarded {forwarded} packets meanwhile\n{}", router.logs());
    ensure!(report.lost > 0, "nothing was lost: was it killed at all?");
    ensure!(
        report.counts.longest_gap < BACK_WITHIN,
        "away for {:?} ({away:?} until noticed)\n{}",
        report.counts.longest_gap,
        router.logs()
    );
    router.ready()
}

/// The kernel's forwarding switches of a port, both families.
fn switches(router: &Namespace, device: &str) -> Result<Vec<String>> {
    let read = |family| std::fs::read_to_string(format!("/proc/sys/net/{family}/conf/{device}/forwarding"));
    let read_all = || ["ipv4", "ipv6"].into_iter().map(read).collect::<std::io::Result<Vec<_>>>();
    Ok(router.run(read_all)??.iter().map(|text| text.trim().to_owned()).collect())
}

/// Has a process closed all it had? It has when it is gone, or when its last thread waits only to be asked for its status.
fn is_over(pid: Pid) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    threads <= 1 && stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

#[test]
fn a_fast_path_killed_with_its_supervisor_leaves_the_kernels_forwarding_off_and_the_next_puts_it_back()
-> Result<()> {
    require_lab_with_xdp!();
    let hosts = Hosts::build("killboth", Plan::default())?;
    hosts.router.enable_forwarding()?;
    let router = hosts.start()?;
    router.fastpath.await_interfaces(&["lan0", "wan0"], PATIENCE)?;
    ensure!(switches(&router.router, "lan0")? == ["0", "0"], "it stays on beside Ze");
    let Router { mut slowpath, mut fastpath, lan, wan, router, lab } = router;
    let daemon = Pid::from_raw(fastpath.client()?.info()?.pid as i32);
    // Stopped first, it can neither restart the daemon nor tell it to end in good order.
    fastpath.process.signal(Signal::SIGSTOP)?;
    kill(daemon, Signal::SIGKILL)?;
    fastpath.process.kill()?;
    slowpath.process.kill()?;
    wait_until(PATIENCE, "the daemon's end", || is_over(daemon))?;
    ensure!(switches(&router, "lan0")? == ["0", "0"], "the kernel forwards past the policy that ran here");
    // Another one starts, with one of the ports only: the other is the kernel's again, and this one in the end.
    let binaries = Binaries::new(None);
    let fastpath = Fastpath::start(&lab, &router, &binaries, &FastpathOptions::default())?;
    let config = "interfaces {\n    lan0 {\n        address 10.0.1.1/24;\n    }\n}\n";
    let slowpath = Slowpath::start(&lab, &router, &binaries, &fastpath, config)?;
    fastpath.await_interfaces(&["lan0"], PATIENCE)?;
    let namespace = &router;
    let are = |device, wanted| move || switches(namespace, device).is_ok_and(|all| all == [wanted, wanted]);
    wait_until(PATIENCE, "the kernel to have wan0 back", are("wan0", "1"))?;
    wait_until(PATIENCE, "lan0 to be Ze's", are("lan0", "0"))?;
    slowpath.process.stop(PATIENCE)?;
    fastpath.process.stop(PATIENCE)?;
    wait_until(PATIENCE, "the kernel to have lan0 back", are("lan0", "1"))?;
    drop((lan, wan));
    Ok(())
}

#[test]
fn a_reload_applies_the_difference_and_a_bad_file_changes_nothing_and_names_the_line() -> Result<()> {
    require_lab_with_xdp!();
    let mut router = Router::start("reload")?;
    let stream = router.stream()?;
    let better = format!("{CONFIG}static {{ route 203.0.113.0/24 {{ via {WAN_HOST}; }} }}\n");
    router.slowpath.reload(&better)?;
    router.await_route("203.0.113.9", true)?;
    // The seventh line, and what it says, must be in the complaint.
    let worse = CONFIG.replace("address 10.0.2.1/24;", "address 10.0.2.1/240;");
    router.slowpath.reload(&worse)?;
    let complaint = router.slowpath.process.wait_for_line("ze.conf:", PATIENCE)?;
    ensure!(complaint.contains("ze.conf:7"), "{complaint}");
    ensure!(router.slowpath.process.log().contains("10.0.2.1/240"), "{}", router.logs());
    router.await_route("203.0.113.9", true)?;
    // The data plane's own refusal counts as well: nothing is half applied.
    let refused = better.replace("wan0 {", "wan0 {\n        mtu 9000;").replace("203.0.113", "198.51.100");
    router.slowpath.reload(&refused)?;
    router.slowpath.process.wait_for_line("9000", PATIENCE)?;
    router.await_route("203.0.113.9", true)?;
    router.await_route("198.51.100.9", false)?;
    router.slowpath.reload(CONFIG)?;
    router.await_route("203.0.113.9", false)?;
    let report = stream.stop();
    ensure!(report.lost == 0, "{report:?}\n{}", router.logs());
    router.nothing_is_lost()
}

#[test]
fn a_port_that_goes_down_and_up_is_reported_and_recovers() -> Result<()> {
    require_lab_with_xdp!();
    let router = Router::start("downup")?;
    router.router.set_link_down("lan0")?;
    router.await_port("lan0", LinkState::Down)?;
    router.router.set_link_up("lan0")?;
    router.await_port("lan0", LinkState::Up)?;
    router.ready()?;
    router.nothing_is_lost()
}

#[test]
fn a_port_that_is_down_at_the_start_is_open_and_waits() -> Result<()> {
    require_lab_with_xdp!();
    let hosts = Hosts::build("startdown", Plan::default())?;
    hosts.router.set_link_down("lan0")?;
    let router = hosts.start()?;
    let is_open_and_down = || {
        let port = router.fastpath.client().and_then(|mut client| client.port("lan0"));
        port.is_ok_and(|port| port.is_some_and(|p| p.queues == 1 && p.state() == LinkState::Down))
    };
    wait_until(PATIENCE, "the port to be open, and down", is_open_and_down)?;
    router.router.set_link_up("lan0")?;
    router.ready()?;
    router.nothing_is_lost()
}

#[test]
fn a_port_that_is_deleted_and_made_anew_is_reported_and_recovers() -> Result<()> {
    require_lab_with_xdp!();
    let router = Router::start("anew")?;
    let pid = router.fastpath.client()?.info()?.pid;
    router.router.delete_link("lan0")?;
    let gone = router.await_port("lan0", LinkState::Missing)?;
    ensure!(gone.message.contains("lan0"), "{gone:?}");
    router.lab.veth(&router.lan, "eth0", &router.router, "lan0", &cable(1500, 1))?;
    router::address(&router.lan, LAN_HOST, "2001:db8:1::2", "10.0.1.1", "2001:db8:1::1")?;
    router.await_port("lan0", LinkState::Up)?;
    router.ready()?;
    ensure!(router.fastpath.client()?.info()?.pid == pid, "it was restarted\n{}", router.logs());
    router.nothing_is_lost()
}

#[test]
fn an_mtu_that_does_not_fit_a_frame_is_refused_with_the_one_that_does_and_a_change_is_followed() -> Result<()>
{
    require_lab_with_xdp!();
    let plan = Plan { lan_mtu_bytes: 9000, ..Plan::default() };
    let router = Hosts::build("mtu", plan)?.start()?;
    let failed = router.await_port("lan0", LinkState::Failed)?;
    ensure!(failed.message.contains("9000") && failed.message.contains("1770"), "{failed:?}");
    router.lan.set_mtu("eth0", 1500)?;
    router.router.set_mtu("lan0", 1500)?;
    router.await_port("lan0", LinkState::Up)?;
    router.ready()?;
    router.router.set_mtu("lan0", 1400)?;
    let is_1400 = || {
        let states = router.fastpath.client().and_then(|mut client| client.interfaces()).unwrap_or_default();
        states.iter().any(|s| s.mtu == 1400 && s.interface.as_ref().is_some_and(|i| i.name == "lan0"))
    };
    wait_until(PATIENCE, "the interface to follow the MTU", is_1400)?;
    router.ready()
}

#[test]
fn every_queue_is_bound_and_shared_out_among_the_workers() -> Result<()> {
    require_lab_with_xdp!();
    let all: Vec<_> = (0..std::thread::available_parallelism()?.get().min(2)).collect();
    for (queues, cores) in [(1, all.clone()), (2, vec![0]), (2, all)] {
        let fastpath = FastpathOptions { cores: cores.clone(), ..FastpathOptions::default() };
        let router = Router::start_with("queues", Plan { queues, fastpath, ..Plan::default() })?;
        let port = router.await_port("lan0", LinkState::Up)?;
        ensure!(port.queues == queues && port.bind_modes.len() == queues as usize, "{port:?}");
        let stream = router.stream()?;
        wait_until(PATIENCE, "packets", || stream.counts().received > 1000)?;
        let report = stream.stop();
        ensure!(report.lost == 0, "{queues} queues, workers on {cores:?}: {report:?}\n{}", router.logs());
        router.nothing_is_lost()?;
    }
    Ok(())
}

/// The default frames, all for the fill rings of the ports: none would be left for the router's own addresses.
#[test]
fn ports_that_take_all_frames_for_fill_rings_leave_representors_theirs() -> Result<()> {
    require_lab_with_xdp!();
    let router = Router::start_with("fourqueues", Plan { queues: 4, ..Plan::default() })?;
    router.answers_for_itself()?;
    router.nothing_is_lost()
}

#[test]
fn frames_that_are_too_few_are_refused_with_how_many_would_do() -> Result<()> {
    require_lab_with_xdp!();
    // Half of them fill the rings of one port with four queues; the other port has nothing.
    let arguments = vec!["--frames".into(), "16384".into()];
    let fastpath = FastpathOptions { arguments, ..FastpathOptions::default() };
    let hosts = Hosts::build("fewframes", Plan { queues: 4, fastpath, ..Plan::default() })?;
    let router = hosts.start()?;
    let is_told = |port: &PortState| {
        port.state() == LinkState::Failed && port.message.contains("start ze-fastpath with --frames 32768")
    };
    let failed = || router.fastpath.client().and_then(|mut client| client.ports());
    let failed = || failed().is_ok_and(|ports| ports.iter().filter(|port| is_told(port)).count() == 1);
    wait_until(PATIENCE, "one port to be refused", failed)?;
    let opened = || router.fastpath.client().and_then(|mut client| client.ports());
    let is_up = |port: &PortState| port.state() == LinkState::Up;
    let opened = || opened().is_ok_and(|ports| ports.iter().any(|port| is_up(port) && !port.representor));
    Ok(wait_until(PATIENCE, "the other port to be open", opened)?)
}

#[test]
fn without_kernel_btf_it_works_and_says_that_it_does_not_need_it() -> Result<()> {
    require_lab_with_xdp!();
    let hosts = Hosts::build("nobtf", Plan::default())?;
    let binaries = Binaries::new(None);
    let plain = Fastpath::command(&hosts.lab, &binaries, &FastpathOptions::default())?;
    let mut hidden = Command::new("unshare");
    hidden.args(["--mount", "sh", "-c", "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" \"$@\""]);
    hidden.arg(plain.get_program()).args(plain.get_args());
    let fastpath = Fastpath::adopt(&hosts.lab, hosts.router.spawn("ze-fastpath", hidden)?)?;
    let slowpath = Slowpath::start(&hosts.lab, &hosts.router, &binaries, &fastpath, CONFIG)?;
    let Hosts { lan, wan, router, lab, .. } = hosts;
    let router = Router { slowpath, fastpath, lan, wan, router, lab };
    router.ready()?;
    let info = router.fastpath.client()?.info()?;
    ensure!(info.warnings.iter().any(|w| w.contains("BTF")), "{info:?}");
    Ok(())
}

/// `command` with a standard error that nobody reads any more.
fn unread(lab: &Lab, command: &Command) -> Command {
    let mut unread = Command::new("sh");
    unread.args(["-c", "mkfifo \"$0\" && exec 3<>\"$0\" 2>\"$0\" 3<&- && exec \"$@\""]);
    unread.arg(lab.directory().join("unread")).arg(command.get_program()).args(command.get_args());
    unread
}

#[test]
fn a_fast_path_whose_log_nobody_reads_any_more_works_restarts_and_ends_in_order() -> Result<()> {
    require_lab_with_xdp!();
    let hosts = Hosts::build("unread", Plan::default())?;
    let binaries = Binaries::new(None);
    let command = Fastpath::command(&hosts.lab, &binaries, &FastpathOptions::default())?;
    let process = hosts.router.spawn("ze-fastpath", unread(&hosts.lab, &command))?;
    let fastpath = Fastpath::adopt(&hosts.lab, process)?;
    let slowpath = Slowpath::start(&hosts.lab, &hosts.router, &binaries, &fastpath, CONFIG)?;
    let Hosts { lan, wan, router, lab, .. } = hosts;
    let router = Router { slowpath, fastpath, lan, wan, router, lab };
    router.ready()?;
    router.answers_for_itself()?;
    // The supervisor has a log too.
    kill(Pid::from_raw(router.fastpath.client()?.info()?.pid as i32), Signal::SIGKILL)?;
    router.ready()?;
    router.answers_for_itself()?;
    let Router { slowpath, fastpath, .. } = router;
    slowpath.process.stop(PATIENCE)?;
    let status = fastpath.process.stop(PATIENCE)?;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}

/// Runs `ze-fastpath` to its end, which must come at once and be a failure; returns what it said.
fn refusal(lab: &Lab, command: Command) -> Result<String> {
    refusal_in(&lab.namespace("refused")?, command)
}

fn refusal_in(namespace: &Namespace, command: Command) -> Result<String> {
    let mut process = namespace.spawn("refused", command)?;
    let status = process.wait(PATIENCE)?;
    ensure!(!status.success(), "it ended with {status}\n{}", process.log());
    Ok(process.log())
}

#[test]
fn a_second_instance_is_refused_with_the_process_that_runs() -> Result<()> {
    require_lab_with_xdp!();
    let router = Router::start("second")?;
    let pid = router.fastpath.client()?.info()?.pid;
    let again = Fastpath::command(&router.lab, &Binaries::new(None), &FastpathOptions::default())?;
    let said = refusal(&router.lab, again)?;
    ensure!(said.contains("running already") && said.contains(&pid.to_string()), "{said}");
    // The first one did not notice.
    router.passes()
}

#[test]
fn an_unprivileged_user_is_told_that_root_is_needed() -> Result<()> {
    require_lab_with_xdp!();
    let lab = Lab::new("nobody")?;
    // Nobody may not enter root's directories: the program is copied to where it can be run.
    let program = std::env::temp_dir().join(format!("{}-fastpath", lab.prefix()));
    std::fs::copy(Binaries::new(None).find("ze-fastpath")?, &program)?;
    for (supervised, run_dir) in [(true, "/tmp"), (false, "/tmp"), (true, "/run/ze-not-for-nobody")] {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        let dir = format!("{run_dir}/{}-run", lab.prefix());
        command.args(["--run-dir", &dir]).args((!supervised).then_some("--no-supervisor"));
        let mut process =
            lab.namespace(&format!("n{supervised}{}", run_dir.len()))?.spawn("nobody", command)?;
        let status = process.wait(PATIENCE)?;
        let said = process.log();
        let _ = std::fs::remove_dir_all(&dir);
        ensure!(!status.success() && (said.contains("root") || said.contains("denied")), "{status}: {said}");
    }
    std::fs::remove_file(&program)?;
    Ok(())
}

#[test]
fn a_core_that_does_not_exist_is_refused_and_not_retried() -> Result<()> {
    require_lab_with_xdp!();
    let lab = Lab::new("nocore")?;
    let options = FastpathOptions { cores: vec![4095], ..FastpathOptions::default() };
    let said = refusal(&lab, Fastpath::command(&lab, &Binaries::new(None), &options)?)?;
    ensure!(said.contains("4095") && said.contains("--cores"), "{said}");
    Ok(())
}

#[test]
fn a_foreign_program_on_a_port_is_named_and_left_alone() -> Result<()> {
    require_lab_with_xdp!();
    let hosts = Hosts::build("foreign", Plan::default())?;
    let (source, object) = (hosts.lab.directory().join("alien.c"), hosts.lab.directory().join("alien.o"));
    let text = "__attribute__((section(\"xdp\"), used)) int alien_prog(void *c) { return 2; }\n\
                char l[] __attribute__((section(\"license\"), used)) = \"GPL\";\n";
    std::fs::write(&source, text)?;
    let mut clang = Command::new("clang");
    clang.args(["-O2", "-g", "-target", "bpf", "-c"]).arg(&source).arg("-o").arg(&object);
    ensure!(clang.status()?.success(), "clang");
    let object = object.display().to_string();
    hosts.router.ip(&["link", "set", "lan0", "xdpdrv", "obj", &object, "sec", "xdp"])?;
    let router = hosts.start()?;
    let failed = router.await_port("lan0", LinkState::Failed)?;
    ensure!(failed.message.contains("alien_prog"), "{failed:?}");
    // The other port is not held up by it.
    router.await_port("wan0", LinkState::Up)?;
    let shown = router.router.ip(&["link", "show", "lan0"])?;
    ensure!(shown.contains("xdp"), "it was taken away: {shown}");
    router.router.ip(&["link", "set", "lan0", "xdpdrv", "off"])?;
    router.await_port("lan0", LinkState::Up)?;
    router.ready()
}

/// Network namespaces whose names begin with `prefix`.
fn namespaces(prefix: &str) -> Result<Vec<String>> {
    let all = Command::new("ip").args(["netns", "list"]).output()?;
    let names = String::from_utf8_lossy(&all.stdout).lines().map(str::to_owned).collect::<Vec<_>>();
    Ok(names.into_iter().filter(|name| name.starts_with(prefix)).collect())
}

#[test]
fn the_demo_refuses_a_file_of_routes_with_its_line_at_once() -> Result<()> {
    require_lab_with_xdp!();
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), "203.0.113.0/24 1\n203.0.113.1/24 1\n")?;
    let began = Instant::now();
    let output = Command::new(Binaries::new(None).find("ze")?)
        .args(["demo", "--quick", "--quiet", "--routes"])
        .arg(file.path())
        .output()?;
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    ensure!(!output.status.success() && said.contains(":2: 203.0.113.1/24 has host bits set"), "{said}");
    // A table that does not come is waited for a minute.
    ensure!(began.elapsed() < PATIENCE, "after {:?}", began.elapsed());
    Ok(())
}

#[test]
fn the_demo_leaves_nothing_behind_after_ctrl_c_and_after_kill_9() -> Result<()> {
    require_lab_with_xdp!();
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let mut demo = Command::new(Binaries::new(None).find("ze")?)
            .args(["demo", "--quick", "--quiet"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()?;
        let prefix = format!("ze-demo-{}", demo.id());
        let busy = wait_until(PATIENCE, "the demo's daemons", || {
            namespaces(&prefix).is_ok_and(|names| names.iter().any(|name| name.contains("punt")))
        });
        kill(Pid::from_raw(demo.id() as i32), signal)?;
        demo.wait()?;
        busy?;
        wait_until(PATIENCE, "the demo's namespaces to go", || {
            namespaces(&prefix).is_ok_and(|names| names.is_empty())
        })?;
        // The reaper goes last.
        let processes = || Command::new("pgrep").args(["-f", &prefix]).output().map(|found| found.stdout);
        wait_until(PATIENCE, "the demo's processes to go", || {
            processes().is_ok_and(|found| found.is_empty())
        })?;
    }
    Ok(())
}
