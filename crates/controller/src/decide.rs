//! What to do next with a sandbox: a pure function.

use std::time::Duration;

use sentinal_model::{End, Failure, Millis, Phase};
use sentinal_node_protocol::EndReason;
use sentinal_store::SandboxRecord;

/// What is known of a sandbox's instance beside its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observed {
    /// The node has not been asked since this server started.
    Unknown,
    /// It runs, or nothing contradicts the record.
    AsRecorded,
    /// It is paused.
    Paused,
    /// The node has nothing of it.
    Absent,
    /// The node has parts of it.
    Partial,
    /// It ended by itself.
    Ended(EndReason),
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing, until this moment or until something is observed.
    Wait(Millis),
    /// Nothing, until something is observed.
    WaitForNode,
    /// Listen for the agent of an instance that an earlier server booted.
    Adopt,
    /// Make node and agent know its terms.
    Tell,
    /// Place and boot the instance.
    Boot,
    /// Have the instance stop where it is.
    Pause,
    /// Have the instance go on.
    Resume,
    /// Write down that it shall end.
    Stop(End),
    /// Remove everything of it.
    Halt,
    /// Forget it.
    Forget,
}

/// How long before its ttl an instance that ended counts as expired, and before its idle timeout as idle: its own
/// deadlines and ours are not the same clock.
const EXPIRY_SLACK_MS: i64 = 500;

/// How long a claimed one-shot lives before its node is told of its other terms: most are over before.
const TELL_ONE_SHOT_AFTER: Duration = Duration::from_secs(1);

/// As with any other: its agent knows them, and its first program comes first.
const TELL_AFTER: Duration = Duration::from_millis(100);

/// What each enforcer of a sandbox's end has to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) expires_at: Millis,
    pub(crate) idle_timeout: Option<Duration>,
}

/// Which terms the node and the agent know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Known {
    pub(crate) node: Option<Terms>,
    pub(crate) agent: Option<Terms>,
}

impl Terms {
    pub(crate) const fn of(record: &SandboxRecord) -> Self {
        Self { expires_at: record.expires_at, idle_timeout: record.spec.idle_timeout }
    }
}

/// What this server itself knows of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Own {
    /// It is a one-shot whose execution has ended or will never begin.
    pub(crate) abandoned: bool,
    /// Its agent left an execution alive that was past its timeout.
    pub(crate) silent: bool,
    /// This server listens for its agent.
    pub(crate) listening: bool,
    /// When its idle timeout runs out; `None` while it is in use, or may be idle.
    pub(crate) idle_at: Option<Millis>,
    /// Which terms its other two enforcers know.
    pub(crate) known: Known,
}

/// The next action for a sandbox.
pub(crate) fn decide(record: &SandboxRecord, observed: Observed, own: Own, now: Millis) -> Action {
    match &record.phase {
        Phase::Finished(_) => Action::Forget,
        Phase::Stopping(..) => Action::Halt,
        Phase::Pending | Phase::Booting(_) | Phase::Running(_) | Phase::Paused(_) if own.abandoned => {
            Action::Stop(End::Destroyed)
        }
        Phase::Pending | Phase::Booting(_) | Phase::Running(_) | Phase::Paused(_) if record.expires_at <= now => {
            Action::Stop(End::Expired)
        }
        Phase::Running(_) if own.silent && !matches!(observed, Observed::Ended(_)) => {
            Action::Stop(End::Failed(Failure::AgentSilent))
        }
        Phase::Running(_) if own.idle_at.is_some_and(|at| at <= now) && !matches!(observed, Observed::Ended(_)) => {
            Action::Stop(End::Idle)
        }
        // Nobody placed it before the server stopped, and its caller was never answered.
        Phase::Pending => Action::Stop(End::Failed(Failure::Lost)),
        Phase::Booting(_) => match observed {
            Observed::Unknown => Action::WaitForNode,
            Observed::AsRecorded | Observed::Paused | Observed::Absent | Observed::Partial => Action::Boot,
            Observed::Ended(reason) => Action::Stop(end(reason, record, own, now)),
        },
        Phase::Running(_) => match observed {
            Observed::AsRecorded | Observed::Paused if !own.listening => Action::Adopt,
            Observed::Unknown => Action::Wait(until(record, own)),
            Observed::Paused => Action::Resume,
            Observed::AsRecorded => match tell_at(record, own.known) {
                Some(at) if at <= now => Action::Tell,
                Some(at) => Action::Wait(at.min(until(record, own))),
                None => Action::Wait(until(record, own)),
            },
            Observed::Absent | Observed::Partial => Action::Stop(End::Failed(Failure::Lost)),
            Observed::Ended(reason) => Action::Stop(end(reason, record, own, now)),
        },
        // It is not idle, and its agent may well be silent. Its ttl goes on.
        Phase::Paused(_) => match observed {
            Observed::AsRecorded | Observed::Paused if !own.listening => Action::Adopt,
            Observed::Unknown | Observed::Paused => Action::Wait(record.expires_at),
            Observed::AsRecorded => Action::Pause,
            Observed::Absent | Observed::Partial => Action::Stop(End::Failed(Failure::Lost)),
            Observed::Ended(reason) => Action::Stop(end(reason, record, Own { idle_at: None, ..own }, now)),
        },
    }
}

/// When something is to be done unless something is observed before.
fn until(record: &SandboxRecord, own: Own) -> Millis {
    own.idle_at.map_or(record.expires_at, |at| at.min(record.expires_at))
}

/// When node and agent are to be told of the sandbox's terms; `None` if they know them.
fn tell_at(record: &SandboxRecord, known: Known) -> Option<Millis> {
    let terms = Some(Terms::of(record));
    match (known.node == terms, known.agent == terms) {
        (true, true) => None,
        (false, true) if record.one_shot => Some(record.created_at.after(TELL_ONE_SHOT_AFTER)),
        (false, true) => Some(record.created_at.after(TELL_AFTER)),
        (_, false) => Some(record.created_at),
    }
}

/// Why a sandbox ended whose instance ended by itself.
fn end(reason: EndReason, record: &SandboxRecord, own: Own, now: Millis) -> End {
    let over = |at: Millis| at.0.saturating_sub(EXPIRY_SLACK_MS) <= now.0;
    match reason {
        EndReason::Expired => End::Expired,
        EndReason::Exited if over(record.expires_at) => End::Expired,
        EndReason::Exited | EndReason::Idle if matches!(record.phase, Phase::Booting(_)) => {
            End::Failed(Failure::BootFailed)
        }
        EndReason::Idle => End::Idle,
        EndReason::Exited if own.idle_at.is_some_and(over) => End::Idle,
        EndReason::Exited => End::Failed(Failure::EngineExited),
        EndReason::Oom => End::Failed(Failure::Oom),
        EndReason::HostRestarted => End::Failed(Failure::HostRestarted),
    }
}

#[cfg(test)]
mod tests {
    use sentinal_model::{
        Cpu, EngineChoice, EngineName, Generation, ImageName, Labels, NodeId, Placement, SandboxId, Spec, TenantId,
        limits,
    };

    use super::*;

    const NOW: Millis = Millis(1_000_000);

    fn listening(record: &SandboxRecord) -> Own {
        let known = Known { node: Some(Terms::of(record)), agent: Some(Terms::of(record)) };
        Own { abandoned: false, silent: false, listening: true, idle_at: None, known }
    }

    fn placement() -> Placement {
        Placement { node: NodeId::local(), engine: EngineName::Gvisor, reason: "asked for".to_owned() }
    }

    fn record(phase: Phase, ttl_left_ms: i64) -> SandboxRecord {
        SandboxRecord {
            id: SandboxId::from_bytes([1; 16]),
            tenant: TenantId::default_tenant(),
            generation: Generation::FIRST,
            phase,
            spec: Spec {
                engine: EngineChoice::Auto,
                cpu: Cpu::try_from_cores(1.0).unwrap(),
                memory: "512Mi".parse().unwrap(),
                disk: "1Gi".parse().unwrap(),
                image: ImageName::default(),
                ttl: limits::TTL_DEFAULT,
                idle_timeout: None,
                labels: Labels::default(),
            },
            node: None,
            engine: None,
            engine_reason: String::new(),
            message: String::new(),
            token: [0; 32],
            one_shot: false,
            pooled: None,
            key: None,
            created_at: Millis(0),
            expires_at: Millis(NOW.0 + ttl_left_ms),
            paused_at: None,
            paused_for: Duration::ZERO,
            finished_at: None,
        }
    }

    fn check(phase: Phase, observed: Observed, ttl_left_ms: i64, expect: Action) {
        let record = record(phase.clone(), ttl_left_ms);
        assert_eq!(decide(&record, observed, listening(&record), NOW), expect, "{phase:?} {observed:?}");
    }

    #[test]
    fn a_running_sandbox_is_left_alone_until_its_ttl() {
        let until = NOW.after(Duration::from_secs(60));
        check(Phase::Running(placement()), Observed::AsRecorded, 60_000, Action::Wait(until));
        check(Phase::Running(placement()), Observed::Unknown, 60_000, Action::Wait(until));
        check(Phase::Running(placement()), Observed::AsRecorded, 0, Action::Stop(End::Expired));
    }

    #[test]
    fn a_running_sandbox_without_an_instance_is_lost() {
        check(Phase::Running(placement()), Observed::Absent, 60_000, Action::Stop(End::Failed(Failure::Lost)));
        check(Phase::Running(placement()), Observed::Partial, 60_000, Action::Stop(End::Failed(Failure::Lost)));
    }

    #[test]
    fn an_instance_that_ended_says_why() {
        let ended = |reason| Observed::Ended(reason);
        let running = || Phase::Running(placement());
        check(running(), ended(EndReason::Oom), 60_000, Action::Stop(End::Failed(Failure::Oom)));
        check(running(), ended(EndReason::Exited), 60_000, Action::Stop(End::Failed(Failure::EngineExited)));
        check(running(), ended(EndReason::Exited), 100, Action::Stop(End::Expired));
        check(running(), ended(EndReason::Expired), 60_000, Action::Stop(End::Expired));
        check(running(), ended(EndReason::HostRestarted), 60_000, Action::Stop(End::Failed(Failure::HostRestarted)));
    }

    #[test]
    fn a_running_sandbox_that_nobody_uses_is_ended() {
        let running = record(Phase::Running(placement()), 60_000);
        let check = |observed, idle_in_ms: i64, expect: Action| {
            let own = Own { idle_at: Some(Millis(NOW.0 + idle_in_ms)), ..listening(&running) };
            assert_eq!(decide(&running, observed, own, NOW), expect, "{observed:?} {idle_in_ms}");
        };
        check(Observed::AsRecorded, 0, Action::Stop(End::Idle));
        check(Observed::Unknown, -5, Action::Stop(End::Idle));
        check(Observed::AsRecorded, 10, Action::Wait(Millis(NOW.0 + 10)));
        check(Observed::AsRecorded, 70_000, Action::Wait(running.expires_at));
        check(Observed::Ended(EndReason::Idle), 70_000, Action::Stop(End::Idle));
        check(Observed::Ended(EndReason::Exited), 100, Action::Stop(End::Idle));
        check(Observed::Ended(EndReason::Exited), 10_000, Action::Stop(End::Failed(Failure::EngineExited)));
        check(Observed::Ended(EndReason::Oom), -5, Action::Stop(End::Failed(Failure::Oom)));
    }

    #[test]
    fn what_an_instance_does_is_made_to_follow_its_phase() {
        let (running, paused) = (|| Phase::Running(placement()), || Phase::Paused(placement()));
        let until = NOW.after(Duration::from_secs(60));
        check(running(), Observed::Paused, 60_000, Action::Resume);
        check(paused(), Observed::AsRecorded, 60_000, Action::Pause);
        check(paused(), Observed::Paused, 60_000, Action::Wait(until));
        check(paused(), Observed::Unknown, 60_000, Action::Wait(until));
        check(paused(), Observed::Absent, 60_000, Action::Stop(End::Failed(Failure::Lost)));
        check(paused(), Observed::Ended(EndReason::Oom), 60_000, Action::Stop(End::Failed(Failure::Oom)));
        for observed in [Observed::AsRecorded, Observed::Paused] {
            for phase in [paused(), running()] {
                let record = record(phase, 60_000);
                let own = Own { listening: false, ..listening(&record) };
                assert_eq!(decide(&record, observed, own, NOW), Action::Adopt);
            }
        }
    }

    #[test]
    fn a_paused_sandbox_ends_at_its_ttl_and_not_for_want_of_use() {
        let paused = |ttl_left_ms| record(Phase::Paused(placement()), ttl_left_ms);
        let wait = Action::Wait(paused(60_000).expires_at);
        let decided = |ttl_left_ms| {
            let record = paused(ttl_left_ms);
            let own = Own { idle_at: Some(Millis(0)), silent: true, ..listening(&record) };
            decide(&record, Observed::Paused, own, NOW)
        };
        assert_eq!(decided(60_000), wait);
        assert_eq!(decided(0), Action::Stop(End::Expired));
    }

    #[test]
    fn a_sandbox_whose_agent_leaves_executions_alive_is_ended() {
        let running = record(Phase::Running(placement()), 60_000);
        let own = Own { silent: true, ..listening(&running) };
        let silent = Action::Stop(End::Failed(Failure::AgentSilent));
        assert_eq!(decide(&running, Observed::AsRecorded, own, NOW), silent);
        let oom = Observed::Ended(EndReason::Oom);
        assert_eq!(decide(&running, oom, own, NOW), Action::Stop(End::Failed(Failure::Oom)));
    }

    #[test]
    fn what_does_not_run_yet_is_not_idle() {
        let booting = record(Phase::Booting(placement()), 60_000);
        let own = Own { idle_at: Some(Millis(0)), ..listening(&booting) };
        assert_eq!(decide(&booting, Observed::AsRecorded, own, NOW), Action::Boot);
    }

    #[test]
    fn an_instance_that_ends_before_it_is_up_has_not_booted() {
        let failed = |failure| Action::Stop(End::Failed(failure));
        for reason in [EndReason::Exited, EndReason::Idle] {
            check(Phase::Booting(placement()), Observed::Ended(reason), 60_000, failed(Failure::BootFailed));
        }
        check(Phase::Booting(placement()), Observed::Ended(EndReason::Oom), 60_000, failed(Failure::Oom));
        check(Phase::Booting(placement()), Observed::Ended(EndReason::Exited), 100, Action::Stop(End::Expired));
    }

    #[test]
    fn a_boot_begins_only_when_the_node_has_spoken() {
        check(Phase::Booting(placement()), Observed::Unknown, 60_000, Action::WaitForNode);
        check(Phase::Booting(placement()), Observed::AsRecorded, 60_000, Action::Boot);
        check(Phase::Booting(placement()), Observed::Partial, 60_000, Action::Boot);
    }

    #[test]
    fn what_is_stopping_is_halted_whatever_else_is_true() {
        for observed in [Observed::Unknown, Observed::AsRecorded, Observed::Absent, Observed::Ended(EndReason::Oom)] {
            check(Phase::Stopping(placement(), End::Destroyed), observed, -1, Action::Halt);
            check(Phase::Finished(End::Destroyed), observed, -1, Action::Forget);
        }
    }

    #[test]
    fn a_running_sandbox_of_an_earlier_server_is_adopted_when_the_node_knows_it() {
        let record = record(Phase::Running(placement()), 60_000);
        let own = Own { listening: false, ..listening(&record) };
        assert_eq!(decide(&record, Observed::AsRecorded, own, NOW), Action::Adopt);
        assert_eq!(decide(&record, Observed::Unknown, own, NOW), Action::Wait(record.expires_at));
    }

    #[test]
    fn an_abandoned_one_shot_is_destroyed() {
        for phase in [Phase::Booting(placement()), Phase::Running(placement()), Phase::Paused(placement())] {
            let record = record(phase, 60_000);
            let own = Own { abandoned: true, ..listening(&record) };
            assert_eq!(decide(&record, Observed::AsRecorded, own, NOW), Action::Stop(End::Destroyed));
        }
    }

    #[test]
    fn node_and_agent_are_told_of_an_end_that_they_do_not_know() {
        let check = |record: &SandboxRecord, node: bool, agent: bool, expect| {
            let other = Terms { idle_timeout: Some(Duration::from_secs(1)), ..Terms::of(record) };
            let terms = |known: bool| Some(if known { Terms::of(record) } else { other });
            let own = Own { known: Known { node: terms(node), agent: terms(agent) }, ..listening(record) };
            assert_eq!(decide(record, Observed::AsRecorded, own, NOW), expect, "{node} {agent}");
        };
        let mut claimed = record(Phase::Running(placement()), 60_000);
        claimed.created_at = NOW;
        check(&claimed, true, true, Action::Wait(claimed.expires_at));
        check(&claimed, true, false, Action::Tell);
        check(&claimed, false, false, Action::Tell);
        check(&claimed, false, true, Action::Wait(NOW.after(TELL_AFTER)));
        claimed.one_shot = true;
        check(&claimed, false, false, Action::Tell);
        check(&claimed, false, true, Action::Wait(NOW.after(TELL_ONE_SHOT_AFTER)));
        claimed.created_at = Millis(NOW.0 - 1000);
        check(&claimed, false, true, Action::Tell);
        // Its own end comes first, told or not.
        check(&record(Phase::Running(placement()), 0), false, false, Action::Stop(End::Expired));
    }
}
