//! Users on the host for each sandbox: a range of numbers that no other sandbox of this node has, so that what
//! belongs to one sandbox is nobody's to another, even where both are root inside.
//!
//! A claim is a link from the range's first number to the sandbox's id, made by one system call or not at all. A
//! link to a sandbox that has no folder is nobody's.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use sentinal_engine::{EngineError, host::InstanceFolder};
use sentinal_launcher::Plan;
use sentinal_model::SandboxId;

/// Where the ranges lie, as with systemd-nspawn: above all users that distributions hand out.
const FIRST: u32 = 0x0008_0000;
const END: u32 = 0x6FFF_0000;
const RANGES: u32 = (END - FIRST) / Plan::USERS;

/// Digits at the end of an id that are looked at.
const RANDOM_DIGITS: usize = 8;

/// The ranges of one node.
#[derive(Debug)]
pub(crate) struct Users {
    engine: PathBuf,
    /// One claim at a time, so that what is nobody's is not taken away from somebody.
    alone: Mutex<()>,
}

impl Users {
    pub(crate) fn new(engine: &Path) -> Self {
        Self { engine: engine.to_owned(), alone: Mutex::new(()) }
    }

    /// The first number of a range for this sandbox, whose folder exists.
    pub(crate) fn claim(&self, folder: &InstanceFolder) -> Result<u32, EngineError> {
        let _alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        let claims = self.engine.join("users");
        fs::create_dir_all(&claims).map_err(EngineError::io("make", &claims))?;
        for attempt in 0..RANGES {
            let first = FIRST + (start(folder.id()) + attempt) % RANGES * Plan::USERS;
            write_first_id(folder, first)?;
            if self.try_claim(&claims.join(first.to_string()), folder.id())? {
                return Ok(first);
            }
        }
        Err(EngineError::io("find free users in", &claims)(io::ErrorKind::QuotaExceeded.into()))
    }

    /// Gives back what the sandbox claimed. Succeeds when that was nothing.
    pub(crate) fn release(&self, folder: &InstanceFolder) -> Result<(), EngineError> {
        let _alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = first_id(folder) else { return Ok(()) };
        let claim = self.engine.join("users").join(first.to_string());
        if owner(&claim) == Some(*folder.id()) {
            gone(fs::remove_file(&claim)).map_err(EngineError::io("remove", &claim))?;
        }
        Ok(())
    }

    fn try_claim(&self, claim: &Path, id: &SandboxId) -> Result<bool, EngineError> {
        // Twice: once more after what was nobody's has been removed.
        for _ in 0..2 {
            match symlink(id.to_string(), claim) {
                Ok(()) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(EngineError::io("make", claim)(source)),
            }
            match owner(claim) {
                Some(owner) if owner == *id => return Ok(true),
                Some(owner) if InstanceFolder::new(&self.engine, owner).exists() => return Ok(false),
                Some(_) | None => gone(fs::remove_file(claim)).map_err(EngineError::io("remove", claim))?,
            }
        }
        Ok(false)
    }
}

/// The first of a sandbox's users, if it ever wanted some: written before they are claimed.
pub(crate) fn first_id(folder: &InstanceFolder) -> Option<u32> {
    fs::read_to_string(first_id_file(folder)).ok()?.parse().ok()
}

fn write_first_id(folder: &InstanceFolder, first: u32) -> Result<(), EngineError> {
    let path = first_id_file(folder);
    fs::write(&path, first.to_string()).map_err(EngineError::io("write", &path))
}

fn first_id_file(folder: &InstanceFolder) -> PathBuf {
    folder.path().join("users")
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Where a sandbox looks first. The end of an id is random, so sandboxes rarely meet.
fn start(id: &SandboxId) -> u32 {
    let text = id.to_string();
    let end = text.get(text.len().saturating_sub(RANDOM_DIGITS)..).unwrap_or_default();
    u32::from_str_radix(end, 16).unwrap_or(0) % RANGES
}

fn owner(claim: &Path) -> Option<SandboxId> {
    fs::read_link(claim).ok()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(last: u8) -> SandboxId {
        SandboxId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last, 0, 0, 0, 7])
    }

    fn folder(place: &Path, id: SandboxId) -> InstanceFolder {
        let folder = InstanceFolder::new(place, id);
        folder.make().unwrap();
        folder
    }

    #[test]
    fn two_sandboxes_never_share_users_and_what_was_given_back_is_taken_again() {
        let place = tempfile::tempdir().unwrap();
        let users = Users::new(place.path());
        let (one, other) = (folder(place.path(), id(1)), folder(place.path(), id(2)));
        let first = users.claim(&one).unwrap();
        assert_eq!(first, FIRST + 7 * Plan::USERS);
        assert_eq!(users.claim(&one).unwrap(), first);
        assert_eq!(users.claim(&other).unwrap(), first + Plan::USERS);
        users.release(&one).unwrap();
        users.release(&one).unwrap();
        let third = folder(place.path(), id(3));
        assert_eq!(users.claim(&third).unwrap(), first);
    }

    #[test]
    fn what_a_crash_left_is_nobodys() {
        let place = tempfile::tempdir().unwrap();
        let users = Users::new(place.path());
        let gone = folder(place.path(), id(1));
        let first = users.claim(&gone).unwrap();
        fs::remove_dir_all(gone.path()).unwrap();
        assert_eq!(users.claim(&folder(place.path(), id(2))).unwrap(), first);
    }

    #[test]
    fn ranges_stay_within_what_a_user_number_can_be() {
        let last = FIRST + (RANGES - 1) * Plan::USERS;
        assert!(last.checked_add(Plan::USERS).is_some_and(|end| end <= END));
    }
}
