//! The command line, as a user meets it.

#[path = "command/lab.rs"]
mod lab;

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

fn ze_perf(line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ze-perf")).args(line.split(' ')).output().expect("ze-perf starts")
}

#[test]
fn nonsense_is_refused_with_the_reason() {
    let cases = [
        ("pipeline", "<SCENARIO>..."),
        ("pipeline ip5", "ip5"),
        ("pipeline ip4 --runs 4", "4 is not in 5..=1000"),
        ("pipeline ip4 --batch 1000", "1000 is not in 16..="),
        ("pipeline ip4 --batch 15", "15 is not in 16..="),
        ("pipeline ip4 --routes 0", "0 is not in 1..="),
        ("pipeline ip4 --all", "cannot be used with"),
        ("pipeline --all --routes 2", "cannot be used with"),
        ("pipeline ip4 --routes 1,x", "'x'"),
        ("pipeline ip4 --size 63", "63 is not in 64 to 1518"),
        ("pipeline ip4 --size huge", "neither a number nor imix"),
        ("pipeline ip4 --pattern random", "random"),
        ("pipeline ip4 --flows 0", "0 is not in 1..="),
        ("pipeline ip4 --seconds 0", "0 is not in 0.05 to 600"),
        ("pipeline ip4 --seconds NaN", "NaN is not in 0.05 to 600"),
        ("lpm --family 5", "neither 4 nor 6"),
        ("lpm --routes 999", "999 is not in 1000..="),
        ("lpm --batch 0", "0 is not in 1..="),
        ("lpm --trace few", "few"),
        ("lpm --core 4095", "core 4095 is not available"),
        ("pipeline ip4 --core 4095", "core 4095 is not available"),
        ("compare --dut frr", "frr"),
        ("compare --tester-core 0 --dut-core 0", "need a core each"),
        ("compare --size 63", "63"),
        ("compare --size imix --generator live-frames", "live frames are all of one size"),
        ("compare --loss 80", "80 is not in 0 to 50"),
        ("report", "<FILE>"),
        ("check one", "<NEW>"),
        ("check a b --limit 0", "0 is not in 0.1 to 100"),
        ("pipeline baseline --routes 5", "looks nothing up"),
        ("pipeline baseline --pattern zipf", "has no routes"),
    ];
    for (line, reason) in cases {
        let output = ze_perf(line);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{line}: {error}");
        assert!(error.contains(reason), "{line}: {error}");
        assert!(output.stdout.is_empty(), "{line}");
    }
}

#[test]
fn a_table_that_is_none_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table");
    std::fs::write(&path, "10.0.0.0/8 1\n10.0.0.0/99 1\n").unwrap();
    let output = ze_perf(&format!("pipeline ip4 --table {}", path.display()));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("line 2") && error.contains(&*path.to_string_lossy()), "{error}");
}

#[test]
fn a_table_that_can_not_be_read_is_named_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("empty"), "").unwrap();
    std::fs::write(path("words"), "# routes\nnowhere 1\n").unwrap();
    let tables = [
        (path("."), "Is a directory"),
        (path("missing"), "No such file"),
        (path("empty"), "has no routes"),
        (path("words"), "line 2: 'nowhere 1': no prefix"),
    ];
    for command in ["pipeline ip4 --routes 1", "lpm", "fib --readers-only"] {
        for (path, reason) in &tables {
            let output = ze_perf(&format!("{command} --table {path}"));
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{command}: {error}");
            assert!(error.starts_with(&format!("ze-perf: table {path}: {reason}")), "{command}: {error}");
        }
    }
}

#[test]
fn what_is_told_on_stderr_needs_no_reader() {
    let lines = [
        ("pipeline baseline --seconds 0.05", 0),
        ("lpm --family 4 --routes 1000 --trace uniform --runs 1 --engine ze", 0),
        ("lpm --table nowhere", 1),
        ("check nowhere nowhere", 2),
    ];
    for (line, code) in lines {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_ze-perf"));
        let status = command.args(line.split(' ')).stdout(Stdio::null()).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(code), "{line}");
    }
}

#[test]
fn json_has_the_documented_fields() {
    let json = report("pipeline ip4 --routes 100 --pattern covered --flows 50 --size imix --batch 32");
    let expected = [
        "scenario",
        "parameters",
        "cycles_per_packet",
        "baseline_cycles_per_packet",
        "mpps",
        "nodes",
        "runs",
        "machine",
        "gross_cycles_per_packet",
        "gross_mpps",
        "ns_per_packet",
        "rest_cycles_per_packet",
        "noise",
        "spread",
        "batch_fill",
        "table_bytes",
        "verified_packets",
        "conservation",
        "measurements",
        "peers",
        "interrupted",
        "kind",
        "taken_at",
    ];
    let fields: Vec<_> = json.as_object().unwrap().keys().collect();
    assert_eq!(fields, expected);
    let help = ze_perf("pipeline --help");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    expected.iter().for_each(|field| assert!(help.contains(field), "{field} is not described by --help"));

    assert_eq!((&json["scenario"], &json["runs"]), (&"ip4".into(), &5.into()));
    let p = &json["parameters"];
    assert_eq!((&p["routes"], &p["pattern"], &p["size"]), (&100.into(), &"covered".into(), &"imix".into()));
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"));
    let [min, median, max] = ["min", "median", "max"].map(|key| number(&json["cycles_per_packet"][key]));
    assert!(min <= median && median <= max);
    let gross = number(&json["gross_cycles_per_packet"]["median"]);
    let baseline = number(&json["baseline_cycles_per_packet"]);
    assert!(baseline > 0.0 && (gross - baseline - median).abs() < 0.01);
    assert!((number(&json["mpps"]) - number(&json["machine"]["tsc_hz"]) / median / 1e6).abs() < 0.01);
    let names: Vec<_> =
        json["nodes"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["eth_input", "ip4_input", "ip4_lookup", "ip4_rewrite", "interface_output"]);
    let law = &json["conservation"];
    assert_eq!((&law["holds"], &law["rx"], &law["drop"]), (&true.into(), &law["tx"], &0.into()));
    assert_eq!((number(&json["batch_fill"]), json["measurements"].as_array().unwrap().len()), (32.0, 5));
    assert!(number(&json["verified_packets"]) >= 10.0);
}

#[test]
fn the_baseline_is_a_scenario_of_its_own() {
    let json = report("pipeline baseline");
    assert_eq!(json["cycles_per_packet"]["median"], json["baseline_cycles_per_packet"]);
    assert_eq!(json["nodes"], Value::Array(vec![]));
}

#[test]
fn the_table_names_every_node_and_the_machine() {
    let output = ze_perf("pipeline ip6 --seconds 0.05");
    let text = String::from_utf8(output.stdout).unwrap();
    for word in
        ["eth_input", "ip6_input", "ip6_lookup", "ip6_rewrite", "interface_output", "harness", "TSC", "Mpps"]
    {
        assert!(text.contains(word), "{word} is missing:\n{text}");
    }
    let progress = String::from_utf8(output.stderr).unwrap();
    assert!(progress.contains("run 5 of 5") && progress.contains("about"), "{progress}");
}

#[test]
fn lists_are_measured_in_every_combination_and_kept_in_a_history() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history");
    let line = format!("pipeline ip4 --size 64,128 --batch 16,32 --json --history {}", path.display());
    let output = ze_perf(&format!("{line} --seconds 0.05"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let results: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON object a line"))
        .collect();
    let shape = |json: &Value| {
        (json["parameters"]["size"].as_u64().unwrap(), json["parameters"]["batch"].as_u64().unwrap())
    };
    assert_eq!(results.iter().map(shape).collect::<Vec<_>>(), [(64, 16), (64, 32), (128, 16), (128, 32)]);
    assert_eq!(ze_perf::history::read(&path).unwrap(), results);
}

#[test]
fn ctrl_c_reports_the_runs_that_ended() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ze-perf"));
    let line = "pipeline baseline --runs 1000 --seconds 0.1 --json";
    let child = command.args(line.split(' ')).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("ze-perf starts");
    let mut progress = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(progress.any(|line| line.unwrap().contains("run 2 of 1000")));
    // Twice, as `timeout` does.
    for _ in 0..2 {
        kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let json: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(json["interrupted"], true);
    assert!((2..100).contains(&json["runs"].as_u64().unwrap()), "{}", json["runs"]);
}

/// Function, not figures: the machine that tests is not quiet, and the programs are not optimised.
#[test]
fn a_comparison_has_the_control_ze_and_the_kernel_and_skips_by_name_what_is_not_there() {
    ze_pktgen::require_lab_with_xdp!();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history");
    // On a busy machine much is lost, and generator and forwarder wait for their cores.
    let line =
        "compare --dut ze,kernel,vpp --rounds 1 --seconds 0.1 --flows 64 --loss 50 --no-realtime --json";
    let output = ze_perf(&format!("{line} --history {}", path.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else on stdout");
    let forwarders = json["forwarders"].as_array().unwrap();
    let names: Vec<_> = forwarders.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["none", "ze", "kernel", "vpp"]);
    for one in &forwarders[..3] {
        assert!(one["overload_mpps"]["median"].as_f64().unwrap() > 0.0, "{one}");
        assert!(one["skipped"].is_null() && one["failed"].is_null(), "{one}");
        // Where a busy machine let it be measured.
        let cores = &one["rounds"][0]["cores"];
        assert!(cores.is_null() || cores["round_trip_ns"][1].as_f64().unwrap() > 0.0, "{cores}");
    }
    assert!(forwarders[3]["skipped"].as_str().unwrap().contains("--vpp"), "{}", forwarders[3]);
    let page = folder.path().join("page.html");
    let report = ze_perf(&format!("report {} --html {}", path.display(), page.display()));
    let text = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(text.contains("| control (no forwarder) |") && text.contains("| ze |"), "{text}");
    assert!(std::fs::read_to_string(page).unwrap().contains("<h2>Forwarders compared"));
}

/// Nobody reads what `report` prints: no panic, and no failure.
fn the_reader_may_go(results: &str) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ze-perf"));
    let output = command.args(["report", results]).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let output = output.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn a_broken_table_of_either_family_is_told_by_its_own_line() {
    let folder = tempfile::tempdir().unwrap();
    for good in ["198.51.100.0/24 1", "2001:db8::/32 1"] {
        let path = folder.path().join("table");
        std::fs::write(&path, format!("{good}\n{good}{good}\n")).unwrap();
        let output = ze_perf(&format!("fib --readers-only --table {}", path.display()));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("line 2") && !error.contains("line 1"), "{error}");
    }
}

#[test]
fn check_exits_by_what_it_found() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, json: &Value| {
        let path = folder.path().join(name);
        std::fs::write(&path, json.to_string()).unwrap();
        path.display().to_string()
    };
    let json = report("pipeline baseline");
    the_reader_may_go(&write("old", &json));
    let scaled = |factor: f64| {
        let mut json = json.clone();
        for (at, run) in json["measurements"].as_array_mut().unwrap().iter_mut().enumerate() {
            run["gross"] = (100.0 * factor * (1.0 + 0.001 * at as f64)).into();
        }
        json
    };
    let old = write("old", &scaled(1.0));
    for (factor, code, word) in [(1.2, 1, "WORSE"), (0.8, 0, "better"), (1.01, 0, "same")] {
        let output = ze_perf(&format!("check {old} {}", write("new", &scaled(factor))));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(word), "{text}");
    }
    assert_eq!(ze_perf(&format!("check {old} {old}.none")).status.code(), Some(2));
    let mut elsewhere = scaled(1.0);
    elsewhere["machine"]["cpu"] = "another".into();
    let elsewhere = write("elsewhere", &elsewhere);
    assert_eq!(ze_perf(&format!("check {old} {elsewhere}")).status.code(), Some(2));
    assert_eq!(ze_perf(&format!("check {old} {elsewhere} --any-machine")).status.code(), Some(0));
}

fn report(line: &str) -> Value {
    let output = ze_perf(&format!("{line} --seconds 0.05 --json"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON and nothing else on stdout")
}

#[test]
fn lpm_measures_ze_and_a_crate_and_prints_what_it_documents() {
    let line =
        "lpm --family 6 --routes 2000 --trace covered --runs 1 --engine ze --engine prefix_trie --json";
    let output = ze_perf(line);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let help = String::from_utf8_lossy(&ze_perf("lpm --help").stdout).into_owned();
    let results = json["results"].as_array().unwrap();
    assert_eq!(results.len(), 2, "{json:#}");
    for (result, engine) in results.iter().zip(["ze", "prefix_trie"]) {
        let fields = ["engine", "family", "trace", "mlps", "memory_bytes", "build_s", "updates_per_s"];
        assert_eq!(result.as_object().unwrap().keys().collect::<Vec<_>>(), fields);
        fields.iter().for_each(|field| assert!(help.contains(field), "{field} is not described by --help"));
        assert_eq!((&result["engine"], &result["family"]), (&engine.into(), &6.into()));
        assert_eq!(result["trace"], "covered");
        for figure in ["mlps", "memory_bytes", "updates_per_s"] {
            assert!(result[figure].as_f64().unwrap() > 0.0, "{engine}: {figure}");
        }
    }
    assert_eq!((&json["tables"][0]["routes"], &json["tables"][0]["family"]), (&2000.into(), &6.into()));
    for against in ["to_updates", "to_a_writer"] {
        let lost = json["tables"][0]["readers_lose"][against].as_f64().unwrap();
        assert!(lost < 1.0 && help.contains(against), "{against}: {lost}");
    }
    assert!(json["tables"][0]["loads_mlps"].as_f64().unwrap() > 0.0 && help.contains("loads_mlps"));
    // Not only the one that the measuring thread is held on.
    let cores = std::thread::available_parallelism().unwrap().get() as u64;
    assert!(json["machine"]["cores"].as_u64().unwrap() >= cores);
    assert!(json["machine"].as_object().unwrap().keys().all(|field| help.contains(field)));
    assert_eq!(json["skipped"], Value::Array(Vec::new()));
}

#[test]
fn lpm_refuses_an_engine_that_does_not_exist_before_it_makes_a_table_and_names_those_that_do() {
    let output = ze_perf("lpm --family 4 --routes 1000 --trace uniform --runs 1 --engine rte_fob");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("no engine here is called rte_fob; these are: ze, "), "{error}");
    assert!(error.contains("rte_fib") && error.contains("prefix_trie"), "{error}");
    assert!(!error.contains("builds"), "tables were made before it was refused: {error}");
}
