//! `ze-perf lab` and its bench. Rates are never judged: packets are counted, and must be accounted for.

use std::time::Duration;

use serde_json::Value;
use ze_perf::dut::{Dut, Kernel, NoDut, Ze};
use ze_perf::lab::{Bench, BenchOptions, Cores, GeneratorKind, Offer, Placement, SinkKind, Trial, sizes};
use ze_perf::pipeline::routes::Family;
use ze_pktgen::daemons::Binaries;
use ze_pktgen::lab::Interrupt;
use ze_pktgen::require_lab_with_xdp;
use ze_pktgen::traffic::Rate;

use super::ze_perf;

const PPS: f64 = 20_000.0;
const SECONDS: f64 = 0.25;

fn bench(dut: Box<dyn Dut>, sink: SinkKind, queues: u32) -> Bench {
    start(dut, GeneratorKind::AfXdp, sink, queues)
}

fn start(dut: Box<dyn Dut>, generator: GeneratorKind, sink: SinkKind, queues: u32) -> Bench {
    let options = BenchOptions {
        routes: ["198.18.0.0/15", "2001:2::/48"].map(|net| net.parse().unwrap()).to_vec(),
        generator,
        sink,
        moderation: Duration::from_micros(50),
        placement: Placement::Confined,
        queues,
        cores: Cores { tester: 0, dut: std::thread::available_parallelism().unwrap().get() - 1 },
        // Whatever else is tested at the same time needs the cores, too.
        realtime: false,
        binaries: Binaries::new(None),
    };
    Bench::start(dut, options, &Interrupt::default()).unwrap()
}

fn offer(size: &str, family: Family) -> Offer {
    let sizes = sizes(size, family).unwrap();
    Offer { rate: Rate::PacketsPerSecond(PPS), seconds: SECONDS, sizes, family, flows: 1000 }
}

/// Without the thousands of buckets of a histogram.
fn told(trial: &Trial) -> String {
    serde_json::to_string(trial).unwrap()
}

/// Every packet is accounted for, and none is counted that is not there.
fn assert_conserved(trial: &Trial) {
    assert_eq!(trial.sent, (PPS * SECONDS) as u64, "{}", told(trial));
    assert_eq!((trial.received + trial.lost, trial.surplus), (trial.sent, 0), "{}", told(trial));
    assert!(trial.received > 0, "nothing arrives: {}", told(trial));
    assert_eq!((trial.duplicates, trial.corrupt, trial.fault()), (0, 0, None), "{}", told(trial));
    let latency = trial.latency.expect("the sink looks at packets");
    let rising =
        [latency.min_us, latency.p50_us, latency.p90_us, latency.p99_us, latency.p999_us, latency.max_us];
    assert!(rising.is_sorted() && latency.min_us > 0.0, "{latency:?}");
    assert_eq!(trial.histogram.as_ref().unwrap().len(), trial.received);
}

#[test]
fn a_cable_delivers_what_is_sent_in_order() {
    require_lab_with_xdp!();
    let mut bench = bench(Box::new(NoDut), SinkKind::Full, 2);
    for (size, family) in [("64", Family::V4), ("imix", Family::V6)] {
        let trial = bench.trial(&offer(size, family)).unwrap();
        assert_conserved(&trial);
        assert_eq!(trial.reordered, 0, "{}", told(&trial));
    }
    let burst = bench.burst(&Offer { rate: Rate::Max, ..offer("64", Family::V4) }, 100).unwrap();
    assert_eq!((burst.sent, burst.received), (100, 100));
    bench.stop().unwrap();
}

#[test]
fn a_counting_sink_counts_the_same() {
    require_lab_with_xdp!();
    let mut bench = bench(Box::new(NoDut), SinkKind::Count, 1);
    let trial = bench.trial(&offer("512", Family::V4)).unwrap();
    assert_eq!((trial.received + trial.lost, trial.surplus), (trial.sent, 0), "{}", told(&trial));
    assert!(trial.received > 0 && trial.latency.is_none());
    bench.stop().unwrap();
}

#[test]
fn live_frames_are_accounted_for_whichever_way_they_are_counted() {
    require_lab_with_xdp!();
    let duts: [(Box<dyn Dut>, SinkKind); 2] =
        [(Box::new(Ze::new("interrupt")), SinkKind::Count), (Box::new(Kernel), SinkKind::Drop)];
    for (dut, sink) in duts {
        let mut bench = start(dut, GeneratorKind::LiveFrames, sink, 1);
        for family in [Family::V4, Family::V6] {
            let trial = bench.trial(&offer("128", family)).unwrap();
            assert_eq!(trial.sent, (PPS * SECONDS) as u64, "{}", told(&trial));
            // A counter can not tell a neighbour solicitation of the DUT's from a packet.
            assert_eq!(trial.received + trial.lost, trial.sent + trial.surplus, "{}", told(&trial));
            assert!(trial.received > trial.surplus && trial.surplus < 20, "{}", told(&trial));
        }
        let mixed = bench.trial(&offer("imix", Family::V4)).unwrap_err();
        assert!(mixed.to_string().contains("one size"), "{mixed}");
        bench.stop().unwrap();
    }
}

#[test]
fn ze_forwards_both_families_and_every_packet_is_accounted_for() {
    require_lab_with_xdp!();
    let mut bench = bench(Box::new(Ze::new("interrupt")), SinkKind::Full, 1);
    assert!(bench.dut().notes().iter().any(|note| note.contains("native")), "{:?}", bench.dut().notes());
    for family in [Family::V4, Family::V6] {
        let trial = bench.trial(&offer("imix", family)).unwrap();
        assert_conserved(&trial);
        assert_eq!(trial.missed_by_sink, 0, "{}", told(&trial));
    }
    bench.stop().unwrap();
}

#[test]
fn the_reports_fields_are_described_by_help_and_fit_together() {
    require_lab_with_xdp!();
    let output = ze_perf("lab --quick --dut none --no-realtime --loss 0.5 --json");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else on stdout");
    let help = String::from_utf8(ze_perf("lab --help").stdout).unwrap();
    assert_described(&json, &help);
    let case = &json["results"][0];
    let throughput = &case["throughput"][0];
    let number =
        |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value} is no number: {throughput}"));
    assert_eq!(
        (&case["family"], &case["size"], &throughput["name"]),
        (&"ip4".into(), &"64".into(), &"pdr".into())
    );
    // A machine that is busy with something else may have no figure; then it says why.
    if throughput["pps"].is_null() {
        assert!(throughput["no_figure"].as_str().is_some_and(|why| !why.is_empty()), "{throughput}");
    } else {
        let pps = number(&throughput["pps"]);
        assert!((number(&throughput["gbps"]) - pps * 64.0 * 8.0 / 1e9).abs() < 0.001, "{throughput}");
        let good = |trial: &&Value| number(&trial["asked_pps"]) == pps && number(&trial["loss_ratio"]) <= 0.5;
        assert!(case["trials"].as_array().unwrap().iter().any(|trial| good(&trial)), "{case}");
        let latency = case["latency"].as_array().unwrap();
        let percent: Vec<_> = latency.iter().map(|at| at["percent"].as_u64()).collect();
        assert_eq!(percent, [Some(10), Some(50), Some(90)]);
    }
    for trial in case["trials"].as_array().unwrap() {
        let [sent, received, lost] = ["sent", "received", "lost"].map(|key| trial[key].as_u64().unwrap());
        assert_eq!(sent, received + lost, "{trial}");
    }
}

/// The name of each field, at whatever depth, is a word of the help.
fn assert_described(value: &Value, help: &str) {
    // The machine and the goals are described where they come from.
    let elsewhere = ["machine", "goals"];
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                assert!(help.contains(name.as_str()), "{name} is not described by --help");
                if !elsewhere.contains(&name.as_str()) {
                    assert_described(value, help);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| assert_described(value, help)),
        _ => {}
    }
}

#[test]
fn nonsense_is_refused_with_the_reason() {
    let cases = [
        ("lab --dut nothing", "there is no DUT 'nothing'; there are none, ze"),
        ("lab --size 63", "63 is not in"),
        ("lab --loss 1", "1 is not a share"),
        ("lab --width 0", "can not be reached"),
        ("lab --trial 2 --sum 1", "less than one trial"),
        ("lab --quick --size 64", "cannot be used with"),
        ("lab --core 0 --tester-core 0", "a core each"),
        ("lab --core 4095", "core 4095 is not available"),
        ("lab --flows 0", "0 is not in 1..="),
    ];
    for (line, reason) in cases {
        let output = ze_perf(line);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{line}: {error}");
        assert!(error.contains(reason), "{line}: {error}");
    }
}
