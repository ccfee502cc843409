use super::*;

const ROUTER: &str = "
ports: {lan0: 02:00:00:00:01:01}
interfaces: {lan0: {port: lan0, addresses: [10.0.1.1/24]}}
neighbors: [{interface: lan0, address: 10.0.1.2, mac: 02:00:00:00:01:02}]
let: {host: 'eth 02:00:00:00:01:02>02:00:00:00:01:01'}
";

/// Reads a scenario file with a router beside it.
fn read_text(router: &str, text: &str) -> Result<Vec<Scenario>, String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("router.yaml"), router).unwrap();
    let file = directory.path().join("s.yaml");
    std::fs::write(&file, text).unwrap();
    read(&file).map_err(|error| error.to_string().replace(&directory.path().display().to_string(), ""))
}

fn scenario(steps_and_more: &str) -> Result<Scenario, String> {
    let text =
        format!("router: router.yaml\nlet: {{u: udp 1>2}}\nscenarios:\n- name: one\n{steps_and_more}\n");
    read_text(ROUTER, &text).map(|mut all| all.remove(0))
}

#[test]
fn a_file_becomes_steps_and_amounts() {
    let read = scenario(
        "  only: {on: mem, because: it is quick}
  steps:
  - send 2x lan0: $host / ip4 10.0.1.2>10.0.9.9 id={n} / $u
  - wait: 1500ms
  - expect host lan0: $host / ip4 10.0.1.2>10.0.9.9 id=? / $u
  drops: {no_route: 3}
  punts: {icmp: 1..4}
  counters: {lan0.rx.packets: 2, policed.icmp: 0}",
    )
    .unwrap();
    assert_eq!((read.steps.len(), read.line, read.steps[0].line), (4, 4, 7));
    let Action::Send(Place::Wire(port), second) = &read.steps[1].action else {
        panic!("{:?}", read.steps[1])
    };
    assert_eq!((port.as_str(), &second[18..20]), ("lan0", &[0, 1][..]), "the number of the repetition");
    assert!(matches!(read.steps[2].action, Action::Wait(time) if time.as_millis() == 1500));
    assert!(matches!(&read.steps[3].action, Action::Expect(Place::Host(name), _) if name == "lan0"));
    assert_eq!(read.drops["no_route"], Amount { least: 3, most: 3 });
    assert_eq!(read.punts["icmp"], Amount { least: 1, most: 4 });
    assert!(read.is_for(BackendKind::Mem) && !read.is_for(BackendKind::Veth));
}

#[test]
fn what_is_wrong_is_told_with_file_line_and_path() {
    let cases = [
        ("  step: []", "/s.yaml:5:3: scenarios[0].step", "unknown field"),
        ("  steps: 5", "/s.yaml:5:10: scenarios[0].steps", "expected"),
        ("  steps:\n  - fetch lan0: eth", "/s.yaml:6:5: scenarios[0].steps[0]", "is no step: send"),
        (
            "  steps:\n  - send lan9: eth",
            "/s.yaml:6:5: scenarios[0].steps[0]",
            "no place 'lan9'; there are: lan0, host lan0",
        ),
        (
            "  steps:\n  - send 0x lan0: eth",
            "/s.yaml:6:5: scenarios[0].steps[0]",
            "repeated 1 to 10000 times",
        ),
        ("  steps:\n  - wait: soon", "/s.yaml:6:11: scenarios[0].steps[0]", "'soon' is no time"),
        ("  steps:\n  - wait: 7200s", "/s.yaml:6:11: scenarios[0].steps[0]", "longer than 3600 s"),
        (
            "  steps:\n  - send lan0: $host / ip5",
            "/s.yaml:6:16: scenarios[0].steps[0]",
            "there is no layer 'ip5'",
        ),
        (
            "  steps:\n  - send lan0: $nobody",
            "/s.yaml:6:16: scenarios[0].steps[0]",
            "there is no abbreviation '$nobody'; there are: host u",
        ),
        (
            "  steps:\n  - send lan0: $host / ip4 ttl=?",
            "/s.yaml:6:16: scenarios[0].steps[0]",
            "no open fields",
        ),
        (
            "  steps: []\n  drops: {no_rote: 1}",
            "/s.yaml:6:20: scenarios[0].drops",
            "nothing is counted as 'no_rote'",
        ),
        (
            "  steps: []\n  drops: {no_route: 5..3}",
            "scenarios[0].drops.no_route",
            "neither a number nor a range",
        ),
        (
            "  steps: []\n  counters: {wan0.rx.packets: 1}",
            "scenarios[0].counters",
            "nothing is counted as 'wan0.rx.packets'",
        ),
        ("  steps: []\n  only: {on: moon, because: it is far}", "scenarios[0].only", "'moon' is neither"),
        (
            "  steps: []\n- name: one\n  steps: []",
            "/s.yaml:6:9: scenarios[1]",
            "is the name of two scenarios",
        ),
        (
            "  let: {a: $b, b: $a}\n  steps:\n  - send lan0: $a",
            "scenarios[0].steps[0]",
            "nested deeper than 8",
        ),
    ];
    for (text, place, reason) in cases {
        let error = scenario(text).map(|read| read.name).expect_err(text);
        assert!(error.contains(place) && error.contains(reason), "{text}\ngives\n{error}");
        assert!(error.starts_with("/s.yaml:") && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn a_router_that_can_not_be_is_told_as_well() {
    let cases = [
        ("ports: {lan0: 02}\ninterfaces: {}", "/router.yaml:1:15: ports.lan0: '02' is no Ethernet address"),
        ("ports: {}\ninterfaces: {a: {port: b}}", "interfaces.a: there is no port 'b'"),
        ("ports: {}\ninterfaces: {a: {prot: b}}", "interfaces.a.prot: unknown field"),
        (
            "ports: {p: 02:00:00:00:00:01}\ninterfaces: {a: {port: p}, b: {port: p}}",
            "a has this port and VLAN already",
        ),
        ("ports: {p: 02:00:00:00:00:01}\ninterfaces: {a: {port: p, vlan: 4095}}", "4095 is no VLAN"),
        ("ports: {p: 02:00:00:00:00:01}\ninterfaces: {a: {port: p, vrf: red}}", "there is no VRF 'red'"),
        (
            "ports: {}\ninterfaces: {}\nroutes: [{prefix: 10.0.0.0/8, via: 10.1.1.1}]",
            "routes[0]: 10.1.1.1 is on no link of this VRF",
        ),
        (
            "ports: {}\ninterfaces: {}\nroutes: [{prefix: 10.0.0.0/8, via: moon}]",
            "'moon' is neither an address, 'vrf NAME', nor one of",
        ),
        (
            "ports: {}\ninterfaces: {}\nneighbors: [{interface: a, address: 10.0.0.1, mac: 02:00:00:00:00:01}]",
            "neighbors[0]: there is no interface 'a'",
        ),
    ];
    for (router, reason) in cases {
        let error =
            read_text(router, "router: router.yaml\nscenarios: []").map(|all| all.len()).expect_err(router);
        assert!(error.starts_with("/router.yaml:") && error.contains(reason), "{router}\ngives\n{error}");
    }
    let missing = read_text(ROUTER, "router: nowhere.yaml\nscenarios: []").unwrap_err();
    assert!(missing.starts_with("/s.yaml:1:9: router: ") && missing.contains("No such file"), "{missing}");
}
