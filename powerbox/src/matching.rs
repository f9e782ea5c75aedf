//! Which offers fit a request, and how offers are written. Pure.

use vat::words::Rights;

use crate::grants::Tree;
use crate::record::{Folder, Source, interface_name};

/// What a folder's offer begins with.
const HOST: &str = "host:";
/// How it is written that any folder can be named.
pub const HOST_RESOLVER: &str = "host:PATH";
/// The system's words for who serves a folder.
pub const HOST_PROVIDER: &str = "folder (this host)";

/// Something grantable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// As it is written in a grant.
    pub name: String,
    /// What serves it; nothing for a resolver.
    pub source: Option<Source>,
    /// Schema id.
    pub interface: u64,
    /// The most that it can be granted with.
    pub rights: Rights,
    /// How many grants are alive on it.
    pub grants: u32,
}

impl Offer {
    /// The system's words for who serves it.
    #[must_use]
    pub fn provider(&self) -> &'static str {
        HOST_PROVIDER
    }

    /// Its interface, for people.
    #[must_use]
    pub fn interface_name(&self) -> String {
        interface_name(self.interface)
    }
}

/// The schema id of directories.
#[must_use]
pub fn directory() -> u64 {
    use capnp::traits::HasTypeId;
    schema::filesystem_capnp::directory::Client::TYPE_ID
}

/// How the offer of a folder is written.
#[must_use]
pub fn folder_offer(folder: &Folder) -> String {
    format!("{HOST}{}", folder.path)
}

/// Every offer: the folders that grants are on, and what takes a string. Only grants made directly on an offer show
/// it: what hangs below them is the same object.
#[must_use]
pub fn offers(grants: &Tree) -> Vec<Offer> {
    let mut found: Vec<Offer> = Vec::new();
    for (_, node) in grants.iter() {
        let granted = &node.granted;
        let alive = u32::from(node.ended.is_none());
        match found.iter_mut().find(|offer| offer.name == granted.offer) {
            Some(offer) => {
                offer.grants += alive;
                // The latest folder at that path is the one that counts.
                offer.source = Some(granted.source.clone());
            }
            None => found.push(Offer {
                name: granted.offer.clone(),
                source: Some(granted.source.clone()),
                interface: granted.interface,
                rights: Rights::ALL,
                grants: alive,
            }),
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found.push(Offer {
        name: HOST_RESOLVER.into(),
        source: None,
        interface: directory(),
        rights: Rights::ALL,
        grants: 0,
    });
    found
}

/// The names of the offers that could answer a request for this interface, resolvers first.
#[must_use]
pub fn providers(offers: &[Offer], interface: u64) -> Vec<String> {
    let mut names: Vec<String> = offers
        .iter()
        .filter(|offer| offer.interface == interface && offer.source.is_none())
        .map(|offer| offer.name.clone())
        .collect();
    names.extend(
        offers
            .iter()
            .filter(|offer| offer.interface == interface && offer.source.is_some())
            .map(|offer| offer.name.clone()),
    );
    names
}

/// What a person names: a grant by number, or what an instance holds by label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `#12`.
    Grant(u64),
    /// `search:dir`.
    Held {
        /// The instance.
        instance: String,
        /// The label.
        label: String,
    },
    /// `host:/home/ada/docs`.
    Offer(String),
    /// `search`: an instance, with all that it holds.
    Instance(String),
}

impl Target {
    /// What the words name.
    #[must_use]
    pub fn parse(words: &str) -> Target {
        if let Some(number) = words.strip_prefix('#').and_then(|digits| digits.parse().ok()) {
            return Target::Grant(number);
        }
        match words.split_once(':') {
            Some(("host", _)) => Target::Offer(words.to_owned()),
            Some((instance, label)) => Target::Held { instance: instance.to_owned(), label: label.to_owned() },
            None => words.parse().map_or_else(|_| Target::Instance(words.to_owned()), Target::Grant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_an_object_is_understood() {
        assert_eq!(Target::parse("#12"), Target::Grant(12));
        assert_eq!(Target::parse("12"), Target::Grant(12));
        assert_eq!(Target::parse("host:/a:b"), Target::Offer("host:/a:b".into()));
        let held = Target::Held { instance: "search#2".into(), label: "dir".into() };
        assert_eq!(Target::parse("search#2:dir"), held);
        assert_eq!(Target::parse("search#2"), Target::Instance("search#2".into()));
    }

    #[test]
    fn only_what_serves_the_interface_is_proposed() {
        let offers = offers(&Tree::default());
        assert_eq!(providers(&offers, directory()), [HOST_RESOLVER]);
        assert!(providers(&offers, 7).is_empty());
    }
}
