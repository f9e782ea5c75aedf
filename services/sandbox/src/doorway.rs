//! This process's own door, polled beside the guest.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use vat::native::{Delivery, Door};

type Pending<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// Takes deliveries in and sends confirmations out. The futures under way are kept between polls.
pub(crate) struct Doorway {
    door: Arc<Door>,
    receiving: Pending<Option<Delivery>>,
    confirming: Option<Pending<()>>,
    to_confirm: VecDeque<u64>,
}

impl Doorway {
    pub(crate) fn new(door: Arc<Door>) -> Self {
        Self { receiving: receive(door.clone()), door, confirming: None, to_confirm: VecDeque::new() }
    }

    /// The guest knows that this link, of which it had the server end, is over.
    pub(crate) fn confirm_ended(&mut self, link: u64) {
        self.to_confirm.push_back(link);
    }

    /// The next delivery.
    ///
    /// # Errors
    /// The door is closed or does not speak as a door does.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Delivery>> {
        let delivery = std::task::ready!(self.receiving.as_mut().poll(context))?;
        let delivery = delivery.ok_or_else(|| io::Error::other("the door was closed"))?;
        self.receiving = receive(self.door.clone());
        Poll::Ready(Ok(delivery))
    }

    /// Sends what is to be confirmed, as far as the door takes it.
    ///
    /// # Errors
    /// The door is closed.
    pub(crate) fn poll_confirm(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        loop {
            if let Some(confirming) = &mut self.confirming {
                match confirming.as_mut().poll(context) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(result) => result?,
                }
            }
            let Some(link) = self.to_confirm.pop_front() else {
                self.confirming = None;
                return Ok(());
            };
            let door = self.door.clone();
            self.confirming = Some(Box::pin(async move { door.ended(link).await }));
        }
    }
}

fn receive(door: Arc<Door>) -> Pending<Option<Delivery>> {
    Box::pin(async move { door.next().await })
}
