//! Where an object came from, so that a failed call can say why.

use crate::error::{Error, Result};
use crate::held::Held;
use capnp::capability::Response;
use capnp::traits::Owned;
use std::rc::Rc;
use vat::guest::LinkWatch;

/// The grant and the link that an object was reached through.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) held: Rc<Held>,
    pub(crate) link: LinkWatch,
}

impl Origin {
    /// What a call brought, or what its failure means; `subject` is what it was about.
    pub(crate) async fn settle<T: Owned>(
        &self,
        call: impl Future<Output = std::result::Result<Response<T>, capnp::Error>>,
        subject: &[u8],
    ) -> Result<Response<T>> {
        match call.await {
            Ok(response) => Ok(response),
            Err(error) => Err(self.explain(&error, subject).await),
        }
    }

    pub(crate) async fn explain(&self, error: &capnp::Error, subject: &[u8]) -> Error {
        self.held.explain(error, &self.link, &self.shown(subject)).await
    }

    /// How a path is named in messages; the object itself goes by its label.
    fn shown(&self, path: &[u8]) -> String {
        if path.is_empty() { self.held.label().to_owned() } else { String::from_utf8_lossy(path).into_owned() }
    }

    /// An answer that does not follow its schema.
    pub(crate) fn malformed(&self, subject: &[u8]) -> impl Fn(capnp::Error) -> Error + use<> {
        let subject = self.shown(subject);
        move |error| Error::from_exception(&error, &subject)
    }
}
