//! Landlock: what programs may do with files, said once more where no mount and no capability can change it. A
//! folder of the host that got into a sandbox all the same would be beneath no rule, and so out of reach.

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, Scope,
};

use crate::{LaunchError, Step, sys};

/// The newest that is known here; of an older kernel's is used what there is.
const NEWEST: ABI = ABI::V6;
/// The oldest that serves: before it, nothing could be moved from one folder to another.
const OLDEST: u32 = 2;

/// The kernel's version of Landlock; `None` where there is none, or none that serves.
pub fn abi() -> Option<u32> {
    sys::landlock_abi().ok().filter(|abi| OLDEST <= *abi)
}

/// Restricts this process and all that come from it. Does nothing where the kernel has no Landlock: it is a second lock.
pub(crate) fn restrict() -> Result<(), LaunchError> {
    if abi().is_none() {
        return Ok(());
    }
    let failed = |error: &dyn std::error::Error| LaunchError::new(Step::Landlock, "restrict the sandbox", error);
    let root = PathFd::new("/").map_err(|error| failed(&error))?;
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|ruleset| ruleset.scope(Scope::AbstractUnixSocket | Scope::Signal))
        .and_then(Ruleset::create)
        .and_then(|ruleset| ruleset.add_rule(PathBeneath::new(root, allowed())))
        .and_then(landlock::RulesetCreated::restrict_self);
    ruleset.map(drop).map_err(|error| failed(&error))
}

/// Everything but device files.
fn allowed() -> BitFlags<AccessFs> {
    AccessFs::from_all(NEWEST) & !(AccessFs::MakeChar | AccessFs::MakeBlock)
}
