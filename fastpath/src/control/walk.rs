//! Walks over the routes of VRFs, a slice a job: between two slices everything else has its turn.
//!
//! A walk is right about each prefix as of the slice that came by it. It sees no prefix twice, and every prefix that is
//! there from its beginning to its end; of what comes or goes meanwhile it sees what is there when it comes by. All
//! that is kept between slices is the last prefix, so a client that reads slowly, or not at all, costs nothing here.

use ipnet::IpNet;
use ze_fib::writer::Route;
use ze_packet::VrfId;
use ze_proto::v1;
use ze_proto::{digest, packed};

use super::Control;
use super::objects::OwnerId;

/// Prefixes in a slice that makes an entry of each: 1 ms or so.
const ENTRIES_A_SLICE: usize = 1024;
/// Prefixes in a slice that only compares, or packs.
const PREFIXES_A_SLICE: usize = 8192;
/// After the last IPv4 prefix come those of IPv6.
const LAST4: IpNet = IpNet::V4(ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::BROADCAST, 32));

/// Where a walk is.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    /// VRFs still to be walked, the present one last. By name: a number may be another VRF's by the next slice.
    vrfs: Vec<String>,
    after: Option<IpNet>,
    family: Family,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Family {
    Four,
    Six,
    #[default]
    Both,
}

impl Walk {
    /// Has it come to its end?
    pub const fn is_over(&self) -> bool {
        self.vrfs.is_empty()
    }

    /// The VRF that it is in.
    fn vrf(&self) -> &str {
        self.vrfs.last().map_or("", String::as_str)
    }

    /// Goes on after this prefix, or in the next VRF.
    fn go_on(&mut self, after: Option<IpNet>) {
        let ends = |prefix: &IpNet| self.family == Family::Four && prefix.addr().is_ipv6();
        match after.filter(|prefix| !ends(prefix)) {
            Some(prefix) => self.after = Some(prefix),
            None => {
                self.vrfs.pop();
                self.after = self.family.begin();
            }
        }
    }
}

impl Family {
    fn begin(self) -> Option<IpNet> {
        (self == Self::Six).then_some(LAST4)
    }
}

impl Control {
    /// A walk over all routes.
    pub fn walk_all(&self) -> Walk {
        let mut vrfs: Vec<_> = self.list_vrfs().into_iter().map(|vrf| vrf.name).collect();
        vrfs.reverse();
        Walk { vrfs, ..Walk::default() }
    }

    /// A walk over the routes of one VRF ("" is all) and family (4, 6, or 0 for both).
    ///
    /// # Errors
    /// When there is no such VRF.
    pub fn walk(&self, vrf: &str, family: u32) -> Result<Walk, String> {
        let family = match family {
            4 => Family::Four,
            6 => Family::Six,
            _ => Family::Both,
        };
        let mut walk = match vrf {
            "" => self.walk_all(),
            name => {
                self.vrf_id(name).ok_or_else(|| format!("there is no VRF '{name}'"))?;
                Walk { vrfs: vec![name.to_owned()], ..Walk::default() }
            }
        };
        (walk.family, walk.after) = (family, family.begin());
        Ok(walk)
    }

    /// The routes of the next `limit` prefixes, all of each; the walk has passed them. None: their VRF has gone.
    fn slice(&mut self, walk: &mut Walk, limit: usize) -> Option<(VrfId, Vec<Route>)> {
        self.slices += 1;
        let Some(vrf) = self.vrf_id(walk.vrf()) else {
            walk.go_on(None);
            return None;
        };
        let (mut routes, mut prefixes, mut next) = (Vec::new(), 0, None);
        let of_family = |route: &Route| walk.family != Family::Four || route.prefix.addr().is_ipv4();
        for route in self.fib.routes_after(vrf, walk.after).take_while(of_family) {
            let last = routes.last().map(|route: &Route| route.prefix);
            if last != Some(route.prefix) {
                if prefixes == limit {
                    next = last;
                    break;
                }
                prefixes += 1;
            }
            routes.push(route);
        }
        walk.go_on(next);
        Some((vrf, routes))
    }

    /// The next routes, as the API lists them.
    pub fn list_routes(&mut self, walk: &mut Walk) -> Vec<v1::RouteEntry> {
        let Some((vrf, routes)) = self.slice(walk, ENTRIES_A_SLICE) else { return Vec::new() };
        let name = self.vrf_name(vrf);
        routes.iter().map(|route| self.route_entry(name, route)).collect()
    }

    /// An owner's next routes of some buckets, packed. None in this slice: nothing to send.
    pub(super) fn list_owned_routes(
        &mut self,
        walk: &mut Walk,
        owner: OwnerId,
        wanted: &[bool; digest::BUCKETS],
    ) -> Option<v1::PackedRoutes> {
        let (vrf, routes) = self.slice(walk, PREFIXES_A_SLICE)?;
        let source = self.objects.source(owner);
        let of_owner = routes.iter().filter(|route| route.source == source);
        let routes: Vec<_> = of_owner
            .filter(|route| wanted[digest::bucket(&route.prefix)])
            .filter_map(|route| Some((route.prefix, self.ids.target_keys.get(&route.target)?.1)))
            .collect();
        (!routes.is_empty()).then(|| packed::put(self.vrf_name(vrf), routes))
    }

    /// Puts right what lookups would find otherwise than the books say, in the next prefixes. Returns how many were
    /// looked at, and how many were wrong.
    pub fn mend(&mut self, walk: &mut Walk) -> (u64, u64) {
        self.slices += 1;
        let Some(vrf) = self.vrf_id(walk.vrf()) else {
            walk.go_on(None);
            return (0, 0);
        };
        let slice = self.fib.mend_routes(vrf, walk.after, PREFIXES_A_SLICE);
        if slice.mended > 0 {
            let (vrf, mended) = (walk.vrf(), slice.mended);
            tracing::error!(vrf, mended, "lookups differed from the books and were put right");
        }
        walk.go_on(slice.next);
        (slice.checked, slice.mended)
    }

    /// Removes, of the next prefixes, the routes that `owner` has not put again in its present generation. Returns how
    /// many went.
    pub fn sweep_routes(&mut self, walk: &mut Walk, owner: OwnerId) -> u64 {
        let Some((vrf, routes)) = self.slice(walk, PREFIXES_A_SLICE) else { return 0 };
        let (source, now) = (self.objects.source(owner), self.objects.generation(owner) as u32);
        let stale = |route: &&Route| route.source == source && route.stamp < now;
        let stale: Vec<_> = routes.iter().filter(stale).map(|route| route.prefix).collect();
        stale.iter().for_each(|prefix| self.delete_route(owner, vrf, *prefix));
        stale.len() as u64
    }
}
