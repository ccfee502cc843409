use std::fs;

use ze_proto::v1::{
    DropStats, FibState, Info, LawTerms, LinkState, NamedCounter, NeighborEntry, PortState, PuntStats,
    QueueStats, Stats, WorkerStats,
};

use super::dataplane::Dataplane;
use super::machine::Machine;
use super::{Finding, Severity, offloads, page};
use crate::output::Paint;

fn of<'a>(findings: &'a [Finding], check: &str) -> Vec<&'a Finding> {
    findings.iter().filter(|f| f.check == check).collect()
}

fn severity(findings: &[Finding], check: &str) -> Severity {
    of(findings, check)
        .first()
        .map(|f| f.severity)
        .unwrap_or_else(|| panic!("no finding of {check}: {findings:?}"))
}

fn machine() -> Machine {
    Machine {
        kernel: "6.1.0-18-amd64".into(),
        btf: true,
        bpf_jit: Some(1),
        huge_pages: 64,
        huge_pages_free: 64,
        huge_page_bytes: 2 << 20,
        processors: 4,
        clock_source: "tsc".into(),
        locked_memory_bytes: None,
        capabilities: Some(u64::MAX),
        same_network: Some(true),
    }
}

fn info() -> Info {
    Info {
        version: env!("CARGO_PKG_VERSION").into(),
        umem_pages: "2 MiB huge pages".into(),
        umem_bytes: 32 << 20,
        worker_cores: vec![1, 2],
        ..Info::default()
    }
}

#[test]
fn a_good_machine_has_nothing_but_ok() {
    let findings = machine().findings(Some(&info()));
    assert!(findings.iter().all(|f| f.severity == Severity::Ok && f.advice.is_none()), "{findings:#?}");
    assert_eq!(findings.len(), 7);
}

#[test]
fn each_fact_that_is_wrong_is_found() {
    let plain = Info { umem_pages: "plain pages".into(), ..info() };
    for (machine, info, check, expected) in [
        (Machine { kernel: "5.4.0".into(), ..machine() }, info(), "kernel", Severity::Error),
        (Machine { kernel: String::new(), ..machine() }, info(), "kernel", Severity::Error),
        (Machine { btf: false, ..machine() }, info(), "btf", Severity::Warning),
        (Machine { bpf_jit: Some(0), ..machine() }, info(), "bpf_jit", Severity::Warning),
        (Machine { bpf_jit: Some(2), ..machine() }, info(), "bpf_jit", Severity::Note),
        (machine(), plain, "huge_pages", Severity::Warning),
        (Machine { processors: 2, ..machine() }, info(), "cores", Severity::Note),
        (Machine { clock_source: "hpet".into(), ..machine() }, info(), "clock", Severity::Note),
    ] {
        let findings = machine.findings(Some(&info));
        assert_eq!(severity(&findings, check), expected, "{findings:#?}");
        assert!(of(&findings, check)[0].advice.is_some(), "{check} has no advice");
    }
}

#[test]
fn the_kernel_is_old_below_5_10_and_not_from_there_on() {
    for (kernel, expected) in [("5.9.16", Severity::Error), ("5.10", Severity::Ok), ("6.0-rc1", Severity::Ok)]
    {
        let machine = Machine { kernel: kernel.into(), ..machine() };
        assert_eq!(severity(&machine.findings(None), "kernel"), expected, "{kernel}");
    }
}

#[test]
fn locked_memory_matters_only_below_the_need_and_without_the_capability() {
    let need = info().umem_bytes;
    for (limit, capabilities, expected) in [
        (Some(need - 1), 0, Severity::Warning),
        (Some(need), 0, Severity::Ok),
        (Some(need - 1), 1 << 14, Severity::Ok),
        (None, 0, Severity::Ok),
    ] {
        let machine = Machine { locked_memory_bytes: limit, capabilities: Some(capabilities), ..machine() };
        assert_eq!(severity(&machine.findings(Some(&info())), "memlock"), expected, "{limit:?}");
    }
    assert!(of(&Machine { capabilities: None, ..machine() }.findings(Some(&info())), "memlock").is_empty());
}

#[test]
fn facts_are_read_from_files() {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("proc/sys/kernel/osrelease", "6.1.2\n"),
        ("proc/sys/net/core/bpf_jit_enable", "1\n"),
        (
            "proc/meminfo",
            "MemTotal: 1 kB\nHugePages_Total:      12\nHugePages_Free:        3\nHugepagesize:       2048 kB\n",
        ),
        ("proc/cpuinfo", "processor\t: 0\nflags: x\nprocessor\t: 1\n"),
        (
            "proc/77/limits",
            "Limit  Soft  Hard  Units\nMax locked memory         8388608              8388608              bytes\n",
        ),
        ("proc/77/status", "Name:\tze\nCapEff:\t0000000000004000\n"),
        ("sys/kernel/btf/vmlinux", ""),
        ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
    ] {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let expected = Machine {
        kernel: "6.1.2".into(),
        huge_pages: 12,
        huge_pages_free: 3,
        processors: 2,
        locked_memory_bytes: Some(8 << 20),
        capabilities: Some(1 << 14),
        same_network: None,
        ..machine()
    };
    assert_eq!(Machine::read(root.path(), Some(77)), expected);
    let nothing = Machine::read(&root.path().join("nowhere"), Some(77));
    assert_eq!((nothing.btf, nothing.bpf_jit, nothing.capabilities), (false, None, None));
}

/// Two samples of one worker, the second changed.
fn dataplane(change: impl Fn(&mut WorkerStats)) -> Dataplane {
    let worker = WorkerStats {
        pinned: true,
        pool_free: 100,
        law: Some(LawTerms { rx: 9000, tx: 9000, ..LawTerms::default() }),
        queues: vec![QueueStats { port: "lan".into(), ..QueueStats::default() }],
        ..WorkerStats::default()
    };
    let mut later = worker.clone();
    change(&mut later);
    let stats = |worker| Stats { workers: vec![worker], ..Stats::default() };
    Dataplane {
        info: info(),
        earlier: stats(worker),
        stats: stats(later),
        neighbors: vec![],
        fib: FibState::default(),
    }
}

fn with_ports(ports: Vec<PortState>) -> Vec<Finding> {
    let mut dataplane = dataplane(|_| {});
    dataplane.stats.ports = ports;
    dataplane.findings()
}

fn port() -> PortState {
    PortState {
        name: "lan".into(),
        device: "eth1".into(),
        state: LinkState::Up.into(),
        driver: "ice".into(),
        attach_mode: "native".into(),
        bind_modes: vec!["zero-copy".into()],
        ..PortState::default()
    }
}

#[test]
fn a_healthy_data_plane_has_nothing_but_ok() {
    let findings = with_ports(vec![port()]);
    assert!(findings.iter().all(|f| f.severity == Severity::Ok), "{findings:#?}");
}

#[test]
fn troubles_of_workers_are_found() {
    type Change = fn(&mut WorkerStats);
    let cases: [(Change, &str, Severity); 7] = [
        (|w| w.pinned = false, "worker", Severity::Warning),
        (|w| w.pool_free = 0, "pool", Severity::Error),
        (|w| w.law = Some(LawTerms { rx: 20_000, tx: 9000, ..LawTerms::default() }), "law", Severity::Error),
        (|w| w.queues[0].fill_starved = 1, "fill_starved", Severity::Error),
        (|w| w.queues[0].errors = 1, "ring", Severity::Warning),
        (
            |w| w.drops.push(DropStats { reason: "pool_empty".into(), packets: 1, ..DropStats::default() }),
            "drops",
            Severity::Warning,
        ),
        (|w| w.punts.push(PuntStats { policed: 1, ..PuntStats::default() }), "policer", Severity::Note),
    ];
    for (change, check, expected) in cases {
        let findings = dataplane(change).findings();
        assert_eq!(severity(&findings, check), expected, "{findings:#?}");
    }
}

#[test]
fn starvation_and_shortages_of_the_past_are_only_notes() {
    let change = |w: &mut WorkerStats| {
        w.queues[0].fill_starved = 5;
        w.drops.push(DropStats { reason: "tx_ring_full".into(), packets: 9, ..DropStats::default() });
        w.drops.push(DropStats { reason: "no_route".into(), packets: 9, ..DropStats::default() });
    };
    let mut dataplane = dataplane(change);
    dataplane.earlier = dataplane.stats.clone();
    let findings = dataplane.findings();
    assert_eq!(
        (severity(&findings, "fill_starved"), severity(&findings, "drops")),
        (Severity::Note, Severity::Note)
    );
    // A destination without a route is no shortage.
    assert_eq!(of(&findings, "drops").len(), 1);
}

#[test]
fn two_workers_on_one_core_are_found() {
    let mut dataplane = dataplane(|_| {});
    let second = WorkerStats { worker: 1, ..dataplane.stats.workers[0].clone() };
    dataplane.stats.workers.push(second);
    let findings = dataplane.findings();
    assert!(of(&findings, "worker")[0].message.starts_with("Workers 0 and 1 share core 0"), "{findings:#?}");
}

#[test]
fn ports_and_their_modes_are_judged() {
    let state = |state: LinkState| PortState { state: state.into(), ..port() };
    for (ports, check, expected) in [
        (state(LinkState::Down), "port", Severity::Warning),
        (state(LinkState::Missing), "port", Severity::Error),
        (state(LinkState::Failed), "port", Severity::Error),
        (PortState { attach_mode: "generic".into(), ..port() }, "xdp_mode", Severity::Warning),
        (
            PortState { bind_modes: vec!["zero-copy".into(), "copy".into()], ..port() },
            "xdp_mode",
            Severity::Warning,
        ),
        (
            PortState { bind_modes: vec!["copy".into()], driver: "veth".into(), ..port() },
            "xdp_mode",
            Severity::Note,
        ),
        (
            PortState {
                xdp: vec![NamedCounter {
                    name: "no_socket_passed".into(),
                    value: 1,
                    ..NamedCounter::default()
                }],
                ..port()
            },
            "no_socket",
            Severity::Note,
        ),
    ] {
        let findings = with_ports(vec![ports]);
        assert_eq!(severity(&findings, check), expected, "{findings:#?}");
    }
}

#[test]
fn a_representor_that_can_not_be_used_is_an_error_with_its_reason_and_cure() {
    let with = |state: LinkState, message: &str| {
        let (name, message) = ("zer91".into(), message.into());
        with_ports(vec![PortState { name, state: state.into(), message, representor: true, ..port() }])
    };
    let why = "its fill rings (1 queues) need 512 frames, and 0 are free for them: start ze-fastpath with --frames 36864";
    let findings = with(LinkState::Failed, why);
    let found = of(&findings, "representor");
    assert_eq!((found.len(), found[0].severity), (1, Severity::Error), "{findings:#?}");
    assert!(found[0].message.contains(why) && found[0].message.contains("zer91"), "{findings:#?}");
    assert!(found[0].advice.as_ref().unwrap().starts_with("Raise --frames"), "{findings:#?}");
    for state in [LinkState::Missing, LinkState::Failed, LinkState::Unspecified] {
        assert_eq!(severity(&with(state, ""), "representor"), Severity::Error, "{state:?}");
    }
    // Down with its interface, which is reported by itself; and its mode is the only one it can have.
    for state in [LinkState::Up, LinkState::Down] {
        assert!(with(state, "").iter().all(|f| f.severity == Severity::Ok), "{state:?}");
    }
}

#[test]
fn versions_warnings_and_silent_neighbours_are_said() {
    let mut dataplane = dataplane(|_| {});
    dataplane.info.version = "0.0.1".into();
    dataplane.info.warnings.push("something fell back".into());
    for last in [7, 8] {
        dataplane.neighbors.push(NeighborEntry {
            state: "failed".into(),
            interface: "lan0".into(),
            address: vec![10, 0, 0, last],
            ..NeighborEntry::default()
        });
    }
    let findings = dataplane.findings();
    assert_eq!(severity(&findings, "version"), Severity::Note);
    assert_eq!(of(&findings, "fastpath")[0].message, "something fell back");
    assert!(of(&findings, "neighbors")[0].message.ends_with("10.0.0.7 on lan0 and 1 more."), "{findings:#?}");
}

#[test]
fn offloads_that_corrupt_are_errors_and_others_are_not() {
    let features = "Features for eth1:\nrx-checksumming: on\ngeneric-receive-offload: on\nlarge-receive-offload: off [fixed]\nrx-vlan-offload: on\ntcp-segmentation-offload: on\n";
    let findings = offloads::harmful("eth1", features);
    let advice: Vec<_> = findings.iter().map(|f| f.advice.clone().unwrap_or_default()).collect();
    assert_eq!(findings.len(), 2, "{findings:#?}");
    assert!(
        advice[0].starts_with("ethtool -K eth1 gro off")
            && advice[1].starts_with("ethtool -K eth1 rxvlan off")
    );
    assert_eq!(offloads::harmful("eth1", "generic-receive-offload: off\n")[0].severity, Severity::Ok);
}

#[test]
fn a_daemon_in_another_namespace_is_said_instead_of_looking_at_foreign_devices() {
    let findings = offloads::findings(&[port()], Some(false));
    assert_eq!((findings.len(), findings[0].severity), (1, Severity::Note));
    let findings = offloads::findings(&[PortState { driver: "veth".into(), ..port() }], Some(false));
    assert_eq!(of(&findings, "checksums").len(), 1);
}

#[test]
fn the_worst_is_first_and_right_things_are_counted() {
    let findings = vec![
        Finding::ok("a", "Good."),
        Finding::new(Severity::Note, "b", "Hm.", ""),
        Finding::new(Severity::Error, "c", "Bad.", "Do this."),
    ];
    let (short, well) = page(findings.clone(), false, Paint { on: false }).unwrap();
    let expected =
        "error    Bad.\n         Do this.\nnote     Hm.\n1 error, 0 warnings, 1 note; 1 check passed.\n";
    assert_eq!((short.text.as_str(), well), (expected, false));
    let (long, _) = page(findings, true, Paint { on: false }).unwrap();
    assert!(long.text.contains("ok       Good."));
    assert_eq!(long.json["errors"], 1);
}
