//! `latch offers`.

use schema::operator_capnp::offer;
use serde::Serialize;
use vat::Rights;

use super::{interface_id, text};
use crate::failure::Outcome;

/// Something that can be granted.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Offer {
    /// As it is written in a grant.
    pub(crate) name: String,
    /// Who serves it, in the system's words.
    pub(crate) provider: String,
    pub(crate) interface: String,
    pub(crate) interface_name: String,
    #[serde(serialize_with = "super::serialize_rights")]
    pub(crate) rights: Rights,
    /// Open grants on it.
    pub(crate) grants: u32,
    /// Its name ends in a word that the person chooses, such as a path.
    pub(crate) resolver: bool,
}

impl Offer {
    pub(crate) fn read(reader: offer::Reader<'_>) -> Outcome<Self> {
        Ok(Self {
            name: text(reader.get_name())?,
            provider: text(reader.get_provider())?,
            interface: interface_id(reader.get_interface()),
            interface_name: text(reader.get_interface_name())?,
            rights: Rights::read_from(reader.get_rights()?),
            grants: reader.get_grants(),
            resolver: reader.get_resolver(),
        })
    }
}
