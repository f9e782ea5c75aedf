//! The store as commands use it: over a link to its own process.

use capnp::capability::RemotePromise;
use capnp::traits::{Owned, Pipelined};
use schema::filesystem_word::Word;
use schema::storage_capnp::store;
use vat::Rights;

use crate::ask::{Choice, Object};
use crate::failure::{Failure, Outcome};
use crate::node::{Node, Opened};

/// What the link is labelled at the shell's door.
const LABEL: &str = "store";
/// The offer of the whole store.
const OFFER: &str = "storage:store";

/// The whole store, for its operator.
pub(crate) async fn store(node: &Node) -> Outcome<Opened<store::Client>> {
    node.open(&Choice::plain(Object::Offer(OFFER.to_owned()), Rights::ALL), LABEL).await?;
    node.object(LABEL).await
}

/// Waits for an answer; what the store refuses is told with what to do next.
pub(crate) async fn ask<R: Owned + Pipelined + 'static>(
    sent: RemotePromise<R>,
) -> Outcome<capnp::capability::Response<R>> {
    sent.promise.await.map_err(|error| explain(Failure::from(error)))
}

/// The same for a check: what it says of damage is all that is known of it.
pub(crate) fn explain_check(failure: Failure) -> Failure {
    let (word, bare) = failure.clone().split_word(Word::from_text);
    if matches!(word, Some(Word::Damaged)) { bare } else { explain(failure) }
}

/// Takes off the word for programs that a failure begins with, and says what to do.
pub(crate) fn explain(failure: Failure) -> Failure {
    let (word, failure) = failure.split_word(Word::from_text);
    match word {
        Some(Word::Locked) => failure.next("latch keys says whether there are keys, and whether they are open"),
        Some(Word::Damaged) => failure.next("latch fsck says what is damaged"),
        Some(Word::NoSpace) => failure.next("make room on the disk with the state, or: latch store compact"),
        Some(Word::Io) => failure.next("latch status"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_refuses_comes_with_what_to_do() {
        let told = |text: &str| explain(Failure::new(text)).to_string();
        assert!(told("locked: the node's keys are locked").starts_with("latch: the node's keys are locked\n  next: "));
        assert!(told("damaged: segment 3 at 77").ends_with("next: latch fsck says what is damaged"));
        let damage = explain_check(Failure::new("damaged: segment 3 at 77")).to_string();
        assert_eq!(damage, "latch: segment 3 at 77", "not to the same check again");
        assert!(explain_check(Failure::new("locked: x")).to_string().contains("next: latch keys"));
        assert_eq!(told("notFound: there is nothing of that name"), "latch: there is nothing of that name");
        assert_eq!(told("something else: x"), "latch: something else: x");
    }
}
