//! Plays a scenario, and judges what came of it.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{Action, Amount, Backend, BackendError, Place, Scenario, TraceStep};
use crate::daemons::Totals;
use crate::packet::Packet;

/// How long a frame may take to come out.
const FRAME_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the counters may take to balance.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the places are listened to for frames that should not come, once the counters balance. Frames that are
/// counted as sent are in the receiver's queue within microseconds.
const QUIET: Duration = Duration::from_millis(3);
/// Packets of a trace that are shown.
const TRACED_MAX: u32 = 12;

/// What a scenario found wrong.
#[derive(Debug)]
pub struct Failure {
    /// The scenario.
    pub scenario: String,
    /// Where it is written.
    pub file: PathBuf,
    /// The step, or the scenario as a whole.
    pub line: u64,
    /// What is wrong.
    pub what: String,
    /// What the packets did; "" if that could not be found out.
    pub trace: String,
    /// The router is not what it was: it panicked, or does not answer.
    pub backend_is_broken: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "FAILED {}", self.scenario)?;
        writeln!(f, "  {}:{}: {}", self.file.display(), self.line, self.what.trim_end())?;
        if !self.trace.is_empty() {
            write!(f, "  The packets, played once more:\n{}", self.trace)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// Why a scenario does not hold; a backend that fails is another thing.
enum Wrong {
    Scenario { line: u64, what: String },
    Backend { line: u64, error: BackendError },
}

/// Plays one scenario; if it fails, once more with a trace.
///
/// # Errors
/// When anything is not as the scenario says, or the backend fails.
pub fn run(backend: &mut dyn Backend, scenario: &Scenario) -> Result<(), Failure> {
    let Err(wrong) = caught(scenario, || play(backend, scenario)) else { return Ok(()) };
    let (line, what, backend_is_broken) = match wrong {
        Wrong::Scenario { line, what } => (line, what, false),
        Wrong::Backend { line, error } => (line, format!("the router failed: {error}"), true),
    };
    let trace = if backend_is_broken { String::new() } else { traced(backend, scenario) };
    let (name, file) = (scenario.name.clone(), scenario.file.clone());
    Err(Failure { scenario: name, file, line, what, trace, backend_is_broken })
}

/// A panic of the router in this process is the router's failure.
fn caught(scenario: &Scenario, play: impl FnOnce() -> Result<(), Wrong>) -> Result<(), Wrong> {
    catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Wrong::Backend { line: scenario.line, error: format!("it panicked: {text}").into() })
    })
}

fn play(backend: &mut dyn Backend, scenario: &Scenario) -> Result<(), Wrong> {
    let broken = |line| move |error| Wrong::Backend { line, error };
    let whole = scenario.line;
    backend.reset().map_err(broken(whole))?;
    let before = settled(backend, whole, (0, 0))?;
    for step in &scenario.steps {
        match &step.action {
            Action::Send(at, frame) => backend.send(at, frame).map_err(broken(step.line))?,
            Action::Wait(time) => backend.wait(*time).map_err(broken(step.line))?,
            Action::Expect(at, packet) => expect(backend, step.line, at, packet)?,
        }
    }
    let (received, injected) = sent_frames(scenario);
    let after = settled(backend, whole, (before.law.rx + received, before.law.inject + injected))?;
    if scenario.law_only {
        return Ok(());
    }
    nothing_else(backend, whole)?;
    judge(scenario, &after.since(&before)).map_err(|what| Wrong::Scenario { line: whole, what })
}

fn expect(backend: &mut dyn Backend, line: u64, at: &Place, packet: &Packet) -> Result<(), Wrong> {
    let deadline = Instant::now() + FRAME_TIMEOUT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let came = backend.receive(at, left).map_err(|error| Wrong::Backend { line, error })?;
        let Some(frame) = came else {
            return Err(Wrong::Scenario {
                line,
                what: format!("nothing came out at {at}; expected was\n      {packet}"),
            });
        };
        let Some(difference) = packet.compare(&frame) else { return Ok(()) };
        if !is_noise(&frame) {
            return Err(Wrong::Scenario {
                line,
                what: format!("another packet than expected came out at {at}:\n{difference}"),
            });
        }
    }
}

/// Frames that a scenario sends to ports, and to representors.
fn sent_frames(scenario: &Scenario) -> (u64, u64) {
    let count = |wire: bool| {
        let is_one = |action: &Action| match action {
            Action::Send(Place::Wire(_), _) => wire,
            Action::Send(Place::Host(_), _) => !wire,
            Action::Expect(..) | Action::Wait(_) => false,
        };
        scenario.steps.iter().filter(|step| is_one(&step.action)).count() as u64
    };
    (count(true), count(false))
}

/// The counters once so many frames were received and injected since start, and every packet is accounted for.
fn settled(backend: &mut dyn Backend, line: u64, (received, injected): (u64, u64)) -> Result<Totals, Wrong> {
    let broken = |error| Wrong::Backend { line, error };
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    let mut last = backend.totals().map_err(broken)?;
    loop {
        let arrived = last.law.rx >= received && last.law.inject >= injected;
        if !backend.takes_time() {
            if arrived && last.law.imbalance() == 0 {
                return Ok(last);
            }
        } else {
            std::thread::sleep(Duration::from_millis(1));
            let now = backend.totals().map_err(broken)?;
            // Balanced twice with the same figures: nothing is under way.
            if now == last && now.law.imbalance() == 0 && arrived {
                return Ok(now);
            }
            last = now;
        }
        if !backend.takes_time() || Instant::now() > deadline {
            let late = received.saturating_sub(last.law.rx) + injected.saturating_sub(last.law.inject);
            let missing = last.law.imbalance();
            let what = format!("{late} frames never arrived, the law misses {missing}: {:?}", last.law);
            return Err(Wrong::Scenario { line, what });
        }
    }
}

/// No place has a frame that nobody expected.
fn nothing_else(backend: &mut dyn Backend, line: u64) -> Result<(), Wrong> {
    let mut patience = QUIET;
    for at in backend.places() {
        while let Some(frame) =
            backend.receive(&at, patience).map_err(|error| Wrong::Backend { line, error })?
        {
            if !is_noise(&frame) {
                let shown = Packet::dissect(&frame);
                return Err(Wrong::Scenario {
                    line,
                    what: format!("a frame that nobody expects came out at {at}:\n      {shown}"),
                });
            }
        }
        // Whatever was under way has arrived at the other places by now, too.
        patience = Duration::ZERO;
    }
    Ok(())
}

/// What routers and host stacks say by themselves: gratuitous ARP, unsolicited advertisements, solicitations, group
/// membership. A scenario that is about them expects them.
fn is_noise(frame: &[u8]) -> bool {
    let ethertype = if frame.get(12..14) == Some(&[0x81, 0]) { 16 } else { 12 };
    let Some(kind) = frame.get(ethertype..ethertype + 2) else { return false };
    let packet = &frame[ethertype + 2..];
    match kind {
        // Sender and target are the same address.
        [0x08, 0x06] => packet.len() >= 28 && packet[14..18] == packet[24..28],
        // To a group.
        [0x86, 0xdd] => packet.len() >= 40 && packet[24] == 0xff && is_icmp6_chatter(packet),
        [0x08, 0x00] => packet.len() >= 20 && packet[9] == 2, // IGMP
        _ => false,
    }
}

fn is_icmp6_chatter(packet: &[u8]) -> bool {
    // MLD has a hop-by-hop header of 8 bytes in front (RFC 3810 §5).
    let at = if packet[6] == 0 { 48 } else { 40 };
    matches!(packet.get(at), Some(130..=136 | 143))
}

fn judge(scenario: &Scenario, counted: &Totals) -> Result<(), String> {
    let mut wrong = Vec::new();
    compare("drops", &scenario.drops, &counted.drops, &mut wrong);
    compare("punts", &scenario.punts, &counted.punts, &mut wrong);
    compare("counter", &scenario.counters, &counted.counters, &mut wrong);
    for (reason, count) in counted.drops.iter().filter(|(reason, _)| !scenario.drops.contains_key(*reason)) {
        wrong.push(format!("{count} packets were dropped as {reason}, expected were none"));
    }
    let (received, injected) = sent_frames(scenario);
    for (sent, came, what) in
        [(received, counted.law.rx, "received"), (injected, counted.law.inject, "injected")]
    {
        if sent != came {
            wrong.push(format!("{sent} frames went in and {came} were counted as {what}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

fn compare(
    what: &str,
    wanted: &BTreeMap<String, Amount>,
    counted: &BTreeMap<String, u64>,
    wrong: &mut Vec<String>,
) {
    for (name, amount) in wanted {
        let count = counted.get(name).copied().unwrap_or(0);
        if !amount.holds(count) {
            wrong.push(format!("{what} {name} is {count}, expected was {amount}"));
        }
    }
}

// ---- the trace ---------------------------------------------------------------------------------------------------

/// Plays the scenario again, and shows what its packets did.
fn traced(backend: &mut dyn Backend, scenario: &Scenario) -> String {
    let mut again = || -> Result<Vec<TraceStep>, BackendError> {
        backend.reset()?;
        backend.start_trace()?;
        // That it fails again is no news.
        let _ = caught(scenario, || play(backend, scenario));
        backend.take_trace()
    };
    again().map_or_else(|error| format!("    no trace: {error}\n"), |steps| show(&steps))
}

fn show(steps: &[TraceStep]) -> String {
    let mut text = String::new();
    let mut number = 0;
    while let Some(first) = steps.iter().find(|step| step.packet > number) {
        number = first.packet;
        if number > TRACED_MAX {
            text += "    …\n";
            break;
        }
        let _ = writeln!(text, "    {number}  {}", Packet::dissect(&first.bytes));
        let walk: Vec<_> = steps.iter().filter(|step| step.packet == number).map(word).collect();
        let _ = writeln!(text, "       {}", walk.join(" > "));
    }
    text
}

fn word(step: &TraceStep) -> String {
    match (step.exit.as_str(), step.reason.as_str()) {
        ("" | "drop", "") => step.node.clone(),
        (exit @ ("drop" | "punt" | "control" | "icmp_error"), reason) if !reason.is_empty() => {
            format!("{} ({exit}: {reason})", step.node)
        }
        _ => step.node.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;

    #[test]
    fn noise_is_what_nobody_asked_for() {
        let (mac, own, other) = ([2; 6], [10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        assert!(is_noise(&frame::arp_request((mac, own), own)));
        assert!(!is_noise(&frame::arp_request((mac, own), other)));
        let link = frame::Link { to: mac, from: mac };
        assert!(!is_noise(&frame::carry(link, &frame::Ip4::new(own, other).udp((1, 2), b"x"))));
        assert!(!is_noise(&[]));
    }
}
