//! The kernel as a whole, with the test in the place of every process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

mod cgroups;
mod folders;
mod links;
mod node;
mod processes;
mod shells;
#[path = "../support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::os::fd::AsFd;

use schema::kernel_capnp::{Image, Outcome};
use support::control::{Event, Powerbox, Start};
use support::{Fake, Node};
use vat::door::{Carries, FromVat, ResourceKind, Role, ToVat};
use vat::words::EndReason;

fn sandbox(node: &Node, process: u64) -> Start<'static> {
    Start {
        process,
        image: Image::Sandbox,
        setup: node.driver(),
        resources: vec![],
        claims: vec![],
        folder: None,
        restart: false,
        run_as: 0,
        memory_bytes: 0,
        file_bytes: 0,
    }
}

fn started(node: &Node, powerbox: &mut Powerbox, start: &Start<'_>) -> Fake {
    assert_eq!(powerbox.start(start), Outcome::Ok);
    let fake = node.born();
    assert_eq!(fake.process, start.process);
    fake.confine();
    powerbox.until(|event| matches!(event, Event::Confined { process, .. } if *process == start.process).then_some(()));
    fake
}

/// A server (10), a client (20), and link 5 of grant 7 between them.
fn linked(node: &Node, powerbox: &mut Powerbox) -> (Fake, Fake) {
    let server = started(node, powerbox, &Start { restart: true, ..sandbox(node, 10) });
    let client = started(node, powerbox, &sandbox(node, 20));
    assert_eq!(powerbox.link(5, 7, 10, 20), Outcome::Ok);
    (server, client)
}

fn rest(end: &mut impl Read) -> Vec<u8> {
    let mut bytes = vec![];
    end.read_to_end(&mut bytes).unwrap();
    bytes
}

fn loop_until(powerbox: &mut Powerbox, wanted: impl Fn(&Event) -> bool) -> (Event, Vec<std::os::fd::OwnedFd>) {
    loop {
        let found = powerbox.next_with();
        if wanted(&found.0) {
            return found;
        }
    }
}
