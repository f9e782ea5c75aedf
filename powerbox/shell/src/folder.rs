//! Folders and files that the person gives to the node: opened here, with the person's own rights, and sent through the
//! door. The node never opens a path on anybody's word.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Component, Path, PathBuf};

use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags};
use vat::door::Identity;

use crate::failure::{Failure, Outcome};
use crate::guarded::{self, Guarded};
use crate::node::{Node, ResourceKind};
use crate::text::escape;

/// A folder that was opened and is not sent yet: what a person confirms is this very one, whatever becomes of its path.
#[derive(Debug)]
pub(crate) struct Folder {
    descriptor: OwnedFd,
    named: PathBuf,
    real: PathBuf,
}

impl Folder {
    /// Opens it, unless it has to do with what is guarded.
    pub(crate) fn open(path: &Path, guarded: &[Guarded]) -> Outcome<Self> {
        let descriptor = open(path)?;
        guarded::check(&descriptor, path, guarded)?;
        let real = real_path(&descriptor)?;
        Ok(Self { descriptor, named: path.to_owned(), real })
    }

    /// Where it really is.
    pub(crate) fn path(&self) -> &Path {
        &self.real
    }

    /// The path that the person wrote, where it leads to another place than it says: a symbolic link is on the way, and
    /// whoever may write there may have put it there.
    pub(crate) fn named_elsewhere(&self) -> Option<&Path> {
        (without_steps_up(&self.named) != self.real).then_some(&self.named)
    }

    /// Sends it; the token by which the node is told of it.
    pub(crate) async fn send(self, node: &Node) -> Outcome<u64> {
        let identity = Identity::of(self.descriptor.as_fd());
        let failed = |error| Failure::new(format!("cannot look at {}", self.real.display())).because(error);
        node.send_resource(ResourceKind::Folder, &self.real, identity.map_err(failed)?, self.descriptor).await
    }
}

/// Opens a file and sends it; the token by which the node is told of it.
pub(crate) async fn send_file(node: &Node, path: &Path) -> Outcome<u64> {
    let what = || format!("cannot open {}", path.display());
    let file = File::open(path)
        .map_err(|error| Failure::new(what()).because(error).next("latch build DIR makes a package and names it"))?;
    let metadata = file.metadata();
    if !metadata.as_ref().is_ok_and(|metadata| metadata.is_file()) {
        let failure = Failure::new(what()).because("it is not a package");
        return Err(if metadata.is_ok_and(|metadata| metadata.is_dir()) {
            failure.next(format!("latch build {}, and give the .latch file that it names", shown(path)))
        } else {
            failure.next("latch build DIR makes a package of an app's folder and names it")
        });
    }
    let copied = copy(&file).map_err(|error| Failure::new(what()).because(error))?;
    let found = real_path(&OwnedFd::from(file))?;
    node.send_resource(ResourceKind::File, &found, Identity::default(), copied).await
}

/// A copy in memory: what the node is given never waits for a file system, not even when it is closed.
fn copy(file: &File) -> std::io::Result<OwnedFd> {
    /// More than a package may have.
    const LIMIT_BYTES: u64 = package::COMPONENT_LIMIT_BYTES + (1 << 20);
    let mut copied = File::from(rustix::fs::memfd_create("package", rustix::fs::MemfdFlags::CLOEXEC)?);
    std::io::copy(&mut file.take(LIMIT_BYTES), &mut copied)?;
    copied.rewind()?;
    Ok(copied.into())
}

/// A path as it is typed in a command line.
pub(crate) fn shown(path: &Path) -> String {
    escape::word(&path.to_string_lossy())
}

fn open(path: &Path) -> Outcome<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|error| {
        let failure = Failure::new(format!("cannot open the folder {}", path.display())).because(error);
        match error {
            rustix::io::Errno::NOTDIR => failure.next("give the folder that the file is in"),
            rustix::io::Errno::ACCESS => failure.next("only what you may read yourself can be given"),
            _ => failure,
        }
    })
}

/// Where the descriptor really leads, whatever the path said.
fn real_path(descriptor: &OwnedFd) -> Outcome<PathBuf> {
    use rustix::fd::AsRawFd as _;
    let link = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    std::fs::read_link(link).map_err(|error| Failure::new("cannot tell a folder's real path").because(error))
}

/// An absolute path with each `..` taken at its word: where it leads if no symbolic link is on the way.
fn without_steps_up(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::Normal(name) => plain.push(name),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_opened_where_it_really_is() {
        let base =
            std::fs::canonicalize(std::env::temp_dir()).unwrap().join(format!("latch-folder-{}", std::process::id()));
        std::fs::create_dir_all(base.join("real/deep")).unwrap();
        std::os::unix::fs::symlink("real", base.join("link")).unwrap();
        std::fs::write(base.join("file"), "x").unwrap();
        for (path, real, elsewhere) in [
            ("real", "real", false),
            ("real/deep/..", "real", false),
            ("link", "real", true),
            ("link/deep", "real/deep", true),
            ("link/..", "", false),
        ] {
            let folder = Folder::open(&base.join(path), &[]).unwrap();
            assert_eq!(folder.path().components().as_path(), base.join(real).components().as_path(), "{path}");
            assert_eq!(folder.named_elsewhere().is_some(), elsewhere, "{path}");
        }
        assert!(open(&base.join("file")).unwrap_err().to_string().contains("next: give the folder"));
        assert!(open(&base.join("missing")).is_err());
        std::fs::remove_dir_all(base).unwrap();
    }
}
