mod disk;
mod life;
mod power;

use super::*;
use crate::problem::Word;
use crate::tpm::NoTpm;
use disk::Disk;

const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

fn passphrase(text: &str) -> Protection {
    Protection::Passphrase(Zeroizing::new(text.as_bytes().to_vec()))
}

/// A node that finds this disk at its start.
fn keeper(disk: &Disk) -> Keeper {
    let keeper = Keeper::new(Box::new(disk.clone()), Box::new(NoTpm), CHEAP).unwrap();
    keeper.start();
    keeper
}

fn word<T>(result: Result<T, Problem>) -> Word {
    result.err().expect("is refused").word()
}
