//! The addresses of a representor's inner end.

use std::net::IpAddr;

use futures::TryStreamExt as _;
use ipnet::{IpNet, Ipv6Net};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};

use super::link::{Link, is_errno, refused};
use super::netns::Netns;
use super::{Error, Spec};

/// The subnet size of link-local addresses, RFC 4291 §2.5.6.
const LINK_LOCAL_PREFIX_LEN: u8 = 64;

/// Makes the inner end's addresses those of the specification.
pub(super) async fn ensure(netns: &Netns, inner: &Link, spec: &Spec) -> Result<(), Error> {
    let wanted = wanted(spec);
    let mut present = Vec::new();
    for message in list(netns, inner).await? {
        let Some(address) = address_of(&message) else { continue };
        if wanted.contains(&address) {
            present.push(address);
            continue;
        }
        match netns.handle.address().del(message).execute().await {
            // Somebody else was faster.
            Err(error) if is_errno(&error, libc::EADDRNOTAVAIL) => {}
            result => result.map_err(|source| refused(&inner.name, "remove an address", source))?,
        }
    }
    for address in wanted.into_iter().filter(|address| !present.contains(address)) {
        add(netns, inner, address).await?;
    }
    Ok(())
}

fn wanted(spec: &Spec) -> Vec<IpNet> {
    let link_local = spec.link_local.and_then(|ip| Ipv6Net::new(ip, LINK_LOCAL_PREFIX_LEN).ok());
    spec.addresses.iter().copied().chain(link_local.map(IpNet::V6)).collect()
}

async fn list(netns: &Netns, inner: &Link) -> Result<Vec<AddressMessage>, Error> {
    let request = netns.handle.address().get().set_link_index_filter(inner.index);
    let addresses = request.execute().try_collect().await;
    addresses.map_err(|source| refused(&inner.name, "list addresses", source))
}

async fn add(netns: &Netns, inner: &Link, address: IpNet) -> Result<(), Error> {
    let mut request = netns.handle.address().add(inner.index, address.addr(), address.prefix_len());
    if address.addr().is_ipv6() {
        request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
    }
    match request.execute().await {
        Err(error) if is_errno(&error, libc::EEXIST) => Ok(()),
        result => result.map_err(|source| refused(&inner.name, &format!("add address {address}"), source)),
    }
}

/// IFA_LOCAL is ours, IFA_ADDRESS may be a point-to-point peer's (rtnetlink(7)); IPv6 has only the latter.
fn address_of(message: &AddressMessage) -> Option<IpNet> {
    let pick = |want_local: bool| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Local(ip) if want_local => Some(*ip),
            AddressAttribute::Address(ip) if !want_local => Some(*ip),
            _ => None,
        })
    };
    let ip: IpAddr = pick(true).or_else(|| pick(false))?;
    IpNet::new(ip, message.header.prefix_len).ok()
}
