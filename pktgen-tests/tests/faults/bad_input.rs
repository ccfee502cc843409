//! What a client of the API must not say: each is refused with the object and the reason, and nothing is half applied.

use anyhow::{Context, Result, ensure};
use ipnet::IpNet;
use tonic::Code;
use ze_pktgen::daemons::{Binaries, Fastpath, FastpathOptions};
use ze_pktgen::lab::{Lab, wait_until};
use ze_pktgen::require_lab_with_xdp;
use ze_proto::packed::{self, TargetKey};
use ze_proto::v1::{self, Reason, nexthop::Kind, operation::Operation as Op, route::Target};

use crate::api::{Api, Stream, blackhole, delete, hello, net, nexthop, op, put};
use crate::router::PATIENCE;

/// A forwarding daemon without ports, and a connection to it. Fields are dropped in this order.
struct Bare {
    api: Api,
    fastpath: Fastpath,
    _lab: Lab,
}

impl Bare {
    fn start(name: &str, arguments: &[&str]) -> Result<Self> {
        let lab = Lab::new(name)?;
        let router = lab.namespace("router")?;
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let options = FastpathOptions { arguments, ..FastpathOptions::default() };
        let fastpath = Fastpath::start(&lab, &router, &Binaries::new(None), &options)?;
        Ok(Self { api: Api::connect(&fastpath.socket())?, fastpath, _lab: lab })
    }

    /// A stream of `owner` on which batch 2 has put nexthop 1, and a route to it.
    fn begun(&self, owner: v1::Hello) -> Result<Stream> {
        let mut stream = self.api.open(owner)??;
        let reply = self.api.send(&mut stream, 2, vec![blackhole(1), put(&[("198.51.100.0/24", 1)])])??;
        ensure!(reply.refusals.is_empty() && reply.batch == 2, "{reply:?}");
        Ok(stream)
    }

    fn is_connected(&self, owner: &str) -> Result<bool> {
        let owners = self.fastpath.client()?.fib()?.owners;
        Ok(owners.iter().find(|state| state.name == owner).context("no such owner")?.connected)
    }
}

#[test]
fn a_duplicate_batch_or_one_out_of_order_ends_the_stream_and_leaves_what_was_acknowledged() -> Result<()> {
    require_lab_with_xdp!();
    let bare = Bare::start("badbatch", &[])?;
    // The Hello's number, the last batch once more, one too far, and none at all.
    for wrong in [1, 2, 4, 0] {
        let mut stream = bare.begun(hello("client"))?;
        let late = vec![delete(&["198.51.100.0/24"]), put(&[("203.0.113.0/24", 1)])];
        let status = bare.api.send(&mut stream, wrong, late)?.expect_err("it was taken");
        ensure!(status.code() == Code::FailedPrecondition, "{status}");
        ensure!(
            status.message() == format!("batch {wrong} where 3 was due; the stream ends here"),
            "{status}"
        );
        ensure!(
            bare.api.way("198.51.100.9")?.as_deref() == Some("blackhole"),
            "batch {wrong} took a route away"
        );
        ensure!(bare.api.way("203.0.113.9")?.is_none(), "batch {wrong} was applied");
        wait_until(PATIENCE, "the end of the stream", || bare.is_connected("client").is_ok_and(|yes| !yes))?;
    }
    Ok(())
}

#[test]
fn a_stream_of_a_former_life_is_refused_and_the_present_one_goes_on() -> Result<()> {
    require_lab_with_xdp!();
    let bare = Bare::start("badgen", &[])?;
    let generation = |generation| v1::Hello { generation, snapshot: true, preference: 50, ..hello("client") };
    let mut present = bare.begun(generation(5))?;
    let status = bare.api.open(generation(4))?.err().context("it was let in")?;
    ensure!(status.code() == Code::InvalidArgument, "{status}");
    let said = "generation 4 of client is out of order: 5 has begun";
    ensure!(status.message().contains("/owner") && status.message().contains(said), "{status}");
    // Another preference while there are routes is refused too, and neither refusal has ended the stream that is.
    let status =
        bare.api.open(v1::Hello { preference: 60, ..generation(6) })?.err().context("it was let in")?;
    ensure!(status.message().contains("client has routes of preference 50"), "{status}");
    let reply = bare.api.send(&mut present, 3, vec![put(&[("203.0.113.0/24", 1)])])??;
    ensure!(reply.refusals.is_empty() && bare.is_connected("client")?, "{reply:?}");
    ensure!(
        bare.api.way("198.51.100.9")?.is_some() && bare.api.way("203.0.113.9")?.is_some(),
        "it was swept"
    );
    // A newer one takes over: the older is told at once, though it sends nothing.
    let newer = bare.api.open(generation(7))??;
    let status = bare.api.end_of(&mut present)?.context("the older stream goes on")?;
    ensure!(status.code() == Code::Aborted && status.message().contains("has begun"), "{status}");
    ensure!(bare.is_connected("client")? && bare.api.way("198.51.100.9")?.is_some());
    drop(newer);
    Ok(())
}

fn group(key: u64, members: &[(u64, u32)]) -> v1::Operation {
    let member = |(nexthop, weight): &(u64, u32)| v1::GroupMember { nexthop: *nexthop, weight: *weight };
    let members = members.iter().map(member).collect();
    op(Op::PutNexthopGroup(v1::NexthopGroup { key, members, ..v1::NexthopGroup::default() }))
}

fn routes(vrf: &str, routes: &[([u8; 4], Target)]) -> v1::Operation {
    let route = |(prefix, target): &([u8; 4], Target)| v1::Route {
        prefix: prefix.to_vec(),
        prefix_len: 24,
        target: Some(*target),
    };
    op(Op::PutRoutes(v1::Routes { vrf: vrf.to_owned(), routes: routes.iter().map(route).collect() }))
}

fn of_default(prefix: &str) -> String {
    format!("/vrf[name='default']/route[prefix='{prefix}']")
}

#[test]
fn of_a_batch_what_is_wrong_is_refused_by_name_and_all_the_rest_is_in_force() -> Result<()> {
    require_lab_with_xdp!();
    let bare = Bare::start("badops", &[])?;
    let mut stream = bare.begun(hello("client"))?;
    let hole = Target::Nexthop(1);
    let mut host_bits = packed::put("", [("203.0.112.0/23", 1), ("192.0.2.0/24", 1)].map(to_nexthop));
    // The last byte of the first prefix: 203.0.113.0/23.
    host_bits.routes4[3] = 113;
    let mut cut = packed::put("", [("192.88.99.0/24", 1), ("192.31.196.0/24", 1)].map(to_nexthop));
    cut.routes4.pop();
    let operations = vec![
        routes("", &[([10, 1, 1, 1], hole), ([10, 1, 2, 0], hole), ([10, 1, 3, 0], Target::Nexthop(99))]),
        routes("green", &[([10, 2, 1, 0], hole)]),
        group(1, &[(1, 0)]),
        group(2, &[(1, 1)]),
        op(Op::PutPackedRoutes(host_bits)),
        op(Op::PutPackedRoutes(cut)),
        routes("", &[([10, 3, 1, 0], Target::NexthopGroup(1)), ([10, 3, 2, 0], Target::NexthopGroup(2))]),
        v1::Operation { operation: None },
    ];
    let reply = bare.api.send(&mut stream, 3, operations)??;
    let told: Vec<_> =
        reply.refusals.iter().map(|r| (r.operation, r.element, r.reason(), r.path.as_str())).collect();
    let wanted = [
        (0, 0, Reason::Malformed, of_default("10.1.1.1/24")),
        (0, 2, Reason::UnknownReference, of_default("10.1.3.0/24")),
        (1, 0, Reason::UnknownReference, "/vrf[name='green']".to_owned()),
        (2, 0, Reason::Malformed, "/nexthop-group[key='1']".to_owned()),
        (4, 0, Reason::Malformed, of_default("203.0.113.0/23")),
        (5, 0, Reason::Malformed, "/vrf[name='default']".to_owned()),
        (6, 0, Reason::UnknownReference, of_default("10.3.1.0/24")),
        (7, 0, Reason::Malformed, "/".to_owned()),
    ];
    let wanted: Vec<_> = wanted.iter().map(|(o, e, reason, path)| (*o, *e, *reason, path.as_str())).collect();
    ensure!(told == wanted, "{:#?}", reply.refusals);
    ensure!(reply.refusals.iter().all(|refusal| !refusal.message.is_empty()), "{:#?}", reply.refusals);
    ensure!(reply.applied == 1, "the one that is wholly right: {reply:?}");
    for (destination, there) in [
        ("10.1.1.9", false),
        ("10.1.2.9", true),
        ("10.1.3.9", false),
        ("203.0.113.9", false),
        ("192.0.2.9", true),
        // Of a message that can not be read, nothing.
        ("192.88.99.9", false),
        ("10.3.1.9", false),
        ("10.3.2.9", true),
        ("198.51.100.9", true),
    ] {
        ensure!(bare.api.way(destination)?.is_some() == there, "{destination}: {there} is right");
    }
    what_is_there_stays_as_it_was(&bare, &mut stream)
}

fn to_nexthop((prefix, key): (&str, u64)) -> (IpNet, TargetKey) {
    (net(prefix), TargetKey::Nexthop(key))
}

/// A change that is refused changes nothing of the object.
fn what_is_there_stays_as_it_was(bare: &Bare, stream: &mut Stream) -> Result<()> {
    let before = bare.api.owned("client")?;
    let gateway = Kind::Gateway(v1::Gateway { address: vec![10, 9, 9, 9], ..v1::Gateway::default() });
    let operations = vec![
        nexthop(1, gateway),
        op(Op::PutNexthop(v1::Nexthop {
            key: 1,
            kind: Some(Kind::Prohibit(v1::Empty {})),
            backup: Some(77),
        })),
        group(2, &[(1, 1), (99, 1)]),
        routes("", &[([10, 1, 2, 0], Target::Nexthop(99))]),
        op(Op::DeleteNexthop(1)),
    ];
    let reply = bare.api.send(stream, 4, operations)??;
    let reasons: Vec<_> = reply.refusals.iter().map(v1::Refusal::reason).collect();
    let unknown = Reason::UnknownReference;
    ensure!(reasons == [unknown, unknown, unknown, unknown, Reason::InUse], "{:#?}", reply.refusals);
    ensure!(bare.api.owned("client")? == before, "half applied");
    ensure!(bare.api.way("10.1.2.9")?.as_deref() == Some("blackhole"));
    Ok(())
}

#[test]
fn a_table_over_its_budget_refuses_by_prefix_and_keeps_what_it_has() -> Result<()> {
    require_lab_with_xdp!();
    const BATCH: u32 = 16_384;
    let bare = Bare::start("badbudget", &["--table-memory-mib", "1"])?;
    let mut stream = bare.begun(hello("client"))?;
    let prefix = |n: u32| IpNet::new(std::net::Ipv4Addr::from(0x1400_0000 + (n << 10)).into(), 24);
    let (mut put, mut all, mut reply) = (0, Vec::new(), v1::ProgramReply::default());
    while reply.refusals.is_empty() {
        ensure!(put < 1_000_000, "1 MiB holds them all");
        all = (put..put + BATCH).map(prefix).collect::<Result<Vec<_>, _>>()?;
        let message = packed::put("", all.iter().map(|prefix| (*prefix, TargetKey::Nexthop(1))));
        let batch = u64::from(put / BATCH) + 3;
        reply = bare.api.send(&mut stream, batch, vec![op(Op::PutPackedRoutes(message))])??;
        put += BATCH;
    }
    let refusal = reply.refusals.first().context("no refusal")?;
    let refused = reply.refusals.len() as u64;
    ensure!(refusal.reason() == Reason::Limit && refusal.message.contains("budget"), "{refusal:?}");
    ensure!(refusal.path == of_default(&all[refusal.element as usize].to_string()), "{refusal:?}");
    // What was not refused is there, and what was refused is not, in the books and in the lookups.
    let there = bare.api.routes("")?.len() as u64;
    ensure!(there == u64::from(put) + 1 - refused, "{there} of {put} routes, {refused} refused");
    let way = |at: u32| bare.api.way(&all[at as usize].addr().to_string());
    ensure!(way(refusal.element)?.is_none() && bare.api.way("20.0.0.9")?.is_some());
    // There is room again once something has gone.
    let gone = packed::delete("", (0..put / 2).map(prefix).collect::<Result<Vec<_>, _>>()?);
    let again = packed::put("", [(all[refusal.element as usize], TargetKey::Nexthop(1))]);
    let operations = vec![op(Op::DeletePackedRoutes(gone)), op(Op::PutPackedRoutes(again))];
    let reply = bare.api.send(&mut stream, u64::from(put / BATCH) + 3, operations)??;
    ensure!(reply.refusals.is_empty() && way(refusal.element)?.is_some(), "{:?}", reply.refusals);
    Ok(())
}
