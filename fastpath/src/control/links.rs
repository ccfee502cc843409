//! What the kernel says of network devices: a task listens, the control thread keeps the present state.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::sync::mpsc;
use ze_packet::MacAddr;

/// A device as the kernel states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// Its Ethernet address; zero when it has none.
    pub mac: MacAddr,
    /// Its MTU, bytes.
    pub mtu: u32,
    /// Administratively up, with a carrier.
    pub up: bool,
    /// Administratively up.
    pub admin_up: bool,
}

/// What has happened to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// It is there, new or changed or not.
    Present(Link),
    /// It is gone.
    Gone(u32),
    /// These are all there are.
    All(Vec<u32>),
}

/// The devices of the daemon's network namespace, by index.
#[derive(Debug, Default)]
pub(super) struct Links {
    all: HashMap<u32, Link>,
}

impl Links {
    /// The device of a name.
    pub(super) fn named(&self, name: &str) -> Option<&Link> {
        self.all.values().find(|link| link.name == name)
    }

    /// Takes an event in. Returns the names of devices concerned: two when one was renamed.
    pub(super) fn apply(&mut self, event: LinkEvent) -> Vec<String> {
        match event {
            LinkEvent::Present(link) => {
                let name = link.name.clone();
                let old = self.all.insert(link.ifindex, link.clone());
                if old.as_ref() == Some(&link) {
                    return Vec::new();
                }
                let renamed = old.map(|old| old.name).filter(|old| *old != name);
                renamed.into_iter().chain([name]).collect()
            }
            LinkEvent::Gone(ifindex) => self.all.remove(&ifindex).map(|old| old.name).into_iter().collect(),
            LinkEvent::All(there) => {
                let gone = self.all.extract_if(|ifindex, _| !there.contains(ifindex));
                gone.map(|(_, link)| link.name).collect()
            }
        }
    }
}

/// Listens to the kernel for ever: first the devices there are, then every change. A lost notification (a full
/// socket buffer) is made good by a new dump, which `resync` asks for too.
pub(crate) async fn listen(
    events: mpsc::Sender<LinkEvent>,
    mut resync: tokio::time::Interval,
) -> anyhow::Result<()> {
    let (connection, handle, mut messages) = new_multicast_connection(&[MulticastGroup::Link])?;
    tokio::spawn(connection);
    loop {
        let message = tokio::select! {
            _ = resync.tick() => {
                let mut dump = handle.link().get().execute();
                let mut there = Vec::new();
                while let Some(message) = dump.try_next().await? {
                    there.push(message.header.index);
                    events.send(present(&message)).await?;
                }
                events.send(LinkEvent::All(there)).await?;
                continue;
            }
            message = messages.next() => message,
        };
        let Some((message, _)) = message else { anyhow::bail!("the netlink socket closed") };
        let event = match message.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(message)) => present(&message),
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(message)) => {
                LinkEvent::Gone(message.header.index)
            }
            _ => continue,
        };
        events.send(event).await?;
    }
}

fn present(message: &LinkMessage) -> LinkEvent {
    let flags = message.header.flags;
    let mut link = Link {
        ifindex: message.header.index,
        name: String::new(),
        mac: MacAddr::ZERO,
        mtu: 0,
        up: flags.contains(LinkFlags::Up) && flags.contains(LinkFlags::LowerUp),
        admin_up: flags.contains(LinkFlags::Up),
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(bytes) => {
                link.mac = <[u8; 6]>::try_from(bytes.as_slice()).map_or(MacAddr::ZERO, MacAddr);
            }
            _ => {}
        }
    }
    LinkEvent::Present(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(ifindex: u32, name: &str) -> Link {
        Link { ifindex, name: name.into(), mac: MacAddr::ZERO, mtu: 1500, up: true, admin_up: true }
    }

    #[test]
    fn changes_name_the_devices_concerned_and_repetition_names_none() {
        let mut links = Links::default();
        assert_eq!(links.apply(LinkEvent::Present(link(1, "lan"))), ["lan"]);
        assert!(links.apply(LinkEvent::Present(link(1, "lan"))).is_empty());
        assert_eq!(links.apply(LinkEvent::Present(link(1, "wan"))), ["lan", "wan"]);
        assert!(links.named("lan").is_none() && links.named("wan").is_some());
        assert_eq!(links.apply(LinkEvent::Gone(1)), ["wan"]);
        assert!(links.apply(LinkEvent::Gone(1)).is_empty());
        links.apply(LinkEvent::Present(link(1, "lan")));
        links.apply(LinkEvent::Present(link(2, "wan")));
        assert_eq!(links.apply(LinkEvent::All(vec![2])), ["lan"]);
    }
}
