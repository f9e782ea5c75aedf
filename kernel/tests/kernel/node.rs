//! The powerbox and the node as a whole: lost and found again, started, refused, stopped.

use super::*;

#[test]
fn a_powerbox_that_is_killed_finds_everything_in_the_inventory() {
    let (node, mut powerbox) = Node::ready();
    let (server, client) = linked(&node, &mut powerbox);
    let (mut server_end, mut client_end) = (server.link().1, client.link().1);
    powerbox.cut(&[70]);
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
    let Event::Confined { process: 10, profile, .. } = powerbox.next() else { panic!("its confinement is told again") };
    assert_eq!(profile, "fake");

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
    powerbox.cut(&tombs);
    let rows = powerbox.inventory();
    let numbers: Vec<u64> = rows.links.iter().map(|row| row.0).collect();
    let expected: Vec<u64> = std::iter::once(5).chain(100..600).collect();
    assert_eq!((numbers, rows.tombstones), (expected, tombs));

    // A cut of all of them at once shuts every one.
    let grants: Vec<u64> = (100..600).collect();
    powerbox.cut(&grants);
    for mut end in ends.split_off(2) {
        assert_eq!(rest(&mut end), b"");
    }
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
fn the_last_words_of_a_process_forge_nothing_in_the_log() {
    let (node, mut powerbox) = Node::ready();
    let mut fake = started(&node, &mut powerbox, &sandbox(&node, 10));
    fake.say(&FromVat::Last("bad luck\nready\r\u{1b}[2J\u{202e}".into()));
    fake.exit(1);
    powerbox.until(|event| matches!(event, Event::Exited { process: 10, .. }).then_some(()));
    let log = node.log();
    assert_eq!(log.lines().filter(|line| *line == "ready").count(), 1, "{log}");
    assert!(log.contains(r"bad luck\nready\r\u{1b}[2J\u{202e}"), "{log}");
    assert!(log.chars().all(|one| one == '\n' || !one.is_control()), "{log}");
}

#[test]
fn the_log_is_kept_small_and_one_older_one_beside_it() {
    const MEBIBYTE: usize = 1 << 20;
    let (node, mut powerbox) = Node::ready();
    let older = node.state().join("kernel.log.older");
    for letter in ["a", "b"] {
        // As a process does whose standard error it is.
        let mut log = std::fs::File::options().append(true).open(node.state().join("kernel.log")).unwrap();
        log.write_all(letter.repeat(MEBIBYTE + 1).as_bytes()).unwrap();
        powerbox.ask(&[], |mut command| command.set_usage(0));
        support::eventually(|| (node.log().len() < MEBIBYTE).then_some(()));
        assert!(std::fs::read_to_string(&older).unwrap().contains(&letter.repeat(MEBIBYTE)));
        log.write_all(b"and goes on").unwrap();
        assert_eq!(node.log(), "and goes on");
    }
    assert!(!std::fs::read_to_string(&older).unwrap().contains("aa"), "the oldest is gone");
}

#[test]
fn of_a_log_that_is_far_too_large_only_the_end_is_kept() {
    let (node, mut powerbox) = Node::ready();
    let log = std::fs::File::options().append(true).open(node.state().join("kernel.log")).unwrap();
    // Nothing of it is on the disk, and all of it would be in a copy.
    log.set_len(64 << 20).unwrap();
    (&log).write_all(b"the last line").unwrap();
    powerbox.ask(&[], |mut command| command.set_usage(0));
    support::eventually(|| node.log().is_empty().then_some(()));
    let older = std::fs::read(node.state().join("kernel.log.older")).unwrap();
    assert_eq!(older.len(), 1 << 20);
    assert!(older.ends_with(b"the last line"));
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
fn not_even_root_follows_the_names_in_another_users_state() {
    use std::os::unix::fs::DirBuilderExt;
    if !support::is_root() {
        eprintln!("not run: only root is let into another user's state");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (state, planted) = (folder.path().join("state"), folder.path().join("planted"));
    std::fs::DirBuilder::new().mode(0o700).create(&state).unwrap();
    for name in ["lock", "kernel.log"] {
        std::os::unix::fs::symlink(&planted, state.join(name)).unwrap();
    }
    std::os::unix::fs::chown(&state, Some(12_345), Some(12_345)).unwrap();
    let refused = support::kernel(&state, folder.path()).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("belongs to user 12345") && said.contains("start as that user"), "{said}");
    assert!(!planted.exists(), "nothing was made where the names lead");
    // Not even where it is root's own.
    std::os::unix::fs::chown(&state, Some(0), Some(0)).unwrap();
    assert_eq!(support::kernel(&state, folder.path()).output().unwrap().status.code(), Some(1));
    assert!(!planted.exists());
}

#[test]
fn without_images_it_says_where_it_looked() {
    let folder = tempfile::tempdir().unwrap();
    let refused = support::kernel(&folder.path().join("state"), folder.path()).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no latch-powerbox"));
}

#[test]
fn a_powerbox_that_cannot_be_executed_is_a_refusal() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("latch-powerbox"), "no program").unwrap();
    let refused = support::kernel(&folder.path().join("state"), folder.path()).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("could not be started: Permission denied"), "{said}");
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
fn the_keys_are_told_to_stop_once_who_uses_them_has_ended() {
    let (mut node, mut powerbox) = Node::ready();
    let mut keys = started(&node, &mut powerbox, &Start { image: Image::Keys, restart: true, ..sandbox(&node, 10) });
    let mut store =
        started(&node, &mut powerbox, &Start { image: Image::Storage, restart: true, ..sandbox(&node, 20) });
    assert_eq!(powerbox.link(5, 7, 10, 20), Outcome::Ok);
    let ((_, mut served), (_, mut held)) = (keys.link(), store.link());
    assert_eq!(powerbox.ask(&[], |mut command| command.set_shutdown(())), Outcome::Ok);
    assert_eq!(store.hear().0, ToVat::Stop);
    held.write_all(b"the last commit").unwrap();
    store.exit(0);
    powerbox.until(|event| matches!(event, Event::Exited { process: 20, will_restart: false, .. }).then_some(()));
    assert_eq!(rest(&mut served), b"the last commit", "the keys serve until then");
    // It hears of the link that ended first: of a stop there was no word before.
    assert!(matches!(keys.hear().0, ToVat::Notice(_)));
    assert_eq!(keys.hear().0, ToVat::Stop);
    keys.exit(0);
    assert_eq!(powerbox.fake.hear().0, ToVat::Stop, "the powerbox is told last");
    powerbox.fake.exit(0);
    assert_eq!(node.exit_code(), Some(0));
}

#[test]
fn the_powerbox_can_stop_the_node_and_who_does_not_stop_is_killed() {
    let (mut node, mut powerbox) = Node::ready();
    let _stubborn = linked(&node, &mut powerbox);
    assert_eq!(powerbox.ask(&[], |mut command| command.set_shutdown(())), Outcome::Ok);
    powerbox.until(|event| matches!(event, Event::Exited { process: 10, code: -9, .. }).then_some(()));
    powerbox.fake.exit(0);
    assert_eq!(node.exit_code(), Some(0));
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
    assert_eq!(powerbox.ask(&[], |mut command| command.set_shutdown(())), Outcome::Ok);
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

#[test]
fn a_state_that_the_powerbox_cannot_use_ends_the_node_and_says_why() {
    let (mut node, mut powerbox) = Node::start_with(|command| {
        command.stderr(std::process::Stdio::piped());
    });
    powerbox.fake.confine();
    node.await_ready();
    powerbox.inventory();
    let mut service = started(&node, &mut powerbox, &sandbox(&node, 10));
    powerbox.fake.say(&FromVat::Last("the log was written by a newer version".into()));
    powerbox.fake.exit(78);
    assert_eq!(service.hear().0, ToVat::Stop);
    service.exit(0);
    assert_eq!(node.exit_code(), Some(1));
    let mut said = String::new();
    node.kernel.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("a newer version"), "{said}");
}
