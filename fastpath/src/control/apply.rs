//! One operation of a client: checked against all objects, then made, in the tables and in the books.

use std::net::IpAddr;

use ipnet::IpNet;
use ze_fib::Target;
use ze_fib::writer::{Error as FibError, NexthopSpec, RouteSource};
use ze_packet::VrfId;
use ze_proto::v1::{self, Reason, operation::Operation};

use super::objects::{self, InterfaceObject, NexthopObject, Objects, Owned, OwnerId, TargetKey};
use super::parse::{self, Refused, refuse};
use super::{Control, Stopping};

/// Refusals of one operation, with the position of the route concerned.
pub(super) type Refusals = Vec<(u32, Refused)>;

impl Control {
    /// Begins a stream of an owner; an older stream of the same owner is void from now on.
    ///
    /// # Errors
    /// When the name is no owner's.
    pub fn begin_stream(&mut self, owner: &str, snapshot: bool) -> Result<(OwnerId, u64), Refused> {
        let id = self.objects.hello(owner, snapshot)?;
        self.streams_begun += 1;
        self.streams.insert(id, self.streams_begun);
        Ok((id, self.streams_begun))
    }

    /// Is this the owner's newest stream?
    pub fn stream_is_current(&self, owner: OwnerId, stream: u64) -> bool {
        self.streams.get(&owner) == Some(&stream)
    }

    /// Applies operations in order. Returns how many were applied, and the refusals.
    pub fn apply(&mut self, owner: OwnerId, operations: Vec<v1::Operation>) -> (u64, Vec<v1::Refusal>) {
        let (mut applied, mut refusals) = (0, Vec::new());
        for (at, operation) in operations.into_iter().enumerate() {
            let refused = self.apply_one(owner, operation);
            applied += u64::from(refused.is_empty());
            refusals.extend(refused.into_iter().map(|(element, r)| r.into_proto(at as u32, element)));
        }
        self.settle();
        (applied, refusals)
    }

    fn apply_one(&mut self, owner: OwnerId, operation: v1::Operation) -> Refusals {
        let whole = |result: Result<(), Refused>| result.err().map(|r| (0, r)).into_iter().collect();
        let Some(operation) = operation.operation else {
            return vec![(0, no_operation())];
        };
        match operation {
            Operation::PutRoutes(routes) => self.put_routes(owner, routes),
            Operation::DeleteRoutes(routes) => self.delete_routes(owner, &routes),
            Operation::PutPort(port) => whole(self.put_port(owner, port)),
            Operation::DeletePort(name) => whole(self.delete_port(owner, &name)),
            Operation::PutVrf(vrf) => whole(self.put_vrf(owner, &vrf.name)),
            Operation::DeleteVrf(name) => whole(self.delete_vrf(owner, &name)),
            Operation::PutInterface(interface) => whole(self.put_interface(owner, &interface)),
            Operation::DeleteInterface(name) => whole(self.delete_interface(owner, &name)),
            Operation::PutAddress(address) => whole(self.put_address(owner, &address)),
            Operation::DeleteAddress(address) => whole(self.delete_address(owner, &address)),
            Operation::PutNexthop(nexthop) => whole(self.put_nexthop(owner, &nexthop)),
            Operation::DeleteNexthop(key) => whole(self.delete_nexthop(owner, key)),
            Operation::PutNexthopGroup(group) => whole(self.put_group(owner, &group)),
            Operation::DeleteNexthopGroup(key) => whole(self.delete_group(owner, key)),
            Operation::PutNeighbor(neighbor) => whole(self.put_neighbor(owner, &neighbor)),
            Operation::DeleteNeighbor(neighbor) => whole(self.delete_neighbor(owner, &neighbor)),
            Operation::PutSystem(system) => {
                self.put_system(&system);
                Vec::new()
            }
        }
    }

    // ---- VRFs ----------------------------------------------------------------------------------------------

    fn put_vrf(&mut self, owner: OwnerId, name: &str) -> Result<(), Refused> {
        let name = parse::vrf_name(name)?;
        let path = objects::vrf_path(&name);
        if name == objects::DEFAULT_VRF {
            return refuse(Reason::Conflict, path, "the default VRF exists always and belongs to nobody");
        }
        self.objects.check_owner(owner, &path, self.objects.vrfs.get(&name))?;
        if !self.ids.vrfs.contains_key(&name) {
            let id = self.fib.create_vrf().map_err(|e| refused(&path, &e))?;
            self.ids.vrfs.insert(name.clone(), id);
        }
        let owned = self.objects.own(owner, ());
        self.objects.vrfs.insert(name, owned);
        Ok(())
    }

    pub(super) fn delete_vrf(&mut self, owner: OwnerId, name: &str) -> Result<(), Refused> {
        let path = objects::vrf_path(name);
        self.objects.check_owner(owner, &path, self.objects.vrfs.get(name))?;
        self.objects.check_delete_vrf(name)?;
        if let Some(id) = self.ids.vrfs.get(name) {
            self.fib.remove_vrf(*id).map_err(|e| refused(&path, &e))?;
        }
        self.ids.vrfs.remove(name);
        self.objects.vrfs.remove(name);
        Ok(())
    }

    // ---- nexthops and groups -------------------------------------------------------------------------------

    fn put_nexthop(&mut self, owner: OwnerId, message: &v1::Nexthop) -> Result<(), Refused> {
        let object = parse::nexthop(message)?;
        self.objects.check_nexthop(message.key, &object)?;
        let key = (owner, message.key);
        let spec = self.nexthop_spec(&object);
        let path = objects::nexthop_path(message.key);
        match self.ids.nexthops.get(&key) {
            Some(id) if self.fib.nexthop(*id) == Some(&spec) => {}
            Some(id) => self.fib.replace_nexthop(*id, spec.clone()).map_err(|e| refused(&path, &e))?,
            None => {
                let id = self.fib.create_nexthop(spec.clone()).map_err(|e| refused(&path, &e))?;
                self.ids.nexthops.insert(key, id);
            }
        }
        let owned = self.objects.own(owner, object);
        let uses = self.objects.nexthops.get(&key).map_or(0, |(_, uses)| *uses);
        self.objects.nexthops.insert(key, (owned, uses));
        if let NexthopSpec::Gateway(interface, address) = spec {
            self.want_neighbor(interface, address);
        }
        Ok(())
    }

    pub(super) fn delete_nexthop(&mut self, owner: OwnerId, key: u64) -> Result<(), Refused> {
        let path = objects::nexthop_path(key);
        let Some((_, uses)) = self.objects.nexthops.get(&(owner, key)) else { return Ok(()) };
        if *uses > 0 {
            return refuse(Reason::InUse, path, format!("{uses} routes or groups still refer to it"));
        }
        if let Some(id) = self.ids.nexthops.remove(&(owner, key)) {
            self.fib.remove_nexthop(id).map_err(|e| refused(&path, &e))?;
        }
        self.objects.nexthops.remove(&(owner, key));
        Ok(())
    }

    /// What the tables hold for a nexthop as things stand. A gateway that nothing connected covers any more is
    /// unreachable until something does.
    pub(super) fn nexthop_spec(&self, object: &NexthopObject) -> NexthopSpec {
        let interface = |name: &str| self.ids.interfaces.get(name).copied();
        match object {
            NexthopObject::Gateway { address, interface: Some(name), .. } => {
                interface(name).map_or(NexthopSpec::Unreachable, |id| NexthopSpec::Gateway(id, *address))
            }
            NexthopObject::Gateway { address, interface: None, vrf } => {
                let on = self.objects.connected(vrf, *address).and_then(interface);
                on.map_or(NexthopSpec::Unreachable, |id| NexthopSpec::Gateway(id, *address))
            }
            NexthopObject::Interface(name) => {
                interface(name).map_or(NexthopSpec::Unreachable, NexthopSpec::Interface)
            }
            NexthopObject::Blackhole => NexthopSpec::Blackhole,
            NexthopObject::Unreachable => NexthopSpec::Unreachable,
            NexthopObject::Prohibit => NexthopSpec::Prohibit,
        }
    }

    /// Gateways without an interface of their own follow what is connected.
    pub(super) fn refresh_gateways(&mut self) {
        let floating =
            |object: &NexthopObject| matches!(object, NexthopObject::Gateway { interface: None, .. });
        let all: Vec<_> = self
            .objects
            .nexthops
            .iter()
            .filter(|(_, (owned, _))| floating(&owned.value))
            .filter_map(|(key, (owned, _))| {
                Some((*self.ids.nexthops.get(key)?, self.nexthop_spec(&owned.value)))
            })
            .collect();
        for (id, spec) in all {
            if self.fib.nexthop(id) == Some(&spec) {
                continue;
            }
            // The interface exists: nexthop_spec has just found it.
            let _ = self.fib.replace_nexthop(id, spec.clone());
            if let NexthopSpec::Gateway(interface, address) = spec {
                self.want_neighbor(interface, address);
            }
        }
    }

    fn put_group(&mut self, owner: OwnerId, message: &v1::NexthopGroup) -> Result<(), Refused> {
        let members = parse::members(message)?;
        self.objects.check_group(owner, message.key, &members)?;
        let key = (owner, message.key);
        let path = objects::group_path(message.key);
        let known =
            |(nexthop, weight): &(u64, u8)| Some((*self.ids.nexthops.get(&(owner, *nexthop))?, *weight));
        let in_tables: Vec<_> = members.iter().filter_map(known).collect();
        match self.ids.groups.get(&key) {
            Some(id) => self.fib.replace_group(*id, &in_tables).map_err(|e| refused(&path, &e))?,
            None => {
                let id = self.fib.create_group(&in_tables).map_err(|e| refused(&path, &e))?;
                self.ids.groups.insert(key, id);
            }
        }
        for (nexthop, _) in &members {
            self.use_nexthop(owner, *nexthop, 1);
        }
        let owned = self.objects.own(owner, members);
        let uses = self.objects.groups.get(&key).map_or(0, |(_, uses)| *uses);
        if let Some((old, _)) = self.objects.groups.insert(key, (owned, uses)) {
            for (nexthop, _) in old.value {
                self.use_nexthop(owner, nexthop, -1);
            }
        }
        Ok(())
    }

    pub(super) fn delete_group(&mut self, owner: OwnerId, key: u64) -> Result<(), Refused> {
        let Some((_, uses)) = self.objects.groups.get(&(owner, key)) else { return Ok(()) };
        if *uses > 0 {
            let message = format!("{uses} routes still refer to it");
            return refuse(Reason::InUse, objects::group_path(key), message);
        }
        if let Some(id) = self.ids.groups.remove(&(owner, key)) {
            self.fib.remove_group(id);
        }
        if let Some((old, _)) = self.objects.groups.remove(&(owner, key)) {
            for (nexthop, _) in old.value {
                self.use_nexthop(owner, nexthop, -1);
            }
        }
        Ok(())
    }

    fn use_nexthop(&mut self, owner: OwnerId, key: u64, by: i64) {
        if let Some((_, uses)) = self.objects.nexthops.get_mut(&(owner, key)) {
            *uses = uses.saturating_add_signed(by);
        }
    }

    fn use_target(&mut self, owner: OwnerId, target: TargetKey, by: i64) {
        match target {
            TargetKey::Nexthop(key) => self.use_nexthop(owner, key, by),
            TargetKey::Group(key) => {
                if let Some((_, uses)) = self.objects.groups.get_mut(&(owner, key)) {
                    *uses = uses.saturating_add_signed(by);
                }
            }
        }
    }

    // ---- routes --------------------------------------------------------------------------------------------

    fn put_routes(&mut self, owner: OwnerId, message: v1::Routes) -> Refusals {
        let (vrf, id) = match self.route_vrf(&message.vrf) {
            Ok(found) => found,
            Err(refused) => return vec![(0, refused)],
        };
        let mut refusals = Vec::new();
        for (at, route) in message.routes.into_iter().enumerate() {
            if let Err(refused) = self.put_route(owner, &vrf, id, route) {
                refusals.push((at as u32, refused));
            }
        }
        refusals
    }

    fn put_route(&mut self, owner: OwnerId, vrf: &str, id: VrfId, route: v1::Route) -> Result<(), Refused> {
        let prefix = parse::prefix(vrf, &route.prefix, route.prefix_len)?;
        let target = parse::target(vrf, prefix, route.target)?;
        self.objects.check_route(owner, vrf, prefix, target)?;
        let in_tables = match target {
            TargetKey::Nexthop(key) => self.ids.nexthops.get(&(owner, key)).copied().map(Target::Nexthop),
            TargetKey::Group(key) => self.ids.groups.get(&(owner, key)).copied().map(Target::Group),
        };
        let Some(in_tables) = in_tables else {
            let text = "its nexthop is not in the tables";
            return refuse(Reason::UnknownReference, objects::route_path(vrf, prefix), text);
        };
        let source = RouteSource::Owner(owner.0);
        self.fib
            .put_route(id, prefix, source, in_tables)
            .map_err(|e| refused(&objects::route_path(vrf, prefix), &e))?;
        let generation = self.objects.generation(owner);
        let object = objects::RouteObject { generation, target };
        let of_owner = self.objects.routes.entry(owner).or_default();
        let old = of_owner.insert((vrf.to_owned(), prefix), object);
        if old.map(|old| old.target) != Some(target) {
            self.use_target(owner, target, 1);
            if let Some(old) = old {
                self.use_target(owner, old.target, -1);
            }
        }
        Ok(())
    }

    fn delete_routes(&mut self, owner: OwnerId, message: &v1::Routes) -> Refusals {
        let (vrf, id) = match self.route_vrf(&message.vrf) {
            Ok(found) => found,
            Err(refused) => return vec![(0, refused)],
        };
        let mut refusals = Vec::new();
        for (at, route) in message.routes.iter().enumerate() {
            match parse::prefix(&vrf, &route.prefix, route.prefix_len) {
                Ok(prefix) => self.delete_route(owner, &vrf, id, prefix),
                Err(refused) => refusals.push((at as u32, refused)),
            }
        }
        refusals
    }

    pub(super) fn delete_route(&mut self, owner: OwnerId, vrf: &str, id: VrfId, prefix: IpNet) {
        let of_owner = self.objects.routes.entry(owner).or_default();
        if let Some(old) = of_owner.remove(&(vrf.to_owned(), prefix)) {
            self.use_target(owner, old.target, -1);
            self.fib.remove_route(id, prefix, RouteSource::Owner(owner.0));
        }
    }

    fn route_vrf(&self, name: &str) -> Result<(String, VrfId), Refused> {
        let name = parse::vrf_name(name)?;
        let path = objects::vrf_path(&name);
        match self.vrf_id(&name) {
            Some(id) => Ok((name, id)),
            None => refuse(Reason::UnknownReference, path, format!("there is no VRF '{name}'")),
        }
    }

    // ---- static neighbours ---------------------------------------------------------------------------------

    fn put_neighbor(&mut self, owner: OwnerId, message: &v1::Neighbor) -> Result<(), Refused> {
        let address = parse::address(&objects::interface_path(&message.interface), &message.address)?;
        let path = objects::neighbor_path(&message.interface, address);
        let mac = parse::unicast_mac(&path, &message.mac)?;
        self.objects.check_neighbor(owner, &message.interface, address)?;
        let Some(id) = self.ids.interfaces.get(&message.interface).copied() else {
            return refuse(Reason::UnknownReference, path, "the interface is not in the tables");
        };
        if let Err(error) = self.neighbors.put_static(id, address, mac, std::time::Instant::now()) {
            return refuse(Reason::Conflict, path, error.to_string());
        }
        let owned = self.objects.own(owner, mac);
        self.objects.neighbors.insert((message.interface.clone(), address), owned);
        Ok(())
    }

    fn delete_neighbor(&mut self, owner: OwnerId, message: &v1::Neighbor) -> Result<(), Refused> {
        let address = parse::address(&objects::interface_path(&message.interface), &message.address)?;
        self.remove_neighbor(owner, &message.interface, address)
    }

    pub(super) fn remove_neighbor(
        &mut self,
        owner: OwnerId,
        interface: &str,
        address: IpAddr,
    ) -> Result<(), Refused> {
        let key = (interface.to_owned(), address);
        let path = objects::neighbor_path(interface, address);
        self.objects.check_owner(owner, &path, self.objects.neighbors.get(&key))?;
        if let Some(id) = self.ids.interfaces.get(interface) {
            self.neighbors.remove_static(*id, address, std::time::Instant::now());
        }
        self.objects.neighbors.remove(&key);
        Ok(())
    }
}

/// What `Program` would refuse if `operations` were all there is of `owner`. Works on a copy of the books.
pub fn verify(books: &Objects, owner: &str, operations: &[v1::Operation]) -> Vec<v1::Refusal> {
    let mut draft = books.clone();
    let id = match draft.hello(owner, true) {
        Ok(id) => id,
        Err(refused) => return vec![refused.into_proto(0, 0)],
    };
    let mut draft = draft.without(id);
    let mut refusals = Vec::new();
    for (at, operation) in operations.iter().enumerate() {
        let found = verify_one(&mut draft, id, operation);
        refusals.extend(found.into_iter().map(|(element, r)| r.into_proto(at as u32, element)));
    }
    refusals
}

fn verify_one(draft: &mut Objects, owner: OwnerId, operation: &v1::Operation) -> Refusals {
    let Some(operation) = &operation.operation else {
        return vec![(0, no_operation())];
    };
    if let Operation::PutRoutes(routes) = operation {
        return verify_routes(draft, owner, routes);
    }
    let result = match operation {
        Operation::PutPort(port) => draft.check_port(owner, port).map(|()| {
            let owned = draft.own(owner, port.clone());
            draft.ports.insert(port.name.clone(), owned);
        }),
        Operation::PutVrf(vrf) => parse::vrf_name(&vrf.name).and_then(|name| {
            draft.check_owner(owner, &objects::vrf_path(&name), draft.vrfs.get(&name))?;
            let owned = draft.own(owner, ());
            draft.vrfs.insert(name, owned);
            Ok(())
        }),
        Operation::PutInterface(message) => parse::interface(message).and_then(|object| {
            draft.check_interface(owner, &message.name, &object)?;
            let owned: Owned<InterfaceObject> = draft.own(owner, object);
            draft.interfaces.insert(message.name.clone(), owned);
            Ok(())
        }),
        Operation::PutAddress(message) => verify_address(draft, owner, message),
        Operation::PutNexthop(message) => parse::nexthop(message).and_then(|object| {
            draft.check_nexthop(message.key, &object)?;
            let owned = draft.own(owner, object);
            draft.nexthops.insert((owner, message.key), (owned, 0));
            Ok(())
        }),
        Operation::PutNexthopGroup(message) => parse::members(message).and_then(|members| {
            draft.check_group(owner, message.key, &members)?;
            let owned = draft.own(owner, members);
            draft.groups.insert((owner, message.key), (owned, 0));
            Ok(())
        }),
        Operation::PutNeighbor(message) => {
            let path = objects::interface_path(&message.interface);
            parse::address(&path, &message.address).and_then(|address| {
                parse::unicast_mac(&path, &message.mac)?;
                draft.check_neighbor(owner, &message.interface, address)
            })
        }
        Operation::PutRoutes(_) | Operation::PutSystem(_) => Ok(()),
        // A verification states what shall be; there is nothing to delete.
        Operation::DeletePort(_)
        | Operation::DeleteVrf(_)
        | Operation::DeleteInterface(_)
        | Operation::DeleteAddress(_)
        | Operation::DeleteNexthop(_)
        | Operation::DeleteNexthopGroup(_)
        | Operation::DeleteRoutes(_)
        | Operation::DeleteNeighbor(_) => {
            refuse(Reason::Malformed, "/", "a verification takes what shall be, not what shall go")
        }
    };
    result.err().map(|r| (0, r)).into_iter().collect()
}

fn verify_address(draft: &mut Objects, owner: OwnerId, message: &v1::Address) -> Result<(), Refused> {
    let path = objects::interface_path(&message.interface);
    let (address, len) = parse::address_and_len(&path, &message.address, message.prefix_len)?;
    draft.check_address(owner, &message.interface, address, len)?;
    let owned = draft.own(owner, len);
    draft.addresses.insert((message.interface.clone(), address), owned);
    Ok(())
}

fn verify_routes(draft: &Objects, owner: OwnerId, message: &v1::Routes) -> Refusals {
    let vrf = parse::vrf_name(&message.vrf).and_then(|vrf| {
        draft.check_vrf_exists(&objects::vrf_path(&vrf), &vrf)?;
        Ok(vrf)
    });
    let vrf = match vrf {
        Ok(vrf) => vrf,
        Err(refused) => return vec![(0, refused)],
    };
    let check = |route: &v1::Route| {
        let prefix = parse::prefix(&vrf, &route.prefix, route.prefix_len)?;
        draft.check_route(owner, &vrf, prefix, parse::target(&vrf, prefix, route.target)?)
    };
    let refusal = |(at, route)| Some((at as u32, check(route).err()?));
    message.routes.iter().enumerate().filter_map(refusal).collect()
}

/// A table's refusal, as the API reports it.
pub(super) fn refused(path: &str, error: &FibError) -> Refused {
    let reason = match error {
        FibError::Full(..) | FibError::Lpm(_) => Reason::Limit,
        FibError::Unknown(_) => Reason::UnknownReference,
        FibError::InUse(..) => Reason::InUse,
        FibError::Conflict(_) => Reason::Conflict,
    };
    Refused { path: path.to_owned(), reason, message: error.to_string() }
}

fn no_operation() -> Refused {
    Refused { path: "/".into(), reason: Reason::Malformed, message: "an operation that says nothing".into() }
}

impl From<Stopping> for tonic::Status {
    fn from(stopping: Stopping) -> Self {
        Self::unavailable(stopping.to_string())
    }
}
