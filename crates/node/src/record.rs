//! What the node writes down about a sandbox before it does anything for it.
//!
//! ```text
//!                              .--resume--.
//!                              v           |
//! Placed --boot--> Booting --> Up --pause--> Paused --ended by itself--> Ended --halt--> Halting --> (no record)
//!    |                |        |                |                                         ^
//!    +----------------+--------+----------------+-------------- halt ---------------------+
//! ```
//!
//! A record says what may exist, never less: `Booting` is written before the engine is called, and the
//! record goes last. One that has `Ended` may still have to be halted, by whoever wrote that or by the next node. Past its
//! ttl a sandbox becomes `Ended(Expired)` from wherever it was; one that is up and was idle
//! for too long becomes `Ended(Idle)`.

mod row;

use std::{path::PathBuf, time::Duration};

use sentinal_model::{Cpu, Disk, EngineName, Generation, ImageName, Memory, Millis, SandboxId};
use sentinal_node_protocol::{EndReason, HostBootId, InstanceState, Place};

pub(crate) use row::InvalidRecord;

/// One sandbox on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: SandboxId,
    /// Of the request that wrote this record last.
    pub(crate) generation: Generation,
    pub(crate) engine: EngineName,
    pub(crate) image: PlacedImage,
    pub(crate) cpu: Cpu,
    pub(crate) memory: Memory,
    pub(crate) disk: Disk,
    pub(crate) expires_at: Millis,
    pub(crate) idle_timeout: Option<Duration>,
    /// Up to when somebody certainly uses it, once it is up: its idle time begins there.
    pub(crate) busy_until: Millis,
    /// When the last word on that was said.
    pub(crate) said_at: Millis,
    /// Which start of the host it was placed or booted under.
    pub(crate) host_boot_id: HostBootId,
    pub(crate) stage: Stage,
}

/// What the image's name stood for when the sandbox was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlacedImage {
    pub(crate) name: ImageName,
    pub(crate) digest: String,
    pub(crate) path: PathBuf,
}

/// How far a sandbox has come on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Placed,
    Booting,
    Up,
    /// Up, and nothing in it goes on. Written when it is so.
    Paused,
    Ended(EndReason),
    Halting,
}

impl Record {
    /// A sandbox that was placed and for which nothing else was done.
    pub(crate) fn placed(place: &Place, image: PlacedImage, host_boot_id: HostBootId) -> Self {
        Self {
            id: place.id,
            generation: place.generation,
            engine: place.engine,
            image,
            cpu: place.cpu,
            memory: place.memory,
            disk: place.disk,
            expires_at: place.expires_at,
            idle_timeout: place.idle_timeout,
            busy_until: Millis(0),
            said_at: Millis(0),
            host_boot_id,
            stage: Stage::Placed,
        }
    }

    /// The same sandbox, further on.
    pub(crate) fn at(&self, stage: Stage) -> Self {
        Self { stage, ..self.clone() }
    }

    /// Whether `place` asks for what was placed, however long it is to live.
    pub(crate) fn is_of(&self, place: &Place) -> bool {
        let asked = (place.engine, &place.image, place.cpu, place.memory, place.disk);
        asked == (self.engine, &self.image.name, self.cpu, self.memory, self.disk)
    }

    /// Whether `place` asks for the end that it has.
    pub(crate) fn ends_like(&self, place: &Place) -> bool {
        (place.expires_at, place.idle_timeout) == (self.expires_at, self.idle_timeout)
    }
}

impl Stage {
    /// As the server sees it.
    pub(crate) const fn shown(self) -> InstanceState {
        match self {
            Self::Placed | Self::Booting | Self::Halting => InstanceState::Partial,
            Self::Up => InstanceState::Running,
            Self::Paused => InstanceState::Paused,
            Self::Ended(reason) => InstanceState::Ended(reason),
        }
    }

    /// Whether there is an instance, paused or not.
    pub(crate) const fn is_up(self) -> bool {
        matches!(self, Self::Up | Self::Paused)
    }

    /// The stage in an error's words.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Booting => "only partly booted",
            Self::Up => "up",
            Self::Paused => "paused",
            Self::Ended(_) => "ended",
            Self::Halting => "being halted",
        }
    }
}
