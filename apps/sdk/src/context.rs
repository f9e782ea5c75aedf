//! What an app's calls find their way with: its loop, its session and what it holds, for as long as
//! [`run`](crate::run) runs. Free functions such as [`ask`](crate::ask) need a place to look; this is the only one.

use crate::held::Held;
use crate::session::Session;
use crate::signal::Signal;
use futures::future::{Either, select};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use vat::door::{Carries, Role};
use vat::guest::{Arrival, Delivery, Guest};

thread_local! {
    static CURRENT: RefCell<Option<Rc<Context>>> = const { RefCell::new(None) };
}

pub(crate) struct Context {
    guest: Guest,
    pub(crate) session: Session,
    held: RefCell<BTreeMap<String, Rc<Held>>>,
    /// The app was told to stop.
    pub(crate) stop: Signal<bool>,
    /// The app looks after that itself.
    pub(crate) minds_stop: Cell<bool>,
}

/// Takes the context away again when the app has ended.
pub(crate) struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.take();
    }
}

impl Context {
    /// Becomes the context of this thread.
    pub(crate) fn enter(guest: Guest) -> (Rc<Context>, Entered) {
        let context = Rc::new(Context {
            guest,
            session: Session::default(),
            held: RefCell::default(),
            stop: Signal::new(false),
            minds_stop: Cell::new(false),
        });
        CURRENT.set(Some(context.clone()));
        (context, Entered(()))
    }

    /// # Panics
    /// Outside of [`run`](crate::run): there is nothing to ask there.
    #[expect(clippy::expect_used, reason = "a mistake of the app's author that no error can mend")]
    pub(crate) fn current() -> Rc<Context> {
        CURRENT.with_borrow(Clone::clone).expect("this works only inside of sdk::run")
    }

    pub(crate) fn guest(&self) -> &Guest {
        &self.guest
    }

    /// What is, or will be, held under that label.
    pub(crate) fn held(&self, label: &str) -> Rc<Held> {
        self.held.borrow_mut().entry(label.to_owned()).or_insert_with(|| Rc::new(Held::new(label))).clone()
    }

    /// Takes in what comes through the door, for ever.
    pub(crate) async fn attend(self: Rc<Self>) {
        loop {
            match self.guest.next().await {
                Arrival::Link(delivery) => self.link(delivery),
                Arrival::Notice(notice) => self.held(&notice.label).notice(notice.ending),
                Arrival::Stop => self.stop.set(true),
            }
        }
    }

    fn link(&self, delivery: Delivery) {
        match (delivery.carries, delivery.role) {
            (Carries::Session, Role::Client) => self.session.link(delivery, &self.guest),
            (Carries::Grant, Role::Client) => self.held(&delivery.label).link(delivery, &self.guest),
            // apps serve nothing to others: letting go of the link tells them
            _ => drop(delivery),
        }
    }

    /// The future's value, or nothing where it took longer.
    pub(crate) async fn within<F: Future>(&self, time: Duration, future: F) -> Option<F::Output> {
        match select(pin!(future), self.guest.sleep(time)).await {
            Either::Left((value, _)) => Some(value),
            Either::Right(_) => None,
        }
    }
}
