//! A peer that speaks the protocol well enough to get far, and does at random what it allows and forbids. Whatever it
//! does, the engine does not fail on it, nobody else on the thread notices, and when it is cut nothing of it runs on.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use capnp_rpc::rpc_capnp::{cap_descriptor, message, return_};
use common::keeper::{ANOTHER, CALL_IT, FAIL, FORWARD, GIVE_BACK, GIVE_BACK_LATER, HANG, NOOP, PUT, SAME, SAME_LATER};
use common::raw::{Raw, Received, Reference, write_payload};
use common::world::{BUFFER_BYTES, World, badge};
use std::sync::mpsc;
use std::time::Duration;
use vat::testing::pair;
use vat::{Bounds, EndReason, Peer};

const SEEDS: u64 = 1_500;
const MESSAGES: usize = 120;

/// One seed that never ends fails after this.
const WATCHDOG: Duration = Duration::from_secs(120);

const METHODS: [u16; 12] =
    [PUT, PUT, SAME, SAME_LATER, GIVE_BACK, GIVE_BACK_LATER, FORWARD, CALL_IT, NOOP, ANOTHER, HANG, FAIL];

/// xorshift64*
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    fn pick(&mut self, from: &[u32]) -> u32 {
        // now and then something that there is not
        if from.is_empty() || self.below(400) == 0 { self.below(6) as u32 } else { from[self.below(from.len())] }
    }
}

/// What the peer knows.
struct Known {
    next_question: u32,
    /// Its calls that it has not finished.
    open: Vec<u32>,
    /// Objects of theirs that it holds, once for each time that they were named.
    objects: Vec<u32>,
    /// Calls of theirs that it has not answered.
    asked: Vec<u32>,
}

impl Known {
    fn learn(&mut self, received: &[Received]) {
        for received in received {
            match received.get().unwrap().which().unwrap() {
                message::Call(call) => {
                    let call = call.unwrap();
                    self.asked.push(call.get_question_id());
                    self.take(call.get_params().unwrap().get_cap_table().unwrap());
                }
                message::Return(result) => {
                    let result = result.unwrap();
                    if result.get_no_finish_needed() {
                        self.open.retain(|open| *open != result.get_answer_id());
                    }
                    if let return_::Results(results) = result.which().unwrap() {
                        self.take(results.unwrap().get_cap_table().unwrap());
                    }
                }
                _ => {}
            }
        }
    }

    fn take(&mut self, table: capnp::struct_list::Reader<'_, cap_descriptor::Owned>) {
        for descriptor in table {
            if let cap_descriptor::SenderHosted(id) | cap_descriptor::SenderPromise(id) = descriptor.which().unwrap() {
                self.objects.push(id);
            }
        }
    }

    fn reference(&self, dice: &mut Dice) -> Reference {
        let kinds = if dice.below(300) == 0 { 10 } else { 8 };
        match dice.below(kinds) {
            0..=2 => Reference::Hosted(dice.below(5) as u32),
            3..=5 => Reference::Theirs(dice.pick(&self.objects)),
            6 | 7 => Reference::Answer(dice.pick(&self.open)),
            8 => Reference::Promise(dice.below(5) as u32),
            _ => Reference::ThirdParty,
        }
    }

    fn speak(&mut self, raw: &mut Raw, dice: &mut Dice) {
        let given = self.reference(dice);
        let question = self.next_question;
        match dice.below(16) {
            0..=5 => {
                self.next_question += 1;
                self.open.push(question);
                let method = METHODS[dice.below(METHODS.len())];
                raw.call(question, dice.pick(&self.objects), method, &[given]);
            }
            6 | 7 => {
                let of = dice.pick(&self.open);
                // what is not there yet would go to an object of the peer's own: a quick end
                let rare = dice.below(100) == 0;
                let given = if matches!(given, Reference::Answer(_)) && !rare { Reference::Hosted(3) } else { given };
                self.next_question += 1;
                self.open.push(question);
                raw.call_result(question, of, METHODS[dice.below(METHODS.len())], &[given]);
            }
            8..=10 => {
                let finished = dice.pick(&self.open);
                self.open.retain(|open| *open != finished);
                raw.finish(finished, false);
            }
            11 if self.objects.len() > 3 => {
                let at = dice.below(self.objects.len());
                raw.release(self.objects.swap_remove(at), 1);
            }
            12 | 13 if !self.asked.is_empty() => {
                let asked = dice.pick(&self.asked);
                self.asked.retain(|known| *known != asked);
                let given = if matches!(given, Reference::Answer(_)) { Reference::Hosted(1) } else { given };
                raw.answer(asked, &[given]);
            }
            14 if dice.below(60) == 0 => drop(raw.resolve(dice.below(5) as u32, given)),
            14 if !self.asked.is_empty() => drop(raw.send(|message| {
                let asked = self.asked.swap_remove(0);
                let mut result = message.init_return();
                result.set_answer_id(asked);
                result.init_exception().set_reason("no");
            })),
            15 if dice.below(30) == 0 => drop(raw.send(|message| {
                let mut disembargo = message.init_disembargo();
                disembargo.reborrow().init_target().init_promised_answer().set_question_id(dice.pick(&self.open));
                disembargo.init_context().set_sender_loopback(7);
            })),
            _ => drop(raw.send(|message| {
                let mut call = message.init_call();
                call.set_question_id(question);
                call.set_interface_id(common::keeper::KEEPER);
                call.set_method_id(SAME);
                call.reborrow().init_target().set_imported_cap(dice.pick(&self.objects));
                write_payload(call.init_params(), &[given, Reference::Hosted(2)]);
                self.next_question += 1;
                self.open.push(question);
            })),
        }
    }
}

/// Whether the peer was cut, and how many handlers it got.
fn storm(seed: u64) -> (bool, usize) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut world = World::new();
    let innocent = world.link(&badge(), Bounds::for_peer(Peer::App));
    let (here, there) = pair(BUFFER_BYTES);
    let hostile = world.serve(there, &badge(), Bounds::for_peer(Peer::App));
    hostile.keeper.held.replace(Some(hostile.keeper_client()));
    hostile.keeper.other.replace(Some(world.own(&innocent).1));
    let mut raw = Raw::new(here);
    let mut known = Known { next_question: 1, open: Vec::new(), objects: Vec::new(), asked: Vec::new() };
    raw.bootstrap(0);
    for _ in 0..MESSAGES {
        match dice.below(4) {
            0 => world.settle(),
            1 if dice.below(4) == 0 => hostile.keeper.go_on(),
            _ => {}
        }
        known.learn(&raw.read());
        if !known.objects.is_empty() {
            known.speak(&mut raw, &mut dice);
        } else {
            world.settle();
        }
    }
    world.settle();
    let ended = hostile.ended.take();
    if let Some(ended) = &ended {
        assert!(ended.reason == EndReason::Misbehaved, "seed {seed}: {ended:?}");
        assert!(!ended.detail.contains("the engine failed"), "seed {seed}: {ended:?}");
        assert_eq!(hostile.keeper.started.get(), hostile.keeper.gone.get(), "seed {seed}");
    }
    let called = innocent.root.call(ANOTHER, None).object().call(NOOP, None);
    let answered = world.spawn(called.promise);
    world.settle();
    assert!(matches!(answered.take(), Some(Ok(_))), "seed {seed}: the innocent peer is answered");
    (ended.is_some(), hostile.keeper.started.get())
}

#[test]
fn a_storm_of_everything_harms_nobody_else() {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        for seed in 1..=SEEDS {
            let _ = sender.send((seed, None));
            let _ = sender.send((seed, Some(storm(seed))));
        }
    });
    let (mut cut, mut handlers, mut at) = (0, 0, 0);
    loop {
        match receiver.recv_timeout(WATCHDOG) {
            Ok((seed, None)) => at = seed,
            Ok((_, Some((was_cut, started)))) => (cut, handlers) = (cut + usize::from(was_cut), handlers + started),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("seed {at} loops for ever"),
        }
    }
    thread.join().unwrap();
    // that it got far: else nothing was tried
    let seeds = SEEDS as usize;
    assert!(cut > seeds / 10 && cut < seeds && handlers > 10 * seeds, "{cut} of {seeds} cut, {handlers} handlers");
}
