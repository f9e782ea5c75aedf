//! The operator socket and what comes through it.

use super::*;

#[test]
fn a_shells_folder_goes_to_a_process_and_its_file_to_the_powerbox() {
    let (node, mut powerbox) = Node::ready();
    let shell = node.shell();
    let Event::Shell { process: number, uid, gone: false } = powerbox.next() else { panic!() };
    assert_eq!(uid, rustix::process::getuid().as_raw());
    assert!(number >> 63 == 1);

    let path = node.folder.path().to_str().unwrap().to_owned();
    let folder = std::fs::File::open(&path).unwrap();
    let offer =
        |kind, token| FromVat::Resource(vat::door::Resource { kind, name: "x".into(), token, path: path.clone() });
    shell.send(&offer(ResourceKind::Folder, 44).encode().unwrap(), &[folder.as_fd()]).unwrap();
    let Event::Resource { resource, shell: from, token: 44, folder: identity } = powerbox.next() else { panic!() };
    assert_eq!((from, identity.path.as_str()), (number, path.as_str()));
    assert_ne!(identity.inode, 0);

    let start = Start { image: Image::Folder, claims: vec![resource], ..sandbox(&node, 30) };
    assert_eq!(powerbox.start(&start), Outcome::Ok);
    let service = node.born();
    assert_eq!((service.image.as_str(), service.resource_names.as_str()), ("latch-folder", "folder"));
    let expected = rustix::process::getuid().as_raw();
    assert_eq!(service.uid, expected, "it runs as who offered the folder");
    let same = rustix::fs::fstat(&service.resources[0]).unwrap().st_ino;
    assert_eq!(same, identity.inode);
    assert_eq!(powerbox.start(&Start { process: 31, ..start }), Outcome::Unknown, "a claim is used once");

    // After a restart of the node the kernel opens it itself, if it is still the same.
    let again = Start { image: Image::Folder, folder: identity.clone(), ..sandbox(&node, 32) };
    assert_eq!(powerbox.start(&again), Outcome::Ok);
    assert_eq!(rustix::fs::fstat(&node.born().resources[0]).unwrap().st_ino, same);
    let other = Folder { path: node.state().to_str().unwrap().to_owned(), ..identity };
    assert_eq!(powerbox.start(&Start { process: 33, folder: other, ..again }), Outcome::Refused);

    let package = node.folder.path().join("package");
    std::fs::write(&package, "content").unwrap();
    let file = std::fs::File::open(&package).unwrap();
    shell.send(&offer(ResourceKind::File, 45).encode().unwrap(), &[file.as_fd()]).unwrap();
    let (Event::Resource { token: 45, .. }, mut rides) =
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
    let resource =
        |kind| FromVat::Resource(vat::door::Resource { kind, name: String::new(), token: 1, path: String::new() });
    let file_as_folder = resource(ResourceKind::Folder).encode().unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    let cases: [(&[u8], Vec<std::os::fd::BorrowedFd<'_>>); 5] = [
        (b"no message at all", vec![]),
        (&file_as_folder, vec![]),
        (&file_as_folder, vec![null.as_fd()]),
        (&file_as_folder, vec![folder.as_fd(), folder.as_fd()]),
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
        let resource = vat::door::Resource { kind, name: String::new(), token, path: "/x".into() };
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
    assert!(matches!(brought, Event::Resource { token: 44, .. }), "{brought:?}");
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
