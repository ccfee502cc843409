//! Representors: the veth pairs through which Linux sockets see the router's interfaces.
//!
//! ```text
//!  daemon's namespace              namespace `ze` (default VRF), `ze-<vrf>`
//!  ┌────────────────────┐          ┌─────────────────────────────────────────┐
//!  │ zer4f0a91c2d7 ─────┼── veth ──┼─ lan0: the interface's name, MAC, MTU    │
//!  │ (AF_XDP)           │          │        and addresses; NOARP; no offloads │
//!  └────────────────────┘          │  default dev lan0                        │
//!                                  └─────────────────────────────────────────┘
//! ```
//!
//! The inner end does no ARP and no neighbour discovery: every frame the host stack sends goes to the
//! interface's own MAC, that is to the fast path, whose FIB decides. Checksums and segmentation are finished
//! before a packet enters the pair: the fast path never sees CHECKSUM_PARTIAL.
//!
//! A pair outlives its daemon. [`Representors::ensure`] adopts one that is left, so that TCP sessions of sockets
//! in the namespace survive a restart; [`Representors::sweep_stale`], called when the daemon knows all its
//! interfaces again, removes what nobody asked for since.
//!
//! Without a fast path nothing leaks: what the host stack sends is addressed to a MAC that the outer end does
//! not have, so the kernel in the daemon's namespace drops it.
//!
//! Namespaces are named as `ip netns` names them. A daemon that runs in a mount namespace of its own (as
//! `ip netns exec` makes one) shows these names only to its children.

mod address;
mod link;
mod name;
mod netns;
mod route;
mod sysctl;

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::Ipv6Addr;

use ipnet::IpNet;
use ze_packet::{InterfaceId, MacAddr};

use link::Link;
use name::Names;
use netns::Netns;

/// What a representor shall look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The interface it stands for.
    pub interface: InterfaceId,
    /// The interface's name, which the inner end gets: at most 15 bytes.
    pub name: String,
    /// The VRF; `None` is the default one.
    pub vrf: Option<String>,
    /// The interface's Ethernet address.
    pub mac: MacAddr,
    /// The interface's MTU, L2 header not included.
    pub mtu_bytes: u32,
    /// Addresses with their prefix lengths, in the order of preference.
    pub addresses: Vec<IpNet>,
    /// The link-local address that the fast path answers for.
    pub link_local: Option<Ipv6Addr>,
    /// Does the inner end have a carrier?
    pub up: bool,
}

/// A representor that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Representor {
    /// The outer end's name in the daemon's namespace.
    pub outer_name: String,
    /// The outer end's index there.
    pub outer_ifindex: u32,
    /// The inner end's name.
    pub inner_name: String,
    /// The inner end's index in its namespace.
    pub inner_ifindex: u32,
    /// The namespace of the inner end.
    pub netns: String,
    /// A pair that was there before the daemon started.
    pub adopted: bool,
}

/// What [`Representors::remove_all`] leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// The namespaces stay, with whatever runs there.
    Keep,
    /// The namespaces that we made go too.
    Remove,
}

/// Why a representor could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name the kernel or the file system would not take.
    #[error("'{name}' cannot be the name of {what}: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What it should name.
        what: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// IPv6 needs an MTU of 1280 bytes, RFC 8200 §5; any interface at least 68, RFC 791.
    #[error("{name}: MTU {mtu_bytes} is too small, {least} bytes are needed")]
    Mtu {
        /// The interface.
        name: String,
        /// The MTU asked for.
        mtu_bytes: u32,
        /// The smallest that works.
        least: u32,
    },
    /// A device of somebody else has the name we need.
    #[error("device '{name}' in namespace '{netns}' is not ours")]
    ForeignDevice {
        /// The device.
        name: String,
        /// Where.
        netns: String,
    },
    /// A namespace of another instance has the name we need.
    #[error("namespace '{name}' belongs to another instance ('{owner}')")]
    ForeignNamespace {
        /// The namespace.
        name: String,
        /// What it says of its owner.
        owner: String,
    },
    /// A namespace could not be made, entered or removed.
    #[error("namespace '{name}': {step}: {source}")]
    Namespace {
        /// The namespace.
        name: String,
        /// What was tried.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel refused a netlink request.
    #[error("{what}: {source}")]
    Netlink {
        /// What was asked.
        what: String,
        /// The kernel's answer.
        source: Box<rtnetlink::Error>,
    },
    /// A sysctl could not be set.
    #[error("{path}: {source}")]
    Sysctl {
        /// The file.
        path: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A device feature could not be set.
    #[error(transparent)]
    Feature(#[from] ze_ethtool::Error),
}

/// Every representor of one daemon.
#[derive(Debug)]
pub struct Representors {
    names: Names,
    /// The daemon's own namespace, where the outer ends are.
    own: Netns,
    /// Namespaces by name.
    namespaces: HashMap<String, Netns>,
    installed: HashMap<InterfaceId, Installed>,
}

#[derive(Debug)]
struct Installed {
    spec: Spec,
    representor: Representor,
}

impl Representors {
    /// Opens the calling thread's namespace, and makes or reuses the namespace `base` of the default VRF.
    /// `instance` marks what is ours among several daemons of one machine. Needs a tokio runtime, and root.
    ///
    /// # Errors
    /// When a name is impossible, the namespace belongs to another instance, or the kernel refuses.
    pub async fn open(base: &str, instance: &str) -> Result<Self, Error> {
        let names = Names::new(base, instance)?;
        let own = Netns::current().await?;
        let mut this = Self { names, own, namespaces: HashMap::new(), installed: HashMap::new() };
        this.namespace(None).await?;
        Ok(this)
    }

    /// The name of a VRF's namespace.
    ///
    /// # Errors
    /// When the VRF's name cannot be part of a file name.
    pub fn netns_name(&self, vrf: Option<&str>) -> Result<String, Error> {
        self.names.netns(vrf)
    }

    /// Makes the namespace of a VRF if there is none, so that sockets can live there before any interface does.
    ///
    /// # Errors
    /// As [`Representors::open`].
    pub async fn ensure_vrf(&mut self, vrf: &str) -> Result<String, Error> {
        self.namespace(Some(vrf)).await
    }

    /// Makes the representor like its specification, applying only what differs. A pair that is left from an
    /// earlier daemon is adopted.
    ///
    /// # Errors
    /// When the specification is impossible, a name is taken, or the kernel refuses. What was done until then
    /// stays; a second call goes on from there.
    pub async fn ensure(&mut self, spec: &Spec) -> Result<Representor, Error> {
        validate(spec)?;
        let netns = self.namespace(spec.vrf.as_deref()).await?;
        let moved = self.installed.get(&spec.interface).is_some_and(|installed| {
            installed.representor.netns != netns || installed.representor.inner_name != spec.name
        });
        if moved {
            self.remove(spec.interface).await?;
        }
        let inside = self.namespaces.get(&netns).ok_or_else(|| gone(&netns))?;
        let pair = link::ensure_pair(&self.own, inside, &self.names, spec).await?;
        let (outer_ifindex, inner_ifindex) = (pair.outer.index, pair.inner.index);
        link::ensure_outer(&self.own, &pair.outer, spec).await?;
        link::ensure_inner(inside, &pair.inner, spec).await?;
        address::ensure(inside, &pair.inner, spec).await?;
        let known = self.installed.get(&spec.interface).map(|installed| installed.representor.adopted);
        let representor = Representor {
            outer_name: pair.outer.name,
            outer_ifindex,
            inner_name: spec.name.clone(),
            inner_ifindex,
            netns: netns.clone(),
            adopted: known.unwrap_or(pair.adopted),
        };
        let installed = Installed { spec: spec.clone(), representor: representor.clone() };
        self.installed.insert(spec.interface, installed);
        self.ensure_default_routes(&netns).await?;
        Ok(representor)
    }

    /// Removes an interface's representor; nothing happens when there is none.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn remove(&mut self, interface: InterfaceId) -> Result<(), Error> {
        let Some(installed) = self.installed.remove(&interface) else { return Ok(()) };
        link::delete(&self.own, installed.representor.outer_ifindex).await?;
        self.ensure_default_routes(&installed.representor.netns).await
    }

    /// Removes what an earlier daemon of this instance left and nobody asked for since [`Representors::open`].
    /// Returns the names of the outer ends.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn sweep_stale(&mut self) -> Result<Vec<String>, Error> {
        let wanted: HashSet<u32> =
            self.installed.values().map(|installed| installed.representor.outer_ifindex).collect();
        let mut swept = Vec::new();
        for link in self.own.links().await? {
            if !self.is_outer(&link) || wanted.contains(&link.index) {
                continue;
            }
            link::delete(&self.own, link.index).await?;
            tracing::info!(device = link.name, alias = link.alias, "stale representor removed");
            swept.push(link.name);
        }
        Ok(swept)
    }

    /// Removes every representor of this instance, as an orderly stop may want.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn remove_all(&mut self, namespaces: Namespaces) -> Result<(), Error> {
        self.installed.clear();
        self.sweep_stale().await?;
        match namespaces {
            Namespaces::Keep => Ok(()),
            Namespaces::Remove => self.remove_namespaces().await,
        }
    }

    /// The representor of an interface.
    pub fn representor(&self, interface: InterfaceId) -> Option<&Representor> {
        self.installed.get(&interface).map(|installed| &installed.representor)
    }

    fn is_outer(&self, link: &Link) -> bool {
        link.is_veth && link.alias.as_deref().is_some_and(|alias| self.names.is_our_alias(alias))
    }

    /// Opens or makes a VRF's namespace; returns its name.
    async fn namespace(&mut self, vrf: Option<&str>) -> Result<String, Error> {
        let name = self.names.netns(vrf)?;
        if let Some(open) = self.namespaces.get(&name)
            && netns::is_named(&name, open)
        {
            return Ok(name);
        }
        let mark = self.names.netns_mark();
        let (netns, made) = Netns::ensure(&name).await?;
        let loopback = netns.link("lo").await?.ok_or_else(|| gone(&name))?;
        match loopback.alias.as_deref() {
            Some(owner) if name::is_netns_mark(owner) && owner != mark => {
                return Err(Error::ForeignNamespace { name, owner: owner.to_owned() });
            }
            Some(_) | None => {}
        }
        link::ensure_loopback(&netns, &loopback, made.then_some(mark.as_str())).await?;
        netns.run(sysctl::prepare_namespace).await??;
        tracing::info!(netns = name, made, "namespace ready");
        if self.namespaces.insert(name.clone(), netns).is_some() {
            // What stood in the namespace that somebody deleted is gone with it.
            self.installed.retain(|_, installed| installed.representor.netns != name);
        }
        Ok(name)
    }

    async fn ensure_default_routes(&self, netns: &str) -> Result<(), Error> {
        let Some(inside) = self.namespaces.get(netns) else { return Ok(()) };
        let on: Vec<_> = self.installed.values().filter(|on| on.representor.netns == netns).collect();
        route::ensure_defaults(inside, &on).await
    }

    async fn remove_namespaces(&mut self) -> Result<(), Error> {
        self.namespaces.clear();
        for name in netns::named()? {
            if !self.names.may_be_netns(&name) {
                continue;
            }
            let Some(netns) = Netns::open(&name).await? else { continue };
            let loopback = netns.link("lo").await?;
            let ours = loopback.and_then(|lo| lo.alias).is_some_and(|alias| alias == self.names.netns_mark());
            if ours {
                drop(netns);
                netns::remove(&name)?;
                tracing::info!(netns = name, "namespace removed");
            }
        }
        Ok(())
    }
}

/// RFC 791 §3.2: every module must take 68 bytes.
const MIN_MTU_BYTES: u32 = 68;

fn validate(spec: &Spec) -> Result<(), Error> {
    name::check_device(&spec.name)?;
    let has_v6 = spec.link_local.is_some() || spec.addresses.iter().any(|net| matches!(net, IpNet::V6(_)));
    let least = if has_v6 { ze_packet::ipv6::MIN_MTU_BYTES as u32 } else { MIN_MTU_BYTES };
    if spec.mtu_bytes < least {
        return Err(Error::Mtu { name: spec.name.clone(), mtu_bytes: spec.mtu_bytes, least });
    }
    Ok(())
}

/// Somebody removed what we had a moment ago.
fn gone(netns: &str) -> Error {
    let source = io::Error::from(io::ErrorKind::NotFound);
    Error::Namespace { name: netns.to_owned(), step: "look up", source }
}
