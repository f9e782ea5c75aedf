//! The Landlock layer: everything that it knows is taken away, except beneath one folder.

use std::os::fd::BorrowedFd;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, make_bitflags,
};

use super::ConfineError;
use crate::door::Confinement;
use crate::words::Rights;

/// The newest rights that were looked at. A machine that knows fewer handles what it knows.
const NEWEST: ABI = ABI::V9;

/// From this version on, abstract sockets and signals stay inside.
const SCOPES_SINCE: u32 = 6;

/// What is left beneath a folder. Nothing may be executed or be a device, a socket or a FIFO. Symbolic links may be
/// made, because Landlock takes renaming one for making it; the layer above never follows one out of the folder.
fn beneath(rights: Rights) -> BitFlags<AccessFs> {
    let mut access = BitFlags::<AccessFs>::empty();
    if rights.read {
        access |= make_bitflags!(AccessFs::{ReadFile | ReadDir});
    }
    if rights.append || rights.write {
        access |= make_bitflags!(AccessFs::{WriteFile | MakeReg | MakeDir});
    }
    if rights.write {
        access |= make_bitflags!(AccessFs::{Truncate | RemoveFile | RemoveDir | Refer | MakeSym});
    }
    access
}

/// Applies the rules and notes the result. Returns whether anything is enforced; whatever part of the newest rights
/// the machine does not know is not handled.
pub(super) fn apply(folder: Option<(BorrowedFd<'_>, Rights)>, report: &mut Confinement) -> Result<bool, ConfineError> {
    let status = restrict(folder).map_err(|error| ConfineError::Landlock(error.to_string()))?;
    let LandlockStatus::Available { effective_abi, kernel_abi } = status.landlock else {
        report.missing.push("landlock".to_owned());
        return Ok(false);
    };
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err(ConfineError::Landlock("the rules were not enforced".to_owned()));
    }
    let version = kernel_abi.map_or(effective_abi as u32, i32::unsigned_abs);
    report.applied.push(format!("landlock {version}"));
    if version < SCOPES_SINCE {
        report.missing.push("landlock scopes".to_owned());
    }
    Ok(true)
}

fn restrict(folder: Option<(BorrowedFd<'_>, Rights)>) -> Result<landlock::RestrictionStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    if let Some((folder, rights)) = folder
        && !beneath(rights).is_empty()
    {
        rules = rules.add_rule(PathBeneath::new(folder, beneath(rights)))?;
    }
    rules.restrict_self()
}
