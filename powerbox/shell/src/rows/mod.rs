//! What `--json` prints, and what the tables for people are made of: the node's answers as plain data.
//!
//! A listing is one JSON array on one line; `log` prints one object a line, because it may have no end; `status` is one
//! object, and so is what a command has done. Fields keep their names and meaning: new ones may be added. Times are milliseconds since 1970-01-01T00:00:00Z and end
//! in `_at_ms`; null is never, not yet or unlimited. Digests, keys and hashes are hexadecimal text, and so are interface ids,
//! which do not fit a JSON number. Methods are written `Directory.list`. Text from outside is text: characters that would steer
//! a terminal are escaped as JSON allows.

mod entry;
mod grant;
mod instance;
mod offer;
mod package;
mod record;
mod request;
mod status;
mod store;

pub(crate) use entry::{Entry, kind_name};
pub(crate) use grant::{Grant, WhyLine};
pub(crate) use instance::Instance;
pub(crate) use offer::Offer;
pub(crate) use package::{Author, Package};
pub(crate) use record::{Record, Verification};
pub(crate) use request::Request;
pub(crate) use status::{Finding, Status, Warning};
pub(crate) use store::{StoreAccount, StoreFinding, StoreStatus};

use schema::common_capnp::method;
use serde::Serializer;
use serde::ser::SerializeStruct as _;
use vat::{Method, Rights};

use crate::failure::{Failure, Outcome};

/// Rights as `{"read":true,"append":false,"write":false}`.
pub(crate) fn serialize_rights<S: Serializer>(rights: &Rights, serializer: S) -> Result<S::Ok, S::Error> {
    let mut fields = serializer.serialize_struct("Rights", 3)?;
    fields.serialize_field("read", &rights.read)?;
    fields.serialize_field("append", &rights.append)?;
    fields.serialize_field("write", &rights.write)?;
    fields.end()
}

/// Text from the node. It is UTF-8 unless something is wrong, and then what can be read is shown.
pub(crate) fn text(reader: capnp::Result<capnp::text::Reader<'_>>) -> Outcome<String> {
    Ok(String::from_utf8_lossy(reader.map_err(Failure::from)?.as_bytes()).into_owned())
}

/// A list of texts from the node.
pub(crate) fn texts(reader: capnp::Result<capnp::text_list::Reader<'_>>) -> Outcome<Vec<String>> {
    reader.map_err(Failure::from)?.iter().map(text).collect()
}

/// 0 stands for never and not yet.
pub(crate) fn at_ms(value: u64) -> Option<u64> {
    (value != 0).then_some(value)
}

/// A schema id as it is written in schemas.
pub(crate) fn interface_id(id: u64) -> String {
    format!("{id:#018x}")
}

/// The names of methods.
pub(crate) fn method_names(
    reader: capnp::Result<capnp::struct_list::Reader<'_, method::Owned>>,
) -> Outcome<Vec<String>> {
    Ok(reader.map_err(Failure::from)?.iter().map(|method| Method::read_from(method).to_string()).collect())
}
