//! The command line.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ze_proto::endpoint::{Address, DEFAULT_SOCKET, Tcp};

use crate::error::Error;

/// ze: operates the Ze router.
#[derive(Debug, Parser)]
#[command(
    name = "ze",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  ze show interfaces              what there is, and its counters
  ze show routes -6 --vrf blue    IPv6 routes of a VRF
  ze trace icmp and host 10.0.0.1 follow the next packets through every node
  ze top                          live screen
  ze doctor                       what is wrong, and what to do
  ze -o json show drops | jq .    for scripts

JSON (-o json): one document, or one a line from --watch, trace and top. Names are
snake_case and end in their unit (rx_packets, age_ms); addresses are text; null is
\"unknown\". Errors are {\"error\": ..., \"hint\": ...} on standard error.

Exit codes: 0 done, 1 failed, 2 wrong command line."
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Unix socket of ze-fastpath
    #[arg(long, global = true, env = "ZE_SOCKET", value_name = "PATH", default_value = DEFAULT_SOCKET)]
    pub socket: PathBuf,
    /// Reach ze-fastpath over TCP instead, with certificates: needs the three TLS options
    #[arg(id = "remote", long = "address", global = true, env = "ZE_ADDRESS", value_name = "HOST:PORT")]
    pub remote: Option<String>,
    /// Authority of the daemon's certificate, PEM
    #[arg(long, global = true, env = "ZE_TLS_CA", value_name = "FILE", hide_env_values = true)]
    pub tls_ca: Option<PathBuf>,
    /// Our certificate, PEM
    #[arg(long, global = true, env = "ZE_TLS_CERT", value_name = "FILE", hide_env_values = true)]
    pub tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, global = true, env = "ZE_TLS_KEY", value_name = "FILE", hide_env_values = true)]
    pub tls_key: Option<PathBuf>,
    /// Form of the output: table, or json, which is stable for scripts, errors included
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub output: Format,
    /// Colours: always, never, or auto: when it is a terminal and NO_COLOR is not set
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub color: Color,
}

impl Global {
    /// Where the daemon is.
    ///
    /// # Errors
    /// When a TLS option is missing or names a file that can not be read.
    pub fn daemon(&self) -> Result<Address, Error> {
        let Some(address) = &self.remote else {
            return Ok(Address::Socket(self.socket.clone()));
        };
        let read = |file: &Option<PathBuf>, option: &str| {
            let path = file.as_ref().ok_or_else(|| Error::Usage(format!("--address needs {option} too")))?;
            fs::read(path).map_err(|e| Error::new(format!("cannot read {}: {e}", path.display()), ""))
        };
        let authority = read(&self.tls_ca, "--tls-ca")?;
        let certificate = read(&self.tls_cert, "--tls-cert")?;
        let key = read(&self.tls_key, "--tls-key")?;
        Ok(Address::Tcp(Box::new(Tcp { address: address.clone(), authority, certificate, key })))
    }
}

/// Form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// When the output is a terminal and NO_COLOR is not set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what the router has and does
    #[command(after_help = "Examples:
  ze show interfaces -w 2         every two seconds, with rates
  ze show route 192.0.2.7         the way a destination takes
  ze show route 192.0.2.7 --from 10.0.0.1 --protocol tcp --source-port 40000 --destination-port 443
  ze show fib audit               is everything where it should be?
  ze show drops --all             every reason there is
  ze -o json show workers | jq '.[].idle_share'")]
    Show(ShowArgs),
    /// Follow the next packets through every node of the graph
    Trace(TraceArgs),
    /// Forget what was learned
    #[command(after_help = "Examples:
  ze clear neighbors                          every learned one
  ze clear neighbors --interface lan0
  ze clear neighbors 10.0.0.7

Static neighbours stay. Packets to a forgotten one wait until it is resolved again.")]
    Clear(ClearArgs),
    /// Live screen: workers, nodes, ports, drops, interfaces
    #[command(after_help = "Examples:
  ze top
  ze top --view drops --interval 0.5
  ze top --once > page.txt        one page as text
  ze -o json top                  rates as one JSON document a line")]
    Top(TopArgs),
    /// Look for what is wrong with the router and this machine, and say what to do
    #[command(after_help = "Examples:
  ze doctor
  ze doctor --all                 also what is right
  ze -o json doctor | jq '.findings[] | select(.severity == \"error\")'

Exit code 1 when there is an error among the findings.")]
    Doctor(DoctorArgs),
    /// Build a small network of namespaces, route real traffic through Ze, and report
    #[command(after_help = "Examples:
  ze demo                         as root: hosts, router, ping, traceroute, 1 GB each way, a summary
  ze demo --keep                  leaves it running and says how to watch it
  ze demo --quick                 smaller transfers
  ze -o json demo > demo.json

Nothing is left behind, also after Ctrl-C. Needs root, ip, ethtool and tc, and the daemons beside ze.")]
    Demo(DemoArgs),
    /// Print a completion script for a shell
    #[command(after_help = "Examples:
  ze completions bash > /etc/bash_completion.d/ze
  ze completions zsh > /usr/local/share/zsh/site-functions/_ze")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Arguments of `demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Leave the network running
    #[arg(long)]
    pub keep: bool,
    /// Smaller transfers, each measured once
    #[arg(long)]
    pub quick: bool,
    /// Bytes of each measured transfer
    #[arg(long, value_name = "BYTES")]
    pub bytes: Option<u64>,
    /// Directory of ze-fastpath and ze-slowpath. [default: beside ze]
    #[arg(long, value_name = "DIR", env = "ZE_BIN_DIR")]
    pub bin_dir: Option<std::path::PathBuf>,
    /// Load routes from FILE (a prefix and a number a line, plain or zstd) while packets flow
    #[arg(long, value_name = "FILE")]
    pub routes: Option<std::path::PathBuf>,
    /// No progress on standard error
    #[arg(long)]
    pub quiet: bool,
    /// What ze-fastpath's workers do when idle: busy, adaptive, interrupt
    #[arg(long, value_name = "MODE")]
    pub idle: Option<String>,
}

/// Arguments of `show`.
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// What to show.
    #[command(subcommand)]
    pub what: Show,
    /// Show again every so many seconds, until interrupted
    #[arg(short, long, global = true, value_name = "SECONDS", value_parser = seconds)]
    pub watch: Option<Duration>,
}

/// What to show.
#[derive(Clone, Debug, Subcommand)]
pub enum Show {
    /// Interfaces: state, addresses, counters; with --watch, rates
    #[command(visible_alias = "interface")]
    Interfaces {
        /// Only this one
        name: Option<String>,
    },
    /// Ports: device, state, driver, XDP modes
    #[command(visible_alias = "port")]
    Ports {
        /// Also representors, and every counter of the XDP program
        #[arg(long)]
        all: bool,
    },
    /// Routes in the order of their prefixes; * marks those in force
    Routes(RoutesArgs),
    /// The route that a destination takes; with --from, the nexthop that the flow takes
    Route(RouteArgs),
    /// Who programs the tables and how far behind it is; `fib audit` compares both sides and heals
    Fib {
        /// `audit`: compare now
        what: Option<FibWhat>,
    },
    /// Neighbours (ARP and ND) and their state
    #[command(visible_aliases = ["neighbours", "neighbor", "arp", "nd"])]
    Neighbors {
        /// Only on this interface
        #[arg(long, value_name = "NAME")]
        interface: Option<String>,
    },
    /// Workers: rates, batch fill, cycles, idle share, queues and ring levels
    #[command(visible_alias = "worker")]
    Workers,
    /// Counters of every node, and the conservation law
    Counters {
        /// Only of this worker
        #[arg(long, value_name = "NUMBER")]
        worker: Option<u32>,
    },
    /// Dropped packets: reason, meaning, port, worker
    #[command(visible_alias = "drop")]
    Drops {
        /// Also reasons that never happened
        #[arg(long)]
        all: bool,
    },
    /// Punted packets: class, policer
    #[command(visible_alias = "punt")]
    Punts {
        /// Also classes that never happened
        #[arg(long)]
        all: bool,
    },
    /// VRFs: routes and memory
    #[command(visible_alias = "vrf")]
    Vrfs,
    /// Versions of this command and of the daemon, and how it runs
    Version,
    /// The same as `ze trace`
    Trace(TraceArgs),
}

/// What of the FIB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FibWhat {
    /// Compare lookups with the books, and the books with what owners want; heal what differs.
    Audit,
}

/// Arguments of `show route`.
#[derive(Clone, Debug, Args)]
pub struct RouteArgs {
    /// Destination
    pub address: IpAddr,
    /// VRF to look in
    #[arg(long, default_value = "default", value_name = "NAME")]
    pub vrf: String,
    /// Source of the flow
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<IpAddr>,
    /// Protocol of the flow: tcp, udp, icmp, or its number
    #[arg(long, value_name = "PROTOCOL", default_value = "udp", requires = "from", value_parser = protocol)]
    pub protocol: u8,
    /// Source port of the flow
    #[arg(long, value_name = "PORT", default_value_t = 0, requires = "from")]
    pub source_port: u16,
    /// Destination port of the flow
    #[arg(long, value_name = "PORT", default_value_t = 0, requires = "from")]
    pub destination_port: u16,
}

fn protocol(text: &str) -> Result<u8, String> {
    match text {
        "icmp" => Ok(1),
        "tcp" => Ok(6),
        "udp" => Ok(17),
        "icmp6" | "icmpv6" => Ok(58),
        number => number.parse().map_err(|_| "not tcp, udp, icmp, icmp6 or a protocol's number".to_owned()),
    }
}

/// Arguments of `show routes`.
#[derive(Clone, Debug, Default, Args)]
pub struct RoutesArgs {
    /// Only this VRF
    #[arg(long, value_name = "NAME")]
    pub vrf: Option<String>,
    /// Only IPv4
    #[arg(short = '4', conflicts_with = "ip6")]
    pub ip4: bool,
    /// Only IPv6
    #[arg(short = '6')]
    pub ip6: bool,
    /// Only routes of this owner
    #[arg(long, value_name = "NAME")]
    pub owner: Option<String>,
}

/// Arguments of `trace`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Filter words, joined by `and` (or nothing), each at most once:
  ip ip6 arp tcp udp icmp icmp6   proto N   vlan N
  src PREFIX   dst PREFIX   host PREFIX   sport N   dport N   port N

Examples:
  ze trace                                    the next 10 packets, whatever they are
  ze trace icmp and host 10.0.0.1
  ze trace -c 1 --verbose tcp dport 179       with every header and bytes at every node
  ze trace --timeout 60 src 2001:db8::/32
  ze -o json trace -c 100 udp | jq -c 'select(.reason)'")]
pub struct TraceArgs {
    /// Which packets; nothing is all
    #[arg(value_name = "FILTER", allow_hyphen_values = false)]
    pub filter: Vec<String>,
    /// Packets to follow
    #[arg(short, long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    pub count: u32,
    /// Seconds to wait for them
    #[arg(long, default_value = "10", value_parser = seconds, value_name = "SECONDS")]
    pub timeout: Duration,
    /// Headers at every node, changed or not, and the bytes
    #[arg(short, long)]
    pub verbose: bool,
}

/// Arguments of `clear`.
#[derive(Clone, Debug, Args)]
pub struct ClearArgs {
    /// What to forget.
    #[command(subcommand)]
    pub what: Clear,
}

/// What to forget.
#[derive(Clone, Debug, Subcommand)]
pub enum Clear {
    /// Learned neighbours
    #[command(visible_alias = "neighbours")]
    Neighbors {
        /// Only this address
        address: Option<IpAddr>,
        /// Only on this interface
        #[arg(long, value_name = "NAME")]
        interface: Option<String>,
    },
}

/// Arguments of `top`.
#[derive(Clone, Debug, Args)]
pub struct TopArgs {
    /// Seconds between samples
    #[arg(short, long, default_value = "1", value_parser = seconds, value_name = "SECONDS")]
    pub interval: Duration,
    /// What to show at first: workers, nodes, ports, drops or interfaces
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub view: TopView,
    /// One page as text instead of the live screen
    #[arg(long)]
    pub once: bool,
}

/// Views of the live screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TopView {
    /// A line and a card for each worker
    #[default]
    Workers,
    /// Nodes by cycles
    Nodes,
    /// Ports and queues
    Ports,
    /// Drops by reason
    Drops,
    /// Interfaces
    Interfaces,
}

/// Arguments of `doctor`.
#[derive(Clone, Copy, Debug, Args)]
pub struct DoctorArgs {
    /// Also what is right
    #[arg(long)]
    pub all: bool,
}

/// Seconds, fractions allowed, within what the daemon takes as an interval and a trace as a timeout.
fn seconds(text: &str) -> Result<Duration, String> {
    let s: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if !(0.1..=3600.0).contains(&s) {
        return Err("0.1 to 3600 seconds are possible".to_owned());
    }
    Ok(Duration::from_secs_f64(s))
}
