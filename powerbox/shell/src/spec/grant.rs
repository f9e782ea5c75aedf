//! A grant as a person writes it:
//! `label=offer[,ro|,append|,rw][,expires=1h][,calls=N][,bytes=N][,quota=N][,methods=Directory.list+File.read][,force]`.
//!
//! A comma that belongs to a path is written `\,` and a backslash `\\`. Where no rights are named, the app gets what
//! it asked for, and never more.

use std::path::Path;

use vat::{Method, Rights};

use super::methods;
use super::target::Target;
use crate::text::time::{parse_amount, parse_span};

/// See everything and add to it, change nothing that is there.
const APPEND: Rights = Rights { read: true, append: true, write: false };

/// What a person is ready to give, and under which limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// The object.
    pub(crate) target: Target,
    /// None: what was asked for.
    pub(crate) rights: Option<Rights>,
    /// How long from now.
    pub(crate) expires_in_ms: Option<u64>,
    /// Calls in all.
    pub(crate) calls: Option<u64>,
    /// Bytes in all, both ways.
    pub(crate) bytes: Option<u64>,
    /// Bytes that may be stored at once.
    pub(crate) quota: Option<u64>,
    /// The methods allowed; none named: all.
    pub(crate) methods: Vec<Method>,
    /// Given although the node itself is in it, or a symbolic link on the way leads elsewhere.
    pub(crate) force: bool,
}

impl Given {
    /// That object with nothing else said.
    pub(crate) fn plain(target: Target) -> Self {
        Self {
            target,
            rights: None,
            expires_in_ms: None,
            calls: None,
            bytes: None,
            quota: None,
            methods: Vec::new(),
            force: false,
        }
    }

    /// Reads `offer[,option]…`; a relative path counts from `current`.
    pub(crate) fn parse(text: &str, current: &Path) -> Result<Self, String> {
        let mut pieces = split_at_commas(text).into_iter();
        let offer = pieces.next().unwrap_or_default();
        let mut given = Self::plain(Target::parse(&offer, current)?);
        for piece in pieces {
            given.option(&piece)?;
        }
        Ok(given)
    }

    fn option(&mut self, piece: &str) -> Result<(), String> {
        let (name, value) = piece.split_once('=').map_or((piece, None), |(name, value)| (name, Some(value)));
        match (name, value) {
            ("ro", None) => set(&mut self.rights, Rights::READ, "rights"),
            ("append", None) => set(&mut self.rights, APPEND, "rights"),
            ("rw", None) => set(&mut self.rights, Rights::ALL, "rights"),
            ("force", None) if !self.force => {
                self.force = true;
                Ok(())
            }
            ("force", None) => Err("force is given twice".to_owned()),
            ("expires", Some(value)) => {
                let span = parse_span(value).ok_or_else(|| format!("expires={value}: write 90s, 15m, 1h or 2d"))?;
                set(&mut self.expires_in_ms, span, "expires")
            }
            ("calls", Some(value)) => set(&mut self.calls, amount("calls", value)?, "calls"),
            ("bytes", Some(value)) => set(&mut self.bytes, amount("bytes", value)?, "bytes"),
            ("quota", Some(value)) => set(&mut self.quota, amount("quota", value)?, "quota"),
            ("methods", Some(value)) if self.methods.is_empty() => {
                for method in value.split('+') {
                    self.methods.extend(methods::parse(method)?);
                }
                self.methods.sort_unstable();
                self.methods.dedup();
                Ok(())
            }
            ("methods", Some(_)) => Err("methods is given twice".to_owned()),
            ("ro" | "append" | "rw" | "force", Some(_)) => Err(format!("`{name}` takes no value")),
            ("expires" | "calls" | "bytes" | "quota" | "methods", None) => {
                Err(format!("`{name}` needs a value: {name}=…"))
            }
            _ => Err(format!(
                "`{piece}` is no option of a grant: ro, append, rw, expires=1h, calls=N, bytes=N, quota=N, \
                 methods=Directory.list+File.read, force (a comma within a path is written \\,)"
            )),
        }
    }
}

fn set<T>(place: &mut Option<T>, value: T, name: &str) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{name} is given twice")),
    }
}

fn amount(name: &str, value: &str) -> Result<u64, String> {
    match parse_amount(value) {
        Some(0) => Err(format!("{name}={value}: a budget of 0 gives nothing: leave it out, or say at least 1")),
        Some(amount) => Ok(amount),
        None => Err(format!("{name}={value}: write a number such as 1000, 64k or 10MiB")),
    }
}

/// A grant under a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Labelled {
    /// What the app asks for it under.
    pub(crate) label: String,
    /// What it gets.
    pub(crate) given: Given,
    /// The same as the person wrote it.
    pub(crate) written: String,
}

impl Labelled {
    /// Reads `label=offer[,option]…`.
    pub(crate) fn parse(text: &str, current: &Path) -> Result<Self, String> {
        let (label, rest) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` has no label: write label=offer, such as docs=host:./docs,ro"))?;
        if !package::is_label(label) {
            return Err(format!("`{label}` is no label: 1 to 64 of a-z, 0-9, '.', '_' and '-'"));
        }
        Ok(Self { label: label.to_owned(), given: Given::parse(rest, current)?, written: rest.to_owned() })
    }
}

/// Splits at commas that have no backslash in front; `\,` and `\\` stand for themselves without it.
fn split_at_commas(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let piece = match (character, characters.peek()) {
            ('\\', Some(',' | '\\')) => characters.next(),
            (',', _) => {
                pieces.push(String::new());
                None
            }
            _ => Some(character),
        };
        if let (Some(character), Some(last)) = (piece, pieces.last_mut()) {
            last.push(character);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Labelled, String> {
        Labelled::parse(text, Path::new("/home/ada"))
    }

    #[test]
    fn a_grant_with_everything() {
        let grant =
            parse("docs=host:./my=docs,ro,expires=1h,calls=10k,bytes=1GiB,methods=Directory.list+File.read").unwrap();
        assert_eq!(grant.label, "docs");
        assert_eq!(grant.given.target, Target::Host("/home/ada/my=docs".into()));
        assert_eq!(grant.given.rights, Some(Rights::READ));
        assert_eq!(grant.given.expires_in_ms, Some(3_600_000));
        assert_eq!(grant.given.calls, Some(10_000));
        assert_eq!(grant.given.bytes, Some(1 << 30));
        let names: Vec<_> = grant.given.methods.iter().map(|method| method.to_string()).collect();
        assert_eq!(names.len(), 2);
        assert!(names.contains(&"Directory.list".to_owned()) && names.contains(&"File.read".to_owned()));
    }

    #[test]
    fn nothing_but_the_object() {
        assert_eq!(parse("d=#3").unwrap().given, Given::plain(Target::Grant(3)));
        assert!(parse("d=host:/,ro,force").unwrap().given.force);
    }

    #[test]
    fn commas_and_backslashes_in_paths() {
        let folder = |text: &str| parse(text).unwrap().given.target;
        assert_eq!(folder(r"d=host:/a\,b,rw"), Target::Host("/a,b".into()));
        assert_eq!(folder(r"d=host:/a\\,rw"), Target::Host(r"/a\".into()));
        assert_eq!(folder(r"d=host:/a\b"), Target::Host(r"/a\b".into()));
    }

    #[test]
    fn mistakes_are_named() {
        for (bad, word) in [
            ("host:/x", "label"),
            ("Docs=host:/x", "label"),
            ("d=", "names no object"),
            ("d=host:/x,", "no option"),
            ("d=host:/x,ro,rw", "twice"),
            ("d=host:/x,ro=1", "no value"),
            ("d=host:/x,force=1", "no value"),
            ("d=host:/x,force,force", "twice"),
            ("d=host:/x,expires=soon", "90s"),
            ("d=host:/x,calls", "needs a value"),
            ("d=host:/x,calls=-1", "number"),
            ("d=host:/x,calls=0", "at least 1"),
            ("d=host:/x,bytes=0k", "at least 1"),
            ("d=host:/x,methods=File.read,methods=File.read", "twice"),
            ("d=host:/x,methods=File.", "no method"),
            ("d=host:/a,b", r"\,"),
        ] {
            let message = parse(bad).unwrap_err();
            assert!(message.contains(word), "{bad}: {message}");
        }
    }
}
