//! The index: where everything is. It holds no secret and nothing that the segments do not say; it is thrown away and built
//! anew whenever it does not fit them.

mod apply;
mod content;
mod copy;
mod folder;
mod kept;
mod rows;
mod table;
mod transaction;

pub(crate) use apply::{apply, apply_one, comes_first, drop_segment, note_segment, release, settle};
pub(crate) use folder::check as check_folder;
pub(crate) use kept::shown_by;
pub(crate) use rows::*;
pub(crate) use table::{Index, IndexError, Sum, row_damaged};
pub(crate) use transaction::{Ready, Transaction};
