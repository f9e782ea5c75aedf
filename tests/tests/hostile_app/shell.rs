//! What a guest cannot even try, tried by a shell: descriptors and out-of-band data on its link to the powerbox and on
//! one to a folder's service.

use crate::scene::Scene;
use capnp::capability::FromClientHook;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use schema::operator_capnp::operator;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use vat::Bounds;
use vat::door::{Carries, Identity, Peer, Resource, ResourceKind};
use vat::native::{Arrived, Delivery, Door, SystemClock, connect_operator};

/// A header of a message that would be refused; the bytes that descriptors ride on.
const BYTES: [u8; 8] = [0xff; 8];

async fn link(door: &Door, carries: Carries) -> Arrived {
    loop {
        match door.next().await.expect("the door is open") {
            Some(Delivery::Link(link)) if link.carries == carries => return link,
            Some(_) => {}
            None => panic!("the node closed the door"),
        }
    }
}

/// An operator's link to the powerbox, as plain bytes. The door must stay open.
async fn operator_link(state: &Path) -> (Door, UnixStream) {
    let door = connect_operator(state).expect("the node is up");
    let link = link(&door, Carries::Session).await;
    (door, link.socket)
}

/// A link to the folder, as plain bytes: asked for in order, and then spoken by hand.
async fn folder_link(state: &Path, folder: &Path) -> (Door, UnixStream, u64) {
    let door = connect_operator(state).expect("the node is up");
    let session = link(&door, Carries::Session).await.into_stream().expect("it can be watched");
    let connected = vat::connect(session, Bounds::for_peer(Peer::Powerbox), Rc::new(SystemClock::new()));
    tokio::task::spawn_local(connected.driving);
    let operator: operator::Client = FromClientHook::new(connected.root.hook);
    let opened: OwnedFd = std::fs::File::open(folder).expect("the folder is there").into();
    let path = folder.to_str().expect("a plain path").to_owned();
    let identity = Identity::of(opened.as_fd()).expect("it is a folder");
    let resource = Resource { token: 1, path, identity, ..Resource::new(ResourceKind::Folder, "folder") };
    door.resource(resource, opened.as_fd()).await.expect("the door takes it");
    let mut open = operator.open_request();
    open.get().set_label("mine");
    let mut choice = open.get().init_choice();
    choice.set_folder(1);
    choice.init_rights().set_read(true);
    let answer = open.send().promise.await.expect("a shell may open its own folder");
    let grant = answer.get().expect("an answer").get_grant();
    let folder = link(&door, Carries::Grant).await;
    (door, folder.socket, grant)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    vat::native::run(work).expect("a runtime")
}

/// Sends one end of a pipe along; whoever took it would keep the pipe open.
#[track_caller]
fn is_not_received(link: &UnixStream) {
    let (end, given) = rustix::pipe::pipe().expect("a pipe");
    let given_away = [given.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&given_away)));
    // Where the system can refuse it at once it does.
    let sent = sendmsg(link, &[IoSlice::new(&BYTES)], &mut ancillary, SendFlags::NOSIGNAL);
    drop(given);
    let mut polled = [PollFd::new(&end, PollFlags::IN)];
    poll(&mut polled, None).expect("it can be waited for");
    assert!(polled[0].revents().contains(PollFlags::HUP), "{sent:?}: somebody holds the pipe");
}

#[test]
fn descriptors_do_not_come_in_over_links() {
    let scene = Scene::get();
    let (state, folder) = (scene.node.state(), scene.node.scratch().join("shared"));
    run(async {
        let (_door, link) = operator_link(&state).await;
        is_not_received(&link);
        let (_door, link, _) = folder_link(&state, &folder).await;
        is_not_received(&link);
    });
    scene.all_is_well();
}

#[test]
fn out_of_band_data_stops_nobody_from_cutting() {
    let scene = Scene::get();
    let (state, folder) = (scene.node.state(), scene.node.scratch().join("shared"));
    run(async {
        let (_operator_door, operator) = operator_link(&state).await;
        let (_door, link, grant) = folder_link(&state, &folder).await;
        for socket in [&operator, &link] {
            // A mark in the stream: an ordinary read stops there. Where the system refuses it, so much the better.
            let _ = rustix::net::send(socket, b"!", SendFlags::OOB | SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        }
        scene.all_is_well();
        let cut = scene.node.json(["revoke", &format!("#{grant}")]);
        assert_eq!(cut["unconfirmed"].as_array().map(Vec::len), Some(0), "{cut}");
        let mut polled = [PollFd::new(&link, PollFlags::RDHUP)];
        poll(&mut polled, None).expect("it can be waited for");
    });
    scene.all_is_well();
}

#[test]
fn a_shell_that_does_wrong_is_cut_and_named() {
    let scene = Scene::get();
    let (state, folder) = (scene.node.state(), scene.node.scratch().join("shared"));
    run(async {
        let (_operator_door, operator) = operator_link(&state).await;
        let (_door, link, _) = folder_link(&state, &folder).await;
        for socket in [&operator, &link] {
            rustix::net::send(socket, &BYTES, SendFlags::NOSIGNAL).expect("it takes bytes");
            let mut polled = [PollFd::new(socket, PollFlags::RDHUP)];
            poll(&mut polled, None).expect("it can be waited for");
        }
    });
    scene.recorded("shell", "its session was cut");
    scene.recorded("shell", "its link “mine”");
    scene.all_is_well();
}
