//! A record for people: its kind, one line, and its fields by name for programs.

use super::{Entry, Record, Source, interface_name};
use crate::words::{PATH_LIMIT, PHRASE_LIMIT, REASON_LIMIT, phrase, plain, quoted};
use vat::words::reason_name;

/// A record for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// One word.
    pub kind: &'static str,
    /// One line.
    pub text: String,
    /// By name.
    pub fields: Vec<(&'static str, String)>,
}

impl Line {
    fn new(kind: &'static str, text: String) -> Self {
        Self { kind, text, fields: Vec::new() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "texts, numbers and references alike, at each of many places")]
    fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.fields.push((name, value.to_string()));
        self
    }
}

/// What a person reads of a record. Words of apps and authors are escaped.
#[must_use]
pub fn describe(entry: &Entry) -> Line {
    match &entry.record {
        Record::Opened { version, node_start } => {
            let what = if *node_start { "the node was started" } else { "the powerbox was started again" };
            Line::new("opened", format!("{what} (version {version})")).with("version", version)
        }
        Record::Trusted(author) => {
            let key = hexadecimal(&author.key);
            let called = if author.name.is_empty() { &key } else { &author.name };
            Line::new("trust", format!("trusts the author {}", plain(called, PHRASE_LIMIT))).with("author", key)
        }
        Record::Distrusted(key) => Line::new("distrust", format!("no longer trusts the author {}", hexadecimal(key)))
            .with("author", hexadecimal(key)),
        Record::Installed(installed) => {
            let manifest = &installed.manifest;
            Line::new("install", format!("installed {} {}", manifest.name, plain(&manifest.version, PHRASE_LIMIT)))
                .with("package", &manifest.name)
                .with("version", plain(&manifest.version, PHRASE_LIMIT))
                .with("digest", hexadecimal(&installed.digest))
                .with("author", hexadecimal(&manifest.author))
        }
        Record::Uninstalled(name) => Line::new("uninstall", format!("removed {name}")).with("package", name),
        Record::Ran(_) | Record::Exited(_) | Record::Stopped(_) => describe_run(&entry.record),
        Record::Asked(_) | Record::Denied(_) => describe_request(&entry.record),
        Record::Granted(_) | Record::Ended(_) => describe_grant(&entry.record),
        Record::Leased(leased) => describe_lease("lease", "set aside for link", leased),
        Record::Returned(leased) => describe_lease("return", "unused by link", leased),
        Record::Lost(leased) => describe_lease("lost", "counted as used, not reported by link", leased),
        Record::Reserved(up_to) => Line::new("reserve", format!("ids up to {up_to} may be used")).with("upTo", up_to),
        Record::Checkpoint(checkpoint) => {
            Line::new("checkpoint", format!("signed the log up to record {}", checkpoint.position))
                .with("position", checkpoint.position)
                .with("head", hexadecimal(&checkpoint.head))
        }
        Record::Note(note) => Line::new("note", phrase(note, PATH_LIMIT)),
    }
}

fn describe_run(record: &Record) -> Line {
    match record {
        Record::Ran(ran) => {
            let how = if ran.detached { "in the background" } else { "in the foreground" };
            Line::new(
                "run",
                format!("started {} ({} {}) {how}", ran.instance, ran.app, plain(&ran.version, PHRASE_LIMIT)),
            )
            .with("instance", &ran.instance)
            .with("package", &ran.app)
            .with("process", ran.process)
            .with("arguments", plain(&ran.arguments.join(" "), PATH_LIMIT))
        }
        Record::Exited(exited) => {
            // A process' last word is its own: it may have been taken over.
            let said = || format!(", its process said: {}", quoted(&exited.last, REASON_LIMIT));
            let because = if exited.last.is_empty() { String::new() } else { said() };
            Line::new("exit", format!("{} ended with {}{because}", exited.instance, exit_code(exited.code)))
                .with("instance", &exited.instance)
                .with("process", exited.process)
                .with("code", exited.code)
        }
        Record::Stopped(instance) => Line::new("stop", format!("stopped {instance}")).with("instance", instance),
        _ => Line::default(),
    }
}

fn describe_request(record: &Record) -> Line {
    use super::How;
    match record {
        Record::Asked(asked) => Line::new(
            "ask",
            format!(
                "{} asks for a {} as “{}”: {}",
                asked.instance,
                interface_name(asked.interface),
                asked.label,
                quoted(&asked.reason, REASON_LIMIT)
            ),
        )
        .with("request", asked.request)
        .with("instance", &asked.instance)
        .with("label", &asked.label)
        .with("rights", asked.rights)
        .with("reason", phrase(&asked.reason, REASON_LIMIT)),
        Record::Denied(denied) => {
            let how = match denied.how {
                How::Once => "was denied",
                How::Always => "is denied from now on",
                How::TimedOut => "was not decided in time",
            };
            Line::new("deny", format!("{}'s request for “{}” {how}", denied.instance, denied.label))
                .with("instance", &denied.instance)
                .with("label", &denied.label)
        }
        _ => Line::default(),
    }
}

fn describe_grant(record: &Record) -> Line {
    match record {
        Record::Granted(granted) => {
            let caveats = &granted.caveats;
            let verb = if granted.transient { "uses" } else { "was granted" };
            let kind = if granted.transient { "use" } else { "grant" };
            let mut text = format!(
                "{} {verb} {} ({}) as “{}”: #{}",
                granted.holder,
                plain(&granted.offer, PATH_LIMIT),
                caveats.rights,
                granted.label,
                granted.grant
            );
            if granted.parent != 0 {
                text.push_str(&format!(", a child of #{}", granted.parent));
            }
            let mut line = Line::new(kind, text)
                .with("grant", granted.grant)
                .with("holder", &granted.holder)
                .with("label", &granted.label)
                .with("offer", plain(&granted.offer, PATH_LIMIT))
                .with("rights", caveats.rights);
            if let Source::Folder(folder) = &granted.source {
                line = line.with("path", plain(&folder.path, PATH_LIMIT));
            }
            if granted.parent != 0 {
                line = line.with("parent", granted.parent);
            }
            if caveats.expires_at_ms != 0 {
                line = line.with("expiresAtMs", caveats.expires_at_ms);
            }
            for (name, limit) in [("calls", caveats.calls), ("bytes", caveats.bytes), ("quota", caveats.quota)] {
                if let Some(limit) = limit {
                    line = line.with(name, limit);
                }
            }
            if !caveats.methods.is_empty() {
                let methods: Vec<String> = caveats.methods.iter().map(|method| method.to_string()).collect();
                line = line.with("methods", methods.join(" "));
            }
            line
        }
        Record::Ended(ended) => {
            let grants: Vec<String> = ended.grants.iter().map(|grant| format!("#{grant}")).collect();
            let reason = reason_name(ended.reason);
            let kind = if reason == "revoked" { "revoke" } else { "end" };
            let because = match ended.detail.as_str() {
                "" => String::new(),
                detail => format!(": {}", quoted(detail, REASON_LIMIT)),
            };
            Line::new(kind, format!("{} ended ({reason}){because}", grants.join(", ")))
                .with("grants", grants.join(" "))
                .with("reason", reason)
        }
        _ => Line::default(),
    }
}

fn describe_lease(kind: &'static str, what: &str, leased: &super::Leased) -> Line {
    Line::new(kind, format!("#{}: {} calls, {} bytes {what} {}", leased.grant, leased.calls, leased.bytes, leased.link))
        .with("grant", leased.grant)
        .with("link", leased.link)
        .with("calls", leased.calls)
        .with("bytes", leased.bytes)
}

/// An exit code as a person reads it.
pub(crate) fn exit_code(code: i32) -> String {
    if code < 0 { format!("signal {}", -code) } else { format!("code {code}") }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Asked, Exited};
    use super::*;

    fn shown(record: Record) -> String {
        describe(&Entry { position: 1, at_ms: 0, by: "app evil".into(), record }).text
    }

    #[test]
    fn words_of_apps_and_processes_are_quoted_and_said_to_be_theirs() {
        let reason = "to search\u{3000}      31  2026-11-21  revoke  #1 ended”".to_owned();
        let asked = Asked { instance: "evil".into(), label: "docs".into(), reason, ..Asked::default() };
        let line = shown(Record::Asked(asked));
        assert!(line.ends_with(": “to search 31 2026-11-21 revoke #1 ended\\u{201d}”"), "{line}");
        let last = "checked by latch\u{a0}\nnothing was read".to_owned();
        let exited = Exited { instance: "evil".into(), process: 7, code: 0, last };
        let said = "evil ended with code 0, its process said: “checked by latch nothing was read”";
        assert_eq!(shown(Record::Exited(exited)), said);
    }
}
