//! Static routes as an engine.
//!
//! Told the configured routes and the state of interfaces, it says which paths there are: those over an interface
//! that is down are left out. A gateway without an interface is the RIB's to resolve.
//!
//! ```text
//! Configure(routes) ─┐                       ┌─▶ Route(update), for each that differs from what was said
//! Link(up, down)  ───┴─▶ configured × links ─┴─▶ Configured, after each Configure
//! ```

pub mod table;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use ze_config::{Hop, RouteKey, StaticRoute, StaticRoutes};
use ze_engine::{Discard, Engine, Input, Output, Path, RouteUpdate, Target, Via, Way};

/// An order to the engine.
#[derive(Clone, Debug)]
pub enum Command {
    /// These are the routes, all of them.
    Configure(Arc<StaticRoutes>),
}

/// News from the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The paths of one route.
    Route(RouteUpdate),
    /// All that a [`Command::Configure`] changed has been said.
    Configured,
}

/// The engine.
#[derive(Debug, Default)]
pub struct StaticEngine {
    routes: Arc<StaticRoutes>,
    down: BTreeSet<Arc<str>>,
    output: VecDeque<Output<Event>>,
}

impl StaticEngine {
    /// An engine without routes; every interface is up.
    pub fn new() -> Self {
        Self::default()
    }

    fn configure(&mut self, routes: Arc<StaticRoutes>) {
        let old = std::mem::replace(&mut self.routes, routes);
        for key in old.keys().filter(|key| !self.routes.contains_key(key)) {
            self.output.push_back(route_event(key, Vec::new()));
        }
        for (key, route) in self.routes.iter() {
            if old.get(key) != Some(route) {
                self.output.push_back(route_event(key, paths(route, &self.down)));
            }
        }
        self.output.push_back(Output::Event(Event::Configured));
    }

    fn link(&mut self, interface: &str, up: bool) {
        let changed = if up { self.down.remove(interface) } else { self.down.insert(interface.into()) };
        if !changed {
            return;
        }
        for (key, route) in self.routes.iter().filter(|(_, route)| uses(route, interface)) {
            self.output.push_back(route_event(key, paths(route, &self.down)));
        }
    }
}

impl Engine for StaticEngine {
    type Command = Command;
    type Event = Event;

    fn handle_command(&mut self, command: Command, _now: Instant) {
        match command {
            Command::Configure(routes) => self.configure(routes),
        }
    }

    fn handle_input(&mut self, input: Input<'_>, _now: Instant) {
        match input {
            Input::Link { interface, up } => self.link(interface, up),
        }
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        self.output.pop_front()
    }
}

fn route_event(key: &RouteKey, paths: Vec<Path>) -> Output<Event> {
    Output::Event(Event::Route(RouteUpdate { vrf: key.vrf.shared(), prefix: key.prefix, paths }))
}

fn uses(route: &StaticRoute, interface: &str) -> bool {
    match route {
        StaticRoute::Via(hops) => hops.iter().any(|hop| over(hop) == Some(interface)),
        StaticRoute::Discard(_) => false,
    }
}

fn over(hop: &Hop) -> Option<&str> {
    match &hop.way {
        ze_config::Way::Interface(interface) | ze_config::Way::Gateway(_, Some(interface)) => {
            Some(interface.as_str())
        }
        ze_config::Way::Gateway(_, None) | ze_config::Way::Vrf(_) => None,
    }
}

fn way(hop: &Hop) -> Way {
    match &hop.way {
        ze_config::Way::Interface(interface) => Way::Interface(interface.shared()),
        ze_config::Way::Gateway(gateway, interface) => {
            Way::Gateway(*gateway, interface.as_ref().map(|interface| interface.shared()))
        }
        ze_config::Way::Vrf(vrf) => Way::Vrf(vrf.shared()),
    }
}

/// The paths that a route has while some interfaces are down, smallest distance first.
fn paths(route: &StaticRoute, down: &BTreeSet<Arc<str>>) -> Vec<Path> {
    let hops = match route {
        StaticRoute::Discard(discard) => return vec![discard_path(*discard)],
        StaticRoute::Via(hops) => hops,
    };
    let mut by_distance: BTreeMap<u8, Vec<Via>> = BTreeMap::new();
    for hop in hops.iter().filter(|hop| over(hop).is_none_or(|interface| !down.contains(interface))) {
        by_distance.entry(hop.distance).or_default().push(Via { way: way(hop), weight: hop.weight });
    }
    by_distance.into_iter().map(|(distance, vias)| Path { distance, target: Target::Via(vias) }).collect()
}

/// Distance of a static route without nexthops.
const DISCARD_DISTANCE: u8 = 1;

fn discard_path(discard: ze_config::Discard) -> Path {
    let discard = match discard {
        ze_config::Discard::Blackhole => Discard::Blackhole,
        ze_config::Discard::Reject => Discard::Unreachable,
        ze_config::Discard::Prohibit => Discard::Prohibit,
    };
    Path { distance: DISCARD_DISTANCE, target: Target::Discard(discard) }
}

#[cfg(test)]
mod tests;
