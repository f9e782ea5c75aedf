//! Calls that wait for their turn: whatever they wait for, and whatever goes away meanwhile, each comes to its end.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use capnp_rpc::rpc_capnp::message;
use common::keeper::{BYTES, FAIL, GIVE_BACK, GIVE_BACK_LATER, HANG, NOOP, PANIC, PUT, SAME, SAME_LATER};
use common::mutate::Mutator;
use common::raw::{Raw, Reference};
use common::world::{BUFFER_BYTES, ServedLink, World, badge};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use vat::door::Lease;
use vat::testing::{Cutter, pair};
use vat::{Badge, Bounds, EndReason, Peer};

/// Lives of a link in one run, and what is done in each.
const LIVES: usize = 200;
const STEPS: usize = 120;

/// Turns in which a link must have settled when everything that its calls wait for has come.
const LAST_TURNS: usize = 200;

/// A peer that speaks raw messages, and what it waits for.
struct Caller {
    world: World,
    raw: Raw,
    cutter: Cutter,
    server: ServedLink,
    questions: u32,
    unanswered: BTreeSet<u32>,
    unfinished: BTreeSet<u32>,
}

impl Caller {
    fn new(badge: &Badge, bounds: Bounds) -> Caller {
        let world = World::new();
        let (here, there) = pair(BUFFER_BYTES);
        let cutter = there.cutter();
        let server = world.serve(there, badge, bounds);
        *server.keeper.held.borrow_mut() = Some(server.keeper_client());
        let (unanswered, unfinished) = (BTreeSet::new(), BTreeSet::new());
        let mut caller = Caller { world, raw: Raw::new(here), cutter, server, questions: 0, unanswered, unfinished };
        caller.raw.bootstrap(0);
        caller.turn();
        assert!(caller.unfinished.is_empty());
        caller
    }

    /// A new call, of the root or of what a call will return.
    fn call(&mut self, of: Option<u32>, method: u16, given: &[Reference]) -> u32 {
        self.questions += 1;
        let question = self.questions;
        match of {
            None => self.raw.call(question, 0, method, given),
            Some(of) => self.raw.call_result(question, of, method, given),
        };
        self.unanswered.insert(question);
        self.unfinished.insert(question);
        question
    }

    fn finish(&mut self, question: u32) {
        self.unfinished.remove(&question);
        self.raw.finish(question, true);
    }

    /// Everything happens that can, and what came is read.
    fn turn(&mut self) {
        self.raw.push();
        self.world.settle();
        for received in self.raw.read() {
            if let message::Return(result) = received.get().unwrap().which().unwrap() {
                let result = result.unwrap();
                self.unanswered.remove(&result.get_answer_id());
                if result.get_no_finish_needed() {
                    self.unfinished.remove(&result.get_answer_id());
                }
            }
        }
    }
}

#[test]
fn a_call_that_waits_for_a_reference_lets_the_call_pass_that_it_comes_from() {
    let mut caller = Caller::new(&badge(), Bounds::for_peer(Peer::App));
    let first = caller.call(None, GIVE_BACK_LATER, &[]);
    // It is no call of an object's yet when the next one is.
    let second = caller.call(Some(first), SAME, &[Reference::Theirs(0)]);
    caller.call(None, PUT, &[Reference::Answer(second)]);
    caller.call(None, NOOP, &[]);
    caller.turn();
    caller.server.keeper.go_on();
    caller.turn();
    assert_eq!(caller.unanswered, BTreeSet::new());
    assert_eq!(*caller.server.keeper.order.borrow(), [GIVE_BACK_LATER, SAME, PUT, NOOP]);
}

#[test]
fn a_call_that_waits_for_a_reference_hears_that_there_will_be_none() {
    let mut caller = Caller::new(&badge(), Bounds::for_peer(Peer::App));
    let nothing = caller.call(None, HANG, &[]);
    let of_nothing = caller.call(Some(nothing), NOOP, &[]);
    caller.call(None, NOOP, &[Reference::Answer(of_nothing)]);
    caller.call(None, NOOP, &[]);
    caller.turn();
    caller.server.keeper.go_on();
    caller.turn();
    assert_eq!(caller.unanswered, BTreeSet::new());
}

/// Who tops up the budgets: asks wait here until somebody answers.
#[derive(Default)]
struct Renewals {
    asked: Option<(Lease, Lease)>,
    waiting: Option<Waker>,
}

/// Has what a link asks for wait for an answer, as a service does for the powerbox's.
fn ask_always(caller: &Caller) -> Rc<RefCell<Renewals>> {
    let renewals = Rc::<RefCell<Renewals>>::default();
    let (asks, watch) = (renewals.clone(), caller.server.watch.clone());
    caller.world.spawn(async move {
        loop {
            let low = watch.low().await;
            asks.borrow_mut().asked = Some(low);
            poll_fn(|context| {
                let mut asks = asks.borrow_mut();
                asks.waiting = Some(context.waker().clone());
                if asks.asked.is_some() { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            if watch.is_ended() {
                return pending::<()>().await;
            }
        }
    });
    renewals
}

/// Answers what was asked, if something was: so much more, and whether that is all.
fn answer(caller: &Caller, renewals: &RefCell<Renewals>, (calls, bytes): (u64, u64), more: bool) {
    let Some((low_calls, low_bytes)) = renewals.borrow_mut().asked.take() else { return };
    let given = |low: Lease, amount| Lease { amount: low.amount + amount, more, ..low };
    caller.server.watch.renew(given(low_calls, calls), given(low_bytes, bytes));
    renewals.borrow_mut().waiting.take().into_iter().for_each(Waker::wake);
}

/// All objects are one, so that all that hangs can be let go.
const METHODS: [u16; 10] = [NOOP, NOOP, NOOP, HANG, HANG, SAME, SAME_LATER, GIVE_BACK, GIVE_BACK_LATER, FAIL];

/// One link from its beginning to its end. What became of it.
fn life(draw: &mut Mutator) -> &'static str {
    let small = Bounds {
        running: 1 + draw.below(4),
        running_bytes: 200 + draw.below(2_000),
        outgoing_soft_bytes: 1 << (8 + draw.below(14)),
        ..Bounds::for_peer(Peer::App)
    };
    let slice = |amount: usize| Lease { more: true, ..Lease::of(amount as u64) };
    let calls = if draw.below(3) == 0 { Lease::UNLIMITED } else { slice(1 + draw.below(6)) };
    let bytes = if draw.below(3) == 0 { Lease::UNLIMITED } else { slice(100 + draw.below(4_000)) };
    let mut caller = Caller::new(&Badge { calls, bytes, ..badge() }, small);
    let renewals = ask_always(&caller);
    let (ends, cut_at) = (draw.below(6) == 0, if draw.below(4) == 0 { draw.below(STEPS) } else { usize::MAX });

    for step in 0..STEPS {
        let one_of = |draw: &mut Mutator, of: &BTreeSet<u32>| of.iter().nth(draw.below(of.len().max(1))).copied();
        match draw.below(16) {
            _ if step == cut_at => caller.cutter.cut(),
            0..=7 => {
                let unfinished = caller.unfinished.clone();
                let of = if draw.below(4) == 0 { one_of(draw, &unfinished) } else { None };
                let given = match (draw.below(3), one_of(draw, &unfinished)) {
                    (0, Some(question)) => vec![Reference::Answer(question)],
                    (1, _) => vec![Reference::Theirs(0)],
                    _ => Vec::new(),
                };
                let method = match draw.below(100) {
                    0 => PANIC,
                    1 | 2 => BYTES,
                    _ => METHODS[draw.below(METHODS.len())],
                };
                caller.call(of, method, &given);
            }
            8 | 9 => {
                let unfinished = caller.unfinished.clone();
                one_of(draw, &unfinished).into_iter().for_each(|question| caller.finish(question));
            }
            10 => {
                let waiting = caller.server.keeper.waiting.borrow().len();
                if waiting > 0 {
                    let _ = caller.server.keeper.waiting.borrow_mut().swap_remove(draw.below(waiting)).send(());
                }
            }
            11 => caller.server.keeper.go_on(),
            12 => {
                let slice = (1 + draw.below(5) as u64, 1 + draw.below(5_000) as u64);
                answer(&caller, &renewals, slice, true);
            }
            13 if ends && step > STEPS / 2 => answer(&caller, &renewals, (1, 1_000), false),
            14 => caller.world.settle(),
            _ => caller.turn(),
        }
    }

    for _ in 0..LAST_TURNS {
        caller.server.keeper.go_on();
        answer(&caller, &renewals, (1_000_000, 1 << 32), true);
        caller.turn();
        if caller.unanswered.is_empty() && caller.unfinished.is_empty() {
            break;
        }
        if caller.unanswered.is_empty() {
            caller.unfinished.clone().into_iter().for_each(|question| caller.finish(question));
        }
    }
    let (started, gone) = (caller.server.keeper.started.get(), caller.server.keeper.gone.get());
    assert_eq!(started, gone, "handlers hang");
    if let Some(ended) = caller.server.ended.take() {
        assert!(matches!(ended.reason, EndReason::Closed | EndReason::Exhausted), "{ended:?}");
        return if ended.reason == EndReason::Closed { "cut" } else { "exhausted" };
    }
    assert_eq!(caller.unanswered, BTreeSet::new(), "calls hang");
    // The root is held as the answer to the very first question.
    assert!(caller.server.watch.tables().unfinished_calls <= 1, "{:?}", caller.server.watch.tables());
    "answered"
}

#[test]
fn whatever_calls_wait_for_each_comes_to_its_end() {
    let mut draw = Mutator::new();
    let mut ends = std::collections::BTreeMap::<_, usize>::new();
    for number in 0..LIVES {
        println!("life {number}");
        *ends.entry(life(&mut draw)).or_default() += 1;
    }
    // That all three happened, and each often: else nothing was tried.
    println!("{ends:?}");
    assert!(ends.len() == 3 && ends.values().all(|count| *count >= LIVES / 50), "{ends:?}");
}
