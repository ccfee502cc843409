//! The command line of `ze-fastpath`.

use std::path::PathBuf;

use clap::Parser;
use ze_worker::IdleMode;

/// The least of [`Args::frames`]: one port with one queue, and its representor.
pub const FRAMES_MIN: u32 = 4096;
/// The most of [`Args::frames`]: 8 GiB.
pub const FRAMES_MAX: u32 = 4_194_304;

/// The forwarding daemon of Ze: pinned workers poll AF_XDP rings and forward IPv4 and IPv6.
///
/// It has no configuration of its own: ze-slowpath, or any client of the API, tells it what to forward. Runs as
/// root. Unless systemd keeps its file descriptors, a supervisor process restarts it when it dies; until then the
/// XDP programs stay attached and drop, so that nothing leaks into the kernel's own forwarding.
#[derive(Clone, Debug, Parser)]
#[command(name = "ze-fastpath", version, max_term_width = 110)]
pub struct Args {
    /// Cores to pin workers to, one worker each, as in 1 or 2,3. [default: the last core]
    #[arg(long, value_delimiter = ',', value_name = "CORES")]
    pub cores: Vec<usize>,

    /// What workers do when idle: busy, adaptive, adaptive:MICROSECONDSus, or interrupt.
    #[arg(long, default_value_t = IdleMode::DEFAULT, value_name = "MODE")]
    pub idle: IdleMode,

    /// Frames of 2 KiB for all workers together.
    #[arg(long, default_value_t = 32768, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(i64::from(FRAMES_MIN)..=i64::from(FRAMES_MAX)))]
    pub frames: u32,

    /// MiB that the routes of one VRF and family may take; what would exceed them is refused.
    #[arg(long, default_value_t = 1024, value_name = "MIB", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=65536))]
    pub table_memory_mib: usize,

    /// Decides which flow takes which member of a nexthop group. Routers in a row must differ in it, or the second
    /// one finds all its flows in one place. [default: made of /etc/machine-id]
    #[arg(long, value_name = "NUMBER")]
    pub hash_seed: Option<u64>,

    /// Do not use huge pages even if there are some.
    #[arg(long)]
    pub no_huge_pages: bool,

    /// Do not exchange pages: on devices where the kernel copies, a busy port otherwise sends in the pages that its
    /// frames came in, without a system call, which delays a frame by up to 100 us, at worst 500.
    #[arg(long)]
    pub no_page_exchange: bool,

    /// Directory for the API socket, the lock and such.
    #[arg(long, default_value = "/run/ze", value_name = "DIR")]
    pub run_dir: PathBuf,

    /// The API's Unix socket. [default: RUN_DIR/fastpath.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// Group that may use the API socket, besides root. [default: ze, if there is such a group]
    #[arg(long, value_name = "NAME")]
    pub socket_group: Option<String>,

    /// Serve the API on TCP too. Needs the three TLS options: clients must show a certificate.
    #[arg(long, value_name = "ADDRESS:PORT", requires_all = ["tls_cert", "tls_key", "tls_client_ca"])]
    pub listen: Option<std::net::SocketAddr>,

    /// Certificate of the TCP API server, PEM.
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// Its private key, PEM.
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Certificate authority that clients' certificates must come from, PEM.
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,

    /// Name of the punt network namespace; that of VRF "blue" is NAME-blue.
    #[arg(long, default_value = "ze", value_name = "NAME")]
    pub punt_namespace: String,

    /// Leave representors and punt namespaces in place at an orderly stop, for a restart that keeps connections.
    #[arg(long)]
    pub keep_representors: bool,

    /// Run in this process, without a supervisor (as under systemd with FileDescriptorStoreMax).
    #[arg(long)]
    pub no_supervisor: bool,

    /// What to log: error, warn, info, debug, trace, or directives as in ze_punt=debug.
    #[arg(long, default_value = "info", value_name = "FILTER", env = "ZE_LOG")]
    pub log: String,
}

impl Args {
    /// Where the API's Unix socket is.
    pub fn socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| self.run_dir.join("fastpath.sock"))
    }

    /// The seed of the flow hash: that given, or one that this machine has at every start, or if it has none, the
    /// time.
    pub fn hash_seed(&self) -> u64 {
        let machine = || std::fs::read("/etc/machine-id").ok().filter(|id| !id.is_empty());
        let told = self.hash_seed.map(|seed| fnv1a64(&seed.to_le_bytes()));
        told.unwrap_or_else(|| match machine() {
            Some(id) => fnv1a64(&id),
            None => std::time::UNIX_EPOCH.elapsed().map_or(1, |d| d.as_nanos() as u64),
        })
    }

    /// The cores to use: those named, or the last one this process may use.
    pub fn worker_cores(&self) -> Vec<usize> {
        if !self.cores.is_empty() {
            return self.cores.clone();
        }
        let all = core_affinity::get_core_ids().unwrap_or_default();
        all.iter().map(|core| core.id).max().into_iter().collect()
    }
}

/// FNV-1a, 64 bits (draft-eastlake-fnv §4).
fn fnv1a64(bytes: &[u8]) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Args, String> {
        Args::try_parse_from(std::iter::once(&"ze-fastpath").chain(words)).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_are_those_of_the_help() {
        let args = parse(&[]).unwrap();
        assert_eq!(args.socket(), PathBuf::from("/run/ze/fastpath.sock"));
        assert_eq!(args.worker_cores().len(), 1);
        assert_eq!(args.idle, IdleMode::DEFAULT);
    }

    #[test]
    fn tcp_without_mutual_tls_is_refused() {
        let refused = parse(&["--listen", "127.0.0.1:7000"]).unwrap_err();
        assert!(refused.contains("--tls-client-ca"), "{refused}");
        let two = ["--listen", "127.0.0.1:7000", "--tls-cert", "c", "--tls-key", "k"];
        assert!(parse(&two).is_err());
        assert!(parse(&[&two[..], &["--tls-client-ca", "a"]].concat()).is_ok());
    }

    #[test]
    fn the_flow_hash_is_seeded_as_told_and_by_default_the_same_at_every_start() {
        let told = |seed| parse(&["--hash-seed", seed]).unwrap().hash_seed();
        assert!(told("7") == told("7") && told("7") != told("8"));
        if std::path::Path::new("/etc/machine-id").exists() {
            assert_eq!(parse(&[]).unwrap().hash_seed(), parse(&[]).unwrap().hash_seed());
        }
    }

    #[test]
    fn bad_values_are_refused() {
        for bad in [["--idle", "lazy"], ["--frames", "12"], ["--cores", "x"]] {
            assert!(parse(&bad).is_err(), "{bad:?}");
        }
        assert_eq!(parse(&["--cores", "2,3"]).unwrap().worker_cores(), [2, 3]);
    }
}
