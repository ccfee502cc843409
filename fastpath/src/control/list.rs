//! What there is, as the API lists it.

use std::net::IpAddr;
use std::time::Instant;

use ze_fib::Target;
use ze_fib::writer::{NexthopSpec, Route};
use ze_graph::{DropReason, PuntReason};
use ze_nodes::Flow;
use ze_packet::{MacAddr, NexthopId, ipv4, ipv6};
use ze_proto::{address, v1};
use ze_punt::neighbor::{Neighbor, State};

use super::objects::Owned;
use super::{Control, DEFAULT_VRF};

/// How many routes that lead from VRF to VRF a packet follows.
const VRFS_MAX: usize = ze_nodes::VRFS_MAX;

impl Control {
    /// The daemon itself.
    pub fn info(&self) -> v1::Info {
        v1::Info {
            version: env!("CARGO_PKG_VERSION").into(),
            instance: self.facts.instance,
            uptime_ms: self.began.elapsed().as_millis() as u64,
            pid: std::process::id(),
            tsc_hz: ze_graph::clock::hertz(),
            umem_pages: self.arena.pages().to_string(),
            umem_frames: self.arena.chunks(),
            umem_bytes: self.arena.len_bytes() as u64,
            idle_mode: self.facts.idle.to_string(),
            worker_cores: self.workers.iter().map(|w| w.core as u32).collect(),
            punt_namespace: self.facts.punt_namespace.clone(),
            warnings: self.facts.warnings.clone(),
        }
    }

    /// All interfaces.
    pub fn list_interfaces(&self) -> Vec<v1::InterfaceState> {
        self.objects.interfaces.iter().filter_map(|(name, owned)| self.interface_state(name, owned)).collect()
    }

    fn interface_state(
        &self,
        name: &str,
        owned: &Owned<super::objects::InterfaceObject>,
    ) -> Option<v1::InterfaceState> {
        let id = *self.ids.interfaces.get(name)?;
        let spec = self.fib.interface(id)?;
        let object = &owned.value;
        let [rx, tx, punt, inject] = self.interface_traffic(id);
        let of_interface = self.objects.addresses.iter().filter(|((interface, _), _)| interface == name);
        let addresses = of_interface.map(|((_, a), len)| v1::Address {
            interface: name.into(),
            address: address::to_bytes(*a),
            prefix_len: u32::from(len.value),
        });
        let state = if spec.up {
            v1::LinkState::Up
        } else if object.admin_down {
            v1::LinkState::Down
        } else {
            self.ports.link_state(&object.port)
        };
        let representor = self.representors.present.get(&id);
        Some(v1::InterfaceState {
            interface: Some(v1::Interface {
                name: name.into(),
                port: object.port.clone(),
                vlan: u32::from(object.vlan),
                vrf: object.vrf.clone(),
                mtu: object.mtu.map_or(0, u32::from),
                mac: object.mac.map_or_else(Vec::new, |mac| mac.0.to_vec()),
                admin_down: object.admin_down,
                description: object.description.clone(),
            }),
            owner: self.objects.owner_name(owned.owner).into(),
            state: state.into(),
            mtu: u32::from(spec.mtu),
            mac: spec.mac.0.to_vec(),
            addresses: addresses.collect(),
            link_local: mac_link_local(spec.mac),
            namespace: representor.map_or_else(String::new, |r| r.netns.clone()),
            index: u32::from(id.0),
            rx: Some(rx),
            tx: Some(tx),
            punt: Some(punt),
            inject: Some(inject),
            message: self.representors.errors.get(&id).cloned().unwrap_or_default(),
        })
    }

    /// All VRFs, the default one first.
    pub fn list_vrfs(&self) -> Vec<v1::VrfState> {
        let named =
            self.objects.vrfs.iter().map(|(name, o)| (name.as_str(), self.objects.owner_name(o.owner)));
        let state = |(name, owner): (&str, &str)| {
            let id = self.vrf_id(name)?;
            let (routes4, routes6) = self.fib.route_counts(id);
            let base = &self.facts.punt_namespace;
            Some(v1::VrfState {
                name: name.into(),
                owner: owner.into(),
                routes4,
                routes6,
                lookup_bytes: self.fib.vrf_memory(id).lookup_bytes,
                writer_bytes: self.fib.vrf_memory(id).writer_bytes,
                namespace: if name == DEFAULT_VRF { base.clone() } else { format!("{base}-{name}") },
            })
        };
        std::iter::once((DEFAULT_VRF, "")).chain(named).filter_map(state).collect()
    }

    /// The route that a destination takes; for a flow, the nexthop too.
    ///
    /// # Errors
    /// When there is no such VRF.
    pub fn lookup_route(
        &self,
        vrf: &str,
        address: IpAddr,
        flow: Option<Flow>,
    ) -> Result<v1::LookupRouteReply, String> {
        let vrf = if vrf.is_empty() { DEFAULT_VRF } else { vrf };
        let mut id = self.vrf_id(vrf).ok_or_else(|| format!("there is no VRF '{vrf}'"))?;
        let mut reply = v1::LookupRouteReply::default();
        if let Some(instead) = instead_of_lookup(address) {
            reply.instead = instead;
            return Ok(reply);
        }
        // As often as workers follow routes from VRF to VRF.
        for _ in 0..=VRFS_MAX {
            let Some((prefix, source, target)) = self.fib.longest_match(id, address) else {
                if reply.route.is_some() {
                    reply.dropped = DropReason::NoRoute.name().into();
                }
                return Ok(reply);
            };
            let route = Route { prefix, source, target, stamp: 0, active: true };
            let entry = self.route_entry(self.vrf_name(id), &route);
            match reply.route {
                None => reply.route = Some(entry),
                Some(_) => reply.further.push(entry),
            }
            let chosen = self.choose(target, flow, &mut reply);
            reply.chosen = chosen.map_or(0, |id| id.0);
            match chosen.and_then(|id| self.fib.nexthop(id)) {
                Some(NexthopSpec::Vrf(next)) => id = *next,
                Some(_) | None => return Ok(reply),
            }
        }
        reply.dropped = DropReason::VrfLoop.name().into();
        Ok(reply)
    }

    fn choose(
        &self,
        target: Target,
        flow: Option<Flow>,
        reply: &mut v1::LookupRouteReply,
    ) -> Option<NexthopId> {
        let group = match target {
            Target::Nexthop(id) => return Some(id),
            Target::Group(group) => group,
        };
        let options = self.fib.group_options(group)?;
        reply.flow_hash = flow?.hash(self.facts.hash_seed, options.symmetric);
        self.fib.choose(target, reply.flow_hash)
    }

    pub(super) fn route_entry(&self, vrf: &str, route: &Route) -> v1::RouteEntry {
        let Route { prefix, source, target, active, .. } = *route;
        let group = match target {
            Target::Nexthop(_) => None,
            Target::Group(id) => self.fib.group_options(id).map(|options| v1::GroupState {
                key: self.key_of(target),
                buckets: self.fib.bucket_count(id) as u32,
                resilient: options.resilient,
                symmetric: options.symmetric,
            }),
        };
        let members = self.fib.members(target);
        v1::RouteEntry {
            vrf: vrf.into(),
            prefix: address::to_bytes(prefix.addr()),
            prefix_len: u32::from(prefix.prefix_len()),
            owner: self.source_name(source).into(),
            group,
            nexthops: members.iter().map(|(id, weight)| self.nexthop_state(*id, *weight)).collect(),
            active,
        }
    }

    pub(super) fn nexthop_state(&self, id: NexthopId, weight: u8) -> v1::NexthopState {
        let mut state = self.bare_nexthop_state(id, weight);
        let backups = self.fib.backups(id);
        state.backup = backups.first().map_or(0, |(backup, _)| backup.0);
        state.backup_in_force = backups.iter().any(|(_, in_force)| *in_force);
        let one = |(backup, in_force): &(NexthopId, bool)| {
            let state = self.bare_nexthop_state(*backup, 0);
            v1::NexthopState { in_force: *in_force, ..state }
        };
        state.backups = backups.iter().map(one).collect();
        state
    }

    /// Without its backups.
    fn bare_nexthop_state(&self, id: NexthopId, weight: u8) -> v1::NexthopState {
        let mut state = v1::NexthopState {
            weight: u32::from(weight),
            traffic: Some(self.nexthop_traffic(id)),
            index: id.0,
            key: self.key_of(Target::Nexthop(id)),
            ..v1::NexthopState::default()
        };
        let Some(spec) = self.fib.nexthop(id) else { return state };
        state.interface = spec.interface().map_or_else(String::new, |i| self.interface_name(i).to_owned());
        state.mtu = spec.interface().and_then(|i| self.fib.interface(i)).map_or(0, |spec| spec.mtu.into());
        state.kind = match spec {
            NexthopSpec::Gateway(_, gateway) => {
                state.gateway = address::to_bytes(*gateway);
                let mac = self.fib.neighbor_behind(id).and_then(|(_, _, mac)| mac);
                state.mac = mac.map_or_else(Vec::new, |mac| mac.0.to_vec());
                if mac.is_some() { "adjacency" } else { "unresolved" }
            }
            NexthopSpec::Interface(_) => "glean",
            NexthopSpec::Local(_) => "local",
            NexthopSpec::SubnetBroadcast(_) => "broadcast",
            NexthopSpec::Vrf(vrf) => {
                state.vrf = self.vrf_name(*vrf).to_owned();
                "vrf"
            }
            NexthopSpec::Blackhole => "blackhole",
            NexthopSpec::Unreachable => "unreachable",
            NexthopSpec::Prohibit => "prohibit",
        }
        .into();
        state
    }

    /// Neighbours of one interface or all.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn list_neighbors(&self, interface: &str) -> Result<Vec<v1::NeighborEntry>, String> {
        let wanted = match interface {
            "" => None,
            name => Some(*self.ids.interfaces.get(name).ok_or_else(|| no_interface(name))?),
        };
        let all = self.neighbors.snapshot(Instant::now());
        let of_interface = all.filter(|n| wanted.is_none_or(|id| n.interface == id));
        Ok(of_interface.map(|neighbor| self.neighbor_entry(&neighbor)).collect())
    }

    fn neighbor_entry(&self, neighbor: &Neighbor) -> v1::NeighborEntry {
        let name = self.interface_name(neighbor.interface);
        let owner = self.objects.neighbors.get(&(name.to_owned(), neighbor.address));
        let state = match neighbor.state {
            State::Incomplete => "incomplete",
            State::Reachable => "reachable",
            State::Stale => "stale",
            State::Delay => "delay",
            State::Probe => "probe",
            State::Failed => "failed",
            State::Permanent => "permanent",
        };
        v1::NeighborEntry {
            interface: name.into(),
            address: address::to_bytes(neighbor.address),
            mac: neighbor.mac.map_or_else(Vec::new, |mac| mac.0.to_vec()),
            state: state.into(),
            age_ms: neighbor.age.as_millis() as u64,
            held: neighbor.held as u32,
            owner: owner.map_or_else(String::new, |o| self.objects.owner_name(o.owner).into()),
        }
    }

    /// Forgets learned neighbours. Returns how many.
    ///
    /// # Errors
    /// When there is no such interface, or a single address is asked for that is not known.
    pub fn flush_neighbors(&mut self, interface: &str, one: Option<IpAddr>) -> Result<u64, String> {
        let wanted = match interface {
            "" => None,
            name => Some(*self.ids.interfaces.get(name).ok_or_else(|| no_interface(name))?),
        };
        let now = Instant::now();
        let concerned = |n: &Neighbor| {
            !n.is_static && wanted.is_none_or(|id| n.interface == id) && one.is_none_or(|a| n.address == a)
        };
        let found: Vec<_> = self.neighbors.snapshot(now).filter(concerned).collect();
        match one {
            None => self.neighbors.flush(wanted, now),
            Some(_) => found.iter().for_each(|n| self.neighbors.flush_one(n.interface, n.address, now)),
        }
        self.settle();
        Ok(found.len() as u64)
    }
}

fn no_interface(name: &str) -> String {
    format!("there is no interface '{name}'")
}

fn mac_link_local(mac: MacAddr) -> Vec<u8> {
    if mac == MacAddr::ZERO { Vec::new() } else { mac.link_local().octets().to_vec() }
}

/// What becomes of packets to destinations for which the graph asks no route: see `ip4_input` and `ip6_input`.
fn instead_of_lookup(destination: IpAddr) -> Option<String> {
    let dropped = |reason: DropReason| {
        Some(format!("No router forwards to {destination}: its packets are dropped ({}).", reason.name()))
    };
    let to_the_host = |what: &str, class: PuntReason| {
        let class = class.name();
        Some(format!(
            "{what} is not routed: packets to {destination} go to the router's own host (punt class {class})."
        ))
    };
    match destination {
        IpAddr::V4(v4) => match v4.to_bits() {
            u32::MAX => to_the_host("Limited broadcast", PuntReason::Broadcast),
            bits if ipv4::is_multicast(bits) => to_the_host("Multicast", PuntReason::Multicast),
            bits if ipv4::is_martian_destination(bits) => dropped(DropReason::Ip4DestinationMartian),
            _ => None,
        },
        IpAddr::V6(v6) => match v6.to_bits() {
            // RFC 4291 §2.7: scope 0 is reserved, scope 1 never leaves a node.
            bits if ipv6::is_multicast(bits) && bits >> 112 & 0xf > 1 => {
                to_the_host("Multicast", PuntReason::Multicast)
            }
            bits if ipv6::is_multicast(bits) || ipv6::is_martian_destination(bits) => {
                dropped(DropReason::Ip6DestinationMartian)
            }
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::instead_of_lookup;

    #[test]
    fn what_the_graph_asks_no_route_for_is_said_and_the_rest_is_looked_up() {
        let said = |address: &str| instead_of_lookup(address.parse().unwrap());
        for (address, words) in [
            ("224.5.5.5", "punt class multicast"),
            ("239.255.255.255", "punt class multicast"),
            ("255.255.255.255", "punt class broadcast"),
            ("127.0.0.1", "ip4_destination_martian"),
            ("0.0.0.0", "ip4_destination_martian"),
            ("240.0.0.1", "ip4_destination_martian"),
            ("ff02::5", "punt class multicast"),
            ("ff01::1", "ip6_destination_martian"),
            ("::1", "ip6_destination_martian"),
            ("::ffff:192.0.2.1", "ip6_destination_martian"),
        ] {
            let said = said(address).unwrap_or_default();
            assert!(said.contains(words) && said.contains(address), "{address}: {said}");
        }
        for address in ["192.0.2.1", "223.255.255.255", "169.254.0.1", "2001:db8::1", "fe80::1", "fc00::1"] {
            assert_eq!(said(address), None, "{address}");
        }
    }
}
