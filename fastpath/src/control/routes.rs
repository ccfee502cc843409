//! Routes of clients: checked, put into the tables, and counted.

use ipnet::IpNet;
use ze_fib::Target;
use ze_packet::VrfId;
use ze_proto::packed::{self, Malformed};
use ze_proto::v1::{self, Reason};

use super::Control;
use super::apply::{Refusals, refused};
use super::objects::{self, Objects, OwnerId, TargetKey};
use super::parse::{self, Refused, refuse};

impl Control {
    pub(super) fn put_routes(&mut self, owner: OwnerId, message: v1::Routes) -> Refusals {
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
        let key = parse::target(vrf, prefix, route.target)?;
        self.objects.check_route(owner, vrf, prefix, key)?;
        self.install(owner, vrf, id, prefix, key, self.target(owner, key))
    }

    pub(super) fn put_packed(&mut self, owner: OwnerId, message: &v1::PackedRoutes) -> Refusals {
        let (vrf, id) = match self
            .route_vrf(&message.vrf)
            .and_then(|found| check_packed(&found.0, message).map(|()| found))
        {
            Ok(found) => found,
            Err(refused) => return vec![(0, refused)],
        };
        // References are looked up once a target, not once a route.
        let targets: Vec<_> = packed::targets(message).map(|key| (key, self.target(owner, key))).collect();
        let mut refusals = Vec::new();
        for (at, (prefix, number)) in packed::read_put(message).flatten().enumerate() {
            let put = match targets.get(number) {
                Some((key, target)) => parse::no_host_bits(&vrf, prefix)
                    .and_then(|prefix| self.install(owner, &vrf, id, prefix, *key, *target)),
                None => no_target(&vrf, prefix, number),
            };
            if let Err(refused) = put {
                refusals.push((at as u32, refused));
            }
        }
        refusals
    }

    /// The tables' number of a target, if there is such.
    fn target(&self, owner: OwnerId, key: TargetKey) -> Option<Target> {
        match key {
            TargetKey::Nexthop(key) => self.ids.nexthops.get(&(owner, key)).copied().map(Target::Nexthop),
            TargetKey::Group(key) => self.ids.groups.get(&(owner, key)).copied().map(Target::Group),
        }
    }

    fn install(
        &mut self,
        owner: OwnerId,
        vrf: &str,
        id: VrfId,
        prefix: IpNet,
        key: TargetKey,
        target: Option<Target>,
    ) -> Result<(), Refused> {
        let Some(target) = target else { return unknown_target(vrf, prefix, key) };
        let stamp = self.objects.generation(owner) as u32;
        let old = self
            .fib
            .put_stamped(id, prefix, self.objects.source(owner), target, stamp)
            .map_err(|e| refused(&objects::route_path(vrf, prefix), &e))?;
        if old != Some(target) {
            let old = old.and_then(|old| Some(self.ids.target_keys.get(&old)?.1));
            self.programming.replaced(owner, id, &prefix, old, Some(key));
        }
        Ok(())
    }

    pub(super) fn delete_routes(&mut self, owner: OwnerId, message: &v1::Routes) -> Refusals {
        let (vrf, id) = match self.route_vrf(&message.vrf) {
            Ok(found) => found,
            Err(refused) => return vec![(0, refused)],
        };
        let mut refusals = Vec::new();
        for (at, route) in message.routes.iter().enumerate() {
            match parse::prefix(&vrf, &route.prefix, route.prefix_len) {
                Ok(prefix) => self.delete_route(owner, id, prefix),
                Err(refused) => refusals.push((at as u32, refused)),
            }
        }
        refusals
    }

    pub(super) fn delete_packed(&mut self, owner: OwnerId, message: &v1::PackedRoutes) -> Refusals {
        let (vrf, id) = match self.route_vrf(&message.vrf) {
            Ok(found) => found,
            Err(refused) => return vec![(0, refused)],
        };
        if let Some(bad) = packed::read_delete(message).find_map(Result::err) {
            return vec![(0, malformed(&vrf, bad))];
        }
        let mut refusals = Vec::new();
        for (at, prefix) in packed::read_delete(message).flatten().enumerate() {
            match parse::no_host_bits(&vrf, prefix) {
                Ok(prefix) => self.delete_route(owner, id, prefix),
                Err(refused) => refusals.push((at as u32, refused)),
            }
        }
        refusals
    }

    pub(super) fn delete_route(&mut self, owner: OwnerId, id: VrfId, prefix: IpNet) {
        if let Some(old) = self.fib.remove_route(id, prefix, self.objects.source(owner)) {
            let old = self.ids.target_keys.get(&old).map(|(_, key)| *key);
            self.programming.replaced(owner, id, &prefix, old, None);
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
}

/// A message that ends in the middle of a route is refused before anything of it is applied.
fn check_packed(vrf: &str, message: &v1::PackedRoutes) -> Result<(), Refused> {
    let count = message.nexthops.len() + message.groups.len();
    if count > packed::TARGETS_MAX {
        let text = format!("{count} targets in one message; {} is the limit", packed::TARGETS_MAX);
        return refuse(Reason::Malformed, objects::vrf_path(vrf), text);
    }
    packed::read_put(message).find_map(Result::err).map_or(Ok(()), |bad| Err(malformed(vrf, bad)))
}

fn malformed(vrf: &str, bad: Malformed) -> Refused {
    Refused { path: objects::vrf_path(vrf), reason: Reason::Malformed, message: bad.to_string() }
}

fn no_target<T>(vrf: &str, prefix: IpNet, number: usize) -> Result<T, Refused> {
    refuse(Reason::Malformed, objects::route_path(vrf, prefix), format!("the message has no target {number}"))
}

fn unknown_target<T>(vrf: &str, prefix: IpNet, key: TargetKey) -> Result<T, Refused> {
    let text = match key {
        TargetKey::Nexthop(key) => format!("there is no nexthop {key}"),
        TargetKey::Group(key) => format!("there is no nexthop group {key}"),
    };
    refuse(Reason::UnknownReference, objects::route_path(vrf, prefix), text)
}

pub(super) fn verify_packed(draft: &Objects, owner: OwnerId, message: &v1::PackedRoutes) -> Refusals {
    let vrf = parse::vrf_name(&message.vrf).and_then(|vrf| {
        draft.check_vrf_exists(&objects::vrf_path(&vrf), &vrf)?;
        check_packed(&vrf, message).map(|()| vrf)
    });
    let vrf = match vrf {
        Ok(vrf) => vrf,
        Err(refused) => return vec![(0, refused)],
    };
    let targets: Vec<_> = packed::targets(message).collect();
    let check = |(prefix, number): (IpNet, usize)| match targets.get(number) {
        Some(key) => {
            parse::no_host_bits(&vrf, prefix).and_then(|prefix| draft.check_route(owner, &vrf, prefix, *key))
        }
        None => no_target(&vrf, prefix, number),
    };
    let refusal = |(at, route)| Some((at as u32, check(route).err()?));
    packed::read_put(message).flatten().enumerate().filter_map(refusal).collect()
}

pub(super) fn verify_routes(draft: &Objects, owner: OwnerId, message: &v1::Routes) -> Refusals {
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
