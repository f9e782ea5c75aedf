//! A sink that a client holds out, and what comes into it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use capnp::Error;
use futures::channel::oneshot;
use schema::stream_capnp::byte_stream;

use super::link::Client;

/// What a [`Collector`] has seen.
#[derive(Default)]
pub struct Collected {
    pub bytes: Vec<u8>,
    pub writes: usize,
    pub ended: bool,
    pub dropped: bool,
    /// Writes that wait to be let through; nothing: all are.
    pub held: Option<VecDeque<oneshot::Sender<()>>>,
    changed: Vec<oneshot::Sender<()>>,
}

/// Resolves when the condition holds; asked again after each change.
pub async fn until(collected: &Rc<RefCell<Collected>>, mut condition: impl FnMut(&Collected) -> bool) {
    loop {
        let changed = {
            let mut collected = collected.borrow_mut();
            if condition(&collected) {
                return;
            }
            let (sender, changed) = oneshot::channel();
            collected.changed.push(sender);
            changed
        };
        changed.await.unwrap();
    }
}

/// A sink of the client's.
pub struct Collector(pub Rc<RefCell<Collected>>);

impl Collector {
    fn changed(&self) {
        for waiting in std::mem::take(&mut self.0.borrow_mut().changed) {
            _ = waiting.send(());
        }
    }
}

impl byte_stream::Server for Collector {
    async fn write(self: Rc<Self>, params: byte_stream::WriteParams) -> Result<(), Error> {
        let waiting = {
            let mut collected = self.0.borrow_mut();
            collected.bytes.extend_from_slice(params.get()?.get_bytes()?);
            collected.writes += 1;
            collected.held.as_mut().map(|held| {
                let (sender, waiting) = oneshot::channel();
                held.push_back(sender);
                waiting
            })
        };
        self.changed();
        if let Some(waiting) = waiting {
            waiting.await.map_err(|_| Error::failed("the test let go".to_owned()))?;
        }
        Ok(())
    }

    async fn end(self: Rc<Self>, _: byte_stream::EndParams, mut results: byte_stream::EndResults) -> Result<(), Error> {
        self.0.borrow_mut().ended = true;
        results.get().set_total(self.0.borrow().bytes.len() as u64);
        self.changed();
        Ok(())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.0.borrow_mut().dropped = true;
        self.changed();
    }
}

/// A sink of the client's, and what it has seen.
pub fn collector(client: &Client) -> (byte_stream::Client, Rc<RefCell<Collected>>) {
    let collected = Rc::<RefCell<Collected>>::default();
    (client.exports.export(Collector(collected.clone())), collected)
}

/// Bytes that differ from place to place.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}
