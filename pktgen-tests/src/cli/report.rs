//! What arrived, for people and for programs.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::traffic::{Arrivals, Outcome};

/// Prints what came of a trial. Is all as it should be?
pub(super) fn outcome(outcome: &Outcome, is_json: bool) -> bool {
    let Some(arrivals) = &outcome.arrivals else { return false };
    let seconds = outcome.elapsed.as_secs_f64();
    let (sent, late_s) = (outcome.sent, outcome.slipped.as_secs_f64());
    let pps = sent as f64 / seconds.max(1e-6);
    let lost = sent.saturating_sub(arrivals.received);
    if is_json {
        let mut value = judged(arrivals, sent, outcome.missed);
        value["sent"] = json!(sent);
        value["seconds"] = json!(seconds);
        value["pps"] = json!(pps);
        value["late_s"] = json!(late_s);
        value["returned"] = json!(outcome.returned);
        say!("{value}");
    } else {
        say!("sent {sent} packets in {seconds:.3} s, {pps:.0} a second; {late_s:.3} s late");
        if outcome.returned > 0 {
            say!("{} frames came back by the sending device", outcome.returned);
        }
        tell(arrivals, lost, sent, outcome.missed);
    }
    is_right(arrivals, lost)
}

/// Prints what arrived of a run that somebody else sent. Is all as it should be?
pub(super) fn arrivals(arrivals: &Arrivals, missed: u64, is_json: bool) -> bool {
    let sent = arrivals.expected();
    let lost = sent.saturating_sub(arrivals.received);
    if is_json {
        say!("{}", judged(arrivals, sent, missed));
    } else {
        tell(arrivals, lost, sent, missed);
    }
    is_right(arrivals, lost) && arrivals.received > 0
}

fn is_right(arrivals: &Arrivals, lost: u64) -> bool {
    lost == 0 && arrivals.duplicates == 0 && arrivals.corrupt == 0
}

fn tell(arrivals: &Arrivals, lost: u64, sent: u64, missed: u64) {
    let percent = lost as f64 / sent.max(1) as f64 * 100.0;
    say!(
        "received {}, lost {lost} ({percent:.4} %), reordered {}, duplicates {}, wrong checksums {} of {} looked at",
        arrivals.received,
        arrivals.reordered,
        arrivals.duplicates,
        arrivals.corrupt,
        arrivals.verified
    );
    if missed > 0 {
        say!("of those lost, {missed} reached the sink's device while the sink was too slow");
    }
    if arrivals.foreign > 0 {
        say!("{} frames were not of this run", arrivals.foreign);
    }
    if !arrivals.latency.is_empty() {
        let at = |quantile| arrivals.latency.value_at_quantile(quantile) as f64 / 1e3;
        say!(
            "latency, µs: min {:.1}, p50 {:.1}, p90 {:.1}, p99 {:.1}, p99.9 {:.1}, max {:.1}",
            arrivals.latency.min() as f64 / 1e3,
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            arrivals.latency.max() as f64 / 1e3
        );
    }
}

fn judged(arrivals: &Arrivals, sent: u64, missed: u64) -> Value {
    let lost = sent.saturating_sub(arrivals.received);
    json!({
        "received": arrivals.received,
        "lost": lost,
        "loss_ratio": lost as f64 / sent.max(1) as f64,
        "reordered": arrivals.reordered,
        "duplicates": arrivals.duplicates,
        "corrupt": arrivals.corrupt,
        "foreign": arrivals.foreign,
        "missed_by_sink": missed,
        "latency_us": latency(&arrivals.latency),
    })
}

fn latency(histogram: &Histogram<u64>) -> Value {
    if histogram.is_empty() {
        return Value::Null;
    }
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
    json!({
        "min": histogram.min() as f64 / 1e3,
        "mean": histogram.mean() / 1e3,
        "p50": at(0.5),
        "p90": at(0.9),
        "p99": at(0.99),
        "p99_9": at(0.999),
        "max": histogram.max() as f64 / 1e3,
    })
}
