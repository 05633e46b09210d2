//! What this host can and what it cannot, for whoever wonders why an engine is not used.
//!
//! Probes are really run, and so is everything else that can be tried in a moment. What is lacking comes with what to
//! do about it; what cannot be told without root is said to be unknown.
//!
//! Any number of them may run at once, beside nodes that run: each has a [`workplace`] of its own.

mod cgroups;
mod host;
mod workplace;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use sentinal_engine::{Engine, ProbeFailure, cgroup::parent_for};
use sentinal_model::{EngineName, limits::PROBE_DEADLINE};
use tokio::time::{Instant, timeout};

use crate::{
    NodeConfig, Programs,
    folder::FolderError,
    limits::{LIST_DEADLINE, PROBE_GRACE},
    run,
};
use workplace::Workplace;

/// How long what a dead doctor left may hold up this one.
const CLEAR_DEADLINE: Duration = Duration::from_secs(30);

/// What is examined.
#[derive(Debug)]
pub struct Examination {
    /// A node as it would be. Its state folder need not be there, and is not touched.
    pub config: NodeConfig,
    /// What engines start their programs with.
    pub programs: Programs,
    /// Where each doctor has a folder for its probes. The same for every run, so that what one left that was killed is
    /// found by the next.
    pub folder: PathBuf,
    /// Percent of the memory that must be available for one more sandbox.
    pub memory_percent_min: u64,
}

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
pub async fn examine(examination: &Examination) -> Diagnosis {
    let Examination { config, folder, memory_percent_min, .. } = examination;
    let checks = host::checks(config, *memory_percent_min);
    let (workplace, abandoned) = match Workplace::take(folder).await {
        Ok(taken) => taken,
        Err(error) => return Diagnosis { engines: examination.without_workplace(&error), checks: checks.await },
    };
    let clearing = join_all(abandoned.into_iter().map(|left| examination.clear(left)));
    // Not an error: what is left is there for the next one.
    let _ = timeout(CLEAR_DEADLINE, clearing).await;
    let trial = trial(&workplace);
    let engines = examination.engines(workplace.path());
    let (engines, mut checks) = tokio::join!(join_all(engines.iter().map(examined)), checks);
    checks.extend(cgroups::checks(&trial));
    examination.clear(workplace).await;
    Diagnosis { engines, checks }
}

impl Examination {
    fn engines(&self, workplace: &Path) -> Vec<Arc<dyn Engine>> {
        let config = NodeConfig { state_folder: workplace.to_owned(), ..self.config.clone() };
        run::engines(&config, self.programs.clone())
    }

    fn without_workplace(&self, error: &FolderError) -> Vec<Examined> {
        let failure = ProbeFailure::Refused {
            what: error.to_string(),
            hint: format!("remove {}, and make room where it is", self.folder.display()),
        };
        let names = self.engines(&self.folder).into_iter().map(|engine| engine.name());
        names.map(|name| Examined { name, probe: Err(unusable(&failure)), took: Duration::ZERO }).collect()
    }

    /// Removes a workplace and everything that its probes had; all of it stays if any of that does.
    async fn clear(&self, workplace: Workplace) {
        for engine in self.engines(workplace.path()) {
            // An engine that cannot say what there is has never made anything.
            let Ok(Ok(instances)) = timeout(LIST_DEADLINE, engine.list()).await else { continue };
            for instance in instances {
                if engine.halt(&instance.id).await.is_err() {
                    return;
                }
            }
        }
        let parent = |engine: EngineName| parent_for(engine.as_str(), &workplace.path().join(engine.as_str()));
        cgroups::remove(&[parent(EngineName::Gvisor), parent(EngineName::Native), trial(&workplace)]);
        workplace.remove().await;
    }
}

/// The cgroup that one doctor tries to make.
fn trial(workplace: &Workplace) -> String {
    format!("sentinal-{}", workplace.name())
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
