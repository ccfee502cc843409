//! A plain, slow model of the fast path's tables: keyed, owner-tagged, idempotent; refuses with path and reason.
//!
//! It is as strict as a data plane may be: nothing is deleted that something refers to, and an interface does not
//! change its port, VLAN or VRF while something refers to it.

use std::collections::BTreeMap;

use ze_proto::packed::{self, TargetKey};
use ze_proto::v1::{self, Reason, nexthop::Kind, operation::Operation as Op, route::Target};

/// Names an object: its kind and its name there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    System,
    Vrf(String),
    Port(String),
    Interface(String),
    Address(String, Vec<u8>, u32),
    Nexthop(u64),
    Group(u64),
    Route(String, Vec<u8>, u32),
}

/// An object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Object {
    System(v1::System),
    Vrf,
    Port(v1::Port),
    Interface(v1::Interface),
    Address,
    Nexthop(Option<Kind>, Option<u64>),
    Group(Vec<v1::GroupMember>),
    Route(Option<Target>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Owned {
    pub(crate) owner: String,
    pub(crate) object: Object,
    /// Put before the Hello of the snapshot that is going on.
    pub(crate) stale: bool,
}

/// The tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) objects: BTreeMap<Name, Owned>,
    /// Names that are refused whatever they hold.
    pub(crate) refused: Vec<Name>,
}

type Verdict = Result<(), (String, Reason, String)>;

fn no<T>(
    path: impl Into<String>,
    reason: Reason,
    message: impl Into<String>,
) -> Result<T, (String, Reason, String)> {
    Err((path.into(), reason, message.into()))
}

impl Tables {
    /// Applies an operation completely or not at all.
    pub(crate) fn apply(&mut self, owner: &str, index: u32, operation: &v1::Operation) -> Vec<v1::Refusal> {
        let before = self.objects.clone();
        let mut refusals = Vec::new();
        for (element, (name, object)) in elements(operation).into_iter().enumerate() {
            let verdict = match object {
                Some(object) => self.put(owner, name, object),
                None => self.delete(owner, &name),
            };
            if let Err((path, reason, message)) = verdict {
                let element = element as u32;
                refusals.push(v1::Refusal {
                    operation: index,
                    element,
                    path,
                    reason: reason.into(),
                    message,
                });
            }
        }
        if !refusals.is_empty() {
            self.objects = before;
        }
        refusals
    }

    pub(crate) fn mark_stale(&mut self, owner: &str) {
        self.objects.values_mut().filter(|owned| owned.owner == owner).for_each(|owned| owned.stale = true);
    }

    /// Removes what is stale. What others refer to stays, and is stale no more.
    pub(crate) fn sweep(&mut self, owner: &str) -> u64 {
        let stale: Vec<_> = self
            .objects
            .iter()
            .filter(|(_, o)| o.owner == owner && o.stale)
            .map(|(name, _)| name.clone())
            .collect();
        stale.iter().rev().filter(|name| self.delete(owner, name).is_ok()).count() as u64
    }

    /// What an owner has put, as operations that would put it again.
    pub(crate) fn operations(&self, owner: &str) -> Vec<v1::Operation> {
        let own = self.objects.iter().filter(|(_, owned)| owned.owner == owner);
        own.map(|(name, owned)| v1::Operation { operation: Some(operation(name, &owned.object)) }).collect()
    }

    pub(crate) fn object(&self, name: &Name) -> Option<&Object> {
        self.objects.get(name).map(|owned| &owned.object)
    }

    fn put(&mut self, owner: &str, name: Name, object: Object) -> Verdict {
        if self.refused.contains(&name) {
            let reason = match name {
                Name::Port(_) | Name::Interface(_) => Reason::Conflict,
                _ => Reason::Limit,
            };
            return no(path(&name), reason, "the table is full");
        }
        if self.objects.get(&name).is_some_and(|owned| owned.owner != owner && name != Name::System) {
            return no(path(&name), Reason::OwnedByOther, "another owner has it");
        }
        self.check(&name, &object)?;
        self.objects.insert(name, Owned { owner: owner.into(), object, stale: false });
        Ok(())
    }

    fn delete(&mut self, owner: &str, name: &Name) -> Verdict {
        let Some(owned) = self.objects.get(name) else { return Ok(()) };
        if owned.owner != owner {
            return no(path(name), Reason::OwnedByOther, "another owner has it");
        }
        if let Some(user) = self.user_of(name) {
            return no(path(name), Reason::InUse, format!("{} refers to it", path(&user)));
        }
        self.objects.remove(name);
        Ok(())
    }

    fn check(&self, name: &Name, object: &Object) -> Verdict {
        match (name, object) {
            (Name::Port(_), Object::Port(port)) => self.check_port(name, port),
            (Name::Interface(_), Object::Interface(interface)) => self.check_interface(name, interface),
            (Name::Address(interface, address, _), _) => self.check_address(name, interface, address),
            (Name::Nexthop(_), Object::Nexthop(kind, backup)) => {
                self.check_backup(name, *backup)?;
                self.check_nexthop(name, kind.as_ref())
            }
            (Name::Group(_), Object::Group(members)) => self.check_group(name, members),
            (Name::Route(vrf, prefix, len), Object::Route(target)) => {
                self.check_route(name, vrf, prefix, *len, target)
            }
            _ => Ok(()),
        }
    }

    fn check_port(&self, name: &Name, port: &v1::Port) -> Verdict {
        let taken = self.objects.iter().any(|(other, owned)| {
            other != name && matches!(&owned.object, Object::Port(o) if device(o) == device(port))
        });
        if taken {
            return no(path(name), Reason::Conflict, format!("another port has the device {}", device(port)));
        }
        Ok(())
    }

    fn check_interface(&self, name: &Name, interface: &v1::Interface) -> Verdict {
        if self.object(&Name::Port(interface.port.clone())).is_none() {
            return no(path(name), Reason::UnknownReference, format!("no port {}", interface.port));
        }
        if !self.vrf_exists(&interface.vrf) {
            return no(path(name), Reason::UnknownReference, format!("no VRF {}", interface.vrf));
        }
        let place = |i: &v1::Interface| (i.port.clone(), i.vlan);
        for (other, owned) in &self.objects {
            let Object::Interface(there) = &owned.object else { continue };
            if other != name && place(there) == place(interface) {
                return no(path(name), Reason::Conflict, format!("{} has this VLAN", path(other)));
            }
            let becomes_another = (place(there), &there.vrf) != (place(interface), &interface.vrf);
            if other == name
                && becomes_another
                && let Some(user) = self.user_of(name)
            {
                return no(path(name), Reason::InUse, format!("{} refers to it", path(&user)));
            }
        }
        Ok(())
    }

    fn check_address(&self, name: &Name, interface: &str, address: &[u8]) -> Verdict {
        let vrf = |interface: &str| match self.object(&Name::Interface(interface.into())) {
            Some(Object::Interface(interface)) => Some(interface.vrf.clone()),
            _ => None,
        };
        let Some(own_vrf) = vrf(interface) else {
            return no(path(name), Reason::UnknownReference, format!("no interface {interface}"));
        };
        let elsewhere = self.objects.keys().any(|other| {
            matches!(other, Name::Address(i, a, _) if i != interface && a == address && vrf(i).as_ref() == Some(&own_vrf))
        });
        if elsewhere {
            return no(path(name), Reason::Conflict, "the address is on another interface");
        }
        Ok(())
    }

    fn check_backup(&self, name: &Name, backup: Option<u64>) -> Verdict {
        match backup.map(Name::Nexthop).filter(|backup| self.object(backup).is_none()) {
            Some(missing) => no(path(name), Reason::UnknownReference, format!("no {}", path(&missing))),
            None => Ok(()),
        }
    }

    fn check_nexthop(&self, name: &Name, kind: Option<&Kind>) -> Verdict {
        let interface = match kind {
            // Found by what is connected, of which this model knows nothing.
            Some(Kind::Gateway(gateway)) if gateway.interface.is_empty() => return Ok(()),
            Some(Kind::Gateway(gateway)) => &gateway.interface,
            Some(Kind::Interface(interface)) => interface,
            Some(Kind::Blackhole(_) | Kind::Unreachable(_) | Kind::Prohibit(_)) => return Ok(()),
            Some(Kind::LookupVrf(vrf)) if self.vrf_exists(vrf) => return Ok(()),
            Some(Kind::LookupVrf(vrf)) => {
                return no(path(name), Reason::UnknownReference, format!("no VRF {vrf}"));
            }
            None => return no(path(name), Reason::Malformed, "a nexthop of no kind"),
        };
        if self.object(&Name::Interface(interface.clone())).is_none() {
            return no(path(name), Reason::UnknownReference, format!("no interface {interface}"));
        }
        Ok(())
    }

    fn check_group(&self, name: &Name, members: &[v1::GroupMember]) -> Verdict {
        if members.is_empty() || members.len() > 128 {
            return no(path(name), Reason::Malformed, "1 to 128 members");
        }
        match members.iter().find(|m| self.object(&Name::Nexthop(m.nexthop)).is_none()) {
            Some(member) => {
                no(path(name), Reason::UnknownReference, format!("no nexthop {}", member.nexthop))
            }
            None => Ok(()),
        }
    }

    fn check_route(
        &self,
        name: &Name,
        vrf: &str,
        prefix: &[u8],
        len: u32,
        target: &Option<Target>,
    ) -> Verdict {
        let bits = prefix.len() as u32 * 8;
        let bit = |n: u32| prefix[n as usize / 8] >> (7 - n % 8) & 1 == 1;
        if !matches!(bits, 32 | 128) || len > bits || (len..bits).any(bit) {
            return no(path(name), Reason::Malformed, "not a prefix");
        }
        if !self.vrf_exists(vrf) {
            return no(path(name), Reason::UnknownReference, format!("no VRF {vrf}"));
        }
        let referred = match target {
            Some(Target::Nexthop(key)) => Name::Nexthop(*key),
            Some(Target::NexthopGroup(key)) => Name::Group(*key),
            None => return no(path(name), Reason::Malformed, "a route without target"),
        };
        if self.object(&referred).is_none() {
            return no(path(name), Reason::UnknownReference, format!("no {referred:?}"));
        }
        Ok(())
    }

    fn vrf_exists(&self, vrf: &str) -> bool {
        vrf.is_empty() || vrf == "default" || self.object(&Name::Vrf(vrf.into())).is_some()
    }

    /// Something that refers to an object.
    fn user_of(&self, name: &Name) -> Option<Name> {
        let uses = |user: &Name, object: &Object| match (name, user, object) {
            (Name::Vrf(vrf), _, Object::Interface(i)) => i.vrf == *vrf,
            (Name::Vrf(vrf), Name::Route(of, ..), _) => of == vrf,
            (Name::Port(port), _, Object::Interface(i)) => i.port == *port,
            (Name::Interface(name), Name::Address(of, ..), _) => of == name,
            (Name::Interface(name), _, Object::Nexthop(Some(Kind::Gateway(g)), _)) => g.interface == *name,
            (Name::Interface(name), _, Object::Nexthop(Some(Kind::Interface(i)), _)) => i == name,
            (Name::Vrf(vrf), _, Object::Nexthop(Some(Kind::LookupVrf(to)), _)) => to == vrf,
            (Name::Nexthop(key), _, Object::Nexthop(_, Some(backup))) => backup == key,
            (Name::Nexthop(key), _, Object::Group(members)) => members.iter().any(|m| m.nexthop == *key),
            (Name::Nexthop(key), _, Object::Route(Some(Target::Nexthop(to)))) => to == key,
            (Name::Group(key), _, Object::Route(Some(Target::NexthopGroup(to)))) => to == key,
            _ => false,
        };
        self.objects.iter().find(|(user, owned)| uses(user, &owned.object)).map(|(user, _)| user.clone())
    }
}

fn device(port: &v1::Port) -> &str {
    if port.device.is_empty() { &port.name } else { &port.device }
}

fn operation(name: &Name, object: &Object) -> Op {
    match (name, object.clone()) {
        (_, Object::System(system)) => Op::PutSystem(system),
        (Name::Vrf(name), _) => Op::PutVrf(v1::Vrf { name: name.clone() }),
        (_, Object::Port(port)) => Op::PutPort(port),
        (_, Object::Interface(interface)) => Op::PutInterface(interface),
        (Name::Address(interface, address, len), _) => Op::PutAddress(v1::Address {
            interface: interface.clone(),
            address: address.clone(),
            prefix_len: *len,
        }),
        (Name::Nexthop(key), Object::Nexthop(kind, backup)) => {
            Op::PutNexthop(v1::Nexthop { key: *key, kind, backup })
        }
        (Name::Group(key), Object::Group(members)) => {
            Op::PutNexthopGroup(v1::NexthopGroup { key: *key, members, ..Default::default() })
        }
        (Name::Route(vrf, prefix, len), Object::Route(target)) => Op::PutRoutes(v1::Routes {
            vrf: vrf.clone(),
            routes: vec![v1::Route { prefix: prefix.clone(), prefix_len: *len, target }],
        }),
        (name, object) => panic!("{name:?} is {object:?}"),
    }
}

/// The objects of an operation; `None` deletes.
pub(crate) fn elements(operation: &v1::Operation) -> Vec<(Name, Option<Object>)> {
    let one = |name, object| vec![(name, object)];
    let address = |a: &v1::Address| Name::Address(a.interface.clone(), a.address.clone(), a.prefix_len);
    let route = |vrf: &str, r: &v1::Route| {
        let vrf = if vrf.is_empty() { "default" } else { vrf };
        Name::Route(vrf.into(), r.prefix.clone(), r.prefix_len)
    };
    match operation.operation.as_ref().expect("an operation of some kind") {
        Op::PutSystem(system) => one(Name::System, Some(Object::System(*system))),
        Op::PutPort(port) => one(Name::Port(port.name.clone()), Some(Object::Port(port.clone()))),
        Op::DeletePort(name) => one(Name::Port(name.clone()), None),
        Op::PutVrf(vrf) => one(Name::Vrf(vrf.name.clone()), Some(Object::Vrf)),
        Op::DeleteVrf(name) => one(Name::Vrf(name.clone()), None),
        Op::PutInterface(i) => one(Name::Interface(i.name.clone()), Some(Object::Interface(i.clone()))),
        Op::DeleteInterface(name) => one(Name::Interface(name.clone()), None),
        Op::PutAddress(a) => one(address(a), Some(Object::Address)),
        Op::DeleteAddress(a) => one(address(a), None),
        Op::PutNexthop(n) => one(Name::Nexthop(n.key), Some(Object::Nexthop(n.kind.clone(), n.backup))),
        Op::DeleteNexthop(key) => one(Name::Nexthop(*key), None),
        Op::PutNexthopGroup(g) => one(Name::Group(g.key), Some(Object::Group(g.members.clone()))),
        Op::DeleteNexthopGroup(key) => one(Name::Group(*key), None),
        Op::PutRoutes(routes) => {
            routes.routes.iter().map(|r| (route(&routes.vrf, r), Some(Object::Route(r.target)))).collect()
        }
        Op::DeleteRoutes(routes) => routes.routes.iter().map(|r| (route(&routes.vrf, r), None)).collect(),
        Op::PutPackedRoutes(packed) => {
            let targets: Vec<_> = packed::targets(packed).collect();
            let target = |number: usize| match targets[number] {
                TargetKey::Nexthop(key) => Target::Nexthop(key),
                TargetKey::Group(key) => Target::NexthopGroup(key),
            };
            let routes = packed::read_put(packed).map(|route| route.expect("a whole route"));
            let put =
                |(prefix, number)| (packed_name(packed, prefix), Some(Object::Route(Some(target(number)))));
            routes.map(put).collect()
        }
        Op::DeletePackedRoutes(packed) => {
            let prefixes = packed::read_delete(packed).map(|prefix| prefix.expect("a whole prefix"));
            prefixes.map(|prefix| (packed_name(packed, prefix), None)).collect()
        }
        Op::PutNeighbor(_) | Op::DeleteNeighbor(_) => panic!("ze-slowpath programs no neighbours"),
    }
}

fn packed_name(packed: &v1::PackedRoutes, prefix: ipnet::IpNet) -> Name {
    let vrf = if packed.vrf.is_empty() { "default" } else { &packed.vrf };
    Name::Route(vrf.into(), ze_proto::address::to_bytes(prefix.addr()), prefix.prefix_len().into())
}

/// The path of an object.
pub(crate) fn path(name: &Name) -> String {
    match name {
        Name::System => "/system".into(),
        Name::Vrf(name) => format!("/vrf[name='{name}']"),
        Name::Port(name) => format!("/port[name='{name}']"),
        Name::Interface(name) => format!("/interface[name='{name}']"),
        Name::Address(name, address, len) => {
            format!("/interface[name='{name}']/address[.='{}/{len}']", show(address))
        }
        Name::Nexthop(key) => format!("/nexthop[key='{key}']"),
        Name::Group(key) => format!("/nexthop-group[key='{key}']"),
        Name::Route(vrf, prefix, len) => format!("/vrf[name='{vrf}']/route[prefix='{}/{len}']", show(prefix)),
    }
}

fn show(address: &[u8]) -> String {
    ze_proto::address::from_bytes(address).map_or_else(|e| e.to_string(), |a| a.to_string())
}
