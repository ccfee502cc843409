use super::*;
use std::collections::VecDeque;
use std::sync::Arc;
use ze_engine::Input;

/// Echoes; panics, wakes and floods on demand.
#[derive(Default)]
struct Parrot {
    output: VecDeque<Output<String>>,
    wake: Option<Instant>,
}

enum Order {
    Say(&'static str),
    Panic,
    WakeIn(Duration),
}

impl Engine for Parrot {
    type Command = Order;
    type Event = String;

    fn handle_command(&mut self, order: Order, now: Instant) {
        match order {
            Order::Say(text) => self.output.push_back(Output::Event(text.into())),
            Order::Panic => panic!("the parrot is no more"),
            Order::WakeIn(time) => self.wake = Some(now + time),
        }
    }

    fn handle_input(&mut self, input: Input<'_>, _now: Instant) {
        self.output.push_back(Output::Event(format!("{input:?}")));
    }

    fn handle_timeout(&mut self, now: Instant) {
        assert!(self.wake.take().is_some_and(|wake| wake <= now));
        self.output.push_back(Output::Event("awake".into()));
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.wake
    }

    fn poll_output(&mut self) -> Option<Output<String>> {
        self.output.pop_front()
    }
}

fn start(news_max: usize) -> (Handle<Order>, mpsc::Receiver<News<String>>) {
    let (sender, news) = mpsc::channel(news_max);
    (spawn("parrot", Parrot::default, sender), news)
}

fn event(text: &str) -> Option<News<String>> {
    Some(News::Event(text.into()))
}

#[tokio::test]
async fn orders_inputs_and_timeouts_reach_the_engine_and_its_news_come_back() {
    let (handle, mut news) = start(4);
    handle.command(Order::Say("hello")).await.unwrap();
    assert_eq!(news.recv().await, event("hello"));
    handle.input(OwnedInput::Link { interface: Arc::from("lan0"), up: true }).await.unwrap();
    assert_eq!(news.recv().await, event("Link { interface: \"lan0\", up: true }"));
    handle.command(Order::WakeIn(Duration::from_millis(1))).await.unwrap();
    assert_eq!(news.recv().await, event("awake"));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_reported_and_a_new_engine_takes_over() {
    let (handle, mut news) = start(4);
    for _ in 0..3 {
        handle.command(Order::Panic).await.unwrap();
        assert_eq!(news.recv().await, Some(News::Panicked("the parrot is no more".into())));
        handle.command(Order::Say("risen")).await.unwrap();
        assert_eq!(news.recv().await, event("risen"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_pause_between_panics_grows_to_its_limit_and_shrinks_with_health() {
    let (handle, mut news) = start(4);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        let before = tokio::time::Instant::now();
        handle.command(Order::Panic).await.unwrap();
        news.recv().await.unwrap();
        pauses.push(before.elapsed());
    }
    assert!(pauses[0] >= RESTART_PAUSE_MIN && pauses[0] < RESTART_PAUSE_MIN * 2, "{pauses:?}");
    assert!(pauses[11] >= RESTART_PAUSE_MAX && pauses[11] < RESTART_PAUSE_MAX * 2, "{pauses:?}");
    tokio::time::advance(HEALTHY_AFTER).await;
    let before = tokio::time::Instant::now();
    handle.command(Order::Panic).await.unwrap();
    news.recv().await.unwrap();
    assert!(before.elapsed() < RESTART_PAUSE_MIN * 2);
}

#[tokio::test]
async fn a_listener_that_does_not_listen_makes_senders_wait() {
    let (handle, mut news) = start(1);
    let mut sent = 0;
    // The queue, the news and the hands of the task are full at some time; nothing grows.
    while tokio::time::timeout(Duration::from_millis(200), handle.command(Order::Say("word"))).await.is_ok() {
        sent += 1;
        assert!(sent <= QUEUE_MAX + 8, "the queue is not bounded");
    }
    assert!(sent >= QUEUE_MAX);
    for _ in 0..sent {
        assert_eq!(news.recv().await, event("word"));
    }
}

#[tokio::test]
async fn the_instance_ends_with_its_handle_and_with_its_listener() {
    let (handle, mut news) = start(1);
    drop(handle);
    assert_eq!(news.recv().await, None);
    let (handle, news) = start(1);
    drop(news);
    while handle.command(Order::Say("anyone?")).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(handle.command(Order::Say("anyone?")).await, Err(Ended));
}
