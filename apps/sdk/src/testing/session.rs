//! The session of the node in miniature.

use super::door::Control;
use capnp::traits::HasTypeId;
use schema::filesystem_capnp::directory;
use schema::session_capnp::{Decision, session};
use schema::storage_capnp::stored_directory;
use std::rc::Rc;

pub(super) struct SessionServer(pub(super) Control);

impl session::Server for SessionServer {
    async fn request(
        self: Rc<Self>,
        params: session::RequestParams,
        mut results: session::RequestResults,
    ) -> Result<(), capnp::Error> {
        let params = params.get()?;
        let label = params.get_label()?.to_string()?;
        let rights = vat::Rights::read_from(params.get_rights()?);
        let interface = params.get_query()?.get_interface();
        let is_known = [directory::Client::TYPE_ID, stored_directory::Client::TYPE_ID].contains(&interface);
        let offers = self.0.offers.borrow();
        // what is granted is decided later, as by a person, so that asking twice is seen to be harmless
        results.get().set_decision(match offers.get(&label) {
            _ if !is_known => Decision::Unannounced,
            None => Decision::Unannounced,
            Some(None) => Decision::Denied,
            Some(Some(_)) => Decision::Pending,
        });
        self.0.asked.borrow_mut().insert(label, (interface, rights));
        Ok(())
    }

    async fn decision(
        self: Rc<Self>,
        params: session::DecisionParams,
        mut results: session::DecisionResults,
    ) -> Result<(), capnp::Error> {
        let label = params.get()?.get_label()?.to_string()?;
        if self.0.revoked.borrow().contains(&label) {
            results.get().set_decision(Decision::Revoked);
            return Ok(());
        }
        self.0.to_open.borrow_mut().push(label);
        results.get().set_decision(Decision::Granted);
        Ok(())
    }

    async fn release(
        self: Rc<Self>,
        params: session::ReleaseParams,
        _: session::ReleaseResults,
    ) -> Result<(), capnp::Error> {
        let label = params.get()?.get_label()?.to_string()?;
        let held = self.0.asked.borrow_mut().remove(&label);
        held.map(drop).ok_or_else(|| capnp::Error::failed("nothing is held under this label".to_owned()))
    }
}
