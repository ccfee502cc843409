//! Errors, streams, exit codes: what a script or a person at night relies on.

mod fake;
mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use fake::Fake;
use support::{Running, command, stderr, stdout, ze};

#[test]
fn no_daemon_is_said_with_the_place_and_the_way_out() {
    let output = ze(Path::new("/nonexistent/ze.sock"), &["show", "ports"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("ze-fastpath does not answer at /nonexistent/ze.sock: no such file."), "{text}");
    assert!(text.contains("Is it running?"), "{text}");
    assert!(output.stdout.is_empty());
}

#[test]
fn errors_are_json_when_json_is_asked_for() {
    let output = ze(Path::new("/nonexistent/ze.sock"), &["-o", "json", "trace"]);
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"], "ze-fastpath does not answer at /nonexistent/ze.sock: no such file");
    assert!(error["hint"].is_string() && output.stdout.is_empty());
    let output = ze(Path::new("/x"), &["show", "nonsense", "-o", "json"]);
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), error["error"].as_str()),
        (Some(2), Some("unrecognized subcommand 'nonsense'"))
    );
}

#[test]
fn a_socket_without_a_daemon_and_a_file_that_is_no_socket_differ() {
    let directory = tempfile::tempdir().unwrap();
    let left_behind = directory.path().join("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&left_behind).unwrap());
    let text = stderr(&ze(&left_behind, &["show", "vrfs"]));
    assert!(text.contains("nobody listens there") && text.contains("left its socket behind"), "{text}");
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(stderr(&ze(&file, &["show", "vrfs"])).contains("That is a file, not a socket."));
}

#[test]
fn a_socket_of_others_names_its_owner_and_mode() {
    let running = Running::start(Fake::default());
    let socket = running.socket();
    fs::set_permissions(socket.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
    // root may always, so root becomes nobody, with a copy of the binary that nobody may read.
    let nobody = nix::unistd::geteuid().is_root();
    let binary = socket.with_file_name("ze");
    fs::copy(env!("CARGO_BIN_EXE_ze"), &binary).unwrap();
    let mut command = Command::new(&binary);
    command.args(["show", "vrfs"]).env("ZE_SOCKET", &socket);
    if nobody {
        command.uid(65_534).gid(65_534);
    } else {
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).unwrap();
    }
    let output = command.output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("permission denied.") && text.contains("fastpath.sock belongs to "), "{text}");
    assert!(text.contains("may. Use sudo."), "{text}");
    // A group that may is named, and how to join it. 12 is a group of every Debian: man.
    if nobody {
        std::os::unix::fs::chown(&socket, None, Some(12)).unwrap();
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o660)).unwrap();
        let text = stderr(&command.output().unwrap());
        assert!(text.contains("members of group '") && text.contains("usermod -aG"), "{text}");
    }
}

#[test]
fn what_the_daemon_refuses_is_said_in_its_words() {
    let running = Running::start(Fake::default());
    let output = running.ze(&["show", "routes", "--vrf", "red"]);
    assert_eq!(
        (output.status.code(), stderr(&output).as_str()),
        (Some(1), "error: there is no VRF 'red'.\n")
    );
    let output = running.ze(&["show", "interfaces", "lan9"]);
    assert_eq!(stderr(&output), "error: there is no interface 'lan9'.\nThere are: lan0, wan0, guest.\n");
    assert_eq!(running.ze(&["show", "counters", "--worker", "9"]).status.code(), Some(1));
}

#[test]
fn wrong_words_are_refused_with_exit_code_two() {
    let nowhere = Path::new("/nonexistent/ze.sock");
    let nothing = ze(nowhere, &[]);
    assert!(
        nothing.status.code() == Some(2)
            && stderr(&nothing).contains("Usage: ze")
            && stderr(&nothing).contains("doctor")
    );
    for words in [
        &["show"][..],
        &["show", "route", "10.0.0"],
        &["show", "routes", "-4", "-6"],
        &["trace", "-c", "1001"],
        &["trace", "--timeout", "0"],
        &["top", "--interval", "soon"],
        &["show", "trace", "-w", "1"],
    ] {
        let output = ze(nowhere, words);
        let unreachable = stderr(&output).contains("does not answer");
        assert!(output.status.code() == Some(2) || (words.contains(&"-w") && unreachable), "{words:?}");
    }
}

#[test]
fn a_wrong_filter_is_refused_before_anybody_is_asked() {
    let output = ze(Path::new("/nonexistent/ze.sock"), &["trace", "tcp", "port", "70000"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stderr(&output), "error: filter: '70000' is no value for 'port'\n");
}

#[test]
fn a_trace_shows_each_walk_and_says_on_stderr_what_it_waits_for() {
    let running = Running::start(Fake::default());
    let output = running.ze(&["trace", "-c", "2", "--timeout", "5", "icmp", "and", "host", "10.0.0.7"]);
    assert_eq!(stderr(&output), "Waiting up to 5 s for 2 packets: icmp and host 10.0.0.7. Ctrl-C ends.\n");
    let text = stdout(&output);
    let walks: Vec<&str> = text.split("\n\n").collect();
    assert!(
        walks[0].starts_with("packet 1: 98 bytes from lan0") && walks[0].contains("-> tx  out wan0"),
        "{text}"
    );
    assert!(walks[0].contains("ICMP echo request id 7 seq 1") && walks[0].contains("ttl 63"), "{text}");
    assert!(walks[1].starts_with("packet 2:"), "{text}");
    assert!(walks[1].ends_with("no_route: No route leads to the destination."), "{text}");
}

#[test]
fn the_filter_count_and_timeout_reach_the_daemon() {
    let fake = Fake::default();
    let traces = fake.traces.clone();
    let running = Running::start(fake);
    running.ze(&["show", "trace", "-c", "7", "--timeout", "2.5", "udp", "port", "53"]);
    let asked = traces.lock().unwrap().remove(0);
    assert_eq!((asked.filter.as_str(), asked.packets, asked.timeout_ms), ("udp port 53", 7, 2500));
}

#[test]
fn a_trace_without_packets_says_so() {
    let running = Running::start(Fake::default());
    assert_eq!(stdout(&running.ze(&["trace", "arp"])), "No packet matched.\n");
}

#[test]
fn a_stream_that_breaks_shows_what_came_and_fails() {
    let running = Running::start(Fake { trace_fails_after: Some(3), ..Fake::default() });
    let output = running.ze(&["trace", "-c", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("ip4_input"), "{}", stdout(&output));
    assert!(stderr(&output).contains("went away while it answered"), "{}", stderr(&output));
    let running = Running::start(Fake { samples_max: 1, ..Fake::default() });
    let output = running.ze(&["top", "-o", "json", "--interval", "0.1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("ended the stream"), "{}", stderr(&output));
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let running = Running::start(Fake::default());
    let mut child = command(&running.socket(), &["top", "-o", "json", "--interval", "0.1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let rates: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(rates["interval_s"], 1.0);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "");
}

#[test]
fn watching_prints_a_document_a_line_with_rates() {
    let running = Running::start(Fake::default());
    let mut child = command(&running.socket(), &["-o", "json", "show", "interfaces", "-w", "0.1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let line: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert!(line[1]["rates"]["rx_packets_per_s"].as_f64().unwrap() > 0.0, "{line}");
    }
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn top_without_a_terminal_says_what_to_use() {
    let running = Running::start(Fake::default());
    let output = running.ze(&["top"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("top --once"), "{}", stderr(&output));
    let output = ze(Path::new("/nonexistent/ze.sock"), &["top", "--once"]);
    assert!(stderr(&output).contains("Is it running?"), "{}", stderr(&output));
}

#[test]
fn the_doctor_finds_what_is_wrong_and_fails_on_errors() {
    let running = Running::start(Fake::default());
    let output = running.ze(&["doctor", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let has = |check: &str, severity: &str| {
        findings.iter().any(|f| f["check"] == check && f["severity"] == severity)
    };
    // Port "spare" has no device; a fill ring was empty once; the daemon warns; veth leaves checksums unfinished.
    assert!(has("port", "error") && has("fill_starved", "note") && has("fastpath", "warning"), "{report:#}");
    assert!(has("checksums", "note") && !has("law", "ok"), "{report:#}");
    assert_eq!(output.status.code(), Some(1));
    let output = running.ze(&["doctor", "--all"]);
    assert!(stdout(&output).contains("each is accounted for."), "{}", stdout(&output));
}

#[test]
fn the_doctor_works_without_a_daemon() {
    let output = ze(Path::new("/nonexistent/ze.sock"), &["doctor", "--all"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.starts_with("error    ze-fastpath does not answer at /nonexistent/ze.sock: no such file."),
        "{text}"
    );
    assert!(text.contains("Linux "), "{text}");
}

#[test]
fn completions_and_help_need_no_daemon() {
    let nowhere = Path::new("/nonexistent/ze.sock");
    for shell in ["bash", "zsh", "fish"] {
        let output = ze(nowhere, &["completions", shell]);
        assert!(output.status.success() && stdout(&output).contains("neighbors"), "{shell}");
    }
    for words in [
        &["--help"][..],
        &["show", "--help"],
        &["trace", "--help"],
        &["clear", "--help"],
        &["top", "--help"],
        &["doctor", "--help"],
    ] {
        let output = ze(nowhere, words);
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("Examples:"), "{words:?}: {}", stdout(&output));
    }
    assert_eq!(stdout(&ze(nowhere, &["--version"])), concat!("ze ", env!("CARGO_PKG_VERSION"), "\n"));
}
