use super::*;

#[test]
fn the_blocks_make_up_the_transfer() {
    let block = BLOCK_BYTES as u64;
    for total in [0, 1, block - 1, block, block + 1, 10 * block + 7] {
        let blocks: Vec<_> = blocks(total).collect();
        assert_eq!(blocks.iter().map(|(_, length)| *length as u64).sum::<u64>(), total);
        assert!(blocks.iter().all(|(_, length)| (1..=BLOCK_BYTES).contains(length)));
        assert!(blocks.iter().map(|(number, _)| *number).eq(0..blocks.len() as u64));
    }
}

#[test]
fn a_wrong_number_is_seen_in_each_block_and_a_wrong_byte_in_each_that_is_checked_whole() {
    let block = pattern();
    let mut wrong_end = block.clone();
    wrong_end[BLOCK_BYTES - 1] ^= 1;
    let mut wrong_number = block.clone();
    wrong_number[0] ^= 1;
    for number in 0..2 * BLOCKS_PER_FULL_CHECK {
        assert!(block_is_right(number, &block, &block));
        assert!(!block_is_right(number, &wrong_number, &block));
        let whole = number % BLOCKS_PER_FULL_CHECK == 0;
        assert_eq!(!block_is_right(number, &wrong_end, &block), whole, "block {number}");
    }
    assert!(block_is_right(1, &block[..3], &block[..3]), "shorter than its number");
}

#[test]
fn the_pattern_does_not_repeat_at_the_distance_of_a_segment() {
    let block = pattern();
    for distance in [1, 1448, 1428, 4096, 65_536] {
        let same = block.iter().zip(&block[distance..]).filter(|(one, other)| one == other).count();
        // One byte in 256 is the same by chance.
        assert!(same < BLOCK_BYTES / 128, "{same} bytes of {BLOCK_BYTES} at {distance}");
    }
}

/// A connection over the loopback device, on which `send` and `receive` work like on any other.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
    (client, listener.accept().expect("a client").0)
}

#[test]
fn a_wrong_byte_on_the_way_is_corruption_at_its_block() {
    let (mut client, server) = connection();
    let total = 2 * BLOCK_BYTES as u64;
    let received = AtomicU64::new(0);
    let result = thread::scope(|scope| {
        scope.spawn(move || {
            let mut block = pattern();
            block[..8].copy_from_slice(&0_u64.to_le_bytes());
            client.write_all(&block).expect("open");
            // The first block once more: its number is wrong here.
            client.write_all(&block).expect("open");
        });
        receive(&server, total, &received)
    });
    assert!(matches!(result, Err(Stop::Corrupt { offset }) if offset == BLOCK_BYTES as u64));
}

#[test]
fn a_connection_that_ends_early_is_an_error() {
    let (client, server) = connection();
    let received = AtomicU64::new(0);
    let result = thread::scope(|scope| {
        scope.spawn(move || send(&client, 1000).is_ok());
        receive(&server, 1001, &received)
    });
    assert!(matches!(result, Err(Stop::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof));
    assert_eq!(received.into_inner(), 1000);
}
