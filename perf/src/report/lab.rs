//! What `ze-perf lab` found, in plots and tables; and the part of its results that is needed for that.

use serde::Deserialize;

use super::html::{details, escape, figure, paragraph, table, warning};
use super::svg::{self, Point, Series};
use crate::machine::Machine;
use crate::results::Figure;

/// What marks a result of this kind.
pub(crate) const KIND: &str = "lab";

const METHOD: [&str; 4] = [
    "Generator and sink are AF_XDP sockets on one core; the device under test has the other, its soft interrupts \
     included. Between them are two veth cables in network namespaces. Each packet has a sequence number and the time at \
     which it was sent.",
    "Throughput is the highest load that was good: NDR without any loss, PDR with the loss that is told (RFC 2544 §26.1, \
     RFC 9971). A throughput close to what the tester gives without a device is the tester's, and no figure is given.",
    "Latency is from the generator's memory to the sink's, both cables included, at shares of the throughput.",
    "What this does not show: a NIC. Copying into and out of AF_XDP sockets is most of the cost on veth.",
];

/// A result, as far as it is shown.
#[derive(Clone, Debug, Deserialize)]
pub struct LabResult {
    /// What was measured.
    pub dut: String,
    /// When it ended.
    pub taken_at: String,
    /// On what.
    pub machine: Machine,
    #[serde(default)]
    notes: Vec<String>,
    parameters: Parameters,
    results: Vec<Case>,
    #[serde(default)]
    interrupted: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct Parameters {
    routes: usize,
    flows: u32,
    placement: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Case {
    family: String,
    size: String,
    control: Option<Load>,
    overload: Option<Load>,
    #[serde(default)]
    throughput: Vec<Throughput>,
    #[serde(default)]
    latency: Vec<Latency>,
}

#[derive(Clone, Debug, Deserialize)]
struct Load {
    received_pps: f64,
}

#[derive(Clone, Debug, Deserialize)]
struct Throughput {
    name: String,
    pps: Option<f64>,
    gbps: Option<f64>,
    no_figure: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Latency {
    percent: u32,
    offered_pps: f64,
    min_us: f64,
    p50_us: f64,
    p90_us: f64,
    p99_us: f64,
    p999_us: f64,
    max_us: f64,
}

impl LabResult {
    /// What was measured, in a line.
    #[must_use]
    pub fn title(&self) -> String {
        let p = &self.parameters;
        let sizes: Vec<_> =
            self.results.iter().map(|case| format!("{} {}", case.family, case.size)).collect();
        format!("{}: {} routes, {} flows, {}, {}", self.dut, p.routes, p.flows, p.placement, sizes.join(", "))
    }

    /// What can be compared with another result's.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let p = &self.parameters;
        let of = |case: &Case, throughput: &Throughput| {
            let (family, size, name) = (&case.family, &case.size, &throughput.name);
            let (routes, flows, placement) = (p.routes, p.flows, &p.placement);
            Some(Figure {
                case: format!(
                    "{}: {name} of {family}, {size} bytes, {routes} routes, {flows} flows, {placement}",
                    self.dut
                ),
                unit: "Mpps",
                is_more_better: true,
                runs: vec![throughput.pps? / 1e6],
            })
        };
        let cases = self.results.iter();
        cases
            .flat_map(|case| case.throughput.iter().filter_map(move |throughput| of(case, throughput)))
            .collect()
    }
}

/// The section of the page for one result.
pub(super) fn section(result: &LabResult) -> String {
    let mut out = format!("<h2>Through devices: {}</h2>\n", escape(&result.title()));
    if result.interrupted {
        out.push_str(&warning("Interrupted: results are fewer, or not whole."));
    }
    let refused = result.results.iter().flat_map(|case| case.throughput.iter().map(move |one| (case, one)));
    for (case, one) in refused {
        if let Some(why) = &one.no_figure {
            out.push_str(&warning(&format!(
                "No {} of {}, {} bytes: {why}",
                one.name, case.family, case.size
            )));
        }
    }
    out.push_str(&figure(
        &by_size(result),
        "Packets a second by size of a frame, and what the tester gives alone.",
    ));
    if result.results.iter().any(|case| !case.latency.is_empty()) {
        out.push_str(&figure(&percentiles(result), "Latency by percentile, at shares of the throughput."));
    }
    out.push_str(&table(&FIGURES, &figures(result)));
    out.push_str(&details("Latency", &latency_table(result)));
    let how: String =
        result.notes.iter().chain(std::iter::once(&METHOD.join(" "))).map(|text| paragraph(text)).collect();
    out.push_str(&details("Method, and how it ran", &how).replacen("<details>", "<details open>", 1));
    out
}

fn by_size(result: &LabResult) -> String {
    let mut places: Vec<String> = Vec::new();
    let mut series: Vec<Series> = Vec::new();
    let mut add = |name: String, place: usize, pps: Option<f64>| {
        let Some(value) = pps.map(|pps| pps / 1e6) else { return };
        let point = Point { place, value, range: None };
        match series.iter_mut().find(|one| one.name == name) {
            Some(one) => one.points.push(point),
            None => series.push(Series { name, points: vec![point] }),
        }
    };
    for case in &result.results {
        let place = places.iter().position(|other| *other == case.size).unwrap_or_else(|| {
            places.push(case.size.clone());
            places.len() - 1
        });
        for one in &case.throughput {
            add(format!("{} {}", case.family, one.name.to_uppercase()), place, one.pps);
        }
        add(format!("{} overload", case.family), place, case.overload.as_ref().map(|load| load.received_pps));
        add(
            format!("{} tester alone", case.family),
            place,
            case.control.as_ref().map(|load| load.received_pps),
        );
    }
    svg::lines("Throughput by size", ("bytes with FCS", "Mpps"), &places, &series)
}

fn percentiles(result: &LabResult) -> String {
    let places = ["least", "50 %", "90 %", "99 %", "99.9 %"].map(str::to_owned);
    let mut series = Vec::new();
    for case in &result.results {
        for one in &case.latency {
            let values = [one.min_us, one.p50_us, one.p90_us, one.p99_us, one.p999_us];
            let points =
                values.into_iter().enumerate().map(|(place, value)| Point { place, value, range: None });
            let name = format!("{}, {} B, {} %", case.family, case.size, one.percent);
            series.push(Series { name, points: points.collect() });
        }
    }
    svg::lines("Latency by percentile", ("share of packets that is faster", "µs"), &places, &series)
}

pub(super) const FIGURES: [&str; 7] =
    ["case", "NDR Mpps", "Gbit/s", "PDR Mpps", "Gbit/s", "overload", "tester alone"];

/// By case: throughput and what surrounds it.
pub(super) fn figures(result: &LabResult) -> Vec<Vec<String>> {
    let dash = || "-".to_owned();
    let mega = |load: &Option<Load>| {
        load.as_ref().map_or_else(dash, |load| format!("{:.3}", load.received_pps / 1e6))
    };
    let row = |case: &Case| {
        let mut row = vec![format!("{}, {}, {} B", result.dut, case.family, case.size)];
        for name in ["ndr", "pdr"] {
            let one = case.throughput.iter().find(|one| one.name == name);
            row.push(one.and_then(|one| one.pps).map_or_else(dash, |pps| format!("{:.3}", pps / 1e6)));
            row.push(one.and_then(|one| one.gbps).map_or_else(dash, |gbps| format!("{gbps:.3}")));
        }
        row.extend([mega(&case.overload), mega(&case.control)]);
        row
    };
    result.results.iter().map(row).collect()
}

fn latency_table(result: &LabResult) -> String {
    let mut rows = Vec::new();
    for case in &result.results {
        for one in &case.latency {
            let mut row = vec![format!("{}, {} B at {} %", case.family, case.size, one.percent)];
            row.push(format!("{:.3}", one.offered_pps / 1e6));
            let values = [one.min_us, one.p50_us, one.p90_us, one.p99_us, one.p999_us, one.max_us];
            row.extend(values.map(|value| format!("{value:.1}")));
            rows.push(row);
        }
    }
    table(&["µs", "Mpps", "least", "50 %", "90 %", "99 %", "99.9 %", "most"], &rows)
}
