//! The service at one end of a link in memory, and a client at the other.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test file uses a part")]

use std::os::fd::AsFd;

pub use files::testing::*;
use folder_service::serve::Folder;
use rustix::fs::{Mode, OFlags};
use vat::{Badge, Rights};

use crate::common::Tree;

pub fn folder(tree: &Tree) -> Folder {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Folder::new(rustix::fs::open(&tree.folder, flags, Mode::empty()).unwrap().as_fd(), 4_096).unwrap()
}

pub fn connect(folder: &Folder, badge: &Badge) -> Client {
    link(badge, |badge, exports| folder.root(badge, exports))
}

/// Runs a test with a tree and a link to it that has these rights.
pub fn with<F: AsyncFnOnce(&Tree, &Client)>(rights: Rights, test: F) {
    let tree = Tree::new();
    vat::native::run(async {
        let client = connect(&folder(&tree), &badge(rights));
        test(&tree, &client).await;
    })
    .unwrap();
}
