//! DPDK's programs: where they are, how they are started, what they tell of themselves.

mod build;
mod forwarders;
pub(crate) mod l3fwd;
mod telemetry;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs};

pub use forwarders::{L3fwd, Testpmd};

pub(crate) use build::l3fwd_program;
pub(crate) use telemetry::Telemetry;

/// Memory of a program, MiB: packets, and tables of l3fwd.
const MEMORY_MIB: u64 = 1024;
/// The size of a huge page that is looked for.
const HUGE_PAGE_MIB: u64 = 2;

/// Where testpmd is.
pub(crate) fn testpmd_program() -> Result<PathBuf, String> {
    on_path("dpdk-testpmd")
        .ok_or_else(|| "there is no dpdk-testpmd (Debian: apt install dpdk-dev)".to_owned())
}

/// Is a driver there as a plug-in?
pub(crate) fn has_driver(name: &str) -> bool {
    let file = format!("librte_{name}.so");
    let libraries = ["/usr/lib", "/usr/local/lib"].into_iter().map(Path::new);
    let machines = libraries.flat_map(|root| folders(root).into_iter().chain([root.to_owned()]));
    machines.flat_map(|machine| folders(&machine.join("dpdk"))).any(|plugins| plugins.join(&file).exists())
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path: OsString = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Does the machine have enough huge pages for a program?
pub(crate) fn has_huge_pages() -> bool {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = text.lines().find_map(|line| line.strip_prefix("HugePages_Free:"));
    free.and_then(|count| count.trim().parse::<u64>().ok())
        .is_some_and(|count| count * HUGE_PAGE_MIB >= MEMORY_MIB)
}

/// How its memory is told in a report.
pub(crate) fn memory_note() -> &'static str {
    if has_huge_pages() { "huge pages" } else { "plain pages (too few huge ones are reserved)" }
}

/// Options of the environment: logical cores on one real one, virtual devices, and nothing of the machine's own.
pub(crate) fn environment(prefix: &str, lcores: usize, core: usize, devices: &[String]) -> Vec<String> {
    let lcores: Vec<_> = (0..lcores).map(|lcore| format!("{lcore}@{core}")).collect();
    let mut all = vec![
        format!("--lcores={}", lcores.join(",")),
        "--no-pci".to_owned(),
        format!("--file-prefix={prefix}"),
        "-m".to_owned(),
        MEMORY_MIB.to_string(),
    ];
    if !has_huge_pages() {
        all.push("--no-huge".to_owned());
    }
    all.extend(devices.iter().flat_map(|device| ["--vdev".to_owned(), device.clone()]));
    all.push("--".to_owned());
    all
}

/// Where a program with this prefix has its sockets.
pub(crate) fn runtime_directory(prefix: &str) -> PathBuf {
    Path::new("/var/run/dpdk").join(prefix)
}
