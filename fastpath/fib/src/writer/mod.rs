//! What the control thread writes: one [`Fib`] owns every table and the objects behind them.
//!
//! The objects here carry numbers, not names; names, owners and the API are the daemon's business. A change is
//! either made completely or refused with an [`Error`] and not made at all.
//!
//! | table | rooms |
//! |---|---|
//! | VRFs and their routes | `routes`, `table`, `walk` |
//! | ports, interfaces, addresses | `interfaces` |
//! | nexthops, their backups, neighbours | `nexthops` |
//! | nexthop groups | `groups`, `buckets` |

mod buckets;
mod groups;
mod interfaces;
mod nexthops;
mod routes;
mod table;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use ipnet::IpNet;
use ze_packet::{GroupId, InterfaceId, NexthopId, PortId, VrfId};
use ze_sync::Domain;

use crate::{Limits, Tables};

pub use groups::GROUP_MEMBERS_MAX;
pub use interfaces::InterfaceSpec;
pub use nexthops::{BACKUPS_MAX, NexthopSpec};
pub use routes::{Route, RouteSource, VrfMemory};
pub use walk::Mended;

use groups::GroupEntry;
use interfaces::InterfaceEntry;
use nexthops::{Concerned, NeighborEntry, NexthopEntry, Numbers};
use routes::VrfEntry;

/// Why a change was refused. Nothing of it has been made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A table has no room left.
    #[error("the {0} table is full ({1} entries)")]
    Full(&'static str, usize),
    /// No such object.
    #[error("there is no {0}")]
    Unknown(String),
    /// Something still refers to the object.
    #[error("{0} is still in use by {1}")]
    InUse(String, String),
    /// Contradicts another object.
    #[error("{0}")]
    Conflict(String),
    /// The longest-prefix-match table refused the route.
    #[error("{0}")]
    Lpm(#[from] ze_lpm::Error),
}

/// Every table's writer.
pub struct Fib {
    tables: Arc<Tables>,
    domain: Domain,
    ports: HashMap<PortId, crate::PortTable>,
    port_numbers: Numbers,
    interfaces: HashMap<InterfaceId, InterfaceEntry>,
    interface_numbers: Numbers,
    vrfs: HashMap<VrfId, VrfEntry>,
    vrf_numbers: Numbers,
    nexthops: HashMap<NexthopId, NexthopEntry, RandomState>,
    concerned: Concerned,
    nexthop_numbers: Numbers,
    groups: HashMap<GroupId, GroupEntry, RandomState>,
    group_numbers: Numbers,
    neighbors: HashMap<(InterfaceId, IpAddr), NeighborEntry>,
}

impl Fib {
    /// The VRF that exists always.
    pub const DEFAULT_VRF: VrfId = VrfId(0);

    /// Empty tables with the default VRF.
    pub fn new(domain: &Domain, limits: Limits) -> Self {
        let mut fib = Self {
            tables: Arc::new(Tables::new(domain, limits)),
            domain: domain.clone(),
            ports: HashMap::new(),
            port_numbers: Numbers::new("port", 0, limits.ports),
            interfaces: HashMap::new(),
            interface_numbers: Numbers::new("interface", 1, limits.interfaces),
            vrfs: HashMap::new(),
            vrf_numbers: Numbers::new("VRF", 1, limits.vrfs),
            nexthops: HashMap::default(),
            concerned: Concerned::default(),
            nexthop_numbers: Numbers::new("nexthop", 1, limits.nexthops),
            groups: HashMap::default(),
            group_numbers: Numbers::new("nexthop group", 1, limits.groups),
            neighbors: HashMap::new(),
        };
        fib.insert_vrf(Self::DEFAULT_VRF);
        fib
    }

    /// The tables that workers read.
    pub fn tables(&self) -> Arc<Tables> {
        Arc::clone(&self.tables)
    }

    /// Frees what was replaced and no worker can hold any more. Call now and then.
    pub fn reclaim(&self) -> usize {
        self.domain.reclaim()
    }
}

/// The network that an address with its prefix length lies in.
pub(crate) fn network(address: IpAddr, prefix_len: u8) -> Option<IpNet> {
    IpNet::new(address, prefix_len).ok().map(|net| net.trunc())
}
