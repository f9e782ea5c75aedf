//! What comes through the powerbox's own door: its ends of sessions, which are served on other threads.

use std::rc::Rc;

use vat::door::{Carries, Peer, Role};
use vat::native::{Arrived, Delivery};

use super::Core;
use crate::live::Kind;
use crate::problem::Problem;
use crate::record::Record;
use crate::sessions::{Incoming, Who};
use crate::words::{REASON_LIMIT, plain};

/// What one name is accused of this often is known well enough: whoever asks for a link again and again to misbehave on
/// it must not fill the log.
const ACCUSATIONS_LIMIT: u32 = 16;

/// Words of trouble that were said are not said again for so long.
const TROUBLE_SPAN_MS: u64 = 60_000;
/// Different words of trouble within that time: a disk that fails says the same of many places.
const TROUBLES_LIMIT: usize = 64;

impl Core {
    /// Takes what comes, until the kernel says stop or is gone.
    pub async fn attend_door(self: Rc<Self>) -> std::io::Result<()> {
        loop {
            match self.door.next().await? {
                // What it holds of the keys is the one thing that the powerbox itself uses.
                Some(Delivery::Link(arrived)) if arrived.role == Role::Client && arrived.carries == Carries::Grant => {
                    let peer = arrived.badge.as_ref().map_or(Peer::Service, |badge| badge.peer);
                    self.signing.held.take(arrived, peer)?;
                }
                Some(Delivery::Link(arrived)) => self.arrived(arrived),
                Some(Delivery::Stop) | None => return Ok(()),
                Some(Delivery::Notice(notice)) => self.signing.held.noticed(notice),
                // Nobody gives the powerbox things.
                Some(Delivery::Resource(..)) => {}
            }
        }
    }

    fn arrived(&self, arrived: Arrived) {
        let (id, role, carries) = (arrived.id, arrived.role, arrived.carries);
        let Some(badge) = arrived.badge.filter(|_| role == Role::Server && carries == Carries::Session) else { return };
        let live = self.live.borrow();
        let Some(process) = live.links.get(&id).map(|link| link.client) else { return };
        let Some(known) = live.processes.get(&process) else { return };
        let (who, to) = match &known.kind {
            Kind::App { instance } => (Who::App { instance: instance.clone() }, &self.sessions),
            Kind::Folder(_) | Kind::Service(_) => (Who::Service, &self.sessions),
            Kind::Shell => (Who::Shell { uid: known.uid }, &self.operators),
            Kind::Compile | Kind::Unknown => return,
        };
        // The threads that serve live as long as this one.
        let _ = to.send(Incoming { link: id, process, who, badge, socket: arrived.socket });
    }

    /// A session that was served has ended; why it was ended from this side, if so.
    pub(crate) async fn session_ended(self: &Rc<Self>, link: u64, process: u64, who: &Who, misbehaved: Option<String>) {
        let _ = self.door.ended(link).await;
        let Some(detail) = misbehaved else { return };
        self.accuse(&self.name_of(process, who), "its session", &detail);
    }

    /// Somebody sends so much on a session that it is read slowly.
    pub(crate) fn session_is_made_to_wait(&self, process: u64, who: &Who) {
        let name = self.name_of(process, who);
        self.warn_about(&name, format!("{name} sends more on its session than is read at once: it is made to wait"));
    }

    /// A service tells of trouble. The same words again within a while are known already, and of many that are new the
    /// first ones tell enough.
    pub(crate) fn trouble(&self, process: u64, text: &str) -> Result<(), Problem> {
        let name = self.name_of(process, &Who::Service);
        let text = plain(text, REASON_LIMIT);
        let now_ms = self.now_ms();
        {
            let mut live = self.live.borrow_mut();
            live.troubles.retain(|_, at_ms| at_ms.saturating_add(TROUBLE_SPAN_MS) > now_ms);
            if live.troubles.len() >= TROUBLES_LIMIT || live.troubles.contains_key(&(process, text.clone())) {
                return Ok(());
            }
            live.troubles.insert((process, text.clone()), now_ms);
        }
        self.warn_about(&name, format!("{name}: {text}"));
        self.record(super::THE_NODE, Record::Note(format!("{name}: {text}"))).map(drop)
    }

    /// Who a session is with, for people.
    fn name_of(&self, process: u64, who: &Who) -> String {
        match who {
            // Its process may be gone already.
            Who::App { instance } => instance.clone(),
            Who::Shell { uid } => format!("a shell (uid {uid})"),
            Who::Service => match self.live.borrow().processes.get(&process) {
                Some(known) => known.name.clone(),
                None => "a service".into(),
            },
        }
    }

    /// Writes down that somebody's link was cut for what they did on it, so that a person can see who and why.
    pub(crate) fn accuse(&self, name: &str, link: &str, detail: &str) {
        let times = {
            let mut live = self.live.borrow_mut();
            let times = live.misbehaved.entry(name.to_owned()).or_default();
            *times += 1;
            *times
        };
        let detail = plain(detail, REASON_LIMIT);
        let note = match times {
            ..ACCUSATIONS_LIMIT => format!("{name} misbehaved, and {link} was cut: {detail}"),
            ACCUSATIONS_LIMIT => format!("{name} goes on misbehaving: no more of it is recorded"),
            _ => return,
        };
        self.warn_about(name, note.clone());
        if let Err(problem) = self.record(super::THE_NODE, Record::Note(note)) {
            self.warn(problem.to_string());
        }
    }

    /// The last word of a powerbox that gives up.
    pub(crate) async fn last_word(&self, word: &str) {
        self.door.last(word).await;
    }
}
