//! The words of `schema/common.capnp` as plain values: rights, methods, and why something ended.

use schema::common_capnp::{method, rights};

/// Why a link ended: the schema's own enumeration, told to both ends and recorded.
pub use schema::common_capnp::EndReason;

/// What a holder may do with an object, as a set. Rights only narrow: every derived reference has the same or fewer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights {
    /// See: list, open, stat, read.
    pub read: bool,
    /// Add what was not there; nothing that exists changes.
    pub append: bool,
    /// Change what is there. Implies `append`; see [`Rights::complete`].
    pub write: bool,
}

impl Rights {
    /// Nothing at all.
    pub const NONE: Rights = Rights { read: false, append: false, write: false };
    /// See, and nothing else.
    pub const READ: Rights = Rights { read: true, append: false, write: false };
    /// Add, and nothing else: neither see nor change what is there.
    pub const APPEND: Rights = Rights { read: false, append: true, write: false };
    /// Everything; also what an object without such a distinction takes.
    pub const ALL: Rights = Rights { read: true, append: true, write: true };

    /// The same set with what it implies written out: who may write may append.
    #[must_use]
    pub const fn complete(self) -> Rights {
        Rights { read: self.read, append: self.append || self.write, write: self.write }
    }

    /// What both sets allow.
    #[must_use]
    pub const fn intersect(self, other: Rights) -> Rights {
        let (a, b) = (self.complete(), other.complete());
        Rights { read: a.read && b.read, append: a.append && b.append, write: a.write && b.write }
    }

    /// What either set allows.
    #[must_use]
    pub const fn union(self, other: Rights) -> Rights {
        let (a, b) = (self.complete(), other.complete());
        Rights { read: a.read || b.read, append: a.append || b.append, write: a.write || b.write }
    }

    /// Whether this set allows nothing that `other` does not.
    #[must_use]
    pub const fn is_subset_of(self, other: Rights) -> bool {
        let (a, b) = (self.complete(), other.complete());
        (!a.read || b.read) && (!a.append || b.append) && (!a.write || b.write)
    }

    /// From a message, with what it implies written out.
    #[must_use]
    pub fn read_from(reader: rights::Reader<'_>) -> Rights {
        Rights { read: reader.get_read(), append: reader.get_append(), write: reader.get_write() }.complete()
    }

    /// Into a message.
    pub fn write_to(self, mut builder: rights::Builder<'_>) {
        let complete = self.complete();
        builder.set_read(complete.read);
        builder.set_append(complete.append);
        builder.set_write(complete.write);
    }
}

/// `read,append,write`, with only the words that apply; `none` for the empty set.
impl std::fmt::Display for Rights {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = self.complete();
        let words: Vec<&str> = [(all.read, "read"), (all.append, "append"), (all.write, "write")]
            .into_iter()
            .filter_map(|(held, word)| held.then_some(word))
            .collect();
        formatter.write_str(if words.is_empty() { "none" } else { "" })?;
        formatter.write_str(&words.join(","))
    }
}

/// One method of one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Method {
    /// The interface's schema id.
    pub interface: u64,
    /// The method's number in it.
    pub ordinal: u16,
}

impl Method {
    /// From a message.
    #[must_use]
    pub fn read_from(reader: method::Reader<'_>) -> Method {
        Method { interface: reader.get_interface(), ordinal: reader.get_ordinal() }
    }

    /// Into a message.
    pub fn write_to(self, mut builder: method::Builder<'_>) {
        builder.set_interface(self.interface);
        builder.set_ordinal(self.ordinal);
    }
}

/// Every reason with its name, as the schema spells it. It is also the word in a guest's door and in the log.
const REASON_NAMES: [(EndReason, &str); 9] = [
    (EndReason::Closed, "closed"),
    (EndReason::Revoked, "revoked"),
    (EndReason::Expired, "expired"),
    (EndReason::PeerLost, "peerLost"),
    (EndReason::Exhausted, "exhausted"),
    (EndReason::Misbehaved, "misbehaved"),
    (EndReason::Unavailable, "unavailable"),
    (EndReason::Restarted, "restarted"),
    (EndReason::Stopped, "stopped"),
];

/// The name of a reason, as the schema spells it.
#[must_use]
pub fn reason_name(reason: EndReason) -> &'static str {
    REASON_NAMES.iter().find(|(known, _)| *known == reason).map_or("closed", |(_, name)| name)
}

/// The reason with that name; nothing for any other word.
#[must_use]
pub fn reason_from_name(name: &str) -> Option<EndReason> {
    REASON_NAMES.iter().find(|(_, known)| *known == name).map(|(reason, _)| *reason)
}

/// The first `limit_bytes` of a text, or a little less so that no character is split.
#[must_use]
pub fn clip(text: &str, limit_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(limit_bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_set() -> impl Iterator<Item = Rights> {
        (0..8).map(|bits| Rights { read: bits & 1 != 0, append: bits & 2 != 0, write: bits & 4 != 0 })
    }

    #[test]
    fn rights_only_narrow() {
        for left in every_set() {
            for right in every_set() {
                let both = left.intersect(right);
                assert!(both.is_subset_of(left) && both.is_subset_of(right), "{left} and {right}");
                assert_eq!(left.is_subset_of(right), both == left.complete(), "{left} in {right}");
            }
        }
    }

    #[test]
    fn who_may_write_may_append() {
        let write = Rights { write: true, ..Rights::NONE };
        assert!(Rights { append: true, ..Rights::NONE }.is_subset_of(write));
        assert_eq!(write.to_string(), "append,write");
        assert_eq!(Rights::NONE.to_string(), "none");
    }

    #[test]
    fn every_reason_has_its_own_name() {
        for (number, named) in REASON_NAMES.iter().enumerate() {
            let reason = EndReason::try_from(u16::try_from(number).unwrap()).unwrap();
            assert_eq!(named.0, reason);
            assert_eq!(reason_from_name(reason_name(reason)), Some(reason));
        }
        assert!(EndReason::try_from(u16::try_from(REASON_NAMES.len()).unwrap()).is_err());
        assert_eq!(reason_from_name("Revoked"), None);
    }

    #[test]
    fn clipping_keeps_characters_whole() {
        assert_eq!(clip("aé", 2), "a");
        assert_eq!(clip("aé", 3), "aé");
        assert_eq!(clip("", 0), "");
    }
}
