//! Configurations that are right and what they say; configurations that are wrong, with line and reason.

use ze_config::{Config, ConfigErrors, Object, difference, parse, print};

fn good(text: &str) -> Config {
    parse("good.conf", text).unwrap_or_else(|e| panic!("{e}\n{text}")).config
}

fn bad(text: &str) -> ConfigErrors {
    match parse("bad.conf", text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(errors) => errors,
    }
}

const EDGE: &str = include_str!("../examples/edge.conf");

#[test]
fn the_example_says_what_its_comments_say() {
    let config = good(EDGE);
    let names: Vec<_> = config.interfaces.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["lan0", "lan0.100", "lan0.200", "wan0", "wan0.200", "wan1"]);
    assert_eq!(config.interfaces["lan0.200"].unit.unwrap().vlan, 2200);
    assert_eq!(config.interfaces["lan0.200"].vrf.as_str(), "tenant");
    assert_eq!(config.interfaces["lan0.100"].unit.unwrap().vlan, 100);
    assert_eq!(config.ports["lan0"].device.as_deref(), Some("enp1s0"));
    assert_eq!(config.routes.len(), 8);
    assert!(!config.system.fail_open);
}

#[test]
fn what_is_printed_reads_as_the_same_and_prints_as_the_same() {
    for text in [EDGE, "", EVERYTHING] {
        let config = good(text);
        let printed = print(&config);
        assert_eq!(good(&printed), config, "{printed}");
        assert_eq!(print(&good(&printed)), printed);
    }
}

/// Every leaf of the model, with a value that is not its default.
const EVERYTHING: &str = r#"system { fail-open; }
interfaces {
    lan0 {
        device "enp1s0";
        xdp-mode generic;
        description "a \"quoted\" \\ thing; { }";
        disable;
        vrf blue;
        mtu 1400;
        mac 02:00:5E:10:00:01;
        address 10.0.0.1/24;
        address 2001:0DB8::1/64;
        unit 5 { vlan 7; description d; disable; vrf blue; mtu 1280; mac 02:00:5e:10:00:02; address fe80::5/64; }
    }
    wan0 { xdp-mode native; address 192.0.2.2/31; unit 4094; }
    lan1;
}
vrf blue { static { route 10.1.0.0/16 { prohibit; } route 0.0.0.0/0 { via 10.0.0.2; lookup-vrf default { distance 9; } } } }
vrf red;
static {
    route 0.0.0.0/0 { via 192.0.2.3 { weight 255; distance 254; } interface wan0.4094 { weight 2; distance 3; } }
    route ::/0 { via fe80::1%wan0; via fe80::1%lan1; }
    route 198.51.100.0/24 { blackhole; }
    route 198.51.101.0/24 { reject; }
    route 203.0.113.0/24 { lookup-vrf red { weight 3; } lookup-vrf blue; }
}
"#;

#[test]
fn the_canonical_text_is_this() {
    let expected = r#"system {
    fail-open;
}
interfaces {
    lan0 {
        device enp1s0;
        xdp-mode generic;
        description "a \"quoted\" \\ thing; { }";
        disable;
        vrf blue;
        mtu 1400;
        mac 02:00:5e:10:00:01;
        address 10.0.0.1/24;
        address 2001:db8::1/64;
        unit 5 {
            vlan 7;
            description d;
            disable;
            vrf blue;
            mtu 1280;
            mac 02:00:5e:10:00:02;
            address fe80::5/64;
        }
    }
    lan1 {
    }
    wan0 {
        xdp-mode native;
        address 192.0.2.2/31;
        unit 4094 {
        }
    }
}
vrf blue {
    static {
        route 0.0.0.0/0 {
            via 10.0.0.2;
            lookup-vrf default {
                distance 9;
            }
        }
        route 10.1.0.0/16 {
            prohibit;
        }
    }
}
vrf red {
}
static {
    route 0.0.0.0/0 {
        interface wan0.4094 {
            weight 2;
            distance 3;
        }
        via 192.0.2.3 {
            weight 255;
            distance 254;
        }
    }
    route 198.51.100.0/24 {
        blackhole;
    }
    route 198.51.101.0/24 {
        reject;
    }
    route 203.0.113.0/24 {
        lookup-vrf blue;
        lookup-vrf red {
            weight 3;
        }
    }
    route ::/0 {
        via fe80::1%lan1;
        via fe80::1%wan0;
    }
}
"#;
    assert_eq!(print(&good(EVERYTHING)), expected);
}

/// A configuration, the line that is to blame, and words of the message: path and reason.
const BAD: &[(&str, u32, &str)] = &[
    // Text.
    ("interfaces {\n  lan0 {\n    mtu 1500\n  }\n}", 3, "expected ; or {"),
    ("interfaces {\n  lan0 {\n", 2, "never closed"),
    ("interfaces { }\n}\n", 2, "closes nothing"),
    ("static {\n  route 10.0.0.0/8 { reject; }\n  { }\n}", 3, "without a name"),
    ("interfaces { lan0 {\n description \"x\n y\"; } }", 2, "closing quote"),
    ("\n\n/* never", 3, "no end"),
    ("interfaces {\n lan\u{7}0; }", 2, "U+0007"),
    ("a b c d e f g h i j k l m n o p q r s;", 1, "is a ; missing?"),
    // Words of the model.
    ("interface {\n}", 1, "unknown \"interface\"; did you mean \"interfaces\"?"),
    (
        "interfaces { lan0 {\n  adress 10.0.0.1/24; } }",
        2,
        "interfaces lan0: unknown \"adress\"; did you mean \"address\"?",
    ),
    ("bogus;", 1, "possible: system, static, vrf, interfaces"),
    ("system {\n fail-open yes; }", 2, "unexpected \"yes\": fail-open; is right"),
    ("interfaces { lan0 {\n mtu; } }", 2, "mtu VALUE; is right"),
    ("interfaces { lan0 {\n mtu 1400 1500; } }", 2, "unexpected \"1500\""),
    ("interfaces { lan0 {\n mtu { } } }", 2, "mtu has no block"),
    ("interfaces {\n lan0 wan0; }", 2, "unexpected \"wan0\""),
    ("static { route {\n reject; } }", 1, "route NAME { … } is right"),
    ("static x { }", 1, "unexpected \"x\""),
    // Twice.
    ("interfaces { lan0; }\ninterfaces { wan0; }", 2, "second time, first on line 1"),
    ("interfaces {\n lan0;\n lan0; }", 3, "\"lan0\" stands here for the second time, first on line 2"),
    ("interfaces { lan0 {\n mtu 1400;\n mtu 1500; } }", 3, "second time"),
    ("interfaces { lan0 {\n address 10.0.0.1/24;\n address 10.0.0.1/24; } }", 3, "second time"),
    (
        "static {\n route 2001:0db8::/32 { reject; }\n route 2001:db8::/32 { reject; } }",
        3,
        "line 2 in another spelling",
    ),
    ("interfaces { lan0 { address 2001:db8:0::1/64;\n address 2001:db8::1/64; } }", 2, "another spelling"),
    ("static { route ::/0 { via 2001:db8:0::1;\n via 2001:db8::1; } }", 2, "the same nexthop"),
    // Values.
    ("interfaces {\n 0lan; }", 2, "starts with a letter"),
    ("interfaces {\n averylongname123; }", 2, "1 to 15 characters"),
    ("interfaces {\n lo; }", 2, "loopback of Linux"),
    ("interfaces { lan0 {\n mtu 67; } }", 2, "interfaces lan0 mtu: an MTU is 68 to 9000"),
    ("interfaces { lan0 {\n mtu 9001; } }", 2, "68 to 9000"),
    ("interfaces { lan0 {\n mtu big; } }", 2, "Largest layer 3 packet"),
    ("interfaces { lan0 {\n mtu -1; } }", 2, "mtu"),
    ("interfaces { lan0 {\n mtu 1279;\n address 2001:db8::1/64; } }", 2, "RFC 8200"),
    ("interfaces { lan0 {\n mac 01:00:5e:00:00:01; } }", 2, "unicast Ethernet address"),
    ("interfaces { lan0 {\n mac 00:00:00:00:00:00; } }", 2, "no device has this address"),
    ("interfaces { lan0 {\n xdp-mode natve; } }", 2, "auto, native or generic"),
    ("interfaces { lan0 {\n device a/b; } }", 2, "no blanks and no /"),
    ("interfaces { lan0 {\n vrf blue; } }", 2, "interfaces lan0 vrf: there is no such VRF"),
    ("vrf\n default { }", 2, "exists always"),
    ("vrf\n \"a b\" { }", 2, "letters, digits"),
    ("vrf\n \"a'b\" { }", 2, "letters, digits"),
    ("interfaces { lan0 {\n unit 0; } }", 2, "a unit's number is 1 to 4094"),
    ("interfaces { lan0 {\n unit 4095; } }", 2, "1 to 4094"),
    ("interfaces { lan0 { unit 1 {\n vlan 4095; } } }", 2, "lan0 unit 1 vlan: a VLAN number is 1 to 4094"),
    ("interfaces { longname0123 {\n unit 100; } }", 2, "longname0123.100 has 16 characters"),
    ("interfaces { lan0 { unit 5; unit 6 {\n vlan 5; } } }", 1, "VLAN 5 is used by lan0.5 already"),
    ("interfaces { lan0;\n lan1 { device lan0; } }", 2, "device lan0 is used by lan0 already"),
    // Addresses.
    ("interfaces { lan0 {\n address 10.0.0.1; } }", 2, "prefix length, like 192.0.2.1/24"),
    ("interfaces { lan0 {\n address 10.0.0.300/24; } }", 2, "\"10.0.0.300\" is no IP address"),
    ("interfaces { lan0 {\n address 10.0.0.1/33; } }", 2, "at most 32"),
    ("interfaces { lan0 {\n address 2001:db8::1/129; } }", 2, "at most 128"),
    ("interfaces { lan0 {\n address 10.0.0.0/24; } }", 2, "the network itself"),
    ("interfaces { lan0 {\n address 10.0.0.255/24; } }", 2, "the broadcast address"),
    ("interfaces { lan0 {\n address 127.0.0.1/8; } }", 2, "loopback"),
    ("interfaces { lan0 {\n address 224.0.0.1/4; } }", 2, "multicast"),
    ("interfaces { lan0 {\n address 0.1.2.3/8; } }", 2, "this network"),
    ("interfaces { lan0 {\n address 240.0.0.1/8; } }", 2, "reserved"),
    ("interfaces { lan0 {\n address ::ffff:10.0.0.1/120; } }", 2, "IPv4-mapped"),
    ("interfaces { lan0 {\n address 10.0.0.1/0; } }", 2, "1 is the least"),
    (
        "interfaces { lan0 { address 10.0.0.1/24; }\n lan1 { address 10.0.0.1/16; } }",
        2,
        "this address is on lan0 already",
    ),
    (
        "interfaces { lan0 { address 10.0.0.1/24; }\n lan1 { address 10.0.0.2/24; } }",
        2,
        "this network is on lan0 already",
    ),
    // Routes.
    (
        "static {\n route 10.0.0.1/8 { reject; } }",
        2,
        "static route 10.0.0.1/8: host bits are set; the prefix is 10.0.0.0/8",
    ),
    ("static {\n route ten { reject; } }", 2, "not a prefix like"),
    ("static {\n route 224.0.0.0/4 { reject; } }", 2, "multicast"),
    ("static {\n route fe80::/10 { reject; } }", 2, "never routed"),
    ("static {\n route 10.0.0.0/8; }", 2, "needs via, interface, lookup-vrf, blackhole"),
    ("static {\n route 10.0.0.0/8 { reject; blackhole; } }", 2, "stand alone"),
    ("static {\n route 10.0.0.0/8 { reject; via 10.0.0.1; } }", 2, "stand alone"),
    ("static { route 10.0.0.0/8 {\n via here; } }", 2, "not a gateway like"),
    ("static { route 10.0.0.0/8 {\n via 1.2.3; } }", 2, "no IP address"),
    ("static { route 10.0.0.0/8 {\n via 2001:db8::1; } }", 2, "other address family"),
    ("static { route ::/0 {\n via fe80::1; } }", 2, "needs its interface: fe80::1%wan0"),
    ("static { route ::/0 {\n via fe80::1%wan0; } }", 2, "there is no interface wan0"),
    ("interfaces { wan0; }\nstatic { route ::/0 {\n via fe80::1%wan; } }", 3, "did you mean wan0?"),
    ("static { route 10.0.0.0/8 {\n interface wan0; } }", 2, "there is no interface wan0"),
    (
        "vrf blue;\ninterfaces { lan0 { vrf blue; } }\nstatic { route 10.0.0.0/8 {\n interface lan0; } }",
        4,
        "lan0 is in VRF blue, the route in VRF default: lookup-vrf blue leads there",
    ),
    // Leaks.
    ("static { route 10.0.0.0/8 {\n lookup-vrf blue; } }", 2, "lookup-vrf blue: there is no VRF blue"),
    ("vrf blue;\nstatic { route 10.0.0.0/8 {\n lookup-vrf bleu; } }", 3, "did you mean blue?"),
    ("static { route 10.0.0.0/8 {\n lookup-vrf default; } }", 2, "the route is in VRF default itself"),
    ("vrf blue { static { route ::/0 {\n lookup-vrf blue; } } }", 2, "the route is in VRF blue itself"),
    ("static { route 10.0.0.0/8 {\n lookup-vrf \"a b\"; } }", 2, "letters, digits"),
    ("vrf blue;\nstatic { route 10.0.0.0/8 {\n blackhole; lookup-vrf blue; } }", 2, "stand alone"),
    (
        "vrf blue { static { route 10.0.0.0/8 { lookup-vrf default; } } }\nstatic { route 10.0.0.0/8 { lookup-vrf blue; } }",
        1,
        "vrf blue static route 10.0.0.0/8: packets would go in a circle, from VRF blue to default to blue",
    ),
    (
        // The circle is for a part of one of the prefixes only.
        "vrf blue { static { route 0.0.0.0/0 { lookup-vrf default; } } }\nstatic {\n route 10.1.0.0/16 { lookup-vrf blue; } }",
        3,
        "in a circle, from VRF default to blue to default",
    ),
    (
        "vrf a { static { route ::/0 { lookup-vrf b; } } } vrf b { static { route ::/0 { lookup-vrf c; } } }
         vrf c { static { route ::/0 { lookup-vrf d; } } } vrf d { static { route ::/0 { lookup-vrf default; } } }
         static {\n route ::/0 { lookup-vrf e; } }\n vrf e;",
        1,
        "looked up in too many VRFs, from a to b to c to d to default to e: 4 after the first",
    ),
    (
        "interfaces { lan0 { address 10.0.0.1/24; } }\nstatic { route 10.1.0.0/16 {\n via 10.0.0.1; } }",
        3,
        "the router itself",
    ),
    ("static { route 10.0.0.0/8 { via 10.0.0.1 {\n weight 0; } } }", 2, "a weight is 1 to 255"),
    ("static { route 10.0.0.0/8 { via 10.0.0.1 {\n weight 256; } } }", 2, "weight"),
    ("static { route 10.0.0.0/8 { via 10.0.0.1 {\n distance 255; } } }", 2, "a distance is 1 to 254"),
    (
        "vrf blue { static {\n route 10.0.0.1/8 { reject; } } }",
        2,
        "vrf blue static route 10.0.0.1/8: host bits",
    ),
];

#[test]
fn what_is_wrong_is_said_with_its_line_path_and_reason() {
    let mut wrong = Vec::new();
    for (text, line, words) in BAD {
        let errors = match parse("bad.conf", text) {
            Err(errors) => errors,
            Ok(_) => {
                wrong.push(format!("accepted: {text:?}"));
                continue;
            }
        };
        let hit = errors
            .errors
            .iter()
            .any(|e| e.position.map(|p| p.line) == Some(*line) && e.to_string().contains(words));
        if !hit {
            wrong.push(format!("{text:?}: expected line {line} {words:?}, found\n{errors}"));
        }
        if errors.errors.len() > 1 {
            wrong.push(format!("{text:?}: one mistake, several errors\n{errors}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn an_error_reads_as_compilers_write_it() {
    let errors = bad("interfaces {\n    lan0 {\n        mtu 20000;\n    }\n}\n");
    assert_eq!(errors.to_string(), "bad.conf:3:13: interfaces lan0 mtu: an MTU is 68 to 9000 bytes");
}

#[test]
fn several_errors_are_reported_at_once_in_the_order_of_the_text() {
    let errors = bad("system { fail-opn; }\ninterfaces { lan0 { mtu 1; mac x;\n adress 1; } }\n");
    let lines: Vec<_> = errors.errors.iter().map(|e| e.position.unwrap().line).collect();
    assert_eq!(lines, [1, 2, 2, 3], "{errors}");
    // Those that libyang's validation finds, too, and those that are found after it.
    let errors = bad("interfaces { a { vrf x; }\n b { vrf y; } }\nstatic { route 10.0.0.0/8; }");
    assert_eq!(errors.errors.len(), 3, "{errors}");
    let errors = bad("static { route 10.0.0.1/8 { reject; }\n route 10.0.0.2/8 { reject; } }");
    assert_eq!(errors.errors.len(), 2, "{errors}");
}

#[test]
fn no_more_errors_are_shown_than_a_person_reads() {
    let text: String = (0..50).map(|n| format!("bogus{n};\n")).collect();
    let errors = bad(&text);
    assert_eq!((errors.errors.len(), errors.more), (20, 30));
    assert!(errors.to_string().ends_with("and 30 more"));
}

#[test]
fn a_file_that_can_not_be_read_says_why() {
    let error = ze_config::load("/nonexistent/ze.conf".as_ref()).unwrap_err();
    assert!(error.to_string().starts_with("/nonexistent/ze.conf: No such file"), "{error}");
    let file = std::env::temp_dir().join(format!("ze-config-test-{}.conf", std::process::id()));
    std::fs::write(&file, b"system {\n fail-\xff\n}").unwrap();
    let error = ze_config::load(&file).unwrap_err();
    std::fs::remove_file(&file).unwrap();
    assert!(error.to_string().ends_with(":2:7: this is not UTF-8 text"), "{error}");
}

#[test]
fn objects_of_a_document_know_their_lines() {
    let document = parse("edge.conf", EDGE).unwrap();
    let line_of = |text: &str| EDGE.lines().position(|line| line.contains(text)).unwrap() + 1;
    let name = |text: &str| document.config.interfaces.get_key_value(text).unwrap().0.clone();
    let key = document.config.routes.keys().find(|key| key.prefix.to_string() == "10.20.0.0/16").unwrap();
    for (object, text) in [
        (Object::Port(name("wan1")), "wan1 {"),
        (Object::Interface(name("lan0.200")), "unit 200"),
        (Object::Address(name("lan0"), "10.0.0.1/24".parse().unwrap()), "address 10.0.0.1/24"),
        (Object::Route(key.clone()), "route 10.20"),
        (Object::Vrf(document.config.vrfs.first().unwrap().clone()), "vrf tenant {"),
    ] {
        let error = document.error(&object, "refused");
        assert_eq!(error.position.unwrap().line as usize, line_of(text), "{object}");
    }
}

#[test]
fn a_difference_names_each_object_and_sums_up() {
    let old =
        good("interfaces { lan0 { address 10.0.0.1/24; } wan0; } static { route 10.1.0.0/16 { reject; } }");
    let new = good(
        "interfaces { lan0 { mtu 1400; address 10.0.0.2/24; } wan0 { xdp-mode native; } }
         vrf blue { static { route 10.2.0.0/16 { reject; } route 10.3.0.0/16 { reject; } } }",
    );
    let found = difference(&old, &new);
    assert_eq!(
        found.to_string(),
        "1 VRF added, 1 port changed, 1 interface changed, 1 address added, 1 removed, 2 routes added, 1 removed"
    );
    assert_eq!(
        found.removed.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["interfaces lan0 address 10.0.0.1/24", "static route 10.1.0.0/16"]
    );
    assert!(difference(&new, &new).is_empty());
    assert_eq!(difference(&new, &new).to_string(), "nothing changed");
}

#[test]
fn ten_thousand_routes_are_read_in_reasonable_time() {
    let route = |n: u32| format!("route 10.{}.{}.0/24 {{ via 192.0.2.1; }}\n", n / 250, n % 250);
    let text: String = (0..10_000).map(route).collect();
    let start = std::time::Instant::now();
    assert_eq!(good(&format!("static {{ {text} }}")).routes.len(), 10_000);
    // Quadratic behaviour would take minutes.
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
}

/// Leaks that lead somewhere, though a hasty check might think otherwise.
#[test]
fn leaks_without_a_circle_are_taken() {
    for text in [
        // There and back are different destinations.
        "vrf blue { static { route 10.0.0.0/8 { lookup-vrf default; } } } static { route 172.16.0.0/12 { lookup-vrf blue; } }",
        // A longer route ends it.
        "vrf blue { static { route 0.0.0.0/0 { lookup-vrf default; } route 10.0.0.0/8 { reject; } } }
         static { route 10.0.0.0/8 { lookup-vrf blue; } }",
        // A connected prefix ends it.
        "interfaces { lan0 { vrf blue; address 10.0.0.1/24; } }
         vrf blue { static { route 0.0.0.0/0 { lookup-vrf default; } } }
         static { route 10.0.0.0/24 { lookup-vrf blue; } }",
        // Each other's last resort.
        "vrf blue { static { route 0.0.0.0/0 { via 10.0.0.2; lookup-vrf default { distance 10; } } } }
         static { route 0.0.0.0/0 { via 192.0.2.1; lookup-vrf blue { distance 10; } } }",
        // As many as are possible.
        "vrf a { static { route ::/0 { lookup-vrf b; } } } vrf b { static { route ::/0 { lookup-vrf c; } } }
         vrf c { static { route ::/0 { lookup-vrf default; } } } static { route ::/0 { lookup-vrf e; } } vrf e;",
    ] {
        let config = good(text);
        assert_eq!(good(&print(&config)), config);
    }
}

#[test]
fn a_circle_is_found_whatever_leads_into_it() {
    // red leads into the circle of blue and default, and is itself in none.
    let errors = bad("vrf blue { static { route ::/0 { lookup-vrf default; } } }
        vrf red { static { route 2001:db8::/32 { lookup-vrf blue; } } }
        static { route ::/0 { lookup-vrf blue; } }");
    assert_eq!(errors.errors.len(), 1, "{errors}");
    assert!(
        errors.to_string().contains("vrf blue static route ::/0: packets would go in a circle"),
        "{errors}"
    );
    // A disabled interface's prefix is not connected, and ends nothing.
    let errors = bad("interfaces { lan0 { vrf blue; disable; address 10.0.0.1/24; } }
        vrf blue { static { route 0.0.0.0/0 { lookup-vrf default; } } }
        static { route 10.0.0.0/24 { lookup-vrf blue; } }");
    assert!(errors.to_string().contains("from VRF default to blue to default"), "{errors}");
}
