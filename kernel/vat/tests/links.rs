//! What a link does between two vats that mean well.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::type_complexity, clippy::wrong_self_convention)]
#![allow(clippy::drop_non_drop, reason = "a builder is dropped where it has done its work")]

mod common;

use capnp::ErrorKind;
use capnp::capability::FromClientHook;
use common::keeper::{
    ANOTHER, BYTES, CALL_IT, FAIL, GIVE_BACK, HANG, KEEPER, KeeperClient, NOOP, PANIC, PUT, SAME, SAME_LATER,
};
use common::world::{World, badge};
use vat::door::Lease;
use vat::{Badge, Bounds, EndReason, Method, Peer};

fn app() -> Bounds {
    Bounds::for_peer(Peer::App)
}

fn text(error: &capnp::Error) -> String {
    error.to_string()
}

#[test]
fn calls_are_answered_and_objects_made_on_the_way() {
    let mut world = World::new();
    let link = world.link(&badge(), app());
    world.wait(link.root.call(NOOP, None).promise).unwrap();
    let another = link.root.call(ANOTHER, None).object();
    let third = another.call(ANOTHER, None).object();
    world.wait(third.call(NOOP, None).promise).unwrap();
    let error = world.wait(third.call(FAIL, None).promise).err().unwrap();
    assert!(text(&error).contains("as told"), "{error}");
}

#[test]
fn what_was_pipelined_on_a_call_runs_although_nobody_waits_for_that_call() {
    let mut world = World::new();
    let link = world.link(&badge(), app());
    let called = link.root.call(SAME_LATER, Some(&world.own(&link).1));
    let pipelined = called.object().call(NOOP, None).promise;
    drop(called);
    let answered = world.spawn(pipelined);
    world.settle();
    assert!(!answered.is_there());
    link.server.keeper.go_on();
    world.settle();
    assert!(answered.take().unwrap().is_ok());
}

#[test]
fn a_call_that_nobody_wants_any_more_stops_and_holds_nothing() {
    let mut world = World::new();
    let link = world.link(&badge(), app());
    for round in 1..=20_000 {
        let called = link.root.call(HANG, None);
        world.settle();
        assert_eq!(link.server.keeper.started.get(), round);
        drop(called);
        world.settle();
        assert_eq!(link.server.keeper.gone.get(), round, "it is stopped at once");
    }
    // more than any bound on held calls or unanswered questions
    world.wait(link.root.call(NOOP, None).promise).unwrap();
    assert!(!link.server.ended.is_there() && !link.client_ended.is_there());
}

#[test]
fn references_come_back_as_what_they_are() {
    let mut world = World::new();
    let link = world.link(&badge(), app());
    let (own, object) = world.own(&link);
    // through the other end and back, calls in flight meanwhile
    let called = link.root.call(SAME, Some(&object));
    let early = called.object().call(NOOP, None);
    let back = KeeperClient::new(
        world
            .wait(called.promise)
            .unwrap()
            .get()
            .unwrap()
            .get_as_capability::<capnp::capability::Client>()
            .unwrap()
            .hook,
    );
    world.wait(early.promise).unwrap();
    world.wait(back.call(NOOP, None).promise).unwrap();
    assert_eq!(own.started.get(), 2);
    // kept there, called from there, given back
    world.wait(link.root.call(PUT, Some(&object)).promise).unwrap();
    world.wait(link.root.call(CALL_IT, None).promise).unwrap();
    world.settle();
    assert_eq!(own.started.get(), 3);
    let given = link.root.call(GIVE_BACK, None).object();
    world.wait(given.call(NOOP, None).promise).unwrap();
    assert_eq!(own.started.get(), 4);
}

#[test]
fn a_call_that_is_given_a_result_waits_until_it_is_there() {
    let mut world = World::new();
    let link = world.link(&badge(), app());
    let later = link.root.call(SAME_LATER, Some(&world.own(&link).1));
    let put = world.spawn(link.root.call(PUT, Some(&later.object().0)).promise);
    let after = world.spawn(link.root.call(NOOP, None).promise);
    world.settle();
    assert!(!put.is_there() && !after.is_there(), "calls keep their order");
    link.server.keeper.go_on();
    world.settle();
    assert!(put.take().unwrap().is_ok() && after.take().unwrap().is_ok());
    assert_eq!(*link.server.keeper.order.borrow(), [SAME_LATER, PUT, NOOP]);
}

#[test]
fn more_calls_than_may_run_at_once_run_in_order() {
    let mut world = World::new();
    let link = world.link(&badge(), Bounds { running: 3, ..app() });
    let calls: Vec<_> = (0..10).map(|_| world.spawn(link.root.call(HANG, None).promise)).collect();
    for done in [0, 3, 6, 9] {
        world.settle();
        assert_eq!(calls.iter().filter(|call| call.is_there()).count(), done);
        assert_eq!(link.server.keeper.started.get(), (done + 3).min(10));
        link.server.keeper.go_on();
    }
    world.settle();
    assert!(calls.iter().all(|call| call.is_there()));
}

#[test]
fn a_reader_that_is_slow_makes_calls_wait_not_memory_grow() {
    let mut world = World::new();
    let link = world.link(&badge(), app());
    let calls: Vec<_> = (0..500).map(|_| link.root.call(BYTES, None).promise).collect();
    for call in calls {
        let bytes = world.wait(call).unwrap();
        assert_eq!(bytes.get().unwrap().get_as::<capnp::data::Reader<'_>>().unwrap().len(), 1 << 20);
    }
    assert!(!link.server.ended.is_there());
}

#[test]
fn caveats_are_told_with_grant_and_method() {
    let mut world = World::new();
    let noop = Method { interface: KEEPER, ordinal: NOOP };
    let cases = [
        (Badge { methods: vec![noop], ..badge() }, "denied: grant 12 does not allow 0xffeeddccbbaa0001.9"),
        (Badge { calls: Lease::of(0), ..badge() }, "exhausted: the calls of grant 12"),
        (Badge { bytes: Lease::of(10), ..badge() }, "exhausted: the bytes of grant 12"),
        (Badge { expires_at_ms: 1_000_000, ..badge() }, "expired: the time of grant 12"),
    ];
    for (badge, expected) in cases {
        let link = world.link(&badge, app());
        let error = world.wait(link.root.call(ANOTHER, None).promise).err().unwrap();
        assert!(error.kind == ErrorKind::Failed && text(&error).contains(expected), "{error}");
        assert_eq!(link.server.keeper.started.get(), 0);
    }
}

#[test]
fn caveats_hold_for_what_is_reached_through_the_root_and_for_pipelined_calls() {
    let mut world = World::new();
    let allowed = |ordinal| Method { interface: KEEPER, ordinal };
    let link = world.link(&Badge { methods: vec![allowed(ANOTHER), allowed(NOOP)], ..badge() }, app());
    let another = link.root.call(ANOTHER, None).object();
    let pipelined = another.call(FAIL, None).promise;
    assert!(text(&world.wait(pipelined).err().unwrap()).contains("denied"));
    world.wait(another.call(NOOP, None).promise).unwrap();
    assert!(text(&world.wait(another.call(FAIL, None).promise).err().unwrap()).contains("denied"));
}

#[test]
fn time_passes_for_calls_that_wait() {
    let mut world = World::new();
    let link = world.link(&Badge { expires_at_ms: 1_000_500, ..badge() }, Bounds { running: 1, ..app() });
    let running = world.spawn(link.root.call(HANG, None).promise);
    let waiting = world.spawn(link.root.call(NOOP, None).promise);
    world.settle();
    world.clock.advance_ms(500);
    link.server.keeper.go_on();
    world.settle();
    assert!(running.take().unwrap().is_ok(), "what runs may finish");
    assert!(text(&waiting.take().unwrap().err().unwrap()).contains("expired"));
}

#[test]
fn results_beyond_the_budget_do_not_leave() {
    let mut world = World::new();
    let link = world.link(&Badge { bytes: Lease::of(1 << 20), ..badge() }, app());
    world.wait(link.root.call(NOOP, None).promise).unwrap();
    let error = world.wait(link.root.call(BYTES, None).promise).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Disconnected);
    world.settle();
    let told = link.client_ended.take().unwrap();
    assert_eq!((told.reason, told.detail.contains("the bytes of grant 12")), (EndReason::Exhausted, true), "{told:?}");
    let ended = link.server.ended.take().unwrap();
    assert_eq!(ended.reason, EndReason::Exhausted);
    assert!(ended.usage.bytes_out < 1 << 20 && ended.usage.unused_bytes > 0, "{ended:?}");
}

fn slice(amount: u64) -> Lease {
    Lease { more: true, ..Lease::of(amount) }
}

#[test]
fn calls_that_meet_an_empty_slice_wait_in_order_for_the_next() {
    let mut world = World::new();
    let link = world.link(&Badge { calls: slice(2), ..badge() }, app());
    let watch = link.server.watch.clone();
    let low = world.spawn(async move { watch.low().await });
    let calls: Vec<_> = (0..5).map(|_| world.spawn(link.root.call(NOOP, None).promise)).collect();
    let answered = |calls: &[common::world::Later<_>]| calls.iter().map(|call| call.is_there()).collect::<Vec<_>>();
    world.settle();
    assert_eq!(low.take().unwrap(), (Lease::of(2), Lease::UNLIMITED));
    assert_eq!(answered(&calls), [true, true, false, false, false]);
    let late = world.spawn(link.root.call(NOOP, None).promise);
    link.server.watch.renew(slice(4), Lease::UNLIMITED);
    // A call that comes now does not pass those that wait.
    let later = world.spawn(link.root.call(NOOP, None).promise);
    world.settle();
    assert_eq!(answered(&calls), [true, true, true, true, false]);
    assert!(!late.is_there() && !later.is_there());
    // The powerbox says that no more is left: who waits is refused, and what was refused is no use.
    link.server.watch.renew(Lease::of(5), Lease::UNLIMITED);
    link.server.watch.renew(Lease::of(5), Lease::UNLIMITED);
    world.settle();
    assert!(calls.into_iter().all(|call| call.take().unwrap().is_ok()));
    for refused in [late, later] {
        let error = refused.take().unwrap().err().unwrap();
        assert!(text(&error).contains("exhausted: the calls of grant 12"), "{error}");
    }
    let usage = link.server.watch.usage();
    assert_eq!((usage.calls, usage.refused, usage.errors, usage.unused_calls), (5, 2, 0, 0));
}

#[test]
fn a_result_that_does_not_fit_into_a_slice_is_kept_back_with_all_that_follows_it() {
    let mut world = World::new();
    let link = world.link(&Badge { bytes: slice(1 << 20), ..badge() }, app());
    world.wait(link.root.call(NOOP, None).promise).unwrap();
    let large = world.spawn(link.root.call(BYTES, None).promise);
    let small = world.spawn(link.root.call(NOOP, None).promise);
    world.settle();
    assert!(!large.is_there() && !small.is_there());
    assert!(link.server.watch.usage().unused_bytes > 0, "what does not leave is not taken");
    link.server.watch.renew(Lease::UNLIMITED, slice(3 << 20));
    world.settle();
    assert!(large.take().unwrap().is_ok() && small.take().unwrap().is_ok());
    assert!(!link.server.ended.is_there());
}

#[test]
fn a_cut_ends_what_waits_for_a_budget() {
    let mut world = World::new();
    let link = world.link(&Badge { calls: slice(2), bytes: slice(1 << 20), ..badge() }, app());
    world.wait(link.root.call(NOOP, None).promise).unwrap();
    let calls = [BYTES, NOOP, NOOP].map(|method| world.spawn(link.root.call(method, None).promise));
    world.settle();
    assert!(calls.iter().all(|call| !call.is_there()));
    link.cutter.cut();
    // The answer comes too late.
    link.server.watch.renew(slice(10), slice(10 << 20));
    world.settle();
    let ended = link.server.ended.take().unwrap();
    assert_eq!((ended.reason, link.server.keeper.started.get()), (EndReason::Closed, 2));
    for call in calls {
        assert_eq!(call.take().unwrap().err().unwrap().kind, ErrorKind::Disconnected);
    }
}

#[test]
fn the_meter_counts_what_was_called() {
    let mut world = World::new();
    let link = world.link(&Badge { calls: Lease::of(10), ..badge() }, app());
    for _ in 0..3 {
        world.wait(link.root.call(NOOP, None).promise).unwrap();
    }
    assert!(world.wait(link.root.call(FAIL, None).promise).is_err());
    let usage = link.server.watch.usage();
    assert_eq!((usage.calls, usage.errors, usage.unused_calls), (4, 1, 6));
    assert!(usage.bytes_in > 0 && usage.bytes_out > 0);
    let noop = usage.methods.iter().find(|method| method.method.ordinal == NOOP).unwrap();
    assert_eq!((noop.calls, noop.errors), (3, 0));
    assert!(link.server.watch.usage().is_empty(), "it is reported once");
}

#[test]
fn a_handler_that_fails_badly_is_one_callers_error() {
    let mut world = World::new();
    let link = world.link(&badge(), app());
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let error = world.wait(link.root.call(PANIC, None).promise).err().unwrap();
    std::panic::set_hook(hook);
    assert!(text(&error).contains("a fault in the service"), "{error}");
    world.wait(link.root.call(NOOP, None).promise).unwrap();
}

#[test]
fn a_link_that_one_end_lets_go_of_ends_at_both() {
    let mut world = World::new();
    let link = world.link(&badge(), app());
    let hanging = world.spawn(link.root.call(HANG, None).promise);
    world.settle();
    link.client_watch.end(EndReason::Stopped, "done with it");
    world.settle();
    assert_eq!(link.client_ended.take().unwrap().reason, EndReason::Stopped);
    assert_eq!(link.server.ended.take().unwrap().reason, EndReason::Closed);
    let error = hanging.take().unwrap().err().unwrap();
    assert!(error.kind == ErrorKind::Disconnected && text(&error).contains("done with it"), "{error}");
    assert_eq!(link.server.keeper.gone.get(), 1, "what ran there is stopped");
    let late = world.wait(link.root.call(NOOP, None).promise).err().unwrap();
    assert_eq!(late.kind, ErrorKind::Disconnected);
}
