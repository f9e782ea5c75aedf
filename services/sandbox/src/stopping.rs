//! Ends a guest that is told to stop while it waits for something else than its door, where it cannot hear it.

use crate::streams::Streams;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// How long a guest may take to come to its door. The kernel's own patience is several times as long, so that a guest
/// always ends with a word that says why.
const PATIENCE: Duration = Duration::from_secs(1);

/// The guest did not come to its door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unheard;

impl fmt::Display for Unheard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("was told to stop while it waited for something else than its door, and was ended")
    }
}

impl std::error::Error for Unheard {}

/// Looks after one guest.
pub(crate) struct Stopping<'a> {
    streams: &'a Streams,
    patience: Option<Pin<Box<Sleep>>>,
}

impl<'a> Stopping<'a> {
    pub(crate) fn new(streams: &'a Streams) -> Self {
        Self { streams, patience: None }
    }

    /// `waits`: the guest is to stop and does not know it. Ready when it has had its time. A guest that waits for input
    /// is woken first: it may still come to its door, or end by itself.
    pub(crate) fn poll(&mut self, waits: bool, context: &mut Context<'_>) -> Poll<Unheard> {
        if !waits {
            self.patience = None;
            return Poll::Pending;
        }
        let streams = self.streams;
        let patience = self.patience.get_or_insert_with(|| {
            streams.stop_input();
            Box::pin(tokio::time::sleep(PATIENCE))
        });
        patience.as_mut().poll(context).map(|()| Unheard)
    }
}
