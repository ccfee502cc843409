//! Plays a scenario, and judges what came of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::pattern::hex;
use super::{At, Backend, BackendError, Scenario, Step, network};
use crate::daemons::Totals;

/// How long a frame may take to come out.
const FRAME_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the counters may take to balance.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the places are listened to for frames that should not come, once the counters balance. Frames that are
/// counted as sent are in the receiver's queue within microseconds.
const QUIET: Duration = Duration::from_millis(2);

/// What a scenario found wrong.
#[derive(Debug)]
pub struct Failure {
    scenario: &'static str,
    what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scenario \"{}\": {}", self.scenario, self.what)
    }
}

impl std::error::Error for Failure {}

/// Plays one scenario.
///
/// # Errors
/// When anything is not as the scenario says, or the backend fails.
pub fn run(backend: &mut dyn Backend, scenario: &Scenario) -> Result<(), Failure> {
    let play = || -> Result<(), BackendError> {
        backend.reset()?;
        let before = settled(backend, 0)?;
        for (number, step) in scenario.steps.iter().enumerate() {
            take(backend, step).map_err(|error| format!("step {}: {error}", number + 1))?;
        }
        let after = settled(backend, before.law.rx + wire_frames(scenario))?;
        nothing_else(backend)?;
        judge(scenario, &after.since(&before))
    };
    let failure = |error: BackendError| Failure { scenario: scenario.name, what: error.to_string() };
    let mut play = play;
    play().map_err(failure)
}

fn take(backend: &mut dyn Backend, step: &Step) -> Result<(), BackendError> {
    match step {
        Step::Send(at, frame) => backend.send(*at, frame),
        Step::Expect(at, pattern) => {
            let deadline = Instant::now() + FRAME_TIMEOUT;
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                let Some(frame) = backend.receive(*at, left)? else {
                    return Err(format!("nothing came out at {at:?}, expected was{pattern:?}").into());
                };
                if pattern.matches(&frame) {
                    return Ok(());
                }
                if !is_noise(&frame) {
                    let differences = pattern.differences(&frame);
                    let (frame, at) = (hex(&frame), format!("{at:?}"));
                    return Err(format!(
                        "at {at} came out{frame}\n  expected was{pattern:?}\n  different at bytes {differences:?}"
                    )
                    .into());
                }
            }
        }
    }
}

/// Frames that a scenario sends to ports.
fn wire_frames(scenario: &Scenario) -> u64 {
    scenario.steps.iter().filter(|step| matches!(step, Step::Send(At::Wire(_), _))).count() as u64
}

/// The counters once so many frames were received since start, and every packet is accounted for.
fn settled(backend: &mut dyn Backend, received: u64) -> Result<Totals, BackendError> {
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    let mut last = backend.totals()?;
    loop {
        std::thread::sleep(Duration::from_millis(1));
        let now = backend.totals()?;
        // Balanced twice with the same figures: nothing is under way.
        if now == last && now.law.imbalance() == 0 && now.law.rx >= received {
            return Ok(now);
        }
        if Instant::now() > deadline {
            let (late, missing) = (received.saturating_sub(now.law.rx), now.law.imbalance());
            return Err(
                format!("{late} frames never arrived, the law misses {missing}: {:?}", now.law).into()
            );
        }
        last = now;
    }
}

/// No place has a frame that nobody expected.
fn nothing_else(backend: &mut dyn Backend) -> Result<(), BackendError> {
    for at in network::PLACES {
        while let Some(frame) = backend.receive(at, QUIET)? {
            if !is_noise(&frame) {
                return Err(format!("an unexpected frame came out at {at:?}:{}", hex(&frame)).into());
            }
        }
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

fn judge(scenario: &Scenario, counted: &Totals) -> Result<(), BackendError> {
    let wanted: BTreeMap<String, u64> =
        scenario.drops.iter().map(|(reason, packets)| ((*reason).to_owned(), *packets)).collect();
    if counted.drops != wanted {
        return Err(format!("drops were {:?}, expected were {wanted:?}", counted.drops).into());
    }
    for (reason, packets) in &scenario.punts {
        let punted = counted.punts.get(*reason).copied().unwrap_or(0);
        if punted != *packets {
            return Err(format!("{punted} packets were punted as {reason}, expected were {packets}").into());
        }
    }
    let sent = wire_frames(scenario);
    if counted.law.rx != sent {
        return Err(format!("{sent} frames went in and {} were received", counted.law.rx).into());
    }
    Ok(())
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
