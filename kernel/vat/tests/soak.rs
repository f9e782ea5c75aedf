//! Two vats that mean well do at random everything that the protocol allows. Neither is ever cut, and nothing is left
//! when they are done: what the library keeps about a link agrees with what the engine does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::type_complexity, clippy::wrong_self_convention)]
#![allow(clippy::drop_non_drop, reason = "a builder is dropped where it has done its work")]

mod common;

use capnp::capability::{Client, FromClientHook};
use common::keeper::{
    ANOTHER, CALL_IT, Called, FAIL, FORWARD, GIVE_BACK, GIVE_BACK_LATER, HANG, KeeperClient, NOOP, PUT, SAME,
    SAME_LATER,
};
use common::world::{BothEnds, World, badge};
use futures::FutureExt;
use vat::{Bounds, Peer, References};

const SEEDS: u64 = 300;
const STEPS: usize = 150;

/// xorshift64*
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { from.get(self.below(from.len())) }
    }
}

/// What the client holds.
#[derive(Default)]
struct Mine {
    /// Objects out of results: what they are is known.
    settled: Vec<KeeperClient>,
    /// Objects taken before the result was there. The engine panics where such a one turned out to be an object of
    /// this end's own and is called with a reference; and passed on while that is being settled it is a promise,
    /// which strangers may not pass.
    early: Vec<KeeperClient>,
    /// Calls whose result is an object.
    giving: Vec<Called>,
    /// Others. The engine panics where an object is taken out of a result that is there and has none.
    others: Vec<Called>,
}

/// Takes up the answers that are there, and with them the objects that they give.
fn take_up(calls: &mut Vec<Called>, objects: &mut Vec<KeeperClient>) {
    let mut kept = Vec::new();
    for mut call in calls.drain(..) {
        match (&mut call.promise).now_or_never() {
            None => kept.push(call),
            Some(Err(_)) => {}
            Some(Ok(response)) => {
                if let Ok(object) = response.get().unwrap().get_as_capability::<Client>() {
                    objects.push(KeeperClient::new(object.hook));
                }
            }
        }
    }
    *calls = kept;
}

fn step(dice: &mut Dice, world: &mut World, link: &BothEnds, own: &[Client], mine: &mut Mine) {
    let root = &link.root;
    let settled = dice.pick(&mine.settled).unwrap_or(root).clone();
    let any = if dice.below(2) == 0 { settled.clone() } else { dice.pick(&mine.early).unwrap_or(root).clone() };
    let given = if dice.below(2) == 0 { own[dice.below(own.len())].clone() } else { settled.0.clone() };
    let receiver = if dice.below(2) == 0 { root } else { &settled };
    match dice.below(18) {
        0 => mine.others.push(any.call(NOOP, None)),
        1 => mine.giving.push(any.call(ANOTHER, None)),
        2 => mine.giving.push(receiver.call(SAME, Some(&given))),
        3 => mine.giving.push(root.call(SAME_LATER, Some(&given))),
        4 => mine.others.push(root.call(PUT, Some(&given))),
        5 => mine.others.push(root.call([HANG, FAIL, CALL_IT, FORWARD][dice.below(4)], None)),
        6 => mine.giving.push(root.call([GIVE_BACK, GIVE_BACK_LATER][dice.below(2)], None)),
        7 | 8 => mine.early.extend(dice.pick(&mine.giving).map(Called::object)),
        9 if !mine.giving.is_empty() => drop(mine.giving.swap_remove(dice.below(mine.giving.len()))),
        10 if !mine.settled.is_empty() => drop(mine.settled.swap_remove(dice.below(mine.settled.len()))),
        11 => {
            take_up(&mut mine.giving, &mut mine.settled);
            take_up(&mut mine.others, &mut mine.settled);
        }
        13 if !mine.others.is_empty() => drop(mine.others.swap_remove(dice.below(mine.others.len()))),
        14 if !mine.early.is_empty() => drop(mine.early.swap_remove(dice.below(mine.early.len()))),
        15 => {
            // what is not there yet, as what another call is given
            let later = root.call([SAME, SAME_LATER][dice.below(2)], Some(&given));
            mine.others.push(root.call(PUT, Some(&later.object().0)));
            mine.giving.push(later);
        }
        12 => link.server.keeper.go_on(),
        _ => world.settle(),
    }
}

fn soak(seed: u64, references: References) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut world = World::new();
    let link = world.link(&badge(), Bounds { references, ..Bounds::for_peer(Peer::App) });
    world.wait(link.root.call(NOOP, None).promise).unwrap();
    world.settle();
    let fresh = (link.server.watch.tables(), link.client_watch.tables());
    let own: Vec<_> = (0..3).map(|_| world.own(&link)).collect();
    let objects: Vec<_> = own.iter().map(|(_, object)| object.clone()).collect();
    let (first, _) = &own[0];
    // so that it always has something to give back, and somewhere to forward it
    link.server.keeper.held.replace(Some(link.server.keeper_client()));
    link.server.keeper.other.replace(Some(link.server.keeper_client()));
    let mut mine = Mine::default();
    for at in 0..STEPS {
        step(&mut dice, &mut world, &link, &objects, &mut mine);
        assert!(!link.server.ended.is_there(), "seed {seed}, step {at}: {:?}", link.server.ended.take());
        assert!(!link.client_ended.is_there(), "seed {seed}, step {at}: {:?}", link.client_ended.take());
    }
    drop(mine);
    for _ in 0..3 {
        link.server.keeper.go_on();
        world.settle();
    }
    link.server.keeper.held.replace(None);
    link.server.keeper.other.replace(None);
    first.held.replace(None);
    world.settle();
    world.wait(link.root.call(NOOP, None).promise).unwrap();
    world.settle();
    let (served, used) = (link.server.watch.tables(), link.client_watch.tables());
    assert_eq!(link.server.keeper.started.get(), link.server.keeper.gone.get(), "seed {seed}");
    assert_eq!(served, fresh.0, "seed {seed}: nothing but the root is left at the server");
    assert_eq!(used, fresh.1, "seed {seed}: nor at the client");
}

#[test]
fn a_stranger_that_means_well_is_never_cut_and_leaves_nothing() {
    (1..=SEEDS).for_each(|seed| soak(seed, References::Settled));
}

#[test]
fn nor_is_one_of_our_own() {
    (1..=SEEDS).for_each(|seed| soak(seed, References::Any));
}
