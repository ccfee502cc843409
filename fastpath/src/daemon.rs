//! The daemon itself: takes the lock, makes memory and workers, serves the API, and ends in good order.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use futures::FutureExt;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};
use ze_fib::Limits;
use ze_fib::writer::Fib;
use ze_graph::{Arena, Frame, Pages};
use ze_punt::representor::Representors;
use ze_sync::Domain;
use ze_worker::{Setup, Spawned};
use ze_xsk::Lanes;

use crate::api::Api;
use crate::args::Args;
use crate::control::{Bank, Ended, Facts, Parts, Ready};
use crate::{fdstore, instance, server};

/// How long clients may take to end their calls at an orderly stop.
const API_END_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(200);

/// Runs the daemon.
///
/// # Errors
/// When it can not start; each error says what to do about it where that is known.
pub fn run(args: &Args) -> Result<ExitCode> {
    let kept = fdstore::inherited();
    let _lock = instance::Lock::take(&args.run_dir)?;
    check_privileges()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(start(args, kept))?;
    // A blocked opener must not hold the process up.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    Ok(match ended {
        Ended::Told => ExitCode::SUCCESS,
        Ended::WorkerDied(_) | Ended::Links(_) => ExitCode::from(70),
    })
}

async fn start(args: &Args, kept: HashMap<String, OwnedFd>) -> Result<Ended> {
    let tcp = server::tcp(args).await?;
    let mut warnings = Vec::new();
    let (arena, frames) = memory(args, &mut warnings)?;
    if !ze_redirect::kernel_btf_present() {
        info!("the kernel has no BTF (/sys/kernel/btf/vmlinux); Ze does not need it");
        warnings.push("The kernel has no BTF. Ze does not need it; other BPF tools may.".into());
    }
    let representors = Representors::open(&args.punt_namespace, &args.punt_namespace)
        .await
        .context("cannot make the punt namespace")?;
    let domain = Domain::new();
    let table_bytes = args.table_memory_mib << 20;
    let fib = Fib::new(&domain, Limits { table_bytes, ..Limits::default() });
    let (frames, bank) = Bank::split(frames);
    let spawned = workers(args, &arena, frames, &fib)?;
    let instance = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64).max(1);
    let facts = Facts {
        instance,
        punt_namespace: args.punt_namespace.clone(),
        idle: args.idle,
        hash_seed: args.hash_seed(),
        warnings,
    };
    let run_dir = args.run_dir.clone();
    let lanes = lanes(args);
    let parts = Parts { facts, fib, spawned, arena, lanes, bank, kept, run_dir, representors };
    let (ready, handle) = Ready::new(parts)?;
    let socket = server::Socket::listen(&args.socket(), args.socket_group.as_deref())?;
    let (stop, told) = tokio::sync::oneshot::channel::<()>();
    let stopped = told.map(drop).shared();
    let serving = tokio::spawn(server::serve(Api::new(handle), socket, tcp, stopped));
    fdstore::ready();
    info!(pid = std::process::id(), "ze-fastpath is ready");
    let ended = ready.run(end_signal()?, args.keep_representors).await;
    let _ = stop.send(());
    // Streams of clients that do not close are cut.
    if let Ok(Ok(Err(error))) = tokio::time::timeout(API_END_TIMEOUT, serving).await {
        warn!(%error, "the API server");
    }
    let _ = std::fs::remove_file(args.socket());
    Ok(ended)
}

fn memory(args: &Args, warnings: &mut Vec<String>) -> Result<(Arc<Arena>, Vec<Frame>)> {
    let (arena, frames) = Arena::allocate(args.frames, !args.no_huge_pages).with_context(|| {
        let mib = (u64::from(args.frames) * ze_graph::CHUNK_BYTES as u64) >> 20;
        format!("cannot map {mib} MiB for {} frames (--frames)", args.frames)
    })?;
    info!(frames = args.frames, pages = %arena.pages(), "packet memory");
    if arena.pages() == Pages::Plain && !args.no_huge_pages {
        let pages = (arena.len_bytes() as u64).div_ceil(2 << 20);
        let text = format!(
            "No huge pages are free, so packet memory is on plain pages (slower by TLB misses). \
             To change that: raise vm.nr_hugepages by {pages}, then restart ze-fastpath."
        );
        warn!("{text}");
        warnings.push(text);
    }
    Ok((Arc::new(arena), frames))
}

fn workers(args: &Args, arena: &Arc<Arena>, frames: Vec<Frame>, fib: &Fib) -> Result<Spawned> {
    let cores = args.worker_cores();
    let count = cores.len() as u8;
    let seed = args.hash_seed();
    let spawned = ze_worker::spawn(Setup {
        cores,
        idle: args.idle,
        arena: Arc::clone(arena),
        frames,
        tables: fib.tables(),
        graph: Box::new(move |worker, control| {
            ze_nodes::Graph::new(ze_nodes::Config {
                worker,
                workers: count,
                hash_seed: seed,
                hertz: ze_graph::clock::hertz(),
                icmp: ze_nodes::IcmpLimits::default(),
                punt: ze_nodes::PuntRates::default(),
                control,
            })
        }),
    });
    spawned.context("cannot start the workers (--cores)")
}

/// By what busy ports send where the kernel copies; none if it is not wished, or the kernel has not what it needs.
fn lanes(args: &Args) -> Option<Arc<Lanes>> {
    if args.no_page_exchange {
        return None;
    }
    match Lanes::new(args.worker_cores().len()) {
        Ok(lanes) => Some(Arc::new(lanes)),
        Err(error) => {
            info!(%error, "no pages are exchanged");
            None
        }
    }
}

/// AF_XDP, XDP programs and network namespaces need a privileged process.
fn check_privileges() -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    bail!(
        "ze-fastpath must run as root: it attaches XDP programs, opens AF_XDP sockets and makes network namespaces"
    )
}

fn end_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                // There is no configuration to read again.
                _ = hangup.recv() => {}
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn pages_are_exchanged_unless_it_is_not_wished() {
        let args = |more: &[&str]| Args::parse_from([&["ze-fastpath", "--cores", "0"], more].concat());
        assert!(lanes(&args(&["--no-page-exchange"])).is_none());
        if !nix::unistd::geteuid().is_root() {
            return eprintln!("SKIPPED: maps of the kernel need root");
        }
        assert!(lanes(&args(&[])).is_some());
    }
}
