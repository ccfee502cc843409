//! The daemon as a process, against a fake fast path over a real socket.

mod fake;

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use fake::tables::{Name, Object};
use fake::{Fake, Seen};
use rustix::process::{Pid, Signal, kill_process};
use ze_proto::v1::{LinkState, nexthop::Kind, route::Target};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

fn wait<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A directory with a configuration, a socket, and daemons that die with it.
struct Site {
    dir: tempfile::TempDir,
    child: Option<Child>,
    starts: usize,
}

impl Site {
    fn new(config: &str) -> Self {
        let site = Self { dir: tempfile::tempdir().unwrap(), child: None, starts: 0 };
        site.write(config);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, config: &str) {
        std::fs::write(self.path("ze.conf"), config).unwrap();
    }

    fn fake(&self, instance: u64) -> Fake {
        Fake::start(&self.path("fastpath.sock"), instance)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ze-slowpath"));
        command.env_remove("RUST_LOG").arg("--config").arg(self.path("ze.conf"));
        command.arg("--fastpath").arg(self.path("fastpath.sock")).arg("--run-dir").arg(self.path("run"));
        command
    }

    fn start(&mut self) {
        self.starts += 1;
        let log = File::create(self.path(&format!("log{}", self.starts))).unwrap();
        self.child = Some(self.command().stderr(log).stdin(Stdio::null()).spawn().unwrap());
    }

    /// Log lines of the last start.
    fn log(&self) -> String {
        std::fs::read_to_string(self.path(&format!("log{}", self.starts))).unwrap()
    }

    fn wait_log(&self, words: &str) {
        let start = Instant::now();
        while !self.log().contains(words) {
            assert!(start.elapsed() < PATIENCE, "no \"{words}\" in\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(self.child.as_ref().unwrap());
        kill_process(pid, signal).unwrap();
    }

    fn reload(&self, config: &str) {
        self.write(config);
        self.signal(Signal::HUP);
    }

    fn ended(&mut self) -> ExitStatus {
        let child = self.child.as_mut().unwrap();
        let status = wait("the daemon's end", || child.try_wait().unwrap());
        self.child = None;
        status
    }

    fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended();
    }

    fn resident_kib(&self) -> u64 {
        let pid = self.child.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() && self.starts > 0 {
            eprintln!("--- log of the daemon:\n{}", self.log());
        }
    }
}

const BASE: &str = "interfaces {
    lan0 { device eth1; address 10.0.0.1/24; address 2001:db8:a::1/64; unit 100 { vrf blue; address 10.1.0.1/24; } }
    wan0 { mtu 1400; description Transit; address 192.0.2.2/24; }
    wan1 { address 203.0.113.2/24; }
}
vrf blue { static { route 0.0.0.0/0 { via 10.1.0.254; } } }
static {
    route 0.0.0.0/0 { via 192.0.2.1; via 203.0.113.1 { distance 10; } }
    route 10.8.0.0/16 { via 192.0.2.1; via 203.0.113.1 { weight 2; } }
    route 198.51.100.0/24 { blackhole; }
    route 2001:db8::/32 { reject; }
}
";

/// Objects besides nexthops and groups, whose keys nobody needs to know.
const BASE_PATHS: [&str; 17] = [
    "/system",
    "/vrf[name='blue']",
    "/port[name='lan0']",
    "/port[name='wan0']",
    "/port[name='wan1']",
    "/interface[name='lan0']",
    "/interface[name='lan0.100']",
    "/interface[name='wan0']",
    "/interface[name='wan1']",
    "/interface[name='lan0']/address[.='10.0.0.1/24']",
    "/interface[name='lan0']/address[.='2001:db8:a::1/64']",
    "/interface[name='lan0.100']/address[.='10.1.0.1/24']",
    "/interface[name='wan0']/address[.='192.0.2.2/24']",
    "/interface[name='wan1']/address[.='203.0.113.2/24']",
    "/vrf[name='blue']/route[prefix='0.0.0.0/0']",
    "/vrf[name='default']/route[prefix='0.0.0.0/0']",
    "/vrf[name='default']/route[prefix='10.8.0.0/16']",
];

fn named(paths: Vec<String>) -> Vec<String> {
    paths.into_iter().filter(|path| !path.contains("nexthop")).collect()
}

fn base_paths() -> Vec<String> {
    let more =
        ["198.51.100.0/24", "2001:db8::/32"].map(|p| format!("/vrf[name='default']/route[prefix='{p}']"));
    let mut paths: Vec<_> = BASE_PATHS.iter().map(ToString::to_string).chain(more).collect();
    paths.sort();
    paths
}

fn has_base(fake: &Fake) -> Option<()> {
    let mut paths = named(fake.state().paths());
    paths.sort();
    (paths == base_paths()).then_some(())
}

/// A daemon and a fake that agree on [`BASE`]; what has been seen so far is forgotten.
fn settled() -> (Site, Fake) {
    let mut site = Site::new(BASE);
    let fake = site.fake(1);
    site.start();
    wait("the base", || has_base(&fake));
    site.wait_log("fast path synchronized");
    fake.state().seen.clear();
    (site, fake)
}

/// What has been seen of the configuration's owner. The feed of files comes and ends when it likes.
fn seen(fake: &Fake) -> Vec<Seen> {
    let is_of_files = |seen: &&Seen| match seen {
        Seen::Hello { owner, .. } | Seen::End { owner, .. } | Seen::Audit { owner, .. } => owner == "table",
        Seen::Put(_) | Seen::Delete(_) | Seen::Verify => false,
    };
    let state = fake.state();
    let seen = state.seen.iter().filter(|seen| !is_of_files(seen) && **seen != Seen::Verify);
    seen.cloned().collect()
}

fn end(owner: &str, swept: u64) -> Seen {
    Seen::End { owner: owner.into(), swept }
}

fn audit(found: u64) -> Seen {
    Seen::Audit { owner: "slowpath".into(), found }
}

fn default_route(fake: &Fake) -> Option<String> {
    let state = fake.state();
    let route = Name::Route("default".into(), vec![0; 4], 0);
    let Object::Route(Some(Target::Nexthop(key))) = state.tables.object(&route)? else { return None };
    match state.tables.object(&Name::Nexthop(*key))? {
        Object::Nexthop(Some(Kind::Gateway(gateway)), _) => Some(gateway.interface.clone()),
        _ => None,
    }
}

#[test]
fn the_fast_path_gets_everything_in_order_and_nothing_is_refused() {
    let (site, fake) = settled();
    let state = fake.state();
    let Some(Object::Interface(wan0)) = state.tables.object(&Name::Interface("wan0".into())) else {
        panic!()
    };
    assert_eq!((wan0.mtu, wan0.vlan, wan0.description.as_str()), (1400, 0, "Transit"));
    let Some(Object::Interface(unit)) = state.tables.object(&Name::Interface("lan0.100".into())) else {
        panic!()
    };
    assert_eq!((unit.port.as_str(), unit.vlan, unit.vrf.as_str()), ("lan0", 100, "blue"));
    let Some(Object::Port(lan0)) = state.tables.object(&Name::Port("lan0".into())) else { panic!() };
    assert_eq!(lan0.device, "eth1");
    let groups = state.tables.objects.values().filter_map(|o| match &o.object {
        Object::Group(members) => Some(members.iter().map(|m| m.weight).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(groups.collect::<Vec<_>>(), [[1, 2]]);
    assert!(state.tables.objects.values().all(|owned| owned.owner == "slowpath" && !owned.stale));
    drop(state);
    assert!(!site.log().contains("refused by"), "{}", site.log());
    assert_eq!(default_route(&fake).as_deref(), Some("wan0"));
}

#[test]
fn a_fast_path_that_comes_late_is_waited_for_and_its_absence_is_said_once() {
    let mut site = Site::new(BASE);
    site.start();
    site.wait_log("no fast path");
    assert!(site.log().contains("fastpath.sock does not exist: is ze-fastpath running?"), "{}", site.log());
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(site.log().matches("no fast path").count(), 1, "{}", site.log());
    let fake = site.fake(1);
    wait("the base", || has_base(&fake));
}

#[test]
fn a_fast_path_that_restarts_gets_everything_again() {
    let (site, fake) = settled();
    drop(fake);
    let fake = site.fake(2);
    wait("the base", || has_base(&fake));
    wait("the end of the snapshot", || seen(&fake).contains(&end("slowpath", 0)).then_some(()));
    assert_eq!(seen(&fake)[0], Seen::Hello { owner: "slowpath".into(), snapshot: true });
    site.wait_log("instance=2");
}

#[test]
fn a_killed_daemon_leaves_the_tables_and_the_next_one_sweeps_only_what_is_stale() {
    let (mut site, fake) = settled();
    site.kill();
    has_base(&fake).expect("the tables outlive the daemon");
    // While nobody looks, wan1 goes, and lan0's unit moves to another VLAN.
    let config = BASE
        .replace("    wan1 { address 203.0.113.2/24; }\n", "")
        .replace(" via 203.0.113.1 { distance 10; }", "")
        .replace(" via 203.0.113.1 { weight 2; }", "")
        .replace("unit 100 {", "unit 100 { vlan 7;");
    site.write(&config);
    let before = fake.state().tables.objects.len();
    site.start();
    wait("the end of the snapshot", || seen(&fake).into_iter().find(|s| matches!(s, Seen::End { .. })));
    // The port, its interface, its address, the group, its two members, the backup of each, and the nexthop that had
    // one of these as its backup. A nexthop without a backup has come.
    wait("the sweep", || seen(&fake).contains(&end("slowpath", 9)).then_some(()));
    wait("convergence", || (fake.state().tables.objects.len() == before - 8).then_some(()));
    assert!(!fake.state().paths().iter().any(|path| path.contains("wan1")));
    wait("the VLAN", || match fake.state().tables.object(&Name::Interface("lan0.100".into())) {
        Some(Object::Interface(unit)) if unit.vlan == 7 => Some(()),
        _ => None,
    });
    let deleted_routes =
        seen(&fake).into_iter().filter(|s| matches!(s, Seen::Delete(p) if p.contains("route")));
    // Only the route over the unit that became another one.
    let expected = Seen::Delete("/vrf[name='blue']/route[prefix='0.0.0.0/0']".into());
    assert_eq!(deleted_routes.collect::<Vec<_>>(), [expected]);
    assert!(!site.log().contains("REASON_UNKNOWN_REFERENCE"));
}

#[test]
fn sighup_applies_the_difference_and_only_that() {
    let (site, fake) = settled();
    let config = BASE.replace("description Transit", "description \"Transit A\"").replace(
        "route 2001:db8::/32 { reject; }",
        "route 10.9.0.0/16 { blackhole; }\n route 10.10.0.0/16 { via 192.0.2.1; }",
    );
    site.reload(&config);
    site.wait_log("reload: 1 interface changed, 2 routes added, 1 removed");
    let expected = [
        Seen::Delete("/vrf[name='default']/route[prefix='2001:db8::/32']".into()),
        Seen::Put("/interface[name='wan0']".into()),
        Seen::Put("/vrf[name='default']/route[prefix='10.9.0.0/16']".into()),
        Seen::Put("/vrf[name='default']/route[prefix='10.10.0.0/16']".into()),
    ];
    wait("the difference", || (seen(&fake).len() > 5).then_some(()));
    let mut got = seen(&fake);
    // The reject nexthop goes last, and one without a backup comes before its route; keys are nobody's business.
    assert!(matches!(got.pop(), Some(Seen::Delete(path)) if path.starts_with("/nexthop")));
    assert!(matches!(got.remove(2), Seen::Put(path) if path.starts_with("/nexthop")));
    assert_eq!(got, expected);
    site.reload(&config);
    site.wait_log("reload: nothing changed");
    assert_eq!(seen(&fake).len(), 6);
}

#[test]
fn a_leak_comes_after_its_vrf_and_goes_before_it() {
    let (site, fake) = settled();
    let leaks = BASE.replace(
        "vrf blue { static {",
        "vrf red { static { route ::/0 { lookup-vrf blue { distance 7; } } } }
         vrf blue { static { route 2001:db8:7::/48 { lookup-vrf default; }",
    );
    site.reload(&leaks);
    site.wait_log("reload: 1 VRF added, 2 routes added");
    let leads_to = |vrf: &str| {
        let is =
            |object: &Object| matches!(object, Object::Nexthop(Some(Kind::LookupVrf(to)), None) if to == vrf);
        fake.state().tables.objects.values().any(|owned| is(&owned.object))
    };
    wait("both leaks", || (leads_to("blue") && leads_to("default")).then_some(()));
    // What is wrong is refused with its line, and a circle is wrong.
    site.reload(&leaks.replace("route ::/0 { lookup-vrf blue", "route ::/0 { lookup-vrf bleu"));
    site.wait_log("there is no VRF bleu; did you mean blue?");
    site.reload(
        &leaks.replace("route 2001:db8::/32 { reject; }", "route 2001:db8:7::/48 { lookup-vrf blue; }"),
    );
    site.wait_log("packets would go in a circle, from VRF blue to default to blue");
    site.reload(BASE);
    wait("the base", || has_base(&fake));
    wait("the leaks to go", || (!leads_to("blue") && !leads_to("default")).then_some(()));
    assert!(!site.log().contains("the fast path refuses"), "{}", site.log());
}

#[test]
fn an_interface_that_becomes_another_takes_no_route_with_it_that_it_was_only_the_backup_of() {
    let (site, fake) = settled();
    // wan1 is behind the default route; it moves to another VLAN of another port.
    site.reload(&BASE.replace("    wan1 { address", "    wan1 { device eth9; address"));
    site.wait_log("reload: 1 port changed");
    wait("the device", || match fake.state().tables.object(&Name::Port("wan1".into())) {
        Some(Object::Port(port)) if port.device == "eth9" => Some(()),
        _ => None,
    });
    let is_armed = || {
        let state = fake.state();
        let route = Name::Route("default".into(), vec![0; 4], 0);
        let Some(Object::Route(Some(Target::Nexthop(key)))) = state.tables.object(&route) else {
            return None;
        };
        matches!(state.tables.object(&Name::Nexthop(*key)), Some(Object::Nexthop(_, Some(_)))).then_some(())
    };
    wait("the backup to be armed again", is_armed);
    let deleted = Seen::Delete("/vrf[name='default']/route[prefix='0.0.0.0/0']".into());
    assert!(!seen(&fake).contains(&deleted), "{:?}", seen(&fake));
    assert!(!site.log().contains("the fast path refuses"), "{}", site.log());
}

#[test]
fn a_bad_configuration_is_refused_with_its_line_and_changes_nothing() {
    let (site, fake) = settled();
    site.reload(&BASE.replace("mtu 1400", "mtu 14000"));
    site.wait_log("reload refused, the running state is untouched");
    site.wait_log("ze.conf:3:16: interfaces wan0 mtu: an MTU is 68 to 9000 bytes");
    assert!(seen(&fake).is_empty());
    has_base(&fake).unwrap();
    // And the daemon is well.
    site.reload(&BASE.replace("mtu 1400", "mtu 1300"));
    wait("the change", || (seen(&fake) == [Seen::Put("/interface[name='wan0']".into())]).then_some(()));
}

#[test]
fn what_the_fast_path_would_refuse_is_refused_as_a_whole_with_its_line() {
    let (site, fake) = settled();
    let route = |a: u8, b: u8, c: u8, len| Name::Route("default".into(), vec![a, b, c, 0], len);
    fake.state().verify_refuses = vec![Name::Interface("wan1".into()), route(198, 51, 100, 24)];
    site.reload(&BASE.replace("mtu 1400", "mtu 1300"));
    site.wait_log("reload refused");
    site.wait_log(
        "ze.conf:4:5: interfaces wan1: the fast path refuses /interface[name='wan1']: the table is full",
    );
    let route_line =
        "ze.conf:10:11: static route 198.51.100.0/24: the fast path refuses /vrf[name='default']/route";
    assert!(site.log().contains(route_line), "{}", site.log());
    assert!(seen(&fake).is_empty());
    fake.state().verify_refuses.clear();
    site.reload(&BASE.replace("mtu 1400", "mtu 1300"));
    wait("the change", || (seen(&fake) == [Seen::Put("/interface[name='wan0']".into())]).then_some(()));
}

#[test]
fn a_refused_object_is_reported_and_tried_until_it_is_accepted_and_the_rest_is_in_force() {
    let mut site = Site::new(BASE);
    let fake = site.fake(1);
    let route = Name::Route("default".into(), vec![198, 51, 100, 0], 24);
    fake.state().tables.refused = vec![route.clone()];
    site.start();
    site.wait_log("refused by the fast path: the table is full");
    wait("the rest", || (named(fake.state().paths()).len() == base_paths().len() - 1).then_some(()));
    let attempts =
        || fake.state().seen.iter().filter(|s| matches!(s, Seen::Put(p) if p.contains("198.51.100"))).count();
    let before = attempts();
    wait("another attempt", || (attempts() > before).then_some(()));
    assert_eq!(site.log().matches("refused by the fast path").count(), 1, "a lasting refusal is told once");
    fake.state().tables.refused.clear();
    wait("the base", || has_base(&fake));
    site.wait_log("accepted by the fast path after all");
}

#[test]
fn a_link_that_goes_down_moves_traffic_to_the_backup_and_back() {
    let (_site, fake) = settled();
    wait("a watcher", || fake.is_watched().then_some(()));
    fake.port_event("wan0", LinkState::Down);
    wait("the backup", || (default_route(&fake).as_deref() == Some("wan1")).then_some(()));
    fake.port_event("wan1", LinkState::Failed);
    wait("no way out", || default_route(&fake).is_none().then_some(()));
    fake.port_event("wan1", LinkState::Up);
    fake.port_event("wan0", LinkState::Up);
    wait("the first choice", || (default_route(&fake).as_deref() == Some("wan0")).then_some(()));
    wait("the base", || has_base(&fake));
}

/// `count` blackhole routes in 100.64.0.0/10 and up.
fn many(count: u32, discard: &str) -> String {
    let route = |n: u32| {
        let prefix = std::net::Ipv4Addr::from(0x6440_0000 + (n << 8));
        format!("route {prefix}/24 {{ {discard}; }}\n")
    };
    format!("static {{ {} }}\n", (0..count).map(route).collect::<String>())
}

#[test]
fn while_the_fast_path_stalls_memory_is_bounded_and_afterwards_the_newest_counts() {
    const ROUTES: u32 = 40_000;
    const ROUNDS: usize = 12;
    let mut site = Site::new("");
    let fake = site.fake(1);
    site.start();
    site.wait_log("fast path synchronized");
    // The widest state once, so that what follows is not the first of its size.
    site.reload(&many(ROUTES, "blackhole"));
    wait("the routes", || (fake.state().paths().len() > ROUTES as usize).then_some(()));
    fake.stall(true);
    let reload = |round: usize| {
        let discard = if round.is_multiple_of(2) { "reject" } else { "prohibit" };
        site.reload(&many(ROUTES, discard));
        wait("the reload", || (site.log().matches("reload:").count() == round + 2).then_some(()));
        site.resident_kib()
    };
    // The largest of the first, whatever of a reload was not given back yet when it was looked at.
    let before = (0..3).map(reload).max().unwrap_or_default();
    for round in 3..ROUNDS {
        reload(round);
    }
    let waiting = fake.state().waiting;
    assert!(waiting <= 4 * 4096, "{waiting} operations are unacknowledged");
    // One more state of this size is 10 MiB, so those of the nine reloads since would be 90 MiB, and stay there. The allocator
    // reaches its height sooner or later: up to 30 MiB were seen after the third.
    let bound = before + (45 << 10);
    wait("no more memory than before", || (site.resident_kib() < bound).then_some(()));
    fake.stall(false);
    let prohibit = |fake: &Fake| {
        let state = fake.state();
        let kinds = state.tables.objects.values().filter_map(|o| match &o.object {
            Object::Nexthop(kind, _) => kind.clone(),
            _ => None,
        });
        kinds.collect::<Vec<_>>()
    };
    wait("the newest", || matches!(prohibit(&fake)[..], [Kind::Prohibit(_)]).then_some(()));
}

#[test]
fn a_reload_without_fast_path_is_applied_when_it_comes() {
    let (site, fake) = settled();
    drop(fake);
    site.reload(&BASE.replace("mtu 1400", "mtu 1300"));
    site.wait_log("the configuration is not verified");
    site.wait_log("reload: 1 interface changed");
    let fake = site.fake(2);
    wait("the change", || match fake.state().tables.object(&Name::Interface("wan0".into())) {
        Some(Object::Interface(wan0)) if wan0.mtu == 1300 => Some(()),
        _ => None,
    });
}

#[test]
fn the_daemon_ends_in_order_and_the_fast_path_goes_on() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut site, fake) = settled();
        site.signal(signal);
        assert!(site.ended().success());
        assert!(site.log().contains("the fast path goes on forwarding"));
        has_base(&fake).unwrap();
        assert!(seen(&fake).is_empty());
    }
}

#[test]
fn a_daemon_whose_log_nobody_reads_any_more_lives_on_and_ends_in_order() {
    let mut site = Site::new(BASE);
    let fake = site.fake(1);
    let (reader, log) = std::io::pipe().unwrap();
    drop(reader);
    site.child = Some(site.command().stderr(log).stdin(Stdio::null()).spawn().unwrap());
    wait("the base", || has_base(&fake));
    // Each of these is logged.
    site.reload("nonsense");
    site.reload(&BASE.replace("mtu 1400", "mtu 1300"));
    wait("the new MTU", || match fake.state().tables.object(&Name::Interface("wan0".into())) {
        Some(Object::Interface(wan0)) if wan0.mtu == 1300 => Some(()),
        _ => None,
    });
    site.signal(Signal::TERM);
    assert!(site.ended().success());
}

#[test]
fn what_check_says_to_nobody_is_in_its_exit_status() {
    let site = Site::new(BASE);
    let status = |arguments: &[&str]| {
        let (reader, nobody) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = site.command();
        command.args(arguments).stdout(nobody.try_clone().unwrap()).stderr(nobody);
        command.status().unwrap().code()
    };
    assert_eq!(status(&["--check"]), Some(0));
    site.write("nonsense");
    assert_eq!(status(&["--check"]), Some(1));
    assert_eq!(status(&[]), Some(1));
}

fn output(site: &Site, extra: &[&str]) -> (bool, String, String) {
    let Output { status, stdout, stderr } = site.command().args(extra).output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_daemon_does_not_start_with_a_bad_configuration_and_says_where() {
    let site = Site::new("interfaces {\n  lan0 { mtu x; }\n  bogus key;\n}\n");
    let (success, _, stderr) = output(&site, &[]);
    assert!(!success);
    assert!(
        stderr.contains("ze.conf:2:14: interfaces lan0 mtu:") && stderr.contains("ze.conf:3:9:"),
        "{stderr}"
    );
    std::fs::remove_file(site.path("ze.conf")).unwrap();
    let (success, _, stderr) = output(&site, &[]);
    assert!(!success && stderr.contains("ze.conf: No such file"), "{stderr}");
}

#[test]
fn check_says_ok_or_what_is_wrong_and_takes_no_lock() {
    let (site, _fake) = settled();
    assert_eq!(output(&site, &["--check"]), (true, "OK\n".into(), String::new()));
    site.write("static {\n route 10.0.0.0/8 { via 192.0.2.1; }\n}");
    let (success, stdout, stderr) = output(&site, &["--check"]);
    assert!(success && stdout == "OK\n");
    assert!(
        stderr.starts_with("warning: ") && stderr.contains("ze.conf:2:8: static route 10.0.0.0/8: inactive"),
        "{stderr}"
    );
    site.write("static {\n route 10.0.0.0/8 { via nowhere; }\n}");
    let (success, stdout, stderr) = output(&site, &["--check"]);
    assert!(!success && stdout.is_empty() && stderr.contains(":2:25:"), "{stderr}");
    // Files of routes are looked into, as a reload does.
    for (text, wrong) in [(Some("10.9.9.1/24 0\n"), "routes.txt:1: "), (None, "No such file")] {
        let file = site.path("routes.txt");
        match text {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        site.write(&with_file(&file));
        let (success, stdout, stderr) = output(&site, &["--check"]);
        assert!(!success && stdout.is_empty(), "{stderr}");
        assert!(stderr.contains("ze.conf:") && stderr.contains(wrong), "{stderr}");
    }
}

#[test]
fn a_change_says_when_it_was_decided_and_what_is_tried_again_does_not() {
    let (site, fake) = settled();
    let route = Name::Route("default".into(), vec![198, 18, 0, 0], 15);
    {
        let mut state = fake.state();
        state.tables.refused = vec![route];
        state.decided.clear();
        assert_eq!(state.refused.get("slowpath"), Some(&0));
    }
    let before = monotonic_ns();
    site.write(&BASE.replace("static {\n", "static {\n    route 198.18.0.0/15 { via 192.0.2.1; }\n"));
    site.signal(Signal::HUP);
    let told = wait("a second try", || {
        let own: Vec<_> =
            fake.state().decided.iter().filter(|(owner, _)| owner == "slowpath").cloned().collect();
        (own.len() > 1).then_some(own)
    });
    assert!((before..monotonic_ns()).contains(&told[0].1), "{told:?}, since {before}");
    assert_eq!(told[1].1, 0, "nobody has decided anything: {told:?}");
    wait("a message that knows", || (fake.state().refused.get("slowpath") == Some(&1)).then_some(()));
    fake.state().tables.refused.clear();
    site.wait_log("accepted by the fast path after all");
    wait("a message that knows", || (fake.state().refused.get("slowpath") == Some(&0)).then_some(()));
}

fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[test]
fn a_second_daemon_is_refused_with_the_process_of_the_first() {
    let (site, _fake) = settled();
    let (success, _, stderr) = output(&site, &[]);
    let pid = site.child.as_ref().unwrap().id();
    assert!(
        !success && stderr.contains(&format!("ze-slowpath runs already: process {pid} holds")),
        "{stderr}"
    );
}

#[test]
fn without_privilege_the_daemon_runs_and_says_that_the_socket_is_closed_to_it() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can start a process of another user");
        return;
    }
    use std::os::unix::fs::PermissionsExt as _;
    const NOBODY: u32 = 65534;
    let mut site = Site::new(BASE);
    std::fs::set_permissions(site.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(site.path("run")).unwrap();
    std::os::unix::fs::chown(site.path("run"), Some(NOBODY), None).unwrap();
    let binary = site.path("ze-slowpath");
    std::fs::copy(env!("CARGO_BIN_EXE_ze-slowpath"), &binary).unwrap();
    let _fake = site.fake(1);
    std::fs::set_permissions(site.path("fastpath.sock"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let log = File::create(site.path("log1")).unwrap();
    site.starts = 1;
    let mut command = Command::new(binary);
    command.args(site.command().get_args()).env_remove("RUST_LOG").stderr(log).uid(NOBODY).gid(NOBODY);
    site.child = Some(command.spawn().unwrap());
    site.wait_log("permission denied; run as root or as a member of the group that owns the socket");
    site.signal(Signal::TERM);
    assert!(site.ended().success());
    // Where the lock can not be, that is said.
    let mut command = Command::new(site.path("ze-slowpath"));
    let output = command
        .arg("--config")
        .arg(site.path("ze.conf"))
        .arg("--run-dir")
        .arg(site.path("closed"))
        .uid(NOBODY);
    let stderr = String::from_utf8(output.output().unwrap().stderr).unwrap();
    assert!(stderr.contains("can not make") && stderr.contains("--run-dir"), "{stderr}");
}

#[test]
fn what_was_taken_or_changed_behind_our_back_is_found_by_an_audit_and_healed() {
    let (site, fake) = settled();
    wait("a watcher", || fake.is_watched().then_some(()));
    let before = fake.state().tables.objects.clone();
    fake.want_audit();
    wait("an audit", || seen(&fake).contains(&audit(0)).then_some(()));
    {
        let mut state = fake.state();
        let route = |n: u8, len| Name::Route("default".into(), vec![n, 0, 0, 0], len);
        assert!(state.tables.objects.remove(&route(0, 0)).is_some(), "the default route");
        let group = before.iter().find(|(name, _)| matches!(name, Name::Group(_))).unwrap().0.clone();
        let Some(owned) = state.tables.objects.get_mut(&group) else { panic!("no group") };
        let Object::Group(members) = &mut owned.object else { panic!("no members") };
        members[0].weight = 9;
    }
    fake.want_audit();
    wait("an audit that finds both", || seen(&fake).contains(&audit(2)).then_some(()));
    assert_eq!(fake.state().tables.objects, before);
    site.wait_log("audit: healed");
}

/// [`BASE`] with a file of routes.
fn with_file(file: &Path) -> String {
    let table = format!("\nstatic {{\n    table \"{}\" {{ via 192.0.2.1; }}\n", file.display());
    BASE.replace("\nstatic {\n", &table)
}

fn route_path(prefix: &str) -> String {
    format!("/vrf[name='default']/route[prefix='{prefix}']")
}

/// Routes of files.
fn of_table(fake: &Fake) -> Vec<String> {
    let state = fake.state();
    let own = state.tables.objects.iter().filter(|(_, owned)| owned.owner == "table");
    own.map(|(name, _)| fake::tables::path(name)).filter(|path| path.contains("route")).collect()
}

#[test]
fn a_file_of_routes_is_brought_by_an_owner_of_its_own_and_follows_the_file() {
    let (site, fake) = settled();
    let file = site.path("table.txt");
    let table = |text: &str| std::fs::write(&file, text).unwrap();
    table("203.0.113.0/25 0\n203.0.113.128/25 1\n2001:db8:77::/48 5\n");
    let with_file = with_file(&file);
    site.reload(&with_file);
    let four = [route_path("203.0.113.0/25"), route_path("203.0.113.128/25")];
    wait("the file's IPv4 routes", || (of_table(&fake) == four).then_some(()));
    site.wait_log("no gateway of their family is configured");
    // A file that makes no sense is refused with its line, and what was there stays.
    table("203.0.113.1/24 0\n");
    site.reload(&with_file);
    site.wait_log("table.txt:1: 203.0.113.1/24 has host bits set");
    assert_eq!(of_table(&fake), four);
    // The same name, other contents.
    table("203.0.113.128/25 1\n198.51.100.128/25 0\n");
    site.reload(&with_file);
    let two = [route_path("198.51.100.128/25"), route_path("203.0.113.128/25")];
    wait("the file's new routes", || (of_table(&fake) == two).then_some(()));
    // What is refused is counted as long as it is wanted.
    let refused = || fake.state().refused.get("table").copied();
    assert_eq!(refused(), Some(0));
    fake.state().tables.refused = vec![Name::Route("default".into(), vec![203, 0, 113, 64], 26)];
    table("203.0.113.64/26 0\n198.51.100.128/25 0\n");
    site.reload(&with_file);
    wait("a message that knows", || (refused() == Some(1)).then_some(()));
    site.reload(BASE);
    wait("no routes of the file", || of_table(&fake).is_empty().then_some(()));
    wait("a message that knows", || (refused() == Some(0)).then_some(()));
}

/// A daemon that is started again, and what the fake has seen of files' routes since: puts, deletions, ends.
fn restarted(site: &mut Site, fake: &Fake, meanwhile: impl FnOnce(&Site)) {
    site.kill();
    meanwhile(site);
    fake.state().seen.clear();
    site.start();
    let hello = Seen::Hello { owner: "table".into(), snapshot: true };
    wait("the feed of files", || fake.state().seen.contains(&hello).then_some(()));
    site.wait_log("fast path synchronized");
}

fn ends_of_files(fake: &Fake) -> Vec<u64> {
    let of_files = |seen: &Seen| match seen {
        Seen::End { owner, swept } if owner == "table" => Some(*swept),
        _ => None,
    };
    fake.state().seen.iter().filter_map(of_files).collect()
}

#[test]
fn a_restart_sweeps_routes_of_files_once_the_files_are_read_and_not_before() {
    let (mut site, fake) = settled();
    let file = site.path("table.txt");
    std::fs::write(&file, "203.0.113.0/25 0\n203.0.113.128/25 0\n").unwrap();
    site.reload(&with_file(&file));
    let both = [route_path("203.0.113.0/25"), route_path("203.0.113.128/25")];
    wait("the file's routes", || (of_table(&fake) == both).then_some(()));
    // A file that takes its time: a pipe.
    restarted(&mut site, &fake, |_| {
        std::fs::remove_file(&file).unwrap();
        assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    });
    let is_nexthop = |seen: &Seen| matches!(seen, Seen::Put(path) if path.starts_with("/nexthop"));
    wait("a nexthop of files", || {
        let state = fake.state();
        let of_files = state.tables.objects.iter().find(|(_, owned)| owned.owner == "table")?;
        let path = fake::tables::path(of_files.0);
        state.seen.iter().find(|seen| is_nexthop(seen) && **seen == Seen::Put(path.clone())).cloned()
    });
    assert_eq!((of_table(&fake), ends_of_files(&fake)), (both.to_vec(), vec![]));
    std::fs::write(&file, "203.0.113.0/25 0\n203.0.113.128/25 0\n").unwrap();
    wait("the end of the snapshot", || ends_of_files(&fake).first().copied());
    assert_eq!((of_table(&fake), ends_of_files(&fake)), (both.to_vec(), vec![0]));
    // A file that is not there: what was there of it stays, until it can be read again.
    restarted(&mut site, &fake, |_| std::fs::remove_file(&file).unwrap());
    site.wait_log("what was there of this file before stays");
    wait("an audit", || {
        fake.is_watched().then(|| fake.want_audit());
        let audited = Seen::Audit { owner: "table".into(), found: 0 };
        fake.state().seen.contains(&audited).then_some(())
    });
    assert_eq!((of_table(&fake), ends_of_files(&fake)), (both.to_vec(), vec![]));
    std::fs::write(&file, "203.0.113.0/25 0\n").unwrap();
    site.signal(Signal::HUP);
    wait("the end of the snapshot", || ends_of_files(&fake).first().copied());
    assert_eq!((of_table(&fake), ends_of_files(&fake)), (vec![both[0].clone()], vec![1]));
    assert!(!fake.state().seen.iter().any(|seen| *seen == Seen::Delete(both[0].clone())));
    // A file that nobody names any more since the daemon was down: its route and its nexthop go.
    restarted(&mut site, &fake, |site| site.write(BASE));
    wait("the end of the snapshot", || ends_of_files(&fake).first().copied());
    assert_eq!((of_table(&fake), ends_of_files(&fake)), (vec![], vec![2]));
    assert!(!fake.state().tables.objects.values().any(|owned| owned.owner == "table"));
}
