//! What a server says about itself, for `sentinal doctor`.

use std::{fmt::Write as _, time::Duration};

use anyhow::Result;
use sentinal_api::{Engine, Health, List};
use serde::Serialize;
use serde_json::Value;

use crate::{
    client::{Answer, Client},
    engine, failure,
    server::ServerOptions,
    show::clean,
};

/// How long all questions together may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// A server, as it was found.
#[derive(Debug, Default, Serialize)]
pub struct ServerReport {
    /// Where; null if that could not be found out.
    url: Option<String>,
    /// `healthy`, `unhealthy` or `unreachable`.
    status: String,
    /// What keeps it from being healthy, or from being reached.
    reasons: Vec<String>,
    /// Which version runs there.
    version: Option<String>,
    /// `valid`, or why not; null if nobody could be asked.
    key: Option<String>,
    /// What it can run sandboxes on; null without a valid key.
    engines: Option<Vec<Engine>>,
}

impl ServerReport {
    /// Asks the server that is meant. That there is none, or that nobody knows which, is a finding and no failure.
    pub async fn of(options: &ServerOptions) -> Self {
        let mut report = Self { status: "unreachable".to_owned(), ..Self::default() };
        let client = match options.resolve().and_then(Client::new) {
            Ok(client) => client,
            Err(error) => {
                report.reasons.push(clean(&format!("{error:#}")));
                return report;
            }
        };
        report.url = Some(client.shown());
        match tokio::time::timeout(DEADLINE, report.ask(&client)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => report.reasons.push(clean(&format!("{error:#}"))),
            Err(_) => report.reasons.push("it does not answer".to_owned()),
        }
        report
    }

    async fn ask(&mut self, client: &Client) -> Result<()> {
        let health: Health = client.public("health").await?;
        self.status = clean(&health.status);
        self.reasons = health.reasons.iter().map(|reason| clean(reason)).collect();
        let description: Value = client.public("openapi.json").await?;
        self.version = description["info"]["version"].as_str().map(clean);
        match client.get::<List<Engine>>(&["engine"], &[]).await {
            Ok(Answer { body, .. }) => {
                self.key = Some("valid".to_owned());
                self.engines = Some(body.items);
            }
            Err(error) => {
                let advice = failure::of(&error).and_then(failure::Failure::advice);
                self.key = Some(advice.map_or_else(|| format!("{error:#}"), |advice| format!("{error:#}; {advice}")));
            }
        }
        Ok(())
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("{:<18} {}", "server", self.status);
        let url = self.url.as_ref().map(|url| format!(" at {url}"));
        text.push_str(url.as_deref().unwrap_or_default());
        let version = self.version.as_ref().map(|version| format!(", version {version}"));
        text.push_str(version.as_deref().unwrap_or_default());
        for reason in &self.reasons {
            // Writing into a String does not fail.
            let _ = write!(text, "\n{:<18} {reason}", "");
        }
        if let Some(key) = &self.key {
            let _ = write!(text, "\n{:<18} {key}", "api key");
        }
        for line in self.engines.iter().flat_map(|engines| engine::table(engines).lines(usize::MAX)) {
            let _ = write!(text, "\n{:<18} {line}", "");
        }
        text
    }
}
