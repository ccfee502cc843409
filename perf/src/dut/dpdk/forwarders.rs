//! testpmd and l3fwd as devices under test, over AF_XDP sockets or, where that driver is missing, packet sockets.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use ze_pktgen::lab::Process;

use super::{
    Telemetry, environment, has_driver, l3fwd, l3fwd_program, memory_note, runtime_directory, testpmd_program,
};
use crate::dut::{Dut, Site};
use crate::lab::prioritize;

/// How long a program may take to start: it touches all its memory.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Drivers for a kernel's device, the faster first; how each is told its device. Busy polling would take the device's
/// NAPI away from the thread that it is pinned in, and receive nothing after the first packets.
const DRIVERS: [(&str, &str); 2] =
    [("net_af_xdp", "start_queue=0,queue_count=1,busy_budget=0"), ("net_af_packet", "qpairs=1")];

/// A program that runs, and how.
#[derive(Debug, Default)]
struct Running {
    process: Option<Process>,
    prefix: String,
    notes: Vec<String>,
}

impl Running {
    /// Starts a program over the first driver that works.
    fn start(
        &mut self,
        name: &str,
        program: &Path,
        lcores: usize,
        options: &[String],
        site: &Site<'_>,
    ) -> Result<()> {
        self.prefix = format!("{}-{name}", site.lab.prefix());
        // With the lab, however that ends.
        site.lab.on_cleanup(&format!("rm -rf {}", runtime_directory(&self.prefix).display()))?;
        let mut refusals = Vec::new();
        for (driver, more) in DRIVERS.into_iter().filter(|(driver, _)| has_driver(driver)) {
            let sides = [site.ingress, site.egress].into_iter().enumerate();
            let devices: Vec<_> =
                sides.map(|(at, side)| format!("{driver}{at},iface={},{more}", side.device)).collect();
            let mut command = Command::new("taskset");
            command.args(["-c", &site.core.to_string(), "stdbuf", "-oL"]).arg(program);
            command.args(environment(&self.prefix, lcores, site.core, &devices)).args(options);
            match self.run(name, command, site) {
                Ok(()) => {
                    let refused: String = refusals.iter().map(|why| format!("; {why}")).collect();
                    self.notes = vec![format!("{}, {driver}, {}{refused}", version(), memory_note())];
                    return Ok(());
                }
                Err(why) => refusals.push(format!("{driver}: {why:#}")),
            }
        }
        ensure!(
            !refusals.is_empty(),
            "DPDK has neither driver: {}",
            DRIVERS.map(|(driver, _)| driver).join(", ")
        );
        bail!("{}", refusals.join("; "))
    }

    fn run(&mut self, name: &str, command: Command, site: &Site<'_>) -> Result<()> {
        let mut process = site.namespace.spawn(name, command)?;
        let telemetry =
            Telemetry::connect(&self.prefix, START_TIMEOUT, || matches!(process.status(), Ok(None)));
        let ready = telemetry.and_then(|telemetry| telemetry.sent(1));
        let ready = ready.and_then(|_| Ok(process.wait_for_line(ready_line(name), START_TIMEOUT)?));
        if let Err(why) = ready {
            return Err(anyhow!("{why:#}: {}", last_lines(&process.log())));
        }
        if site.realtime {
            // Workers of testpmd, by what versions call them, and l3fwd's only thread.
            for thread in ["rte-worker", "lcore-worker", "dpdk-worker", "l3fwd", "dpdk-l3fwd"] {
                prioritize(process.pid(), thread)?;
            }
        }
        self.process = Some(process);
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let (ended, log) = (process.status()?, process.log());
        if ended.is_none() {
            process.stop(STOP_GRACE)?;
        }
        ensure!(ended.is_none(), "it has ended by itself: {ended:?}; {}", last_lines(&log));
        Ok(())
    }
}

/// What a program says when it forwards.
fn ready_line(name: &str) -> &'static str {
    // testpmd shows counters for the first time a second after it has sent its worker to work.
    if name == "testpmd" { "NIC statistics" } else { "entering main loop" }
}

fn last_lines(log: &str) -> String {
    let lines: Vec<_> = log.lines().rev().filter(|line| !line.trim().is_empty()).take(4).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

fn version() -> String {
    let output = Command::new("pkg-config").args(["--modversion", "libdpdk"]).output();
    let text =
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if text.is_empty() { "DPDK".to_owned() } else { format!("DPDK {text}") }
}

fn mac(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

/// testpmd in `mac` mode: addresses of Ethernet are rewritten, nothing else is looked at.
#[derive(Debug, Default)]
pub struct Testpmd {
    running: Running,
}

impl Dut for Testpmd {
    fn name(&self) -> &str {
        "dpdk-testpmd"
    }

    fn missing(&self) -> Option<String> {
        testpmd_program().err()
    }

    fn polls(&self) -> bool {
        true
    }

    fn start(&mut self, site: &Site<'_>) -> Result<()> {
        let program = testpmd_program().map_err(|why| anyhow!(why))?;
        let options = [
            "--forward-mode=mac".to_owned(),
            format!("--eth-peer=1,{}", mac(site.egress.peer_mac)),
            "--nb-cores=1".to_owned(),
            "--auto-start".to_owned(),
            // Without it, it ends when there is nothing to read.
            "--stats-period=1".to_owned(),
        ];
        self.running.start("testpmd", &program, 2, &options, site)?;
        self.running.notes.push("mode mac: no lookup, no TTL, no checksum".to_owned());
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        self.running.notes.clone()
    }

    fn stop(&mut self) -> Result<()> {
        self.running.stop()
    }
}

/// The example `l3fwd` with longest prefix match.
#[derive(Debug, Default)]
pub struct L3fwd {
    running: Running,
}

impl Dut for L3fwd {
    fn name(&self) -> &str {
        "dpdk-l3fwd"
    }

    fn missing(&self) -> Option<String> {
        l3fwd_program().err()
    }

    fn refuses(&self, routes: usize) -> Option<String> {
        l3fwd::refuses(routes)
    }

    fn polls(&self) -> bool {
        true
    }

    fn start(&mut self, site: &Site<'_>) -> Result<()> {
        let program = l3fwd_program().map_err(|why| anyhow!(why))?;
        let mut options = l3fwd::options("(0,0,0),(1,0,0)", site.lab.directory(), site.routes)?;
        options.push(format!("--eth-dest=1,{}", mac(site.egress.peer_mac)));
        self.running.start("l3fwd", &program, 1, &options, site)?;
        self.running.notes.push("lookup lpm: no TTL or checksum check, no counters of its own".to_owned());
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        self.running.notes.clone()
    }

    fn stop(&mut self) -> Result<()> {
        self.running.stop()
    }
}
