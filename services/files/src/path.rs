//! Paths from outside: bytes become a [`RelativePath`] or are refused. Pure; nothing here asks the file system.
//!
//! The rules are those of `filesystem.capnp`. They are stricter than what `openat2` needs to stay inside (it would
//! follow `a/../b`): one file has then one spelling but for links, and no rule depends on what is on disk.

use std::ffi::CString;

use crate::problem::{Problem, Word};

/// The longest path: Linux's PATH_MAX of 4,096 counts the NUL that ends it.
pub const PATH_LIMIT_BYTES: usize = 4_095;

/// The longest name: NAME_MAX of Linux.
pub const NAME_LIMIT_BYTES: usize = 255;

/// One or more names joined by '/', none of them empty, ".", "..", too long or with a NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelativePath {
    text: CString,
    last_name_at: usize,
}

impl RelativePath {
    /// Checks bytes that a caller gave. The empty path is none; see [`RelativePath::or_here`].
    pub fn new(bytes: &[u8]) -> Result<RelativePath, Problem> {
        if bytes.len() > PATH_LIMIT_BYTES {
            return Err(bad(format!("a path has at most {PATH_LIMIT_BYTES} bytes")));
        }
        if bytes.is_empty() {
            return Err(bad("a path is needed here, and it is empty"));
        }
        if bytes.starts_with(b"/") {
            return Err(bad("a path is relative to the directory: it does not start with '/'"));
        }
        bytes.split(|&byte| byte == b'/').try_for_each(check_name)?;
        let last_name_at = bytes.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let text = CString::new(bytes).map_err(|_| bad("a path has no NUL"))?;
        Ok(RelativePath { text, last_name_at })
    }

    /// The same, where the empty path means the directory itself and gives nothing.
    pub fn or_here(bytes: &[u8]) -> Result<Option<RelativePath>, Problem> {
        if bytes.is_empty() { Ok(None) } else { RelativePath::new(bytes).map(Some) }
    }

    /// The whole path.
    #[must_use]
    pub fn whole(&self) -> &std::ffi::CStr {
        &self.text
    }

    /// The path to the directory that the last name is in; nothing where that is the directory itself.
    #[must_use]
    pub fn parent(&self) -> Option<RelativePath> {
        let bytes = self.text.as_bytes();
        RelativePath::new(&bytes[..self.last_name_at.checked_sub(1)?]).ok()
    }

    /// Its names, from the outermost on.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.text.as_bytes().split(|&byte| byte == b'/')
    }

    /// How many names it has.
    #[must_use]
    pub fn levels(&self) -> usize {
        self.names().count()
    }

    /// The last name.
    #[must_use]
    pub fn name(&self) -> &std::ffi::CStr {
        // A tail of a C string is one too, with the same end.
        &self.whole()[self.last_name_at..]
    }
}

fn check_name(name: &[u8]) -> Result<(), Problem> {
    match name {
        b"" => Err(bad("a name in the path is empty: no '//' and no '/' at the end")),
        b"." | b".." => Err(bad("\".\" and \"..\" are not names")),
        name if name.len() > NAME_LIMIT_BYTES => Err(bad(format!("a name has at most {NAME_LIMIT_BYTES} bytes"))),
        name if name.contains(&0) => Err(bad("a path has no NUL")),
        _ => Ok(()),
    }
}

fn bad(text: impl Into<String>) -> Problem {
    Problem::new(Word::BadPath, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) {
        let problem = RelativePath::new(bytes).expect_err("is no path");
        assert_eq!(problem.word(), Word::BadPath, "{bytes:?}");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let cases: [&[u8]; 16] = [
            b"", b"/", b"/etc", b"//", b"a//b", b"a/", b".", b"..", b"./a", b"../a", b"a/..", b"a/../b", b"a/.",
            b"a\0b", b"\0", b"a/\0",
        ];
        for bytes in cases {
            refused(bytes);
        }
    }

    #[test]
    fn length_is_bounded_by_name_and_in_all() {
        refused(&[b'n'; NAME_LIMIT_BYTES + 1]);
        RelativePath::new(&[b'n'; NAME_LIMIT_BYTES]).expect("the longest name");
        let longest: Vec<u8> = b"n/".iter().copied().cycle().take(PATH_LIMIT_BYTES).collect();
        RelativePath::new(&longest).expect("the longest path");
        let mut longer = longest.clone();
        longer.push(b'n');
        refused(&longer);
        refused(&[b'/'; 5_000]);
    }

    #[test]
    fn names_need_not_be_text() {
        let cases: [&[u8]; 6] = [b"\xff\xfe", b"...", b"..a", b" ", b"a\nb", b"-rf"];
        for bytes in cases {
            assert_eq!(RelativePath::new(bytes).expect("a name").whole().to_bytes(), bytes);
        }
    }

    #[test]
    fn a_path_is_a_parent_and_a_name() {
        let path = RelativePath::new(b"a/b/c").expect("a path");
        assert_eq!(path.name(), c"c");
        let parent = path.parent().expect("has one");
        assert_eq!((parent.whole(), parent.name()), (c"a/b", c"b"));
        let top = RelativePath::new(b"a").expect("a path");
        assert_eq!((top.name(), top.parent()), (c"a", None));
        assert_eq!(path.names().collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    }

    /// Every string of up to five bytes over the alphabet that matters: taken exactly where the rules say so.
    #[test]
    fn short_paths_exhaustively() {
        let alphabet = b"a./\0\xff";
        for length in 1..=5_u32 {
            for mut number in 0..alphabet.len().pow(length) {
                let mut bytes = Vec::new();
                for _ in 0..length {
                    bytes.push(alphabet[number % alphabet.len()]);
                    number /= alphabet.len();
                }
                let fine = !bytes.contains(&0)
                    && bytes.split(|&byte| byte == b'/').all(|name| !matches!(name, b"" | b"." | b".."));
                assert_eq!(RelativePath::new(&bytes).is_ok(), fine, "{bytes:?}");
            }
        }
    }
}
