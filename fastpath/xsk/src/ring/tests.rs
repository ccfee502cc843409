//! Both sides of a ring on plain memory: ours, and one that stands for the kernel.

use std::sync::Arc;

use super::*;

/// A ring's memory on the heap.
struct Memory {
    producer: AtomicU32,
    consumer: AtomicU32,
    flags: AtomicU32,
    entries: Vec<UnsafeCell<u64>>,
}

// SAFETY: as in the shared mapping that it stands for, the two sides never touch the same entry at once.
unsafe impl Sync for Memory {}
// SAFETY: plain data.
unsafe impl Send for Memory {}

fn parts(memory: &Arc<Memory>) -> Parts<u64> {
    Parts {
        producer: &raw const memory.producer,
        consumer: &raw const memory.consumer,
        flags: &raw const memory.flags,
        entries: memory.entries.as_ptr(),
        size: memory.entries.len() as u32,
        memory: Arc::clone(memory) as Arc<dyn Any + Send + Sync>,
    }
}

/// A ring whose indices start at `start`, as if it had been used before.
fn ring(size: u32, start: u32) -> (Producer<u64>, Consumer<u64>, Arc<Memory>) {
    let memory = Arc::new(Memory {
        producer: AtomicU32::new(start),
        consumer: AtomicU32::new(start),
        flags: AtomicU32::new(0),
        entries: (0..size).map(|_| UnsafeCell::new(0)).collect(),
    });
    // SAFETY: the pointers lead into `memory`, which the parts keep; one producer and one consumer are made.
    let producer = unsafe { Producer::new(parts(&memory)) };
    // SAFETY: likewise.
    let consumer = unsafe { Consumer::new(parts(&memory)) };
    (producer, consumer, memory)
}

#[cfg(not(loom))]
mod plain {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u32),
        Publish,
        Read(u32),
        Release,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (1u32..20).prop_map(Step::Write),
            Just(Step::Publish),
            (1u32..20).prop_map(Step::Read),
            Just(Step::Release),
        ];
        prop::collection::vec(step, 1..200)
    }

    /// What a ring is: places that are free, written, visible, or read and not yet given back.
    struct Oracle {
        size: usize,
        written: VecDeque<u64>,
        visible: VecDeque<u64>,
        unreleased: usize,
    }

    impl Oracle {
        fn free(&self) -> usize {
            self.size - self.written.len() - self.visible.len() - self.unreleased
        }
    }

    proptest! {
        #[test]
        fn a_ring_behaves_as_a_queue_of_its_size(
            size_log2 in 0u32..6,
            // The indices wrap in the middle of some runs.
            start in prop_oneof![Just(0u32), (u32::MAX - 50)..=u32::MAX],
            steps in steps(),
        ) {
            let size = 1 << size_log2;
            let (mut producer, mut consumer, _memory) = ring(size, start);
            let mut oracle =
                Oracle { size: size as usize, written: [].into(), visible: [].into(), unreleased: 0 };
            let mut value = 0;
            for step in steps {
                match step {
                    Step::Write(count) => {
                        prop_assert_eq!(producer.free(size + 1) as usize, oracle.free());
                        for _ in 0..count.min(oracle.free() as u32) {
                            value += 1;
                            producer.write(value);
                            oracle.written.push_back(value);
                        }
                    }
                    Step::Publish => {
                        producer.publish();
                        oracle.visible.append(&mut oracle.written);
                    }
                    Step::Read(count) => {
                        prop_assert_eq!(consumer.ready(size + 1) as usize, oracle.visible.len());
                        for _ in 0..count {
                            let read = consumer.read();
                            prop_assert_eq!(read, oracle.visible.pop_front());
                            oracle.unreleased += usize::from(read.is_some());
                        }
                    }
                    Step::Release => {
                        consumer.release();
                        oracle.unreleased = 0;
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "beyond its free places")]
    fn a_full_ring_is_never_written() {
        let (mut producer, _consumer, _memory) = ring(2, 0);
        for value in 0..3 {
            producer.write(value);
        }
    }

    #[test]
    #[should_panic(expected = "a ring of 3 entries")]
    fn the_size_is_a_power_of_two() {
        ring(3, 0);
    }

    #[test]
    fn indices_that_make_no_sense_stay_inside_the_ring() {
        let (mut producer, mut consumer, memory) = ring(4, 0);
        memory.consumer.store(77, Ordering::Release);
        assert_eq!(producer.free(5), 0);
        memory.producer.store(1_000, Ordering::Release);
        assert_eq!(consumer.ready(4), 4);
        assert_eq!(consumer.read(), Some(0));
    }

    #[test]
    fn the_need_wakeup_flag_is_seen() {
        let (mut producer, _consumer, memory) = ring(4, 0);
        producer.publish();
        assert!(!producer.needs_wakeup());
        memory.flags.store(NEED_WAKEUP, Ordering::Relaxed);
        assert!(producer.needs_wakeup());
    }
}

/// `RUSTFLAGS="--cfg loom" cargo test -p ze-xsk --release --lib ring`
#[cfg(loom)]
mod loomed {
    use loom::thread;

    use super::*;

    /// Neither side waits for the other, so that every interleaving ends: what does not fit is not written, and what
    /// the reader misses it reads after the writer's end. More is written than fits, so places are used again.
    #[test]
    fn what_one_thread_writes_the_other_reads_once_and_in_order() {
        loom::model(|| {
            let (mut producer, mut consumer, _memory) = ring(2, u32::MAX);
            let writer = thread::spawn(move || {
                let mut written = 0;
                for _ in 0..3 {
                    if producer.free(1) > 0 {
                        producer.write(written);
                        producer.publish();
                        written += 1;
                    }
                }
                written
            });
            let mut read = 0;
            let mut drain = || {
                consumer.ready(1);
                while let Some(value) = consumer.read() {
                    assert_eq!(value, read);
                    read += 1;
                }
                consumer.release();
                read
            };
            drain();
            drain();
            let written = writer.join().unwrap();
            assert_eq!(drain(), written);
        });
    }

    /// The kernel's protocol: set the flag, look once more, sleep. Either it sees the entry, or we see the flag.
    #[test]
    fn a_wake_up_is_never_lost() {
        loom::model(|| {
            let (mut producer, mut consumer, memory) = ring(2, 0);
            let kernel = thread::spawn(move || {
                memory.flags.store(NEED_WAKEUP, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                consumer.ready(1)
            });
            producer.write(7);
            producer.publish();
            let told = producer.needs_wakeup();
            let seen = kernel.join().unwrap();
            assert!(told || seen == 1, "both sides sleep");
        });
    }
}
