//! The page and the tables, of a result as it is kept.

use super::*;
use crate::results::{Entry, Outcome};
use serde_json::{Value, json};

fn result(size: &Value, routes: usize, median: f64) -> Value {
    let cycles = json!({ "min": median - 1.0, "median": median, "max": median + 2.0 });
    let run = |off: f64| {
        json!({ "gross": median + 20.0 + off, "baseline": 20.0, "quartiles": [1.0, 2.0], "mean": 3.0, "slices": 4,
            "packets": 5 })
    };
    json!({
        "scenario": "ip4",
        "parameters": { "routes": routes, "table": null, "default_route_added": false, "pattern": "fixed", "flows": 1,
            "size": size, "batch": 64, "seconds": 1.0, "core": 1, "seed": 7 },
        "cycles_per_packet": cycles, "baseline_cycles_per_packet": 20.0, "mpps": 2500.0 / median,
        "nodes": [{ "name": "eth_input", "cycles_per_packet": 8.0 }, { "name": "ip4_lookup", "cycles_per_packet": 9.5 }],
        "runs": 3, "machine": { "cpu": "A <fast> one", "cores": 2, "tsc_hz": 2_500_000_000_u64, "huge_pages": "none" },
        "gross_cycles_per_packet": cycles, "gross_mpps": 1.0, "ns_per_packet": 2.0,
        "rest_cycles_per_packet": median - 17.5, "noise": 0.01, "spread": 0.02, "batch_fill": 64.0, "table_bytes": 6_100_000,
        "verified_packets": 10,
        "conservation": { "rx": 1, "inject": 0, "generated": 0, "handoff_in": 0, "tx": 1, "drop": 0, "punt": 0, "held": 0,
            "handoff_out": 0, "holds": true },
        "measurements": [run(-1.0), run(0.0), run(2.0)], "interrupted": false, "kind": "pipeline",
        "taken_at": "2026-01-01T00:00:00Z",
    })
}

fn entry(raw: Value) -> Entry {
    Entry { outcome: Outcome::of(&raw).unwrap(), raw }
}

fn entries() -> Vec<Entry> {
    let sizes = [json!(64), json!(512), json!("imix")];
    let mut all: Vec<_> = sizes.iter().map(|size| entry(result(size, 1, 50.0))).collect();
    all.push(entry(result(&json!(64), 902_000, 83.25)));
    all
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = page::render("A & B", &entries(), &entries());
    for outside in ["http:", "https:", "src=", "href=", "@import", "url(", "<script", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("<title>A &amp; B</title>") && page.contains("A &lt;fast&gt; one"));
}

#[test]
fn the_page_has_plots_method_runs_machine_and_raw_data() {
    let page = page::render("Ze", &entries(), &entries());
    assert_eq!(page.matches("<svg ").count(), 2, "cycles by node; packets by size");
    for part in
        ["Method", "Every run", "Machine", "Raw data", "902 k routes", "83.2", "&quot;median&quot;:83.25"]
    {
        assert!(page.contains(part), "{part} is missing");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
}

#[test]
fn markdown_has_a_row_for_each_case_and_says_what_differs() {
    let text = markdown::render(&entries());
    assert!(text.contains("| IPv4, 902 k routes, 64 B | 82.2 | 83.2 | 85.2 |"), "{text}");
    assert!(text.contains("| IPv4, 1 route, IMIX | 49.0 |"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("| IPv4")).count(), 4);
}

#[test]
fn what_is_doubtful_is_said() {
    let mut raw = result(&json!(64), 1, 50.0);
    raw["noise"] = json!(0.2);
    raw["machine"]["load_average"] = json!(4.5);
    let quiet = page::render("Ze", &entries(), &entries());
    let noisy = page::render("Ze", &[entry(raw.clone())], &[]);
    let warnings = |page: &str| page.matches("<p class=\"warning\">").count();
    assert_eq!((warnings(&quiet), warnings(&noisy)), (0, 2));
}

#[test]
fn of_two_results_of_a_case_the_newer_is_shown() {
    let old = entry(result(&json!(64), 1, 50.0));
    let mut raw = result(&json!(64), 1, 40.0);
    raw["taken_at"] = json!("2026-02-01T00:00:00Z");
    for both in [[old.clone(), entry(raw.clone())], [entry(raw), old]] {
        let newest = results::newest(&both);
        assert_eq!(newest.len(), 1);
        assert_eq!(newest[0].raw["cycles_per_packet"]["median"], 40.0);
    }
}

/// As `ze-perf lab` and `ze-perf compare` keep them, as far as the page reads them.
#[test]
fn results_of_the_lab_and_of_a_comparison_have_their_plots_and_rows() {
    let machine = json!({ "cpu": "A", "cores": 2, "tsc_hz": 1 });
    let latency = json!({ "percent": 50, "offered_pps": 5e5, "loss_ratio": 0.0, "min_us": 5.0, "mean_us": 7.0,
        "p50_us": 6.5, "p90_us": 9.0, "p99_us": 20.0, "p999_us": 80.0, "max_us": 300.0 });
    let case = |size: &str, pps: f64| {
        json!({ "family": "ip4", "size": size, "frame_bytes": 64.0, "control": { "received_pps": 2e6 }, "overload": null,
            "throughput": [{ "name": "ndr", "loss_ratio": 0.0, "pps": pps, "gbps": 0.5, "no_figure": null },
                { "name": "pdr", "loss_ratio": 0.005, "pps": null, "gbps": null, "no_figure": "the tester's" }],
            "latency": [latency], "back_to_back": null, "trials": [] })
    };
    let lab = json!({ "kind": "lab", "taken_at": "2026-01-01T00:00:00Z", "dut": "ze", "notes": ["how"],
        "parameters": { "routes": 1, "flows": 64, "placement": "confined" }, "machine": machine,
        "results": [case("64", 1.1e6), case("imix", 0.9e6)], "interrupted": false });
    let summary = json!({ "min": 1.0, "median": 1.25, "max": 1.5 });
    let shot = json!({ "asked_pps": null, "offered_pps": 2e6, "received_pps": 1.25e6, "loss_ratio": 0.4 });
    let round = json!({ "round": 1, "mpps": 1.25, "overload_mpps": 1.2, "trials": [shot] });
    let forwarder = |name: &str, of_kernel: f64| {
        json!({ "name": name, "mpps": summary, "overload_mpps": summary, "of_kernel": of_kernel, "noise": 0.01,
            "notes": ["so"], "skipped": null, "failed": null, "rounds": [round] })
    };
    let skipped = json!({ "name": "vpp", "mpps": null, "overload_mpps": null, "of_kernel": null, "noise": 0.0, "notes": [],
        "skipped": "none is named", "failed": null, "rounds": [] });
    let comparison = json!({ "scenario": "compare", "kind": "compare", "taken_at": "2026-01-01T00:00:00Z",
        "parameters": { "family": "ip4", "routes": 1, "table": null, "flows": 64, "size": "64", "loss": 0.005, "seconds": 0.5,
            "rounds": 1, "rules": 100, "tester_core": 0, "dut_core": 1, "placement": "confined", "realtime": true },
        "forwarders": [forwarder("ze", 1.5), forwarder("kernel", 1.0), skipped], "warnings": ["doubtful"],
        "places": [{ "cores": "far", "round_trip_ns": summary,
            "forwarders": [{ "name": "ze", "rounds": 3, "mpps": 1.125, "overload_mpps": 2.0, "of_kernel": 2.25 }] }],
        "machine": machine, "interrupted": false });
    let all = [entry(lab), entry(comparison)];
    let page = page::render("Ze", &all, &all);
    assert_eq!(page.matches("<svg ").count(), 4, "two plots of each");
    for part in [
        "No pdr of ip4, 64 bytes: the tester",
        "1.50 × kernel",
        "vpp (skipped: none is named)",
        "doubtful",
        "far from each other, ze",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    let text = markdown::render(&all);
    assert!(
        text.contains("| ze, ip4, 64 B | 1.100 | 0.500 | - |")
            && text.contains("| kernel | 1.000 |")
            && text.contains("| far from each other, ze | 1 to 2 | 3 | 1.125 | 2.25 | 2.000 |"),
        "{text}"
    );
    let cases: Vec<_> =
        all.iter().flat_map(|entry| entry.outcome.figures()).map(|figure| figure.case).collect();
    assert_eq!(cases.len(), 4, "two sizes, two forwarders: {cases:?}");
}
