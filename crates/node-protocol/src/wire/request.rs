//! What is asked of a node.

use std::time::Duration;

use sentinal_model::{Cpu, Disk, Error, Generation, Memory, Millis};

use super::{invalid, parse, sandbox_id};
use crate::{AgentToken, Boot, Keep, Named, Place, v1};

impl From<Place> for v1::PlaceRequest {
    fn from(place: Place) -> Self {
        Self {
            sandbox_id: place.id.to_string(),
            generation: place.generation.0,
            engine: place.engine.to_string(),
            image: place.image.to_string(),
            cpu_milli: place.cpu.milli(),
            memory_bytes: place.memory.bytes(),
            disk_bytes: place.disk.bytes(),
            expires_at_ms: place.expires_at.0,
            idle_timeout_ms: place.idle_timeout.map_or(0, milliseconds),
        }
    }
}

impl TryFrom<v1::PlaceRequest> for Place {
    type Error = Error;

    fn try_from(request: v1::PlaceRequest) -> Result<Self, Error> {
        let cores = f64::from(request.cpu_milli) / 1000.0;
        Ok(Self {
            id: sandbox_id(&request.sandbox_id)?,
            generation: generation(request.generation)?,
            engine: parse("engine", &request.engine)?,
            image: parse("image", &request.image)?,
            cpu: Cpu::try_from_cores(cores).map_err(|error| invalid("cpu_milli", &error))?,
            memory: Memory::try_from_bytes(request.memory_bytes).map_err(|error| invalid("memory_bytes", &error))?,
            disk: Disk::try_from_bytes(request.disk_bytes).map_err(|error| invalid("disk_bytes", &error))?,
            expires_at: Millis(request.expires_at_ms),
            idle_timeout: (request.idle_timeout_ms != 0).then(|| Duration::from_millis(request.idle_timeout_ms)),
        })
    }
}

impl From<Boot> for v1::BootRequest {
    fn from(boot: Boot) -> Self {
        Self {
            sandbox_id: boot.id.to_string(),
            generation: boot.generation.0,
            token: boot.token.0.to_vec(),
            epoch: boot.epoch,
            agent_deadline_ms: milliseconds(boot.agent_deadline),
        }
    }
}

impl TryFrom<v1::BootRequest> for Boot {
    type Error = Error;

    fn try_from(request: v1::BootRequest) -> Result<Self, Error> {
        let token = <[u8; 32]>::try_from(request.token.as_slice());
        Ok(Self {
            id: sandbox_id(&request.sandbox_id)?,
            generation: generation(request.generation)?,
            token: AgentToken(token.map_err(|_| Error::invalid("token: must have 32 bytes"))?),
            epoch: request.epoch,
            agent_deadline: Duration::from_millis(request.agent_deadline_ms),
        })
    }
}

impl From<Keep> for v1::KeepRequest {
    fn from(keep: Keep) -> Self {
        let busy_ms = milliseconds(keep.busy_for);
        let (sandbox_id, said_at_ms) = (keep.id.to_string(), keep.said_at.0);
        Self { sandbox_id, generation: keep.generation.0, busy_ms, said_at_ms }
    }
}

impl TryFrom<v1::KeepRequest> for Keep {
    type Error = Error;

    fn try_from(request: v1::KeepRequest) -> Result<Self, Error> {
        let busy_for = Duration::from_millis(request.busy_ms);
        let (id, generation) = (sandbox_id(&request.sandbox_id)?, generation(request.generation)?);
        Ok(Self { id, generation, busy_for, said_at: Millis(request.said_at_ms) })
    }
}

macro_rules! named {
    ($($request:ident),+) => {$(
        impl From<Named> for v1::$request {
            fn from(named: Named) -> Self {
                Self { sandbox_id: named.id.to_string(), generation: named.generation.0 }
            }
        }

        impl TryFrom<v1::$request> for Named {
            type Error = Error;

            fn try_from(request: v1::$request) -> Result<Self, Error> {
                Ok(Self { id: sandbox_id(&request.sandbox_id)?, generation: generation(request.generation)? })
            }
        }
    )+};
}

named!(PauseRequest, ResumeRequest, HaltRequest);

impl TryFrom<v1::StatsRequest> for sentinal_model::SandboxId {
    type Error = Error;

    fn try_from(request: v1::StatsRequest) -> Result<Self, Error> {
        sandbox_id(&request.sandbox_id)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Zero stands for "never asked" in a node's answers, so nobody may ask with it.
fn generation(number: u64) -> Result<Generation, Error> {
    if number == 0 {
        return Err(Error::invalid("generation: must be 1 or more"));
    }
    Ok(Generation(number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sentinal_model::{SandboxId, limits};

    use super::*;

    fn place(id: String, number: u64, sizes: (u32, u64, u64), words: (String, String)) -> v1::PlaceRequest {
        v1::PlaceRequest {
            sandbox_id: id,
            generation: number,
            engine: words.0,
            image: words.1,
            cpu_milli: sizes.0,
            memory_bytes: sizes.1,
            disk_bytes: sizes.2,
            expires_at_ms: 1,
            idle_timeout_ms: 5,
        }
    }

    fn sandbox_id_text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<[u8; 16]>().prop_map(|bytes| SandboxId::from_bytes(bytes).to_string()),
            "sbx_[0-9a-fA-F./\\x00]{0,40}",
            "(\\.\\./|/|sbx_|\\PC){0,8}",
        ]
    }

    fn sizes() -> impl Strategy<Value = (u32, u64, u64)> {
        let near = |min: u64, max: u64| prop_oneof![any::<u64>(), min - 1..=min + 1, max - 1..=max + 1];
        let cpu = prop_oneof![any::<u32>(), 49_u32..=51, 63_999_u32..=64_001];
        (
            cpu,
            near(limits::MEMORY_BYTES_MIN, limits::MEMORY_BYTES_MAX),
            near(limits::DISK_BYTES_MIN, limits::DISK_BYTES_MAX),
        )
    }

    fn words() -> impl Strategy<Value = (String, String)> {
        ("gvisor|native|kata|\\PC{0,12}", "default|(\\.\\.|/|[a-z%:\\x00])*")
    }

    proptest! {
        #[test]
        fn whatever_is_asked_is_refused_or_within_every_bound(
            id in sandbox_id_text(),
            number in prop_oneof![Just(0_u64), any::<u64>()],
            sizes in sizes(),
            words in words(),
        ) {
            let asked = place(id, number, sizes, words);
            if let Ok(place) = Place::try_from(asked.clone()) {
                prop_assert!(place.generation.0 != 0);
                prop_assert!(limits::CPU_MILLI_MIN <= place.cpu.milli() && place.cpu.milli() <= limits::CPU_MILLI_MAX);
                prop_assert!(!place.image.as_str().contains(".."));
                prop_assert!(place.id.to_string().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
                prop_assert_eq!(v1::PlaceRequest::from(place), asked);
            }
        }

        #[test]
        fn any_bytes_off_the_wire_are_refused_or_understood(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            use prost::Message as _;
            if let Ok(request) = v1::PlaceRequest::decode(bytes.as_slice()) {
                let _ = Place::try_from(request);
            }
            if let Ok(request) = v1::BootRequest::decode(bytes.as_slice()) {
                let _ = Boot::try_from(request);
            }
            if let Ok(request) = v1::KeepRequest::decode(bytes.as_slice()) {
                let _ = Keep::try_from(request);
            }
            if let Ok(request) = v1::HaltRequest::decode(bytes.as_slice()) {
                let _ = Named::try_from(request);
            }
        }

        #[test]
        fn a_token_of_another_length_is_refused(token in prop::collection::vec(any::<u8>(), 0..80)) {
            let sandbox_id = SandboxId::from_bytes([7; 16]).to_string();
            let fits = token.len() == 32;
            let asked = v1::BootRequest { sandbox_id, generation: 1, token, epoch: 1, agent_deadline_ms: u64::MAX };
            prop_assert_eq!(Boot::try_from(asked).is_ok(), fits);
        }
    }

    #[test]
    fn an_error_names_the_field() {
        let id = SandboxId::from_bytes([7; 16]).to_string();
        let asked = place(id, 1, (1000, 1, 1 << 30), ("gvisor".to_owned(), "default".to_owned()));
        assert!(Place::try_from(asked).unwrap_err().message().starts_with("memory_bytes: "));
    }
}
