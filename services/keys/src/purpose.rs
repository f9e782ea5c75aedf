//! What a key is for, and how that is bound into what it does.

use schema::keys_capnp;

/// A purpose that signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signing {
    /// Who this node is to other nodes.
    Device,
    /// Checkpoints of the node's log.
    Log,
    /// Packages that are built here.
    Author,
    /// What the store has written.
    Commits,
}

impl Signing {
    /// All of them, in the order of the schema and of every encoding.
    pub const ALL: [Signing; 4] = [Signing::Device, Signing::Log, Signing::Author, Signing::Commits];

    /// The schema's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Signing::Device => "device",
            Signing::Log => "log",
            Signing::Author => "author",
            Signing::Commits => "commits",
        }
    }

    /// The context under which BLAKE3 hashes what is signed: part of the contract in `keys.capnp`.
    #[must_use]
    pub const fn context(self) -> &'static str {
        match self {
            Signing::Device => "latchkey 2026 signature: device",
            Signing::Log => "latchkey 2026 signature: log",
            Signing::Author => "latchkey 2026 signature: author",
            Signing::Commits => "latchkey 2026 signature: commits",
        }
    }

    /// The purpose with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Signing> {
        Signing::ALL.into_iter().find(|purpose| purpose.name() == name)
    }

    /// Its place in every list of signing purposes.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Any purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// It signs.
    Signing(Signing),
    /// It seals the root key of the store.
    Store,
}

impl Purpose {
    /// All of them, in the order of the schema.
    pub const ALL: [Purpose; 5] = [
        Purpose::Signing(Signing::Device),
        Purpose::Signing(Signing::Log),
        Purpose::Signing(Signing::Author),
        Purpose::Signing(Signing::Commits),
        Purpose::Store,
    ];

    /// Its name, which is also that of the object that uses it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Purpose::Signing(signing) => signing.name(),
            Purpose::Store => "store",
        }
    }
}

impl From<keys_capnp::Purpose> for Purpose {
    fn from(purpose: keys_capnp::Purpose) -> Purpose {
        match purpose {
            keys_capnp::Purpose::Device => Purpose::Signing(Signing::Device),
            keys_capnp::Purpose::Log => Purpose::Signing(Signing::Log),
            keys_capnp::Purpose::Author => Purpose::Signing(Signing::Author),
            keys_capnp::Purpose::Commits => Purpose::Signing(Signing::Commits),
            keys_capnp::Purpose::Store => Purpose::Store,
        }
    }
}

impl From<Purpose> for keys_capnp::Purpose {
    fn from(purpose: Purpose) -> keys_capnp::Purpose {
        match purpose {
            Purpose::Signing(Signing::Device) => keys_capnp::Purpose::Device,
            Purpose::Signing(Signing::Log) => keys_capnp::Purpose::Log,
            Purpose::Signing(Signing::Author) => keys_capnp::Purpose::Author,
            Purpose::Signing(Signing::Commits) => keys_capnp::Purpose::Commits,
            Purpose::Store => keys_capnp::Purpose::Store,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_context_is_the_contracts_words_and_the_purposes_name() {
        assert!(include_str!("../../../schema/keys.capnp").contains("\"latchkey 2026 signature: \""));
        for (index, signing) in Signing::ALL.into_iter().enumerate() {
            assert_eq!(signing.context(), format!("latchkey 2026 signature: {}", signing.name()));
            assert_eq!(signing.index(), index);
            assert_eq!(Signing::from_name(signing.name()), Some(signing));
            assert_eq!(Purpose::ALL[index], Purpose::Signing(signing));
        }
        assert_eq!(Signing::from_name("store"), None);
    }

    #[test]
    fn the_schemas_order_is_this_one() {
        for (index, purpose) in Purpose::ALL.into_iter().enumerate() {
            let of_schema = keys_capnp::Purpose::from(purpose);
            assert_eq!((of_schema as usize, Purpose::from(of_schema)), (index, purpose));
        }
    }
}
