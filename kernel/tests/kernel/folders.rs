//! Folders: found by the process that serves one, with whose rights, and what becomes of one that cannot be had.

use super::*;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use support::stuck::Stuck;
use vat::door::{Identity, Resource};

/// Nobody in particular.
const PERSON: u32 = 12_345;

fn named(path: &Path) -> Resource {
    let identity = Identity::of(std::fs::File::open(path).unwrap().as_fd()).unwrap();
    let path = path.to_str().unwrap().to_owned();
    Resource { path, identity, ..Resource::new(ResourceKind::Folder, "whatever") }
}

/// A start of a folder's service that opens it itself.
fn serving(node: &Node, process: u64, folder: Resource) -> Start<'static> {
    Start { image: Image::Folder, folder: Some(folder), restart: true, ..sandbox(node, process) }
}

/// How a process ended that is not started again.
fn end(powerbox: &mut Powerbox, wanted: u64) -> (i32, String) {
    powerbox.until(|event| match event {
        Event::Exited { process, code, last, will_restart: false, .. } if *process == wanted => {
            Some((*code, last.clone()))
        }
        _ => None,
    })
}

fn uid(powerbox: &mut Powerbox, wanted: u64) -> u32 {
    powerbox.until(|event| match event {
        Event::Confined { process, uid, .. } if *process == wanted => Some(*uid),
        _ => None,
    })
}

#[test]
fn a_folder_that_is_named_is_opened_at_each_start_if_it_is_the_same() {
    let (node, mut powerbox) = Node::ready();
    let docs = node.folder.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    let folder = named(&docs);
    assert_eq!(powerbox.start(&serving(&node, 30, folder.clone())), Outcome::Ok);
    let mut service = node.born();
    assert_eq!(service.resource_names, "folder");
    let same = |service: &Fake| Identity::of(service.resources[0].as_fd()).unwrap() == folder.identity;
    assert!(same(&service));
    service.exit(1);
    let mut service = node.born();
    assert!(same(&service), "once more");

    std::fs::rename(&docs, node.folder.path().join("elsewhere")).unwrap();
    std::fs::create_dir(&docs).unwrap();
    service.exit(1);
    let (code, last) = end(&mut powerbox, 30);
    assert!(code == 126 && last.contains("docs is not the folder that was granted"), "{code}: {last}");
    std::fs::remove_dir(&docs).unwrap();
    assert_eq!(powerbox.start(&serving(&node, 31, folder)), Outcome::Ok);
    let (code, last) = end(&mut powerbox, 31);
    assert!(code == 126 && last.contains("docs cannot be opened: No such file"), "{code}: {last}");
}

#[test]
fn what_is_given_in_place_of_a_folder_is_not_served() {
    let (node, mut powerbox) = Node::ready();
    let null = std::fs::File::open("/dev/null").unwrap();
    let resources = vec![(Resource::new(ResourceKind::Folder, "folder"), null.as_fd())];
    let start = Start { image: Image::Folder, resources, restart: true, ..sandbox(&node, 30) };
    assert_eq!(powerbox.start(&start), Outcome::Ok);
    let (code, last) = end(&mut powerbox, 30);
    assert!(code == 126 && last.contains("not a folder"), "{code}: {last}");
}

#[test]
fn a_folder_is_opened_with_the_rights_of_who_offered_it_and_roots_becomes_its_owners() {
    if !support::is_root() {
        eprintln!("not run: only root can start processes as other users");
        return;
    }
    let (node, mut powerbox) = Node::ready();
    let make = |name: &str, owner: u32, mode: u32| {
        let path = node.folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        chown(&path, Some(owner), Some(owner)).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        named(&path)
    };
    let (theirs, roots) = (make("theirs", PERSON, 0o700), make("roots", 0, 0o700));

    let cases = [(30, PERSON, PERSON), (31, 0, PERSON)];
    for (process, run_as, expected) in cases {
        assert_eq!(powerbox.start(&Start { run_as, ..serving(&node, process, theirs.clone()) }), Outcome::Ok);
        let service = node.born();
        assert_eq!(service.uid, expected);
        service.confine();
        assert_eq!(uid(&mut powerbox, process), expected, "the powerbox is told so");
    }
    assert_eq!(powerbox.start(&serving(&node, 32, roots.clone())), Outcome::Ok);
    assert_eq!(node.born().uid, 0, "its service itself refuses to go on without every wall");

    // What the person may not open is not opened, whatever is said of it.
    assert_eq!(powerbox.start(&Start { run_as: PERSON, ..serving(&node, 33, roots) }), Outcome::Ok);
    let (code, last) = end(&mut powerbox, 33);
    assert!(code == 126 && last.contains("roots cannot be opened: Permission denied"), "{code}: {last}");
}

#[test]
fn a_file_system_that_does_not_answer_holds_up_nobody_else() {
    let Some(stuck) = Stuck::mount() else { return };
    let (node, mut powerbox) = Node::ready();
    let (server, client) = linked(&node, &mut powerbox);
    let (_server_end, mut client_end) = (server.link().1, client.link().1);
    let shell = node.shell();
    let opened = std::fs::File::open(stuck.path()).unwrap();
    let folder = named(stuck.path());
    stuck.fall_silent();

    // Named, and brought by a shell: what the kernel does of both ends at once, and a process of each waits.
    assert_eq!(powerbox.start(&serving(&node, 30, folder.clone())), Outcome::Ok);
    stuck.await_victim();
    shell.send(&FromVat::Resource(folder).encode().unwrap(), &[opened.as_fd()]).unwrap();
    let (brought, _) = loop_until(&mut powerbox, |event| matches!(event, Event::Resource { .. }));
    let Event::Resource { resource, .. } = brought else { panic!() };
    let claimed = Start { image: Image::Folder, claims: vec![resource], ..sandbox(&node, 31) };
    assert_eq!(powerbox.start(&claimed), Outcome::Ok);
    stuck.await_victim();

    powerbox.cut(&[7]);
    assert_eq!(rest(&mut client_end), b"", "another grant is revoked");
    assert_eq!(powerbox.ask(&[], |mut command| command.set_usage(30)), Outcome::Ok);
    let other = serving(&node, 32, named(node.folder.path()));
    assert_eq!(powerbox.start(&other), Outcome::Ok);
    let other = node.born();
    assert_eq!(other.process, 32, "another folder is served");
    for process in [30, 31] {
        assert_eq!(powerbox.stop(process, true), Outcome::Ok);
    }
    let numbers: Vec<u64> = powerbox.inventory().processes.iter().map(|row| row.0).collect();
    assert!([30, 31, 32].iter().all(|process| numbers.contains(process)), "they wait still: {numbers:?}");

    drop(stuck);
    for _ in 0..2 {
        let last = powerbox.until(|event| match event {
            Event::Exited { process: 30 | 31, last, .. } => Some(last.clone()),
            _ => None,
        });
        assert!(last.starts_with("stopped by command"), "{last}");
    }
}

#[test]
fn a_node_stops_although_a_process_waits_for_a_file_system_for_ever() {
    let Some(stuck) = Stuck::mount() else { return };
    let (mut node, mut powerbox) = Node::ready();
    let folder = named(stuck.path());
    stuck.fall_silent();
    assert_eq!(powerbox.start(&serving(&node, 30, folder)), Outcome::Ok);
    stuck.await_victim();
    assert_eq!(powerbox.ask(&[], |mut command| command.set_shutdown(())), Outcome::Ok);
    let (code, _) = end(&mut powerbox, 30);
    assert_eq!(code, -9, "it counts as ended");
    assert_eq!(powerbox.fake.hear().0, ToVat::Stop);
    powerbox.fake.exit(0);
    assert_eq!(node.exit_code(), Some(0));
}
