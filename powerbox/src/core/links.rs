//! Links: asking the kernel for them, with the badges that both ends go by.

use std::rc::Rc;

use capnp::traits::HasTypeId;
use schema::kernel_capnp::Outcome;
use vat::door::{Account, Badge, Carries, LABEL_LIMIT_BYTES, Lease, Peer};
use vat::words::{Rights, clip};

use super::{Core, THE_NODE};
use crate::caveats::Left;
use crate::fault;
use crate::grants::Node;
use crate::live::{Kind, Link};
use crate::problem::Problem;
use crate::record::{Granted, Holder, Leased, Record};

/// What a server asks for one of its links.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Renewal {
    pub(crate) link: u64,
    pub(crate) grant: u64,
    /// Limited: more is wanted. How much the link was given so far.
    pub(crate) calls: Lease,
    pub(crate) bytes: Lease,
}

/// A link as the kernel is asked for it.
struct Wanted<'a> {
    grant: u64,
    carries: Carries,
    server: u64,
    client: u64,
    label: &'a str,
    server_badge: Vec<u8>,
    client_badge: Vec<u8>,
}

impl Core {
    /// Links a process with the powerbox: an app's or a service's session, or an operator's shell.
    pub(crate) async fn link_session(self: &Rc<Self>, process: u64) -> Result<(), Problem> {
        let (peer, holder) = match self.live.borrow().processes.get(&process) {
            None => return Ok(()),
            Some(known) => match &known.kind {
                Kind::App { instance } => (Peer::App, instance.clone()),
                Kind::Shell => (Peer::Shell, known.name.clone()),
                _ => (Peer::Service, known.name.clone()),
            },
        };
        let interface = match peer {
            Peer::Shell => schema::operator_capnp::operator::Client::TYPE_ID,
            _ => schema::session_capnp::session::Client::TYPE_ID,
        };
        let badge = |peer, holder: String| Badge { interface, peer, holder, ..plain_badge() };
        let wanted = Wanted {
            grant: 0,
            carries: Carries::Session,
            server: 0,
            client: process,
            label: "session",
            server_badge: encode(badge(peer, holder))?,
            client_badge: encode(badge(Peer::Powerbox, "powerbox".into()))?,
        };
        let link = self.new_id()?;
        self.make(link, wanted).await
    }

    /// Links an app's standard stream with the shell that started it.
    pub(crate) async fn link_stream(self: &Rc<Self>, shell: u64, app: u64, label: &str) -> Result<(), Problem> {
        let wanted = Wanted {
            grant: 0,
            carries: Carries::Raw,
            server: shell,
            client: app,
            label,
            server_badge: Vec::new(),
            client_badge: Vec::new(),
        };
        let link = self.new_id()?;
        self.make(link, wanted).await
    }

    /// Links the holder of a grant with what serves it, unless it is linked already or the holder does not run.
    pub(crate) async fn open_grant(self: &Rc<Self>, grant: u64) -> Result<(), Problem> {
        if !self.live.borrow_mut().opening.insert(grant) {
            // Whoever came first is at it.
            return Ok(());
        }
        let opened = self.open_now(grant).await;
        let wanted_still = {
            let mut live = self.live.borrow_mut();
            live.opening.remove(&grant);
            // It was asked for what has failed, or for what has ended since: that, too, is answered only once.
            !live.open.contains_key(&grant) && live.asked_again.remove(&grant) && opened.is_ok()
        };
        if wanted_still {
            self.reopen_soon(grant);
        }
        opened
    }

    async fn open_now(self: &Rc<Self>, grant: u64) -> Result<(), Problem> {
        let Some((granted, client)) = self.may_open(grant)? else { return Ok(()) };
        // What opens a grant keeps what serves it, so that no hold is needed.
        let (server, _) = self.serve_source(&granted.source).await?;
        // The lease of the link before, if there was one, comes back first.
        self.lease_settled(grant).await?;
        let link = self.new_id()?;
        let leased = self.lease(grant, link).await?;
        // All that takes time: somebody may have taken the grant away meanwhile.
        let made = match self.may_open(grant) {
            Ok(Some((_, now))) if now == client => {
                let wanted = Wanted {
                    grant,
                    carries: Carries::Grant,
                    server,
                    client,
                    label: &granted.label,
                    server_badge: self.badge(grant, &granted, leased, client)?,
                    client_badge: self.badge(grant, &granted, leased, server)?,
                };
                fault::point("link.leased");
                self.make(link, wanted).await
            }
            Ok(_) => Err(Problem::refused("the app ended before it was linked. Start it again")),
            Err(problem) => Err(problem),
        };
        if made.is_err()
            && let Some(unused) = leased
        {
            self.record(THE_NODE, Record::Returned(unused))?;
        }
        made
    }

    /// The grant and its holder's process; nothing where it is linked already or the holder does not run.
    fn may_open(&self, grant: u64) -> Result<Option<(Granted, u64)>, Problem> {
        let (state, live) = (self.state.borrow(), self.live.borrow());
        let ended = || Problem::refused(format!("grant #{grant} has ended. `latch why #{grant}` tells how"));
        let node = state.grants.get(grant).filter(|node| node.ended.is_none()).ok_or_else(ended)?;
        if live.ending.contains(&grant) {
            return Err(ended());
        }
        if live.open.contains_key(&grant) {
            return Ok(None);
        }
        Ok(live.process_of(&node.granted.holder).map(|client| (node.granted.clone(), client)))
    }

    /// Waits until what the last link of a grant did not use has come back, or counts it as used.
    async fn lease_settled(self: &Rc<Self>, grant: u64) -> Result<(), Problem> {
        /// A service reports the end of a link at once; one that is slower than this is stuck.
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);
        let outstanding = || self.state.borrow().grants.get(grant).and_then(|node| node.lease);
        if outstanding().is_none() {
            return Ok(());
        }
        let settled = self.bells.leases.until(|| outstanding().is_none().then_some(()));
        if tokio::time::timeout(PATIENCE, settled).await.is_err()
            && let Some(lease) = outstanding()
        {
            self.commit(THE_NODE, Record::Lost(lease)).await?;
            self.lease_came_back(grant);
        }
        Ok(())
    }

    /// Sets the first slice of its budgets aside for a link, durably.
    async fn lease(&self, grant: u64, link: u64) -> Result<Option<Leased>, Problem> {
        let left = match self.state.borrow().grants.get(grant) {
            Some(node) => node.left,
            None => return Ok(None),
        };
        if left.calls.is_none() && left.bytes.is_none() {
            return Ok(None);
        }
        if left.is_nothing() {
            let text =
                format!("the budget of grant #{grant} is used up, or set aside for what hangs below it. Grant anew");
            return Err(Problem::refused(text));
        }
        let leased = Leased { grant, link, calls: left.slice_calls(), bytes: left.slice_bytes() };
        self.need_room()?;
        self.commit(THE_NODE, Record::Leased(leased)).await?;
        Ok(Some(leased))
    }

    /// Sets more aside for a link that says it has little left, and tells how much it has been given in all. What is asked
    /// says how much the link knows of: where that is less than what is recorded, an answer was lost, and is given again.
    pub(crate) async fn renew(&self, process: u64, asked: Renewal) -> Result<(Lease, Lease), Problem> {
        let Renewal { link, grant, calls, bytes } = asked;
        let is_theirs = self
            .live
            .borrow()
            .links
            .get(&link)
            .is_some_and(|known| known.server == process && known.grant == grant && grant != 0);
        if !is_theirs {
            return Err(Problem::refused("no such link is known here. Ask again while it is open"));
        }
        let known = || match self.state.borrow().grants.get(grant) {
            Some(node) => (node.left, node.lease.filter(|lease| lease.link == link)),
            None => (Left::default(), None),
        };
        // Where the grant ends, or its lease is settled, nothing more is given.
        let (left, Some(lease)) = known() else { return Ok((calls, bytes)) };
        let more = Leased {
            calls: if calls.limited && calls.amount >= lease.calls { left.slice_calls() } else { 0 },
            bytes: if bytes.limited && bytes.amount >= lease.bytes { left.slice_bytes() } else { 0 },
            ..lease
        };
        if more.calls > 0 || more.bytes > 0 {
            self.need_room()?;
            self.record(THE_NODE, Record::Leased(more))?;
        }
        let (left, lease) = known();
        let lease = lease.unwrap_or_default();
        // An answer that is given again may not be on the disk either.
        let position = self.state.borrow().position;
        self.durable(position).await?;
        fault::point("lease.renewed");
        let answer = |asked: Lease, amount, left| Lease { amount, more: left > Some(0), ..asked };
        Ok((answer(calls, lease.calls, left.calls), answer(bytes, lease.bytes, left.bytes)))
    }

    fn badge(&self, grant: u64, granted: &Granted, leased: Option<Leased>, other: u64) -> Result<Vec<u8>, Problem> {
        let caveats = &granted.caveats;
        let left = self.state.borrow().grants.get(grant).map(|node| node.left).unwrap_or_default();
        let lease = |left: Option<u64>, amount: u64| {
            left.map_or(Lease::UNLIMITED, |left| Lease { more: left > 0, ..Lease::of(amount) })
        };
        let peer = match self.live.borrow().processes.get(&other).map(|process| &process.kind) {
            Some(Kind::App { .. }) => Peer::App,
            Some(Kind::Shell) => Peer::Shell,
            // The powerbox itself is in no table.
            None if other == 0 => Peer::Powerbox,
            _ => Peer::Service,
        };
        encode(Badge {
            grant,
            interface: granted.interface,
            rights: caveats.rights,
            expires_at_ms: caveats.expires_at_ms,
            calls: lease(left.calls, leased.map_or(0, |leased| leased.calls)),
            bytes: lease(left.bytes, leased.map_or(0, |leased| leased.bytes)),
            methods: caveats.methods.clone(),
            peer,
            holder: holder_name(&granted.holder),
            object: granted.source.object().to_owned(),
            accounts: self.accounts(grant),
        })
    }

    /// Whose room is taken by what is stored over a grant: every grant from there upwards that has a quota.
    fn accounts(&self, grant: u64) -> Vec<Account> {
        let state = self.state.borrow();
        let above = std::iter::successors(state.grants.get(grant), |node| state.grants.get(node.granted.parent));
        let quota = |node: &Node| {
            let quota_bytes = node.granted.caveats.quota?;
            Some(Account { grant: node.granted.grant, quota_bytes })
        };
        above.filter_map(quota).collect()
    }

    /// Has the kernel make a link. It counts as open from before the kernel hears of it, so that whatever the kernel
    /// says of it finds it.
    async fn make(&self, link: u64, wanted: Wanted<'_>) -> Result<(), Problem> {
        let Wanted { grant, carries, server, client, label, server_badge, client_badge } = wanted;
        {
            let mut live = self.live.borrow_mut();
            live.links.insert(link, Link::new(grant, carries, server, client));
            if grant != 0 {
                live.open.insert(grant, link);
                // Whoever asked until now gets this one.
                live.asked_again.remove(&grant);
            }
        }
        let done = self
            .control
            .command(&[], |command| {
                let mut builder = command.init_link();
                builder.set_link(link);
                builder.set_grant(grant);
                builder.set_carries(carries);
                builder.set_server(server);
                builder.set_client(client);
                builder.set_label(label);
                builder.set_server_badge(&server_badge);
                builder.set_client_badge(&client_badge);
            })
            .await;
        let failed = match done {
            Ok(done) if done.outcome == Outcome::Ok => {
                if grant == 0 {
                    fault::point("session.made");
                } else {
                    fault::point("link.made");
                }
                return Ok(());
            }
            Ok(done) if done.outcome == Outcome::Tombstone => {
                Problem::refused(format!("grant #{grant} was taken away meanwhile. Grant anew"))
            }
            Ok(done) => Problem::refused(format!("the kernel made no link: {}. Try again", done.detail)),
            Err(problem) => problem,
        };
        self.live.borrow_mut().close(link);
        Err(failed)
    }
}

fn encode(mut badge: Badge) -> Result<Vec<u8>, Problem> {
    // A folder's process is named by its path, which may be longer than a badge takes: whoever reads a longer one ends.
    badge.holder.truncate(clip(&badge.holder, LABEL_LIMIT_BYTES).len());
    badge
        .encode()
        .map_err(|error| Problem::refused(format!("this does not fit into a badge ({error}). Choose fewer methods")))
}

/// For people, at both ends of a link.
fn holder_name(holder: &Holder) -> String {
    match holder {
        Holder::Instance(name) | Holder::Service(name) => name.clone(),
        Holder::Shell { .. } => "shell".into(),
    }
}

fn plain_badge() -> Badge {
    Badge {
        grant: 0,
        interface: 0,
        rights: Rights::ALL,
        expires_at_ms: 0,
        calls: Lease::UNLIMITED,
        bytes: Lease::UNLIMITED,
        methods: Vec::new(),
        peer: Peer::Service,
        holder: String::new(),
        object: String::new(),
        accounts: Vec::new(),
    }
}
