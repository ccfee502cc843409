//! From what is acknowledged to what is desired: which operations, in which order.
//!
//! Make before break: new nexthops and groups come before the routes that are pointed to them, and what nobody needs
//! any more goes last. The exception is an interface that goes away, or comes back as another one (other port, VLAN
//! or VRF): what depends on it goes first, after what it was the backup of has been told to do without, in reverse order, so that nothing holds the place that something new wants.

use std::collections::BTreeSet;

use crate::reconcile::Acknowledged;
use crate::state::{Key, Nexthop, RouteTarget, State, Value};

/// One object's change.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The object shall be so.
    Put(Key, Value),
    /// The object shall not be.
    Delete(Key),
}

impl Step {
    /// The object.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put(key, _) | Self::Delete(key) => key,
        }
    }
}

/// The next steps, at most `limit`; those that `held_back` names are left out. None are left: the two agree.
pub fn plan(
    desired: &State,
    acknowledged: &Acknowledged,
    limit: usize,
    held_back: impl Fn(&Step) -> bool,
) -> Vec<Step> {
    let dying = Dying::find(desired, acknowledged, &held_back);
    let goes_first = |key: &Key| goes_first(key, desired, acknowledged, &dying);
    let ready = |step: &Step| !held_back(step);
    let gone_first = acknowledged.keys().rev().filter(|key| goes_first(key));
    let gone_first = gone_first.cloned().map(Step::Delete).filter(ready);
    // What goes first comes back at once: what held it back has gone with it.
    let put = desired.iter().filter_map(|(key, value)| {
        let step = || Step::Put(key.clone(), value.clone());
        if goes_first(key) { Some(step()) } else { (!acknowledged.is(key, value)).then(step).filter(ready) }
    });
    let gone_last = acknowledged.keys().rev().filter(|key| !desired.contains_key(key) && !goes_first(key));
    let gone_last = gone_last.filter(|key| **key != Key::System).cloned().map(Step::Delete).filter(ready);
    let disarmed = dying.disarmed(acknowledged).filter(ready);
    disarmed.chain(gone_first).chain(put).chain(gone_last).take(limit).collect()
}

/// What goes away before anything new comes, though it may come back.
#[derive(Debug, Default)]
struct Dying {
    ports: BTreeSet<std::sync::Arc<str>>,
    interfaces: BTreeSet<std::sync::Arc<str>>,
    nexthops: BTreeSet<u64>,
    groups: BTreeSet<u64>,
}

impl Dying {
    /// What can not be deleted before its time does not die now: else what depends on it would go and come for nothing.
    fn find(desired: &State, acknowledged: &Acknowledged, held_back: impl Fn(&Step) -> bool) -> Self {
        let mut dying = Self::default();
        // Keys are in the order of dependence: what something refers to has been looked at before it.
        let first = Key::Port("".into());
        let last = Key::Route("".into(), ipnet::IpNet::default());
        for (key, value) in acknowledged.range(first..last) {
            if !held_back(&Step::Delete(key.clone())) {
                dying.look_at(key, value, desired.get(key));
            }
        }
        dying
    }

    fn look_at(&mut self, key: &Key, now: Option<&Value>, wanted: Option<&Value>) {
        match key {
            Key::Port(name) if !same_device(now, wanted) => {
                self.ports.insert(name.clone());
            }
            Key::Interface(name) if !self.same_place(now, wanted) => {
                self.interfaces.insert(name.clone());
            }
            Key::Nexthop(key) if self.goes_out_of_dying(now) => {
                self.nexthops.insert(*key);
            }
            Key::Group(key) if self.has_dying_member(now) => {
                self.groups.insert(*key);
            }
            Key::Port(_) | Key::Interface(_) | Key::Nexthop(_) | Key::Group(_) => {}
            Key::System | Key::Vrf(_) | Key::Address(..) | Key::Route(..) => {}
        }
    }

    fn same_place(&self, now: Option<&Value>, wanted: Option<&Value>) -> bool {
        let (Some(Value::Interface(now)), Some(Value::Interface(wanted))) = (now, wanted) else {
            return false;
        };
        let place = |i: &ze_proto::v1::Interface| (i.port.clone(), i.vlan, i.vrf.clone());
        place(now) == place(wanted) && !self.ports.contains(now.port.as_str())
    }

    /// Nobody knows where an uncertain one goes.
    fn goes_out_of_dying(&self, now: Option<&Value>) -> bool {
        match now {
            Some(Value::Nexthop(Nexthop::Interface { interface, .. }, _)) => {
                self.interfaces.contains(interface)
            }
            Some(_) => false,
            None => true,
        }
    }

    fn has_dying_member(&self, now: Option<&Value>) -> bool {
        match now {
            Some(Value::Group(members, _)) => members.iter().any(|(key, _)| self.nexthops.contains(key)),
            Some(_) => false,
            None => true,
        }
    }

    /// What lives on without a backup that dies. It is armed again when it is put as wanted.
    fn disarmed(&self, acknowledged: &Acknowledged) -> impl Iterator<Item = Step> {
        let all = acknowledged.range(Key::Nexthop(0)..Key::Group(0)).filter(|_| !self.nexthops.is_empty());
        all.filter_map(|(key, value)| match (key, value) {
            (Key::Nexthop(own), Some(Value::Nexthop(nexthop, Some(backup))))
                if self.nexthops.contains(backup) && !self.nexthops.contains(own) =>
            {
                Some(Step::Put(key.clone(), Value::Nexthop(nexthop.clone(), None)))
            }
            _ => None,
        })
    }

    fn nothing(&self) -> bool {
        self.ports.is_empty()
            && self.interfaces.is_empty()
            && self.nexthops.is_empty()
            && self.groups.is_empty()
    }
}

fn same_device(now: Option<&Value>, wanted: Option<&Value>) -> bool {
    matches!((now, wanted), (Some(Value::Port(now)), Some(Value::Port(wanted))) if now.device == wanted.device)
}

fn goes_first(key: &Key, desired: &State, acknowledged: &Acknowledged, dying: &Dying) -> bool {
    let Some(now) = acknowledged.get(key) else { return false };
    match key {
        Key::System | Key::Vrf(_) => false,
        Key::Port(name) => dying.ports.contains(name),
        Key::Interface(name) => dying.interfaces.contains(name),
        // An address may be wanted on another interface.
        Key::Address(interface, _) => !desired.contains_key(key) || dying.interfaces.contains(interface),
        Key::Nexthop(key) => dying.nexthops.contains(key),
        Key::Group(key) => dying.groups.contains(key),
        Key::Route(..) => !desired.contains_key(key) || (!dying.nothing() && leads_into(now, dying)),
    }
}

fn leads_into(route: Option<&Value>, dying: &Dying) -> bool {
    match route {
        Some(Value::Route(RouteTarget::Nexthop(key))) => dying.nexthops.contains(key),
        Some(Value::Route(RouteTarget::Group(key))) => dying.groups.contains(key),
        // Nobody knows where it leads.
        _ => true,
    }
}

#[cfg(test)]
mod tests;
