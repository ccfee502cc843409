//! What `ze-perf pipeline` found, in plots and tables.

use super::html::{details, figure, paragraph, table, warning};
use super::svg::{self, Point, Row, Series, short};
use crate::args::Scenario;
use crate::pipeline::Report;

/// Noise above which a figure is said to be doubtful.
const NOISE_MAX: f64 = 0.03;

const METHOD: [&str; 5] = [
    "One worker, pinned to a core, runs its own loop over the whole graph: every RFC check, every counter, the rewrite \
     of the adjacency. Only the ports are in memory; there are no sockets and no NIC in these figures, and packets \
     come from the first-level cache, as they do from other forwarders' in-memory generators.",
    "Cycles are those of the time stamp counter, whose frequency is measured. A run's figure is the median over \
     slices of 64 rounds of the loop. The harness's own cost (baseline: the same ports with nothing between) is \
     measured just before each run; the median of the baselines is subtracted, and shown.",
    "A bar is the median of the runs, its whisker reaches from the smallest to the largest. Noise is \
     1.4826 × the median absolute deviation of the runs, as a share of the median.",
    "Nothing broken is measured: a sample of what leaves is compared byte by byte with what a plain model says must \
     leave; every packet must leave, the law of conservation must hold, every frame must come back.",
    "What this does not show: the cost of a NIC or of the kernel, packets that come from beyond the first-level cache, \
     and more than one worker.",
];

/// The parameters of a case, each in words.
fn words(report: &Report) -> [String; 6] {
    let p = &report.parameters;
    let family = match report.scenario {
        Scenario::Ip4 => "IPv4",
        Scenario::Ip6 => "IPv6",
        Scenario::Baseline => "baseline",
    };
    let plural = |count: usize, what: &str| {
        format!("{} {what}{}", thousands(count), if count == 1 { "" } else { "s" })
    };
    let size = p.size.as_str().map_or_else(|| format!("{} B", p.size), |_| "IMIX".to_owned());
    let table = if p.table.is_some() { " (table)" } else { "" };
    [
        family.to_owned(),
        plural(p.routes - usize::from(p.default_route_added), "route") + table,
        p.pattern.name().to_owned(),
        plural(p.flows, "flow"),
        size,
        format!("batch {}", p.batch),
    ]
}

/// 902000 is `902 k`.
fn thousands(count: usize) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{} k", (count + 500) / 1000),
        _ => format!("{:.1} M", count as f64 / 1e6),
    }
}

/// What tells these cases apart: the family, and what is not the same for all.
pub(super) fn labels(reports: &[&Report]) -> Vec<String> {
    let all: Vec<_> = reports.iter().map(|report| words(report)).collect();
    let differs = |at: usize| at == 0 || all.iter().any(|words| words[at] != all[0][at]);
    all.iter()
        .map(|words| {
            let told = words.iter().enumerate().filter(|(at, _)| differs(*at));
            told.map(|(_, word)| word.as_str()).collect::<Vec<_>>().join(", ")
        })
        .collect()
}

/// The section of the page.
pub(super) fn section(reports: &[&Report]) -> String {
    let mut out = String::from("<h2 id=\"pipeline\">Cycles per packet, in memory</h2>\n");
    warnings(reports).iter().for_each(|line| out.push_str(&warning(line)));
    let mut reports = reports.to_vec();
    // Families one after the other; within one as they were measured.
    reports.sort_by_key(|report| report.scenario.name());
    let reports = reports.as_slice();
    let (main, rest) = main_cases(reports);
    out.push_str(&figure(&by_node(&main), &caption(&main)));
    for (at, name, unit) in
        [(4, "size of a frame", "bytes with FCS"), (5, "size of a batch", "packets received at once")]
    {
        if let Some(plot) = by_dimension(reports, at, unit) {
            out.push_str(&figure(
                &plot,
                &format!("Packets a second of one worker by {name}. {}", common(reports, at)),
            ));
        }
    }
    if let Some(plot) = peers(reports) {
        out.push_str(&figure(
            &plot,
            "Cycles per packet in the same run on the same core, each forwarder's own baseline subtracted. They do not do \
             the same: l3fwd checks no TTL and no checksum and counts nothing, testpmd looks nothing up.",
        ));
    }
    out.push_str(&figures_table(&main));
    if !rest.is_empty() {
        out.push_str(&details("The other sizes and batches", &figures_table(&rest)));
    }
    let method = METHOD.iter().map(|text| paragraph(text)).collect::<String>();
    out.push_str(&details("Method", &method).replacen("<details>", "<details open>", 1));
    out.push_str(&details("Every run", &runs_table(reports)));
    out
}

fn warnings(reports: &[&Report]) -> Vec<String> {
    let mut all = Vec::new();
    let noisy: Vec<_> = reports.iter().filter(|report| report.noise > NOISE_MAX).collect();
    if !noisy.is_empty() {
        all.push(format!(
            "{} of {} cases have more than {:.0} % of noise: the machine was not quiet. Their smallest figure is nearest \
             to the truth.",
            noisy.len(),
            reports.len(),
            NOISE_MAX * 100.0
        ));
    }
    let worthless = reports.iter().filter(|report| report.cycles_per_packet.median <= 0.0).count();
    if worthless > 0 {
        all.push(format!(
            "{worthless} cases are worthless: their baseline cost more than the graph, so much disturbed it."
        ));
    }
    let cut = reports.iter().filter(|report| report.interrupted).count();
    if cut > 0 {
        all.push(format!("{cut} cases were interrupted, and have fewer runs than were asked for."));
    }
    all
}

/// Cases of the commonest size and batch, and the others.
fn main_cases<'a>(reports: &[&'a Report]) -> (Vec<&'a Report>, Vec<&'a Report>) {
    let shape = |report: &Report| (report.parameters.size.clone(), report.parameters.batch);
    let count = |wanted: &Report| reports.iter().filter(|report| shape(report) == shape(wanted)).count();
    let commonest = reports.iter().rev().max_by_key(|report| count(report)).map(|report| shape(report));
    reports.iter().partition(|report| Some(shape(report)) == commonest)
}

fn caption(reports: &[&Report]) -> String {
    let baselines = reports.iter().map(|report| report.baseline_cycles_per_packet);
    let (low, high) = baselines.fold((f64::MAX, 0.0_f64), |(low, high), b| (low.min(b), high.max(b)));
    format!(
        "Cycles of the time stamp counter per packet, by node; the harness ({low:.1} to {high:.1} cycles) is subtracted. {}",
        common(reports, usize::MAX)
    )
}

/// What is the same for all of them, except parameter `without`.
fn common(reports: &[&Report], without: usize) -> String {
    let all: Vec<_> = reports.iter().map(|report| words(report)).collect();
    let Some(first) = all.first() else { return String::new() };
    let same = |at: &usize| *at > 0 && *at != without && all.iter().all(|words| words[*at] == first[*at]);
    let told: Vec<_> = (0..first.len()).filter(same).map(|at| first[at].as_str()).collect();
    if told.is_empty() { String::new() } else { format!("In all of them: {}.", told.join(", ")) }
}

fn by_node(reports: &[&Report]) -> String {
    let role = |name: &str| name.replace("ip4_", "ip_").replace("ip6_", "ip_");
    let mut names: Vec<String> = Vec::new();
    for node in reports.iter().flat_map(|report| &report.nodes) {
        if !names.contains(&role(&node.name)) {
            names.push(role(&node.name));
        }
    }
    names.push("worker and queues".to_owned());
    let labels = labels(reports);
    let rows = reports.iter().zip(labels).map(|(report, label)| {
        let cost = |name: &String| {
            report
                .nodes
                .iter()
                .find(|node| role(&node.name) == *name)
                .map_or(0.0, |node| node.cycles_per_packet)
        };
        let mut parts: Vec<_> = names.iter().map(cost).collect();
        let cycles = &report.cycles_per_packet;
        if let Some(last) = parts.last_mut() {
            // Of the baseline there are no nodes: all of it is the loop.
            *last =
                if report.nodes.is_empty() { cycles.median } else { report.rest_cycles_per_packet.max(0.0) };
        }
        let note = format!("{:.1} = {:.1} Mpps", cycles.median, report.mpps);
        Row { label, parts, range: Some((cycles.min, cycles.max)), dots: Vec::new(), note }
    });
    let rows: Vec<_> = rows.collect();
    svg::bars("Cycles per packet by node", "cycles per packet", &names, &rows)
}

/// Ze and the peers that were measured beside it; None if there were none.
fn peers(reports: &[&Report]) -> Option<String> {
    let with: Vec<&Report> = reports.iter().copied().filter(|report| !report.peers.is_empty()).collect();
    let mut rows = Vec::new();
    for (report, label) in with.iter().zip(labels(&with)) {
        let peers = report
            .peers
            .iter()
            .filter_map(|peer| Some((peer.name.clone(), peer.cycles_per_packet?, peer.mpps?)));
        let own = ("ze".to_owned(), report.cycles_per_packet, report.mpps);
        for (name, cycles, mpps) in std::iter::once(own).chain(peers) {
            rows.push(Row {
                label: format!("{label}: {name}"),
                parts: vec![cycles.median],
                range: Some((cycles.min, cycles.max)),
                dots: Vec::new(),
                note: format!("{:.1} = {mpps:.1} Mpps", cycles.median),
            });
        }
    }
    let title = "Cycles per packet of several forwarders";
    (!rows.is_empty()).then(|| svg::bars(title, "cycles per packet", &["cycles".to_owned()], &rows))
}

/// A line for each group of cases that differ in one parameter only; None if there is no such group.
fn by_dimension(reports: &[&Report], at: usize, unit: &str) -> Option<String> {
    let without = |report: &Report| {
        let mut words = words(report);
        words[at].clear();
        words
    };
    let mut places: Vec<(f64, String)> = Vec::new();
    let mut groups: Vec<([String; 6], Vec<&Report>)> = Vec::new();
    for report in reports {
        let key = without(report);
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, group)) => group.push(report),
            None => groups.push((key, vec![report])),
        }
    }
    groups.retain(|(_, group)| group.len() > 2);
    for report in groups.iter().flat_map(|(_, group)| group) {
        let place = words(report)[at].replace(" B", "").replace("batch ", "");
        if !places.iter().any(|(_, other)| *other == place) {
            places.push((place.parse().unwrap_or(f64::MAX), place));
        }
    }
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    let places: Vec<_> = places.into_iter().map(|(_, place)| place).collect();
    let firsts: Vec<&Report> = groups.iter().filter_map(|(_, group)| group.first().copied()).collect();
    let names = labels(&firsts);
    let series: Vec<_> = groups
        .iter()
        .zip(names)
        .map(|((_, group), name)| Series { name, points: points(group, at, &places) })
        .collect();
    (!series.is_empty()).then(|| svg::lines(unit, (unit, "Mpps"), &places, &series))
}

fn points(group: &[&Report], at: usize, places: &[String]) -> Vec<Point> {
    let mut points: Vec<_> = group
        .iter()
        .filter_map(|report| {
            let place = words(report)[at].replace(" B", "").replace("batch ", "");
            let mpps = |cycles: f64| report.machine.tsc_hz as f64 / cycles / 1e6;
            let cycles = &report.cycles_per_packet;
            let range = Some((mpps(cycles.max), mpps(cycles.min)));
            Some(Point { place: places.iter().position(|other| *other == place)?, value: report.mpps, range })
        })
        .collect();
    points.sort_by_key(|point| point.place);
    points
}

pub(super) const FIGURES: [&str; 10] =
    ["case", "min", "median", "max", "Mpps", "ns", "noise", "baseline", "batch fill", "table"];

/// The figures of a case.
pub(super) fn figures(report: &Report, label: String) -> Vec<String> {
    let cycles = &report.cycles_per_packet;
    let figure = |value: f64| format!("{value:.1}");
    vec![
        label,
        figure(cycles.min),
        figure(cycles.median),
        figure(cycles.max),
        figure(report.mpps),
        figure(report.ns_per_packet),
        format!("{:.1} %", report.noise * 100.0),
        figure(report.baseline_cycles_per_packet),
        figure(report.batch_fill),
        bytes(report.table_bytes),
    ]
}

/// 6100000 is `6.1 MB`.
fn bytes(count: u64) -> String {
    if count < 1_000_000 {
        return format!("{} kB", short((count as f64 / 1e3).round()));
    }
    format!("{:.1} MB", count as f64 / 1e6)
}

fn figures_table(reports: &[&Report]) -> String {
    let rows: Vec<_> =
        reports.iter().zip(labels(reports)).map(|(report, label)| figures(report, label)).collect();
    table(&FIGURES, &rows)
}

fn runs_table(reports: &[&Report]) -> String {
    let mut rows = Vec::new();
    for (report, label) in reports.iter().zip(labels(reports)) {
        for (at, run) in report.measurements.iter().enumerate() {
            let [low, high] = run.quartiles;
            rows.push(vec![
                label.clone(),
                (at + 1).to_string(),
                format!("{:.2}", run.gross),
                format!("{:.2}", run.baseline),
                format!("{low:.1} to {high:.1}"),
                format!("{:.1}", run.mean),
                run.slices.to_string(),
                run.packets.to_string(),
            ]);
        }
    }
    table(&["case", "run", "gross", "baseline", "middle half of slices", "mean", "slices", "packets"], &rows)
}
