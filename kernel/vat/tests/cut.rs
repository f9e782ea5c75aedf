//! A cut holds from the moment it is made: no handler starts whose check comes later, what runs stops, and then the
//! link says that it has ended.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::type_complexity, clippy::wrong_self_convention)]
#![allow(clippy::drop_non_drop, reason = "a builder is dropped where it has done its work")]

mod common;

use capnp::ErrorKind;
use common::keeper::{ACT, HANG, NOOP};
use common::raw::Raw;
use common::world::{BUFFER_BYTES, World, badge};
use vat::bounds::RUNNING_LIMIT;
use vat::testing::pair;
use vat::{Bounds, EndReason, Peer};

const DEEP: usize = RUNNING_LIMIT;

fn app() -> Bounds {
    Bounds::for_peer(Peer::App)
}

#[test]
fn calls_that_run_are_stopped_and_calls_that_wait_never_start() {
    let mut world = World::new();
    let link = world.link(&badge(), app());
    let calls: Vec<_> = (0..DEEP + 100).map(|_| world.spawn(link.root.call(HANG, None).promise)).collect();
    world.settle();
    assert_eq!((link.server.keeper.started.get(), link.server.keeper.gone.get()), (DEEP, 0));
    link.cutter.cut();
    // what they wait for comes now; it is too late
    link.server.keeper.go_on();
    world.settle();
    assert_eq!((link.server.keeper.started.get(), link.server.keeper.gone.get()), (DEEP, DEEP));
    assert_eq!(link.server.ended.take().unwrap().reason, EndReason::Closed);
    for call in calls {
        assert_eq!(call.take().unwrap().err().unwrap().kind, ErrorKind::Disconnected);
    }
}

#[test]
fn a_server_that_was_paused_starts_nothing_of_what_came_meanwhile() {
    // the kernel shuts the link and then discards what waits; a server may look in between
    for discards in [false, true] {
        let mut world = World::new();
        let (here, there) = pair(BUFFER_BYTES);
        let cutter = there.cutter();
        let link = world.serve(there, &badge(), app());
        let mut raw = Raw::new(here);
        raw.bootstrap(0);
        world.settle();
        for question in 1..=DEEP as u32 {
            assert!(raw.call(question, 0, NOOP, &[]), "all of it lies in the link");
        }
        if discards {
            cutter.cut();
        } else {
            cutter.shut();
        }
        world.settle();
        assert_eq!(link.keeper.started.get(), 0);
        assert_eq!(link.ended.take().unwrap().reason, EndReason::Closed);
    }
}

#[test]
fn a_cut_in_the_middle_of_a_turn_holds_for_the_rest_of_it() {
    for before in [0, 1, 3, 31] {
        let mut world = World::new();
        let (here, there) = pair(BUFFER_BYTES);
        let cutter = there.cutter();
        let link = world.serve(there, &badge(), app());
        *link.keeper.act.borrow_mut() = Some(Box::new(move || cutter.cut()));
        let mut raw = Raw::new(here);
        raw.bootstrap(0);
        for question in 1..=DEEP as u32 {
            raw.call(question, 0, if question == before + 1 { ACT } else { NOOP }, &[]);
        }
        world.settle();
        assert_eq!(link.keeper.started.get(), before as usize + 1);
        assert_eq!(link.keeper.gone.get(), before as usize + 1);
        assert!(link.ended.is_there());
    }
}

#[test]
fn a_cut_between_two_turns_holds_for_calls_already_read() {
    let mut world = World::new();
    let link = world.link(&badge(), Bounds { running: 1, ..app() });
    let first = world.spawn(link.root.call(HANG, None).promise);
    let _waiting: Vec<_> = (1..DEEP).map(|_| world.spawn(link.root.call(NOOP, None).promise)).collect();
    world.settle();
    // the first ends in order, and the next would start in the same turn
    link.server.keeper.go_on();
    link.cutter.shut();
    world.settle();
    assert_eq!(link.server.keeper.started.get(), 1);
    assert!(first.take().unwrap().is_err());
    assert!(link.server.ended.is_there());
}

#[test]
fn what_was_answered_before_the_cut_is_still_read() {
    let mut world = World::new();
    let (here, there) = pair(BUFFER_BYTES);
    let cutter = there.cutter();
    let link = world.serve(there, &badge(), app());
    let mut raw = Raw::new(here);
    raw.bootstrap(0);
    raw.call(1, 0, NOOP, &[]);
    world.settle();
    cutter.cut();
    world.settle();
    assert!(link.ended.is_there());
    assert_eq!(raw.read().len(), 2);
}

#[test]
fn objects_passed_over_a_link_die_with_it_and_those_of_other_links_do_not() {
    let mut world = World::new();
    let (cut, kept) = (world.link(&badge(), app()), world.link(&badge(), app()));
    let another = cut.root.call(common::keeper::ANOTHER, None).object();
    let untouched = kept.root.call(common::keeper::ANOTHER, None).object();
    world.wait(another.call(NOOP, None).promise).unwrap();
    cut.cutter.cut();
    world.settle();
    let error = world.wait(another.call(NOOP, None).promise).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Disconnected);
    world.wait(untouched.call(NOOP, None).promise).unwrap();
}

#[test]
fn a_thousand_links_cut_at_once_all_end() {
    let mut world = World::new();
    let links: Vec<_> = (0..1_000).map(|_| world.link(&badge(), app())).collect();
    let calls: Vec<_> = links.iter().map(|link| world.spawn(link.root.call(HANG, None).promise)).collect();
    world.settle();
    links.iter().for_each(|link| link.cutter.cut());
    world.settle();
    for link in &links {
        assert!(link.server.ended.is_there() && link.client_ended.is_there());
        assert_eq!(link.server.keeper.gone.get(), 1);
    }
    assert!(calls.iter().all(|call| call.is_there()));
}
