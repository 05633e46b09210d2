//! A diagnosis as text for people and as JSON for programs.

use std::fmt::Write as _;

use anyhow::Result;
use sentinal_cli::ServerReport;
use sentinal_model::Isolation;
use sentinal_node::doctor::{Check, Diagnosis, Examined, Finding};
use serde::Serialize;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// An engine that is allowed can be used.
    pub(super) usable: bool,
    minimum_isolation: &'static str,
    engines: Vec<EngineRow>,
    checks: Vec<CheckRow>,
    server: ServerReport,
}

#[derive(Debug, Serialize)]
struct EngineRow {
    name: &'static str,
    isolation: &'static str,
    allowed: bool,
    available: bool,
    version: Option<String>,
    reason: Option<ReasonRow>,
    /// The checks that it needs and that failed.
    broken_by: Vec<&'static str>,
    took_ms: u64,
}

#[derive(Debug, Serialize)]
struct ReasonRow {
    kind: &'static str,
    detail: String,
}

#[derive(Debug, Serialize)]
struct CheckRow {
    name: &'static str,
    /// `ok`, `lacking` or `unknown`.
    state: &'static str,
    found: String,
    remedy: Option<String>,
    needed_by: Vec<&'static str>,
}

impl Report {
    pub(super) fn new(diagnosis: &Diagnosis, minimum: Isolation, server: ServerReport) -> Self {
        let engines: Vec<_> = diagnosis.engines.iter().map(|engine| engine_row(engine, diagnosis, minimum)).collect();
        Self {
            usable: engines.iter().any(|engine| engine.allowed && engine.available),
            minimum_isolation: minimum.as_str(),
            engines,
            checks: diagnosis.checks.iter().map(check_row).collect(),
            server,
        }
    }

    pub(super) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for engine in &self.engines {
            // Writing into a String does not fail.
            let _ = writeln!(text, "{:<18} {}", engine.name, engine.line());
        }
        text.push('\n');
        for check in &self.checks {
            let _ = writeln!(text, "{:<18} {:<8} {}", check.name, check.state, check.found);
            if let Some(remedy) = &check.remedy {
                let _ = writeln!(text, "{:<27} {remedy}", "");
            }
        }
        let _ = write!(text, "\n{}\n\n", self.server.text());
        text.push_str(&self.conclusion());
        text
    }

    fn conclusion(&self) -> String {
        let allowed = |engine: &&EngineRow| engine.allowed && engine.available;
        let usable: Vec<_> = self.engines.iter().filter(allowed).map(|engine| engine.name).collect();
        if usable.is_empty() {
            return format!("no engine can be used that gives at least {} isolation", self.minimum_isolation);
        }
        format!("can be used: {}", usable.join(", "))
    }
}

impl EngineRow {
    fn line(&self) -> String {
        let found = match (&self.version, &self.reason) {
            (Some(version), _) => format!("available: {version}"),
            (None, Some(reason)) => format!("unavailable ({}): {}", reason.kind, reason.detail),
            (None, None) => "unknown".to_owned(),
        };
        let forbidden = if self.allowed { "" } else { ", not allowed by the minimum isolation" };
        let lacks =
            if self.broken_by.is_empty() { String::new() } else { format!("; lacks {}", self.broken_by.join(", ")) };
        format!("{found}{lacks} [{}{forbidden}; probed in {} ms]", self.isolation, self.took_ms)
    }
}

fn engine_row(engine: &Examined, diagnosis: &Diagnosis, minimum: Isolation) -> EngineRow {
    let isolation = engine.name.isolation();
    let unusable = engine.probe.as_ref().err();
    EngineRow {
        name: engine.name.as_str(),
        isolation: isolation.as_str(),
        allowed: minimum <= isolation,
        available: engine.probe.is_ok(),
        version: engine.probe.as_ref().ok().cloned(),
        reason: unusable.map(|unusable| ReasonRow { kind: unusable.kind, detail: unusable.reason.clone() }),
        broken_by: if unusable.is_some() { diagnosis.broken_by(engine.name) } else { Vec::new() },
        took_ms: u64::try_from(engine.took.as_millis()).unwrap_or(u64::MAX),
    }
}

fn check_row(check: &Check) -> CheckRow {
    let (state, found, remedy) = match &check.finding {
        Finding::Fine(found) => ("ok", found.clone(), None),
        Finding::Lacking { what, remedy } => ("lacking", what.clone(), Some(remedy.clone())),
        Finding::Unknown { why } => ("unknown", why.clone(), None),
    };
    let needed_by = check.needed_by.iter().map(|engine| engine.as_str()).collect();
    CheckRow { name: check.name, state, found, remedy, needed_by }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sentinal_model::EngineName;
    use sentinal_node::doctor::Unusable;

    use super::*;

    fn diagnosis(gvisor: Result<&str, &str>) -> Diagnosis {
        let unusable = |reason: &str| Unusable { kind: "missing", reason: reason.to_owned() };
        let examined = |name, probe: Result<&str, &str>| Examined {
            name,
            probe: probe.map(str::to_owned).map_err(unusable),
            took: Duration::from_millis(7),
        };
        Diagnosis {
            engines: vec![examined(EngineName::Gvisor, gvisor), examined(EngineName::Native, Ok("native 1"))],
            checks: vec![Check {
                name: "loop devices",
                finding: Finding::Lacking { what: "none".to_owned(), remedy: "load it".to_owned() },
                needed_by: &[EngineName::Gvisor],
            }],
        }
    }

    fn check(gvisor: Result<&str, &str>, minimum: Isolation, usable: bool) {
        let report = Report::new(&diagnosis(gvisor), minimum, ServerReport::default());
        assert_eq!(report.usable, usable, "{gvisor:?} {minimum}");
    }

    #[test]
    fn an_engine_that_is_not_allowed_is_of_no_use() {
        check(Ok("runsc 1"), Isolation::UserspaceKernel, true);
        check(Ok("runsc 1"), Isolation::Microvm, false);
        check(Err("no runsc"), Isolation::UserspaceKernel, false);
        check(Err("no runsc"), Isolation::SharedKernel, true);
    }

    #[test]
    fn the_text_says_what_is_wrong_and_what_to_do() {
        let text = Report::new(&diagnosis(Err("no runsc")), Isolation::UserspaceKernel, ServerReport::default()).text();
        for words in [
            "gvisor             unavailable (missing): no runsc; lacks loop devices [userspace-kernel; probed in 7 ms]",
            "native             available: native 1 [shared-kernel, not allowed by the minimum isolation; probed in 7 ms]",
            "loop devices       lacking  none",
            "load it",
            "no engine can be used that gives at least userspace-kernel isolation",
        ] {
            assert!(text.contains(words), "{words:?} is not in {text}");
        }
    }
}
