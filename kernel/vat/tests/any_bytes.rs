//! Whatever bytes come through a door or over a link: an error or a message, and never a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use common::keeper::{ANOTHER, GIVE_BACK, NOOP, PUT};
use common::mutate::Mutator;
use common::raw::{Raw, Reference};
use common::world::{self, BUFFER_BYTES, World};
use std::task::{Context, Poll, Waker};
use vat::door::{
    Badge, Begin, Carries, Confinement, FromVat, Identity, Lease, Link, Notice, Peer, Resource, ResourceKind, Role,
    ToVat,
};
use vat::testing::pair;
use vat::words::{EndReason, Method, Rights};
use vat::{Bounds, Transport};

/// Changed messages of each kind.
const ROUNDS: usize = 5_000;
/// Links that a peer spoils.
const LINK_ROUNDS: usize = 500;

fn badge() -> Badge {
    Badge {
        grant: 12,
        interface: 7,
        rights: Rights::READ,
        expires_at_ms: 1_800_000_000_000,
        calls: Lease::of(500),
        bytes: Lease::UNLIMITED,
        methods: vec![Method { interface: 7, ordinal: 0 }, Method { interface: 8, ordinal: 9 }],
        peer: Peer::App,
        holder: "search#1".into(),
        object: String::new(),
        accounts: Vec::new(),
    }
}

fn resource() -> Resource {
    let identity = Identity { file_system: 7, handle: vec![1; 24], inode: 2 };
    Resource { token: 9, path: "/home/ada/docs".into(), identity, ..Resource::new(ResourceKind::Folder, "folder") }
}

#[test]
fn any_bytes_at_a_door_are_a_message_or_an_error() {
    let badge = badge().encode().unwrap();
    let to_vat = [
        ToVat::Begin(Begin { process: 1 << 63, setup: vec![7; 64], resources: 3, reduced: true }),
        ToVat::Link(Link { id: 4, role: Role::Server, carries: Carries::Grant, label: "a/b".into(), badge }),
        ToVat::Resource(resource()),
        ToVat::Notice(Notice { link: 4, label: "docs".into(), reason: EndReason::Revoked, detail: "by".into() }),
        ToVat::Stop,
    ];
    let confinement = Confinement { profile: "folder".into(), applied: vec!["seccomp".into()], missing: vec![] };
    let from_vat = [
        FromVat::Confined(confinement),
        FromVat::Ended { link: u64::MAX },
        FromVat::Resource(resource()),
        FromVat::Last("no such file".into()),
    ];
    let mut mutator = Mutator::new();
    let packets: Vec<Vec<u8>> = to_vat
        .iter()
        .map(|message| message.encode().unwrap())
        .chain(from_vat.iter().map(|message| message.encode().unwrap()))
        .collect();
    for _ in 0..ROUNDS {
        let bytes = mutator.change(&packets);
        // What is taken is a message like any other: it can be said again, and means the same.
        if let Ok(message) = ToVat::decode(&bytes)
            && let Ok(again) = message.encode()
        {
            assert_eq!(ToVat::decode(&again).expect("it was made here"), message);
        }
        if let Ok(message) = FromVat::decode(&bytes)
            && let Ok(again) = message.encode()
        {
            assert_eq!(FromVat::decode(&again).expect("it was made here"), message);
        }
    }
}

#[test]
fn any_bytes_are_a_badge_or_an_error() {
    let mut mutator = Mutator::new();
    let badges = [badge().encode().unwrap()];
    for _ in 0..ROUNDS {
        if let Ok(badge) = Badge::decode(&mutator.change(&badges)) {
            assert_eq!(Badge::decode(&badge.encode().unwrap()).expect("it was made here"), badge);
        }
    }
}

/// What a well-behaved peer says, in the order in which it may.
fn conversation() -> Vec<Vec<u8>> {
    let says: [fn(&mut Raw) -> bool; 9] = [
        |raw| raw.bootstrap(0),
        |raw| raw.call(1, 0, NOOP, &[]),
        |raw| raw.call(2, 0, ANOTHER, &[]),
        |raw| raw.call_result(3, 2, NOOP, &[]),
        |raw| raw.call(4, 0, PUT, &[Reference::Hosted(5)]),
        |raw| raw.call(5, 0, GIVE_BACK, &[]),
        |raw| raw.finish(1, true),
        |raw| raw.finish(2, false),
        |raw| raw.release(0, 1),
    ];
    let said = says.iter().map(|say| {
        let (here, mut there) = pair(BUFFER_BYTES);
        say(&mut Raw::new(here));
        let mut bytes = vec![0; BUFFER_BYTES];
        let Poll::Ready(Ok(count)) = there.poll_read(&mut Context::from_waker(Waker::noop()), &mut bytes) else {
            panic!("nothing was said");
        };
        bytes.truncate(count);
        bytes
    });
    said.collect()
}

#[test]
fn any_bytes_on_a_link_hurt_that_link_alone() {
    let conversation = conversation();
    let mut mutator = Mutator::new();
    for round in 0..LINK_ROUNDS {
        let mut all = World::new();
        let innocent = all.link(&world::badge(), Bounds::for_peer(Peer::App));
        let (here, there) = pair(BUFFER_BYTES);
        let hostile = all.serve(there, &world::badge(), Bounds::for_peer(Peer::App));
        let mut raw = Raw::new(here);
        let spoiled = mutator.below(conversation.len());
        for (index, good) in conversation.iter().enumerate() {
            if index == spoiled {
                raw.bytes(&mutator.change(&conversation));
            } else {
                raw.bytes(good);
            }
            all.settle();
            raw.read();
        }
        if let Some(ended) = hostile.ended.take() {
            assert!(!ended.detail.contains("the engine failed"), "round {round}: {}", ended.detail);
        }
        let answered = all.spawn(innocent.root.call(NOOP, None).promise);
        all.settle();
        assert!(matches!(answered.take(), Some(Ok(_))), "round {round}: the innocent peer is answered");
    }
}
