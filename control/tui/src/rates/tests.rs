use ze_proto::v1::{
    DropStats, Interface, InterfaceState, LawTerms, NamedCounter, NodeStats, PortState, QueueStats, Stats,
    Traffic, WorkerStats,
};

use super::*;

/// Two workers after `s` seconds of steady traffic; consistent with the law at every instant.
pub(crate) fn stats(s: u64) -> Stats {
    let law = LawTerms {
        rx: 1000 * s,
        inject: 10 * s,
        tx: 900 * s,
        drop: 100 * s,
        punt: 10 * s,
        ..LawTerms::default()
    };
    let queue = |port: &str| QueueStats {
        port: port.into(),
        rx_packets: 500 * s,
        rx_bytes: 50_000 * s,
        tx_packets: 450 * s,
        tx_bytes: 45_000 * s,
        fill_starved: s,
        fill_level: 1500,
        tx_level: 12,
        ring_size: 2048,
        ..QueueStats::default()
    };
    let worker = |worker| WorkerStats {
        worker,
        core: worker + 1,
        pinned: true,
        busy_cycles: 202_000 * s,
        idle_cycles: 202_000 * s,
        batches: 101 * s,
        pool_free: 4000,
        law: Some(law),
        nodes: vec![NodeStats {
            name: "ip4_lookup".into(),
            batches: 100 * s,
            packets: 1000 * s,
            cycles: 30_000 * s,
            exits: vec![NamedCounter {
                name: "ip4_forward".into(),
                value: 900 * s,
                ..NamedCounter::default()
            }],
        }],
        queues: vec![queue("lan"), queue("wan"), QueueStats { rx_packets: 10 * s, ..queue("rep0") }],
        drops: vec![
            DropStats {
                reason: "no_route".into(),
                sentence: "No route.".into(),
                port: "lan".into(),
                packets: 99 * s,
            },
            DropStats {
                reason: "runt_frame".into(),
                sentence: "Runt.".into(),
                port: "lan".into(),
                packets: s,
            },
        ],
        ..WorkerStats::default()
    };
    Stats {
        at_ns: s * 1_000_000_000,
        instance: 7,
        workers: vec![worker(1), worker(0)],
        ports: vec![PortState { name: "rep0".into(), representor: true, ..PortState::default() }],
        interfaces: vec![InterfaceState {
            interface: Some(Interface { name: "lan0".into(), ..Interface::default() }),
            rx: Some(Traffic { packets: 2000 * s, bytes: 200_000 * s }),
            ..InterfaceState::default()
        }],
        ..Stats::default()
    }
}

#[test]
fn rates_are_differences_over_time() {
    let rates = Rates::between(&stats(10), &stats(12)).unwrap();
    assert_eq!(rates.interval_s, 2.0);
    assert_eq!(rates.workers.iter().map(|w| w.worker).collect::<Vec<_>>(), [0, 1]);
    let worker = &rates.workers[0];
    assert_eq!((worker.rx_packets_per_s, worker.tx_packets_per_s), (1000.0, 900.0));
    assert_eq!((worker.drop_packets_per_s, worker.punt_packets_per_s), (100.0, 10.0));
    assert_eq!((worker.packets_per_batch, worker.cycles_per_packet), (Some(10.0), Some(200.0)));
    assert_eq!(worker.idle_share, Some(0.5));
    let node = &worker.nodes[0];
    assert_eq!((node.cycles_per_packet, node.packets_per_batch), (Some(30.0), Some(10.0)));
    assert_eq!(node.exits[0].packets_per_s, 900.0);
    assert_eq!(rates.interfaces[0].rx_bits_per_s, 1_600_000.0);
    assert_eq!(rates.total(|w| w.rx_packets_per_s), 2000.0);
}

#[test]
fn bits_of_representors_are_not_traffic_of_ports() {
    let rates = Rates::between(&stats(1), &stats(2)).unwrap();
    assert_eq!(rates.workers[0].rx_bits_per_s, 2.0 * 50_000.0 * 8.0);
    assert_eq!(
        rates.workers[0].queues.iter().map(|q| q.representor).collect::<Vec<_>>(),
        [false, false, true]
    );
}

#[test]
fn drops_are_summed_over_workers_and_the_fastest_is_first() {
    let rates = Rates::between(&stats(1), &stats(2)).unwrap();
    let drops: Vec<_> = rates.drops.iter().map(|d| (d.reason.as_str(), d.packets_per_s, d.packets)).collect();
    assert_eq!(drops, [("no_route", 198.0, 396), ("runt_frame", 2.0, 4)]);
}

#[test]
fn nothing_to_divide_by_is_not_a_number_but_nothing() {
    let (older, mut newer) = (stats(5), stats(5));
    newer.at_ns += 1;
    let rates = Rates::between(&older, &newer).unwrap();
    let worker = &rates.workers[0];
    assert_eq!((worker.packets_per_batch, worker.cycles_per_packet, worker.idle_share), (None, None, None));
}

#[test]
fn samples_of_two_instances_or_without_time_between_have_no_rates() {
    let older = stats(1);
    assert_eq!(Rates::between(&older, &Stats { instance: 8, ..stats(2) }), None);
    assert_eq!(Rates::between(&older, &stats(1)), None);
    assert_eq!(Rates::between(&stats(2), &older), None);
}

#[test]
fn a_new_worker_queue_or_node_counts_from_nothing() {
    let rates =
        Rates::between(&Stats { workers: vec![], interfaces: vec![], ..stats(1) }, &stats(2)).unwrap();
    assert_eq!(rates.workers[0].rx_packets_per_s, 2000.0);
    assert_eq!(rates.workers[0].queues[0].rx_packets_per_s, 1000.0);
}

#[test]
fn the_law_is_judged_by_difference_and_by_motion() {
    let at = |rx, tx| LawTerms { rx, tx, ..LawTerms::default() };
    let verdict = |older, newer| Law::between(&older, &newer).verdict;
    assert_eq!(verdict(at(1, 1), at(9, 9)), Verdict::Holds);
    assert_eq!(verdict(at(1, 1), at(9, 5)), Verdict::InFlight);
    assert_eq!(verdict(at(1, 1), at(5000, 904)), Verdict::InFlight);
    assert_eq!(verdict(at(1, 1), at(5001, 904)), Verdict::Broken);
    assert_eq!(verdict(at(9, 5), at(9, 5)), Verdict::Broken);
    let law = Law::between(&at(1, 1), &at(9, 10));
    assert_eq!((law.difference(), Law::between(&at(1, 1), &at(9, 8)).difference()), (-1, 1));
}

#[test]
fn every_term_of_the_law_is_on_its_side() {
    let in_terms = LawTerms { rx: 1, inject: 2, generated: 4, handoff_in: 8, ..LawTerms::default() };
    let out_terms = LawTerms { tx: 1, drop: 2, punt: 4, held: 8, handoff_out: 16, ..LawTerms::default() };
    assert_eq!((Law::entered(&in_terms), Law::left(&in_terms)), (15, 0));
    assert_eq!((Law::entered(&out_terms), Law::left(&out_terms)), (0, 31));
}
