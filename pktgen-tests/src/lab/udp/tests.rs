use super::*;

fn packet(stream: u64, sequence: u64) -> Vec<u8> {
    let mut packet = vec![0; 40];
    fill(&mut packet, stream, sequence);
    packet
}

fn received() -> Received {
    Received { counts: UdpCounts::default(), window: SequenceWindow::new(), last_arrival: None }
}

#[test]
fn a_packet_is_of_its_stream_and_unchanged_or_corrupted() {
    assert_eq!(parse(&packet(5, 300), 5), Some(300));
    assert_eq!(parse(&packet(5, 300)[..16], 5), Some(300), "a header alone");
    assert_eq!(parse(&packet(5, 300)[..15], 5), None);
    assert_eq!(parse(&packet(4, 300), 5), None);
    let mut wrong = packet(5, 300);
    wrong[39] ^= 1;
    assert_eq!(parse(&wrong, 5), None);
}

#[test]
fn each_arrival_is_counted_as_what_it_is_and_the_longest_gap_is_kept() {
    let mut received = received();
    let start = Instant::now();
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    for (sequence, milliseconds) in [(0, 0), (1, 1), (3, 2), (2, 30), (3, 31), (4, 32)] {
        received.take(9, &packet(9, sequence), at(milliseconds));
    }
    received.take(9, b"not ours", at(33));
    let expected = UdpCounts {
        received: 5,
        duplicates: 1,
        reordered: 1,
        corrupted: 1,
        longest_gap: Duration::from_millis(28),
        ..UdpCounts::default()
    };
    assert_eq!(received.counts, expected);
}
