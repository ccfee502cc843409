//! The test bench: two cables, a DUT between them, a generator and a sink.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use ze_packet::MacAddr;
use ze_pktgen::daemons::Binaries;
use ze_pktgen::lab::{Interrupt, Lab, Namespace, VethOptions};
use ze_pktgen::traffic::{
    Addresses, Counter, FCS_BYTES, Generator, LiveGenerator, PacketSpec, Packets, Ports, Receiver, Sink,
    Sizes, Stop, TrafficError, Transport, trial, trial_live,
};

use super::placement::{Cores, NapiRank, moderate, pin_napi, steer, take_tester_core};
use super::shield::Shield;
use super::trial::{Offer, Trial};
use crate::dut::{Dut, Side, Site};
use crate::pipeline::routes::Family;

/// What random flows start from.
const SEED: u64 = 0x5eed;

/// How the sending end works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GeneratorKind {
    /// Sockets: each packet is numbered and stamped. The kernel copies it into a socket buffer, which a DUT on XDP has to
    /// copy back, and which the DUT of the kernel gets for nothing
    AfXdp,
    /// A program in the kernel makes each packet in a page, as a network card's driver hands it up: several times as
    /// fast. All of one size, and not stamped: the sink only counts
    LiveFrames,
}

/// How the receiving end works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkKind {
    /// Looks at each packet: loss, order, duplicates, latency. Costs the tester's core
    Full,
    /// An XDP program counts: the least that a sink can cost. No latency
    Count,
    /// A program in traffic control counts: the least for a DUT that sends socket buffers, which XDP would have to copy
    /// into frames
    Drop,
}

/// Whose core receives what comes by a cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// The core of whom the device belongs to: the DUT does all its work itself
    Confined,
    /// The sender's, as veth does by itself: the generator does the DUT's receiving, the DUT the sink's
    Inline,
}

/// What a bench is like.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// Prefixes that the DUT routes, of one or both families; destinations are taken from them.
    pub routes: Vec<IpNet>,
    /// The sending end; live frames go with a sink that counts.
    pub generator: GeneratorKind,
    /// The receiving end.
    pub sink: SinkKind,
    /// Soft interrupts.
    pub placement: Placement,
    /// How long NAPI of a device waits after a turn for more, where it is confined to a core.
    pub moderation: Duration,
    /// Queues of each device.
    pub queues: u32,
    /// Cores.
    pub cores: Cores,
    /// SCHED_FIFO for the tester and NAPI threads.
    pub realtime: bool,
    /// Where programs of this project are.
    pub binaries: Binaries,
}

/// Both ends of the path through the DUT.
enum Ends {
    Sockets(Box<Generator>, Receiver),
    Live(Box<LiveGenerator>, Box<Counter>),
}

/// A bench that is ready for trials. Everything goes with it.
pub struct Bench {
    // Dropped in this order: sockets, then the DUT, then the lab with its namespaces.
    ends: Option<Ends>,
    packets: Option<(Offer, Packets)>,
    dut: Box<dyn Dut>,
    options: BenchOptions,
    tester: Namespace,
    to_mac: [u8; 6],
    from: Side,
    run: u16,
    /// None if placement is left to the kernel.
    shield: Option<Shield>,
    lab: Lab,
}

impl Bench {
    /// Builds the network, starts the DUT, opens generator and sink.
    ///
    /// # Errors
    /// When any of it fails; what was begun is undone.
    pub fn start(dut: Box<dyn Dut>, options: BenchOptions, interrupt: &Interrupt) -> Result<Self> {
        let lab = Lab::with_interrupt("perf", interrupt)?;
        let name = Names::of(&lab);
        let tester = lab.quiet_namespace("tester")?;
        let plugged = if dut.is_cable() {
            Plugged::cable(&lab, &tester, &name, options.queues)?
        } else {
            Plugged::around(&lab, &tester, &name, options.queues)?
        };
        let mut bench = Self {
            ends: None,
            packets: None,
            dut,
            options,
            tester: tester.clone(),
            to_mac: plugged.to_mac,
            from: plugged.ingress.clone(),
            run: 0,
            shield: None,
            lab,
        };
        let started = bench.bring_up(&tester, &name, &plugged);
        if let Err(why) = started {
            // The first error is the one that matters.
            let _ = bench.dut.stop();
            return Err(why);
        }
        Ok(bench)
    }

    fn bring_up(&mut self, tester: &Namespace, name: &Names, plugged: &Plugged) -> Result<()> {
        let Cores { tester: tester_core, dut: dut_core } = self.options.cores;
        let confined = self.options.placement == Placement::Confined;
        if confined {
            self.shield = Some(Shield::raise(dut_core));
            steer(tester, &name.tx, tester_core)?;
            steer(tester, &name.rx, tester_core)?;
            moderate(tester, &name.rx, self.options.moderation)?;
        }
        if let Some(namespace) = &plugged.namespace {
            if confined {
                steer(namespace, &name.ingress, dut_core)?;
                steer(namespace, &name.egress, dut_core)?;
                moderate(namespace, &name.ingress, self.options.moderation)?;
                moderate(namespace, &name.egress, self.options.moderation)?;
            }
            if self.options.generator == GeneratorKind::LiveFrames {
                // What makes a veth take frames where there is no XDP program: NAPI. Cards' drivers have both.
                namespace.ethtool(&["-K", &name.ingress, "gro", "on"])?;
            }
            let site = Site {
                lab: &self.lab,
                namespace,
                ingress: &plugged.ingress,
                egress: &plugged.egress,
                routes: &self.options.routes,
                core: dut_core,
                realtime: self.options.realtime,
                binaries: &self.options.binaries,
            };
            self.dut.start(&site).with_context(|| format!("start {}", self.dut.name()))?;
        }
        self.ends = Some(self.open(tester, name)?);
        if self.options.sink == SinkKind::Drop {
            // NAPI: without, a veth takes no frames, and the sender's core does the receiving.
            tester.ethtool(&["-K", &name.rx, "gro", "on"])?;
        }
        if confined {
            let rank = |rank| self.options.realtime.then_some(rank);
            let tester_rank = rank(NapiRank::Above);
            pin_napi(tester, &name.tx, tester_core, tester_rank)?;
            pin_napi(tester, &name.rx, tester_core, tester_rank)?;
            if let Some(namespace) = &plugged.namespace {
                let dut_rank = rank(if self.dut.polls() { NapiRank::Above } else { NapiRank::Below });
                pin_napi(namespace, &name.ingress, dut_core, dut_rank)?;
                pin_napi(namespace, &name.egress, dut_core, dut_rank)?;
            }
        }
        Ok(())
    }

    /// Opens both ends in the tester's namespace.
    fn open(&self, tester: &Namespace, name: &Names) -> Result<Ends> {
        let BenchOptions { generator, sink, .. } = &self.options;
        let ends = tester.run(|| {
            let counter = || match sink {
                SinkKind::Drop => Counter::attach_tc(&name.rx),
                _ => Counter::attach(&name.rx),
            };
            Ok::<_, TrafficError>(match (generator, sink) {
                (GeneratorKind::LiveFrames, _) => {
                    Ends::Live(Box::new(LiveGenerator::open(&name.tx)?), Box::new(counter()?))
                }
                (GeneratorKind::AfXdp, sink) => {
                    let receiver = match sink {
                        SinkKind::Full => Receiver::Full(Box::new(Sink::open(&name.rx)?)),
                        SinkKind::Count | SinkKind::Drop => Receiver::Counting(Box::new(counter()?)),
                    };
                    Ends::Sockets(Box::new(Generator::open(&name.tx)?), receiver)
                }
            })
        })??;
        if *generator == GeneratorKind::AfXdp {
            // Back-pressure is for routers. A generator offers what it is told to; what the DUT does not take in time is
            // lost in front of it, as on a wire.
            tester.tc(&["qdisc", "delete", "dev", &name.tx, "root"])?;
        }
        Ok(ends)
    }

    /// The DUT.
    #[must_use]
    pub fn dut(&self) -> &dyn Dut {
        self.dut.as_ref()
    }

    /// The least size of a frame of a family: UDP and the signature must fit.
    #[must_use]
    pub fn least_bytes(family: Family) -> usize {
        match family {
            Family::V4 => 64,
            Family::V6 => 78,
        }
    }

    /// Offers, and tells what came of it. Sizes of IMIX below the family's least are raised to it.
    ///
    /// # Errors
    /// When the offer makes no sense for these routes, somebody asked to stop, or the tester failed.
    pub fn trial(&mut self, offer: &Offer) -> Result<Trial> {
        self.offer(offer, Stop::Time(Duration::from_secs_f64(offer.seconds)))
    }

    /// Offers so many packets, whatever time that takes: back-to-back if the offer's rate is the largest.
    ///
    /// # Errors
    /// As [`Bench::trial`].
    pub fn burst(&mut self, offer: &Offer, packets: u64) -> Result<Trial> {
        self.offer(offer, Stop::Packets(packets))
    }

    fn offer(&mut self, offer: &Offer, stop: Stop) -> Result<Trial> {
        self.prepare(offer)?;
        let (Some((_, packets)), Some(ends)) = (&self.packets, &mut self.ends) else {
            bail!("the bench is closed");
        };
        self.run = self.run.wrapping_add(1);
        let (run, cores, realtime) = (self.run, self.options.cores, self.options.realtime);
        let interrupt = self.lab.interrupt();
        let load = (offer.rate, stop);
        // A thread of its own, for its core and priority.
        let outcome = std::thread::scope(|scope| {
            let work = || -> Result<_> {
                take_tester_core(cores.tester, realtime)?;
                Ok(match ends {
                    Ends::Sockets(generator, receiver) => {
                        trial(generator, receiver, packets, load, run, &interrupt)?
                    }
                    Ends::Live(generator, counter) => trial_live(generator, counter, load, &interrupt)?,
                })
            };
            scope.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        Ok(Trial::of(offer, packets.mean_bytes() + FCS_BYTES as f64, outcome))
    }

    /// Flows and templates of an offer; kept for the next one that differs in rate and time only.
    fn prepare(&mut self, offer: &Offer) -> Result<()> {
        let same = |o: &Offer| o.sizes == offer.sizes && o.family == offer.family && o.flows == offer.flows;
        if self.packets.as_ref().is_some_and(|(before, _)| same(before)) {
            return Ok(());
        }
        let is_ip4 = offer.family == Family::V4;
        let nets: Vec<IpNet> =
            self.options.routes.iter().copied().filter(|net| net.addr().is_ipv4() == is_ip4).collect();
        if nets.is_empty() {
            bail!("there is no route of the family that is offered");
        }
        let source: IpAddr = if is_ip4 { self.from.peer4.into() } else { self.from.peer6.into() };
        let spec = PacketSpec {
            to_mac: MacAddr(self.to_mac),
            from_mac: MacAddr(self.from.peer_mac),
            layers: Vec::new(),
            transport: Transport::Udp,
            sources: Addresses::one(source),
            destinations: Addresses::Random(nets),
            source_ports: Ports::Random,
            destination_ports: Ports::Random,
            flows: offer.flows,
            sizes: offer.sizes.clone(),
            seed: SEED,
        };
        let packets = Packets::new(&spec).map_err(|why| anyhow::anyhow!(why))?;
        if let Some(Ends::Live(generator, _)) = &mut self.ends {
            self.tester.run(|| generator.load(&packets))??;
        }
        self.packets = Some((offer.clone(), packets));
        Ok(())
    }

    /// Stops the DUT and takes everything apart.
    ///
    /// # Errors
    /// When the DUT had failed.
    pub fn stop(mut self) -> Result<()> {
        match self.ends.take() {
            Some(Ends::Sockets(generator, receiver)) => {
                generator.close();
                receiver.close();
            }
            Some(Ends::Live(generator, counter)) => {
                generator.close();
                counter.detach();
            }
            None => {}
        }
        if self.dut.is_cable() {
            return Ok(());
        }
        self.dut.stop().with_context(|| format!("stop {}", self.dut.name()))
    }
}

/// Names of the devices: used nowhere else on the machine, because NAPI threads are found by them.
struct Names {
    tx: String,
    rx: String,
    ingress: String,
    egress: String,
}

impl Names {
    fn of(lab: &Lab) -> Self {
        // "ze-perf-<pid>" or "ze-perf-<pid>.<n>": at most 15 characters in all with three for the role.
        let number = lab.prefix().trim_start_matches("ze-perf-");
        let name = |role: &str| format!("z{role}{number}");
        Self { tx: name("tx"), rx: name("rx"), ingress: name("in"), egress: name("ou") }
    }
}

/// The network as it was plugged together.
struct Plugged {
    /// The DUT's; none for a cable.
    namespace: Option<Namespace>,
    ingress: Side,
    egress: Side,
    /// Where the generator's frames go to.
    to_mac: [u8; 6],
}

impl Plugged {
    fn cable(lab: &Lab, tester: &Namespace, name: &Names, queues: u32) -> Result<Self> {
        let options = VethOptions { queues, ..VethOptions::default() };
        lab.veth(tester, &name.tx, tester, &name.rx, &options)?;
        let (tx, rx) = (tester.mac(&name.tx)?, tester.mac(&name.rx)?);
        let side = |number, own, peer| side(String::new(), number, own, peer);
        Ok(Self { namespace: None, ingress: side(1, rx, tx), egress: side(2, tx, rx), to_mac: rx })
    }

    fn around(lab: &Lab, tester: &Namespace, name: &Names, queues: u32) -> Result<Self> {
        let namespace = lab.namespace("dut")?;
        let options = VethOptions { queues, ..VethOptions::default() };
        lab.veth(tester, &name.tx, &namespace, &name.ingress, &options)?;
        lab.veth(&namespace, &name.egress, tester, &name.rx, &options)?;
        let ingress = side(name.ingress.clone(), 1, namespace.mac(&name.ingress)?, tester.mac(&name.tx)?);
        let egress = side(name.egress.clone(), 2, namespace.mac(&name.egress)?, tester.mac(&name.rx)?);
        for side in [&ingress, &egress] {
            namespace.address(&side.device, &format!("{}/24", side.ip4))?;
            namespace.address(&side.device, &format!("{}/64", side.ip6))?;
        }
        let to_mac = ingress.mac;
        Ok(Self { namespace: Some(namespace), ingress, egress, to_mac })
    }
}

/// Links have documentation prefixes (RFC 5737, RFC 3849), so that no route of a table is one of them.
fn side(device: String, number: u8, mac: [u8; 6], peer_mac: [u8; 6]) -> Side {
    let net = if number == 1 { [192, 0, 2] } else { [203, 0, 113] };
    let ip4 = |host| Ipv4Addr::new(net[0], net[1], net[2], host);
    let ip6 = |host| Ipv6Addr::new(0x2001, 0xdb8, u16::from(number), 0, 0, 0, 0, host);
    Side { device, mac, ip4: ip4(1), ip6: ip6(1), peer_mac, peer4: ip4(2), peer6: ip6(2) }
}

/// `text` as sizes that a family's packets can have.
///
/// # Errors
/// When it is none, or too small.
pub fn sizes(text: &str, family: Family) -> Result<Sizes, String> {
    text.parse::<Sizes>()?.at_least(Bench::least_bytes(family))
}
