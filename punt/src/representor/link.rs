//! The two ends of a representor as links.

use std::os::fd::AsRawFd as _;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};
use ze_ethtool::{Device, Feature};
use ze_packet::MacAddr;

use super::name::Names;
use super::netns::Netns;
use super::{Error, Spec, sysctl};

/// A veth without a qdisc drops what its full peer cannot take; with one it tells the sender to wait.
const QDISC: &str = "pfifo_fast";

/// Off on the inner end: nothing unfinished (CHECKSUM_PARTIAL, TSO, a tag beside the frame) may enter the fast path,
/// and what it punts arrives as it was sent.
const INNER_OFF: [Feature; 7] = [
    Feature::TxChecksum,
    Feature::Tso,
    Feature::Gso,
    Feature::Gro,
    Feature::Lro,
    Feature::TxVlan,
    Feature::RxVlan,
];
/// Off on the outer end: the same, for what AF_XDP receives and sends.
const OUTER_OFF: [Feature; 6] =
    [Feature::Tso, Feature::Gso, Feature::Gro, Feature::Lro, Feature::TxVlan, Feature::RxVlan];

/// What we look at in a link.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) alias: Option<String>,
    pub(super) is_veth: bool,
    mac: Option<MacAddr>,
    mtu_bytes: u32,
    qdisc: String,
    flags: LinkFlags,
    /// The other end's index, in its own namespace.
    peer: Option<u32>,
}

/// Both ends.
pub(super) struct Pair {
    pub(super) outer: Link,
    pub(super) inner: Link,
    /// It was there already.
    pub(super) adopted: bool,
}

impl From<LinkMessage> for Link {
    fn from(message: LinkMessage) -> Self {
        let mut link = Self { index: message.header.index, flags: message.header.flags, ..Self::default() };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::IfAlias(alias) => link.alias = Some(alias),
                LinkAttribute::Mtu(mtu_bytes) => link.mtu_bytes = mtu_bytes,
                LinkAttribute::Address(bytes) => link.mac = bytes.try_into().ok().map(MacAddr),
                LinkAttribute::Qdisc(kind) => link.qdisc = kind,
                LinkAttribute::Link(index) => link.peer = Some(index),
                LinkAttribute::LinkInfo(info) => {
                    link.is_veth = info.contains(&LinkInfo::Kind(InfoKind::Veth));
                }
                _ => {}
            }
        }
        link
    }
}

/// Adopts the pair that stands for this interface, or makes it.
pub(super) async fn ensure_pair(
    own: &Netns,
    inside: &Netns,
    names: &Names,
    spec: &Spec,
) -> Result<Pair, Error> {
    let alias = names.alias(&inside.name, &spec.name);
    let outer_name = names.outer(&inside.name, &spec.name);
    let outer = own.link(&outer_name).await?;
    let inner = inside.link(&spec.name).await?;
    if let (Some(outer), Some(inner)) = (&outer, &inner)
        && is_pair(outer, inner, &alias)
    {
        return Ok(Pair { outer: outer.clone(), inner: inner.clone(), adopted: true });
    }
    // Half a pair: the daemon was killed while it made one, or the other end lies in a namespace that is gone.
    for (netns, end) in [(own, outer), (inside, inner)] {
        let Some(end) = end else { continue };
        if !end.is_veth || end.alias.as_ref().is_some_and(|found| *found != alias) {
            return Err(Error::ForeignDevice { name: end.name, netns: netns.name.clone() });
        }
        delete(netns, end.index).await?;
    }
    create_pair(own, inside, &outer_name, &alias, spec).await
}

fn is_pair(outer: &Link, inner: &Link, alias: &str) -> bool {
    let marked = |end: &Link| end.is_veth && end.alias.as_deref() == Some(alias);
    marked(outer) && marked(inner) && outer.peer == Some(inner.index) && inner.peer == Some(outer.index)
}

async fn create_pair(
    own: &Netns,
    inside: &Netns,
    outer_name: &str,
    alias: &str,
    spec: &Spec,
) -> Result<Pair, Error> {
    // The inner end is born in its namespace: here its name may be the port's own.
    let peer = LinkMessageBuilder::<LinkUnspec>::new()
        .name(spec.name.clone())
        .address(spec.mac.0.to_vec())
        .mtu(spec.mtu_bytes)
        .setns_by_fd(inside.file.as_raw_fd())
        .build();
    let pair = LinkMessageBuilder::<LinkVeth>::new(outer_name, "")
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .mtu(spec.mtu_bytes)
        .build();
    let made = own.handle.link().add(pair).execute().await;
    made.map_err(|source| refused(&spec.name, "make the pair", source))?;
    let missing =
        |netns: &Netns, name: &str| Error::ForeignDevice { name: name.into(), netns: netns.name.clone() };
    let outer = own.link(outer_name).await?.ok_or_else(|| missing(own, outer_name))?;
    let inner = inside.link(&spec.name).await?.ok_or_else(|| missing(inside, &spec.name))?;
    for (netns, end) in [(own, &outer), (inside, &inner)] {
        set(netns, end, |message| message.alias(alias)).await?;
    }
    tracing::info!(outer = outer_name, inner = spec.name, netns = inside.name, "representor made");
    Ok(Pair { outer, inner, adopted: false })
}

/// Makes the outer end a quiet wire whose state is the interface's.
pub(super) async fn ensure_outer(own: &Netns, outer: &Link, spec: &Spec) -> Result<(), Error> {
    if outer.mtu_bytes != spec.mtu_bytes {
        set(own, outer, |message| message.mtu(spec.mtu_bytes)).await?;
    }
    let name = outer.name.clone();
    // After the MTU: a device below 1280 bytes has no IPv6 to configure, and gets it back with the defaults.
    own.run(move || {
        sysctl::silence_device(&name)?;
        features_off(&name, &OUTER_OFF)
    })
    .await??;
    ensure_qdisc(own, outer).await?;
    if outer.flags.contains(LinkFlags::Up) == spec.up {
        return Ok(());
    }
    set(own, outer, |message| if spec.up { message.up() } else { message.down() }).await
}

/// Makes the inner end look like the interface. It is always up: its carrier follows the outer end, so that
/// addresses and bound sockets outlive a time without a link.
pub(super) async fn ensure_inner(inside: &Netns, inner: &Link, spec: &Spec) -> Result<(), Error> {
    if inner.mtu_bytes != spec.mtu_bytes {
        set(inside, inner, |message| message.mtu(spec.mtu_bytes)).await?;
    }
    if inner.mac != Some(spec.mac) {
        set(inside, inner, |message| message.address(spec.mac.0.to_vec())).await?;
    }
    if !inner.flags.contains(LinkFlags::Noarp) {
        set(inside, inner, |message| message.arp(false)).await?;
    }
    let name = inner.name.clone();
    // Before it is up for the first time: then IPv6 would make addresses of its own.
    inside
        .run(move || {
            sysctl::set_device(&name)?;
            features_off(&name, &INNER_OFF)
        })
        .await??;
    ensure_qdisc(inside, inner).await?;
    if inner.flags.contains(LinkFlags::Up) {
        return Ok(());
    }
    set(inside, inner, LinkMessageBuilder::up).await
}

/// Brings `lo` up, for sockets that talk to their own host, and marks a namespace that we made.
pub(super) async fn ensure_loopback(netns: &Netns, loopback: &Link, mark: Option<&str>) -> Result<(), Error> {
    set(netns, loopback, |message| match mark {
        Some(mark) => message.up().alias(mark),
        None => message.up(),
    })
    .await
}

/// Deletes a link, and with it its other end. One that is gone already is deleted enough.
pub(super) async fn delete(netns: &Netns, index: u32) -> Result<(), Error> {
    match netns.handle.link().del(index).execute().await {
        Err(error) if is_errno(&error, libc::ENODEV) => Ok(()),
        result => result.map_err(|source| refused(&format!("link {index}"), "delete", source)),
    }
}

pub(super) fn is_errno(error: &rtnetlink::Error, errno: i32) -> bool {
    matches!(error, rtnetlink::Error::NetlinkError(message) if message.raw_code() == -errno)
}

pub(super) fn refused(subject: &str, step: &str, source: rtnetlink::Error) -> Error {
    Error::Netlink { what: format!("{subject}: {step}"), source: Box::new(source) }
}

fn features_off(name: &str, features: &[Feature]) -> Result<(), Error> {
    Device::open(name)?.turn_off(features)?.keep();
    Ok(())
}

async fn set(
    netns: &Netns,
    link: &Link,
    change: impl FnOnce(LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkUnspec>,
) -> Result<(), Error> {
    let message = change(LinkUnspec::new_with_index(link.index)).build();
    let result = netns.handle.link().set(message).execute().await;
    result.map_err(|source| refused(&link.name, "change", source))
}

/// Gives the link a root qdisc. rtnetlink has no request for a classless one, so this one is written out.
async fn ensure_qdisc(netns: &Netns, link: &Link) -> Result<(), Error> {
    if link.qdisc == QDISC {
        return Ok(());
    }
    let mut message = TcMessage::default();
    message.header.index = link.index.cast_signed();
    message.header.parent = TcHandle::ROOT;
    message.attributes.push(TcAttribute::Kind(QDISC.to_owned()));
    let mut request = NetlinkMessage::from(RouteNetlinkMessage::NewQueueDiscipline(message));
    request.header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
    let refused = |source| refused(&link.name, "set the qdisc", source);
    let mut handle = netns.handle.clone();
    let mut answers = Box::pin(handle.request(request).map_err(refused)?);
    while let Some(answer) = futures::StreamExt::next(&mut answers).await {
        if let NetlinkPayload::Error(error) = answer.payload
            && error.code.is_some()
        {
            return Err(refused(rtnetlink::Error::NetlinkError(error)));
        }
    }
    Ok(())
}
