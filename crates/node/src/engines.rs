//! The engines of this build, and what their probes found.
//!
//! Each engine is probed by a task of its own, so one that hangs holds up nobody for long: what is described is what
//! the last finished probe said. Only the first probes are waited for, a little, so that a node that has just started
//! is not taken for one without engines.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sentinal_engine::{Engine, ProbeFailure};
use sentinal_model::{EngineName, limits::PROBE_DEADLINE};
use sentinal_node_protocol::{EngineView, Probe};
use tokio::{
    sync::{Notify, SetOnce},
    time::{Instant, timeout},
};

use crate::limits::{FIRST_PROBES_WAIT, PROBE_GRACE, PROBE_INTERVAL, PROBE_INTERVAL_SUSPECT};

/// By name, in order of preference.
#[derive(Debug, Default)]
pub(crate) struct Engines(BTreeMap<EngineName, Arc<ProbedEngine>>);

/// An engine and its last probe.
#[derive(Debug)]
pub(crate) struct ProbedEngine {
    engine: Arc<dyn Engine>,
    view: Mutex<EngineView>,
    /// Set when it has been probed once.
    probed: SetOnce<()>,
    suspected: Notify,
}

impl Engines {
    pub(crate) fn new(engines: Vec<Arc<dyn Engine>>) -> Self {
        Self(engines.into_iter().map(|engine| (engine.name(), Arc::new(ProbedEngine::new(engine)))).collect())
    }

    pub(crate) fn get(&self, name: EngineName) -> Option<&ProbedEngine> {
        self.0.get(&name).map(AsRef::as_ref)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = EngineName> {
        self.0.keys().copied()
    }

    /// What the probes found, as soon as each engine has been probed once or has had its time.
    pub(crate) async fn describe(&self) -> Vec<EngineView> {
        let all_probed = async {
            for probed in self.0.values() {
                probed.probed.wait().await;
            }
        };
        // Those that take longer say so themselves.
        let _ = timeout(FIRST_PROBES_WAIT, all_probed).await;
        self.0.values().map(|probed| probed.view()).collect()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<ProbedEngine>> {
        self.0.values()
    }
}

impl ProbedEngine {
    fn new(engine: Arc<dyn Engine>) -> Self {
        let name = engine.name();
        let probe =
            Probe::Unavailable { reason: format!("the first probe of {name} has not finished; try again soon") };
        let view = EngineView { name, probe, took: Duration::ZERO, can_rest: engine.can_rest() };
        Self { engine, view: Mutex::new(view), probed: SetOnce::new(), suspected: Notify::new() }
    }

    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// It failed at something: probe it soon.
    pub(crate) fn suspect(&self) {
        self.suspected.notify_one();
    }

    fn view(&self) -> EngineView {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Probes again and again; calls `changed` when the engine became available or stopped being so, or
    /// says another reason or version.
    pub(crate) async fn keep_probing(self: Arc<Self>, changed: impl Fn() + Send) {
        loop {
            if self.probe().await {
                changed();
            }
            tokio::time::sleep(PROBE_INTERVAL_SUSPECT).await;
            // Elapsed or suspected, it is time either way.
            let _ = timeout(PROBE_INTERVAL.saturating_sub(PROBE_INTERVAL_SUSPECT), self.suspected.notified()).await;
        }
    }

    /// Probes once and answers whether the engine changed.
    async fn probe(&self) -> bool {
        let began = Instant::now();
        let found = timeout(PROBE_DEADLINE + PROBE_GRACE, self.engine.probe()).await;
        let hung = || Err(ProbeFailure::Hung { what: "the probe".to_owned(), deadline: PROBE_DEADLINE });
        let (probe, took) = match found.unwrap_or_else(|_| hung()) {
            Ok(report) => (Probe::Available { version: report.version }, report.took),
            Err(failure) => (Probe::Unavailable { reason: failure.to_string() }, began.elapsed()),
        };
        let fresh = EngineView { name: self.engine.name(), probe, took, can_rest: self.engine.can_rest() };
        let before = std::mem::replace(&mut *self.view.lock().unwrap_or_else(PoisonError::into_inner), fresh.clone());
        // Not an error: only the first probe is the first.
        let _ = self.probed.set(());
        let changed = before.probe != fresh.probe;
        if changed {
            tracing::debug!(engine = %fresh.name, probe = ?fresh.probe, "engine probed");
        }
        changed
    }
}
