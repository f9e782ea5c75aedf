//! A copy of the index, of nothing but rows that were seen. What the database finds by a key it finds by inner nodes of its own, which
//! nothing proves: who has the disk can lead them past the rows that are there when all are counted. In a database that was made of
//! these rows alone there is no such way.

use std::path::{Path, PathBuf};

use super::folder;
use super::rows;
use super::table::{Index, IndexError, Sum, guarded, open_database};

/// Rows that are written together: 1 MB.
const TOGETHER_ROWS: u64 = 5_000;

impl Index {
    /// This index, if its rows are those that it had, in a database that consists of them. It takes as long as to write them all.
    pub(crate) fn verified(self, path: &Path) -> Result<Self, IndexError> {
        if self.position.sequence == 0 {
            return self.verify().map(|()| self);
        }
        let beside = beside(path);
        remove(&beside)?;
        let copied = guarded(|| self.copy_to(&beside));
        let keys = self.keys.clone();
        drop(self);
        if let Err(error) = copied {
            remove(&beside)?;
            return Err(error);
        }
        remove(path)?;
        std::fs::rename(&beside, path).map_err(|error| IndexError(error.to_string()))?;
        Self::open(path, &keys)
    }

    fn copy_to(&self, path: &Path) -> Result<(), IndexError> {
        let copy = open_database(path)?;
        let (mut count, mut sum, mut batch) = (0, Sum::default(), sled::Batch::default());
        for row in self.database.iter() {
            let (key, value) = row?;
            if *key != *rows::POSITION {
                count += 1;
                sum.add(Sum::of_row(&self.keys, &key, &value));
            }
            if count > self.position.rows {
                break;
            }
            batch.insert(key, value);
            if count % TOGETHER_ROWS == 0 {
                copy.apply_batch(std::mem::take(&mut batch))?;
            }
        }
        copy.apply_batch(batch)?;
        copy.flush()?;
        self.position.is_of(count, sum)
    }

    /// Takes away an index that nobody has open.
    pub(crate) fn remove(path: &Path) -> Result<(), IndexError> {
        remove(path)
    }

    /// Takes away what an earlier copying may have left.
    pub(crate) fn remove_copy(path: &Path) -> Result<(), IndexError> {
        remove(&beside(path))
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".copy");
    PathBuf::from(name)
}

fn remove(there: &Path) -> Result<(), IndexError> {
    folder::remove(there).map_err(|error| IndexError(format!("what was there before cannot be removed: {error}")))
}
