//! The operator socket and what comes through it.

use super::*;
use vat::door::{Identity, Resource};

#[test]
fn a_shells_folder_goes_to_a_process_and_its_file_to_the_powerbox() {
    let (node, mut powerbox) = Node::ready();
    let shell = node.shell();
    let Event::Shell { process: number, uid, gone: false } = powerbox.next() else { panic!() };
    assert_eq!(uid, rustix::process::getuid().as_raw());
    assert!(number >> 63 == 1);

    let path = node.folder.path().to_str().unwrap().to_owned();
    let folder = std::fs::File::open(&path).unwrap();
    let identity = Identity { file_system: 1, handle: vec![2], inode: 3 };
    let named = Resource { path: path.clone(), identity, ..Resource::new(ResourceKind::Folder, "x") };
    let offer = |kind, token| FromVat::Resource(Resource { kind, token, ..named.clone() });
    shell.send(&offer(ResourceKind::Folder, 44).encode().unwrap(), &[folder.as_fd()]).unwrap();
    let Event::Resource { resource, shell: from, what } = powerbox.next() else { panic!() };
    assert_eq!((from, what), (number, Resource { token: 44, ..named.clone() }), "it goes on as the shell said it");

    let start = Start { image: Image::Folder, claims: vec![resource], ..sandbox(&node, 30) };
    assert_eq!(powerbox.start(&start), Outcome::Ok);
    let service = node.born();
    assert_eq!((service.image.as_str(), service.resource_names.as_str()), ("latch-folder", "folder"));
    let expected = rustix::process::getuid().as_raw();
    assert_eq!(service.uid, expected, "it runs as who offered the folder");
    let inode = |folder: &dyn AsFd| rustix::fs::fstat(folder.as_fd()).unwrap().st_ino;
    assert_eq!(inode(&service.resources[0]), inode(&folder));
    assert_eq!(powerbox.start(&Start { process: 31, ..start }), Outcome::Unknown, "a claim is used once");

    let package = node.folder.path().join("package");
    std::fs::write(&package, "content").unwrap();
    let file = std::fs::File::open(&package).unwrap();
    shell.send(&offer(ResourceKind::File, 45).encode().unwrap(), &[file.as_fd()]).unwrap();
    let (Event::Resource { what: Resource { token: 45, .. }, .. }, mut rides) =
        loop_until(&mut powerbox, |event| matches!(event, Event::Resource { .. }))
    else {
        panic!()
    };
    let mut content = String::new();
    std::fs::File::from(rides.pop().expect("the file's descriptor")).read_to_string(&mut content).unwrap();
    assert_eq!(content, "content");

    drop(shell);
    let (gone, _) = loop_until(&mut powerbox, |event| matches!(event, Event::Shell { .. }));
    assert_eq!(gone, Event::Shell { process: number, uid, gone: true });
}

#[test]
fn a_shell_that_lies_or_babbles_is_shown_out() {
    let (node, mut powerbox) = Node::ready();
    let folder = std::fs::File::open(node.folder.path()).unwrap();
    let offer = FromVat::Resource(Resource::new(ResourceKind::Folder, "")).encode().unwrap();
    let cases: [(&[u8], Vec<std::os::fd::BorrowedFd<'_>>); 4] = [
        (b"no message at all", vec![]),
        (&offer, vec![]),
        (&offer, vec![folder.as_fd(), folder.as_fd()]),
        (&[0; 60_000], vec![]),
    ];
    for (bytes, descriptors) in cases {
        let shell = node.shell();
        shell.send(bytes, &descriptors).unwrap();
        assert!(matches!(powerbox.next(), Event::Shell { gone: false, .. }));
        assert!(matches!(powerbox.next(), Event::Shell { gone: true, .. }));
        assert!(shell.receive().is_some(), "begin");
        assert!(shell.receive().is_none());
    }
}

#[test]
fn what_a_shell_brings_while_there_is_no_powerbox_is_not_kept() {
    // More than the kernel keeps of what nobody claimed.
    const MANY: u64 = 300;
    let (node, mut powerbox) = Node::ready();
    let shell = node.shell();
    powerbox.fake.exit(1);
    let mut powerbox = node.powerbox();
    powerbox.fake.confine();
    let folder = std::fs::File::open(node.folder.path()).unwrap();
    let bring = |kind, token, descriptor: std::os::fd::BorrowedFd<'_>| {
        let resource = Resource { token, path: "/x".into(), ..Resource::new(kind, "") };
        shell.send(&FromVat::Resource(resource).encode().unwrap(), &[descriptor]).unwrap();
    };
    (0..MANY).for_each(|token| bring(ResourceKind::Folder, token, folder.as_fd()));
    // Once the kernel has let go of the last thing, it has seen all of them.
    let (mut ours, last) = std::io::pipe().unwrap();
    bring(ResourceKind::File, MANY, last.as_fd());
    drop(last);
    assert_eq!(ours.read(&mut [0]).unwrap(), 0);
    powerbox.inventory();
    bring(ResourceKind::Folder, 44, folder.as_fd());
    let (brought, _) = loop_until(&mut powerbox, |event| matches!(event, Event::Resource { .. } | Event::Shell { .. }));
    assert!(matches!(brought, Event::Resource { what: Resource { token: 44, .. }, .. }), "{brought:?}");
}

/// What `a_stranger_is_turned_away` runs as another user: says whether the operator socket takes it.
#[test]
fn as_a_stranger() {
    let Some(state) = std::env::var_os("STRANGER_STATE") else { return };
    let shell = support::packets::Socket::connect(&std::path::Path::new(&state).join("operator")).unwrap();
    println!("{}", if shell.receive().is_some() { "taken" } else { "turned away" });
}

#[test]
fn a_stranger_is_turned_away() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    if !support::is_root() {
        eprintln!("not run: only root can try it as another user");
        return;
    }
    let (node, _powerbox) = Node::ready();
    // Even where somebody opened the state to all.
    std::fs::set_permissions(node.state(), PermissionsExt::from_mode(0o755)).unwrap();
    let program = node.folder.path().join("stranger");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = |uid: u32| {
        let mut command = std::process::Command::new(&program);
        command.uid(uid).gid(uid).current_dir("/").env("STRANGER_STATE", node.state());
        let output = command.args(["--exact", "shells::as_a_stranger", "--nocapture"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(output(12_345).contains("turned away"));
    assert!(output(0).contains("taken"));
}
