//! What a service holds itself: objects of other services, by their labels; and its way to tell people of trouble.

use super::clock::SystemClock;
use super::door::Arrived;
use crate::bounds::Bounds;
use crate::door::{Notice, Peer};
use crate::link::{Connected, Ending, OnLink, Root, connect};
use crate::words::clip;
use capnp::capability::Client;
use schema::session_capnp::session;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;

/// How long a word of trouble may be, see `session.capnp`.
pub const TROUBLE_LIMIT_BYTES: usize = 300;
/// Words that wait for a powerbox; of more the oldest are dropped.
const TROUBLES_LIMIT: usize = 64;

#[derive(Default)]
struct Shared {
    roots: BTreeMap<String, Rc<Root<Client>>>,
    session: Option<session::Client>,
    waiting: VecDeque<String>,
}

/// What a service holds. Objects come on links of their own, by label, and may go and come back.
#[derive(Clone, Default)]
pub struct Held(Rc<RefCell<Shared>>);

impl Held {
    /// The object under that label, whether or not it is here yet.
    #[must_use]
    pub fn root(&self, label: &str) -> Rc<Root<Client>> {
        self.0.borrow_mut().roots.entry(label.to_owned()).or_default().clone()
    }

    /// Tells people what they should know and act on: what, where, what next. It is sent when there is a powerbox.
    /// Within a `LocalSet`.
    pub fn trouble(&self, text: &str) {
        let text = clip(text, TROUBLE_LIMIT_BYTES).to_owned();
        let session = self.0.borrow().session.clone();
        match session {
            Some(session) => self.tell(session, text),
            None => self.keep(text),
        }
    }

    fn tell(&self, session: session::Client, text: String) {
        let held = self.clone();
        tokio::task::spawn_local(async move {
            let mut request = session.trouble_request();
            request.get().set_text(text.as_str());
            if request.send().promise.await.is_err_and(|error| error.kind == capnp::ErrorKind::Disconnected) {
                held.keep(text);
            }
        });
    }

    fn keep(&self, text: String) {
        let waiting = &mut self.0.borrow_mut().waiting;
        if waiting.len() == TROUBLES_LIMIT {
            waiting.pop_front();
        }
        waiting.push_back(text);
    }

    /// There is a new session.
    pub(super) fn joined(&self, session: &session::Client) {
        let waiting = {
            let mut shared = self.0.borrow_mut();
            shared.session = Some(session.clone());
            std::mem::take(&mut shared.waiting)
        };
        waiting.into_iter().for_each(|text| self.tell(session.clone(), text));
    }

    /// A link brings an object. Within a `LocalSet`.
    ///
    /// # Errors
    /// The runtime cannot watch it.
    pub fn take(&self, arrived: Arrived, peer: Peer) -> io::Result<()> {
        let root = self.root(&arrived.label);
        let Connected { root: object, driving, .. } =
            connect(arrived.into_stream()?, Bounds::for_peer(peer), Rc::new(SystemClock::new()));
        let link: OnLink = root.arrived(Client::new(object.hook));
        tokio::task::spawn_local(async move {
            let ended = driving.await;
            root.ended(link, Ending { reason: ended.reason, detail: ended.detail });
        });
        Ok(())
    }

    /// Something is told about an object.
    pub fn noticed(&self, notice: Notice) {
        // whether its link is still open shows by itself, soon
        self.root(&notice.label).noticed(Ending { reason: notice.reason, detail: notice.detail }, |_| true);
    }
}
