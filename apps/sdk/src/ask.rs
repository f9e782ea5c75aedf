//! Asking for an object.

use crate::context::Context;
use crate::error::Result;
use crate::object::Object;
use crate::session::Question;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use vat::Rights;

/// Asks for an object: under a label of the app's own that its manifest announces, with a reason that is shown to
/// the person as the app's words. Which object is meant follows from the type that is wanted:
///
/// ```no_run
/// # async fn example() -> sdk::Result<()> {
/// use sdk::{Folder, ask};
/// let notes: Folder = ask("notes", "to keep your notes in").read().append().await?;
/// # Ok(()) }
/// ```
///
/// The same label again gives the same object, without another question: also in the next run, if the grant is kept.
#[must_use = "nothing is asked before it is awaited"]
pub fn ask<O: Object>(label: &str, reason: &str) -> Ask<O> {
    Ask { label: label.to_owned(), reason: reason.to_owned(), hint: String::new(), rights: None, object: PhantomData }
}

/// Gives back what was asked for under that label. The grant is ended and recorded, with everything that was obtained
/// through it: every call fails from then on. Asked for again, it is a new question. Where nothing is held, nothing
/// happens.
///
/// # Errors
/// The node refuses it; it was not given back then.
pub async fn release(label: &str) -> Result<()> {
    let context = Context::current();
    let held = context.held(label);
    if held.is_asked() {
        context.session.release(label).await?;
        held.give_back();
    }
    Ok(())
}

/// A request that was not sent yet: see [`ask`]. Awaiting it sends it, and waits until a person has decided
/// and the object is there.
#[derive(Debug)]
#[must_use = "nothing is asked before it is awaited"]
pub struct Ask<O> {
    label: String,
    reason: String,
    hint: String,
    /// Everything, where nothing was said.
    rights: Option<Rights>,
    object: PhantomData<fn() -> O>,
}

impl<O: Object> Ask<O> {
    /// To see: list and read. Alone: only that.
    pub fn read(self) -> Self {
        self.also(Rights::READ)
    }

    /// To add what was not there. What exists does not change. Alone: only that, and what exists is not seen either;
    /// `.read().append()` asks for both.
    pub fn append(self) -> Self {
        self.also(Rights::APPEND)
    }

    /// To see and to change. This is the default.
    pub fn write(self) -> Self {
        self.also(Rights::ALL)
    }

    /// Exactly these rights.
    pub fn rights(self, rights: Rights) -> Self {
        Ask { rights: Some(rights), ..self }
    }

    fn also(self, rights: Rights) -> Self {
        let rights = self.rights.unwrap_or(Rights::NONE).union(rights);
        self.rights(rights)
    }

    /// What the app has in mind, such as "the folder to search in": shown to the person who chooses, as the app's
    /// words.
    pub fn hint(self, hint: &str) -> Self {
        Ask { hint: hint.to_owned(), ..self }
    }
}

impl<O: Object + 'static> IntoFuture for Ask<O> {
    type Output = Result<O>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<O>>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let context = Context::current();
            let question = Question {
                interface: O::INTERFACE,
                hint: &self.hint,
                rights: self.rights.unwrap_or(Rights::ALL),
                reason: &self.reason,
                label: &self.label,
            };
            let held = context.held(&self.label);
            held.reopen();
            context.session.ask(&question).await?;
            held.get().await?;
            Ok(O::from_held(held))
        })
    }
}
