//! A small XDP program that asks the kernel's tables: `src/bpf/xdp_fib.bpf.c`.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result};
use libbpf_rs::ObjectBuilder;
use nix::net::if_::if_nametoindex;

use super::{Dut, Site, kernel};

/// Its name in the object file and in the kernel.
const PROGRAM: &str = "ze_xdp_fib";

static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/xdp_fib.bpf.o")));

/// ELF structures are read in place.
#[repr(C, align(8))]
struct Aligned<B: ?Sized>(B);

/// `bpf_fib_lookup` and `bpf_redirect`.
#[derive(Debug, Default)]
pub struct XdpFib {
    /// The programs stay attached for as long as these are open.
    links: Vec<OwnedFd>,
}

impl Dut for XdpFib {
    fn name(&self) -> &str {
        "xdp-fib"
    }

    fn start(&mut self, site: &Site<'_>) -> Result<()> {
        kernel::forward(site)?;
        // On the way out too: a veth whose peer is to be redirected to needs NAPI, and so does what answers.
        for side in [site.ingress, site.egress] {
            let link = site.namespace.run(|| attach(&side.device))?;
            self.links.push(link.with_context(|| format!("XDP on {}", side.device))?);
        }
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        vec![
            "XDP in the driver: bpf_fib_lookup and bpf_redirect on the kernel's tables; no header checksum, no counters"
                .to_owned(),
        ]
    }

    fn stop(&mut self) -> Result<()> {
        self.links.clear();
        Ok(())
    }
}

/// In the network namespace of the calling thread.
fn attach(device: &str) -> Result<OwnedFd> {
    let index = if_nametoindex(device)?;
    let object = ObjectBuilder::default().open_memory(&OBJECT.0)?.load()?;
    let program =
        object.progs_mut().find(|program| program.name() == PROGRAM).context("the object has no program")?;
    let link = program.attach_xdp(i32::try_from(index)?)?;
    Ok(link.as_fd().try_clone_to_owned()?)
}
