//! What this machine tells: kernel, BPF, huge pages, limits, clock.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use ze_proto::v1::Info;
use ze_tui::units;

use super::{Finding, Severity};

/// bpf_link for XDP came with 5.9, one UMEM over several devices with 5.10.
const KERNEL_OLDEST: (u32, u32) = (5, 10);
/// CAP_IPC_LOCK, capability.h: packet memory of its holder is not counted against the limit.
const CAP_IPC_LOCK: u32 = 14;

/// Facts about the machine, and about the daemon as a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Text of the kernel's release.
    pub kernel: String,
    /// Does the kernel describe its types?
    pub btf: bool,
    /// 0 off, 1 on, 2 on with debugging; none when it can not be read.
    pub bpf_jit: Option<u32>,
    /// Huge pages of the default size: how many.
    pub huge_pages: u64,
    /// How many of them are free.
    pub huge_pages_free: u64,
    /// Size of one, bytes.
    pub huge_page_bytes: u64,
    /// Processors that are there.
    pub processors: usize,
    /// The kernel's clock source: "tsc" when the TSC is trusted.
    pub clock_source: String,
    /// The daemon's limit of locked memory, bytes; none when unlimited or unknown.
    pub locked_memory_bytes: Option<u64>,
    /// The daemon's effective capabilities; none when unknown.
    pub capabilities: Option<u64>,
    /// Are this command and the daemon in the same network namespace? None when unknown.
    pub same_network: Option<bool>,
}

impl Machine {
    /// Reads them below `root`; those of the process `pid` when there is one.
    pub fn read(root: &Path, pid: Option<u32>) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        let memory = text("proc/meminfo");
        let process = pid.map(|pid| root.join("proc").join(pid.to_string()));
        let of_process = |name: &str| {
            let path: Option<PathBuf> = process.as_ref().map(|p| p.join(name));
            path.and_then(|p| fs::read_to_string(p).ok()).unwrap_or_default()
        };
        let network = |process: &Path| fs::read_link(process.join("ns/net")).ok();
        let theirs = process.as_deref().and_then(network);
        Self {
            kernel: text("proc/sys/kernel/osrelease").trim().to_owned(),
            btf: root.join("sys/kernel/btf/vmlinux").exists(),
            bpf_jit: text("proc/sys/net/core/bpf_jit_enable").trim().parse().ok(),
            huge_pages: field(&memory, "HugePages_Total:"),
            huge_pages_free: field(&memory, "HugePages_Free:"),
            huge_page_bytes: field(&memory, "Hugepagesize:") * 1024,
            processors: text("proc/cpuinfo").lines().filter(|l| l.starts_with("processor")).count(),
            clock_source: text("sys/devices/system/clocksource/clocksource0/current_clocksource")
                .trim()
                .to_owned(),
            locked_memory_bytes: locked_memory(&of_process("limits")),
            capabilities: capabilities(&of_process("status")),
            same_network: theirs.zip(network(&root.join("proc/self"))).map(|(theirs, ours)| theirs == ours),
        }
    }

    /// What the facts mean; `info` is the daemon's, when it answers.
    pub fn findings(&self, info: Option<&Info>) -> Vec<Finding> {
        let mut findings = vec![
            self.kernel_finding(),
            self.btf_finding(),
            self.jit_finding(),
            self.huge_pages_finding(info),
        ];
        findings.extend(info.and_then(|info| self.memory_finding(info)));
        findings.extend(info.map(|info| self.cores_finding(info)));
        findings.extend(self.clock_finding());
        findings
    }

    fn kernel_finding(&self) -> Finding {
        let mut numbers = self.kernel.split(['.', '-']).map_while(|n| n.parse().ok());
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if version >= KERNEL_OLDEST {
            return Finding::ok("kernel", format!("Linux {}.", self.kernel));
        }
        Finding::new(
            Severity::Error,
            "kernel",
            format!("Linux {} is too old: AF_XDP with shared packet memory needs 5.10.", self.kernel),
            "Install a newer kernel; 6.1 or later is best.",
        )
    }

    fn btf_finding(&self) -> Finding {
        match self.btf {
            true => Finding::ok("btf", "The kernel describes its types (BTF)."),
            false => Finding::new(
                Severity::Warning,
                "btf",
                "The kernel has no BTF (/sys/kernel/btf/vmlinux); BPF programs can not adapt to it.",
                "Use a kernel with CONFIG_DEBUG_INFO_BTF=y, as every distribution's kernel has been since 2021.",
            ),
        }
    }

    fn jit_finding(&self) -> Finding {
        match self.bpf_jit {
            Some(0) => Finding::new(
                Severity::Warning,
                "bpf_jit",
                "The BPF JIT is off: the XDP program is interpreted, several times slower for every frame.",
                "sysctl -w net.core.bpf_jit_enable=1",
            ),
            Some(2) => Finding::new(
                Severity::Note,
                "bpf_jit",
                "The BPF JIT writes its code to the kernel log, for debugging.",
                "sysctl -w net.core.bpf_jit_enable=1",
            ),
            Some(_) => Finding::ok("bpf_jit", "The BPF JIT is on."),
            // Without the file the kernel is built with the JIT always on, or we may not look.
            None => Finding::ok("bpf_jit", "The BPF JIT can not be turned off here."),
        }
    }

    fn huge_pages_finding(&self, info: Option<&Info>) -> Finding {
        if let Some(info) = info.filter(|info| info.umem_pages.contains("huge")) {
            return Finding::ok("huge_pages", format!("Packet memory is in {}.", info.umem_pages));
        }
        let size = units::bytes(self.huge_page_bytes);
        let wanted = info.map_or(0, |info| info.umem_bytes.div_ceil(self.huge_page_bytes.max(1)));
        let advice = match wanted {
            0 => "sysctl -w vm.nr_hugepages=64, best at boot.".to_owned(),
            n => format!(
                "sysctl -w vm.nr_hugepages={} and restart ze-fastpath; best set at boot.",
                self.huge_pages + n
            ),
        };
        match (info, self.huge_pages_free) {
            (None, free) if free > 0 => {
                Finding::ok("huge_pages", format!("{free} huge pages of {size} are free."))
            }
            (_, free) => Finding::new(
                Severity::Warning,
                "huge_pages",
                format!(
                    "Packet memory {} in plain pages: the CPU misses its TLB more often. {free} of {} huge pages of {size} are free.",
                    if info.is_some() { "is" } else { "would be" },
                    self.huge_pages
                ),
                advice,
            ),
        }
    }

    fn memory_finding(&self, info: &Info) -> Option<Finding> {
        let exempt = self.capabilities? >> CAP_IPC_LOCK & 1 == 1;
        let limit = self.locked_memory_bytes.filter(|limit| !exempt && *limit < info.umem_bytes);
        Some(match limit {
            None => Finding::ok("memlock", "ze-fastpath may lock the memory that it needs."),
            Some(limit) => Finding::new(
                Severity::Warning,
                "memlock",
                format!(
                    "ze-fastpath may lock {} but has {} of packet memory, and lacks CAP_IPC_LOCK: new sockets will fail.",
                    units::bytes(limit),
                    units::bytes(info.umem_bytes)
                ),
                "Set LimitMEMLOCK=infinity in its unit, or give it CAP_IPC_LOCK.",
            ),
        })
    }

    fn cores_finding(&self, info: &Info) -> Finding {
        let (workers, processors) = (info.worker_cores.len(), self.processors);
        if processors > 0 && workers >= processors {
            return Finding::new(
                Severity::Note,
                "cores",
                format!(
                    "{workers} workers on {processors} cores leave none to the kernel and to the protocols."
                ),
                "Give the workers one core less if latency matters.",
            );
        }
        Finding::ok("cores", format!("{workers} workers on {processors} cores."))
    }

    fn clock_finding(&self) -> Option<Finding> {
        match self.clock_source.as_str() {
            "" => None,
            "tsc" => Some(Finding::ok("clock", "The kernel trusts the TSC.")),
            other => Some(Finding::new(
                Severity::Note,
                "clock",
                format!(
                    "The kernel's clock is '{other}', not the TSC: in a virtual machine that is usual, on hardware it means that the TSC is unstable and cycle counts are wrong."
                ),
                "On hardware: `dmesg | grep -i tsc` says why.",
            )),
        }
    }
}

/// Who may talk to the daemon.
pub fn socket_findings(socket: &Path) -> Option<Finding> {
    let metadata = fs::metadata(socket).ok().filter(|m| m.file_type().is_socket())?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o002 == 0 {
        return Some(Finding::ok("socket", format!("{} has mode {mode:03o}.", socket.display())));
    }
    Some(Finding::new(
        Severity::Warning,
        "socket",
        format!(
            "{} has mode {mode:03o}: every user of this machine may change the router.",
            socket.display()
        ),
        format!("chmod 660 {} and use its group.", socket.display()),
    ))
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// The soft limit in /proc/PID/limits.
fn locked_memory(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn capabilities(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}
