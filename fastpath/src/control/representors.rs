//! The desk for representors: one task makes and changes them, in order, and posts back what came of it.

use std::collections::HashMap;

use ipnet::IpNet;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};
use ze_fib::writer::InterfaceSpec;
use ze_packet::{InterfaceId, MacAddr};
use ze_punt::representor::{Namespaces, Representor, Representors, Spec};

use super::{Control, Job};

/// An order to the task.
enum Order {
    Ensure(Spec),
    Remove(InterfaceId),
    SweepStale,
    End { keep: bool, done: oneshot::Sender<()> },
}

/// The control thread's side of the task.
pub(super) struct Desk {
    orders: mpsc::UnboundedSender<Order>,
    wanted: HashMap<InterfaceId, Spec>,
    pub(super) present: HashMap<InterfaceId, Representor>,
    pub(super) errors: HashMap<InterfaceId, String>,
}

impl Desk {
    /// Starts the task.
    pub(super) fn start(representors: Representors, jobs: mpsc::UnboundedSender<Job>) -> Self {
        let (orders, inbox) = mpsc::unbounded_channel();
        tokio::spawn(work(representors, inbox, jobs));
        Self { orders, wanted: HashMap::new(), present: HashMap::new(), errors: HashMap::new() }
    }

    fn order(&self, order: Order) {
        // The task ends only at `End`, after which nothing is ordered.
        let _ = self.orders.send(order);
    }

    /// Ends the task; representors stay or go.
    pub(super) async fn end(&self, keep: bool) {
        let (done, ended) = oneshot::channel();
        self.order(Order::End { keep, done });
        let _ = ended.await;
    }
}

impl Control {
    pub(super) fn refresh_representor(
        &mut self,
        id: InterfaceId,
        spec: &InterfaceSpec,
        addresses: Vec<IpNet>,
    ) {
        // Without a device there is no Ethernet address yet, and nothing to represent.
        if spec.mac == MacAddr::ZERO {
            return;
        }
        let vrf = self.vrf_name(spec.vrf);
        let wanted = Spec {
            interface: id,
            name: spec.name.clone(),
            vrf: (vrf != super::DEFAULT_VRF).then(|| vrf.to_owned()),
            mac: spec.mac,
            mtu_bytes: u32::from(spec.mtu),
            addresses,
            link_local: Some(spec.mac.link_local()),
            up: spec.up,
        };
        if self.representors.wanted.get(&id) != Some(&wanted) {
            self.representors.wanted.insert(id, wanted.clone());
            self.representors.order(Order::Ensure(wanted));
        }
    }

    pub(super) fn remove_representor(&mut self, id: InterfaceId) {
        self.representors.wanted.remove(&id);
        self.representors.present.remove(&id);
        self.representors.errors.remove(&id);
        self.close_representor_port(id);
        self.representors.order(Order::Remove(id));
    }

    /// All interfaces are known again: what is left of an earlier life and was not asked for goes.
    pub(super) fn representors_complete(&self) {
        self.representors.order(Order::SweepStale);
    }

    fn representor_made(&mut self, id: InterfaceId, result: Result<Representor, String>) {
        // It may have been removed while it was being made; the order to remove it is on its way.
        if !self.representors.wanted.contains_key(&id) {
            return;
        }
        match result {
            Ok(representor) => {
                self.representors.errors.remove(&id);
                let old = self.representors.present.insert(id, representor.clone());
                if old.is_none_or(|old| old.outer_ifindex != representor.outer_ifindex) {
                    self.open_representor_port(id, &representor);
                }
            }
            Err(error) => {
                warn!(interface = self.interface_name(id), %error, "no representor");
                self.representors.errors.insert(id, error);
            }
        }
    }
}

async fn work(
    mut representors: Representors,
    mut inbox: mpsc::UnboundedReceiver<Order>,
    jobs: mpsc::UnboundedSender<Job>,
) {
    while let Some(order) = inbox.recv().await {
        match order {
            Order::Ensure(spec) => {
                let id = spec.interface;
                let result = representors.ensure(&spec).await.map_err(|e| e.to_string());
                debug!(?spec, ?result, "representor");
                let _ = jobs.send(Box::new(move |control| control.representor_made(id, result)));
            }
            Order::Remove(id) => report(representors.remove(id).await),
            Order::SweepStale => match representors.sweep_stale().await {
                Ok(swept) => debug!(?swept, "stale representors removed"),
                Err(error) => warn!(%error, "stale representors stay"),
            },
            Order::End { keep, done } => {
                if !keep {
                    report(representors.remove_all(Namespaces::Remove).await);
                }
                let _ = done.send(());
                return;
            }
        }
    }
}

fn report(result: Result<(), ze_punt::representor::Error>) {
    if let Err(error) = result {
        warn!(%error, "representors");
    }
}
