//! `latch requests`.

use schema::operator_capnp::request;
use serde::Serialize;
use vat::Rights;

use super::{at_ms, interface_id, text, texts};
use crate::failure::Outcome;

/// Something that an app asks for and nobody has decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) instance: String,
    pub(crate) label: String,
    pub(crate) interface: String,
    pub(crate) interface_name: String,
    /// What the app has in mind, in its own words.
    pub(crate) hint: String,
    #[serde(serialize_with = "super::serialize_rights")]
    pub(crate) rights: Rights,
    /// The app's words.
    pub(crate) reason: String,
    /// Offers that match, and resolvers such as `host:PATH`.
    pub(crate) providers: Vec<String>,
    pub(crate) asked_at_ms: Option<u64>,
    /// How often it asked again.
    pub(crate) coalesced: u32,
}

impl Request {
    pub(crate) fn read(reader: request::Reader<'_>) -> Outcome<Self> {
        let query = reader.get_query()?;
        Ok(Self {
            id: reader.get_id(),
            instance: text(reader.get_instance())?,
            label: text(reader.get_label())?,
            interface: interface_id(query.get_interface()),
            interface_name: text(reader.get_interface_name())?,
            hint: text(query.get_hint())?,
            rights: Rights::read_from(reader.get_rights()?),
            reason: text(reader.get_reason())?,
            providers: texts(reader.get_providers())?,
            asked_at_ms: at_ms(reader.get_asked_at_ms()),
            coalesced: reader.get_coalesced(),
        })
    }
}
