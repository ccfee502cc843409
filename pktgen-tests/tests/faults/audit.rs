//! Tables that differ from what their owner knows, and tables that change while somebody looks at all of them.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ipnet::IpNet;
use serde_json::Value;
use ze_pktgen::daemons::{Binaries, Fastpath, Slowpath};
use ze_pktgen::lab::{PingOptions, ping, wait_until};
use ze_pktgen::require_lab_with_xdp;
use ze_proto::packed::{self, TargetKey};
use ze_proto::v1::{self, nexthop::Kind, operation::Operation as Op};

use crate::api::{Api, blackhole, delete, hello, net, nexthop, op, put};
use crate::between::Between;
use crate::router::{CONFIG, Hosts, PATIENCE, Plan, Router, WAN_HOST, ip};

#[test]
fn routes_are_programmed_while_a_large_listing_is_read_slowly() -> Result<()> {
    require_lab_with_xdp!();
    // More than the buffers of a connection hold: 2 MiB at hyper's client, 50 bytes an entry.
    const ROUTES: u32 = 150_000;
    // As the daemon makes them.
    const ENTRIES_A_SLICE: u64 = 1024;
    let hosts = Hosts::build("walk", Plan::default())?;
    let fastpath = Fastpath::start(&hosts.lab, &hosts.router, &Binaries::new(None), &Default::default())?;
    let api = Api::connect(&fastpath.socket())?;
    let mut stream = api.open(hello("client"))??;
    let prefix = |n: u32| IpNet::new(std::net::Ipv4Addr::from(0x1400_0000 + (n << 8)).into(), 24);
    let all = (0..ROUTES).map(prefix).collect::<Result<Vec<_>, _>>()?;
    let batch = |part: &[IpNet]| {
        let routes = packed::put("", part.iter().map(|prefix| (*prefix, TargetKey::Nexthop(1))));
        vec![blackhole(1), op(Op::PutPackedRoutes(routes))]
    };
    // As large as those of ze-slowpath.
    let mut last = 1;
    for (number, part) in (2..).zip(all.chunks(4096)) {
        let reply = api.send(&mut stream, number, batch(part))??;
        ensure!(reply.refusals.is_empty(), "{:?}", reply.refusals.first());
        last = number;
    }
    let before = api.counter("walk_slices")?;
    let mut dataplane = api.dataplane.clone();
    let mut listing = api.wait(dataplane.list_routes(v1::ListRoutesRequest::default()))??.into_inner();
    let first = api.wait(listing.message())??.context("no routes")?;
    ensure!(first.prefix == [20, 0, 0, 0], "{first:?}");
    // Nobody reads on. The last prefix of all is programmed meanwhile, and one at the front that has been passed.
    let reply =
        api.send(&mut stream, last + 1, vec![put(&[("223.255.255.0/24", 1), ("1.0.0.0/24", 1)])])??;
    ensure!(reply.refusals.is_empty(), "{:?}", reply.refusals);
    let slices = api.counter("walk_slices")? - before;
    let needed = u64::from(ROUTES) / ENTRIES_A_SLICE;
    ensure!(slices < needed / 2, "{slices} slices were made for a client that has read one route");
    let mut seen = vec![first];
    while let Some(entry) = api.wait(listing.message())?? {
        seen.push(entry);
    }
    let sorted = seen.is_sorted_by(|one, other| one.prefix < other.prefix);
    ensure!(sorted && seen.len() as u32 == ROUTES + 1, "{} routes, in order: {sorted}", seen.len());
    ensure!(seen.last().is_some_and(|entry| entry.prefix == [223, 255, 255, 0]), "{:?}", seen.last());
    let slices = api.counter("walk_slices")? - before;
    ensure!(slices > needed, "{slices} slices for {ROUTES} routes");
    // The audit and the end of a snapshot come in slices as well: of 8192 prefixes.
    let began = std::time::Instant::now();
    let audited = api.wait(dataplane.audit_fib(v1::AuditFibRequest {}))??.into_inner();
    ensure!((audited.checked, audited.mended) == (u64::from(ROUTES) + 2, 0), "{audited:?}");
    // The client has a stream and says nothing; `ze` waits 10 s for an answer.
    ensure!(began.elapsed() < Duration::from_secs(9), "after {:?}", began.elapsed());
    let silent = audited.owners.iter().find(|owner| owner.name == "client").context("the client")?;
    ensure!(silent.connected && !silent.audit_is_new, "{silent:?}");
    let of_audit = api.counter("walk_slices")? - before - slices;
    ensure!(of_audit > u64::from(ROUTES) / 8192, "{of_audit} slices of the audit");
    fastpath.client()?.program_batches("client", Vec::new(), PATIENCE * 4)?;
    ensure!(api.routes("")?.is_empty(), "the sweep has left something");
    let of_sweep = api.counter("walk_slices")? - before - slices - of_audit;
    ensure!(of_sweep > u64::from(ROUTES) / 8192, "{of_sweep} slices of the sweep");
    Ok(())
}

const FILE: &str = "192.0.2.0/25 0\n192.0.2.128/25 0\n2001:db8:77::/48 0\n2001:db8:78::/48 0\n";

fn config(file: &str) -> String {
    format!(
        "{CONFIG}static {{
    route 198.51.100.0/24 {{ via {WAN_HOST}; }}
    route 203.0.113.0/24 {{ via {WAN_HOST}; }}
    route 2001:db8:51::/48 {{ via 2001:db8:2::2; }}
    route 2001:db8:52::/48 {{ via 2001:db8:2::2; }}
    table \"{file}\" {{ via {WAN_HOST}; via 2001:db8:2::2; }}
}}
"
    )
}

/// Everything that both owners have, in an order of its own.
fn everything(api: &Api) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for owner in ["slowpath", "table"] {
        all.extend(api.owned(owner)?.into_iter().map(|object| format!("{owner} {object:?}")));
    }
    all.sort();
    Ok(all)
}

/// The key of an owner's nexthop for a gateway.
fn key_of(api: &Api, owner: &str, gateway: &str) -> Result<u64> {
    let address = ze_proto::address::to_bytes(ip(gateway));
    let leads_there = |object: Op| match object {
        Op::PutNexthop(v1::Nexthop { key, kind: Some(Kind::Gateway(gateway)), .. }) => {
            (gateway.address == address).then_some(key)
        }
        _ => None,
    };
    api.owned(owner)?.into_iter().find_map(leads_there).context("no nexthop for the gateway")
}

fn prohibit(key: u64) -> v1::Operation {
    nexthop(key, Kind::Prohibit(v1::Empty {}))
}

/// The command, as an operator runs it.
fn show_audit(router: &Router, words: &[&str]) -> Result<String> {
    let mut command = Command::new(Binaries::new(None).find("ze")?);
    command.arg("--socket").arg(router.fastpath.socket()).args(["show", "fib", "audit"]).args(words);
    Ok(router.router.output(command)?)
}

/// What is found, by owner and path: kind and words.
fn found(json: &str) -> Result<BTreeMap<String, String>> {
    let fib: Value = serde_json::from_str(json)?;
    let mut found = BTreeMap::new();
    for owner in fib["owners"].as_array().context("owners")? {
        ensure!(owner["audit"]["is_new"] == true, "it was asked: {owner}");
        for divergence in owner["audit"]["divergences"].as_array().context("divergences")? {
            let text = |name: &str| divergence[name].as_str().unwrap_or_default();
            let at = format!("{} {}", owner["name"].as_str().unwrap_or_default(), text("path"));
            found.insert(at, format!("{}: {}", text("kind"), text("message")));
        }
    }
    Ok(found)
}

#[test]
fn what_was_changed_behind_the_slow_path_is_found_told_by_object_and_healed() -> Result<()> {
    require_lab_with_xdp!();
    let hosts = Hosts::build("audit", Plan::default())?;
    let binaries = Binaries::new(None);
    let fastpath = Fastpath::start(&hosts.lab, &hosts.router, &binaries, &Default::default())?;
    let socket = hosts.lab.directory().join("between.sock");
    let between = Between::start(&fastpath.socket(), &socket)?;
    let file = hosts.lab.directory().join("table.txt");
    std::fs::write(&file, FILE)?;
    let text = config(&file.display().to_string());
    let slowpath = Slowpath::start_by(&hosts.lab, &hosts.router, &binaries, (&fastpath, &socket), &text)?;
    let Hosts { lan, wan, router, lab, .. } = hosts;
    let router = Router { slowpath, fastpath, lan, wan, router, lab };
    let targets = ["198.51.100.1", "2001:db8:51::1", "192.0.2.1", "2001:db8:77::1"];
    for target in targets {
        let len = if target.contains(':') { 128 } else { 32 };
        router.wan.address("eth0", &format!("{target}/{len}"))?;
    }
    router.ready()?;
    let reaches = |target: &str| {
        let one = PingOptions { count: 1, timeout: Duration::from_millis(500), ..PingOptions::default() };
        ping(&router.lan, ip(target), &one).is_ok_and(|report| report.received == 1)
    };
    let all_reach = || targets.iter().all(|target| reaches(target));
    wait_until(PATIENCE, "packets to all targets", all_reach).with_context(|| router.logs())?;
    let api = Api::connect(&router.fastpath.socket())?;
    let before = everything(&api)?;
    ensure!(found(&show_audit(&router, &["-o", "json"])?)?.is_empty(), "something differs from the start");
    let [gateway4, table6] = [key_of(&api, "slowpath", WAN_HOST)?, key_of(&api, "table", "2001:db8:2::2")?];
    let of_config = vec![
        prohibit(999),
        prohibit(gateway4),
        put(&[("100.64.0.0/10", 999), ("2001:db8:99::/48", 999), ("203.0.113.0/24", 999)]),
        put(&[("2001:db8:52::/48", 999)]),
        delete(&["198.51.100.0/24", "2001:db8:51::/48"]),
    ];
    let of_table = vec![
        prohibit(998),
        prohibit(table6),
        put(&[("192.0.2.64/26", 998), ("2001:db8:79::/48", 998), ("192.0.2.128/25", 998)]),
        put(&[("2001:db8:78::/48", 998)]),
        delete(&["192.0.2.0/25", "2001:db8:77::/48"]),
    ];
    let break_it = || -> Result<()> {
        for (owner, operations) in [("slowpath", &of_config), ("table", &of_table)] {
            let refused = between.say(owner, operations.clone())?;
            ensure!(refused.is_empty(), "{refused:?}");
        }
        ensure!(targets.iter().all(|target| !reaches(target)), "it still works");
        Ok(())
    };
    let route = |owner: &str, prefix: &str| format!("{owner} /vrf[name='default']/route[prefix='{prefix}']");
    break_it()?;
    let told = found(&show_audit(&router, &["-o", "json"])?)?;
    let kinds: BTreeMap<_, _> =
        told.iter().map(|(at, what)| (at.clone(), what.split(':').next().unwrap_or_default())).collect();
    let wanted = BTreeMap::from([
        ("slowpath /nexthop[key='999']".to_owned(), "surplus"),
        (format!("slowpath /nexthop[key='{gateway4}']"), "different"),
        (route("slowpath", "100.64.0.0/10"), "surplus"),
        (route("slowpath", "2001:db8:99::/48"), "surplus"),
        (route("slowpath", "203.0.113.0/24"), "different"),
        (route("slowpath", "2001:db8:52::/48"), "different"),
        (route("slowpath", "198.51.100.0/24"), "missing"),
        (route("slowpath", "2001:db8:51::/48"), "missing"),
        ("table /nexthop[key='998']".to_owned(), "surplus"),
        (format!("table /nexthop[key='{table6}']"), "different"),
        (route("table", "192.0.2.64/26"), "surplus"),
        (route("table", "2001:db8:79::/48"), "surplus"),
        (route("table", "192.0.2.128/25"), "different"),
        (route("table", "2001:db8:78::/48"), "different"),
        (route("table", "192.0.2.0/25"), "missing"),
        (route("table", "2001:db8:77::/48"), "missing"),
    ]);
    ensure!(kinds == wanted, "{told:#?}\n{}", router.logs());
    let message = &told[&format!("slowpath /nexthop[key='{gateway4}']")];
    ensure!(
        *message == format!("different: prohibit was there, gateway {WAN_HOST} on wan0 is wanted"),
        "{message}"
    );
    ensure!(everything(&api)? == before, "it is not as it was\n{}", router.logs());
    wait_until(PATIENCE, "packets to all targets again", all_reach).with_context(|| router.logs())?;
    // Once more, for people.
    break_it()?;
    let text = show_audit(&router, &[])?;
    println!("{text}");
    for word in ["healed", "missing", "surplus", "different", "198.51.100.0/24", "2001:db8:77::/48"] {
        ensure!(text.contains(word), "no {word} in\n{text}");
    }
    let text = show_audit(&router, &[])?;
    ensure!(text.contains("the same") && !text.contains("healed"), "{text}");
    ensure!(everything(&api)? == before, "it is not as it was\n{}", router.logs());
    let log = router.slowpath.process.log();
    ensure!(log.contains("audit: healed") && log.contains("route[prefix='198.51.100.0/24']"), "{log}");
    router.passes()?;
    router.nothing_is_lost()
}

#[test]
fn a_client_that_programs_as_the_slow_path_is_put_right_without_being_asked() -> Result<()> {
    require_lab_with_xdp!();
    let mut router = Router::start("intruder")?;
    let route = format!("{CONFIG}static {{ route 203.0.113.0/24 {{ via {WAN_HOST}; }} }}\n");
    router.slowpath.reload(&route)?;
    router.await_route("203.0.113.9", true)?;
    let api = Api::connect(&router.fastpath.socket())?;
    let mut intruder = api.open(hello("slowpath"))??;
    let bad = vec![prohibit(999), put(&[("198.51.100.0/24", 999)]), delete(&["203.0.113.0/24"])];
    // The daemon may have taken its place back before: then it was never wrong.
    if let Ok(reply) = api.send(&mut intruder, 2, bad)? {
        ensure!(
            reply.refusals.is_empty() && net("198.51.100.0/24").contains(&ip("198.51.100.9")),
            "{reply:?}"
        );
    }
    router.await_route("203.0.113.9", true)?;
    router.await_route("198.51.100.9", false)?;
    let status = api.end_of(&mut intruder)?.context("the intruder is still let in")?;
    ensure!(status.message().contains("has begun"), "{status}");
    router.passes()
}
