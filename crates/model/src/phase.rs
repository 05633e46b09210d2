//! The life of a sandbox.
//!
//! ```text
//!  Pending --Placed--> Booting --Booted--> Running --Paused--> Paused
//!     |                   |                  |   ^--Resumed----'  |
//!     |                   +------- Stop -----+--------------------+--> Stopping --Halted--> Finished
//!     +------------------- Stop ------------------------------------------------------------> Finished
//! ```
//!
//! `Claimed` gives one that runs and is nobody's to whoever asked for its like; it stays `Running`.
//!
//! `Booting` is written before anything is done on a host, `Stopping` before anything is undone, so a
//! crash between two lines leaves a row that says what may exist. `Pending` means that nothing does.
//! `Paused` and `Running` are written before an instance is stopped or goes on: what it does is made to follow.

use std::fmt;

use crate::{EngineName, NodeId};

/// Where a sandbox was placed, and why there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The machine.
    pub node: NodeId,
    /// The engine on it.
    pub engine: EngineName,
    /// The scheduler's reason, as callers read it.
    pub reason: String,
}

/// What went wrong with a sandbox that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The engine could not boot it, or its agent never dialled.
    BootFailed,
    /// Its memory limit was reached and the engine lost the whole sandbox.
    Oom,
    /// Its instance ended by itself.
    EngineExited,
    /// Its row was there, its instance was not.
    Lost,
    /// The host was restarted under it.
    HostRestarted,
    /// Its agent neither ended an execution at its timeout nor answered.
    AgentSilent,
}

impl Failure {
    /// All failures.
    pub const ALL: [Self; 6] =
        [Self::BootFailed, Self::Oom, Self::EngineExited, Self::Lost, Self::HostRestarted, Self::AgentSilent];

    /// The failure as callers see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BootFailed => "boot_failed",
            Self::Oom => "oom",
            Self::EngineExited => "engine_exited",
            Self::Lost => "lost",
            Self::HostRestarted => "host_restarted",
            Self::AgentSilent => "agent_silent",
        }
    }
}

/// How a sandbox ended, or why it is being ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// Somebody asked for it, or its one-shot execution was done.
    Destroyed,
    /// Its ttl ran out.
    Expired,
    /// Nobody used it for as long as its idle timeout.
    Idle,
    /// It went wrong.
    Failed(Failure),
}

impl End {
    /// The end as callers see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Destroyed => "destroyed",
            Self::Expired => "expired",
            Self::Idle => "idle",
            Self::Failed(failure) => failure.as_str(),
        }
    }

    /// The end that [`Self::as_str`] wrote.
    pub fn from_stored(text: &str) -> Option<Self> {
        match text {
            "destroyed" => Some(Self::Destroyed),
            "expired" => Some(Self::Expired),
            "idle" => Some(Self::Idle),
            _ => Failure::ALL.into_iter().find(|failure| failure.as_str() == text).map(Self::Failed),
        }
    }
}

/// Where in its life a sandbox is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Acknowledged; nothing exists on any host.
    Pending,
    /// An instance may exist there.
    Booting(Placement),
    /// An instance exists and its agent has answered.
    Running(Placement),
    /// An instance exists, and nothing in it shall go on.
    Paused(Placement),
    /// Whatever exists there is being removed.
    Stopping(Placement, End),
    /// Nothing exists any more.
    Finished(End),
}

/// What may happen to a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The scheduler found room.
    Placed(Placement),
    /// The instance is up and its agent has answered.
    Booted,
    /// Nothing in it shall go on.
    Paused,
    /// It shall go on.
    Resumed,
    /// Somebody has it from now on, for this reason.
    Claimed(String),
    /// It shall end, or has ended, for this reason.
    Stop(End),
    /// Nothing is left of it on its node.
    Halted,
}

/// An event that has no meaning in that phase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a sandbox that is {phase} cannot be {event}")]
pub struct Rejected {
    phase: &'static str,
    event: &'static str,
}

impl Phase {
    /// The only way from one phase to the next. `Ok` of an equal phase means that there was nothing left to do.
    #[expect(clippy::match_same_arms, reason = "one line per arrow of the picture above")]
    pub fn on(self, event: Event) -> Result<Self, Rejected> {
        match (self, event) {
            (Self::Pending, Event::Placed(placement)) => Ok(Self::Booting(placement)),
            (Self::Pending, Event::Stop(end)) => Ok(Self::Finished(end)),
            (Self::Booting(placement), Event::Booted) => Ok(Self::Running(placement)),
            (Self::Booting(placement) | Self::Running(placement) | Self::Paused(placement), Event::Stop(end)) => {
                Ok(Self::Stopping(placement, end))
            }
            (Self::Running(placement), Event::Booted | Event::Resumed) => Ok(Self::Running(placement)),
            (Self::Running(placement), Event::Claimed(reason)) => Ok(Self::Running(Placement { reason, ..placement })),
            (Self::Running(placement), Event::Paused) => Ok(Self::Paused(placement)),
            (Self::Paused(placement), Event::Resumed) => Ok(Self::Running(placement)),
            (Self::Paused(placement), Event::Paused) => Ok(Self::Paused(placement)),
            (Self::Stopping(placement, end), Event::Stop(_)) => Ok(Self::Stopping(placement, end)),
            (Self::Stopping(_, end), Event::Halted) => Ok(Self::Finished(end)),
            (Self::Finished(end), Event::Stop(_) | Event::Halted) => Ok(Self::Finished(end)),
            (
                phase @ Self::Pending,
                event @ (Event::Booted | Event::Claimed(_) | Event::Paused | Event::Resumed | Event::Halted),
            )
            | (
                phase @ Self::Booting(_),
                event @ (Event::Placed(_) | Event::Claimed(_) | Event::Paused | Event::Resumed | Event::Halted),
            )
            | (phase @ Self::Running(_), event @ (Event::Placed(_) | Event::Halted))
            | (
                phase @ Self::Paused(_),
                event @ (Event::Placed(_) | Event::Booted | Event::Claimed(_) | Event::Halted),
            )
            | (
                phase @ (Self::Stopping(..) | Self::Finished(_)),
                event @ (Event::Placed(_) | Event::Booted | Event::Claimed(_) | Event::Paused | Event::Resumed),
            ) => Err(Rejected { phase: phase.state().as_str(), event: event.as_str() }),
        }
    }

    /// The phase as callers see it.
    pub const fn state(&self) -> State {
        match self {
            Self::Pending | Self::Booting(_) => State::Pending,
            Self::Running(_) => State::Running,
            Self::Paused(_) => State::Paused,
            Self::Stopping(..) => State::Stopping,
            Self::Finished(End::Failed(_)) => State::Failed,
            Self::Finished(End::Destroyed | End::Expired | End::Idle) => State::Stopped,
        }
    }

    /// Where it is or was placed; `None` before the scheduler's answer and after the end.
    pub const fn placement(&self) -> Option<&Placement> {
        match self {
            Self::Booting(placement)
            | Self::Running(placement)
            | Self::Paused(placement)
            | Self::Stopping(placement, _) => Some(placement),
            Self::Pending | Self::Finished(_) => None,
        }
    }

    /// Whether nothing can happen to it any more.
    pub const fn is_finished(&self) -> bool {
        matches!(self, Self::Finished(_))
    }
}

impl Event {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Placed(_) => "placed",
            Self::Booted => "booted",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Claimed(_) => "claimed",
            Self::Stop(_) => "stopped",
            Self::Halted => "halted",
        }
    }
}

/// A phase as callers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Acknowledged, not up yet.
    Pending,
    /// Ready for executions.
    Running,
    /// Stopped where it is, until it is resumed.
    Paused,
    /// Being ended.
    Stopping,
    /// Ended as it should.
    Stopped,
    /// Ended as it should not.
    Failed,
}

impl State {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Running, Self::Paused, Self::Stopping, Self::Stopped, Self::Failed];

    /// The state as callers see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement() -> Placement {
        Placement { node: NodeId::local(), engine: EngineName::Gvisor, reason: "named".to_owned() }
    }

    fn phases() -> Vec<Phase> {
        let end = End::Failed(Failure::Oom);
        vec![
            Phase::Pending,
            Phase::Booting(placement()),
            Phase::Running(placement()),
            Phase::Paused(placement()),
            Phase::Stopping(placement(), end),
            Phase::Finished(end),
        ]
    }

    fn events() -> Vec<Event> {
        vec![
            Event::Placed(placement()),
            Event::Booted,
            Event::Claimed("it was ready".to_owned()),
            Event::Paused,
            Event::Resumed,
            Event::Stop(End::Destroyed),
            Event::Halted,
        ]
    }

    #[test]
    fn a_finished_sandbox_stays_finished_and_keeps_its_end() {
        for event in events() {
            let finished = Phase::Finished(End::Failed(Failure::Oom));
            if let Ok(next) = finished.clone().on(event) {
                assert_eq!(next, finished);
            }
        }
    }

    #[test]
    fn the_first_reason_to_stop_is_the_one_that_stays() {
        let stopping = Phase::Running(placement()).on(Event::Stop(End::Expired)).unwrap();
        let finished = stopping.on(Event::Stop(End::Destroyed)).unwrap().on(Event::Halted).unwrap();
        assert_eq!(finished, Phase::Finished(End::Expired));
    }

    #[test]
    fn only_what_runs_can_be_claimed_and_it_says_why_from_then_on() {
        let claimed = || Event::Claimed("it was ready".to_owned());
        for phase in phases() {
            let running = phase == Phase::Running(placement());
            assert_eq!(phase.clone().on(claimed()).is_ok(), running, "{phase:?}");
        }
        let claimed = Phase::Running(placement()).on(claimed()).unwrap();
        assert_eq!(claimed, Phase::Running(Placement { reason: "it was ready".to_owned(), ..placement() }));
    }

    #[test]
    fn every_phase_can_be_stopped() {
        for phase in phases() {
            assert!(phase.clone().on(Event::Stop(End::Destroyed)).is_ok(), "{phase:?}");
        }
    }

    #[test]
    fn only_what_runs_is_paused_and_only_what_is_paused_is_resumed() {
        for phase in phases() {
            let (running, paused) = (matches!(phase, Phase::Running(_)), matches!(phase, Phase::Paused(_)));
            let next = phase.clone().on(Event::Paused);
            assert_eq!(next.is_ok_and(|next| next == Phase::Paused(placement())), running || paused, "{phase:?}");
            let next = phase.clone().on(Event::Resumed);
            assert_eq!(next.is_ok_and(|next| next == Phase::Running(placement())), running || paused, "{phase:?}");
        }
    }

    #[test]
    fn nothing_is_finished_while_something_may_exist_on_a_host() {
        for phase in phases().into_iter().filter(|phase| phase.placement().is_some()) {
            for event in events() {
                let halted_while_stopping = event == Event::Halted && matches!(phase, Phase::Stopping(..));
                let finished = phase.clone().on(event).is_ok_and(|next| next.is_finished());
                assert_eq!(finished, halted_while_stopping, "{phase:?}");
            }
        }
    }

    #[test]
    fn an_end_is_read_back_from_what_was_stored() {
        let ends = Failure::ALL.map(End::Failed);
        for end in ends.into_iter().chain([End::Destroyed, End::Expired, End::Idle]) {
            assert_eq!(End::from_stored(end.as_str()), Some(end));
        }
    }
}
