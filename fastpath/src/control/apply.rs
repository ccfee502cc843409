//! One operation of a client: checked against all objects, then made, in the tables and in the books.

use std::convert::Infallible;
use std::net::IpAddr;

use tokio::sync::oneshot;
use ze_fib::Target;
use ze_fib::writer::{Error as FibError, NexthopSpec};
use ze_proto::v1::{self, Reason, operation::Operation};

use super::objects::{self, InterfaceObject, NexthopKind, NexthopObject, Objects, Owned, OwnerId, TargetKey};
use super::parse::{self, Refused, refuse};
use super::{Batch, Control, Stopping};

/// Refusals of one operation, with the position of the route concerned.
pub(super) type Refusals = Vec<(u32, Refused)>;

/// A stream that has begun.
pub struct Begun {
    /// Whose it is.
    pub owner: OwnerId,
    /// Its number.
    pub stream: u64,
    /// Closed when another stream of the owner has begun.
    pub superseded: oneshot::Receiver<Infallible>,
}

impl Control {
    /// Begins a stream of an owner; an older stream of the same owner is void from now on, which its own receiver is
    /// told by this.
    ///
    /// # Errors
    /// When the Hello is refused.
    pub fn begin_stream(&mut self, hello: &v1::Hello) -> Result<Begun, Refused> {
        let id = self.objects.hello_with(hello)?;
        self.prefer(id, parse::preference(hello.preference)?)?;
        self.streams_begun += 1;
        let (until, superseded) = oneshot::channel();
        self.streams.insert(id, (self.streams_begun, until));
        self.connected.insert(id);
        Ok(Begun { owner: id, stream: self.streams_begun, superseded })
    }

    /// A stream has ended. What it put stays.
    pub fn end_stream(&mut self, owner: OwnerId, stream: u64) {
        if self.stream_is_current(owner, stream) {
            self.connected.remove(&owner);
        }
    }

    /// Is this the owner's newest stream?
    pub fn stream_is_current(&self, owner: OwnerId, stream: u64) -> bool {
        self.streams.get(&owner).is_some_and(|(current, _)| *current == stream)
    }

    /// Applies operations in order. Returns how many were applied, and the refusals.
    pub fn apply(
        &mut self,
        owner: OwnerId,
        operations: Vec<v1::Operation>,
        batch: Batch,
    ) -> (u64, Vec<v1::Refusal>) {
        let (mut applied, mut refusals) = (0, Vec::new());
        for (at, operation) in operations.into_iter().enumerate() {
            let refused = self.apply_one(owner, operation);
            applied += u64::from(refused.is_empty());
            refusals.extend(refused.into_iter().map(|(element, r)| r.into_proto(at as u32, element)));
        }
        self.settle();
        self.programming.applied(owner, batch, applied, refusals.len() as u64);
        (applied, refusals)
    }

    /// An owner's preference is part of what its routes are filed under, so it changes only while there are none.
    fn prefer(&mut self, owner: OwnerId, preference: u8) -> Result<(), Refused> {
        let has_routes = self.programming.routes(owner) > 0;
        let Some(there) = self.objects.owners.get_mut(usize::from(owner.0)) else { return Ok(()) };
        if there.preference != preference && has_routes {
            let text = format!("{} has routes of preference {}", there.name, there.preference);
            return refuse(Reason::Conflict, "/owner", text);
        }
        there.preference = preference;
        Ok(())
    }

    fn apply_one(&mut self, owner: OwnerId, operation: v1::Operation) -> Refusals {
        let whole = |result: Result<(), Refused>| result.err().map(|r| (0, r)).into_iter().collect();
        let Some(operation) = operation.operation else {
            return vec![(0, no_operation())];
        };
        match operation {
            Operation::PutRoutes(routes) => self.put_routes(owner, routes),
            Operation::DeleteRoutes(routes) => self.delete_routes(owner, &routes),
            Operation::PutPackedRoutes(packed) => self.put_packed(owner, &packed),
            Operation::DeletePackedRoutes(packed) => self.delete_packed(owner, &packed),
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
        self.objects.check_nexthop(owner, message.key, &object)?;
        let key = (owner, message.key);
        let spec = self.nexthop_spec(&object.kind);
        let backup = object.backup.and_then(|backup| self.ids.nexthops.get(&(owner, backup)).copied());
        let path = objects::nexthop_path(message.key);
        match self.ids.nexthops.get(&key) {
            Some(id) if self.fib.nexthop(*id) == Some(&spec) => {}
            Some(id) => self.fib.replace_nexthop(*id, spec.clone()).map_err(|e| refused(&path, &e))?,
            None => {
                let id = self.fib.create_nexthop(spec.clone()).map_err(|e| refused(&path, &e))?;
                self.ids.nexthops.insert(key, id);
                self.ids.target_keys.insert(Target::Nexthop(id), (owner, TargetKey::Nexthop(message.key)));
            }
        }
        if let Some(id) = self.ids.nexthops.get(&key) {
            self.fib.set_backup(*id, backup).map_err(|e| refused(&path, &e))?;
        }
        let owned = self.objects.own(owner, object);
        self.objects.nexthops.insert(key, owned);
        if let NexthopSpec::Gateway(interface, address) = spec {
            self.want_neighbor(interface, address);
        }
        Ok(())
    }

    pub(super) fn delete_nexthop(&mut self, owner: OwnerId, key: u64) -> Result<(), Refused> {
        let path = objects::nexthop_path(key);
        if let Some(id) = self.ids.nexthops.get(&(owner, key)).copied() {
            self.fib.remove_nexthop(id).map_err(|e| refused(&path, &e))?;
            self.ids.target_keys.remove(&Target::Nexthop(id));
        }
        self.ids.nexthops.remove(&(owner, key));
        self.objects.nexthops.remove(&(owner, key));
        Ok(())
    }

    /// What the tables hold for a nexthop as things stand. A gateway that nothing connected covers any more is
    /// unreachable until something does.
    pub(super) fn nexthop_spec(&self, kind: &NexthopKind) -> NexthopSpec {
        let interface = |name: &str| self.ids.interfaces.get(name).copied();
        match kind {
            NexthopKind::Gateway { address, interface: Some(name), .. } => {
                interface(name).map_or(NexthopSpec::Unreachable, |id| NexthopSpec::Gateway(id, *address))
            }
            NexthopKind::Gateway { address, interface: None, vrf } => {
                let on = self.objects.connected(vrf, *address).and_then(interface);
                on.map_or(NexthopSpec::Unreachable, |id| NexthopSpec::Gateway(id, *address))
            }
            NexthopKind::Interface(name) => {
                interface(name).map_or(NexthopSpec::Unreachable, NexthopSpec::Interface)
            }
            NexthopKind::Vrf(name) => self.vrf_id(name).map_or(NexthopSpec::Unreachable, NexthopSpec::Vrf),
            NexthopKind::Blackhole => NexthopSpec::Blackhole,
            NexthopKind::Unreachable => NexthopSpec::Unreachable,
            NexthopKind::Prohibit => NexthopSpec::Prohibit,
        }
    }

    /// Gateways without an interface of their own follow what is connected.
    pub(super) fn refresh_gateways(&mut self) {
        let floating =
            |object: &NexthopObject| matches!(object.kind, NexthopKind::Gateway { interface: None, .. });
        let all: Vec<_> = self
            .objects
            .nexthops
            .iter()
            .filter(|(_, owned)| floating(&owned.value))
            .filter_map(|(key, owned)| {
                Some((*self.ids.nexthops.get(key)?, self.nexthop_spec(&owned.value.kind)))
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
        let object = parse::group(message)?;
        self.objects.check_group(owner, message.key, &object.members)?;
        let key = (owner, message.key);
        let path = objects::group_path(message.key);
        let known =
            |(nexthop, weight): &(u64, u8)| Some((*self.ids.nexthops.get(&(owner, *nexthop))?, *weight));
        let members: Vec<_> = object.members.iter().filter_map(known).collect();
        let refuse = |e| refused(&path, &e);
        match self.ids.groups.get(&key) {
            Some(id) => self.fib.replace_group_with(*id, &members, object.options).map_err(refuse)?,
            None => {
                let id = self.fib.create_group_with(&members, object.options).map_err(refuse)?;
                self.ids.groups.insert(key, id);
                self.ids.target_keys.insert(Target::Group(id), (owner, TargetKey::Group(message.key)));
            }
        }
        let owned = self.objects.own(owner, object);
        self.objects.groups.insert(key, owned);
        Ok(())
    }

    pub(super) fn delete_group(&mut self, owner: OwnerId, key: u64) -> Result<(), Refused> {
        let path = objects::group_path(key);
        if let Some(id) = self.ids.groups.get(&(owner, key)).copied() {
            self.fib.remove_group(id).map_err(|e| refused(&path, &e))?;
            self.ids.target_keys.remove(&Target::Group(id));
        }
        self.ids.groups.remove(&(owner, key));
        self.objects.groups.remove(&(owner, key));
        Ok(())
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
        return super::routes::verify_routes(draft, owner, routes);
    }
    if let Operation::PutPackedRoutes(packed) = operation {
        return super::routes::verify_packed(draft, owner, packed);
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
            draft.check_nexthop(owner, message.key, &object)?;
            let owned = draft.own(owner, object);
            draft.nexthops.insert((owner, message.key), owned);
            Ok(())
        }),
        Operation::PutNexthopGroup(message) => parse::group(message).and_then(|object| {
            draft.check_group(owner, message.key, &object.members)?;
            let owned = draft.own(owner, object);
            draft.groups.insert((owner, message.key), owned);
            Ok(())
        }),
        Operation::PutNeighbor(message) => {
            let path = objects::interface_path(&message.interface);
            parse::address(&path, &message.address).and_then(|address| {
                parse::unicast_mac(&path, &message.mac)?;
                draft.check_neighbor(owner, &message.interface, address)
            })
        }
        Operation::PutRoutes(_) | Operation::PutPackedRoutes(_) | Operation::PutSystem(_) => Ok(()),
        // A verification states what shall be; there is nothing to delete.
        Operation::DeletePort(_)
        | Operation::DeleteVrf(_)
        | Operation::DeleteInterface(_)
        | Operation::DeleteAddress(_)
        | Operation::DeleteNexthop(_)
        | Operation::DeleteNexthopGroup(_)
        | Operation::DeleteRoutes(_)
        | Operation::DeletePackedRoutes(_)
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
