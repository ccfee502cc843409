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
