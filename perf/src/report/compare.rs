//! What `ze-perf compare` found, in plots and tables.

use super::html::{details, escape, figure, paragraph, table, warning};
use super::svg::{self, Point, Row, Series};
use crate::compare::{Forwarder, Report};

const METHOD: [&str; 6] = [
    "Every forwarder in turn stands between the same two cables (veth) in a network namespace of its own, and is taken \
     away again; then the next round begins: A B C A B C. What changes with time changes all of them.",
    "The generator has one core. The forwarder has the other: its threads, and the soft interrupts that receive what comes \
     by its devices. Generator live-frames is a program in the kernel that makes each packet in a page, as a card's driver \
     hands it up; af-xdp sends by a socket, where the generator's core makes a socket buffer of each. Sink count is an XDP \
     program that counts, on the generator's core; drop is one in traffic control.",
    "Throughput is the highest load at which, in one of five trials at least, no more than the allowed share gets lost \
     (RFC 9971: goal exceed ratio 0.8): what a machine does besides only adds loss. Overload is what arrives when as much is offered as the generator can, the middle \
     of three trials. Before that a trickle must arrive whole, so \
     that nothing broken is measured.",
    "The control has no forwarder, only a cable: what it gives is the most that generator and sink can. A forwarder \
     close to it may have been held up by them. With live-frames the control's are pages all the way; a forwarder that \
     sends socket buffers is more work for the sink, which may hold it up earlier: then the generator, on the same core, \
     offers less than it is asked for, which is told.",
    "Every packet goes from one core's cache to the other's. Before each round and after it, it is measured how long a line \
     takes there and back, and whether one core slows the other down: a virtual machine's host may move its cores apart, \
     or make them two threads of one, and the same forwarder does less. Rounds are summed up by where the cores were.",
    "What this does not show: a NIC. Copying into and out of AF_XDP sockets, which a NIC's zero copy spares, is most of \
     the cost on veth. The forwarders do not do the same: testpmd looks nothing up, l3fwd and the XDP program check no \
     checksum; the kernel and Ze are routers.",
];

/// The section of the page for one comparison.
pub(super) fn section(report: &Report) -> String {
    let mut out = format!("<h2>Forwarders compared: {}</h2>\n", escape(&report.title()));
    report.warnings.iter().for_each(|line| out.push_str(&warning(line)));
    if report.interrupted {
        out.push_str(&warning("Interrupted: there are fewer rounds than were asked for."));
    }
    let measured: Vec<_> = report.forwarders.iter().filter(|one| !one.rounds.is_empty()).collect();
    if !measured.is_empty() {
        out.push_str(&figure(
            &bars(&measured),
            "Throughput, median of the rounds; a circle is a round. The control is what generator and sink can do alone.",
        ));
        out.push_str(&figure(
            &over_time(&measured),
            "Throughput by round: a slope would be the machine's, not a forwarder's.",
        ));
    }
    out.push_str(&table(&FIGURES, &report.forwarders.iter().map(figures).collect::<Vec<_>>()));
    if !report.places.is_empty() {
        out.push_str("<h3>By where the cores were</h3>\n");
        out.push_str(&table(&PLACES, &places(report)));
    }
    let notes: Vec<_> = report
        .forwarders
        .iter()
        .filter(|one| !one.notes.is_empty())
        .map(|one| vec![one.name.clone(), one.notes.join("; ")])
        .collect();
    if !notes.is_empty() {
        out.push_str("<h3>How they ran</h3>\n");
        out.push_str(&table(&["forwarder", "how"], &notes).replacen("<table>", "<table class=\"facts\">", 1));
    }
    let method = METHOD.iter().map(|text| paragraph(text)).collect::<String>();
    out.push_str(&details("Method", &method).replacen("<details>", "<details open>", 1));
    out.push_str(&details("Every trial", &trials(&measured)));
    out
}

fn label(one: &Forwarder) -> String {
    if one.is_control() { "control (no forwarder)".to_owned() } else { one.name.clone() }
}

fn bars(measured: &[&Forwarder]) -> String {
    let row = |one: &&Forwarder| {
        let median = one.mpps.map_or(0.0, |mpps| mpps.median);
        let share = one.of_kernel.filter(|_| !one.is_control() && one.name != "kernel");
        let share = share.map_or_else(String::new, |share| format!(" = {share:.2} × kernel"));
        Row {
            label: label(one),
            parts: vec![median],
            range: None,
            dots: one.rounds.iter().map(|round| round.mpps).collect(),
            note: format!("{median:.2}{share}"),
        }
    };
    svg::bars("Throughput", "Mpps", &["throughput".to_owned()], &measured.iter().map(row).collect::<Vec<_>>())
}

fn over_time(measured: &[&Forwarder]) -> String {
    let rounds = measured.iter().flat_map(|one| &one.rounds).map(|round| round.round).max().unwrap_or(1);
    let places: Vec<_> = (1..=rounds).map(|round| round.to_string()).collect();
    let point =
        |round: &crate::compare::Round| Point { place: round.round - 1, value: round.mpps, range: None };
    let series: Vec<_> = measured
        .iter()
        .map(|one| Series { name: label(one), points: one.rounds.iter().map(point).collect() })
        .collect();
    svg::lines("Throughput by round", ("round", "Mpps"), &places, &series)
}

pub(super) const FIGURES: [&str; 7] = ["forwarder", "min", "median", "max", "× kernel", "overload", "noise"];

/// The figures of a forwarder, Mpps; or why there are none.
pub(super) fn figures(one: &Forwarder) -> Vec<String> {
    let Some((mpps, overload)) = one.mpps.zip(one.overload_mpps) else {
        let why = one.failed.as_ref().map(|why| format!("failed: {why}"));
        let why = why.or_else(|| one.skipped.as_ref().map(|why| format!("skipped: {why}")));
        let dash = || "-".to_owned();
        let name = format!("{} ({})", label(one), why.unwrap_or_else(|| "not measured".to_owned()));
        return vec![name, dash(), dash(), dash(), dash(), dash(), dash()];
    };
    vec![
        label(one),
        format!("{:.3}", mpps.min),
        format!("{:.3}", mpps.median),
        format!("{:.3}", mpps.max),
        one.of_kernel.map_or_else(|| "-".to_owned(), |share| format!("{share:.2}")),
        format!("{:.3}", overload.median),
        format!("{:.1} %", one.noise * 100.0),
    ]
}

pub(super) const PLACES: [&str; 6] =
    ["cores, forwarder", "round trip of a line, ns", "rounds", "Mpps, median", "× kernel", "overload"];

/// The figures of forwarders by where the cores were.
pub(super) fn places(report: &Report) -> Vec<Vec<String>> {
    let rows = report.places.iter().flat_map(|place| {
        let trip = place.round_trip_ns;
        place.forwarders.iter().map(move |one| {
            vec![
                format!("{}, {}", place.cores, one.name),
                format!("{:.0} to {:.0}", trip.min, trip.max),
                one.rounds.to_string(),
                format!("{:.3}", one.mpps),
                one.of_kernel.map_or_else(|| "-".to_owned(), |share| format!("{share:.2}")),
                format!("{:.3}", one.overload_mpps),
            ]
        })
    });
    rows.collect()
}

fn trials(measured: &[&Forwarder]) -> String {
    let mega = |pps: f64| format!("{:.3}", pps / 1e6);
    let mut rows = Vec::new();
    for one in measured {
        for round in &one.rounds {
            for shot in &round.trials {
                rows.push(vec![
                    label(one),
                    round.round.to_string(),
                    shot.asked_pps.map_or_else(|| "all".to_owned(), mega),
                    mega(shot.offered_pps),
                    mega(shot.received_pps),
                    format!("{:.3} %", shot.loss_ratio * 100.0),
                ]);
            }
        }
    }
    table(&["forwarder", "round", "asked", "offered", "arrived", "lost"], &rows)
}
