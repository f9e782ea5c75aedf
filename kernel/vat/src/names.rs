//! The names that people use for interfaces and methods: `Directory.remove`.

use crate::words::Method;
use capnp::traits::HasTypeId;
use schema::filesystem_capnp::{directory, file};
use schema::keys_capnp::{keyring, signer, unsealer};
use schema::operator_capnp::operator;
use schema::session_capnp::session;
use schema::storage_capnp::{caps, export, reservation, store, stored_directory};
use schema::stream_capnp::byte_stream;
use std::fmt;

/// An interface with its methods in the order of their ordinals.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    /// The schema id.
    pub id: u64,
    /// The schema's name for it.
    pub name: &'static str,
    /// The schema's names for its methods.
    pub methods: &'static [&'static str],
}

/// The interfaces that this node knows by name. Others work as well and are shown by number.
pub const INTERFACES: &[Interface] = &[
    Interface {
        id: directory::Client::TYPE_ID,
        name: "Directory",
        methods: &["list", "stat", "openDirectory", "openFile", "create", "makeDirectory", "rename", "remove", "sync"],
    },
    Interface {
        id: file::Client::TYPE_ID,
        name: "File",
        methods: &["stat", "read", "write", "append", "truncate", "sync", "readTo", "writeFrom"],
    },
    Interface { id: byte_stream::Client::TYPE_ID, name: "ByteStream", methods: &["write", "end"] },
    Interface {
        id: session::Client::TYPE_ID,
        name: "Session",
        methods: &["request", "decision", "list", "release", "report", "renew", "trouble"],
    },
    Interface {
        id: stored_directory::Client::TYPE_ID,
        name: "StoredDirectory",
        methods: &["snapshot", "snapshots", "openSnapshot", "dropSnapshot", "room", "reserve"],
    },
    Interface { id: reservation::Client::TYPE_ID, name: "Reservation", methods: &["left"] },
    Interface { id: store::Client::TYPE_ID, name: "Store", methods: &["status", "check", "compact", "root", "caps"] },
    Interface {
        id: caps::Client::TYPE_ID,
        name: "Caps",
        methods: &["issueReadcap", "readers", "removeReader", "export", "issueWritecap"],
    },
    Interface { id: export::Client::TYPE_ID, name: "Export", methods: &["next"] },
    Interface { id: signer::Client::TYPE_ID, name: "Signer", methods: &["publicKey", "sign", "history"] },
    Interface { id: unsealer::Client::TYPE_ID, name: "Unsealer", methods: &["seal", "unseal"] },
    Interface {
        id: keyring::Client::TYPE_ID,
        name: "Keyring",
        methods: &["status", "create", "unlock", "lock", "protect", "rotate", "backup", "restore", "history"],
    },
    Interface { id: operator::Client::TYPE_ID, name: "Operator", methods: &[] },
];

/// The interface with that id, if it has a name.
#[must_use]
pub fn interface(id: u64) -> Option<&'static Interface> {
    INTERFACES.iter().find(|interface| interface.id == id)
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = interface(self.interface);
        match known.and_then(|interface| interface.methods.get(usize::from(self.ordinal)).map(|name| (interface, name)))
        {
            Some((interface, method)) => write!(formatter, "{}.{method}", interface.name),
            None => match known {
                Some(interface) => write!(formatter, "{}.{}", interface.name, self.ordinal),
                None => write!(formatter, "{:#018x}.{}", self.interface, self.ordinal),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_read_as_people_write_them() {
        let remove = Method { interface: directory::Client::TYPE_ID, ordinal: 7 };
        assert_eq!(remove.to_string(), "Directory.remove");
        assert_eq!(Method { ordinal: 99, ..remove }.to_string(), "Directory.99");
        assert_eq!(Method { interface: 1, ordinal: 2 }.to_string(), "0x0000000000000001.2");
    }
}
