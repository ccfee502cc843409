//! What the forwarding daemon tells of itself.

use std::collections::BTreeMap;
use std::time::Duration;

use ze_proto::v1::{
    FibState, GetFibRequest, GetInfoRequest, GetStatsRequest, Info, LinkState, ListNeighborsRequest,
    NeighborEntry, PortState, Stats, WorkerStats,
};
use ze_tui::rates::{Law, Verdict};
use ze_tui::units::{count, plural};

use super::{Finding, Severity};
use crate::client::{Client, answer};
use crate::error::Error;

/// Between the two samples that show what happens now.
const GLANCE: Duration = Duration::from_millis(500);

/// Drop reasons that mean that Ze or the machine is short of something, and what to do.
const SHORTAGES: [(&str, &str); 5] = [
    ("pool_empty", "More frames of packet memory, or fewer queues a worker, would help."),
    (
        "tx_ring_full",
        "The way out is slower than what is sent to it. `ze top --view ports` shows which ring is full.",
    ),
    (
        "control_queue_full",
        "The control thread does not keep up with ARP and ND. Is its core shared with a worker?",
    ),
    (
        "handoff_full",
        "One worker can not keep up with what others hand to it. `ze show workers` shows its idle share.",
    ),
    (
        "neighbor_queue_full",
        "Packets wait for neighbours that do not answer. `ze show neighbors` lists them.",
    ),
];

/// Facts from the daemon: two samples, a moment apart.
#[derive(Clone, Debug, Default)]
pub struct Dataplane {
    /// What it is.
    pub info: Info,
    /// The first sample.
    pub earlier: Stats,
    /// The second sample.
    pub stats: Stats,
    /// Its neighbours.
    pub neighbors: Vec<NeighborEntry>,
    /// Who programs it.
    pub fib: FibState,
}

impl Dataplane {
    /// Asks for all of it.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn ask(mut client: Client) -> Result<Self, Error> {
        let info = answer(client.get_info(GetInfoRequest {})).await?;
        let earlier = answer(client.get_stats(GetStatsRequest {})).await?;
        let fib = answer(client.get_fib(GetFibRequest {})).await?;
        let mut stream = answer(client.list_neighbors(ListNeighborsRequest::default())).await?;
        let mut neighbors = Vec::new();
        while let Some(entry) = stream.message().await? {
            neighbors.push(entry);
        }
        tokio::time::sleep(GLANCE).await;
        let stats = answer(client.get_stats(GetStatsRequest {})).await?;
        Ok(Self { info, earlier, stats, neighbors, fib })
    }

    /// What the facts mean.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = vec![self.version()];
        findings.extend(
            self.info.warnings.iter().map(|w| Finding::new(Severity::Warning, "fastpath", w.as_str(), "")),
        );
        let (representors, ports): (Vec<_>, Vec<_>) = self.stats.ports.iter().partition(|p| p.representor);
        findings.extend(ports.into_iter().flat_map(port));
        findings.extend(representors.into_iter().filter_map(representor));
        findings.extend(self.stats.ports.iter().flat_map(program));
        findings.extend(self.interfaces());
        findings.extend(self.workers());
        findings.extend(self.rings());
        findings.extend(self.shortages());
        findings.extend(self.policers());
        findings.extend(self.silent_neighbors());
        findings
    }

    fn version(&self) -> Finding {
        let ours = env!("CARGO_PKG_VERSION");
        if self.info.version == ours {
            return Finding::ok("version", format!("This command and ze-fastpath are both {ours}."));
        }
        Finding::new(
            Severity::Note,
            "version",
            format!("This command is {ours}, ze-fastpath is {}.", self.info.version),
            "Restart ze-fastpath if it was updated.",
        )
    }

    fn interfaces(&self) -> Vec<Finding> {
        let failed =
            self.stats.interfaces.iter().filter(|i| i.state() == LinkState::Failed || !i.message.is_empty());
        let finding = |i: &ze_proto::v1::InterfaceState| {
            let name = i.interface.as_ref().map_or("", |i| i.name.as_str());
            let severity = if i.state() == LinkState::Failed { Severity::Error } else { Severity::Warning };
            let message = if i.message.is_empty() { "it can not be used" } else { i.message.as_str() };
            Finding::new(severity, "interface", format!("Interface {name}: {message}."), "")
        };
        failed.map(finding).collect()
    }

    fn workers(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for worker in &self.stats.workers {
            findings.push(self.law(worker));
            if !worker.pinned {
                findings.push(Finding::new(
                    Severity::Warning,
                    "worker",
                    format!("Worker {} is not held on core {}: it moves between cores and loses its caches.", worker.worker, worker.core),
                    "Is the core in the CPU set that ze-fastpath may use (`taskset -p`, AllowedCPUs= of its unit)?",
                ));
            }
            if worker.pool_free == 0 {
                findings.push(Finding::new(
                    Severity::Error,
                    "pool",
                    format!("Worker {} has no free frame: it can not receive.", worker.worker),
                    "If it stays so, frames leak: please report it with the output of `ze show counters`.",
                ));
            }
        }
        findings.extend(self.shared_cores());
        findings
    }

    fn law(&self, worker: &WorkerStats) -> Finding {
        let earlier = self.earlier.workers.iter().find(|w| w.worker == worker.worker).and_then(|w| w.law);
        let law = worker.law.unwrap_or_default();
        let law = Law::between(&earlier.unwrap_or(law), &law);
        match law.verdict {
            Verdict::Holds | Verdict::InFlight => Finding::ok(
                "law",
                format!(
                    "Worker {}: {} came in, and each is accounted for.",
                    worker.worker,
                    plural(law.in_packets, "packet")
                ),
            ),
            Verdict::Broken => Finding::new(
                Severity::Error,
                "law",
                format!(
                    "Worker {}: {} came in and {} went out or are held; the rest is unaccounted for.",
                    worker.worker,
                    count(law.in_packets),
                    count(law.out_packets)
                ),
                "This is a defect of Ze. Please report it with the output of `ze -o json show counters`.",
            ),
        }
    }

    fn shared_cores(&self) -> Vec<Finding> {
        let mut by_core: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for worker in self.stats.workers.iter().filter(|w| w.pinned) {
            by_core.entry(worker.core).or_default().push(worker.worker.to_string());
        }
        let finding = |(core, workers): (u32, Vec<String>)| {
            let message = format!("Workers {} share core {core} and take turns.", workers.join(" and "));
            Finding::new(Severity::Warning, "worker", message, "Give each worker a core of its own.")
        };
        by_core.into_iter().filter(|(_, workers)| workers.len() > 1).map(finding).collect()
    }

    /// Fill starvation, and errors of the rings.
    fn rings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for worker in &self.stats.workers {
            let before = self.earlier.workers.iter().find(|w| w.worker == worker.worker);
            for queue in &worker.queues {
                let earlier = before
                    .and_then(|w| w.queues.iter().find(|q| q.port == queue.port && q.queue == queue.queue));
                let at = format!("Port {} queue {}", queue.port, queue.queue);
                if queue.fill_starved > 0 {
                    let now = earlier.is_some_and(|q| q.fill_starved < queue.fill_starved);
                    findings.push(starved(&at, queue.fill_starved, now));
                }
                if queue.errors > 0 {
                    findings.push(Finding::new(
                        Severity::Warning,
                        "ring",
                        format!("{at}: {} of the ring calls.", plural(queue.errors, "error")),
                        "The log of ze-fastpath and `dmesg` say more.",
                    ));
                }
            }
        }
        if findings.is_empty() {
            findings.push(Finding::ok("fill_starved", "No fill ring was ever empty."));
        }
        findings
    }

    fn shortages(&self) -> Vec<Finding> {
        let total = |stats: &Stats, reason: &str| -> u64 {
            stats
                .workers
                .iter()
                .flat_map(|w| &w.drops)
                .filter(|d| d.reason == reason)
                .map(|d| d.packets)
                .sum()
        };
        let mut findings = Vec::new();
        for (reason, advice) in SHORTAGES {
            let (before, now) = (total(&self.earlier, reason), total(&self.stats, reason));
            if now == 0 {
                continue;
            }
            let (severity, words) = if now > before {
                (Severity::Warning, "and it goes on")
            } else {
                (Severity::Note, "not now")
            };
            findings.push(Finding::new(
                severity,
                "drops",
                format!("{} dropped for {reason}, {words}.", plural(now, "packet")),
                advice,
            ));
        }
        findings
    }

    fn policers(&self) -> Vec<Finding> {
        let mut policed: BTreeMap<&str, u64> = BTreeMap::new();
        for punt in self.stats.workers.iter().flat_map(|w| &w.punts) {
            *policed.entry(&punt.reason).or_default() += punt.policed;
        }
        let finding = |(class, packets): (&str, u64)| {
            let message =
                format!("{} of punt class '{class}' refused by its policer.", plural(packets, "packet"));
            Finding::new(
                Severity::Note,
                "policer",
                message,
                "Someone sends more to the router itself than it takes. `ze trace` shows who.",
            )
        };
        policed.into_iter().filter(|p| p.1 > 0).map(finding).collect()
    }

    fn silent_neighbors(&self) -> Option<Finding> {
        let failed: Vec<String> = self
            .neighbors
            .iter()
            .filter(|n| n.state == "failed")
            .map(|n| format!("{} on {}", crate::text::address(&n.address).unwrap_or_default(), n.interface))
            .collect();
        let [first, rest @ ..] = failed.as_slice() else { return None };
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        Some(Finding::new(
            Severity::Note,
            "neighbors",
            format!("Neighbours that do not answer: {first}{more}."),
            "Is the host up, and in that VLAN? `ze show neighbors` lists all.",
        ))
    }
}

fn starved(at: &str, times: u64, now: bool) -> Finding {
    let severity = if now { Severity::Error } else { Severity::Note };
    let words = if now { "and it goes on: frames are lost" } else { "not now" };
    Finding::new(
        severity,
        "fill_starved",
        format!("{at}: the fill ring was empty {} times, {words}.", count(times)),
        "The worker is too busy to give frames back, or frames are short: `ze show workers` shows idle share and free frames.",
    )
}

fn port(port: &PortState) -> Vec<Finding> {
    let name = &port.name;
    let why = if port.message.is_empty() { String::new() } else { format!(": {}", port.message) };
    let state = match port.state() {
        LinkState::Up => Finding::ok("port", format!("Port {name} is up.")),
        LinkState::Down => Finding::new(
            Severity::Warning,
            "port",
            format!("Port {name} has no carrier or is down{why}."),
            "Cable, peer, or `ip link set up`.",
        ),
        LinkState::Missing => Finding::new(
            Severity::Error,
            "port",
            format!("Port {name}: there is no device '{}'.", port.device),
            "`ip link` lists the devices of this namespace.",
        ),
        LinkState::Failed => {
            Finding::new(Severity::Error, "port", format!("Port {name} can not be used{why}."), cure(port))
        }
        LinkState::Unspecified => {
            Finding::new(Severity::Warning, "port", format!("The state of port {name} is unknown{why}."), "")
        }
    };
    let mut findings = vec![state];
    if port.state() == LinkState::Up {
        findings.push(modes(port));
    }
    findings
}

/// A representor that the router's own packets can not come and go by. One that is down follows its interface.
fn representor(port: &PortState) -> Option<Finding> {
    let why = match port.state() {
        LinkState::Up | LinkState::Down => return None,
        LinkState::Missing => format!("there is no device '{}'", port.device),
        LinkState::Failed | LinkState::Unspecified if port.message.is_empty() => "it is not known why".into(),
        LinkState::Failed | LinkState::Unspecified => port.message.clone(),
    };
    let message = format!(
        "Representor {} can not be used: {why}. The router itself can not be reached by its interface.",
        port.name
    );
    Some(Finding::new(Severity::Error, "representor", message, cure(port)))
}

/// What helps a port that can not be used, beyond what its message says.
fn cure(port: &PortState) -> &'static str {
    if port.message.contains("--frames") {
        return "Raise --frames where ze-fastpath is started, and restart it; or give devices fewer queues (`ethtool -L`).";
    }
    if port.representor {
        "The alias in `ip link show` names its interface; the log of ze-fastpath says more."
    } else {
        ""
    }
}

/// Which modes it fell back to.
fn modes(port: &PortState) -> Finding {
    let (name, driver) = (&port.name, &port.driver);
    let why = if port.message.is_empty() { String::new() } else { format!(" ({})", port.message) };
    if port.attach_mode == "generic" {
        return Finding::new(
            Severity::Warning,
            "xdp_mode",
            format!(
                "Port {name} fell back to generic XDP{why}: every frame becomes an sk_buff first, several times slower."
            ),
            format!(
                "Driver {driver} has no native XDP, or refused it: fewer queues, a smaller MTU or a newer kernel may help."
            ),
        );
    }
    let copies = port.bind_modes.iter().filter(|m| *m == "copy").count();
    match (copies, driver.as_str()) {
        (0, _) => Finding::ok("xdp_mode", format!("Port {name} works in native mode without copies.")),
        // They can not do better, whatever one does.
        (_, "veth" | "virtio_net" | "tun") => Finding::new(
            Severity::Note,
            "xdp_mode",
            format!("Port {name} copies each frame once{why}, as driver {driver} always does."),
            "",
        ),
        (copies, _) => Finding::new(
            Severity::Warning,
            "xdp_mode",
            format!(
                "Port {name} fell back to copy mode on {copies} of {} queues{why}.",
                port.bind_modes.len()
            ),
            format!(
                "Driver {driver} has no zero copy in this kernel, or was short of queues: a newer kernel may help."
            ),
        ),
    }
}

/// What the XDP program could not give to a worker.
fn program(port: &PortState) -> Vec<Finding> {
    let counter = |name: &str| port.xdp.iter().find(|c| c.name == name).map_or(0, |c| c.value);
    let mut findings = Vec::new();
    let orphans = counter("no_socket_dropped") + counter("no_socket_passed");
    if orphans > 0 {
        findings.push(Finding::new(
            Severity::Note,
            "no_socket",
            format!("Port {}: {} came on queues without a socket.", port.name, plural(orphans, "frame")),
            "That is normal while ze-fastpath restarts. If it grows, the device has more queues than Ze serves: `ethtool -l` and `ethtool -x` show them.",
        ));
    }
    findings
}
