//! What differs between two configurations, object by object.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::{Config, Object};

/// What differs. Each list is in the order of [`Object`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// In the new one only.
    pub added: Vec<Object>,
    /// In the old one only.
    pub removed: Vec<Object>,
    /// In both, and not the same.
    pub changed: Vec<Object>,
}

impl Difference {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// What differs between `old` and `new`.
pub fn difference(old: &Config, new: &Config) -> Difference {
    let mut found = Difference::default();
    if old.system != new.system {
        found.changed.push(Object::System);
    }
    found.added.extend(new.vrfs.difference(&old.vrfs).cloned().map(Object::Vrf));
    found.removed.extend(old.vrfs.difference(&new.vrfs).cloned().map(Object::Vrf));
    compare(&old.ports, &new.ports, &mut found, |name| Object::Port(name.clone()), |a, b| a == b);
    let same = |a: &crate::Interface, b: &crate::Interface| {
        // Addresses are objects of their own.
        let bare = |i: &crate::Interface| crate::Interface { addresses: Default::default(), ..i.clone() };
        bare(a) == bare(b)
    };
    compare(&old.interfaces, &new.interfaces, &mut found, |name| Object::Interface(name.clone()), same);
    let (before, after) = (addresses(old), addresses(new));
    compare(&before, &after, &mut found, |object| object.clone(), |(), ()| true);
    compare(&old.routes, &new.routes, &mut found, |key| Object::Route(key.clone()), |a, b| a == b);
    compare(&old.tables, &new.tables, &mut found, |key| Object::Table(key.clone()), |a, b| a == b);
    found
}

fn addresses(config: &Config) -> BTreeMap<Object, ()> {
    let of = |(name, interface): (&crate::InterfaceName, &crate::Interface)| {
        let name = name.clone();
        interface.addresses.iter().map(move |a| (Object::Address(name.clone(), *a), ())).collect::<Vec<_>>()
    };
    config.interfaces.iter().flat_map(of).collect()
}

fn compare<K: Ord, V>(
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    found: &mut Difference,
    object: impl Fn(&K) -> Object,
    same: impl Fn(&V, &V) -> bool,
) {
    for (key, value) in new {
        match old.get(key) {
            None => found.added.push(object(key)),
            Some(before) if !same(before, value) => found.changed.push(object(key)),
            Some(_) => {}
        }
    }
    found.removed.extend(old.keys().filter(|key| !new.contains_key(key)).map(object));
}

impl fmt::Display for Difference {
    /// "2 routes added, 1 removed, 1 interface changed", or "nothing changed".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for kind in Kind::ALL {
            let mut named = false;
            for (objects, what) in
                [(&self.added, "added"), (&self.removed, "removed"), (&self.changed, "changed")]
            {
                let count = objects.iter().filter(|object| Kind::of(object) == kind).count();
                if count > 0 {
                    let noun = if named { String::new() } else { format!("{} ", kind.noun(count)) };
                    parts.push(format!("{count} {noun}{what}"));
                    named = true;
                }
            }
        }
        if parts.is_empty() {
            return f.write_str("nothing changed");
        }
        f.write_str(&parts.join(", "))
    }
}

/// What an operator counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    System,
    Vrf,
    Port,
    Interface,
    Address,
    Route,
    Table,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::System, Self::Vrf, Self::Port, Self::Interface, Self::Address, Self::Route, Self::Table];

    fn of(object: &Object) -> Self {
        match object {
            Object::System => Self::System,
            Object::Vrf(_) => Self::Vrf,
            Object::Port(_) => Self::Port,
            Object::Interface(_) => Self::Interface,
            Object::Address(..) => Self::Address,
            Object::Route(_) => Self::Route,
            Object::Table(_) => Self::Table,
        }
    }

    fn noun(self, count: usize) -> &'static str {
        let (one, many) = match self {
            Self::System => ("system setting", "system settings"),
            Self::Vrf => ("VRF", "VRFs"),
            Self::Port => ("port", "ports"),
            Self::Interface => ("interface", "interfaces"),
            Self::Address => ("address", "addresses"),
            Self::Route => ("route", "routes"),
            Self::Table => ("file of routes", "files of routes"),
        };
        if count == 1 { one } else { many }
    }
}
