use super::*;

/// A pcap file (nanoseconds, little-endian, as its format says it) of these frames.
fn pcap(link: u32, packets: &[(u32, u32, &[u8], u32)]) -> Vec<u8> {
    let mut file = [0xa1b2_3c4d_u32.to_le_bytes(), [2, 0, 4, 0], [0; 4], [0; 4]].concat();
    file.extend([65535_u32.to_le_bytes(), link.to_le_bytes()].concat());
    for (s, ns, data, original) in packets {
        let header = [*s, *ns, data.len() as u32, *original].map(u32::to_le_bytes);
        file.extend(header.concat());
        file.extend(*data);
    }
    file
}

/// The same as pcapng, times in microseconds (the default).
fn pcapng(packets: &[(u64, &[u8])]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let len_bytes = (12 + body.len() as u32).to_le_bytes();
        [&kind.to_le_bytes()[..], &len_bytes, body, &len_bytes].concat()
    };
    let section = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    let mut file = block(0x0a0d_0d0a, &section);
    file.extend(block(1, &[1, 0, 0, 0, 0, 0, 0, 0]));
    for (us, data) in packets {
        let mut body =
            [0_u32.to_le_bytes(), ((us >> 32) as u32).to_le_bytes(), (*us as u32).to_le_bytes()].concat();
        body.extend([(data.len() as u32).to_le_bytes(); 2].concat());
        body.extend(*data);
        body.resize(body.len().next_multiple_of(4), 0);
        file.extend(block(6, &body));
    }
    file
}

fn read(bytes: &[u8]) -> Result<Capture, String> {
    let path = std::env::temp_dir().join(format!(
        "ze-replay-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    fs::write(&path, bytes).unwrap();
    let capture = Capture::read(&path).map_err(|why| why.to_string());
    fs::remove_file(&path).unwrap();
    capture
}

#[test]
fn both_formats_give_frames_with_their_times_from_the_first_on() {
    let (a, b) = ([1; 60], [2; 70]);
    let from_pcap = read(&pcap(1, &[(5, 500, &a, 60), (5, 2500, &b, 70)])).unwrap();
    let wanted = |ns| vec![(Duration::ZERO, a.to_vec()), (Duration::from_nanos(ns), b.to_vec())];
    assert_eq!(from_pcap, Capture { frames: wanted(2000), left_out: 0 });
    let from_pcapng = read(&pcapng(&[(1_700_000_000_000_000, &a), (1_700_000_000_000_007, &b)])).unwrap();
    assert_eq!(from_pcapng, Capture { frames: wanted(7000), left_out: 0 });
}

#[test]
fn what_can_not_be_sent_is_left_out_and_counted() {
    let file = pcap(
        1,
        &[(1, 0, &[0; 13], 13), (2, 0, &[3; 60], 60), (3, 0, &[4; 60], 61), (4, 0, &[5; 1793], 1793)],
    );
    let capture = read(&file).unwrap();
    assert_eq!((capture.frames.len(), capture.left_out), (1, 3));
    assert_eq!(capture.frames[0], (Duration::ZERO, vec![3; 60]));
}

#[test]
fn files_that_are_no_ethernet_captures_are_refused_with_the_reason() {
    for (bytes, reason) in [
        (&b"GET / HTTP/1.1"[..], "is no capture"),
        (&b""[..], "is no capture"),
        (&pcap(101, &[(1, 0, &[0; 60], 60)]), "not Ethernet"),
        (&pcap(1, &[]), "no Ethernet frame"),
        (&pcap(1, &[])[..20], "is no capture: it ends within the header"),
        (&pcap(1, &[(1, 2_000_000_000, &[0; 60], 60)]), "after packet 0: Ts_frac nano too big"),
    ] {
        let refused = read(bytes).unwrap_err();
        assert!(refused.contains(reason), "{refused}");
    }
    assert!(Capture::read(Path::new("/nowhere")).unwrap_err().to_string().contains("/nowhere"));
}

#[test]
fn a_capture_that_is_cut_short_says_so_and_after_which_packet() {
    let frames = [[1; 60], [2; 60], [3; 60]];
    let old = pcap(1, &[0, 1, 2].map(|at| (at as u32, 0, &frames[at][..], 60)));
    let new = pcapng(&[0, 1, 2].map(|at| (at as u64, &frames[at][..])));
    for whole in [old, new] {
        // Within the last packet, within its header, and within the packet before.
        for (gone, packet) in [(1, 2), (70, 2), (100, 1)] {
            let refused = read(&whole[..whole.len() - gone]).unwrap_err();
            let reason =
                format!("is cut short or damaged: it ends in the middle of a record, after packet {packet}");
            assert!(refused.ends_with(&reason), "{refused}");
        }
        // Wherever it ends, it is refused, or holds what is whole of it.
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).ok().is_none_or(|some| some.frames.len() < 3), "{end}");
        }
    }
}

#[test]
fn frames_are_due_as_they_were_captured_as_many_times_as_fast_and_turn_by_turn() {
    let ms = Duration::from_millis;
    let capture = Capture {
        frames: vec![(ms(0), vec![]), (ms(10), vec![]), (ms(40), vec![]), (ms(60), vec![])],
        left_out: 0,
    };
    let due = |number, rate| capture.due(number, rate);
    assert_eq!(due(2, ReplayRate::Times(1.0)), ms(40));
    assert_eq!(due(2, ReplayRate::Times(4.0)), ms(10));
    // The second turn begins 60/4 ms after the end of the first.
    assert_eq!(due(5, ReplayRate::Times(1.0)), ms(85));
    assert_eq!(due(5, ReplayRate::PacketsPerSecond(1000.0)), ms(5));
    assert_eq!(due(5, ReplayRate::Max), ms(0));
}
