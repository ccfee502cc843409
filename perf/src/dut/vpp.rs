//! VPP with its af_xdp plug-in, if a program is named.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ze_pktgen::lab::Process;

use super::{Dut, Side, Site};

/// How long it may take to start and to read its script; a full table is most of it.
const START_TIMEOUT: Duration = Duration::from_secs(120);
const STOP_GRACE: Duration = Duration::from_secs(5);
/// What the script has it say when all is configured.
const READY: &str = "ze-perf: configured";

/// VPP.
#[derive(Debug, Default)]
pub struct Vpp {
    program: Option<PathBuf>,
    process: Option<Process>,
}

impl Vpp {
    /// By this program.
    #[must_use]
    pub fn new(program: Option<&Path>) -> Self {
        Self { program: program.map(Path::to_owned), process: None }
    }
}

impl Dut for Vpp {
    fn name(&self) -> &str {
        "vpp"
    }

    fn missing(&self) -> Option<String> {
        match &self.program {
            None => Some("no program is named (--vpp)".to_owned()),
            Some(program) if !program.is_file() => Some(format!("{} is no program", program.display())),
            Some(_) => None,
        }
    }

    fn polls(&self) -> bool {
        true
    }

    fn start(&mut self, site: &Site<'_>) -> Result<()> {
        let program = self.program.as_ref().context("no program is named")?;
        let folder = site.lab.directory();
        let (script, startup) = (folder.join("vpp.script"), folder.join("vpp.conf"));
        fs::write(&script, commands(site))?;
        fs::write(&startup, configuration(folder, &script, site.core))?;
        let mut command = Command::new("taskset");
        command.args(["-c", &site.core.to_string()]).arg(program).arg("-c").arg(&startup);
        let process = self.process.insert(site.namespace.spawn("vpp", command)?);
        process.wait_for_line(READY, START_TIMEOUT)?;
        if site.realtime {
            crate::lab::prioritize(process.pid(), "vpp_main")?;
        }
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        vec!["af_xdp plug-in, one thread, polling".to_owned()]
    }

    fn stop(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let ended = process.status()?;
        ensure!(ended.is_none(), "vpp has ended by itself: {ended:?}; its log:\n{}", process.log());
        process.stop(STOP_GRACE)?;
        Ok(())
    }
}

/// The start-up file: one thread, nothing outside the lab's folder, no devices but ours.
fn configuration(folder: &Path, script: &Path, core: usize) -> String {
    let (folder, script) = (folder.display(), script.display());
    format!(
        "unix {{ nodaemon nosyslog runtime-dir {folder}/vpp exec {script} cli-listen {folder}/vpp-cli.sock }}\n\
         api-segment {{ prefix ze-perf-{} }}\n\
         statseg {{ socket-name {folder}/vpp-stats.sock }}\n\
         cpu {{ main-core {core} }}\n\
         plugins {{ plugin default {{ disable }} plugin af_xdp_plugin.so {{ enable }} }}\n",
        std::process::id()
    )
}

fn commands(site: &Site<'_>) -> String {
    let mut text = String::new();
    for (name, side) in [("in0", site.ingress), ("out0", site.egress)] {
        text.push_str(&interface(name, side));
    }
    for net in site.routes {
        let gateway =
            if net.addr().is_ipv4() { site.egress.peer4.to_string() } else { site.egress.peer6.to_string() };
        let _ = writeln!(text, "ip route add {net} via {gateway} out0");
    }
    // The shell of the program itself writes to its standard output.
    let _ = writeln!(text, "echo {READY}");
    text
}

fn interface(name: &str, side: &Side) -> String {
    let mac = |bytes: [u8; 6]| bytes.map(|byte| format!("{byte:02x}")).join(":");
    format!(
        "create interface af_xdp host-if {} name {name} num-rx-queues 1\n\
         set interface mac address {name} {}\n\
         set interface ip address {name} {}/24\n\
         set interface ip address {name} {}/64\n\
         set interface state {name} up\n\
         set ip neighbor static {name} {} {peer}\n\
         set ip neighbor static {name} {} {peer}\n",
        side.device,
        mac(side.mac),
        side.ip4,
        side.ip6,
        side.peer4,
        side.peer6,
        peer = mac(side.peer_mac),
    )
}
