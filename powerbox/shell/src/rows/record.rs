//! `latch log`.

use std::collections::BTreeMap;

use schema::operator_capnp::{record, verification};
use serde::Serialize;

use super::{at_ms, text};
use crate::failure::Outcome;
use crate::text::words::hex;

/// One record of the log.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Record {
    pub(crate) position: u64,
    pub(crate) at_ms: Option<u64>,
    /// What kind of record, such as `granted`.
    pub(crate) kind: String,
    /// For people.
    pub(crate) text: String,
    /// Of this record; it binds all before it.
    pub(crate) hash: String,
    pub(crate) fields: BTreeMap<String, String>,
}

impl Record {
    pub(crate) fn read(reader: record::Reader<'_>) -> Outcome<Self> {
        let mut fields = BTreeMap::new();
        for field in reader.get_fields()?.iter() {
            fields.insert(text(field.get_name())?, text(field.get_value())?);
        }
        Ok(Self {
            position: reader.get_position(),
            at_ms: at_ms(reader.get_at_ms()),
            kind: text(reader.get_kind())?,
            text: text(reader.get_text())?,
            hash: hex(reader.get_hash()?),
            fields,
        })
    }
}

/// What `latch log --verify` found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Verification {
    pub(crate) ok: bool,
    pub(crate) records: u64,
    pub(crate) checkpoints: u64,
    /// Hash of the last record. Keep it elsewhere: whoever holds it can tell whether the log's end was removed.
    pub(crate) head: String,
    /// The public key that checkpoints are signed with.
    pub(crate) log_key: String,
    /// What is wrong and where; null: nothing.
    pub(crate) problem: Option<String>,
    /// Records after the last signed checkpoint.
    pub(crate) tail_unsigned: u64,
    /// A checkpoint is signed with a key that the node's keys do not have.
    pub(crate) unknown_key: bool,
}

impl Verification {
    pub(crate) fn read(reader: verification::Reader<'_>) -> Outcome<Self> {
        Ok(Self {
            ok: reader.get_ok(),
            records: reader.get_records(),
            checkpoints: reader.get_checkpoints(),
            head: hex(reader.get_head()?),
            log_key: hex(reader.get_log_key()?),
            problem: Some(text(reader.get_problem())?).filter(|problem| !problem.is_empty()),
            tail_unsigned: reader.get_tail_unsigned(),
            unknown_key: reader.get_unknown_key(),
        })
    }
}
