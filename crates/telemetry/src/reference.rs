//! The table of all figures in docs/observability.md is what they say of themselves.
//! `UPDATE_GENERATED=1 cargo test -p sentinal-telemetry reference` writes it anew.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, time::Duration};

use sentinal_model::{DeliveryResult, End, EngineName, ExecutionOutcome, State};

use crate::{Claim, InUse, Limit, Metrics, MetricsFormat, NodeRoom, PoolCounts, Route, SpanFate};

const BEGIN: &str = "<!-- metrics: UPDATE_GENERATED=1 cargo test -p sentinal-telemetry reference -->\n";
const END: &str = "<!-- end of metrics -->";

/// Figures that all have something to show.
fn used() -> Metrics {
    let (m, engine, took) = (Metrics::new(), EngineName::Gvisor, Duration::from_millis(1));
    m.request(Route::Sandbox, "GET", 200, took);
    m.limit_reached(Limit::JsonBody);
    m.sandbox_entered(State::Running, Some(engine));
    m.sandbox_finished(Some(engine), End::Destroyed);
    m.engine_booted(engine, took);
    m.engine_halted(engine, took);
    m.engine_paused(engine, took);
    m.engine_resumed(engine, took);
    m.engine_failed(engine);
    m.execution_started();
    m.execution_ended(engine, ExecutionOutcome::Exited(0), took);
    m.pools_stand(engine, PoolCounts::default());
    m.pool_asked(engine, Claim::Hit);
    m.pool_claimed(engine, took);
    m.spans(SpanFate::Made, 1);
    m.sandbox_cpu(engine, 1);
    m.sandboxes_use(engine, InUse::default());
    m.sandbox_ended(engine, 1, 1);
    m.node_answers(NodeRoom::default());
    m.engine_probed(engine, true);
    m.webhook_attempted(DeliveryResult::Delivered, took);
    m
}

/// Name, kind, labels and help of each, in the order of the flow.
fn table() -> String {
    let text = used().render(MetricsFormat::Prometheus);
    let mut rows = String::from("| name | kind | labels | what it is |\n|---|---|---|---|\n");
    let kinds: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    for (name, help) in text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' ')) {
        let labels = labels(&text, name);
        writeln!(rows, "| `{name}` | {} | {labels} | {} |", kinds[name], help.trim_end_matches('.')).unwrap();
    }
    rows
}

fn labels(text: &str, name: &str) -> String {
    let series = text.lines().find(|line| {
        let rest = line.strip_prefix(name).map(|rest| rest.trim_start_matches("_bucket").trim_start_matches("_sum"));
        rest.is_some_and(|rest| rest.starts_with('{'))
    });
    let inside = series.and_then(|line| line.split_once('{')?.1.rsplit_once('}')).map_or("", |(inside, _)| inside);
    let names = inside.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name);
    names.filter(|name| *name != "le").map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_table_is_what_the_figures_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/observability.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let fresh = format!("{before}{BEGIN}\n{}\n{END}{after}", table());
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), fresh, "docs/observability.md is stale");
}

#[test]
fn every_figure_that_is_registered_is_in_the_table_and_says_its_unit() {
    let table = table();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/metrics");
    for file in fs::read_dir(folder).unwrap() {
        let source = fs::read_to_string(file.unwrap().path()).unwrap();
        for name in source.split('"').filter(|word| word.starts_with("sentinal_") && !word.contains('{')) {
            let row = table
                .lines()
                .find(|row| row.starts_with(&format!("| `{name}` ")) || row.starts_with(&format!("| `{name}_total` ")));
            let row = row.unwrap_or_else(|| panic!("{name} is not in the table"));
            let unit = name.rsplit('_').next().filter(|unit| ["seconds", "bytes"].contains(unit));
            assert!(unit.is_none_or(|unit| row.to_lowercase().matches(unit).count() > 1), "{row}");
        }
    }
}
