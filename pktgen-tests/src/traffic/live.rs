//! A generator inside the kernel: an XDP program that makes each packet in a page of its own (`src/bpf/live.bpf.c`), run
//! as often as there are packets to send (`BPF_PROG_TEST_RUN` with live frames).
//!
//! What the other end of a veth gets is then what a network card's driver gives: pages, and nothing that the sender waits
//! for. A packet costs a fraction of what it does by AF_XDP, where the kernel copies each into a socket buffer that the
//! receiver has to copy back. It can not stamp packets, so that it goes with a sink that counts.

mod program;
mod run;
mod schedule;

use std::time::Duration;

use ze_xsk::Device;

use super::TrafficError;
use super::counter::Counter;
use super::pace::{Rate, Stop};
use super::packets::Packets;
use crate::lab::Interrupt;
use program::Program;
use schedule::Schedule;

/// Packets that are due together, at most, and the time in which they become due: as a card does that waits a moment
/// before it interrupts.
const BURST_MAX: u32 = 128;
const BURST: Duration = Duration::from_micros(50);
/// Pages between two moments at which the kernel wakes the receiver, and lets anything else run on this core: the most that
/// it allows (TEST_XDP_MAX_BATCH). It keeps as many to use them again (`xdp_test_run_setup`); with fewer, pages that
/// come back together would have to be freed and allocated anew, on the receiver's core and on this.
const BATCH: u32 = 256;
/// The least time for which the kernel is busy with a page that carries no packet. The shorter it is taken for, the longer a
/// turn goes on when all has been sent; if it were too long, the rest would take another turn.
const IDLE_PAGE: Duration = Duration::from_nanos(40);
/// Below this rate a turn would have no packet.
const RATE_MIN_PPS: f64 = 100.0;
/// A turn of the program; between two there is a pause of 10 to 20 ms, in which the kernel takes its pages back, and a
/// look at interrupts.
const TURN: Duration = Duration::from_secs(2);
/// Packets of the first turn when there is no rate: the others are as long as this one was fast.
const FIRST_TURN_PACKETS: u64 = 1 << 17;

/// A device to send by, without a socket. What comes back by it is counted and thrown away.
pub struct LiveGenerator {
    device: Device,
    returned: Counter,
    program: Option<Program>,
}

/// What a run of it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Packets handed to the device. What its peer had no room for is among them, as on a wire.
    pub packets: u64,
    /// From the first burst to the last.
    pub elapsed: Duration,
    /// How long the schedule had to be stretched because the generator was late.
    pub slipped: Duration,
    /// Of that, how long the generator did not have its core.
    pub away: Duration,
}

impl LiveGenerator {
    /// For a device of the network namespace that the calling thread is in. Its peer must have NAPI: an XDP program, or
    /// GRO.
    ///
    /// # Errors
    /// When the program that counts what comes back can not be attached.
    pub fn open(device: &str) -> Result<Self, TrafficError> {
        // The program also tells the kernel that the device takes frames.
        Ok(Self { device: Device::by_name(device)?, returned: Counter::attach(device)?, program: None })
    }

    /// Loads what is to be sent.
    ///
    /// # Errors
    /// When frames differ in size, or the kernel refuses program or table.
    pub fn load(&mut self, packets: &Packets) -> Result<(), TrafficError> {
        self.program = None;
        self.program = Some(Program::load(packets, self.device.ifindex())?);
        Ok(())
    }

    /// Frames that came back by the device.
    ///
    /// # Errors
    /// When the kernel refuses the read.
    pub fn returned(&self) -> Result<u64, TrafficError> {
        self.returned.count()
    }

    /// Sends what was loaded, on the calling thread's core.
    ///
    /// # Errors
    /// When nothing was loaded, the rate is too low, somebody asked to stop, or the kernel refuses.
    pub fn send(&mut self, rate: Rate, stop: Stop, interrupt: &Interrupt) -> Result<Sent, TrafficError> {
        let Some(program) = &mut self.program else {
            return Err(TrafficError::Spec("there is nothing to send yet".to_owned()));
        };
        let plan = Plan::new(rate, stop)?;
        let mut all = Sent::default();
        let mut flow = 0;
        while let Some(packets) = plan.turn(&all) {
            interrupt.check()?;
            program.set_schedule(&Schedule { flow, packets, ..plan.schedule })?;
            program.run(plan.pages(packets), BATCH)?;
            let turn = program.schedule()?;
            all.add(&turn);
            flow = turn.flow;
        }
        Ok(all)
    }

    /// Goes off the device.
    pub fn close(self) {
        self.returned.detach();
    }
}

impl Sent {
    fn add(&mut self, turn: &Schedule) {
        self.packets += turn.sent;
        self.elapsed += Duration::from_nanos(turn.ended_ns.saturating_sub(turn.began_ns));
        self.slipped += Duration::from_nanos(turn.slipped_ns);
        self.away += Duration::from_nanos(turn.away_ns);
    }
}

/// What is to be sent in all.
struct Plan {
    /// Each turn begins like this.
    schedule: Schedule,
    rate: Rate,
    stop: Stop,
}

impl Plan {
    fn new(rate: Rate, stop: Stop) -> Result<Self, TrafficError> {
        let (interval_ps, burst) = match rate {
            Rate::Max => (0, BURST_MAX),
            Rate::PacketsPerSecond(pps) if pps >= RATE_MIN_PPS => {
                ((1e12 / pps) as u64, ((pps * BURST.as_secs_f64()) as u32).clamp(1, BURST_MAX))
            }
            Rate::PacketsPerSecond(pps) => {
                return Err(TrafficError::Spec(format!(
                    "{pps} packets a second are fewer than the {RATE_MIN_PPS} that live frames can be paced at"
                )));
            }
        };
        Ok(Self { schedule: Schedule { interval_ps, burst, ..Schedule::default() }, rate, stop })
    }

    /// Pages that so many packets take, those included that the program gives back while it waits.
    fn pages(&self, packets: u64) -> u64 {
        let wait_ns = u128::from(packets) * u128::from(self.schedule.interval_ps) / 1000;
        packets + (wait_ns / IDLE_PAGE.as_nanos()) as u64
    }

    /// Packets of the next turn; none when all was sent.
    fn turn(&self, sent: &Sent) -> Option<u64> {
        let packets_in = |pps: f64, time: Duration| (pps * time.as_secs_f64()).round().max(1.0) as u64;
        let speed = match self.rate {
            Rate::PacketsPerSecond(pps) => Some(pps),
            Rate::Max if sent.packets == 0 => None,
            Rate::Max => Some(sent.packets as f64 / sent.elapsed.as_secs_f64().max(1e-6)),
        };
        let most = speed.map_or(FIRST_TURN_PACKETS, |pps| packets_in(pps, TURN));
        let left = match (self.stop, self.rate) {
            (Stop::Packets(packets), _) => packets.saturating_sub(sent.packets),
            (Stop::Time(time), Rate::PacketsPerSecond(pps)) => {
                packets_in(pps, time).saturating_sub(sent.packets)
            }
            (Stop::Time(time), Rate::Max) => {
                // A hundredth more or less is no reason for another turn.
                let left = time.saturating_sub(sent.elapsed);
                if left < time / 100 { 0 } else { speed.map_or(most, |pps| packets_in(pps, left)) }
            }
        };
        (left > 0).then(|| left.min(most))
    }
}

#[cfg(test)]
mod tests;
