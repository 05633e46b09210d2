//! What this host can and what it cannot, for whoever wonders why an engine is not used.
//!
//! Probes are really run, and so is everything else that can be tried in a moment. What is lacking comes with what to
//! do about it; what cannot be told without root is said to be unknown.

mod cgroups;
mod host;

use std::{path::Path, sync::Arc, time::Duration};

use futures::future::join_all;
use sentinal_engine::{Engine, ProbeFailure};
use sentinal_model::{EngineName, limits::PROBE_DEADLINE};
use tokio::time::{Instant, timeout};

use crate::{NodeConfig, NodeParts, limits::PROBE_GRACE};

/// Everything that was found out.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    /// The engines of this build, each with its probe.
    pub engines: Vec<Examined>,
    /// What else was looked at.
    pub checks: Vec<Check>,
}

/// An engine and what its probe found.
#[derive(Debug, Clone)]
pub struct Examined {
    /// Which engine.
    pub name: EngineName,
    /// The version that answered, or why the engine cannot be used.
    pub probe: Result<String, Unusable>,
    /// How long the probe took.
    pub took: Duration,
}

/// Why an engine cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// `missing`, `too_old`, `refused`, `hung` or `failed`.
    pub kind: &'static str,
    /// Why, and what to do, in one sentence.
    pub reason: String,
}

/// Something that engines or the node need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, in a word or two.
    pub name: &'static str,
    /// What was found.
    pub finding: Finding,
    /// The engines that cannot be used without it.
    pub needed_by: &'static [EngineName],
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is as it should be.
    Fine(String),
    /// It is not.
    Lacking {
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// It could not be found out.
    Unknown {
        /// Why not.
        why: String,
    },
}

impl Finding {
    fn lacking(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Lacking { what: what.into(), remedy: remedy.into() }
    }
}

impl Diagnosis {
    /// What an engine needs and does not have.
    pub fn broken_by(&self, engine: EngineName) -> Vec<&'static str> {
        let lacking = |check: &&Check| matches!(check.finding, Finding::Lacking { .. });
        let needed = self.checks.iter().filter(lacking).filter(|check| check.needed_by.contains(&engine));
        needed.map(|check| check.name).collect()
    }
}

/// Examines this host with the parts that a node would use. Takes as long as the slowest probe.
pub async fn examine(config: &NodeConfig, parts: &NodeParts) -> Diagnosis {
    let folder = config.state_folder.clone();
    let before = cgroups::ours();
    let probes = join_all(parts.engines.iter().map(examined));
    let (engines, mut checks) = tokio::join!(probes, host::checks(config));
    checks.extend(host::images(&parts.images, &config.images));
    checks.extend(cgroups::checks());
    cgroups::remove_new(&before);
    remove_empty(&folder);
    Diagnosis { engines, checks }
}

async fn examined(engine: &Arc<dyn Engine>) -> Examined {
    let began = Instant::now();
    let hung = || Err(ProbeFailure::Hung { what: "the probe".to_owned(), deadline: PROBE_DEADLINE });
    let found = timeout(PROBE_DEADLINE + PROBE_GRACE, engine.probe()).await.unwrap_or_else(|_| hung());
    let probe = found.map(|report| report.version).map_err(|failure| unusable(&failure));
    Examined { name: engine.name(), probe, took: began.elapsed() }
}

fn unusable(failure: &ProbeFailure) -> Unusable {
    let kind = match failure {
        ProbeFailure::Missing { .. } => "missing",
        ProbeFailure::TooOld { .. } => "too_old",
        ProbeFailure::Refused { .. } => "refused",
        ProbeFailure::Hung { .. } => "hung",
        ProbeFailure::Failed { .. } => "failed",
    };
    Unusable { kind, reason: failure.to_string() }
}

/// The folders of probes, which leave nothing in them.
fn remove_empty(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        remove_empty(&entry.path());
    }
    // What is not empty is somebody's.
    let _ = std::fs::remove_dir(folder);
}

#[cfg(test)]
mod tests {
    use sentinal_engine::fake::{Behaviour, Verb};

    use super::*;
    use crate::testing::Machine;

    #[tokio::test(start_paused = true)]
    async fn every_engine_is_probed_and_says_why_it_cannot_be_used() {
        let machine = Machine::new();
        let engine: Arc<dyn Engine> = Arc::new(machine.engine.clone());
        assert_eq!(examined(&engine).await.probe, Ok("fake 1".to_owned()));
        machine.engine.set(Verb::Probe, Behaviour::Fails);
        assert_eq!(examined(&engine).await.probe.unwrap_err().kind, "failed");
        machine.engine.set(Verb::Probe, Behaviour::Hangs);
        let hung = examined(&engine).await;
        assert_eq!(hung.probe.unwrap_err().kind, "hung");
        assert!(PROBE_DEADLINE <= hung.took);
    }

    #[test]
    fn an_engine_is_broken_by_what_it_needs_and_lacks() {
        let check = |name, finding, needed_by| Check { name, finding, needed_by };
        let lacking = || Finding::lacking("gone", "get it");
        let checks = vec![
            check("a", lacking(), &[EngineName::Native][..]),
            check("b", Finding::Fine(String::new()), &[EngineName::Native]),
            check("c", Finding::Unknown { why: String::new() }, &[EngineName::Native]),
            check("d", lacking(), &[]),
        ];
        let diagnosis = Diagnosis { engines: Vec::new(), checks };
        assert_eq!(diagnosis.broken_by(EngineName::Native), ["a"]);
        assert!(diagnosis.broken_by(EngineName::Gvisor).is_empty());
    }
}
