//! The kernel as a whole, with the test in the place of every process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

mod support;

use std::io::{Read, Write};
use std::os::fd::AsFd;

use schema::kernel_capnp::{Image, Outcome};
use support::control::{Event, Folder, Powerbox, Start};
use support::{Fake, Node};
use vat::door::{Carries, FromVat, ResourceKind, Role, ToVat};
use vat::words::EndReason;

fn sandbox(node: &Node, process: u64) -> Start<'static> {
    Start {
        process,
        image: Image::Sandbox,
        setup: node.driver(),
        resources: vec![],
        claims: vec![],
        folder: Folder::default(),
        restart: false,
        run_as: 0,
        output: false,
        memory_bytes: 0,
    }
}

fn started(node: &Node, powerbox: &mut Powerbox, start: &Start<'_>) -> Fake {
    assert_eq!(powerbox.start(start), Outcome::Ok);
    let fake = node.born();
    assert_eq!(fake.process, start.process);
    fake.confine();
    powerbox.until(|event| matches!(event, Event::Confined { process, .. } if *process == start.process).then_some(()));
    fake
}

/// A server (10), a client (20), and link 5 of grant 7 between them.
fn linked(node: &Node, powerbox: &mut Powerbox) -> (Fake, Fake) {
    let server = started(node, powerbox, &Start { restart: true, ..sandbox(node, 10) });
    let client = started(node, powerbox, &sandbox(node, 20));
    assert_eq!(powerbox.link(5, 7, 10, 20), Outcome::Ok);
    (server, client)
}

fn rest(end: &mut impl Read) -> Vec<u8> {
    let mut bytes = vec![];
    end.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_process_is_born_with_a_door_and_nothing_else() {
    let (node, mut powerbox) = Node::ready();
    assert_eq!(powerbox.fake.resource_names, "state");
    let fake = started(&node, &mut powerbox, &sandbox(&node, 10));
    assert_eq!(fake.image, "latch-sandbox");
    assert_eq!(fake.variables, 0);
    // 0, 1, 2, the door; while it counted: its copy of the door, the socket to this test, and the folder it read.
    assert_eq!(fake.open, 7);
    let pid = powerbox.inventory().processes[1].2;
    for namespace in ["mnt", "net", "ipc", "uts", "cgroup"] {
        let of = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/{namespace}")).unwrap();
        assert_ne!(of(&pid.to_string()), of("self"), "{namespace}");
    }
    if support::is_root() {
        assert_eq!((powerbox.fake.uid, fake.uid), (2_000_000_000, 2_000_000_001));
        let other = started(&node, &mut powerbox, &sandbox(&node, 11));
        assert_eq!(other.uid, 2_000_000_002, "each process has a user of its own");
    }
}

#[test]
fn both_ends_of_a_link_arrive_and_bytes_flow() {
    let (node, mut powerbox) = Node::ready();
    let (server, client) = linked(&node, &mut powerbox);
    let (at_server, mut server_end) = server.link();
    let (at_client, mut client_end) = client.link();
    assert_eq!((at_server.id, at_server.role, at_server.badge), (5, Role::Server, b"for the server".to_vec()));
    assert_eq!((at_client.id, at_client.role, at_client.badge), (5, Role::Client, b"for the client".to_vec()));
    assert_eq!((at_client.label.as_str(), at_client.carries), ("docs", Carries::Grant));
    client_end.write_all(b"question").unwrap();
    let mut question = [0; 8];
    server_end.read_exact(&mut question).unwrap();
    server_end.write_all(b"answer").unwrap();
    let mut answer = [0; 6];
    client_end.read_exact(&mut answer).unwrap();
    assert_eq!((&question, &answer), (b"question", b"answer"));
    assert_eq!(powerbox.link(5, 7, 10, 20), Outcome::Ok, "the same command again changes nothing");
    assert_eq!(powerbox.inventory().links, [(5, 7, 10, 20)]);
}

#[test]
fn nothing_is_delivered_before_a_process_is_confined() {
    let (node, mut powerbox) = Node::ready();
    let server = started(&node, &mut powerbox, &sandbox(&node, 10));
    assert_eq!(powerbox.start(&sandbox(&node, 20)), Outcome::Ok);
    let client = node.born();
    assert_eq!(powerbox.link(5, 7, 10, 20), Outcome::Ok);
    server.link();
    let waits = rustix::event::PollFd::from_borrowed_fd(client.door.as_fd(), rustix::event::PollFlags::IN);
    let nothing = rustix::event::poll(&mut [waits], Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }));
    assert_eq!(nothing, Ok(0));
    client.confine();
    assert_eq!(client.link().0.id, 5);
}

#[test]
fn a_cut_holds_at_once_and_leaves_a_tombstone() {
    let (node, mut powerbox) = Node::ready();
    let (server, client) = linked(&node, &mut powerbox);
    let (mut server_end, mut client_end) = (server.link().1, client.link().1);
    client_end.write_all(b"not yet read").unwrap();

    assert_eq!(powerbox.cut(&[7]), 1);
    assert_eq!(client_end.write(b"later").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    assert_eq!(rest(&mut server_end), b"", "what had not been read is gone");
    assert_eq!(rest(&mut client_end), b"");
    for end in [&server, &client] {
        let notice = end.notice();
        assert_eq!((notice.link, notice.reason, notice.detail.as_str()), (5, EndReason::Revoked, "by the test"));
    }
    assert_eq!(powerbox.cut(&[7]), 1, "the server has not confirmed yet");

    assert_eq!(powerbox.link(6, 7, 10, 20), Outcome::Tombstone);
    assert_eq!(powerbox.link(5, 7, 10, 20), Outcome::Tombstone);
    server.say(&FromVat::Ended { link: 5 });
    assert_eq!(powerbox.next(), Event::Quiet { link: 5, grant: 7 });
    assert_eq!(powerbox.cut(&[7]), 0);
    assert_eq!(powerbox.inventory().tombstones, [7]);

    powerbox.forget(&[7]);
    assert_eq!(powerbox.inventory().tombstones, [0; 0]);
    assert_eq!(powerbox.link(6, 7, 10, 20), Outcome::Ok);
}

#[test]
fn only_its_server_confirms_a_cut() {
    let (node, mut powerbox) = Node::ready();
    let (server, client) = linked(&node, &mut powerbox);
    powerbox.cut(&[7]);
    client.say(&FromVat::Ended { link: 5 });
    server.say(&FromVat::Ended { link: 99 });
    client.say(&FromVat::Last("said after".into()));
    powerbox.stop(20, true);
    let Event::Exited { process: 20, last, .. } = powerbox.next() else { panic!("not quiet by the client's word") };
    assert_eq!(last, "said after");
    server.say(&FromVat::Ended { link: 5 });
    assert_eq!(powerbox.next(), Event::Quiet { link: 5, grant: 7 });
}

#[test]
fn a_grant_can_be_refused_before_it_was_ever_linked() {
    let (node, mut powerbox) = Node::ready();
    let _ends = linked(&node, &mut powerbox);
    assert_eq!(powerbox.cut(&[70]), 0);
    assert_eq!(powerbox.link(6, 70, 10, 20), Outcome::Tombstone);
}

#[test]
fn when_a_server_dies_its_links_end_and_it_comes_back_under_its_number() {
    let (node, mut powerbox) = Node::ready();
    let (mut server, client) = linked(&node, &mut powerbox);
    let (mut server_end, mut client_end) = (server.link().1, client.link().1);
    server_end.write_all(b"last words").unwrap();
    server.say(&FromVat::Last("a fault of ours".into()));
    server.exit(3);

    assert_eq!(powerbox.next(), Event::LinkEnded { link: 5, grant: 7, reason: EndReason::Restarted });
    let Event::Exited { process, code, last, will_restart, backoff_ms, restarts } = powerbox.next() else { panic!() };
    assert_eq!((process, code, last.as_str()), (10, 3, "a fault of ours"));
    assert_eq!((will_restart, backoff_ms, restarts), (true, 100, 0));
    let notice = client.notice();
    assert_eq!((notice.link, notice.label.as_str(), notice.reason), (5, "docs", EndReason::Restarted));
    assert_eq!(rest(&mut client_end), b"last words", "what it had said still arrives");

    let server = node.born();
    assert_eq!(server.process, 10);
    assert_eq!(powerbox.link(6, 7, 10, 20), Outcome::Ok);
    server.confine();
    assert_eq!(server.link().0.id, 6);
    assert_eq!(client.link().0.id, 6);
}

#[test]
fn a_last_word_is_heard_although_something_was_left_unread() {
    let (node, mut powerbox) = Node::ready();
    let mut server = started(&node, &mut powerbox, &sandbox(&node, 10));
    let client = started(&node, &mut powerbox, &sandbox(&node, 20));
    assert_eq!(powerbox.link(5, 7, 10, 20), Outcome::Ok);
    client.say(&FromVat::Last("before the end".into()));
    server.say(&FromVat::Last("before the end".into()));
    server.exit(4);
    drop(server);
    let last = powerbox.until(|event| match event {
        Event::Exited { process: 10, code: 4, last, .. } => Some(last.clone()),
        _ => None,
    });
    assert_eq!(last, "before the end");
}

#[test]
fn who_dies_again_waits_longer() {
    let (node, mut powerbox) = Node::ready();
    assert_eq!(powerbox.start(&Start { restart: true, ..sandbox(&node, 10) }), Outcome::Ok);
    let pauses: Vec<(u32, u32)> = (0..3)
        .map(|_| {
            node.born().exit(1);
            powerbox.until(|event| match event {
                Event::Exited { backoff_ms, restarts, .. } => Some((*restarts, *backoff_ms)),
                _ => None,
            })
        })
        .collect();
    assert_eq!(pauses, [(0, 100), (1, 200), (2, 400)]);
}

#[test]
fn when_a_client_is_killed_its_server_reads_the_rest_and_then_the_end() {
    let (node, mut powerbox) = Node::ready();
    let (server, client) = linked(&node, &mut powerbox);
    let (mut server_end, mut client_end) = (server.link().1, client.link().1);
    client_end.write_all(b"said before").unwrap();
    drop(client_end);
    assert_eq!(powerbox.stop(20, true), Outcome::Ok);
    let ended = powerbox.next();
    assert!(matches!(ended, Event::LinkEnded { link: 5, grant: 7, .. }), "{ended:?}");
    let exited = powerbox.next();
    assert!(matches!(exited, Event::Exited { process: 20, code: -9, will_restart: false, .. }), "{exited:?}");
    assert_eq!(rest(&mut server_end), b"said before");
    assert_eq!(powerbox.stop(20, true), Outcome::Unknown);
}

#[test]
fn an_end_that_is_closed_ends_the_link() {
    let (node, mut powerbox) = Node::ready();
    let (server, client) = linked(&node, &mut powerbox);
    let (mut server_end, client_end) = (server.link().1, client.link().1);
    drop(client_end);
    assert_eq!(powerbox.next(), Event::LinkEnded { link: 5, grant: 7, reason: EndReason::Closed });
    assert_eq!(rest(&mut server_end), b"");
    assert_eq!(powerbox.link(6, 7, 10, 20), Outcome::Ok);
    let (server_end, client_end) = (server.link().1, client.link().1);
    // A half that is closed is not the end: an app's input ends so.
    client_end.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(powerbox.inventory().links.len(), 1);
    server_end.shutdown(std::net::Shutdown::Both).unwrap();
    assert_eq!(powerbox.next(), Event::LinkEnded { link: 6, grant: 7, reason: EndReason::Closed });
}

#[test]
fn a_powerbox_that_is_killed_finds_everything_in_the_inventory() {
    let (node, mut powerbox) = Node::ready();
    let (server, client) = linked(&node, &mut powerbox);
    let (mut server_end, mut client_end) = (server.link().1, client.link().1);
    assert_eq!(powerbox.cut(&[70]), 0);
    let shell = node.shell();
    let Event::Shell { process: number, gone: false, .. } = powerbox.next() else { panic!() };
    let pid = powerbox.inventory().processes[0].2;
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid as i32).unwrap(), rustix::process::Signal::KILL)
        .unwrap();

    let mut powerbox = node.powerbox();
    powerbox.fake.confine();
    client_end.write_all(b"meanwhile").unwrap();
    let mut heard = [0; 9];
    server_end.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"meanwhile", "open grants work on");
    let rows = powerbox.inventory();
    assert_eq!((rows.links, rows.tombstones), (vec![(5, 7, 10, 20)], vec![70]));
    let numbers: Vec<u64> = rows.processes.iter().map(|row| row.0).collect();
    assert_eq!(numbers, [0, 10, 20, number]);
    assert!(rows.processes[3].4 && !rows.processes[2].4);

    // The shell is still connected, and can be linked anew.
    let begin = ToVat::decode(&shell.receive().unwrap().0).unwrap();
    assert!(matches!(begin, ToVat::Begin(begin) if begin.process == number));
    assert_eq!(powerbox.link_carrying(Carries::Session, 1000, 0, 0, number), Outcome::Ok);
    assert!(matches!(ToVat::decode(&shell.receive().unwrap().0).unwrap(), ToVat::Link(link) if link.id == 1000));
    assert_eq!(powerbox.fake.link().0.role, Role::Server);
}

#[test]
fn a_large_inventory_comes_in_pages() {
    let (node, mut powerbox) = Node::ready();
    let (server, client) = linked(&node, &mut powerbox);
    let mut ends = vec![server.link().1, client.link().1];
    for link in 100..600 {
        assert_eq!(powerbox.link(link, link, 10, 20), Outcome::Ok);
        ends.extend([server.link().1, client.link().1]);
    }
    let tombs: Vec<u64> = (5000..9000).collect();
    assert_eq!(powerbox.cut(&tombs), 0);
    let rows = powerbox.inventory();
    let numbers: Vec<u64> = rows.links.iter().map(|row| row.0).collect();
    let expected: Vec<u64> = std::iter::once(5).chain(100..600).collect();
    assert_eq!((numbers, rows.tombstones), (expected, tombs));

    // A cut of all of them at once shuts every one.
    let grants: Vec<u64> = (100..600).collect();
    assert_eq!(powerbox.cut(&grants), 500);
    for mut end in ends.split_off(2) {
        assert_eq!(rest(&mut end), b"");
    }
}

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

fn loop_until(powerbox: &mut Powerbox, wanted: impl Fn(&Event) -> bool) -> (Event, Vec<std::os::fd::OwnedFd>) {
    loop {
        let found = powerbox.next_with();
        if wanted(&found.0) {
            return found;
        }
    }
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
fn a_process_that_babbles_at_its_door_is_killed() {
    let (node, mut powerbox) = Node::ready();
    let fake = started(&node, &mut powerbox, &sandbox(&node, 10));
    fake.door.send(b"garbage", &[]).unwrap();
    let Event::Exited { process: 10, code: -9, last, .. } = powerbox.next() else { panic!() };
    assert!(last.contains("no message"), "{last}");
    let fake = started(&node, &mut powerbox, &sandbox(&node, 11));
    fake.confine();
    assert!(matches!(powerbox.next(), Event::Exited { process: 11, code: -9, .. }));
}

#[test]
fn a_powerbox_that_babbles_is_started_again() {
    let (node, powerbox) = Node::ready();
    powerbox.send_raw(b"no command");
    let mut powerbox = node.powerbox();
    powerbox.fake.confine();
    assert_eq!(powerbox.inventory().processes.len(), 1);
}

#[test]
fn a_door_that_is_not_read_is_busy_and_the_others_are_not() {
    let (node, mut powerbox) = Node::ready();
    let (server, _client) = linked(&node, &mut powerbox);
    let mut made = 0;
    let refused = loop {
        match powerbox.link_carrying(Carries::Raw, 1000 + made, 0, 20, 10) {
            Outcome::Ok => made += 1,
            other => break other,
        }
        server.hear();
    };
    assert_eq!(refused, Outcome::Busy);
    let third = started(&node, &mut powerbox, &sandbox(&node, 30));
    assert_eq!(powerbox.link(2, 9, 10, 30), Outcome::Ok);
    assert_eq!(third.link().0.id, 2);
}

#[test]
fn resources_go_along_in_order_and_survive_a_restart() {
    let (node, mut powerbox) = Node::ready();
    let file = tempfile::tempfile().unwrap();
    let named = |name: &str| vat::door::Resource {
        kind: ResourceKind::Memory,
        name: name.into(),
        token: 0,
        path: String::new(),
    };
    let resources = vec![(named("component"), file.as_fd()), (named("output.0"), file.as_fd())];
    let start = Start { resources, restart: true, ..sandbox(&node, 10) };
    assert_eq!(powerbox.start(&start), Outcome::Ok);
    let mut first = node.born();
    assert_eq!(first.resource_names, "component,output.0");
    first.exit(0);
    let second = node.born();
    assert_eq!(second.resource_names, "component,output.0");
    assert_eq!(second.resources.len(), 2);
}

#[test]
fn usage_is_told() {
    let (node, mut powerbox) = Node::ready();
    let _ends = linked(&node, &mut powerbox);
    assert_eq!(powerbox.ask(&[], |mut command| command.set_usage(10)).0, Outcome::Ok);
    let Event::Usage { process: 10, resident_bytes, links: 1, .. } = powerbox.next() else { panic!() };
    assert!(resident_bytes > 0);
    assert_eq!(powerbox.ask(&[], |mut command| command.set_usage(0)).0, Outcome::Ok);
    let Event::Usage { process: 0, resident_bytes: whole, .. } = powerbox.next() else { panic!() };
    assert!(whole > resident_bytes);
    assert_eq!(powerbox.ask(&[], |mut command| command.set_usage(99)).0, Outcome::Unknown);
}

#[test]
fn a_limit_of_memory_holds() {
    let (node, mut powerbox) = Node::ready();
    let mut free = started(&node, &mut powerbox, &sandbox(&node, 40));
    let mut bound = started(&node, &mut powerbox, &Start { memory_bytes: 64 << 20, ..sandbox(&node, 41) });
    assert!(free.can_take_mib(200) && bound.can_take_mib(20));
    assert!(!bound.can_take_mib(200));
}

#[test]
fn a_notice_reaches_a_process() {
    let (node, mut powerbox) = Node::ready();
    let fake = started(&node, &mut powerbox, &sandbox(&node, 10));
    let notice =
        vat::door::Notice { link: 0, label: "docs".into(), reason: EndReason::Unavailable, detail: "later".into() };
    let (outcome, _) = powerbox.ask(&[], |command| {
        let mut asked = command.init_notice();
        asked.set_process(10);
        notice.write_to(asked.init_notice());
    });
    assert_eq!((outcome, fake.notice()), (Outcome::Ok, notice));
}

#[test]
fn only_what_is_in_the_table_is_started() {
    let (node, mut powerbox) = Node::ready();
    assert_eq!(powerbox.start(&Start { image: Image::Powerbox, ..sandbox(&node, 10) }), Outcome::Refused);
    assert_eq!(powerbox.link(1, 1, 10, 11), Outcome::Unknown);
}

#[test]
fn standard_error_goes_to_the_log_where_it_is_asked_for() {
    let (node, mut powerbox) = Node::ready();
    let mut loud = started(&node, &mut powerbox, &Start { output: true, ..sandbox(&node, 10) });
    loud.write_error();
    assert_eq!(node.log().matches("a word on standard error").count(), 1);
    let mut quiet = started(&node, &mut powerbox, &sandbox(&node, 11));
    quiet.write_error();
    assert_eq!(node.log().matches("a word on standard error").count(), 1);
}

#[test]
fn a_second_kernel_on_a_state_is_refused() {
    let (node, _powerbox) = Node::ready();
    let second = support::kernel(&node.state(), &node.folder.path().join("libexec")).output().unwrap();
    assert_eq!(second.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another kernel"));
    assert!(node.shell().receive().is_some(), "the first works on");
}

#[test]
fn a_state_that_others_can_enter_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let refused = support::kernel(folder.path(), folder.path()).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("mode 755") && said.contains("chmod 700"), "{said}");
}

#[test]
fn without_images_it_says_where_it_looked() {
    let folder = tempfile::tempdir().unwrap();
    let refused = support::kernel(&folder.path().join("state"), folder.path()).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no latch-powerbox"));
}

#[test]
fn a_stop_is_orderly() {
    let (mut node, mut powerbox) = Node::ready();
    let (mut server, mut client) = linked(&node, &mut powerbox);
    let _ends = (server.link(), client.link());
    let pid = rustix::process::Pid::from_child(&node.kernel);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(powerbox.next(), Event::Stopping);
    assert_eq!(server.hear().0, ToVat::Stop);
    assert_eq!(client.hear().0, ToVat::Stop);
    assert_eq!(powerbox.start(&sandbox(&node, 50)), Outcome::Refused);
    server.exit(0);
    powerbox
        .until(|event| matches!(event, Event::Exited { process: 10, code: 0, will_restart: false, .. }).then_some(()));
    client.exit(0);
    powerbox.until(|event| matches!(event, Event::Exited { process: 20, .. }).then_some(()));
    assert_eq!(powerbox.fake.hear().0, ToVat::Stop, "the powerbox is told last");
    powerbox.fake.exit(0);
    drop(powerbox);
    assert_eq!(node.exit_code(), Some(0));
    assert!(!node.state().join("operator").exists());
    assert!(node.log().contains("powerbox (0) ended with 0"), "its end is left to itself: {}", node.log());
}

#[test]
fn the_powerbox_can_stop_the_node_and_who_does_not_stop_is_killed() {
    let (mut node, mut powerbox) = Node::ready();
    let _stubborn = linked(&node, &mut powerbox);
    assert_eq!(powerbox.ask(&[], |mut command| command.set_shutdown(())).0, Outcome::Ok);
    powerbox.until(|event| matches!(event, Event::Exited { process: 10, code: -9, .. }).then_some(()));
    powerbox.fake.exit(0);
    assert_eq!(node.exit_code(), Some(0));
}

#[test]
fn everybody_dies_with_the_kernel() {
    let (mut node, mut powerbox) = Node::ready();
    let (server, _client) = linked(&node, &mut powerbox);
    server.hear();
    node.kernel.kill().unwrap();
    node.kernel.wait().unwrap();
    assert!(powerbox.fake.door.receive().is_none());
    // Their sockets to this test close because they are dead, and for no other reason.
    for fake in [&server, &powerbox.fake] {
        assert!(fake.is_dead());
    }
}

#[test]
fn under_a_low_limit_of_descriptors_links_are_busy_and_the_node_works_on() {
    let (mut node, mut powerbox) = Node::start_with(|command| {
        let program = command.get_program().to_owned();
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        *command = std::process::Command::new("sh");
        command.args(["-c", "ulimit -n 200; exec \"$0\" \"$@\""]).arg(program).args(arguments);
    });
    powerbox.fake.confine();
    node.await_ready();
    powerbox.inventory();
    let (server, client) = linked(&node, &mut powerbox);
    let mut ends = vec![];
    let refused = (100..).find_map(|link| {
        ends.extend([server.link().1, client.link().1]);
        let outcome = powerbox.link(link, link, 10, 20);
        (outcome != Outcome::Ok).then_some(outcome)
    });
    assert_eq!(refused, Some(Outcome::Busy));
    assert!(ends.len() > 100, "{}", ends.len());
    let _shell_is_still_taken = {
        ends.truncate(100);
        powerbox.until(|event| matches!(event, Event::LinkEnded { .. }).then_some(()));
        started(&node, &mut powerbox, &sandbox(&node, 30))
    };
}

#[test]
fn the_supervisor_is_told_of_readiness_and_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let supervisor = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    supervisor.set_read_timeout(Some(support::packets::PATIENCE)).unwrap();
    let (mut node, mut powerbox) = Node::start_with(|command| {
        command.env("NOTIFY_SOCKET", &socket);
    });
    powerbox.fake.confine();
    let heard = || {
        let mut buffer = [0; 64];
        let length = supervisor.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    assert_eq!(heard(), "READY=1");
    node.await_ready();
    powerbox.inventory();
    assert_eq!(powerbox.ask(&[], |mut command| command.set_shutdown(())).0, Outcome::Ok);
    assert_eq!(heard(), "STOPPING=1");
}

#[test]
fn a_reduced_node_says_so_to_everybody() {
    let (node, powerbox) = Node::start_with(|command| {
        command.arg("--reduced");
    });
    powerbox.fake.confine();
    let (begin, _) = node.shell().receive().unwrap();
    assert!(matches!(ToVat::decode(&begin).unwrap(), ToVat::Begin(begin) if begin.reduced));
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
        let output = command.args(["--exact", "as_a_stranger", "--nocapture"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(output(12_345).contains("turned away"));
    assert!(output(0).contains("taken"));
}
