//! From what a person wrote to what the node takes.

use schema::operator_capnp::{budget, choice};
use vat::{Method, Rights};

use crate::failure::Outcome;
use crate::folder::Folder;
use crate::guarded::{self, Guarded};
use crate::node::Node;
use crate::spec::grant::Given;
use crate::spec::target::Target;
use crate::text::escape;
use crate::text::time::now_ms;

/// What objects of the node's services begin with: any of them can be named, whether or not it is listed.
const SERVICES: [&str; 2] = ["storage:", "keys:"];

fn is_of_service(name: &str) -> bool {
    SERVICES.iter().any(|service| name.starts_with(service))
}

/// An object that a person named, found and not given yet.
#[derive(Debug)]
pub(crate) enum Found {
    /// A folder of this machine, open.
    Folder(Folder),
    /// What the node has already.
    Known(Object),
}

/// An object as the node knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Object {
    /// The token of a folder that went through the door.
    Folder(u64),
    /// One of the node's offers.
    Offer(String),
    /// What is already granted: `instance:label` or `#12`.
    Target(String),
}

/// What a person picks for a request.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) object: Object,
    pub(crate) rights: Rights,
    pub(crate) expires_at_ms: u64,
    pub(crate) calls: Option<u64>,
    pub(crate) bytes: Option<u64>,
    pub(crate) quota: Option<u64>,
    pub(crate) methods: Vec<Method>,
}

impl Choice {
    /// That object, with those rights and nothing else.
    pub(crate) fn plain(object: Object, rights: Rights) -> Self {
        Self { object, rights, expires_at_ms: 0, calls: None, bytes: None, quota: None, methods: Vec::new() }
    }

    /// What was given, of what was found for it, with these rights, which are those of [`Found::share`]. A folder is sent to
    /// the node.
    pub(crate) async fn of(node: &Node, found: Found, given: &Given, rights: Rights) -> Outcome<Self> {
        Ok(Self {
            object: found.send(node).await?,
            rights,
            expires_at_ms: given.expires_in_ms.map_or(0, |span| now_ms().saturating_add(span)),
            calls: given.calls,
            bytes: given.bytes,
            quota: given.quota,
            methods: given.methods.clone(),
        })
    }

    pub(super) fn write_to(&self, mut builder: choice::Builder<'_>) {
        match &self.object {
            Object::Folder(token) => builder.set_folder(*token),
            Object::Offer(name) => builder.set_offer(name),
            Object::Target(name) => builder.set_target(name),
        }
        self.rights.write_to(builder.reborrow().init_rights());
        builder.set_expires_at_ms(self.expires_at_ms);
        write_budget(self.calls, builder.reborrow().init_calls());
        write_budget(self.bytes, builder.reborrow().init_bytes());
        write_budget(self.quota, builder.reborrow().init_quota());
        let mut methods = builder.init_methods(self.methods.len() as u32);
        for (index, method) in (0..).zip(&self.methods) {
            method.write_to(methods.reborrow().get(index));
        }
    }
}

impl Found {
    /// Finds what is to be given to an app: nothing that is guarded, unless the person insists.
    pub(crate) async fn given(node: &Node, given: &Given) -> Outcome<Self> {
        let guarded = if given.force { Vec::new() } else { guarded::all(node.state().path()) };
        Self::find(node, &given.target, &guarded).await
    }

    /// Opens a folder with the person's own rights, but none of those guarded; tells an offer from a target by the
    /// node's list.
    pub(crate) async fn find(node: &Node, target: &Target, guarded: &[Guarded]) -> Outcome<Self> {
        Ok(match target {
            Target::Host(path) => Self::Folder(Folder::open(path, guarded)?),
            Target::Grant(grant) => Self::Known(Object::Target(format!("#{grant}"))),
            Target::Named(name) => {
                let listed = is_of_service(name) || node.offers().await?.iter().any(|offer| offer.name == *name);
                Self::Known(if listed { Object::Offer(name.clone()) } else { Object::Target(name.clone()) })
            }
        })
    }

    /// The rights that are given of it: what the person wrote, else all that was asked for, and never more than was asked
    /// for or than there is. The node holds to the same; here it is known before the person says yes.
    pub(crate) async fn share(&self, node: &Node, given: &Given, asked: Rights) -> Outcome<Rights> {
        let there_is = match self {
            Self::Folder(_) | Self::Known(Object::Folder(_)) => None,
            // All of it, whoever was given how much of it before.
            Self::Known(Object::Offer(name)) if is_of_service(name) => None,
            Self::Known(Object::Offer(name)) => {
                node.offers().await?.into_iter().find(|offer| offer.name == *name).map(|offer| offer.rights)
            }
            Self::Known(Object::Target(name)) => {
                node.grants(false).await?.into_iter().find(|grant| grant.is_called(name)).map(|grant| grant.rights)
            }
        };
        // What is not there any more is refused by the node, which says so better.
        Ok(given.rights.unwrap_or(asked).intersect(asked).intersect(there_is.unwrap_or(Rights::ALL)))
    }

    /// As the node takes it; a folder is sent there.
    pub(crate) async fn send(self, node: &Node) -> Outcome<Object> {
        match self {
            Self::Folder(folder) => Ok(Object::Folder(folder.send(node).await?)),
            Self::Known(object) => Ok(object),
        }
    }
}

/// For people: a folder by where it really is.
impl std::fmt::Display for Found {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(folder) => write!(formatter, "host:{}", escape::path(folder.path())),
            Self::Known(Object::Target(name)) => match name.strip_prefix('#') {
                Some(grant) => write!(formatter, "a part of #{}", escape::line(grant)),
                None => formatter.write_str(&escape::line(name)),
            },
            Self::Known(Object::Offer(name)) => formatter.write_str(&escape::line(name)),
            Self::Known(Object::Folder(_)) => formatter.write_str("a folder"),
        }
    }
}

fn write_budget(limit: Option<u64>, mut builder: budget::Builder<'_>) {
    builder.set_limited(limit.is_some());
    builder.set_amount(limit.unwrap_or(0));
}
