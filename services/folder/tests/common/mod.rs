//! A folder and what lies beside it, for tests.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::fmt::Debug;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use files::path::RelativePath;
use files::patience::{Patience, Stuck};
use files::problem::{Problem, Word};
use folder_service::content;
use folder_service::held::Held;
use folder_service::place::Place;
use folder_service::resolve;
use rustix::fs::{Mode, OFlags};
use vat::words::Rights;

/// Rights that open a file in each of the three ways.
pub const EVERY_RIGHT: [Rights; 3] = [Rights::READ, Rights { read: false, append: true, write: false }, Rights::ALL];

/// `folder`, which is served, and `outside` beside it, which nothing may ever reach.
pub struct Tree {
    pub folder: PathBuf,
    pub outside: PathBuf,
    pub top: Arc<Place>,
    mounts: std::cell::RefCell<Vec<PathBuf>>,
    _temporary: tempfile::TempDir,
}

impl Tree {
    pub fn new() -> Tree {
        let temporary = tempfile::tempdir().unwrap();
        let (folder, outside) = (temporary.path().join("folder"), temporary.path().join("outside"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::create_dir(&outside).unwrap();
        let top = top_at(&folder);
        Tree { folder, outside, top, mounts: Default::default(), _temporary: temporary }
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        write_at(&self.folder.join(name), bytes);
    }

    pub fn write_outside(&self, name: &str, bytes: &[u8]) {
        write_at(&self.outside.join(name), bytes);
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(name)).unwrap()
    }

    pub fn make_directory(&self, name: &str) {
        std::fs::create_dir_all(self.folder.join(name)).unwrap();
    }

    pub fn link(&self, target: &str, name: &str) {
        symlink(target, self.folder.join(name)).unwrap();
    }

    /// A directory below the top, as `openDirectory` opens it.
    pub fn open(&self, name: &str) -> Place {
        let descriptor = resolve::open_directory(self.top.as_fd(), &path(name), Patience::Disk).unwrap();
        Place::below(&self.top, Held::of_process(descriptor), path(name).levels())
    }

    /// Whether this user may mount: a small file system in memory on a directory of the folder.
    pub fn mount_tmpfs(&self, name: &str) -> bool {
        let at = self.folder.join(name);
        let mounted = rustix::mount::mount("tmpfs", &at, "tmpfs", rustix::mount::MountFlags::empty(), None).is_ok();
        if mounted {
            self.mounts.borrow_mut().push(at);
        }
        mounted
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        for mount in self.mounts.borrow().iter() {
            _ = rustix::mount::unmount(mount, rustix::mount::UnmountFlags::DETACH);
        }
    }
}

pub fn top_at(folder: &Path) -> Arc<Place> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Arc::new(Place::top(rustix::fs::open(folder, flags, Mode::empty()).unwrap()).unwrap())
}

pub fn path(text: &str) -> RelativePath {
    RelativePath::new(text.as_bytes()).unwrap()
}

pub fn file_bytes(tree: &Tree, name: &str) -> Vec<u8> {
    let file = resolve::open_file(tree.top.as_fd(), &path(name), Rights::READ, Patience::Disk).unwrap();
    let mut bytes = vec![0; 1 << 16];
    let read = content::read(file.as_fd(), 0, &mut bytes).unwrap();
    bytes.truncate(read);
    bytes
}

/// The word of a refusal; it fails where nothing was refused.
pub fn refusal<T: Debug, E: IntoWord>(result: Result<T, E>) -> Word {
    result.expect_err("is refused").into_word()
}

pub trait IntoWord: Debug {
    fn into_word(self) -> Word;
}

impl IntoWord for Problem {
    fn into_word(self) -> Word {
        self.word()
    }
}

impl IntoWord for Stuck {
    fn into_word(self) -> Word {
        match self {
            Stuck::Problem(problem) => problem.word(),
            Stuck::WouldWait => panic!("it would wait"),
        }
    }
}

fn write_at(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}
