//! Everything in a folder and below.

use crate::entries::{Entry, Page};
use crate::error::Result;
use crate::folder::Folder;
use crate::origin::Origin;
use crate::path::join;
use capnp::capability::{Promise, Response};
use schema::filesystem_capnp::directory;
use std::borrow::Cow;
use std::fmt;
use vat::Rights;

/// Folders whose listing is on its way before their turn has come, so that a walk through small folders does not wait
/// for each. Each holds a page of at most 1,000 entries until then.
const AHEAD: usize = 16;

/// Entries of one folder that are put in order together. A larger one is ordered in parts of this size: it need not
/// be held whole. At 300 bytes each these are 3 MB.
const SORTED_LIMIT: usize = 10_000;

type Only = Box<dyn Fn(&Found) -> bool>;

type Answer = Promise<Response<directory::list_results::Owned>, capnp::Error>;

/// Something in a folder or below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    path: Vec<u8>,
    depth: usize,
    entry: Entry,
}

impl Found {
    /// Its path from where the walk began, to be shown: what is not UTF-8 in it shows as �.
    #[must_use]
    pub fn path(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.path)
    }

    /// Its path as it is.
    #[must_use]
    pub fn path_bytes(&self) -> &[u8] {
        &self.path
    }

    /// How deep it is: 1 for what is in the folder itself.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// What is known of it.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }
}

/// A walk through a folder: see [`Folder::walk`]. Links are found and not followed. What comes or goes meanwhile may or
/// may not be found.
pub struct Walk {
    folder: Folder,
    reached: Option<(Origin, directory::Client)>,
    /// What is still to come, the next one last.
    waiting: Vec<Waiting>,
    only: Option<Only>,
    max_depth: usize,
}

enum Waiting {
    /// Something found, and the listing of it where it is a folder that was looked into ahead of its turn.
    Found(Found, Option<Listing>),
    /// The next part of a folder.
    Part(Listing),
}

/// A folder that is being listed.
struct Listing {
    path: Vec<u8>,
    depth: usize,
    client: directory::Client,
    answer: Answer,
}

impl Walk {
    pub(crate) fn new(folder: Folder) -> Walk {
        Walk { folder, reached: None, waiting: Vec::new(), only: None, max_depth: usize::MAX }
    }

    /// Finds only what the function says yes to. It does not go into a folder that it says no to.
    #[must_use]
    pub fn only(self, only: impl Fn(&Found) -> bool + 'static) -> Walk {
        Walk { only: Some(Box::new(only)), ..self }
    }

    /// Finds nothing deeper than this; 1 is the folder's own entries.
    #[must_use]
    pub fn max_depth(self, max_depth: usize) -> Walk {
        Walk { max_depth, ..self }
    }

    /// The next one; nothing at the end.
    ///
    /// # Errors
    /// A folder that cannot be read; the walk goes on without it with the next call. After an error for which
    /// [`Error::is_cut`](crate::Error::is_cut) holds, it is over.
    pub async fn next(&mut self) -> Result<Option<Found>> {
        if self.reached.is_none() {
            self.begin().await?;
        }
        loop {
            self.look_ahead();
            let result = match self.waiting.pop() {
                None => return Ok(None),
                Some(Waiting::Found(found, listing)) => {
                    self.waiting.extend(listing.map(Waiting::Part));
                    return Ok(Some(found));
                }
                Some(Waiting::Part(listing)) => self.list(listing).await,
            };
            if let Err(error) = result {
                if error.is_cut() {
                    self.waiting.clear();
                }
                return Err(error);
            }
        }
    }

    async fn begin(&mut self) -> Result<()> {
        let (origin, client) = self.folder.reach().await?;
        if self.max_depth > 0 {
            let answer = list(&client, 0);
            self.waiting.push(Waiting::Part(Listing { path: Vec::new(), depth: 0, client: client.clone(), answer }));
        }
        self.reached = Some((origin, client));
        Ok(())
    }

    /// Asks for the listing of the folders whose turn comes next. Each is asked before it is handed out, so that its
    /// part always follows it.
    fn look_ahead(&mut self) {
        let Some((_, root)) = &self.reached else { return };
        let max_depth = self.max_depth;
        let folders = self.waiting.iter_mut().rev().filter_map(|waiting| match waiting {
            Waiting::Found(found, listing) if found.entry.is_folder() && found.depth < max_depth => {
                Some((found, listing))
            }
            _ => None,
        });
        for (found, listing) in folders.take(AHEAD) {
            listing.get_or_insert_with(|| {
                let mut request = root.open_directory_request();
                request.get().set_path(&found.path);
                Rights::READ.write_to(request.get().init_rights());
                let client = request.send().pipeline.get_directory();
                let answer = list(&client, 0);
                Listing { path: found.path.clone(), depth: found.depth, client, answer }
            });
        }
    }

    /// Takes in a folder's next part.
    async fn list(&mut self, listing: Listing) -> Result<()> {
        let Some((origin, _)) = &self.reached else { return Ok(()) };
        let shown = self.folder.shown(&listing.path);
        let mut found = Vec::new();
        let mut answer = listing.answer;
        let rest = loop {
            let response = origin.settle(answer, &shown).await?;
            let page = Page::read_from(&response).map_err(origin.malformed(&shown))?;
            found.extend(page.entries.into_iter().map(|entry| Found {
                path: join(&listing.path, entry.name_bytes()),
                depth: listing.depth + 1,
                entry,
            }));
            if page.end {
                break None;
            }
            answer = list(&listing.client, page.cursor);
            if found.len() >= SORTED_LIMIT {
                break Some(answer);
            }
        };
        if let Some(only) = &self.only {
            found.retain(|found| only(found));
        }
        // the next one last
        found.sort_unstable_by(|left, right| right.path.cmp(&left.path));
        self.waiting.extend(rest.map(|answer| Waiting::Part(Listing { answer, ..listing })));
        self.waiting.extend(found.into_iter().map(|found| Waiting::Found(found, None)));
        Ok(())
    }
}

fn list(client: &directory::Client, cursor: u64) -> Answer {
    let mut request = client.list_request();
    request.get().set_cursor(cursor);
    request.send().promise
}

impl fmt::Debug for Walk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Walk").field("folder", &self.folder).finish_non_exhaustive()
    }
}
