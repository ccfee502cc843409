//! Other forwarders in memory, measured in the same run: DPDK's, from packets of ours in memory (`net_pcap` with
//! `infinite_rx`, which copies each packet as our own source does) to a device that swallows them (`net_null`).
//!
//! Each is a process that polls on the worker's core, stopped (SIGSTOP) while another is measured. Its figure is the time
//! that its thread was on the core (what else had the core does not count) by the packets that it counted; testpmd in mode
//! `io`, which looks at nothing, is the baseline that is subtracted.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::ValueEnum;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use ze_graph::clock;

use super::routes::Routes;
use super::traffic::Traffic;
use crate::dut::dpdk::{self, Telemetry, l3fwd};
use crate::interrupt::Interrupt;
use crate::stats::{Summary, median, rounded};

/// Packets in turn: DPDK keeps all of them in its pool of 8192.
const PACKETS: usize = 4096;
/// How long a program may take to start.
const START: Duration = Duration::from_secs(30);
/// How often a program that starts is asked for its counters.
const POLL: Duration = Duration::from_millis(20);
/// Before measuring, after the process was woken.
const WARM_UP: Duration = Duration::from_millis(100);

/// A forwarder of somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// The example l3fwd with longest prefix match: no TTL or checksum check, no counters
    DpdkL3fwd,
    /// testpmd in mode mac: looks nothing up
    DpdkTestpmd,
}

/// What was found of a peer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PeerCost {
    /// Its name.
    pub name: String,
    /// Its baseline subtracted.
    pub cycles_per_packet: Option<Summary>,
    /// What testpmd in mode io costs: the devices, and the loop.
    pub baseline_cycles_per_packet: Option<f64>,
    /// Of the median.
    pub mpps: Option<f64>,
    /// How many.
    pub runs: usize,
    /// How it ran.
    pub about: String,
    /// Why it did not.
    pub skipped: Option<String>,
}

/// Peers that wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Peers {
    baseline: Option<Program>,
    all: Vec<Entry>,
    folder: Option<Folder>,
}

#[derive(Debug)]
struct Entry {
    peer: Peer,
    program: Result<Program, String>,
    cycles: Vec<f64>,
    baselines: Vec<f64>,
}

impl Peers {
    /// Starts those that are there. What is missing is told by the report.
    pub(super) fn start(peers: &[Peer], core: usize, routes: &Routes, traffic: &Traffic) -> Result<Self> {
        if peers.is_empty() {
            return Ok(Self::default());
        }
        let folder = Folder::new()?;
        write_packets(&folder.path("packets.pcap"), traffic)?;
        let io = Program::testpmd("io", core, &folder);
        let why = io.as_ref().err().map(|why| format!("no baseline: {why:#}"));
        let all = peers.iter().map(|peer| {
            let program = match &why {
                Some(why) => Err(why.clone()),
                None => peer.start(core, &folder, routes).map_err(|why| format!("{why:#}")),
            };
            Entry { peer: *peer, program, cycles: Vec::new(), baselines: Vec::new() }
        });
        Ok(Self { all: all.collect(), baseline: io.ok(), folder: Some(folder) })
    }

    /// One run of each, its baseline just before.
    pub(super) fn run(&mut self, seconds: f64, interrupt: &Interrupt) -> Result<()> {
        let Some(baseline) = &mut self.baseline else { return Ok(()) };
        for entry in &mut self.all {
            let Ok(program) = &mut entry.program else { continue };
            if interrupt.is_set() {
                return Ok(());
            }
            let io = baseline.cycles(seconds).context("testpmd in mode io")?;
            let cycles = program.cycles(seconds).with_context(|| entry.peer.name().to_owned())?;
            entry.baselines.push(io);
            entry.cycles.push(cycles);
        }
        Ok(())
    }

    /// What was found.
    pub(super) fn costs(&self, tsc_hz: u64) -> Vec<PeerCost> {
        self.all.iter().map(|entry| entry.cost(tsc_hz)).collect()
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        // Programs first: they have files open.
        self.all.clear();
        self.baseline = None;
        self.folder = None;
    }
}

impl Entry {
    fn cost(&self, tsc_hz: u64) -> PeerCost {
        let name = self.peer.name().to_owned();
        if let Err(why) = &self.program {
            return PeerCost { name, skipped: Some(why.clone()), ..PeerCost::default() };
        }
        let baseline = median(self.baselines.clone());
        let net =
            Summary::of(self.cycles.clone()).zip(baseline).map(|(all, io)| all.map(|one| rounded(one - io)));
        PeerCost {
            name,
            cycles_per_packet: net,
            baseline_cycles_per_packet: baseline.map(rounded),
            mpps: net.map(|net| rounded(tsc_hz as f64 / net.median / 1e6)),
            runs: self.cycles.len(),
            about: format!("{PACKETS} packets in turn, {}", dpdk::memory_note()),
            skipped: None,
        }
    }
}

impl Peer {
    const fn name(self) -> &'static str {
        match self {
            Self::DpdkL3fwd => "dpdk-l3fwd",
            Self::DpdkTestpmd => "dpdk-testpmd",
        }
    }

    fn start(self, core: usize, folder: &Folder, routes: &Routes) -> Result<Program> {
        match self {
            Self::DpdkTestpmd => Program::testpmd("mac", core, folder),
            Self::DpdkL3fwd => Program::l3fwd(core, folder, routes),
        }
    }
}

/// A process that forwards, or is stopped.
#[derive(Debug)]
struct Program {
    child: Child,
    prefix: String,
    telemetry: Telemetry,
}

impl Program {
    fn testpmd(mode: &str, core: usize, folder: &Folder) -> Result<Self> {
        let program = dpdk::testpmd_program().map_err(|why| anyhow!(why))?;
        let options = [
            format!("--forward-mode={mode}"),
            "--nb-cores=1".to_owned(),
            "--auto-start".to_owned(),
            "--stats-period=3600".to_owned(),
        ];
        Self::start(&program, &format!("testpmd-{mode}"), 2, core, folder, &options)
    }

    fn l3fwd(core: usize, folder: &Folder, routes: &Routes) -> Result<Self> {
        if let Some(why) = l3fwd::refuses(routes.all.len()) {
            bail!(why);
        }
        let program = dpdk::l3fwd_program().map_err(|why| anyhow!(why))?;
        let nets: Vec<_> = routes.all.iter().map(|(net, _)| *net).collect();
        let options = l3fwd::options("(0,0,0)", &folder.0, &nets)?;
        Self::start(&program, "l3fwd", 1, core, folder, &options)
    }

    fn start(
        program: &Path,
        name: &str,
        lcores: usize,
        core: usize,
        folder: &Folder,
        options: &[String],
    ) -> Result<Self> {
        let prefix = format!("ze-perf-{}-{name}", std::process::id());
        let packets = folder.path("packets.pcap");
        let devices = [
            format!("net_pcap0,rx_pcap={},infinite_rx=1", packets.display()),
            "net_null1,no-rx=1".to_owned(),
        ];
        let log = folder.path(&format!("{name}.log"));
        let output = File::create(&log)?;
        // It ends with us, whatever becomes of us.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program);
        command.args(dpdk::environment(&prefix, lcores, core, &devices)).args(options);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mut child = command.spawn().context("setpriv")?;
        let is_ready = Telemetry::connect(&prefix, START, || matches!(child.try_wait(), Ok(None)));
        let forwards = is_ready.and_then(|telemetry| await_packets(&telemetry).map(|()| telemetry));
        match forwards {
            Ok(telemetry) => {
                let program = Self { child, prefix, telemetry };
                program.signal(Signal::SIGSTOP)?;
                Ok(program)
            }
            Err(why) => {
                // What matters is why it did not start.
                let _ = (child.kill(), child.wait());
                forget(&prefix);
                let text = fs::read_to_string(&log).unwrap_or_default();
                let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
                Err(why.context(last.to_owned()))
            }
        }
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(pid, signal).context("signal to a peer")
    }

    /// Cycles per packet.
    fn cycles(&mut self, seconds: f64) -> Result<f64> {
        self.signal(Signal::SIGCONT)?;
        let measured = self.measure(Duration::from_secs_f64(seconds));
        self.signal(Signal::SIGSTOP)?;
        measured
    }

    fn measure(&self, duration: Duration) -> Result<f64> {
        thread::sleep(WARM_UP);
        let (times, sent) = (self.times_ns(), self.telemetry.sent(1)?);
        thread::sleep(duration);
        let (times_after, sent_after) = (self.times_ns(), self.telemetry.sent(1)?);
        let spent = times_after.iter().map(|(thread, after)| after - times.get(thread).unwrap_or(&0));
        // The one that polls has nearly all of it.
        let busiest_ns = spent.max().context("it has no threads")?;
        let packets = sent_after.saturating_sub(sent);
        ensure!(packets > 0, "it sent nothing");
        Ok(busiest_ns as f64 * clock::hertz() as f64 / 1e9 / packets as f64)
    }

    /// Time on a core by thread.
    fn times_ns(&self) -> HashMap<OsString, u64> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let time = |path: &Path| -> Option<u64> {
            fs::read_to_string(path.join("schedstat")).ok()?.split(' ').next()?.parse().ok()
        };
        let entries = tasks.into_iter().flatten().flatten();
        entries.filter_map(|entry| Some((entry.file_name(), time(&entry.path())?))).collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A stopped process dies of this too. Failing means that it is gone.
        let _ = (self.child.kill(), self.child.wait());
        forget(&self.prefix);
    }
}

/// Removes the sockets of a program that has ended.
fn forget(prefix: &str) {
    // They may be gone already.
    let _ = fs::remove_dir_all(dpdk::runtime_directory(prefix));
}

fn await_packets(telemetry: &Telemetry) -> Result<()> {
    let deadline = Instant::now() + START;
    while Instant::now() < deadline {
        if telemetry.sent(1).is_ok_and(|sent| sent > 0) {
            return Ok(());
        }
        thread::sleep(POLL);
    }
    bail!("it sent nothing")
}

/// A directory that goes with its value.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("ze-perf-peers-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing but files of ours is there; what can not be removed is in a directory for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The first packets of the traffic, as a capture: draft-ietf-opsawg-pcap §4.
fn write_packets(path: &Path, traffic: &Traffic) -> Result<()> {
    const ETHERNET: u32 = 1;
    let mut file = std::io::BufWriter::new(File::create(path)?);
    for word in [0xa1b2_c3d4_u32, 2 | 4 << 16, 0, 0, u32::from(u16::MAX), ETHERNET] {
        file.write_all(&word.to_ne_bytes())?;
    }
    for n in 0..PACKETS {
        let packet = traffic.input(n % traffic.len());
        let len = u32::try_from(packet.len())?;
        for word in [0, u32::try_from(n)?, len, len] {
            file.write_all(&word.to_ne_bytes())?;
        }
        file.write_all(&packet)?;
    }
    Ok(file.flush()?)
}
