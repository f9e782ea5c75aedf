//! Questions to the powerbox, each a plain function on [`Node`]: rows in, rows out, no capability in sight.

mod apps;
mod choice;
mod grants;
mod record;

pub(crate) use apps::Run;
pub(crate) use choice::{Choice, Found, Object};
pub(crate) use grants::Revocation;

use std::future::Future;

use crate::failure::Outcome;

/// One page of a listing and the cursor of the next, 0 for none.
type Page<T> = (Vec<T>, u64);

/// All pages of a listing.
async fn pages<T, F: Future<Output = Outcome<Page<T>>>>(page: impl Fn(u64) -> F) -> Outcome<Vec<T>> {
    let (mut rows, mut cursor) = page(0).await?;
    while cursor != 0 {
        let (more, next) = page(cursor).await?;
        rows.extend(more);
        cursor = next;
    }
    Ok(rows)
}

/// Reads every element of a list of structs.
macro_rules! rows {
    ($list:expr, $read:path) => {
        $list?.iter().map($read).collect::<crate::failure::Outcome<Vec<_>>>()?
    };
}
use rows;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_to_the_end() {
        let listing = pages(|cursor| async move {
            let rows = vec![cursor, cursor + 1];
            Ok((rows, if cursor < 4 { cursor + 2 } else { 0 }))
        });
        assert_eq!(futures::executor::block_on(listing), Ok(vec![0, 1, 2, 3, 4, 5]));
    }
}
