//! `latch ls`.

use schema::filesystem_capnp::{Kind, entry, metadata};
use serde::Serialize;

use crate::failure::Outcome;
use crate::text::words::hex;

/// One entry of a directory.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    /// The name, with U+FFFD for what is not UTF-8.
    pub(crate) name: String,
    /// The name's bytes in hexadecimal, where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name_bytes: Option<String>,
    #[serde(flatten)]
    pub(crate) metadata: Metadata,
    /// The name as it is, for what is shown to people.
    #[serde(skip)]
    pub(crate) raw_name: Vec<u8>,
}

/// What is known of a file or directory.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Metadata {
    /// `file`, `directory`, `symlink`, `other`
    pub(crate) kind: &'static str,
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified_ns: i64,
    pub(crate) executable: bool,
}

/// `file`, `directory`, `symlink`, `other`
pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::Other => "other",
    }
}

/// Reads the metadata of an entry.
fn metadata(reader: metadata::Reader<'_>) -> Outcome<Metadata> {
    Ok(Metadata {
        kind: kind_name(reader.get_kind()?),
        size: reader.get_size(),
        modified_ns: reader.get_modified_ns(),
        executable: reader.get_executable(),
    })
}

impl Entry {
    pub(crate) fn read(reader: entry::Reader<'_>) -> Outcome<Self> {
        let raw_name = reader.get_name()?.to_vec();
        let valid = std::str::from_utf8(&raw_name).is_ok();
        Ok(Self {
            name: String::from_utf8_lossy(&raw_name).into_owned(),
            name_bytes: (!valid).then(|| hex(&raw_name)),
            metadata: metadata(reader.get_metadata()?)?,
            raw_name,
        })
    }
}
