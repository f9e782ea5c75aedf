//! What the error numbers of an operating system mean, for trees that lie in its file systems.

use rustix::io::Errno;

use crate::patience::Stuck;
use crate::problem::{Problem, Word};

/// What an error number means wherever a path or a file is used. Where a call gives a number a meaning of its own
/// (EXDEV of a rename, say), its caller says so before this table is asked.
impl From<Errno> for Problem {
    fn from(errno: Errno) -> Problem {
        let (word, text) = match errno {
            Errno::NOENT | Errno::STALE => (Word::NotFound, "nothing has that name"),
            Errno::EXIST => (Word::Exists, "something already has that name"),
            Errno::NOTDIR => (Word::NotDirectory, "a name on the way is not a directory"),
            Errno::ISDIR => (Word::IsDirectory, "it is a directory"),
            Errno::NOTEMPTY => (Word::NotEmpty, "the directory is not empty"),
            Errno::NAMETOOLONG => (Word::BadPath, "a name is longer than this file system takes"),
            Errno::INVAL => (Word::BadPath, "the file system does not take this"),
            Errno::ILSEQ => (Word::BadPath, "the file system does not take these bytes as a name"),
            // RESOLVE_BENEATH reports every way out as EXDEV: `..` past the top, absolute links.
            Errno::XDEV => (Word::LeadsOut, "a symbolic link on the way leads out of the directory"),
            // RESOLVE_NO_MAGICLINKS reports links such as /proc/self/root as ELOOP, as it does loops.
            Errno::LOOP => (Word::LeadsOut, "a symbolic link on the way leads round in a loop or past the file system"),
            Errno::ROFS => (Word::ReadOnly, "the file system is mounted read-only"),
            Errno::ACCESS | Errno::PERM => (Word::NotPermitted, "the operating system does not permit it"),
            Errno::TXTBSY => (Word::NotPermitted, "the file is being executed"),
            Errno::BUSY => (Word::NotPermitted, "it is in use by the system, as a mount point is"),
            Errno::NOSPC => (Word::NoSpace, "the disk is full"),
            Errno::DQUOT => (Word::NoSpace, "the quota is used up"),
            Errno::FBIG | Errno::OVERFLOW => (Word::TooLarge, "beyond what the file system takes"),
            Errno::MLINK => (Word::TooLarge, "the directory takes no more directories"),
            Errno::NXIO | Errno::NODEV => (Word::Special, "it is neither a regular file nor a directory"),
            Errno::MFILE | Errno::NFILE => (Word::Overloaded, "the system has no more descriptors: drop some files"),
            Errno::AGAIN => (Word::Io, "names on the way kept changing, or the file is leased to another process"),
            other => return Problem::new(Word::Io, other.to_string()),
        };
        Problem::new(word, text)
    }
}

impl From<Errno> for Stuck {
    fn from(errno: Errno) -> Stuck {
        Stuck::Problem(errno.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_becomes_a_word() {
        assert!(Problem::from(Errno::NOENT).to_string().starts_with("notFound: "));
    }

    #[test]
    fn too_much_open_is_overload() {
        assert_eq!(capnp::Error::from(Problem::from(Errno::MFILE)).kind, capnp::ErrorKind::Overloaded);
    }

    #[test]
    fn an_unknown_number_is_io() {
        assert_eq!(Problem::from(Errno::XFULL).word(), Word::Io);
    }
}
