//! The session and the folder, got by hand.

use schema::filesystem_capnp::directory;
use schema::session_capnp::{Decision, session};
use std::rc::Rc;
use vat::door::{Carries, Peer};
use vat::guest::{Arrival, Guest, GuestClock};
use vat::{Bounds, link};

/// Asks for the folder and waits for both links.
pub(crate) async fn obtain(guest: &Guest) -> capnp::Result<(session::Client, directory::Client)> {
    let session: session::Client = next(guest, Carries::Session, Peer::Powerbox).await?;
    let mut ask = session.request_request();
    ask.get().set_label("folder");
    ask.get().set_reason("to try what else can be reached from it");
    ask.get().init_query().set_interface(<directory::Client as capnp::traits::HasTypeId>::TYPE_ID);
    ask.get().init_rights().set_read(true);
    ask.send().promise.await?;
    let mut wait = session.decision_request();
    wait.get().set_label("folder");
    let decision = wait.send().promise.await?.get()?.get_decision()?;
    if decision != Decision::Granted {
        return Err(capnp::Error::failed(format!("the folder was not granted: {decision:?}")));
    }
    let folder = next(guest, Carries::Grant, Peer::Service).await?;
    Ok((session, folder))
}

async fn next<C: capnp::capability::FromClientHook>(guest: &Guest, carries: Carries, peer: Peer) -> capnp::Result<C> {
    loop {
        match guest.next().await {
            Arrival::Link(delivery) if delivery.carries == carries => {
                let connected =
                    link::connect(delivery.stream, Bounds::for_peer(peer), Rc::new(GuestClock::new(guest.clone())));
                guest.spawn(async move {
                    connected.driving.await;
                });
                return Ok(C::new(connected.root.hook));
            }
            Arrival::Link(_) | Arrival::Notice(_) => {}
            Arrival::Stop => return Err(capnp::Error::disconnected("told to stop".to_owned())),
        }
    }
}
