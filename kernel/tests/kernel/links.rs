//! Links: made, used, cut, ended.

use super::*;

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

    powerbox.cut(&[7]);
    assert_eq!(client_end.write(b"later").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    assert_eq!(rest(&mut server_end), b"", "what had not been read is gone");
    assert_eq!(rest(&mut client_end), b"");
    for end in [&server, &client] {
        let notice = end.notice();
        assert_eq!((notice.link, notice.reason, notice.detail.as_str()), (5, EndReason::Revoked, "by the test"));
    }
    powerbox.cut(&[7]);

    assert_eq!(powerbox.link(6, 7, 10, 20), Outcome::Tombstone);
    assert_eq!(powerbox.link(5, 7, 10, 20), Outcome::Tombstone);
    server.say(&FromVat::Ended { link: 5 });
    assert_eq!(powerbox.next(), Event::Quiet { link: 5 });
    powerbox.cut(&[7]);
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
    assert_eq!(last, "stopped by command; it said: said after");
    server.say(&FromVat::Ended { link: 5 });
    assert_eq!(powerbox.next(), Event::Quiet { link: 5 });
}

#[test]
fn a_grant_can_be_refused_before_it_was_ever_linked() {
    let (node, mut powerbox) = Node::ready();
    let _ends = linked(&node, &mut powerbox);
    powerbox.cut(&[70]);
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

    assert_eq!(powerbox.next(), Event::LinkEnded { link: 5, reason: EndReason::Restarted });
    let Event::Exited { process, code, last, will_restart, restarts } = powerbox.next() else { panic!() };
    assert_eq!((process, code, last.as_str()), (10, 3, "a fault of ours"));
    assert_eq!((will_restart, restarts), (true, 0));
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
fn when_a_client_is_killed_its_server_reads_the_rest_and_then_the_end() {
    let (node, mut powerbox) = Node::ready();
    let (server, client) = linked(&node, &mut powerbox);
    let (mut server_end, mut client_end) = (server.link().1, client.link().1);
    client_end.write_all(b"said before").unwrap();
    drop(client_end);
    assert_eq!(powerbox.stop(20, true), Outcome::Ok);
    let ended = powerbox.next();
    assert!(matches!(ended, Event::LinkEnded { link: 5, .. }), "{ended:?}");
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
    assert_eq!(powerbox.next(), Event::LinkEnded { link: 5, reason: EndReason::Closed });
    assert_eq!(rest(&mut server_end), b"");
    assert_eq!(powerbox.link(6, 7, 10, 20), Outcome::Ok);
    let (server_end, client_end) = (server.link().1, client.link().1);
    // A half that is closed is not the end: an app's input ends so.
    client_end.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(powerbox.inventory().links.len(), 1);
    server_end.shutdown(std::net::Shutdown::Both).unwrap();
    let closed = Event::LinkEnded { link: 6, reason: EndReason::Closed };
    powerbox.until(|event| (*event == closed).then_some(()));
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
fn a_notice_reaches_a_process() {
    let (node, mut powerbox) = Node::ready();
    let fake = started(&node, &mut powerbox, &sandbox(&node, 10));
    let notice =
        vat::door::Notice { link: 0, label: "docs".into(), reason: EndReason::Unavailable, detail: "later".into() };
    let outcome = powerbox.ask(&[], |command| {
        let mut asked = command.init_notice();
        asked.set_process(10);
        notice.write_to(asked.init_notice());
    });
    assert_eq!((outcome, fake.notice()), (Outcome::Ok, notice));
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
