//! What must hold for every tree that is served: the contract of `filesystem.capnp` as statements about it, with nothing of
//! a tree's own. A service's tests run it over its tree:
//!
//! ```ignore
//! files::tree_suite!(world);
//! ```
//!
//! where `world` makes a fresh, empty tree.

mod directory;
mod file;
mod rights;
mod stream;

use vat::{Badge, Exports, Rights};

use super::link::{Client, badge, link};
use crate::limits::STREAM_CHUNK_BYTES;
use crate::problem::Problem;

pub use directory::*;
pub use file::*;
pub use rights::*;
pub use stream::*;

type Root = dyn Fn(&Badge, &Exports) -> Result<capnp::capability::Client, Problem>;

/// A tree that is served, and whatever must live as long.
pub struct World {
    root: Box<Root>,
    open_now: Box<dyn Fn() -> usize>,
    object: String,
    stream_chunk_bytes: usize,
}

impl World {
    /// What makes the root object of a link, and says how much is open. Both keep alive what they need.
    pub fn new(
        root: impl Fn(&Badge, &Exports) -> Result<capnp::capability::Client, Problem> + 'static,
        open_now: impl Fn() -> usize + 'static,
    ) -> World {
        World {
            root: Box::new(root),
            open_now: Box::new(open_now),
            object: String::new(),
            stream_chunk_bytes: STREAM_CHUNK_BYTES,
        }
    }

    /// What badges name, where the service has several objects.
    #[must_use]
    pub fn object(self, object: &str) -> World {
        World { object: object.to_owned(), ..self }
    }

    /// How long the chunks are that are streamed, where a tree has its own.
    #[must_use]
    pub fn streams_by(self, stream_chunk_bytes: usize) -> World {
        World { stream_chunk_bytes, ..self }
    }

    /// A link with these rights.
    #[must_use]
    pub fn connect(&self, rights: Rights) -> Client {
        self.link(&badge(rights))
    }

    /// A link of that grant.
    #[must_use]
    pub fn link(&self, badge: &Badge) -> Client {
        link(&Badge { object: self.object.clone(), ..badge.clone() }, &self.root)
    }

    /// How many files and directories are open.
    #[must_use]
    pub fn open_now(&self) -> usize {
        (self.open_now)()
    }

    /// Waits until no more than so many are open, while others have their turn.
    pub async fn open_at_most(&self, count: usize) {
        while self.open_now() > count {
            tokio::task::yield_now().await;
        }
    }
}

/// Runs a test with a tree, a link to it that may do everything, and another with these rights.
fn with<F: AsyncFnOnce(&World, &Client, &Client)>(make: fn() -> World, rights: Rights, test: F) {
    vat::native::run(async {
        let world = make();
        let (all, client) = (world.connect(Rights::ALL), world.connect(rights));
        test(&world, &all, &client).await;
    })
    .unwrap();
}

/// Every statement as a test over the trees that a function makes.
#[macro_export]
macro_rules! tree_suite {
    ($make:path) => {
        $crate::tree_suite! { $make:
            a_large_directory_is_listed_in_pages_each_name_once,
            pages_of_one_directory_do_not_disturb_each_other,
            long_names_make_shorter_pages,
            a_cursor_that_was_made_up_shows_nothing_else,
            entries_say_what_they_are,
            entries_are_made_renamed_and_removed,
            nothing_is_made_in_a_directory_that_was_removed,
            a_file_has_one_identity_whatever_its_name,
            calls_on_a_directory_take_effect_in_the_order_they_were_made,
            hostile_paths_are_refused_by_every_method,
            names_need_not_be_text,
            too_much_open_is_refused_and_what_is_dropped_makes_room,
            an_object_that_it_does_not_have_is_refused,
            reading_says_where_the_file_ends,
            a_read_is_at_most_a_mebibyte,
            writing_fills_gaps_with_zeros_and_truncating_cuts,
            appends_go_to_the_end_in_the_order_they_were_made,
            two_references_append_without_writing_over_each_other,
            an_open_file_stays_itself_when_it_is_removed,
            an_open_file_stays_itself_when_it_is_replaced,
            random_writes_are_read_as_in_a_model,
            read_only_holds_for_everything_below,
            append_only_adds_and_changes_nothing_anywhere_below,
            adding_without_reading_shows_nothing,
            asking_for_no_rights_is_refused,
            a_narrowed_reference_stays_narrow,
            a_stream_brings_what_was_asked_for_and_ends,
            a_slow_reader_slows_the_stream_and_loses_nothing,
            a_reader_that_never_answers_is_sent_a_bounded_number_of_bytes,
            a_stream_into_a_file_is_in_order_and_counts,
            a_stream_that_is_dropped_before_its_end_leaves_what_came,
            a_broken_stream_stays_broken,
            a_cut_in_the_middle_ends_everything_and_leaves_nothing_open,
        }
    };
    ($make:path: $($statement:ident),* $(,)?) => {
        $(
            #[test]
            fn $statement() {
                $crate::testing::suite::$statement($make);
            }
        )*
    };
}
