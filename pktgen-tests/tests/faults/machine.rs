//! What the machine gives or withholds: huge pages.

use std::fs;

use anyhow::{Context, Result, ensure};
use ze_pktgen::daemons::FastpathOptions;
use ze_pktgen::lab::wait_until;
use ze_pktgen::require_lab_with_xdp;

use crate::router::{Hosts, PATIENCE, Plan, Router};

const NR_HUGEPAGES: &str = "/proc/sys/vm/nr_hugepages";
/// 32 MiB of packet memory: 16 huge pages.
const FEW_FRAMES: &str = "16384";
const HUGE_PAGES: u64 = 16;

#[test]
fn without_huge_pages_packet_memory_is_on_plain_ones_and_only_the_unwilling_are_told() -> Result<()> {
    require_lab_with_xdp!();
    let arguments = vec!["--no-huge-pages".into()];
    let fastpath = FastpathOptions { arguments, ..FastpathOptions::default() };
    let plain = Router::start_with("nohuge", Plan { fastpath, ..Plan::default() })?;
    let info = plain.fastpath.client()?.info()?;
    ensure!(info.umem_pages == "plain pages" && info.warnings.is_empty(), "{info:?}");
    drop(plain);
    if huge_pages("HugePages_Free")? == 0 {
        let router = Router::start("wantshuge")?;
        let info = router.fastpath.client()?.info()?;
        ensure!(info.umem_pages == "plain pages", "{info:?}");
        ensure!(info.warnings.iter().any(|w| w.contains("vm.nr_hugepages")), "{info:?}");
    }
    Ok(())
}

#[test]
fn with_huge_pages_packet_memory_is_on_them_and_they_come_back_at_the_end() -> Result<()> {
    require_lab_with_xdp!();
    let arguments = vec!["--frames".into(), FEW_FRAMES.into()];
    let fastpath = FastpathOptions { arguments, ..FastpathOptions::default() };
    let hosts = Hosts::build("huge", Plan { fastpath, ..Plan::default() })?;
    let before: u64 = fs::read_to_string(NR_HUGEPAGES)?.trim().parse()?;
    // Given back with the lab, also when this test is killed.
    hosts.lab.on_cleanup(&format!("echo {before} >{NR_HUGEPAGES}"))?;
    fs::write(NR_HUGEPAGES, format!("{}", before + HUGE_PAGES)).context("reserve huge pages")?;
    let free = huge_pages("HugePages_Free")?;
    ensure!(free >= HUGE_PAGES, "the kernel has no {HUGE_PAGES} huge pages to give, but {free}");
    let router = hosts.start()?;
    router.ready()?;
    let info = router.fastpath.client()?.info()?;
    ensure!(info.umem_pages == "2 MiB huge pages" && info.warnings.is_empty(), "{info:?}");
    ensure!(huge_pages("HugePages_Free")? + HUGE_PAGES <= free, "packet memory is in the reserved pages");
    router.nothing_is_lost()?;
    drop(router);
    let as_before = || huge_pages("HugePages_Total").is_ok_and(|total| total == before);
    Ok(wait_until(PATIENCE, "as many reserved pages as before", as_before)?)
}

/// A line of the kernel's account of memory.
fn huge_pages(name: &str) -> Result<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(line.context("the kernel knows huge pages")?.trim().parse()?)
}
