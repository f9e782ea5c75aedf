//! Peers that do everything wrong, by raw messages. Each is cut with a reason that an operator can read, or limited;
//! and whoever else is served on the same thread notices nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::type_complexity, clippy::wrong_self_convention)]
#![allow(clippy::drop_non_drop, reason = "a builder is dropped where it has done its work")]

mod common;

use capnp_rpc::rpc_capnp::{call, disembargo, message, return_};
use common::keeper::{
    ANOTHER, BYTES, CALL_IT, FORWARD, GIVE_BACK, GIVE_BACK_LATER, HANG, KEEPER, NOOP, PUT, SAME, SAME_LATER,
};
use common::raw::{Raw, Reference, write_payload};
use common::world::{BUFFER_BYTES, BothEnds, ServedLink, World, badge};
use std::sync::mpsc;
use std::time::Duration;
use vat::bounds::{
    HELD_LIMIT, MESSAGE_LIMIT_BYTES, OBJECTS_LIMIT, OUTGOING_LIMIT_BYTES, PATIENCE_NS, PIPELINE_DEPTH_LIMIT,
    QUESTIONS_LIMIT, SEGMENTS_LIMIT,
};
use vat::testing::pair;
use vat::{Bounds, EndReason, Peer};

/// A test that never ends fails after this: what is tested here once looped for ever.
const WATCHDOG: Duration = Duration::from_secs(120);

/// The root object has this number: the first that was exported.
const ROOT: u32 = 0;

/// A hostile peer and an innocent one, served on one thread.
struct Scene {
    world: World,
    raw: Raw,
    hostile: ServedLink,
    innocent: BothEnds,
}

impl Scene {
    fn new(bounds: Bounds) -> Scene {
        let mut world = World::new();
        let innocent = world.link(&badge(), Bounds::for_peer(Peer::App));
        let (here, there) = pair(BUFFER_BYTES);
        let hostile = world.serve(there, &badge(), bounds);
        *hostile.keeper.other.borrow_mut() = Some(world.own(&innocent).1);
        let mut raw = Raw::new(here);
        raw.bootstrap(0);
        world.settle();
        assert_eq!(raw.read().len(), 1, "the root");
        Scene { world, raw, hostile, innocent }
    }

    fn app() -> Scene {
        Scene::new(Bounds::for_peer(Peer::App))
    }

    /// One whose object a handler has called and waits for: call 0 of theirs.
    fn asked() -> Scene {
        let mut scene = Scene::app();
        scene.raw.call(1, ROOT, PUT, &[Reference::Hosted(5)]);
        scene.settle();
        let keeper = &scene.hostile.keeper;
        keeper.other.replace(keeper.held.borrow().clone());
        scene.raw.call(2, ROOT, FORWARD, &[]);
        scene.settle();
        assert_eq!(scene.raw.read().len(), 2, "an answer and a call");
        scene
    }

    fn settle(&mut self) {
        self.world.settle();
    }

    /// Sends what the link does not take at once, as long as it takes something.
    fn settle_all(&mut self) {
        self.settle();
        while !self.raw.is_closed() && !self.raw.push() {
            self.settle();
        }
        self.settle();
    }

    fn innocent_is_served(&mut self) {
        let called = self.innocent.root.call(ANOTHER, None).object().call(NOOP, None);
        let answered = self.world.spawn(called.promise);
        self.world.settle();
        assert!(matches!(answered.take(), Some(Ok(_))), "the innocent peer is answered");
        assert!(!self.innocent.server.ended.is_there());
    }

    #[track_caller]
    fn is_cut_for(mut self, words: &str) {
        self.settle();
        let ended = self.hostile.ended.take().expect("the hostile peer is cut");
        assert_eq!(ended.reason, EndReason::Misbehaved, "{}", ended.detail);
        assert!(ended.detail.contains(words), "`{}` does not say `{words}`", ended.detail);
        assert!(self.raw.is_closed());
        let keeper = &self.hostile.keeper;
        assert_eq!(keeper.gone.get(), keeper.started.get(), "no handler of it is left");
        self.innocent_is_served();
    }

    #[track_caller]
    fn is_still_served(mut self) {
        self.settle();
        self.raw.read();
        self.raw.call(4_000_000_000, ROOT, NOOP, &[]);
        self.settle();
        assert!(!self.hostile.ended.is_there());
        assert_eq!(self.raw.read().len(), 1, "the peer is answered as well");
        self.innocent_is_served();
    }
}

/// Runs on a thread of its own, so that an endless loop is a failure and not a hang.
#[track_caller]
fn watched(test: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        let _ = sender.send(());
    });
    match receiver.recv_timeout(WATCHDOG) {
        Ok(()) => thread.join().unwrap(),
        Err(mpsc::RecvTimeoutError::Disconnected) => std::panic::resume_unwind(thread.join().unwrap_err()),
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it loops for ever"),
    }
}

// --- references that could be tied into a knot ---

#[test]
fn a_promise_is_refused_whatever_would_become_of_it() {
    watched(|| {
        let mut scene = Scene::app();
        scene.raw.call(1, ROOT, PUT, &[Reference::Promise(5)]);
        scene.is_cut_for("a promise (senderPromise)");
    });
}

#[test]
fn nothing_resolves_that_was_never_a_promise() {
    use Reference::{Answer, Hosted, Promise, Theirs};
    for to in [Promise(5), Hosted(5), Hosted(9), Theirs(ROOT), Answer(1)] {
        watched(move || {
            let mut scene = Scene::app();
            scene.raw.call(1, ROOT, PUT, &[Hosted(5)]);
            scene.settle();
            scene.raw.resolve(5, to);
            scene.is_cut_for("the resolution of a promise");
        });
    }
}

/// The second steps of a knot, each after a first call that handed over object 5 or what will be the result of a call.
#[test]
fn what_a_handler_is_given_is_settled_so_no_knot_can_be_tied() {
    // a result that is put where another call will find it, which returns it: itself
    for act in [CALL_IT, GIVE_BACK, FORWARD, NOOP] {
        watched(move || {
            let mut scene = Scene::app();
            scene.raw.call(1, ROOT, PUT, &[Reference::Hosted(9)]);
            scene.raw.call(2, ROOT, GIVE_BACK_LATER, &[]);
            scene.raw.call(3, ROOT, PUT, &[Reference::Answer(2)]);
            scene.settle();
            assert_eq!(*scene.hostile.keeper.order.borrow(), [PUT, GIVE_BACK_LATER], "the third waits");
            scene.hostile.keeper.go_on();
            scene.raw.call(4, ROOT, act, &[]);
            scene.settle();
            assert_eq!(*scene.hostile.keeper.order.borrow(), [PUT, GIVE_BACK_LATER, PUT, act]);
            scene.is_still_served();
        });
    }
}

#[test]
fn two_results_cannot_be_given_to_each_other() {
    watched(|| {
        let mut scene = Scene::app();
        scene.raw.call(1, ROOT, SAME_LATER, &[Reference::Hosted(5)]);
        scene.raw.call(2, ROOT, SAME_LATER, &[Reference::Answer(1)]);
        scene.raw.call(3, ROOT, SAME, &[Reference::Answer(2)]);
        // itself: there is no such call yet when it is read
        scene.raw.call(4, ROOT, SAME, &[Reference::Answer(4)]);
        for _ in 0..2 {
            scene.settle();
            scene.hostile.keeper.go_on();
        }
        scene.settle();
        scene.is_still_served();
    });
}

/// It has an object of its own called with what is not there yet, so that it would be given that as a promise; which
/// it could then answer with, or call with itself.
#[test]
fn what_is_not_there_yet_is_not_handed_back() {
    watched(|| {
        let mut scene = Scene::app();
        scene.raw.call(1, ROOT, SAME, &[Reference::Hosted(5)]);
        scene.raw.call_result(2, 1, SAME, &[Reference::Hosted(5)]);
        scene.settle();
        assert_eq!(scene.raw.read().len(), 2, "an answer, and the second call, passed on");
        scene.raw.call_result(3, 1, PUT, &[Reference::Answer(2)]);
        scene.is_cut_for("it would be handed a promise");
    });
}

#[test]
fn an_answer_names_no_result_and_no_promise() {
    for (given, words) in [
        (Reference::Answer(1), "a result (receiverAnswer)"),
        (Reference::Promise(7), "a promise (senderPromise)"),
        (Reference::ThirdParty, "a third party's"),
    ] {
        watched(move || {
            let mut scene = Scene::asked();
            scene.raw.answer(0, &[given]);
            scene.is_cut_for(words);
        });
    }
}

#[test]
fn long_chains_of_calls_do_not_reach_the_stack() {
    watched(|| {
        let mut scene = Scene::app();
        scene.raw.call(1, ROOT, HANG, &[]);
        for question in 2..=PIPELINE_DEPTH_LIMIT as u32 {
            scene.raw.call_result(question, question - 1, NOOP, &[]);
        }
        scene.settle();
        assert!(!scene.hostile.ended.is_there());
        scene.raw.call_result(1_000, PIPELINE_DEPTH_LIMIT as u32, NOOP, &[]);
        scene.is_cut_for("calls in a chain");
    });
}

#[test]
fn a_chain_through_what_calls_are_given_is_a_chain_too() {
    watched(|| {
        let mut scene = Scene::app();
        scene.raw.call(1, ROOT, HANG, &[]);
        for question in 2..100_000 {
            scene.raw.call(question, ROOT, SAME, &[Reference::Answer(question - 1)]);
        }
        scene.settle_all();
        scene.is_cut_for("calls in a chain");
    });
}

// --- ids that stand for nothing ---

#[test]
fn ids_that_stand_for_nothing_are_refused() {
    type Act = fn(&mut Raw) -> bool;
    let acts: [(Act, &str); 15] = [
        (|raw| raw.call(1, 77, NOOP, &[]), "it calls object 77"),
        (|raw| raw.call(1, u32::MAX, NOOP, &[]), "it calls object 4294967295"),
        (|raw| raw.call(1, ROOT, PUT, &[Reference::Theirs(77)]), "it passes object 77"),
        (|raw| raw.call(1, ROOT, PUT, &[Reference::ThirdParty]), "a third party's"),
        (|raw| raw.release(77, 1), "it releases object 77"),
        (|raw| raw.release(ROOT, 2), "it releases more than it has of object 0"),
        (|raw| raw.release(ROOT, u32::MAX), "it releases more than it has of object 0"),
        (|raw| raw.release(ROOT, 1) && raw.release(ROOT, 1), "it releases object 0"),
        (|raw| raw.release(ROOT, 1) && raw.call(1, ROOT, NOOP, &[]), "it calls object 0"),
        (|raw| raw.finish(77, true), "it finishes call 77"),
        (|raw| raw.finish(0, false) && raw.finish(0, false), "it finishes call 0"),
        (|raw| raw.call(1, ROOT, HANG, &[]) && raw.finish(1, true) && raw.finish(1, true), "it finishes call 1"),
        (|raw| raw.call(0, ROOT, NOOP, &[]), "it makes call 0"),
        (|raw| raw.bootstrap(0), "it makes call 0"),
        (|raw| raw.answer(77, &[]), "it answers call 77"),
    ];
    for (act, words) in acts {
        watched(move || {
            let mut scene = Scene::app();
            act(&mut scene.raw);
            scene.is_cut_for(words);
        });
    }
}

#[test]
fn a_call_is_answered_once() {
    watched(|| {
        let mut scene = Scene::asked();
        scene.raw.answer(0, &[Reference::Hosted(9)]);
        scene.raw.answer(0, &[Reference::Hosted(9)]);
        scene.is_cut_for("it answers call 0");
    });
}

#[test]
fn an_embargo_that_nobody_set_is_not_lifted() {
    let contexts: [(fn(disembargo::context::Builder<'_>), &str); 3] = [
        (|mut context| context.set_receiver_loopback(3), "it lifts embargo 3"),
        (|mut context| context.set_accept(()), "an embargo between three"),
        (|mut context| context.set_provide(3), "an embargo between three"),
    ];
    for (set, words) in contexts {
        watched(move || {
            let mut scene = Scene::app();
            scene.raw.send(|message| {
                let mut disembargo = message.init_disembargo();
                disembargo.reborrow().init_target().set_imported_cap(ROOT);
                set(disembargo.init_context());
            });
            scene.is_cut_for(words);
        });
    }
}

#[test]
fn an_embargo_on_what_is_not_the_peers_own_ends_the_link() {
    watched(|| {
        let mut scene = Scene::app();
        scene.raw.send(|message| {
            let mut disembargo = message.init_disembargo();
            disembargo.reborrow().init_target().set_imported_cap(ROOT);
            disembargo.init_context().set_sender_loopback(1);
        });
        scene.is_cut_for("does not point back to the sender");
    });
}

#[test]
fn results_that_go_elsewhere_are_refused() {
    watched(|| {
        for elsewhere in [
            (|mut to: call::send_results_to::Builder<'_>| to.set_yourself(()))
                as fn(call::send_results_to::Builder<'_>),
            |to| drop(to.init_third_party()),
        ] {
            let mut scene = Scene::app();
            scene.raw.send(|message| {
                let mut call = message.init_call();
                call.set_question_id(1);
                call.set_interface_id(KEEPER);
                call.set_method_id(NOOP);
                call.reborrow().init_target().set_imported_cap(ROOT);
                elsewhere(call.reborrow().get_send_results_to());
                call.init_params();
            });
            scene.is_cut_for("a call whose results go elsewhere");
        }
    });
}

#[test]
fn answers_that_only_a_tail_call_could_have_are_refused() {
    let forms: [(fn(return_::Builder<'_>), &str); 4] = [
        (|mut result| result.set_results_sent_elsewhere(()), "a result that went elsewhere"),
        (|mut result| result.set_take_from_other_question(0), "a result that went elsewhere"),
        (|result| drop(result.init_accept_from_third_party()), "a third party's result"),
        (|mut result| result.set_canceled(()), "the cancellation of a call that is wanted"),
    ];
    for (form, words) in forms {
        watched(move || {
            let mut scene = Scene::asked();
            scene.raw.send(|message| {
                let mut result = message.init_return();
                result.set_answer_id(0);
                form(result);
            });
            scene.is_cut_for(words);
        });
    }
}

#[test]
fn kinds_of_message_that_nobody_sends_are_refused() {
    let kinds: [(fn(message::Builder<'_>), &str); 6] = [
        (|message| message.init_provide().set_question_id(1), "provide"),
        (|message| message.init_accept().set_question_id(1), "accept"),
        (|message| message.init_join().set_question_id(1), "join"),
        (|message| drop(message.init_unimplemented().init_bootstrap()), "unimplemented"),
        (|message| drop(message.init_obsolete_save()), "save or delete"),
        (|message| drop(message.init_obsolete_delete()), "save or delete"),
    ];
    for (kind, words) in kinds {
        watched(move || {
            let mut scene = Scene::app();
            scene.raw.send(kind);
            scene.is_cut_for(words);
        });
    }
}

#[test]
fn a_kind_of_message_that_does_not_exist_is_refused() {
    watched(|| {
        let mut scene = Scene::app();
        let mut builder = capnp::message::Builder::new_default();
        builder.init_root::<message::Builder<'_>>().init_join();
        let mut bytes = capnp::serialize::write_message_to_words(&builder);
        // after the header and the root pointer stands which kind it is
        bytes[16] = 200;
        scene.raw.bytes(&bytes);
        scene.is_cut_for("malformed");
    });
}

#[test]
fn who_gives_up_is_let_go_with_few_words() {
    watched(|| {
        let mut scene = Scene::app();
        scene.raw.send(|message| message.init_abort().set_reason("x".repeat(1_000_000)));
        scene.settle_all();
        let ended = scene.hostile.ended.take().unwrap();
        assert_eq!(ended.reason, EndReason::Closed);
        assert!(ended.detail.starts_with("the other end gave up: xxx") && ended.detail.len() < 400);
        scene.innocent_is_served();
    });
}

// --- frames ---

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn frames_that_claim_too_much_are_refused_before_they_come() {
    let claims: [(Vec<u8>, &str); 6] = [
        (vec![0xff; 64], "a frame of 4294967296 segments"),
        (words(&[SEGMENTS_LIMIT as u32, 0]), "a frame of 65 segments"),
        (words(&[0, u32::MAX]), "a message of 34359738360 bytes"),
        (words(&[0, (MESSAGE_LIMIT_BYTES / 8 + 1) as u32]), "a message of 1114120 bytes"),
        (words(&[0, 0]), "an empty message"),
        ((1..4_096u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect(), "a frame of"),
    ];
    for (bytes, expected) in claims {
        watched(move || {
            let mut scene = Scene::app();
            scene.raw.bytes(&bytes);
            scene.is_cut_for(expected);
        });
    }
}

#[test]
fn garbage_of_the_right_size_is_malformed() {
    for seed in 0..200u64 {
        watched(move || {
            let mut scene = Scene::app();
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut body = Vec::new();
            for _ in 0..64 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                body.extend(state.to_le_bytes());
            }
            scene.raw.bytes(&[words(&[0, 64]), body].concat());
            scene.settle();
            let ended = scene.hostile.ended.take().expect("it is cut");
            assert_eq!(ended.reason, EndReason::Misbehaved, "{}", ended.detail);
            scene.innocent_is_served();
        });
    }
}

#[test]
fn a_frame_must_be_finished_in_time() {
    for begun in [vec![0], words(&[0]), words(&[0, 16]), [words(&[0, 16]), vec![0; 127]].concat()] {
        watched(move || {
            let mut scene = Scene::app();
            scene.raw.bytes(&begun);
            scene.settle();
            scene.world.clock.advance_ms(PATIENCE_NS / 1_000_000 - 1);
            scene.settle();
            assert!(!scene.hostile.ended.is_there(), "not before its time");
            scene.world.clock.advance_ms(1);
            scene.is_cut_for("not finished in time");
        });
    }
}

#[test]
fn a_frame_that_comes_byte_by_byte_has_the_same_time() {
    watched(|| {
        let mut scene = Scene::app();
        let frame = [words(&[0, 16]), vec![0; 64]].concat();
        for byte in frame {
            scene.raw.bytes(&[byte]);
            scene.settle();
            scene.world.clock.advance_ms(PATIENCE_NS / 1_000_000 / 64);
            scene.settle();
        }
        scene.is_cut_for("not finished in time");
    });
}

#[test]
fn idleness_is_no_fault() {
    watched(|| {
        let mut scene = Scene::app();
        for _ in 0..10 {
            scene.world.clock.advance_ms(PATIENCE_NS / 1_000_000);
            scene.settle();
        }
        scene.is_still_served();
    });
}

#[test]
fn pointers_that_nest_without_end_are_the_callers_error() {
    watched(|| {
        let mut scene = Scene::app();
        scene.raw.send(|message| {
            let mut call = message.init_call();
            call.set_question_id(1);
            call.set_interface_id(KEEPER);
            call.set_method_id(SAME);
            call.reborrow().init_target().set_imported_cap(ROOT);
            let mut pointer = call.init_params().get_content();
            for _ in 0..10_000 {
                pointer = pointer.initn_as::<capnp::any_pointer_list::Builder<'_>>(1).get(0);
            }
        });
        scene.settle();
        let answers = scene.raw.read();
        let message::Return(Ok(answer)) = answers[0].get().unwrap().which().unwrap() else { panic!() };
        assert!(matches!(answer.which().unwrap(), return_::Exception(_)));
        scene.is_still_served();
    });
}

#[test]
fn pointers_that_overlap_do_not_multiply_the_work() {
    watched(|| {
        let mut scene = Scene::app();
        let mut builder = capnp::message::Builder::new_default();
        let mut call = builder.init_root::<message::Builder<'_>>().init_call();
        call.set_question_id(1);
        call.reborrow().init_target().set_imported_cap(ROOT);
        call.init_params().init_cap_table(1);
        let mut bytes = capnp::serialize::write_message_to_words(&builder);
        // the table becomes a list of half a billion structs of no size: its tag stands right before its one struct
        let tag = (bytes.len() - 24) & !7;
        let count = (1u32 << 29) - 1;
        bytes[tag..tag + 4].copy_from_slice(&(count << 2).to_le_bytes());
        bytes[tag + 4..tag + 8].copy_from_slice(&[0; 4]);
        scene.raw.bytes(&bytes);
        scene.settle();
        let ended = scene.hostile.ended.take().expect("it is cut");
        assert_eq!(ended.reason, EndReason::Misbehaved, "{}", ended.detail);
        scene.innocent_is_served();
    });
}

// --- more than a link may hold ---

#[test]
fn a_million_calls_that_nobody_answers() {
    watched(|| {
        let mut scene = Scene::app();
        for question in 1..1_000_000 {
            if !scene.raw.call(question, ROOT, HANG, &[]) {
                scene.settle();
                if scene.raw.is_closed() {
                    break;
                }
            }
        }
        scene.settle_all();
        assert_eq!(scene.hostile.keeper.started.get(), vat::bounds::RUNNING_LIMIT, "the others waited");
        scene.is_cut_for(&format!("more than {HELD_LIMIT} unfinished calls"));
    });
}

#[test]
fn results_that_nobody_finishes() {
    watched(|| {
        let mut scene = Scene::app();
        for question in 1..100_000 {
            if !scene.raw.call(question, ROOT, SAME, &[Reference::Hosted(5)]) {
                scene.settle();
                scene.raw.read();
                if scene.raw.is_closed() {
                    break;
                }
            }
        }
        scene.settle_all();
        scene.is_cut_for(&format!("more than {HELD_LIMIT} unfinished calls"));
    });
}

#[test]
fn calls_with_much_in_them() {
    watched(|| {
        let mut scene = Scene::app();
        for question in 1..1_000 {
            scene.raw.send(|message| {
                let mut call = message.init_call();
                call.set_question_id(question);
                call.set_interface_id(KEEPER);
                call.set_method_id(HANG);
                call.reborrow().init_target().set_imported_cap(ROOT);
                call.init_params().get_content().set_as::<capnp::data::Owned>(&vec![1; 1 << 20][..]).unwrap();
            });
            scene.settle_all();
            if scene.raw.is_closed() {
                break;
            }
        }
        scene.is_cut_for("bytes of unfinished calls");
    });
}

#[test]
fn objects_of_the_peers_own_without_end() {
    watched(|| {
        let mut scene = Scene::app();
        let many: Vec<_> = (0..1_000).map(Reference::Hosted).collect();
        for batch in 0..=(OBJECTS_LIMIT as u32 / 1_000) {
            let own: Vec<_> = many
                .iter()
                .map(|reference| match reference {
                    Reference::Hosted(id) => Reference::Hosted(id + batch * 1_000),
                    other => *other,
                })
                .collect();
            scene.raw.call(batch + 1, ROOT, HANG, &own);
        }
        scene.settle_all();
        scene.is_cut_for("objects of its own that it passes");
    });
}

#[test]
fn a_table_of_references_without_end() {
    watched(|| {
        let mut scene = Scene::app();
        scene.raw.call(1, ROOT, NOOP, &vec![Reference::Hosted(1); OBJECTS_LIMIT + 1]);
        scene.settle_all();
        scene.is_cut_for("references in one message");
    });
}

#[test]
fn objects_that_are_made_and_never_released() {
    watched(|| {
        let mut scene = Scene::app();
        for question in 1..=OBJECTS_LIMIT as u32 + 100 {
            scene.raw.call(question, ROOT, ANOTHER, &[]);
            scene.raw.finish(question, false);
            if question % 100 == 0 {
                scene.settle();
                scene.raw.read();
            }
        }
        scene.settle_all();
        scene.is_cut_for("objects that it holds");
    });
}

#[test]
fn calls_of_ours_that_the_peer_never_answers() {
    watched(|| {
        let mut scene = Scene::app();
        scene.raw.call(1, ROOT, PUT, &[Reference::Hosted(5)]);
        // it gives nothing back, and a call that was given up counts until it is answered
        for question in 2..=QUESTIONS_LIMIT as u32 + 100 {
            scene.raw.call(question, ROOT, CALL_IT, &[]);
            if question % 100 == 0 {
                scene.settle();
                scene.raw.read();
            }
        }
        scene.settle_all();
        scene.is_cut_for("calls that it does not answer");
    });
}

#[test]
fn a_peer_that_does_not_read_makes_others_wait_for_nothing() {
    watched(|| {
        let mut scene = Scene::app();
        for question in 1..=1_000 {
            scene.raw.call(question, ROOT, BYTES, &[]);
        }
        scene.settle();
        let started = scene.hostile.keeper.started.get();
        assert!(started < 1_000, "{started} results lie in memory");
        scene.innocent_is_served();
        scene.world.clock.advance_ms(PATIENCE_NS / 1_000_000 - 1);
        scene.settle();
        assert!(!scene.hostile.ended.is_there(), "not before its time");
        scene.world.clock.advance_ms(1);
        scene.is_cut_for("it does not read what it is sent");
    });
}

#[test]
fn a_peer_that_keeps_asking_and_never_reads_is_cut_no_later() {
    watched(|| {
        let mut scene = Scene::app();
        scene.raw.call(1, ROOT, BYTES, &[]);
        for question in 2..=11 {
            scene.settle();
            assert!(!scene.hostile.ended.is_there());
            scene.world.clock.advance_ms(PATIENCE_NS / 1_000_000 / 10);
            scene.raw.call(question, ROOT, NOOP, &[]);
        }
        scene.is_cut_for("it does not read what it is sent");
    });
}

#[test]
fn a_peer_that_is_busy_all_the_time_is_not_a_slow_one() {
    watched(|| {
        let mut scene = Scene::app();
        let mut builder = capnp::message::Builder::new_default();
        let mut call = builder.init_root::<message::Builder<'_>>().init_call();
        call.set_interface_id(KEEPER);
        call.set_method_id(NOOP);
        call.reborrow().init_target().set_imported_cap(ROOT);
        call.set_question_id(1);
        call.init_params();
        let frame = capnp::serialize::write_message_to_words(&builder);
        // whenever it is looked at, a frame has begun and is not all there
        let (first, second) = frame.split_at(frame.len() / 2);
        scene.raw.bytes(first);
        for _ in 0..100 {
            scene.settle();
            scene.raw.read();
            assert!(!scene.hostile.ended.is_there());
            scene.world.clock.advance_ms(PATIENCE_NS / 1_000_000 / 10);
            scene.raw.bytes(second);
            scene.raw.bytes(first);
        }
        scene.raw.bytes(second);
        scene.is_still_served();
    });
}

#[test]
fn output_has_a_bound_of_its_own() {
    watched(|| {
        let small = OUTGOING_LIMIT_BYTES / 64;
        let mut scene = Scene::new(Bounds { outgoing_bytes: small, ..Bounds::for_peer(Peer::App) });
        for question in 1..=64 {
            scene.raw.call(question, ROOT, BYTES, &[]);
        }
        scene.is_cut_for("bytes that it has not read");
    });
}

// --- sessions ---

#[test]
fn nothing_but_data_comes_in_over_a_session() {
    use Reference::{Answer, Hosted, Promise, Theirs, ThirdParty};
    for given in [Hosted(1), Promise(1), Theirs(ROOT), Answer(0), ThirdParty] {
        watched(move || {
            let mut scene = Scene::new(Bounds::for_operator_session());
            scene.raw.call(1, ROOT, NOOP, &[]);
            scene.settle();
            assert!(!scene.hostile.ended.is_there());
            // even where the method would not look at it
            scene.raw.call(2, ROOT, NOOP, &[given]);
            scene.settle();
            assert_eq!(scene.hostile.keeper.started.get(), 1);
            scene.is_cut_for("a link that carries data only");
        });
    }
}

#[test]
fn a_reference_that_no_pointer_uses_is_one_too() {
    watched(|| {
        let mut scene = Scene::new(Bounds::for_operator_session());
        scene.raw.send(|message| {
            let mut call = message.init_call();
            call.set_question_id(1);
            call.set_interface_id(KEEPER);
            call.set_method_id(NOOP);
            call.reborrow().init_target().set_imported_cap(ROOT);
            let mut params = call.init_params();
            write_payload(params.reborrow(), &[]);
            params.init_cap_table(1).get(0).set_sender_hosted(3);
        });
        scene.is_cut_for("a link that carries data only");
    });
}
