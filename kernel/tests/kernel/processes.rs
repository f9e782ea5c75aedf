//! Processes: what they are born with, how they end, how they come back.

use super::*;

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
        // Between them are those that the keys and the store always have.
        assert_eq!((powerbox.fake.uid, fake.uid), (2_000_000_000, 2_000_000_003));
        let other = started(&node, &mut powerbox, &sandbox(&node, 11));
        assert_eq!(other.uid, 2_000_000_004, "each process has a user of its own");
    }
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
fn who_dies_again_is_started_again_and_it_is_counted() {
    let (node, mut powerbox) = Node::ready();
    assert_eq!(powerbox.start(&Start { restart: true, ..sandbox(&node, 10) }), Outcome::Ok);
    for expected in 0..3 {
        node.born().exit(1);
        let exited = |event: &Event| if let Event::Exited { restarts, .. } = event { Some(*restarts) } else { None };
        assert_eq!(powerbox.until(exited), expected);
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
fn who_floods_its_door_is_killed_and_that_is_said() {
    const MORE_THAN_ANYONE_HAS_REASON_TO: u64 = 100;
    let (node, mut powerbox) = Node::ready();
    let useless = [FromVat::Ended { link: 99 }, FromVat::Last("la".into())];
    for (process, word) in (10..).zip(useless) {
        let fake = started(&node, &mut powerbox, &sandbox(&node, process));
        let word = word.encode().unwrap();
        // It is killed on the way.
        (0..MORE_THAN_ANYONE_HAS_REASON_TO).for_each(|_| _ = fake.door.send(&word, &[]));
        let Event::Exited { code: -9, last, .. } = powerbox.next() else { panic!() };
        assert!(last.starts_with("said more at its door than it has reason to"), "{last}");
    }
}

#[test]
fn a_process_may_confirm_each_link_that_it_was_given_also_when_nobody_waits_for_that() {
    let (node, mut powerbox) = Node::ready();
    let server = started(&node, &mut powerbox, &sandbox(&node, 10));
    let client = started(&node, &mut powerbox, &sandbox(&node, 20));
    for link in 100..200 {
        assert_eq!(powerbox.link(link, link, 10, 20), Outcome::Ok);
        drop((server.link(), client.link()));
    }
    for link in 100..200 {
        // Closed by its client, and forgotten by then.
        powerbox.until(|event| matches!(event, Event::LinkEnded { .. }).then_some(()));
        server.say(&FromVat::Ended { link });
        server.say(&FromVat::Ended { link });
    }
    assert_eq!(powerbox.link(300, 300, 10, 20), Outcome::Ok);
    assert_eq!(server.link().0.id, 300);
}

#[test]
fn resources_go_along_in_order_and_survive_a_restart() {
    let (node, mut powerbox) = Node::ready();
    let file = tempfile::tempfile().unwrap();
    let named = |name: &str| vat::door::Resource::new(ResourceKind::Memory, name);
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
    assert_eq!(powerbox.ask(&[], |mut command| command.set_usage(10)), Outcome::Ok);
    let Event::Usage { process: 10, resident_bytes } = powerbox.next() else { panic!() };
    assert!(resident_bytes > 0);
    assert_eq!(powerbox.ask(&[], |mut command| command.set_usage(0)), Outcome::Ok);
    let Event::Usage { process: 0, resident_bytes: whole } = powerbox.next() else { panic!() };
    assert!(whole > resident_bytes);
    assert_eq!(powerbox.ask(&[], |mut command| command.set_usage(99)), Outcome::Unknown);
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
fn where_memory_runs_out_who_takes_hostile_input_goes_first() {
    let (node, mut powerbox) = Node::ready();
    let _sandboxed = started(&node, &mut powerbox, &sandbox(&node, 40));
    let rows = powerbox.inventory().processes;
    let score = |number: u64| {
        let pid = rows.iter().find(|(process, ..)| *process == number).unwrap().2;
        std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap()
    };
    assert_eq!(score(40).trim(), "1000");
    assert_ne!(score(0).trim(), "1000");
}

#[test]
fn only_what_is_in_the_table_is_started() {
    let (node, mut powerbox) = Node::ready();
    assert_eq!(powerbox.start(&Start { image: Image::Powerbox, ..sandbox(&node, 10) }), Outcome::Refused);
    assert_eq!(powerbox.link(1, 1, 10, 11), Outcome::Unknown);
}

#[test]
fn only_the_powerbox_has_the_log() {
    let (node, mut powerbox) = Node::ready();
    let folder = tempfile::tempdir().unwrap();
    let opened = std::fs::File::open(folder.path()).unwrap();
    let resource = vat::door::Resource::new(ResourceKind::Folder, "folder");
    let resources = vec![(resource, opened.as_fd())];
    let folder = Start { image: Image::Folder, resources, ..sandbox(&node, 12) };
    for hostile in [sandbox(&node, 10), Start { image: Image::Compile, ..sandbox(&node, 11) }, folder] {
        let mut quiet = started(&node, &mut powerbox, &Start { file_bytes: 1 << 20, ..hostile });
        quiet.write_error();
        assert!(!node.log().contains("a word on standard error"));
    }
    powerbox.fake.write_error();
    assert_eq!(node.log().matches("a word on standard error").count(), 1);
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
