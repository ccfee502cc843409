use super::*;

fn first(addresses: &str, count: u32) -> Vec<String> {
    let addresses: Addresses = addresses.parse().unwrap();
    let mut random = Random::new(1, 0);
    (0..count).map(|flow| addresses.of(flow, &mut random).unwrap().to_string()).collect()
}

#[test]
fn ranges_and_lists_come_by_turns() {
    assert_eq!(first("10.0.0.9-10.0.0.10", 3), ["10.0.0.9", "10.0.0.10", "10.0.0.9"]);
    assert_eq!(first("2001:db8::ff-2001:db8::100", 2), ["2001:db8::ff", "2001:db8::100"]);
    assert_eq!(first("10.0.0.1,10.9.0.1", 3), ["10.0.0.1", "10.9.0.1", "10.0.0.1"]);
    let ports = |text: &str| -> Vec<u16> {
        let ports: Ports = text.parse().unwrap();
        (0..3).map(|flow| ports.of(flow, &mut Random::new(1, 0)).unwrap()).collect()
    };
    assert_eq!(ports("53"), [53; 3]);
    assert_eq!(ports("65534-65535"), [65534, 65535, 65534]);
    assert_eq!(ports("7,9"), [7, 9, 7]);
}

#[test]
fn random_values_are_the_same_for_a_seed_and_stay_in_their_prefix() {
    for text in ["random:198.18.0.0/30", "random:2001:db8::/120,2001:db8:1::/64"] {
        let addresses: Addresses = text.parse().unwrap();
        let Addresses::Random(nets) = &addresses else { panic!("{addresses:?}") };
        let draw = |seed| -> Vec<IpAddr> {
            let mut random = Random::new(seed, 0);
            (0..100).map(|flow| addresses.of(flow, &mut random).unwrap()).collect()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(draw(1).iter().all(|address| nets.iter().any(|net| net.contains(address))), "{text}");
    }
    let hosts = first("random:198.18.0.0/30", 100);
    assert!(hosts.iter().all(|host| ["198.18.0.1", "198.18.0.2"].contains(&host.as_str())), "{hosts:?}");
    let mut random = Random::new(3, 0);
    assert!((0..1000).all(|flow| Ports::Random.of(flow, &mut random).unwrap() >= 1024));
}

#[test]
fn what_is_no_value_is_refused_with_the_word() {
    for (text, reason) in [
        ("10.0.0.2-10.0.0.1", "ends before it begins"),
        ("0.0.0.0-255.255.255.255", "no range of at most"),
        ("10.0.0.1-2001:db8::1", "mixes families"),
        ("10.0.0.1,2001:db8::1", "mixes families"),
        ("random:10.0.0.0/8,2001:db8::/32", "mixes families"),
        ("10.0.0.0/8", "random:10.0.0.0/8 takes hosts of it"),
        ("10.0.0.256", "'10.0.0.256' is no address"),
        ("random:10.0.0.0", "no prefix"),
    ] {
        let refused = text.parse::<Addresses>().unwrap_err();
        assert!(refused.contains(reason), "{refused}");
    }
    assert!("9-7".parse::<Ports>().is_err() && "65536".parse::<Ports>().is_err());
}

#[test]
fn a_range_that_runs_out_of_addresses_says_so_instead_of_wrapping() {
    let addresses = Addresses::Range { first: "255.255.255.255".parse().unwrap(), count: 2 };
    assert_eq!(addresses.of(1, &mut Random::new(0, 0)), None);
}
