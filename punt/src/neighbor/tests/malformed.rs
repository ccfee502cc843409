//! What a hostile wire may send.

use super::*;

/// SplitMix64.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn bytes(&mut self, max: u64) -> Vec<u8> {
        (0..self.below(max)).map(|_| self.next() as u8).collect()
    }
}

#[test]
fn each_malformation_has_its_counter() {
    let mut host = Host::new(MAC_A, 1);
    let arp = arp::request("10.0.0.2", MAC_B, "10.0.0.1");
    let nd = nd::solicitation((ip6("2001:db8::2"), MAC_B), Some(MAC_B), "2001:db8::1");
    let with = |frame: &[u8], at: usize, value: u8| {
        let mut frame = frame.to_vec();
        frame[at] = value;
        frame
    };
    host.receive(&arp[..41]);
    host.receive(&with(&arp, 14, 9));
    host.receive(&with(&arp, 21, 9));
    host.receive(&with(&arp, 22, 1));
    host.receive(&arp::request("10.0.0.255", MAC_B, "10.0.0.1"));
    host.receive(&arp::reply(ip4("0.0.0.0"), MAC_B, ip4("10.0.0.1"), MAC_A));
    host.receive(&nd[..77]);
    host.receive(&with(&nd, 54, 137));
    host.receive(&with(&nd, 60, 1));
    host.receive(&with(&nd, 21, 64));
    assert_eq!(host.said(), []);
    let c = host.engine.counters();
    let arp =
        [c.malformed_arp_short, c.malformed_arp_type, c.malformed_arp_operation, c.malformed_arp_sender];
    assert_eq!(arp, [1, 1, 1, 3]);
    let nd = [c.malformed_nd_short, c.malformed_nd_type, c.malformed_nd_checksum, c.malformed_nd_hop_limit];
    assert_eq!(nd, [1, 1, 1, 1]);
    let named: u64 = c.iter().filter(|(name, _)| name.starts_with("malformed")).map(|(_, count)| count).sum();
    assert_eq!(named, 10);
}

/// Right messages, broken ones, orders and time in random order: no panic, no limit broken, no packet lost.
#[test]
fn random_input_is_harmless() {
    for seed in 0..40 {
        println!("seed {seed}");
        let mut noise = Noise(seed);
        let limits = Limits { entries_per_interface: 12, entries: 16, held: 10, ..Limits::default() };
        let mut host = Host::with(limits, MAC_A, 1);
        for step in 0..2000 {
            random_step(&mut host, &mut noise);
            host.assert_conserved();
            assert!(host.engine.snapshot(host.now).count() <= 12, "seed {seed} step {step}");
            assert!(host.engine.held() <= 10, "seed {seed} step {step}");
            for neighbor in host.engine.snapshot(host.now) {
                assert_eq!(
                    neighbor.mac.is_some(),
                    neighbor.state.forwards(),
                    "seed {seed} step {step}: {neighbor:?}"
                );
            }
        }
        assert_adjacencies_agree(&host, seed);
    }
}

fn random_step(host: &mut Host, noise: &mut Noise) {
    let now = host.now;
    let last = 2 + noise.below(20) as u8;
    let v6 = noise.below(2) == 0;
    let text = if v6 { format!("2001:db8::{last:x}") } else { format!("10.0.0.{last}") };
    let mac = MacAddr([2, 0, 0, 0, 1, noise.below(3) as u8]);
    match noise.below(12) {
        0..=2 => host.resolve(&text, Some(last)),
        3 | 4 => {
            let mut frame = if v6 {
                let from = ip6(&text);
                let to = ip6("2001:db8::1");
                nd::advertisement(from, Some(mac), (from, mac), to, noise.below(4) as u8)
            } else {
                arp::reply(ip4(&text), mac, ip4("10.0.0.1"), MAC_A)
            };
            if noise.below(4) == 0 {
                let at = 14 + noise.below(frame.len() as u64 - 14) as usize;
                frame[at] ^= 1 << noise.below(8);
            }
            host.receive(&frame);
        }
        5 => {
            let bytes = noise.bytes(64);
            host.engine.handle_arp(IF, mac, MAC_A, &bytes, now);
            let (from, to) = (ip6("fe80::9"), ip6("2001:db8::1"));
            host.engine.handle_nd(IF, mac, from, to, 255, &bytes, now);
        }
        6 => host.engine.in_use(IF, ip(&text), noise.below(3), now),
        7 => host.engine.confirm(IF, ip(&text), now),
        8 if noise.below(8) == 0 => {
            let _ = host.engine.put_static(IF, ip(&text), mac, now);
        }
        8 => {
            host.engine.remove_static(IF, ip(&text), now);
        }
        9 if noise.below(30) == 0 => {
            let up = noise.below(3) > 0;
            host.engine.put_interface(Interface { up, ..interface(MAC_A, 1) }, now);
        }
        9 if noise.below(30) == 0 => host.engine.flush(None, now),
        _ => host.sleep(Duration::from_millis(noise.below(4000))),
    }
    host.collect();
}

/// What the outputs told the fast path equals what the engine believes.
fn assert_adjacencies_agree(host: &Host, seed: u64) {
    let mut told = std::collections::BTreeMap::new();
    for output in &host.outputs {
        match output {
            Output::Resolved { address, mac, .. } => {
                told.insert(*address, *mac);
            }
            Output::Withdrawn { address, .. } => {
                assert!(
                    told.remove(address).is_some(),
                    "seed {seed}: {address} withdrawn, but never resolved"
                );
            }
            Output::Release { address, mac, .. } => assert_eq!(told.get(address), Some(mac), "seed {seed}"),
            Output::Transmit { .. } | Output::Unreachable { .. } => {}
        }
    }
    let known = host
        .engine
        .snapshot(host.now)
        .filter_map(|neighbor| host.engine.mac(IF, neighbor.address).map(|mac| (neighbor.address, mac)));
    assert_eq!(told, known.collect(), "seed {seed}");
}
