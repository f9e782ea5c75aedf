//! What is known about a file without reading it.

use schema::filesystem_capnp::{Kind, metadata};

/// The metadata of `filesystem.capnp` as a plain value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// Of a regular file; 0 for all else.
    pub size_bytes: u64,
    /// Since 1970.
    pub modified_ns: i64,
    /// Whether anybody may execute this regular file.
    pub executable: bool,
    /// The same for all names of one file, while it exists.
    pub identity: u64,
}

impl Metadata {
    /// Into a message.
    pub fn write_to(&self, mut builder: metadata::Builder<'_>) {
        builder.set_kind(self.kind);
        builder.set_size(self.size_bytes);
        builder.set_modified_ns(self.modified_ns);
        builder.set_executable(self.executable);
        builder.set_identity(self.identity);
    }
}
