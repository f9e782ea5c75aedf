//! The real door: what wit-bindgen makes of `wit/door.wit`. The unsafe code is inside the macro's output; natively
//! the functions exist, and calling one is a panic.
#![allow(unsafe_code)]

use super::host::{Event, HostDoor, HostNotice, Opened};
use crate::door::{Carries, Role};
use crate::link::Ending;
use crate::words::{EndReason, reason_from_name};
use std::time::Duration;

#[allow(missing_docs, unreachable_pub, unsafe_op_in_unsafe_fn, clippy::all, clippy::undocumented_unsafe_blocks)]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "app" });
}

use bindings::latchkey::door::door;

/// The door of a guest in its sandbox. Outside of one every call panics.
#[derive(Debug, Default)]
pub struct WasiDoor;

impl HostDoor for WasiDoor {
    fn wait(&mut self, timeout: Option<Duration>) -> Vec<Event> {
        let timeout_ns = timeout.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        door::wait(timeout_ns).into_iter().map(event).collect()
    }

    fn send(&mut self, link: u32, bytes: &[u8]) -> usize {
        door::send(link, bytes) as usize
    }

    fn open_window(&mut self, link: u32, bytes: u32) {
        door::open_window(link, bytes);
    }

    fn closed(&mut self, link: u32) -> bool {
        door::closed(link)
    }

    fn close(&mut self, link: u32) {
        door::close(link);
    }
}

fn event(event: door::Event) -> Event {
    match event {
        door::Event::Opened(opened) => Event::Opened(Opened {
            link: opened.link,
            role: match opened.role {
                door::Role::Client => Role::Client,
                door::Role::Server => Role::Server,
            },
            carries: match opened.carries {
                door::Carries::Session => Carries::Session,
                door::Carries::Grant => Carries::Grant,
            },
            label: opened.label,
            badge: opened.badge,
            window: opened.window,
        }),
        door::Event::Bytes(chunk) => Event::Bytes { link: chunk.link, bytes: chunk.bytes },
        door::Event::Room(link) => Event::Room(link),
        door::Event::Closed(closed) => {
            Event::Closed { link: closed.link, ending: ending(&closed.reason, closed.detail) }
        }
        door::Event::Notice(notice) => {
            Event::Notice(HostNotice { ending: ending(&notice.reason, notice.detail), label: notice.label })
        }
        door::Event::Stop => Event::Stop,
    }
}

/// A word that this library does not know is a newer system's; then the link is simply closed.
fn ending(reason: &str, detail: String) -> Ending {
    Ending { reason: reason_from_name(reason).unwrap_or(EndReason::Closed), detail }
}
