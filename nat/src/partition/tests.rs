use super::*;

fn classes() -> [Class; 4] {
    let class = |system, odd| Class { system, odd };
    [class(true, false), class(true, true), class(false, false), class(false, true)]
}

/// The obviously right model: walk all ports and deal out blocks by turns.
fn model(workers: u8, block_ports: u16, address: u32) -> Vec<u8> {
    let mut owner = (address % u32::from(workers)) as u8;
    let mut owners = Vec::with_capacity(1 << 16);
    while owners.len() < 1 << 16 {
        owners.extend(std::iter::repeat_n(owner, usize::from(block_ports)));
        owner = (owner + 1) % workers;
    }
    owners
}

fn partitions() -> impl Iterator<Item = (u8, u16)> {
    [1u8, 2, 3, 4, 5, 7, 8, 13, 16, 31, 64, 255]
        .into_iter()
        .flat_map(|workers| [2u16, 4, 8, 64, 256, 512].map(|block| (workers, block)))
        .filter(|(workers, block)| 1024 / block >= u16::from(*workers))
}

#[test]
fn every_port_has_the_owner_that_dealing_in_turns_gives() {
    for (workers, block) in partitions() {
        let partition = Partition::new(workers, block).unwrap();
        for address in [0, 1, 2, 1000, u32::MAX] {
            let owners = model(workers, block, address);
            for port in 0..=u16::MAX {
                let owner = partition.owner(address, port);
                assert_eq!(
                    owner.0,
                    owners[usize::from(port)],
                    "{workers} workers, block {block}, port {port}"
                );
            }
        }
    }
}

#[test]
fn the_ports_of_all_workers_are_all_ports_once_and_keep_range_and_parity() {
    for (workers, block) in partitions() {
        let partition = Partition::new(workers, block).unwrap();
        let mut seen = vec![0u8; 1 << 16];
        for worker in (0..workers).map(WorkerId) {
            for class in classes() {
                let mut last = None;
                for n in 0..partition.count(worker, 5, class) {
                    let port = partition.nth(worker, 5, class, n).unwrap();
                    assert_eq!((Class::of(port), partition.owner(5, port)), (class, worker));
                    assert!(last < Some(port), "ports ascend");
                    last = Some(port);
                    seen[usize::from(port)] += 1;
                }
                assert_eq!(partition.nth(worker, 5, class, partition.count(worker, 5, class)), None);
            }
        }
        assert_eq!(seen[0], 0, "port 0 is no port");
        assert!(seen[1..].iter().all(|times| *times == 1), "{workers} workers, block {block}");
    }
}

#[test]
fn every_worker_has_ports_of_every_class() {
    for (workers, block) in partitions() {
        let partition = Partition::new(workers, block).unwrap();
        for worker in (0..workers).map(WorkerId) {
            assert!(classes().into_iter().all(|class| partition.count(worker, 0, class) > 0));
        }
    }
}

#[test]
fn an_even_port_and_the_odd_one_above_share_their_owner() {
    let partition = Partition::new(7, 2).unwrap();
    for port in (0..u16::MAX).step_by(2) {
        assert_eq!(partition.owner(3, port), partition.owner(3, port + 1));
    }
}

#[test]
fn what_can_not_be_divided_is_refused_on_the_right_side_of_the_limit() {
    assert_eq!(Partition::new(0, 2), Err(Error::NoWorker));
    for block in [0, 1, 3, 1000] {
        assert_eq!(Partition::new(1, block), Err(Error::Block(block)));
    }
    assert!(Partition::new(64, 16).is_ok());
    assert_eq!(Partition::new(65, 16), Err(Error::TooManyWorkers { workers: 65, block_ports: 16 }));
}

#[test]
fn a_worker_that_is_not_there_owns_nothing() {
    let partition = Partition::new(2, 64).unwrap();
    assert_eq!(partition.count(WorkerId(2), 0, Class::of(80)), 0);
    assert_eq!(partition.nth(WorkerId(2), 0, Class::of(80), 0), None);
}
