//! Which offers fit a request, and how offers are written. Pure.

use std::collections::{BTreeMap, HashSet};

use capnp::traits::HasTypeId;
use vat::words::Rights;

use crate::grants::Tree;
use crate::record::{Folder, Service, Source, interface_name};
use crate::services::serves;

/// What a folder's offer begins with.
const HOST: &str = "host:";
/// How it is written that any folder can be named.
pub const HOST_RESOLVER: &str = "host:PATH";
/// The system's words for who serves a folder.
pub const HOST_PROVIDER: &str = "folder (this host)";

/// How it is written that any folder of the store can be named.
pub const STORE_RESOLVER: &str = "storage:/PATH";

/// The system's words for who serves an object.
#[must_use]
pub fn provider(source: &Source) -> &'static str {
    match source {
        Source::Folder(_) => HOST_PROVIDER,
        Source::Object(object) => match object.service {
            Service::Keys => "keys (this node)",
            Service::Storage => "storage (this node)",
        },
    }
}

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
    /// How many grants offer it.
    pub grants: u32,
}

impl Offer {
    /// The system's words for who serves it.
    #[must_use]
    pub fn provider(&self) -> &'static str {
        match &self.source {
            Some(source) => provider(source),
            None if self.name == STORE_RESOLVER => "storage (this node)",
            None => HOST_PROVIDER,
        }
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
    schema::filesystem_capnp::directory::Client::TYPE_ID
}

/// How the offer of a folder is written.
#[must_use]
pub fn folder_offer(folder: &Folder) -> String {
    format!("{HOST}{}", folder.path)
}

/// Every offer at this time: the folders that grants are on, and what takes a string. Only grants that people made
/// directly on a folder offer it, while they are alive and nobody is `ending` them: what hangs below them is the same
/// object, and what a shell uses itself is for nobody else. An offer's rights are those that these grants have
/// together: who picks it gets nothing that a person has not given of it before.
#[must_use]
pub fn offers(grants: &Tree, ending: &HashSet<u64>, now_ms: u64) -> Vec<Offer> {
    let mut found: BTreeMap<&str, Offer> = BTreeMap::new();
    for (grant, node) in grants.iter() {
        let granted = &node.granted;
        let expires_at_ms = granted.caveats.expires_at_ms;
        let is_over = node.ended.is_some() || ending.contains(grant) || (1..=now_ms).contains(&expires_at_ms);
        if is_over || granted.parent != 0 || granted.transient || granted.holder.is_own() {
            continue;
        }
        let new = || Offer {
            name: granted.offer.clone(),
            source: Some(granted.source.clone()),
            interface: granted.interface,
            rights: Rights::NONE,
            grants: 0,
        };
        let offer = found.entry(&granted.offer).or_insert_with(new);
        // Whoever may have it as more than a directory may have it as one.
        if serves(granted.interface, offer.interface) {
            offer.interface = granted.interface;
        }
        if offer.source.as_ref() != Some(&granted.source) {
            // The latest folder at that path is the one that counts, with what was given of that one.
            *offer = new();
        }
        offer.grants += 1;
        offer.rights = union(offer.rights, granted.caveats.rights);
    }
    let resolver =
        |name: &str, interface| Offer { name: name.into(), source: None, interface, rights: Rights::ALL, grants: 0 };
    let stored = schema::storage_capnp::stored_directory::Client::TYPE_ID;
    let resolvers = [resolver(HOST_RESOLVER, directory()), resolver(STORE_RESOLVER, stored)];
    found.into_values().chain(resolvers).collect()
}

fn union(one: Rights, other: Rights) -> Rights {
    Rights { read: one.read || other.read, append: one.append || other.append, write: one.write || other.write }
}

/// The names of the offers that could answer a request for this interface, resolvers first.
#[must_use]
pub fn providers(offers: &[Offer], interface: u64) -> Vec<String> {
    let mut names: Vec<String> = offers
        .iter()
        .filter(|offer| serves(offer.interface, interface) && offer.source.is_none())
        .map(|offer| offer.name.clone())
        .collect();
    names.extend(
        offers
            .iter()
            .filter(|offer| serves(offer.interface, interface) && offer.source.is_some())
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
            Some((service, _)) if service == "host" || Service::from_name(service).is_some() => {
                Target::Offer(words.to_owned())
            }
            Some((instance, label)) => Target::Held { instance: instance.to_owned(), label: label.to_owned() },
            None => words.parse().map_or_else(|_| Target::Instance(words.to_owned()), Target::Grant),
        }
    }
}

#[cfg(test)]
mod tests {
    use vat::words::EndReason;

    use super::*;
    use crate::caveats::{Caveats, Left};
    use crate::grants::{End, Node};
    use crate::record::{Granted, Holder};

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
        let offers = offers(&Tree::default(), &HashSet::new(), 0);
        assert_eq!(providers(&offers, directory()), [HOST_RESOLVER, STORE_RESOLVER]);
        assert!(providers(&offers, 7).is_empty());
    }
    fn granted(grant: u64, offer: &str, rights: Rights) -> Granted {
        Granted {
            grant,
            parent: 0,
            holder: Holder::Instance("search".into()),
            label: format!("l{grant}"),
            offer: offer.into(),
            source: Source::Folder(Folder { path: offer.into(), ..Folder::default() }),
            interface: directory(),
            caveats: Caveats { rights, ..Caveats::default() },
            transient: false,
        }
    }

    fn tree(granted: impl IntoIterator<Item = Granted>) -> Tree {
        let mut tree = Tree::default();
        for granted in granted {
            let node = Node {
                granted,
                at_ms: 1,
                by: String::new(),
                position: 1,
                reason: String::new(),
                left: Left::default(),
                lease: None,
                ended: None,
            };
            tree.insert(node).unwrap();
        }
        tree
    }

    /// What of folders is offered at this time: the name, the rights, how many grants.
    fn offered(tree: &Tree, ending: &[u64], now_ms: u64) -> Vec<(String, Rights, u32)> {
        let offers = offers(tree, &ending.iter().copied().collect(), now_ms);
        let folders = offers.into_iter().filter(|offer| offer.source.is_some());
        folders.map(|offer| (offer.name, offer.rights, offer.grants)).collect()
    }

    #[test]
    fn an_offer_has_the_rights_that_were_given_and_no_more() {
        let append = Rights { append: true, ..Rights::NONE };
        let tree = tree([
            granted(1, "host:/a", Rights::READ),
            granted(2, "host:/b", Rights::READ),
            granted(3, "host:/b", append),
            Granted { parent: 1, ..granted(4, "host:/a", Rights::READ) },
            Granted { transient: true, ..granted(5, "host:/a", Rights::ALL) },
        ]);
        let both = Rights { append: true, ..Rights::READ };
        let expected = [("host:/a".to_owned(), Rights::READ, 1), ("host:/b".to_owned(), both, 2)];
        assert_eq!(offered(&tree, &[], 1), expected);
    }

    #[test]
    fn what_is_over_is_not_offered() {
        let mut expiring = granted(1, "host:/a", Rights::READ);
        expiring.caveats.expires_at_ms = 100;
        let mut tree = tree([expiring, granted(2, "host:/b", Rights::ALL)]);
        assert_eq!(offered(&tree, &[], 99).len(), 2);
        assert_eq!(offered(&tree, &[], 100), [("host:/b".to_owned(), Rights::ALL, 1)]);
        assert_eq!(offered(&tree, &[2], 100), []);
        let end = End { at_ms: 1, by: String::new(), reason: EndReason::Revoked, detail: String::new() };
        tree.end(&[2], &end);
        assert_eq!(offered(&tree, &[], 100), []);
    }

    #[test]
    fn rights_on_the_folder_before_are_not_rights_on_the_one_that_took_its_place() {
        let mut other = granted(2, "host:/a", Rights::READ);
        other.source = Source::Folder(Folder { path: "host:/a".into(), inode: 9, ..Folder::default() });
        let tree = tree([granted(1, "host:/a", Rights::ALL), other]);
        assert_eq!(offered(&tree, &[], 1), [("host:/a".to_owned(), Rights::READ, 1)]);
    }
}
