//! How a person names an object.
//!
//! - `host:PATH`: a folder of this machine, opened with the person's own rights;
//! - `INSTANCE:LABEL`: what an app's instance holds;
//! - `#12` or `12`: a grant (a shell takes `#` for a comment unless it is quoted);
//! - anything else with a colon: an offer, as `latch offers` writes it.

use std::path::{Path, PathBuf};

/// Folders of this machine are written with this in front.
const HOST_PREFIX: &str = "host:";

/// What a person named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A folder of this machine, absolute.
    Host(PathBuf),
    /// A grant by its number.
    Grant(u64),
    /// `instance:label`, or the name of an offer: only the node can tell.
    Named(String),
}

impl Target {
    /// Reads a target; a relative path counts from `current`.
    pub(crate) fn parse(text: &str, current: &Path) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix(HOST_PREFIX) {
            if path.is_empty() {
                return Err("`host:` needs a path: host:./docs".to_owned());
            }
            if path.contains('\0') {
                return Err("a path cannot hold a NUL byte".to_owned());
            }
            return Ok(Self::Host(current.join(path)));
        }
        if let Some(grant) = parse_grant(text) {
            return Ok(Self::Grant(grant));
        }
        match text.split_once(':') {
            Some((before, after)) if !before.is_empty() && !after.is_empty() => Ok(Self::Named(text.to_owned())),
            _ => Err(format!(
                "`{text}` names no object: write host:PATH (a folder), instance:label (what an app holds), or a grant's number"
            )),
        }
    }
}

/// `#12` or `12`
pub(crate) fn parse_grant(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('#').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Target, String> {
        Target::parse(text, Path::new("/home/ada"))
    }

    #[test]
    fn folders_count_from_where_the_person_is() {
        assert_eq!(parse("host:docs"), Ok(Target::Host("/home/ada/docs".into())));
        assert_eq!(parse("host:/srv"), Ok(Target::Host("/srv".into())));
        assert_eq!(parse("host:/a:b"), Ok(Target::Host("/a:b".into())));
    }

    #[test]
    fn grants_and_names() {
        assert_eq!(parse("#12"), Ok(Target::Grant(12)));
        assert_eq!(parse("12"), Ok(Target::Grant(12)));
        assert_eq!(parse("search#2:docs"), Ok(Target::Named("search#2:docs".into())));
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for bad in ["", "docs", ":x", "x:", "host:", "#", "#x", "99999999999999999999999", "host:a\0b"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
