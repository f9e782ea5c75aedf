//! `latch grants` and `latch why`.

use schema::operator_capnp::{budget, grant, why_line};
use serde::Serialize;
use vat::Rights;
use vat::words::reason_name;

use super::{at_ms, method_names, text};
use crate::failure::Outcome;
use crate::text::time;

/// One grant.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Grant {
    pub(crate) id: u64,
    /// The grant that it was derived from.
    pub(crate) parent: Option<u64>,
    /// How many grants stand above it.
    pub(crate) depth: u16,
    pub(crate) holder: String,
    pub(crate) label: String,
    pub(crate) offer: String,
    pub(crate) provider: String,
    pub(crate) interface_name: String,
    #[serde(serialize_with = "super::serialize_rights")]
    pub(crate) rights: Rights,
    pub(crate) expires_at_ms: Option<u64>,
    /// Calls given in all; null: no limit.
    pub(crate) calls: Option<u64>,
    /// Calls left of them.
    pub(crate) calls_left: Option<u64>,
    /// Bytes given in all; null: no limit.
    pub(crate) bytes: Option<u64>,
    pub(crate) bytes_left: Option<u64>,
    /// The methods allowed; empty: all.
    pub(crate) methods: Vec<String>,
    /// Has a link now.
    pub(crate) open: bool,
    pub(crate) granted_at_ms: Option<u64>,
    pub(crate) granted_by: String,
    pub(crate) ended_at_ms: Option<u64>,
    /// `revoked`, `expired`, `closed`, …: where it has ended.
    pub(crate) end_reason: Option<&'static str>,
    pub(crate) used_calls: u64,
    pub(crate) used_bytes: u64,
    pub(crate) errors: u64,
    /// Calls that a limit or a method that is not allowed forbade: none of those that were used.
    pub(crate) refused: u64,
    /// What was used is the word of an app.
    pub(crate) self_reported: bool,
    /// Bytes that may be stored at once; null: no limit.
    pub(crate) quota: Option<u64>,
    /// A part of the node holds it, of another part.
    pub(crate) own: bool,
}

impl Grant {
    pub(crate) fn read(reader: grant::Reader<'_>) -> Outcome<Self> {
        let calls = limit(reader.get_calls()?);
        let bytes = limit(reader.get_bytes()?);
        let quota = limit(reader.get_quota()?);
        let ended_at_ms = at_ms(reader.get_ended_at_ms());
        Ok(Self {
            id: reader.get_id(),
            quota,
            own: reader.get_own(),
            parent: at_ms(reader.get_parent()),
            depth: reader.get_depth(),
            holder: text(reader.get_holder())?,
            label: text(reader.get_label())?,
            offer: text(reader.get_offer())?,
            provider: text(reader.get_provider())?,
            interface_name: text(reader.get_interface_name())?,
            rights: Rights::read_from(reader.get_rights()?),
            expires_at_ms: at_ms(reader.get_expires_at_ms()),
            calls,
            calls_left: calls.map(|_| reader.get_calls_left()),
            bytes,
            bytes_left: bytes.map(|_| reader.get_bytes_left()),
            methods: method_names(reader.get_methods())?,
            open: reader.get_open(),
            granted_at_ms: at_ms(reader.get_granted_at_ms()),
            granted_by: text(reader.get_granted_by())?,
            ended_at_ms,
            end_reason: ended_at_ms.map(|_| reader.get_end_reason().map(reason_name)).transpose()?,
            used_calls: reader.get_used_calls(),
            used_bytes: reader.get_used_bytes(),
            errors: reader.get_errors(),
            refused: reader.get_refused(),
            self_reported: reader.get_self_reported(),
        })
    }
}

impl Grant {
    /// Whether a person means this one by `INSTANCE:LABEL` or `#12`.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name() == name || format!("#{}", self.id) == name
    }

    /// As a person writes it, to give the same again: with the limits that it began with.
    pub(crate) fn written(&self) -> String {
        // A comma of its own would end it.
        let offer = self.offer.replace('\\', "\\\\").replace(',', "\\,");
        let mut written = format!("{}={offer}", self.label);
        // An app is given no more of it than it asks for.
        written.push_str(match (self.rights.read, self.rights.append, self.rights.write) {
            (_, _, true) => ",rw",
            (_, true, false) => ",append",
            (_, false, false) => ",ro",
        });
        if let (Some(granted), Some(expires)) = (self.granted_at_ms, self.expires_at_ms) {
            written.push_str(&format!(",expires={}", time::lasting(expires.saturating_sub(granted))));
        }
        for (name, limit) in [("bytes", self.bytes), ("quota", self.quota)] {
            written.extend(limit.map(|limit| format!(",{name}={}", time::amount(limit))));
        }
        written.extend(self.calls.map(|calls| format!(",calls={calls}")));
        if !self.methods.is_empty() {
            written.push_str(&format!(",methods={}", self.methods.join("+")));
        }
        written
    }

    /// Whether a person's shell holds it, which no instance can be named like.
    pub(crate) fn is_of_a_shell(&self) -> bool {
        self.holder.starts_with("shell (uid ")
    }

    /// `INSTANCE:LABEL`
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.holder, self.label)
    }
}

#[cfg(test)]
impl Grant {
    /// For tests: read-only on `/docs`, with 40 of 100 calls left.
    pub(crate) fn example(id: u64, parent: Option<u64>, depth: u16) -> Self {
        Self {
            id,
            parent,
            depth,
            holder: format!("app{id}"),
            label: "docs".into(),
            offer: "host:/docs".into(),
            provider: "folder (this host)".into(),
            interface_name: "Directory".into(),
            rights: Rights::READ,
            expires_at_ms: None,
            calls: Some(100),
            calls_left: Some(40),
            bytes: None,
            bytes_left: None,
            methods: vec!["File.read".into()],
            open: true,
            granted_at_ms: Some(1_000),
            granted_by: "uid 0".into(),
            ended_at_ms: None,
            end_reason: None,
            used_calls: 60,
            used_bytes: 2048,
            errors: 0,
            refused: 0,
            self_reported: false,
            quota: None,
            own: false,
        }
    }
}

fn limit(budget: budget::Reader<'_>) -> Option<u64> {
    budget.get_limited().then(|| budget.get_amount())
}

/// One line of the chain from an object to its holder.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WhyLine {
    pub(crate) depth: u16,
    pub(crate) text: String,
    pub(crate) at_ms: Option<u64>,
    pub(crate) grant: Option<u64>,
    /// The text is an app's, not the system's.
    pub(crate) app_words: bool,
}

impl WhyLine {
    pub(crate) fn read(reader: why_line::Reader<'_>) -> Outcome<Self> {
        Ok(Self {
            depth: reader.get_depth(),
            text: text(reader.get_text())?,
            at_ms: at_ms(reader.get_at_ms()),
            grant: at_ms(reader.get_grant()),
            app_words: reader.get_app_words(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::spec::grant::{Given, Labelled};

    #[test]
    fn what_is_given_again_is_what_was_given() {
        let read = |grant: &Grant| Labelled::parse(&grant.written(), Path::new("/")).unwrap();
        let grant = Grant {
            offer: "storage:/a,b".into(),
            bytes: Some(100),
            quota: Some(64 << 20),
            expires_at_ms: Some(1_000 + 90 * 60_000),
            ..Grant::example(1, None, 0)
        };
        let written = "docs=storage:/a\\,b,ro,expires=90m,bytes=100,quota=64MiB,calls=100,methods=File.read";
        assert_eq!(grant.written(), written);
        let Given { rights, quota, bytes, calls, methods, expires_in_ms, .. } = read(&grant).given;
        assert_eq!((rights, quota, bytes, calls), (Some(Rights::READ), grant.quota, grant.bytes, grant.calls));
        assert_eq!((methods.len(), expires_in_ms), (1, Some(90 * 60_000)));
        let more = Grant { rights: Rights::ALL, ..grant };
        assert_eq!(read(&more).given.rights, Some(Rights::ALL));
    }
}
