use super::*;
use crate::state::RouteTarget;
use crate::wire;

fn route(n: u8, target: u64) -> (Key, Value) {
    let prefix = format!("10.{n}.0.0/16").parse().unwrap();
    (Key::Route("default".into(), prefix), Value::Route(RouteTarget::Nexthop(target)))
}

fn refusal(operation: u32, element: u32) -> v1::Refusal {
    v1::Refusal {
        operation,
        element,
        path: "/vrf[name='default']/route[prefix='10.0.0.0/16']".into(),
        reason: v1::Reason::Limit.into(),
        message: "full".into(),
    }
}

fn steady() -> Reconciler {
    let mut reconciler = Reconciler::default();
    reconciler.swept();
    reconciler
}

fn answer(reconciler: &mut Reconciler, steps: Vec<Step>, refusals: &[v1::Refusal], now: Instant) -> Outcome {
    let (_, layout) = wire::operations(steps);
    reconciler.acknowledge(layout, refusals, now)
}

#[test]
fn a_refused_route_is_told_once_and_tried_again_with_growing_pauses() {
    let mut reconciler = steady();
    let desired = State::from([route(1, 1)]);
    let mut now = Instant::now();
    let mut pauses = Vec::new();
    for round in 0..10 {
        let steps = reconciler.plan(&desired, 10, now);
        assert_eq!(steps.len(), 1);
        let outcome = answer(&mut reconciler, steps, &[refusal(0, 0)], now);
        assert_eq!(outcome.refused.len(), usize::from(round == 0));
        let retry_at = reconciler.retry_at().unwrap();
        assert!(reconciler.plan(&desired, 10, retry_at - Duration::from_millis(1)).is_empty());
        pauses.push(retry_at - now);
        now = retry_at;
    }
    assert_eq!((pauses[0], pauses[1], pauses[9]), (RETRY_PAUSE_MIN, RETRY_PAUSE_MIN * 2, RETRY_PAUSE_MAX));
    let steps = reconciler.plan(&desired, 10, now);
    let outcome = answer(&mut reconciler, steps, &[], now);
    assert_eq!(outcome.accepted.len(), 1);
    assert_eq!(reconciler.refused().count(), 0);
    assert_eq!(reconciler.retry_at(), None);
}

#[test]
fn a_refused_object_that_is_wanted_differently_is_tried_at_once() {
    let mut reconciler = steady();
    let now = Instant::now();
    let steps = reconciler.plan(&State::from([route(1, 1)]), 10, now);
    answer(&mut reconciler, steps, &[refusal(0, 0)], now);
    assert_eq!(reconciler.plan(&State::from([route(1, 2)]), 10, now).len(), 1);
    // Nobody wants it any more: the refusal is forgotten.
    assert!(reconciler.plan(&State::new(), 10, now).is_empty());
    assert_eq!(reconciler.refused().count(), 0);
}

#[test]
fn the_others_of_a_refused_operation_are_put_again_and_deleted_if_unwanted() {
    let mut reconciler = steady();
    let now = Instant::now();
    let desired = State::from([route(1, 1), route(2, 1), route(3, 1)]);
    let steps = reconciler.plan(&desired, 10, now);
    answer(&mut reconciler, steps, &[refusal(0, 1)], now);
    let again: Vec<_> = reconciler.plan(&desired, 10, now).iter().map(|step| step.key().clone()).collect();
    assert_eq!(again, [route(1, 1).0, route(3, 1).0]);
    let deletes = reconciler.plan(&State::new(), 10, now);
    assert_eq!(deletes, [Step::Delete(route(3, 1).0), Step::Delete(route(1, 1).0)]);
}

#[test]
fn a_refusal_of_a_whole_operation_is_one_of_each_of_its_routes() {
    let mut reconciler = steady();
    let now = Instant::now();
    let desired = State::from([route(1, 1), route(2, 1), route(3, 1)]);
    let steps = reconciler.plan(&desired, 10, now);
    let whole = v1::Refusal { path: "/vrf[name='default']".into(), ..refusal(0, 0) };
    let outcome = answer(&mut reconciler, steps, &[whole], now);
    let paths: Vec<_> = outcome.refused.iter().map(|refused| refused.path.clone()).collect();
    assert_eq!(paths, [1, 2, 3].map(|n| route(n, 1).0.to_string()));
    assert!(reconciler.plan(&desired, 10, now).is_empty(), "none is tried again before its time");
    assert_eq!(reconciler.plan(&desired, 10, now + RETRY_PAUSE_MIN).len(), 3);
}

#[test]
fn a_refused_change_leaves_the_old_object_acknowledged() {
    let mut reconciler = steady();
    let now = Instant::now();
    let old = State::from([route(1, 1)]);
    let steps = reconciler.plan(&old, 10, now);
    answer(&mut reconciler, steps, &[], now);
    let steps = reconciler.plan(&State::from([route(1, 2)]), 10, now);
    answer(&mut reconciler, steps, &[refusal(0, 0)], now);
    let (key, value) = route(1, 1);
    assert!(reconciler.acknowledged().is(&key, &value));
    assert!(reconciler.plan(&old, 10, now).is_empty());
}

#[test]
fn after_a_restart_of_the_fast_path_everything_is_to_be_done() {
    let mut reconciler = steady();
    let now = Instant::now();
    let desired = State::from([route(1, 1), route(2, 1)]);
    let steps = reconciler.plan(&desired, 10, now);
    answer(&mut reconciler, steps, &[], now);
    assert!(reconciler.plan(&desired, 10, now).is_empty());
    reconciler.forget();
    assert!(reconciler.acknowledged().is_empty());
    assert_eq!(reconciler.plan(&desired, 10, now).len(), 2);
    assert_eq!(reconciler.plan(&desired, 1, now).len(), 1);
}

#[test]
fn during_a_snapshot_refusals_are_not_told_and_after_the_sweep_they_are_tried_at_once() {
    let mut reconciler = Reconciler::default();
    let now = Instant::now();
    let desired = State::from([route(1, 1)]);
    let steps = reconciler.plan(&desired, 10, now);
    assert_eq!(answer(&mut reconciler, steps, &[refusal(0, 0)], now), Outcome::default());
    assert!(reconciler.plan(&desired, 10, now).is_empty());
    reconciler.swept();
    assert_eq!(reconciler.plan(&desired, 10, now).len(), 1);
}

#[test]
fn an_interface_that_something_unknown_is_in_the_way_of_is_deleted_first_but_only_once_in_its_time() {
    let interface = v1::Interface { name: "lan0".into(), ..Default::default() };
    let key = Key::Interface("lan0".into());
    let desired = State::from([(key.clone(), Value::Interface(Box::new(interface)))]);
    let in_use = v1::Refusal { reason: v1::Reason::InUse.into(), ..refusal(0, 0) };
    let mut reconciler = steady();
    let now = Instant::now();
    let put = reconciler.plan(&desired, 10, now);
    answer(&mut reconciler, put.clone(), std::slice::from_ref(&in_use), now);
    let both = [Step::Delete(key.clone()), put[0].clone()];
    assert_eq!(reconciler.plan(&desired, 10, now), both);
    // Both are refused: neither is tried before its time.
    let second = v1::Refusal { operation: 1, ..in_use.clone() };
    answer(&mut reconciler, both.to_vec(), &[in_use.clone(), second.clone()], now);
    assert!(reconciler.plan(&desired, 10, now).is_empty());
    // The deletion is accepted and does not help: that is found out twice, and then there is a pause.
    let mut later = now + RETRY_PAUSE_MAX;
    for _ in 0..2 {
        assert_eq!(reconciler.plan(&desired, 10, later), both);
        answer(&mut reconciler, both.to_vec(), std::slice::from_ref(&second), later);
    }
    assert!(reconciler.plan(&desired, 10, later).is_empty());
    later += RETRY_PAUSE_MAX;
    let steps = reconciler.plan(&desired, 10, later);
    assert_eq!(steps, put);
    answer(&mut reconciler, steps, &[in_use], later);
    let both = reconciler.plan(&desired, 10, later);
    assert_eq!(both.len(), 2);
    answer(&mut reconciler, both, &[], later);
    assert!(reconciler.plan(&desired, 10, later).is_empty());
    assert!(reconciler.needs_snapshot(later), "something it referred to may have survived the sweep");
    // Another reason leaves what is there alone.
    let mut reconciler = steady();
    answer(&mut reconciler, put.clone(), &[refusal(0, 0)], now);
    assert!(reconciler.plan(&desired, 10, now).is_empty());
    assert_eq!(reconciler.plan(&desired, 10, later), put);
}

#[test]
fn snapshots_that_do_not_help_become_rare_and_after_one_that_does_the_next_is_soon() {
    let interface = v1::Interface { name: "lan0".into(), ..Default::default() };
    let desired = State::from([(Key::Interface("lan0".into()), Value::Interface(Box::new(interface)))]);
    let conflict = v1::Refusal { reason: v1::Reason::Conflict.into(), ..refusal(0, 0) };
    let mut reconciler = Reconciler::default();
    let mut now = Instant::now();
    let mut pauses = Vec::new();
    for _ in 0..12 {
        reconciler.forget();
        reconciler.swept();
        let steps = reconciler.plan(&desired, 10, now);
        answer(&mut reconciler, steps, std::slice::from_ref(&conflict), now);
        let due =
            (0..).map(|s| now + SNAPSHOT_PAUSE_MIN * s).find(|at| reconciler.needs_snapshot(*at)).unwrap();
        pauses.push(due - now);
        now = due;
    }
    assert_eq!(
        (pauses[0], pauses[1], pauses[11]),
        (SNAPSHOT_PAUSE_MIN, SNAPSHOT_PAUSE_MIN * 2, SNAPSHOT_PAUSE_MAX)
    );
    reconciler.forget();
    reconciler.swept();
    let steps = reconciler.plan(&desired, 10, now);
    answer(&mut reconciler, steps, &[], now);
    assert!(!reconciler.needs_snapshot(now + SNAPSHOT_PAUSE_MAX));
    assert_eq!(reconciler.retry_at(), None);
}

#[test]
fn what_is_accepted_only_after_the_sweep_calls_for_another_snapshot() {
    let mut reconciler = Reconciler::default();
    let now = Instant::now();
    let desired = State::from([route(1, 1)]);
    let steps = reconciler.plan(&desired, 10, now);
    answer(&mut reconciler, steps, &[refusal(0, 0)], now);
    reconciler.swept();
    assert!(!reconciler.needs_snapshot(now + SNAPSHOT_PAUSE_MAX));
    let steps = reconciler.plan(&desired, 10, now);
    answer(&mut reconciler, steps, &[], now);
    assert!(reconciler.needs_snapshot(now + SNAPSHOT_PAUSE_MIN));
}

#[test]
fn what_an_audit_finds_is_put_right_by_the_next_plan() {
    let mut reconciler = steady();
    let now = Instant::now();
    let system = (Key::System, Value::System(v1::System { fail_open: false }));
    let desired = State::from([system, route(1, 1), route(2, 1), route(3, 1)]);
    let steps = reconciler.plan(&desired, 10, now);
    answer(&mut reconciler, steps, &[], now);
    let report = reconciler.audit(BTreeMap::from([route(1, 1), route(2, 1), route(3, 1)]));
    assert_eq!((report.checked, report.missing, report.surplus, report.different), (4, 0, 0, 0));
    assert!(reconciler.plan(&desired, 10, now).is_empty());
    // One is gone, one leads elsewhere, and one is there that nobody wants.
    let report = reconciler.audit(BTreeMap::from([route(2, 7), route(3, 1), route(9, 1)]));
    assert_eq!((report.missing, report.surplus, report.different), (1, 1, 1));
    let told =
        report.divergences.iter().map(|d| format!("{} {}: {}", d.kind().as_str_name(), d.path, d.message));
    let (one, two, nine) = (route(1, 1), route(2, 1), route(9, 1));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            format!("DIVERGENCE_KIND_MISSING {}: nothing was there, a route to nexthop 1 is wanted", one.0),
            format!(
                "DIVERGENCE_KIND_DIFFERENT {}: a route to nexthop 7 was there, a route to nexthop 1 is wanted",
                two.0
            ),
            format!("DIVERGENCE_KIND_SURPLUS {}: a route to nexthop 1 was there, nothing is wanted", nine.0),
        ]
    );
    let steps = reconciler.plan(&desired, 10, now);
    assert_eq!(steps, [Step::Delete(nine.0), Step::Put(one.0, one.1), Step::Put(two.0, two.1)]);
    answer(&mut reconciler, steps, &[], now);
    assert!(reconciler.plan(&desired, 10, now).is_empty());
}
