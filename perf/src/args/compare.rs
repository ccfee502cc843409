//! Options of `ze-perf compare`.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use ze_pktgen::traffic::Sizes;

use super::values::{IpVersion, within};
use super::{choose_cores, conflict};
use crate::dut::DutKind;
use crate::lab::{Cores, GeneratorKind, Placement, SinkKind};
use crate::pipeline::routes::{SYNTHETIC_MAX, Source};

pub(super) const COMPARE_HELP: &str = "\
Every forwarder in turn stands between the same two cables (veth) in network namespaces of its own, and is taken away \
again; then the next round begins: A B C A B C. The generator has one core, the forwarder the other: its threads and \
its soft interrupts are confined to it, and kernel threads that may run elsewhere are kept off it meanwhile. The generator is a program in the kernel that makes packets in pages, as a \
network card's driver hands them up (--generator). The sink counts on the generator's core (--sink). \
The control has no forwarder, only a cable: what it gives is the most that generator and sink can with pages. A forwarder \
that sends socket buffers is more work for the sink.

In each round a forwarder is first offered a trickle, which must arrive; then as much as the generator can (overload); \
then its throughput is searched for, after MLRsearch (RFC 9971), to 2 %: the highest load at which, in one of five \
trials at least, all of it is offered and no more than --loss gets lost. What a machine does besides only adds loss, and the host of a virtual \
machine that takes its cores away for milliseconds adds more than --loss to most trials of any load. A forwarder's own \
stalls are seen if they come in each trial; `ze-perf lab` searches with other goals. \
What a forwarder needs and the machine lacks is told, and the forwarder skipped. Where it runs is up to the \
machine: nothing of it is left when ze-perf has ended, also after Ctrl-C.

Fields of --json:
  scenario, parameters   \"compare\"; what was measured
  forwarders             name, mpps and overload_mpps (min, median, max of the rounds), of_kernel (throughput as a share
                         of the kernel's in the same run), noise, notes (how it ran), skipped or failed (why), and
                         rounds: mpps, overload_mpps, cores (before and after: round_trip_ns, how long a line of cache takes
                         from one to the other and back; speed_beside, how fast one computes while the other does,
                         as a share of its speed alone), and trials: asked_pps, offered_pps, received_pps, loss_ratio
  places                 rounds by where the cores were: cores (near, far: a line takes over three times as long as in the
                         nearest round; siblings: threads of one core; moved during the round), round_trip_ns, and
                         forwarders: name, rounds, mpps, overload_mpps (medians), of_kernel
  warnings               what makes a figure doubtful: above all, where the tester was the limit
  machine, interrupted, kind, taken_at   as of `ze-perf pipeline`";

/// Options of `ze-perf compare`, as typed.
#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// Forwarders, in this order; the control (none) is always there [default: all]
    #[arg(long, value_enum, value_name = "NAME,…", value_delimiter = ',')]
    dut: Vec<DutKind>,
    /// IPv4 or IPv6
    #[arg(long, value_enum, default_value_t = IpVersion::Ip4)]
    family: IpVersion,
    /// Routes: 1 is 198.18.0.0/15 or 2001:2::/48, more are synthetic [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(SYNTHETIC_MAX)))]
    routes: Option<u32>,
    /// Routes from a file, `PREFIX NEXTHOP-NUMBER` a line, as text or compressed by zstd; all lead to the sink
    #[arg(long, value_name = "FILE", conflicts_with = "routes")]
    table: Option<PathBuf>,
    /// Flows: random destinations of the routes, pseudo-random ports (RFC 4814)
    #[arg(long, value_name = "N", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    flows: u32,
    /// Bytes of a frame with its FCS (IPv6: 78 at least), or `imix`
    #[arg(long, value_name = "BYTES|imix")]
    size: Option<String>,
    /// How much of what is offered may get lost, percent
    #[arg(long, value_name = "PERCENT", default_value = "0.5", value_parser = within(0.0, 50.0))]
    loss: f64,
    /// How long each trial lasts
    #[arg(long, value_name = "S", default_value = "0.25", value_parser = within(0.05, 60.0))]
    seconds: f64,
    /// Rounds
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Rules of kernel-nft
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rules: u32,
    /// A vpp to compare with
    #[arg(long, value_name = "PROGRAM")]
    vpp: Option<PathBuf>,
    /// How packets are made [default: live-frames; af-xdp for imix]
    #[arg(long, value_enum)]
    generator: Option<GeneratorKind>,
    /// How packets are counted
    #[arg(long, value_enum, default_value_t = SinkKind::Count)]
    sink: SinkKind,
    /// The core of generator and sink
    #[arg(long, value_name = "N", default_value_t = 0)]
    tester_core: usize,
    /// The core of the forwarder
    #[arg(long, value_name = "N", default_value_t = 1)]
    dut_core: usize,
    /// Whose core does a device's receiving
    #[arg(long, value_enum, default_value_t = Placement::Confined)]
    placement: Placement,
    /// How long a device waits after it has received for more, microseconds; 0 is as veth does by itself
    #[arg(long, value_name = "US", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    moderation: u32,
    /// No real-time priority: on a quiet machine of more cores it is not needed
    #[arg(long)]
    no_realtime: bool,
    /// Print JSON; its fields are described by --help
    #[arg(long)]
    json: bool,
    /// Append the result to this file, for `ze-perf report` and `ze-perf check`
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
}

/// What is to be compared, and how.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "named as the options")]
pub struct CompareOrder {
    pub duts: Vec<DutKind>,
    pub family: IpVersion,
    pub routes: Source,
    pub flows: u32,
    /// As `ze_pktgen` reads it.
    pub size: String,
    /// A share.
    pub loss: f64,
    pub seconds: f64,
    pub rounds: usize,
    pub rules: u32,
    pub vpp: Option<PathBuf>,
    pub cores: Cores,
    pub placement: Placement,
    pub generator: GeneratorKind,
    pub sink: SinkKind,
    pub moderation: Duration,
    pub realtime: bool,
    pub json: bool,
    pub history: Option<PathBuf>,
}

impl CompareArgs {
    /// Refuses what contradicts itself.
    ///
    /// # Errors
    /// An error that says what and why, as the parser's own.
    pub fn check(self) -> Result<CompareOrder, clap::Error> {
        let cores = choose_cores(Some(self.tester_core), Some(self.dut_core), "compare")?;
        let least = if self.family == IpVersion::Ip4 { "64" } else { "78" };
        let size = self.size.unwrap_or_else(|| least.to_owned());
        let sizes =
            crate::lab::sizes(&size, self.family.family()).map_err(|why| conflict("compare", &why))?;
        let generator = generator(self.generator, &sizes)?;
        let mut duts = vec![DutKind::None];
        let wanted = if self.dut.is_empty() { DutKind::value_variants().to_vec() } else { self.dut };
        duts.extend(wanted.into_iter().filter(|kind| *kind != DutKind::None));
        Ok(CompareOrder {
            duts,
            family: self.family,
            routes: self.table.map_or(Source::Synthetic(self.routes.unwrap_or(1) as usize), Source::File),
            flows: self.flows,
            size,
            loss: self.loss / 100.0,
            seconds: self.seconds,
            rounds: self.rounds.into(),
            rules: self.rules,
            vpp: self.vpp,
            cores,
            placement: self.placement,
            generator,
            sink: self.sink,
            moderation: Duration::from_micros(self.moderation.into()),
            realtime: !self.no_realtime,
            json: self.json,
            history: self.history,
        })
    }
}

/// Live frames are all of one size.
fn generator(wanted: Option<GeneratorKind>, sizes: &Sizes) -> Result<GeneratorKind, clap::Error> {
    match (wanted, sizes.is_one()) {
        (Some(GeneratorKind::LiveFrames), false) => {
            Err(conflict("compare", "live frames are all of one size: for a mix choose --generator af-xdp"))
        }
        (Some(kind), _) => Ok(kind),
        (None, true) => Ok(GeneratorKind::LiveFrames),
        (None, false) => Ok(GeneratorKind::AfXdp),
    }
}
