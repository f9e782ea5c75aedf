//! The app's own link to the powerbox: where it asks.

use crate::error::{Error, ErrorKind, Result};
use crate::signal::Signal;
use schema::session_capnp::{Decision, session};
use std::rc::Rc;
use vat::guest::{Delivery, Guest, GuestClock};
use vat::{Bounds, Rights, connect};

/// The session, on whichever link it has now: after a restart of the powerbox another one comes.
pub(crate) struct Session {
    link: Signal<Option<(u32, session::Client)>>,
}

impl Default for Session {
    fn default() -> Session {
        Session { link: Signal::new(None) }
    }
}

/// What is asked for.
pub(crate) struct Question<'a> {
    pub(crate) interface: u64,
    pub(crate) hint: &'a str,
    pub(crate) rights: Rights,
    pub(crate) reason: &'a str,
    pub(crate) label: &'a str,
}

impl Session {
    pub(crate) fn link(&self, delivery: Delivery, guest: &Guest) {
        let number = delivery.stream.watch().number();
        let bounds = Bounds::for_peer(delivery.badge.peer);
        let connected = connect(delivery.stream, bounds, Rc::new(GuestClock::new(guest.clone())));
        self.link.set(Some((number, session::Client { client: connected.root })));
        guest.spawn(async move {
            connected.driving.await;
        });
    }

    /// Asks, and waits for the decision.
    pub(crate) async fn ask(&self, question: &Question<'_>) -> Result<()> {
        let decision = self.again(question.label, async |client| ask_once(&client, question).await).await?;
        outcome(decision, question.label)
    }

    /// Gives back what is held under a label.
    pub(crate) async fn release(&self, label: &str) -> Result<()> {
        let release = async |client: session::Client| {
            let mut request = client.release_request();
            request.get().set_label(label);
            request.send().promise.await.map(drop)
        };
        self.again(label, release).await
    }

    /// A lost session is waited for and called again: what is called here is idempotent.
    async fn again<T>(&self, label: &str, call: impl AsyncFn(session::Client) -> capnp::Result<T>) -> Result<T> {
        let mut last_number = None;
        loop {
            let next = |link: &Option<(u32, session::Client)>| link.clone().filter(|link| Some(link.0) != last_number);
            let (number, client) = self.link.until(next).await;
            match call(client).await {
                Ok(value) => return Ok(value),
                Err(error) if error.kind == capnp::ErrorKind::Disconnected => last_number = Some(number),
                Err(error) => return Err(Error::from_exception(&error, label)),
            }
        }
    }
}

async fn ask_once(client: &session::Client, question: &Question<'_>) -> std::result::Result<Decision, capnp::Error> {
    let mut request = client.request_request();
    let mut params = request.get();
    let mut query = params.reborrow().init_query();
    query.set_interface(question.interface);
    query.set_hint(question.hint);
    question.rights.write_to(params.reborrow().init_rights());
    params.set_reason(question.reason);
    params.set_label(question.label);
    let decision = request.send().promise.await?.get()?.get_decision()?;
    if decision != Decision::Pending {
        return Ok(decision);
    }
    let mut request = client.decision_request();
    request.get().set_label(question.label);
    Ok(request.send().promise.await?.get()?.get_decision()?)
}

fn outcome(decision: Decision, label: &str) -> Result<()> {
    let kind = match decision {
        Decision::Granted => return Ok(()),
        Decision::Denied => ErrorKind::Denied,
        Decision::Unannounced => ErrorKind::Unannounced,
        Decision::TimedOut | Decision::Pending => ErrorKind::Undecided,
        Decision::Revoked => ErrorKind::Revoked,
        Decision::Expired => ErrorKind::Expired,
        Decision::Exhausted => ErrorKind::Exhausted,
    };
    Err(Error::new(kind, label, ""))
}
