//! What a tour came to.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::daemons::Terms;
use crate::lab::TransferReport;

/// Below this share of the kernel's rate something is wrong with the machine, or with Ze.
const RATIO_EXPECTED: f64 = 0.5;

/// The result of a tour that went well.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How long it took.
    pub elapsed_s: f64,
    /// What it ran on.
    pub environment: Environment,
    /// The steps, in order.
    pub steps: Vec<StepResult>,
    /// The measured transfers.
    pub transfers: Vec<Transfer>,
    /// The load of a full table, if one was given.
    pub table: Option<TableLoad>,
    /// The workers of `ze-fastpath` during the transfers between the hosts.
    pub workers: Vec<WorkerFigures>,
    /// The terms of the conservation law, all workers together, since start. They balance.
    pub law: Terms,
    /// Drops by reason, since start.
    pub drops: BTreeMap<String, u64>,
    /// Punts by reason, since start.
    pub punts: BTreeMap<String, u64>,
    /// How to watch the network and how to remove it, if it was kept.
    pub kept: Option<Kept>,
}

/// What a tour ran on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Environment {
    /// Version of `ze-fastpath`.
    pub version: String,
    /// The kernel.
    pub kernel: String,
    /// Cores of the machine.
    pub cores: usize,
    /// Idle mode of the workers.
    pub idle_mode: String,
    /// Memory of the frames.
    pub umem_pages: String,
    /// How each port is attached and bound: "lan0 native/copy".
    pub ports: Vec<String>,
    /// What is the same on both paths.
    pub cables: String,
}

/// One step that went well.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepResult {
    /// What was done.
    pub title: String,
    /// What was seen.
    pub outcome: String,
    /// How long it took.
    pub elapsed_s: f64,
}

/// Rates of transfers of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// The median.
    pub median_bits_per_second: f64,
    /// The slowest.
    pub min_bits_per_second: f64,
    /// The fastest.
    pub max_bits_per_second: f64,
    /// Segments that were sent again, all runs together.
    pub retransmitted_segments: u64,
}

/// A measured transfer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Transfer {
    /// From where to where.
    pub title: String,
    /// Bytes of each run.
    pub bytes: u64,
    /// How often it was run on each path.
    pub runs: usize,
    /// By the kernel's router.
    pub kernel: Option<Rates>,
    /// By Ze.
    pub ze: Rates,
    /// Ze's median over the kernel's.
    pub ratio: Option<f64>,
}

/// A table that was loaded while traffic flowed, of which nothing was lost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TableLoad {
    /// Its routes.
    pub routes: u64,
    /// From the order to read the configuration to the last route in force.
    pub elapsed_s: f64,
    /// Packets forwarded meanwhile.
    pub packets: u64,
    /// What lookups read, bytes.
    pub lookup_bytes: u64,
}

impl fmt::Display for TableLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { routes, elapsed_s, packets, lookup_bytes } = self;
        let (mb, a_second) = (*lookup_bytes as f64 / 1e6, *routes as f64 / elapsed_s / 1e3);
        write!(
            f,
            "{routes} routes in {elapsed_s:.2} s ({a_second:.0} k/s), {mb:.1} MB; none of {packets} packets lost"
        )
    }
}

/// What one worker did during the transfers between the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WorkerFigures {
    /// Its number.
    pub worker: u32,
    /// Its core.
    pub core: u32,
    /// Packets it received.
    pub packets: u64,
    /// The same by time.
    pub packets_per_second: f64,
    /// Packets in a batch on average; 64 is the most.
    pub packets_per_batch: f64,
    /// Cycles of rounds that moved packets, the system calls to the kernel's rings included.
    pub cycles_per_packet: f64,
    /// Share of cycles in rounds without packets.
    pub idle_share: f64,
    /// Times it slept.
    pub sleeps: u64,
    /// Times a transmit ring was full.
    pub tx_ring_full: u64,
    /// Times there was no frame to receive into.
    pub fill_starved: u64,
}

/// A network that was left running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The beginning of the names of its namespaces.
    pub prefix: String,
    /// Socket of the forwarding daemon's API.
    pub socket: String,
    /// Things to try, each a shell command.
    pub commands: Vec<String>,
    /// The shell command that removes it.
    pub remove_command: String,
}

impl Transfer {
    pub(super) fn new(
        title: &str,
        bytes: u64,
        kernel: Option<&[TransferReport]>,
        ze: &[TransferReport],
    ) -> Self {
        let (kernel, runs) = (kernel.map(Rates::of), ze.len());
        let ze = Rates::of(ze);
        let ratio = kernel.map(|kernel| ze.median_bits_per_second / kernel.median_bits_per_second);
        Self { title: title.to_owned(), bytes, runs, kernel, ze, ratio }
    }
}

impl Summary {
    /// As indented JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and maps with string keys can always be written.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The smallest share of the kernel's rate among the transfers that were compared.
    #[must_use]
    pub fn worst_ratio(&self) -> Option<f64> {
        self.transfers.iter().filter_map(|transfer| transfer.ratio).min_by(f64::total_cmp)
    }
}

impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ze {:.2} Gbit/s", self.ze.median_bits_per_second / 1e9)?;
        if let (Some(kernel), Some(ratio)) = (self.kernel, self.ratio) {
            write!(f, ", kernel {:.2}: {:.0} %", kernel.median_bits_per_second / 1e9, ratio * 100.0)?;
        }
        Ok(())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let environment = &self.environment;
        writeln!(
            f,
            "\nZe {} on Linux {}, {} cores",
            environment.version, environment.kernel, environment.cores
        )?;
        writeln!(f, "  ports    {}", environment.ports.join(", "))?;
        writeln!(f, "  frames   {}; workers idle: {}", environment.umem_pages, environment.idle_mode)?;
        writeln!(f, "  cables   {}", environment.cables)?;
        self.table.iter().try_for_each(|table| writeln!(f, "  table    {table}"))?;
        self.show_transfers(f)?;
        self.show_workers(f)?;
        self.show_packets(f)?;
        writeln!(f, "\nAll {} steps passed in {:.0} s.", self.steps.len(), self.elapsed_s)?;
        self.kept.as_ref().map_or(Ok(()), |kept| write!(f, "{kept}"))
    }
}

impl Summary {
    fn show_transfers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nTCP transfers (payload rate; medians, the two paths by turns)")?;
        writeln!(
            f,
            "  {:28} {:>9} {:>5} {:>13} {:>13} {:>8}",
            "", "bytes", "runs", "Ze Gbit/s", "kernel", "Ze/kernel"
        )?;
        for transfer in &self.transfers {
            let kernel = transfer.kernel.map(|rates| format!("{:.2}", rates.median_bits_per_second / 1e9));
            let ratio = transfer.ratio.map(|ratio| format!("{:.0} %", ratio * 100.0));
            writeln!(
                f,
                "  {:28} {:>7} M {:>5} {:>13.2} {:>13} {:>8}",
                transfer.title,
                transfer.bytes / 1_000_000,
                transfer.runs,
                transfer.ze.median_bits_per_second / 1e9,
                kernel.as_deref().unwrap_or("-"),
                ratio.as_deref().unwrap_or("-"),
            )?;
        }
        match self.worst_ratio() {
            Some(ratio) if ratio < RATIO_EXPECTED => {
                writeln!(
                    f,
                    "  Ze should reach {:.0} % of the kernel's rate at least: is the machine busy?",
                    RATIO_EXPECTED * 100.0
                )
            }
            _ => Ok(()),
        }
    }

    fn show_workers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWorkers, during the transfers between the hosts")?;
        writeln!(
            f,
            "  {:>6} {:>4} {:>11} {:>10} {:>7} {:>13} {:>6} {:>9} {:>9}",
            "worker",
            "core",
            "packets",
            "packets/s",
            "batch",
            "cycles/packet",
            "idle",
            "ring full",
            "no frame"
        )?;
        for worker in &self.workers {
            writeln!(
                f,
                "  {:>6} {:>4} {:>11} {:>10.0} {:>7.1} {:>13.0} {:>4.0} % {:>9} {:>9}",
                worker.worker,
                worker.core,
                worker.packets,
                worker.packets_per_second,
                worker.packets_per_batch,
                worker.cycles_per_packet,
                worker.idle_share * 100.0,
                worker.tx_ring_full,
                worker.fill_starved,
            )?;
        }
        Ok(())
    }

    fn show_packets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let law = &self.law;
        writeln!(f, "\nPackets, since start: rx + inject + generated = tx + drop + punt + held")?;
        writeln!(
            f,
            "  {} + {} + {} = {} + {} + {} + {}   holds",
            law.rx, law.inject, law.generated, law.tx, law.drop, law.punt, law.held
        )?;
        writeln!(f, "  dropped  {}", by_reason(&self.drops))?;
        writeln!(f, "  punted   {}", by_reason(&self.punts))
    }
}

fn by_reason(counts: &BTreeMap<String, u64>) -> String {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by_key(|(_, packets)| std::cmp::Reverse(**packets));
    let words: Vec<_> = sorted.iter().map(|(reason, packets)| format!("{reason} {packets}")).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nThe network is left running. Try")?;
        self.commands.iter().try_for_each(|command| writeln!(f, "  {command}"))?;
        writeln!(f, "Remove it with\n  {}", self.remove_command)
    }
}
