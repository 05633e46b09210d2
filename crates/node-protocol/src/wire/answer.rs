//! What a node answers. A newer node may know words that this build does not: an engine or a reason that is
//! unknown is left out or taken for the nearest known one, never an error.

use std::time::Duration;

use sentinal_model::{Error, Generation, SandboxId};

use super::{clean, parse, sandbox_id};
use crate::{
    EndReason, EngineView, HostUsage, ImageView, InstanceState, MemoryPressure, NodeEvent, NodeInstance, Probe, Room,
    v1,
};

impl From<Room> for v1::Room {
    fn from(room: Room) -> Self {
        Self {
            cpu_milli_total: room.cpu_milli_total,
            memory_bytes_total: room.memory_bytes_total,
            memory_bytes_available: room.memory_bytes_available,
            disk_bytes_total: room.disk_bytes_total,
            disk_bytes_available: room.disk_bytes_available,
            memory_pressure: room
                .memory_pressure
                .map(|MemoryPressure { some_percent, full_percent }| v1::MemoryPressure { some_percent, full_percent }),
        }
    }
}

impl From<v1::Room> for Room {
    fn from(room: v1::Room) -> Self {
        Self {
            cpu_milli_total: room.cpu_milli_total,
            memory_bytes_total: room.memory_bytes_total,
            memory_bytes_available: room.memory_bytes_available,
            disk_bytes_total: room.disk_bytes_total,
            disk_bytes_available: room.disk_bytes_available,
            memory_pressure: room
                .memory_pressure
                .map(|v1::MemoryPressure { some_percent, full_percent }| MemoryPressure { some_percent, full_percent }),
        }
    }
}

impl From<EngineView> for v1::Engine {
    fn from(engine: EngineView) -> Self {
        let available = matches!(engine.probe, Probe::Available { .. });
        let (Probe::Available { version: detail } | Probe::Unavailable { reason: detail }) = engine.probe;
        let probe_ms = u64::try_from(engine.took.as_millis()).unwrap_or(u64::MAX);
        Self { name: engine.name.to_string(), available, detail, probe_ms, can_rest: engine.can_rest }
    }
}

impl TryFrom<v1::Engine> for EngineView {
    type Error = Error;

    fn try_from(engine: v1::Engine) -> Result<Self, Error> {
        let detail = clean(&engine.detail);
        let available = Probe::Available { version: detail.clone() };
        let probe = if engine.available { available } else { Probe::Unavailable { reason: detail } };
        let took = Duration::from_millis(engine.probe_ms);
        Ok(Self { name: parse("engine", &engine.name)?, probe, took, can_rest: engine.can_rest })
    }
}

impl From<ImageView> for v1::Image {
    fn from(image: ImageView) -> Self {
        Self { name: image.name.to_string(), digest: image.digest, size_bytes: image.size_bytes }
    }
}

impl TryFrom<v1::Image> for ImageView {
    type Error = Error;

    fn try_from(image: v1::Image) -> Result<Self, Error> {
        Ok(Self { name: parse("image", &image.name)?, digest: clean(&image.digest), size_bytes: image.size_bytes })
    }
}

impl From<HostUsage> for v1::Usage {
    fn from(usage: HostUsage) -> Self {
        Self {
            cpu_us: usage.cpu_us,
            memory_bytes: usage.memory_bytes,
            memory_peak_bytes: usage.memory_peak_bytes,
            disk_bytes: usage.disk_bytes,
            processes: usage.processes,
            oom_kills: usage.oom_kills,
        }
    }
}

impl From<v1::Usage> for HostUsage {
    fn from(usage: v1::Usage) -> Self {
        Self {
            cpu_us: usage.cpu_us,
            memory_bytes: usage.memory_bytes,
            memory_peak_bytes: usage.memory_peak_bytes,
            disk_bytes: usage.disk_bytes,
            processes: usage.processes,
            oom_kills: usage.oom_kills,
        }
    }
}

impl From<EndReason> for v1::EndReason {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Exited => Self::Exited,
            EndReason::Oom => Self::Oom,
            EndReason::Expired => Self::Expired,
            EndReason::Idle => Self::Idle,
            EndReason::HostRestarted => Self::HostRestarted,
        }
    }
}

impl From<v1::EndReason> for EndReason {
    fn from(reason: v1::EndReason) -> Self {
        match reason {
            v1::EndReason::Oom => Self::Oom,
            v1::EndReason::Expired => Self::Expired,
            v1::EndReason::Idle => Self::Idle,
            v1::EndReason::HostRestarted => Self::HostRestarted,
            v1::EndReason::Exited | v1::EndReason::Unspecified => Self::Exited,
        }
    }
}

impl From<NodeInstance> for v1::Instance {
    fn from(instance: NodeInstance) -> Self {
        let (state, reason) = match instance.state {
            InstanceState::Partial => (v1::InstanceState::Partial, v1::EndReason::Unspecified),
            InstanceState::Running | InstanceState::Paused => (v1::InstanceState::Running, v1::EndReason::Unspecified),
            InstanceState::Ended(reason) => (v1::InstanceState::Ended, reason.into()),
        };
        Self {
            sandbox_id: instance.id.to_string(),
            generation: instance.generation.0,
            state: state.into(),
            engine: instance.engine.to_string(),
            end_reason: reason.into(),
            paused: instance.state == InstanceState::Paused,
        }
    }
}

impl TryFrom<v1::Instance> for NodeInstance {
    type Error = Error;

    fn try_from(instance: v1::Instance) -> Result<Self, Error> {
        let state = match instance.state() {
            v1::InstanceState::Running if instance.paused => InstanceState::Paused,
            v1::InstanceState::Running => InstanceState::Running,
            v1::InstanceState::Ended => InstanceState::Ended(instance.end_reason().into()),
            v1::InstanceState::Partial | v1::InstanceState::Unspecified => InstanceState::Partial,
        };
        Ok(Self {
            id: sandbox_id(&instance.sandbox_id)?,
            generation: Generation(instance.generation),
            engine: parse("engine", &instance.engine)?,
            state,
        })
    }
}

impl From<NodeEvent> for v1::WatchEvent {
    fn from(event: NodeEvent) -> Self {
        let event = match event {
            NodeEvent::InstanceEnded { id, generation, reason } => ended(id, generation, reason),
            NodeEvent::EnginesChanged => v1::watch_event::Event::EnginesChanged(v1::EnginesChanged {}),
        };
        Self { event: Some(event) }
    }
}

fn ended(id: SandboxId, generation: Generation, reason: EndReason) -> v1::watch_event::Event {
    v1::watch_event::Event::InstanceEnded(v1::InstanceEnded {
        sandbox_id: id.to_string(),
        generation: generation.0,
        reason: v1::EndReason::from(reason).into(),
    })
}

impl v1::WatchEvent {
    /// The event, or `None` for a kind that this build does not know.
    pub(crate) fn into_event(self) -> Result<Option<NodeEvent>, Error> {
        match self.event {
            Some(v1::watch_event::Event::InstanceEnded(ended)) => Ok(Some(NodeEvent::InstanceEnded {
                id: sandbox_id(&ended.sandbox_id)?,
                generation: Generation(ended.generation),
                reason: ended.reason().into(),
            })),
            Some(v1::watch_event::Event::EnginesChanged(_)) => Ok(Some(NodeEvent::EnginesChanged)),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use sentinal_model::EngineName;

    use super::*;

    const REASONS: [EndReason; 5] =
        [EndReason::Exited, EndReason::Oom, EndReason::Expired, EndReason::Idle, EndReason::HostRestarted];

    #[test]
    fn an_instance_comes_back_as_it_was_sent() {
        let ended = REASONS.map(InstanceState::Ended);
        for state in ended.into_iter().chain([InstanceState::Partial, InstanceState::Running, InstanceState::Paused]) {
            let id = SandboxId::from_bytes([3; 16]);
            let instance = NodeInstance { id, generation: Generation(4), engine: EngineName::Gvisor, state };
            assert_eq!(NodeInstance::try_from(v1::Instance::from(instance)), Ok(instance));
        }
    }

    #[test]
    fn an_event_comes_back_as_it_was_sent() {
        let ended = REASONS.map(|reason| NodeEvent::InstanceEnded {
            id: SandboxId::from_bytes([3; 16]),
            generation: Generation(4),
            reason,
        });
        for event in ended.into_iter().chain([NodeEvent::EnginesChanged]) {
            assert_eq!(v1::WatchEvent::from(event).into_event(), Ok(Some(event)));
        }
    }

    #[test]
    fn a_room_comes_back_as_it_was_sent() {
        let pressure = MemoryPressure { some_percent: 40, full_percent: 3 };
        for memory_pressure in [None, Some(pressure)] {
            let room = Room { cpu_milli_total: 1, memory_bytes_total: 2, memory_pressure, ..Room::default() };
            assert_eq!(Room::from(v1::Room::from(room)), room);
        }
    }

    #[test]
    fn what_an_engine_says_loses_its_control_characters_and_its_excess() {
        let name = "gvisor".to_owned();
        let detail = format!("\u{1b}[31m{}", "x".repeat(5000));
        let engine = v1::Engine { name, available: false, detail, probe_ms: 1, can_rest: false };
        let Probe::Unavailable { reason } = EngineView::try_from(engine).unwrap().probe else { panic!("available") };
        assert!(reason.starts_with(" [31mx") && reason.len() == super::super::TEXT_CHARS_MAX);
    }

    #[test]
    fn a_word_of_a_newer_node_is_taken_for_the_nearest_known() {
        let id = SandboxId::from_bytes([3; 16]).to_string();
        let instance = v1::Instance {
            sandbox_id: id,
            generation: 1,
            state: 3,
            engine: "gvisor".to_owned(),
            end_reason: 99,
            paused: false,
        };
        let instance = NodeInstance::try_from(instance).unwrap();
        assert_eq!(instance.state, InstanceState::Ended(EndReason::Exited));
        assert_eq!(v1::WatchEvent { event: None }.into_event(), Ok(None));
    }
}
