//! `latch install` and `latch trust` without arguments.

use schema::operator_capnp::{author, package_info};
use schema::package_capnp::announced;
use serde::Serialize;
use vat::Rights;

use super::{at_ms, interface_id, text, texts};
use crate::failure::Outcome;
use crate::spec::methods;
use crate::text::words::hex;

/// An installed package.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// In the author's words.
    pub(crate) description: String,
    /// The author's public key.
    pub(crate) author: String,
    /// In the author's own words.
    pub(crate) author_name: String,
    /// The name that the person gave to the author; "": none yet.
    pub(crate) author_petname: String,
    pub(crate) trusted: bool,
    pub(crate) digest: String,
    pub(crate) bytes: u64,
    pub(crate) installed_at_ms: Option<u64>,
    /// Everything that it may ask for.
    pub(crate) requests: Vec<Announced>,
}

/// Something that a package may ask for.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Announced {
    pub(crate) label: String,
    pub(crate) interface: String,
    pub(crate) interface_name: String,
    #[serde(serialize_with = "super::serialize_rights")]
    pub(crate) rights: Rights,
    /// In the author's words.
    pub(crate) reason: String,
}

impl Package {
    pub(crate) fn read(reader: package_info::Reader<'_>) -> Outcome<Self> {
        let manifest = reader.get_manifest()?;
        Ok(Self {
            name: text(manifest.get_name())?,
            version: text(manifest.get_version())?,
            description: text(manifest.get_description())?,
            author: hex(manifest.get_author()?),
            author_name: text(manifest.get_author_name())?,
            author_petname: text(reader.get_author_petname())?,
            trusted: reader.get_trusted(),
            digest: hex(reader.get_digest()?),
            bytes: reader.get_bytes(),
            installed_at_ms: at_ms(reader.get_installed_at_ms()),
            requests: manifest.get_requests()?.iter().map(Announced::read).collect::<Outcome<_>>()?,
        })
    }

    /// What it announces under that label.
    pub(crate) fn announced(&self, label: &str) -> Option<&Announced> {
        self.requests.iter().find(|announced| announced.label == label)
    }
}

impl Announced {
    fn read(reader: announced::Reader<'_>) -> Outcome<Self> {
        Ok(Self {
            label: text(reader.get_label())?,
            interface: interface_id(reader.get_interface()),
            interface_name: methods::interface_name(reader.get_interface()),
            rights: Rights::read_from(reader.get_rights()?),
            reason: text(reader.get_reason())?,
        })
    }
}

/// An author whose packages this node takes.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Author {
    /// The public key.
    pub(crate) key: String,
    /// The name that the person gave; "": none yet.
    pub(crate) name: String,
    pub(crate) trusted_at_ms: Option<u64>,
    /// Installed packages of this author.
    pub(crate) packages: Vec<String>,
}

impl Author {
    pub(crate) fn read(reader: author::Reader<'_>) -> Outcome<Self> {
        Ok(Self {
            key: hex(reader.get_key()?),
            name: text(reader.get_name())?,
            trusted_at_ms: at_ms(reader.get_trusted_at_ms()),
            packages: texts(reader.get_packages())?,
        })
    }
}
