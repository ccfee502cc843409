use std::collections::HashMap;
use std::net::Ipv4Addr;

use ze_packet::MacAddr;

use super::*;
use crate::lab::{Lab, VethOptions};
use crate::require_lab_with_xdp;
use crate::traffic::{Addresses, PacketSpec, Ports, Sink, Sizes, Transport};

fn sent(packets: u64, ms: u64) -> Sent {
    Sent { packets, elapsed: Duration::from_millis(ms), ..Sent::default() }
}

#[test]
fn bursts_are_small_at_low_rates() {
    let burst = |pps| {
        let plan = Plan::new(Rate::PacketsPerSecond(pps), Stop::Packets(1)).unwrap();
        (plan.schedule.burst, plan.schedule.interval_ps)
    };
    assert_eq!(burst(10_000.0), (1, 100_000_000));
    assert_eq!(burst(1e6), (50, 1_000_000));
    assert_eq!(burst(4e6), (BURST_MAX, 250_000));
}

#[test]
fn pages_are_enough_for_packets_and_for_the_time_between_them() {
    let pages = |rate| Plan::new(rate, Stop::Packets(1)).unwrap().pages(1000);
    assert_eq!(pages(Rate::Max), 1000);
    assert_eq!(pages(Rate::PacketsPerSecond(1e6)), 1000 + 1_000_000 / 40);
}

#[test]
fn a_time_at_a_rate_is_a_number_of_packets_in_turns() {
    let plan = Plan::new(Rate::PacketsPerSecond(1e6), Stop::Time(Duration::from_secs(5))).unwrap();
    assert_eq!(plan.turn(&Sent::default()), Some(2_000_000));
    assert_eq!(plan.turn(&sent(4_000_000, 4000)), Some(1_000_000));
    // A turn that a signal has ended early leaves the rest to the next.
    assert_eq!(plan.turn(&sent(4_999_999, 7000)), Some(1));
    assert_eq!(plan.turn(&sent(5_000_000, 5000)), None);
}

#[test]
fn without_a_rate_later_turns_are_as_long_as_the_first_was_fast() {
    let plan = Plan::new(Rate::Max, Stop::Time(Duration::from_secs(1))).unwrap();
    assert_eq!(plan.turn(&Sent::default()), Some(FIRST_TURN_PACKETS));
    assert_eq!(plan.turn(&sent(200_000, 100)), Some(1_800_000));
    assert_eq!(plan.turn(&sent(1_995_000, 995)), None);
    let plan = Plan::new(Rate::Max, Stop::Packets(7)).unwrap();
    assert_eq!((plan.turn(&Sent::default()), plan.turn(&sent(7, 1))), (Some(7), None));
}

#[test]
fn a_rate_at_which_the_kernel_would_wait_too_long_is_refused() {
    let refused = Plan::new(Rate::PacketsPerSecond(99.0), Stop::Packets(1)).err().unwrap();
    assert!(refused.to_string().contains("99 packets a second"), "{refused}");
}

const FLOWS: u64 = 3;

fn packets(sizes: &str) -> Packets {
    let spec = PacketSpec {
        to_mac: MacAddr([2, 0, 0, 0, 0, 1]),
        from_mac: MacAddr([2, 0, 0, 0, 0, 2]),
        layers: Vec::new(),
        transport: Transport::Udp,
        sources: Addresses::one(Ipv4Addr::new(192, 0, 2, 1).into()),
        destinations: Addresses::Random(vec!["198.18.0.0/15".parse().unwrap()]),
        source_ports: Ports::Random,
        destination_ports: Ports::Random,
        flows: FLOWS as u32,
        sizes: sizes.parse::<Sizes>().unwrap(),
        seed: 1,
    };
    Packets::new(&spec).unwrap()
}

/// Destinations of what arrives, each packet whole.
fn arrivals(sink: &mut Sink, packets: &Packets, wanted: u64) -> HashMap<Vec<u8>, u64> {
    let mut all = HashMap::new();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while all.values().sum::<u64>() < wanted && std::time::Instant::now() < deadline {
        sink.poll(|frame| {
            if packets.signature(frame).is_some() {
                assert!(packets.is_intact(frame), "{frame:?}");
                *all.entry(frame[30..34].to_vec()).or_default() += 1;
            }
        });
    }
    all
}

#[test]
fn every_flow_arrives_whole_and_as_often_as_it_should() {
    require_lab_with_xdp!();
    let lab = Lab::new("live").unwrap();
    let host = lab.quiet_namespace("host").unwrap();
    lab.veth(&host, "live0", &host, "live1", &VethOptions::default()).unwrap();
    let mut generator = host.run(|| LiveGenerator::open("live0")).unwrap().unwrap();
    let mut sink = host.run(|| Sink::open("live1")).unwrap().unwrap();
    // Longer than what the program writes: the rest comes from the template.
    for size in ["64", "512"] {
        let packets = packets(size);
        host.run(|| generator.load(&packets)).unwrap().unwrap();
        let (rate, stop) = (Rate::PacketsPerSecond(50_000.0), Stop::Packets(30 * FLOWS));
        let sent = generator.send(rate, stop, &Interrupt::default()).unwrap();
        assert_eq!(sent.packets, 30 * FLOWS);
        let flows = arrivals(&mut sink, &packets, 30 * FLOWS);
        assert!(flows.len() as u64 == FLOWS && flows.values().all(|count| *count == 30), "{flows:?}");
    }
    generator.close();
    sink.close();
}

#[test]
fn a_mix_of_sizes_and_a_send_before_a_load_are_refused() {
    require_lab_with_xdp!();
    let lab = Lab::new("live").unwrap();
    let host = lab.quiet_namespace("host").unwrap();
    lab.veth(&host, "live0", &host, "live1", &VethOptions::default()).unwrap();
    let mut generator = host.run(|| LiveGenerator::open("live0")).unwrap().unwrap();
    let early = generator.send(Rate::Max, Stop::Packets(1), &Interrupt::default()).unwrap_err();
    assert!(early.to_string().contains("nothing to send"), "{early}");
    let mixed = host.run(|| generator.load(&packets("imix"))).unwrap().unwrap_err();
    assert!(mixed.to_string().contains("one size"), "{mixed}");
    generator.close();
}
