//! Reading everything that is there.

use crate::tree::Tree;
use capnp::capability::FromClientHook;
use files::testing::{content, names, stat};
use schema::filesystem_capnp::{Kind, directory};
use schema::storage_capnp::stored_directory;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Everything below a directory.
pub(crate) async fn read(directory: &stored_directory::Client) -> Tree {
    let directory: directory::Client = directory.clone().cast_to();
    let mut tree = Tree::new();
    let mut waiting = vec![(directory, String::new())];
    while let Some((at, prefix)) = waiting.pop() {
        for name in names(&at).await {
            let path = format!("{prefix}{name}");
            let kind = stat(&at, &name).await.unwrap_or_else(|error| panic!("{path} is listed, and {error}")).kind;
            if kind == Kind::Directory {
                let below = files::testing::open_directory(&at, &name, vat::Rights::READ).await;
                let below = below.unwrap_or_else(|error| panic!("{path} is listed, and {error}")).0;
                waiting.push((below, format!("{path}/")));
                tree.insert(path, None);
            } else {
                tree.insert(path, Some(Rc::new(content(&at, &name).await)));
            }
        }
    }
    tree
}

/// The snapshots of a directory: ids by label.
pub(crate) async fn snapshots(directory: &stored_directory::Client) -> BTreeMap<String, u64> {
    let answer = directory.snapshots_request().send().promise.await.expect("snapshots are listed");
    let list = answer.get().and_then(|answer| answer.get_snapshots()).expect("snapshots are listed");
    let row = |row: schema::storage_capnp::snapshot::Reader<'_>| {
        let label = row.get_label().ok()?.to_string().ok()?;
        Some((label, row.get_id()))
    };
    list.iter().map(|snapshot| row(snapshot).expect("a snapshot has a label")).collect()
}

/// Everything below a directory as it was.
pub(crate) async fn read_snapshot(directory: &stored_directory::Client, id: u64) -> Tree {
    let mut request = directory.open_snapshot_request();
    request.get().set_snapshot(id);
    let answer = request.send().promise.await.expect("it is listed");
    let then = answer.get().and_then(|answer| answer.get_directory()).expect("a directory");
    read(&then).await
}
