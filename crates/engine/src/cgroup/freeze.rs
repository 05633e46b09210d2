//! Stopping everything in a cgroup at whatever instruction it is, and letting it go on.
//!
//! Whether it is frozen is the cgroup's own state, so that it outlives whoever froze it.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{Cgroup, Hierarchy, POLL, Version};
use crate::EngineError;

/// How long its processes may take to stop; one that the kernel is busy with stops later than others.
const FREEZE_DEADLINE: Duration = Duration::from_secs(10);

impl Cgroup {
    /// Returns when nothing in it runs any more. One that does not get there in time goes on as before.
    pub async fn freeze(&self) -> Result<(), EngineError> {
        let hierarchy = self.freezer()?;
        self.set_frozen(hierarchy, true)?;
        let end = Instant::now() + FREEZE_DEADLINE;
        while !self.all_stopped(hierarchy) {
            if end <= Instant::now() {
                self.set_frozen(hierarchy, false)?;
                let what = "the pause of the sandbox's processes".to_owned();
                return Err(EngineError::Deadline { what, deadline: FREEZE_DEADLINE });
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Lets it go on. Does nothing where it runs.
    pub fn thaw(&self) -> Result<(), EngineError> {
        self.set_frozen(self.freezer()?, false)
    }

    /// Whether it was frozen, or is about to be.
    pub fn is_frozen(&self) -> bool {
        let Some(hierarchy) = &self.hierarchies.freezer else { return false };
        match hierarchy.version {
            Version::V1 => !matches!(self.text(hierarchy, "freezer.state").trim(), "" | "THAWED"),
            Version::V2 => self.number(hierarchy, "cgroup.freeze") == 1,
        }
    }

    /// v1 only: what is killed while it is frozen ends no sooner than it is thawed.
    pub(super) fn thaw_the_killed(&self) {
        if self.hierarchies.freezer.as_ref().is_some_and(|freezer| freezer.version == Version::V1) && self.is_frozen() {
            // Not an error: it may have been removed this instant, and is tried again otherwise.
            let _ = self.thaw();
        }
    }

    fn freezer(&self) -> Result<&Hierarchy, EngineError> {
        self.hierarchies.freezer.as_ref().ok_or_else(not_supported)
    }

    fn set_frozen(&self, hierarchy: &Hierarchy, frozen: bool) -> Result<(), EngineError> {
        let (name, value) = match (hierarchy.version, frozen) {
            (Version::V1, true) => ("freezer.state", "FROZEN"),
            (Version::V1, false) => ("freezer.state", "THAWED"),
            (Version::V2, true) => ("cgroup.freeze", "1"),
            (Version::V2, false) => ("cgroup.freeze", "0"),
        };
        let path = self.file(hierarchy, name);
        // Written in place: a file that is not there is a kernel that cannot, and not a file to be made.
        let file = OpenOptions::new().write(true).open(&path);
        let written = file.and_then(|mut file| file.write_all(value.as_bytes()));
        let is_there = |error: &io::Error| error.kind() != io::ErrorKind::NotFound;
        written.map_err(|error| if is_there(&error) { EngineError::io("write", &path)(error) } else { not_supported() })
    }

    fn all_stopped(&self, hierarchy: &Hierarchy) -> bool {
        match hierarchy.version {
            Version::V1 => self.text(hierarchy, "freezer.state").trim() == "FROZEN",
            Version::V2 => self.keyed(hierarchy, "cgroup.events", "frozen") == 1,
        }
    }
}

fn not_supported() -> EngineError {
    let what = "this host cannot freeze processes: neither the freezer of cgroup v1 nor that of v2 is there".to_owned();
    EngineError::NotSupported { what }
}
