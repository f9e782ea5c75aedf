//! A folder keeps the contract of every tree.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;
#[path = "common/rpc.rs"]
mod rpc;

use std::rc::Rc;

use common::Tree;
use files::testing::suite::World;

fn world() -> World {
    let tree = Rc::new(Tree::new());
    let folder = rpc::folder(&tree);
    let same = folder.clone();
    // The folder lives as long as what serves it.
    World::new(
        move |badge, exports| {
            let _tree = &tree;
            folder.root(badge, exports)
        },
        move || same.open_now(),
    )
}

files::tree_suite!(world);
