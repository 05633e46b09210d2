//! What the server says when it serves: five lines for a person, one event for a log.

use std::{io::IsTerminal as _, path::Path, time::Duration};

use sentinal_controller::{Controller, EngineStatus};
use sentinal_telemetry::LogFormat;

/// How long to wait for what the node says of its engines.
const ENGINES_DEADLINE: Duration = Duration::from_secs(30);

/// Longest reason of an engine that cannot be used; `sentinal doctor` has all of it.
const REASON_CHARS_MAX: usize = 100;

/// Where everything is.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    pub(crate) url: String,
    pub(crate) admin_key: std::path::PathBuf,
    pub(crate) data: std::path::PathBuf,
}

/// Says that the server serves, once it is known with which engines.
pub(crate) async fn say(controller: Controller, served: Served, format: LogFormat) {
    let engines = controller.engines_at_start(ENGINES_DEADLINE).await;
    if format == LogFormat::Text && std::io::stderr().is_terminal() {
        return print(&lines(&served, &engines));
    }
    let Served { url, admin_key, data } = &served;
    let (admin_key, data_dir) = (admin_key.display(), data.display());
    tracing::info!(url, %admin_key, %data_dir, engines = engines_line(&engines), "server listening");
}

fn lines(served: &Served, engines: &[EngineStatus]) -> String {
    let Served { url, admin_key, data } = served;
    format!(
        "SENTINAL {version} serves at {url}\n  key      {admin_key}\n  engines  {engines}\n  data     {data}\n  \
         Ctrl-C stops the server, and sandboxes go on. Try: SENTINAL_URL={url} sentinal run -- uname -a\n",
        version = env!("CARGO_PKG_VERSION"),
        admin_key = shown(admin_key),
        engines = engines_line(engines),
        data = shown(data),
    )
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Those that can be used, then the others and why.
fn engines_line(engines: &[EngineStatus]) -> String {
    let (can, cannot): (Vec<_>, Vec<_>) = engines.iter().partition(|engine| engine.allowed && engine.usable.is_ok());
    let can: Vec<_> = can.iter().map(|engine| format!("{} ({})", engine.name, engine.name.isolation())).collect();
    let can = if can.is_empty() { "none".to_owned() } else { can.join(", ") };
    let cannot: Vec<_> = cannot.iter().map(|engine| format!("{}: {}", engine.name, why_not(engine))).collect();
    if cannot.is_empty() { can } else { format!("{can}; not {}", cannot.join("; not ")) }
}

fn why_not(engine: &EngineStatus) -> String {
    match &engine.usable {
        Err(reason) if REASON_CHARS_MAX < reason.chars().count() => {
            reason.chars().take(REASON_CHARS_MAX).chain(['…']).collect()
        }
        Err(reason) => reason.clone(),
        Ok(_) => format!("only {} isolation, which --minimum-isolation forbids", engine.name.isolation()),
    }
}

#[expect(clippy::print_stderr, reason = "for the person at the terminal; the log has it otherwise")]
fn print(text: &str) {
    eprint!("{text}");
}

#[cfg(test)]
mod tests {
    use sentinal_model::EngineName;

    use super::*;

    fn status(name: EngineName, allowed: bool, usable: Result<&str, &str>) -> EngineStatus {
        EngineStatus { name, allowed, usable: usable.map(str::to_owned).map_err(str::to_owned) }
    }

    #[test]
    fn a_person_reads_five_lines() {
        let served =
            Served { url: "http://127.0.0.1:8080".to_owned(), admin_key: "/d/admin.key".into(), data: "/d".into() };
        let long = "x".repeat(500);
        let engines = [
            status(EngineName::Firecracker, true, Err(&long)),
            status(EngineName::Gvisor, true, Ok("20240729")),
            status(EngineName::Native, false, Ok("6.1")),
        ];
        let lines = lines(&served, &engines);
        assert_eq!(lines.lines().count(), 5, "{lines}");
        assert!(lines.contains("gvisor (userspace-kernel); not firecracker: xxx"), "{lines}");
        assert!(lines.contains("…; not native: only shared-kernel isolation"), "{lines}");
        assert_eq!(engines_line(&engines[..0]), "none");
    }
}
