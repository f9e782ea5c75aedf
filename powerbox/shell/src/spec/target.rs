//! How a person names an object.
//!
//! - `host:PATH`: a folder of this machine, opened with the person's own rights;
//! - `INSTANCE:LABEL`: what an app's instance holds;
//! - `#12` or `12`: a grant (a shell takes `#` for a comment unless it is quoted);
//! - anything else with a colon: an offer, as `latch offers` writes it.

use std::path::{Path, PathBuf};

/// Folders of the store are written with this in front, and the path from its root on.
const STORE_PREFIX: &str = "storage:";

/// Folders of this machine are written with this in front.
pub(crate) const HOST_PREFIX: &str = "host:";

/// What a person named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A folder of this machine, absolute.
    Host(PathBuf),
    /// A grant by its number.
    Grant(u64),
    /// `instance:label`, the name of an offer, or where that may be meant, an instance: only the node can tell.
    Named(String),
}

impl Target {
    /// Reads what names one object; a relative path counts from `current`.
    pub(crate) fn parse(text: &str, current: &Path) -> Result<Self, String> {
        match Self::parse_granted(text, current)? {
            Self::Named(name) if name == STORE_PREFIX || format!("{name}:") == STORE_PREFIX => {
                Err("of the store a path is needed: storage:/ is all of it, storage:/notes a folder in it".to_owned())
            }
            Self::Named(name) if !is_pair(&name) => Err(format!(
                "`{name}` names no object: write host:PATH (a folder), instance:label (what an app holds), or a grant's number"
            )),
            target => Ok(target),
        }
    }

    /// Reads what names something granted: beside one object also an instance, with all that it holds.
    pub(crate) fn parse_granted(text: &str, current: &Path) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix(HOST_PREFIX) {
            if path.is_empty() {
                return Err("`host:` needs a path: host:./docs".to_owned());
            }
            if path.contains('\0') {
                return Err("a path cannot hold a NUL byte".to_owned());
            }
            // Collected anew it has no `/./` in it, wherever it leads.
            return Ok(Self::Host(current.join(path).components().collect()));
        }
        let digits = text.strip_prefix('#').unwrap_or(text);
        Ok(match digits.parse() {
            Ok(grant) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Self::Grant(grant),
            _ => Self::Named(without_slashes(text).to_owned()),
        })
    }
}

/// A folder of the store as it is granted: `storage:/notes` and `storage:/notes/` are the same.
fn without_slashes(name: &str) -> &str {
    match name.strip_prefix(STORE_PREFIX).map(|path| path.trim_end_matches('/').len()) {
        Some(0) | None => name,
        Some(length) => &name[..STORE_PREFIX.len() + length],
    }
}

/// Whether both sides of a colon say something.
fn is_pair(name: &str) -> bool {
    name.split_once(':').is_some_and(|(before, after)| !before.is_empty() && !after.is_empty())
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
        assert_eq!(parse("host:./a/./b"), Ok(Target::Host("/home/ada/a/b".into())));
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
    fn an_instance_is_more_than_one_object() {
        let granted = |text| Target::parse_granted(text, Path::new("/home/ada"));
        assert_eq!(granted("search#2"), Ok(Target::Named("search#2".into())));
        assert_eq!(granted("12"), Ok(Target::Grant(12)));
        assert_eq!(granted("host:docs"), Ok(Target::Host("/home/ada/docs".into())));
        assert!(parse("search#2").is_err());
    }

    #[test]
    fn a_folder_of_the_store_has_one_name() {
        for (text, name) in
            [("storage:/a/", "storage:/a"), ("storage:/a/b//", "storage:/a/b"), ("storage:/", "storage:/")]
        {
            assert_eq!(parse(text), Ok(Target::Named(name.into())));
        }
        for none in ["storage", "storage:"] {
            assert!(parse(none).unwrap_err().contains("storage:/ is all of it"));
        }
        assert_eq!(Target::parse_granted("storage", Path::new("/")), Ok(Target::Named("storage".into())));
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for bad in ["", "docs", ":x", "x:", "host:", "#", "#x", "99999999999999999999999", "host:a\0b"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
