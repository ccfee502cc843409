//! The default routes of a punt namespace: they choose a representor and a source address, not a way. Every
//! representor leads to the fast path, and its FIB chooses the way.

use futures::TryStreamExt as _;
use ipnet::IpNet;
use netlink_packet_route::route::{RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope};
use rtnetlink::RouteMessageBuilder;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::link::refused;
use super::netns::Netns;
use super::{Error, Installed};

/// Tells our routes from others in the namespace; free in /etc/iproute2/rt_protos.
const PROTOCOL: RouteProtocol = RouteProtocol::Other(0x5a);
/// Worse than a route that somebody sets by hand.
const METRIC: u32 = 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

/// Points both default routes at the first interface that is up and has an address of the family; without one
/// there is no default route, and senders hear that the network is unreachable.
pub(super) async fn ensure_defaults(netns: &Netns, installed: &[&Installed]) -> Result<(), Error> {
    for family in [Family::V4, Family::V6] {
        let wanted = choose(installed, family);
        let mut right = false;
        for route in ours(netns, family).await? {
            let device = oif(&route);
            right |= wanted.is_some() && device == wanted;
            // A wrong one is replaced, unless none shall be.
            if wanted.is_none() {
                delete(netns, route).await?;
            }
        }
        if let Some(device) = wanted.filter(|_| !right) {
            replace(netns, family, device).await?;
        }
    }
    Ok(())
}

fn choose(installed: &[&Installed], family: Family) -> Option<u32> {
    let has_address = |on: &&&Installed| {
        on.spec.addresses.iter().any(|net| match net {
            IpNet::V4(_) => family == Family::V4,
            IpNet::V6(_) => family == Family::V6,
        })
    };
    let candidates = installed.iter().filter(|on| on.spec.up).filter(has_address);
    candidates.min_by_key(|on| on.spec.interface).map(|on| on.representor.inner_ifindex)
}

fn template(family: Family) -> RouteMessage {
    match family {
        Family::V4 => RouteMessageBuilder::<Ipv4Addr>::new().build(),
        Family::V6 => RouteMessageBuilder::<Ipv6Addr>::new().build(),
    }
}

async fn ours(netns: &Netns, family: Family) -> Result<Vec<RouteMessage>, Error> {
    let routes = netns.handle.route().get(template(family)).execute().try_collect::<Vec<_>>().await;
    let routes = routes.map_err(|source| refused(&netns.name, "list routes", source))?;
    let is_ours = |route: &RouteMessage| {
        let header = &route.header;
        header.destination_prefix_length == 0
            && header.protocol == PROTOCOL
            && header.table == RouteHeader::RT_TABLE_MAIN
    };
    Ok(routes.into_iter().filter(is_ours).collect())
}

fn oif(route: &RouteMessage) -> Option<u32> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })
}

async fn replace(netns: &Netns, family: Family, device: u32) -> Result<(), Error> {
    let route = match family {
        Family::V4 => RouteMessageBuilder::<Ipv4Addr>::new()
            .output_interface(device)
            .priority(METRIC)
            .protocol(PROTOCOL)
            .scope(RouteScope::Link)
            .build(),
        Family::V6 => RouteMessageBuilder::<Ipv6Addr>::new()
            .output_interface(device)
            .priority(METRIC)
            .protocol(PROTOCOL)
            .build(),
    };
    let result = netns.handle.route().add(route).replace().execute().await;
    result.map_err(|source| refused(&netns.name, "set the default route", source))
}

async fn delete(netns: &Netns, route: RouteMessage) -> Result<(), Error> {
    let result = netns.handle.route().del(route).execute().await;
    result.map_err(|source| refused(&netns.name, "remove the default route", source))
}
