use super::*;
use rustix::io::Errno;
use rustix::net::{SendFlags, recv, send};

fn made(links: &mut Links, poller: &mut Poller, id: u64, grant: u64) -> [OwnedFd; 2] {
    let plan = Link { grant, carries: Carries::Grant, server: 1, client: 2, label: "docs".into(), open: None };
    links.make(id, plan, poller).unwrap()
}

fn read(end: &OwnedFd) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = [0; 64];
    recv(end, &mut buffer[..], RecvFlags::DONTWAIT).map(|(_, length)| buffer[..length].to_vec())
}

fn write(end: &OwnedFd, bytes: &[u8]) -> rustix::io::Result<usize> {
    send(end, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
}

#[test]
fn a_cut_discards_what_waits_and_lets_nothing_enter() {
    let (mut links, mut poller) = (Links::default(), Poller::new().unwrap());
    let [server, client] = made(&mut links, &mut poller, 7, 3);
    write(&client, b"before").unwrap();
    write(&server, b"reply").unwrap();
    assert!(links.cut(7, &mut poller));
    assert_eq!(write(&client, b"after"), Err(Errno::PIPE));
    assert_eq!(write(&server, b"after"), Err(Errno::PIPE));
    assert_eq!(read(&server), Ok(vec![]));
    // A reply that was sent may still be read.
    assert_eq!(read(&client), Ok(b"reply".to_vec()));
    assert_eq!(read(&client), Ok(vec![]));
    assert!(!links.cut(7, &mut poller), "a second cut finds it cut");
    assert!(links.table.contains_key(&7) && !links.is_open(7), "it waits for its server's word");
}

#[test]
fn out_of_band_marks_do_not_stop_a_cut() {
    let (mut links, mut poller) = (Links::default(), Poller::new().unwrap());
    let [server, client] = made(&mut links, &mut poller, 7, 3);
    for _ in 0..10 {
        write(&client, b"some bytes").unwrap();
        // Where the system has no out-of-band data on local sockets, it is refused, and the rest still holds.
        let _ = send(&client, b"!", SendFlags::OOB | SendFlags::DONTWAIT);
        write(&client, b"more").unwrap();
    }
    assert!(links.cut(7, &mut poller));
    assert_eq!(read(&server), Ok(vec![]));
}

#[test]
fn what_a_dead_client_said_is_still_read() {
    let (mut links, mut poller) = (Links::default(), Poller::new().unwrap());
    let [server, client] = made(&mut links, &mut poller, 7, 3);
    write(&client, b"last words").unwrap();
    drop(client);
    assert!(links.end(7, true, &mut poller).is_some());
    assert_eq!(read(&server), Ok(b"last words".to_vec()));
    assert_eq!(read(&server), Ok(vec![]));
}

#[test]
fn a_dead_server_is_the_end_of_the_stream_and_no_error() {
    let (mut links, mut poller) = (Links::default(), Poller::new().unwrap());
    let [server, client] = made(&mut links, &mut poller, 7, 3);
    write(&client, b"unread").unwrap();
    write(&server, b"last reply").unwrap();
    drop(server);
    assert_eq!(write(&client, b"x"), Ok(1), "the duplicate hides the death");
    assert!(links.end(7, false, &mut poller).is_some());
    assert_eq!(read(&client), Ok(b"last reply".to_vec()));
    assert_eq!(read(&client), Ok(vec![]));
}

#[test]
fn a_grants_links_are_found_by_it() {
    let (mut links, mut poller) = (Links::default(), Poller::new().unwrap());
    let _ends: Vec<_> =
        [(1, 5), (2, 5), (3, 6), (4, 0)].map(|(id, grant)| made(&mut links, &mut poller, id, grant)).into();
    assert_eq!(links.of_grant(5).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(links.of_grant(0).count(), 0);
    links.end(1, true, &mut poller);
    assert_eq!(links.of_grant(5).collect::<Vec<_>>(), [2]);
    assert_eq!(links.of_process(2), [2, 3, 4]);
}

#[test]
fn descriptors_do_not_pass_over_a_link() {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg};
    use std::os::fd::AsFd;
    let (mut links, mut poller) = (Links::default(), Poller::new().unwrap());
    let [server, client] = made(&mut links, &mut poller, 7, 3);
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let rights = [server.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&rights)));
    let sent = sendmsg(&client, &[std::io::IoSlice::new(b"x")], &mut control, SendFlags::DONTWAIT);
    // Before Linux 6.16 the option does not exist; links are read without room for descriptors then.
    if rights_are_refused_here() {
        assert_eq!(sent, Err(Errno::PERM));
    }
}

fn rights_are_refused_here() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(16))
}
