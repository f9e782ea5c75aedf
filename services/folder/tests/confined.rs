//! The real process under its real profile: born with a door and a folder that belongs to another user, it does all
//! that it should, and the folder is all that it can reach.
//!
//! As root the process gets a user of its own, namespaces, and the two capabilities that an empty root takes, as the
//! kernel gives them; any other user starts it as itself.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;
#[path = "common/rpc.rs"]
mod rpc;

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use common::Tree;
use files::limits::TRANSFER_LIMIT_BYTES;
use files::problem::Word;
use futures::StreamExt;
use rpc::*;
use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use schema::filesystem_capnp::directory;
use vat::door::{Begin, Carries, FromVat, Link, Resource, ResourceKind, Role, ToVat};
use vat::native::{Stream, SystemClock, receive, send};
use vat::{Bounds, Peer, Rights};

/// Nobody's on any machine: the node's own range begins at 2,000,000,000.
const OWNER: u32 = 1_999_999_999;

struct Process {
    child: Child,
    door: OwnedFd,
    links: u64,
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Makes all of the tree the owner's, where we may.
fn give_away(tree: &Tree, owner: u32) {
    fn walk(at: &std::path::Path, owner: u32) {
        std::os::unix::fs::lchown(at, Some(owner), Some(owner)).unwrap();
        if at.is_dir() && !at.is_symlink() {
            std::fs::read_dir(at).unwrap().flatten().for_each(|entry| walk(&entry.path(), owner));
        }
    }
    if is_root() {
        walk(&tree.folder, owner);
    }
}

impl Process {
    fn start(tree: &Tree, owner: u32) -> Process {
        let (door, its_door) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let image = env!("CARGO_BIN_EXE_latch-folder");
        // The shell moves the door from standard input to where a process finds it.
        let become_image = r#"exec "$0" 3<&0 </dev/null"#;
        let mut command = if is_root() {
            let mut command = Command::new("unshare");
            let owner = owner.to_string();
            let capabilities = "-all,+sys_admin,+sys_chroot";
            command.args(["--mount", "--net", "--ipc", "--uts", "setpriv"]);
            command.args(["--reuid", &owner, "--regid", &owner, "--clear-groups"]);
            command.args(["--bounding-set", capabilities, "--inh-caps", capabilities, "--ambient-caps", capabilities]);
            command.args(["sh", "-c", become_image, image]);
            command
        } else {
            let mut command = Command::new("sh");
            command.args(["-c", become_image, image]);
            command
        };
        let child = command.stdin(Stdio::from(its_door)).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let process = Process { child: child.spawn().unwrap(), door, links: 0 };
        process.say(&ToVat::Begin(Begin { process: 9, resources: 1, ..Begin::default() }), None);
        // As a shell opens it: with the rights of whoever offers it.
        let folder = rustix::fs::open(&tree.folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let resource = Resource { path: "/somewhere".to_owned(), ..Resource::new(ResourceKind::Folder, "folder") };
        process.say(&ToVat::Resource(resource), Some(folder.unwrap().as_fd()));
        let FromVat::Confined(confinement) = process.hear() else { panic!("it does not begin with its confinement") };
        assert_eq!(confinement.profile, "folder");
        assert!(confinement.applied.iter().any(|layer| layer == "seccomp"));
        if is_root() {
            assert!(confinement.applied.iter().any(|layer| layer == "empty root"), "{confinement:?}");
        }
        process
    }

    fn say(&self, message: &ToVat, descriptor: Option<std::os::fd::BorrowedFd<'_>>) {
        send(&self.door, &message.encode().unwrap(), descriptor.as_slice()).unwrap();
    }

    fn hear(&self) -> FromVat {
        let packet = receive(&self.door).unwrap().expect("the process is alive");
        FromVat::decode(&packet.bytes).unwrap()
    }

    /// A link with these rights: its number, our end, and a spare of the other end to cut it with.
    fn link(&mut self, rights: Rights) -> (u64, UnixStream, UnixStream) {
        self.links += 1;
        let (here, there) = UnixStream::pair().unwrap();
        there.set_nonblocking(true).unwrap();
        let link = Link {
            id: self.links,
            role: Role::Server,
            carries: Carries::Grant,
            label: String::new(),
            badge: badge(rights).encode().unwrap(),
        };
        self.say(&ToVat::Link(link), Some(there.as_fd()));
        (self.links, here, there)
    }

    fn stop(mut self) {
        self.say(&ToVat::Stop, None);
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Of a test that failed; one that has ended is not there to kill.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The root object and what the client exports with.
fn use_link(socket: UnixStream) -> (directory::Client, vat::Exports) {
    let stream = Stream::new(socket).unwrap();
    let connected = vat::connect(stream, Bounds::for_peer(Peer::Service), Rc::new(SystemClock::new()));
    tokio::task::spawn_local(connected.driving);
    (capnp::capability::FromClientHook::new(connected.root.hook), connected.exports)
}

#[test]
fn everything_works_inside_the_confinement() {
    everything_works(OWNER);
}

/// A folder that is root's own is served by uid 0, without its powers and behind Landlock.
#[test]
fn everything_works_for_a_folder_that_belongs_to_root() {
    if is_root() {
        everything_works(0);
    } else {
        println!("skipped: only root has such a folder");
    }
}

fn everything_works(owner: u32) {
    let tree = Tree::new();
    tree.write("old/file", b"old");
    tree.link("old/file", "link");
    give_away(&tree, owner);
    let mut process = Process::start(&tree, owner);
    let (_, socket, _) = process.link(Rights::ALL);
    vat::native::run(async {
        let (root, exports) = use_link(socket);
        assert_eq!(list(&root, 0, 0).await.unwrap().names.len(), 2);
        let (old, _) = open_file(&root, "link", Rights::ALL).await.unwrap();
        assert_eq!(read(&old, 0, 10).await.unwrap(), (b"old".to_vec(), true));

        let sub = make_directory(&root, "sub").await.unwrap();
        let deep = make_directory(&sub, "deep").await.unwrap();
        let (file, created) = create(&deep, "file", true).await.unwrap();
        assert!(created);
        write(&file, 5, b"content").await.unwrap();
        assert_eq!(append(&file, b"more").await.unwrap(), 12);
        truncate(&file, 14).await.unwrap();
        file.sync_request().send().promise.await.unwrap();
        deep.sync_request().send().promise.await.unwrap();
        root.sync_request().send().promise.await.unwrap();
        let mode = |name: &str| tree.folder.join(name).metadata().unwrap().permissions().mode() & 0o777;
        let folder_mode = tree.folder.metadata().unwrap().permissions().mode() & 0o055;
        assert_eq!((mode("sub"), mode("sub/deep")), (0o700 | folder_mode, 0o700 | folder_mode));
        assert_eq!(mode("sub/deep/file"), 0o600 | folder_mode & 0o044);

        let sink = write_from(&file, 14).await.unwrap();
        let body = vec![7; 3 << 20];
        for chunk in body.chunks(1 << 16) {
            put(&sink, chunk).await.unwrap();
        }
        assert_eq!(end(&sink).await.unwrap(), body.len() as u64);
        let collected = Rc::<std::cell::RefCell<Collected>>::default();
        let collector = exports.export(Collector(collected.clone()));
        assert_eq!(read_to(&file, 14, 0, collector).await.unwrap(), body.len() as u64);
        assert!(collected.borrow().bytes == body);

        rename(&root, "sub/deep/file", "moved", false).await.unwrap();
        rename(&root, "sub", "old/sub", false).await.unwrap();
        rename(&root, "link", "old/link", false).await.unwrap();
        rename(&root, "old/link", "old/file", true).await.unwrap();
        remove(&root, "old/file").await.unwrap();
        remove(&root, "old/sub/deep").await.unwrap();
        remove(&root, "old/sub").await.unwrap();
        assert_eq!(read(&file, 5, 7).await.unwrap().0, b"content");
        assert_eq!(list(&root, 0, 0).await.unwrap().names.len(), 2);
    })
    .unwrap();
    process.stop();
}

#[test]
fn what_is_outside_or_another_users_is_not_reached() {
    let tree = Tree::new();
    tree.write("sub/inside", b"");
    tree.write_outside("secret", b"secret");
    tree.link("../outside/secret", "out");
    tree.link("/etc/passwd", "passwd");
    tree.link("/proc/self/root", "proc");
    give_away(&tree, OWNER);
    if is_root() {
        tree.write("root-only", b"secret");
        std::fs::set_permissions(tree.folder.join("root-only"), PermissionsExt::from_mode(0o600)).unwrap();
        // What it finds outside would be its own, were it not for the walls.
        std::os::unix::fs::lchown(tree.outside.join("secret"), Some(OWNER), Some(OWNER)).unwrap();
        rustix::fs::chown(&tree.outside, Some(Uid::from_raw(OWNER)), Some(Gid::from_raw(OWNER))).unwrap();
    }
    let mut process = Process::start(&tree, OWNER);
    let (_, socket, _) = process.link(Rights::ALL);
    vat::native::run(async {
        let (root, _) = use_link(socket);
        for name in ["out", "passwd", "proc"] {
            assert_eq!(word(open_file(&root, name, Rights::READ).await), is(Word::LeadsOut), "{name}");
        }
        if is_root() {
            assert_eq!(word(open_file(&root, "root-only", Rights::READ).await), is(Word::NotPermitted));
        }
        // A directory that is moved out while it is open: neither its names nor its files.
        let (sub, _) = open_directory(&root, "sub", Rights::ALL).await.unwrap();
        assert_eq!(list(&sub, 0, 0).await.unwrap().names, ["inside"]);
        std::fs::rename(tree.folder.join("sub"), tree.outside.join("sub")).unwrap();
        assert_eq!(word(list(&sub, 0, 0).await), is(Word::LeadsOut));
        let refused = word(open_file(&sub, "inside", Rights::ALL).await);
        // Landlock's own answer comes first where the machine has it.
        assert!([is(Word::LeadsOut), is(Word::NotPermitted)].contains(&refused), "{refused}");
        assert!(create(&sub, "new", false).await.is_err());
        assert!(!tree.outside.join("sub/new").exists());
    })
    .unwrap();
    process.stop();
}

#[test]
fn a_cut_link_is_confirmed_and_its_neighbour_goes_on() {
    let tree = Tree::new();
    tree.write("file", b"content");
    give_away(&tree, OWNER);
    let mut process = Process::start(&tree, OWNER);
    let (cut, socket, spare) = process.link(Rights::READ);
    let (_, neighbour, _) = process.link(Rights::READ);
    vat::native::run(async {
        let (root, _) = use_link(socket);
        let (neighbour, _) = use_link(neighbour);
        let (file, _) = open_file(&root, "file", Rights::READ).await.unwrap();
        spare.shutdown(std::net::Shutdown::Both).unwrap();
        assert!(matches!(process.hear(), FromVat::Ended { link } if link == cut));
        assert_eq!(read(&file, 0, 1).await.unwrap_err().kind, capnp::ErrorKind::Disconnected);
        assert_eq!(list(&neighbour, 0, 0).await.unwrap().names, ["file"]);
    })
    .unwrap();
    process.stop();
}

#[test]
fn nothing_lands_after_the_end_of_a_cut_link_was_confirmed() {
    const ROUNDS: usize = 16;
    const FILES: usize = 4;
    let tree = Tree::new();
    give_away(&tree, OWNER);
    let mut process = Process::start(&tree, OWNER);
    let size = |name: &String| tree.folder.join(name).metadata().unwrap().len();
    let mut at_end = Vec::new();
    let large = vec![7; TRANSFER_LIMIT_BYTES];
    vat::native::run(async {
        for round in 0..ROUNDS {
            let (cut, socket, spare) = process.link(Rights::ALL);
            let (root, _) = use_link(socket);
            let mut calls = futures::stream::FuturesUnordered::new();
            let names: Vec<String> = (0..FILES).map(|file| format!("{round}-{file}")).collect();
            for name in &names {
                let (file, _) = create(&root, name, true).await.unwrap();
                for at in 0..FILES as u64 {
                    let mut request = file.write_request();
                    request.get().set_offset(at * TRANSFER_LIMIT_BYTES as u64);
                    request.get().set_bytes(&large);
                    calls.push(request.send().promise);
                }
            }
            calls.next().await.unwrap().unwrap();
            spare.shutdown(std::net::Shutdown::Both).unwrap();
            assert!(matches!(process.hear(), FromVat::Ended { link } if link == cut));
            at_end.extend(names.into_iter().map(|name| (size(&name), name)));
        }
    })
    .unwrap();
    // It waits for its threads.
    process.stop();
    for (at_end, name) in at_end {
        assert_eq!(size(&name), at_end, "{name} has grown");
    }
}

#[test]
fn a_process_without_its_folder_says_so_and_exits() {
    let (door, its_door) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    let mut child = Command::new("sh")
        .args(["-c", r#"exec "$0" 3<&0 </dev/null 2>/dev/null"#, env!("CARGO_BIN_EXE_latch-folder")])
        .stdin(Stdio::from(its_door))
        .spawn()
        .unwrap();
    send(&door, &ToVat::Begin(Begin::default()).encode().unwrap(), &[]).unwrap();
    let packet = receive(&door).unwrap().unwrap();
    assert!(matches!(FromVat::decode(&packet.bytes).unwrap(), FromVat::Last(word) if word.contains("folder")));
    assert!(!child.wait().unwrap().success());
}
