//! One trace of one request shows every step that was taken for it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use sentinal_tests::{Fact, NewExecution, Options, Role, Server, commands, eventually};
use serde_json::json;

use crate::collector::Collector;

const CALLER_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER_SPAN: &str = "00f067aa0ba902b7";

/// Each step, and the one that it is a part of.
const WHOLE: [(&str, &str); 10] = [
    ("gateway.request", CALLER_SPAN),
    ("controller.create", "gateway.request"),
    ("scheduler.place", "controller.create"),
    ("engine.boot", "gateway.request"),
    ("node.boot", "engine.boot"),
    ("agent.dial", "engine.boot"),
    ("agent.execute", "gateway.request"),
    ("results.collect", "gateway.request"),
    ("controller.destroy", "gateway.request"),
    ("engine.halt", "controller.destroy"),
];

fn options(endpoint: &str) -> Options {
    Options { serve: vec!["--otlp-endpoint".into(), endpoint.into()], ..Options::default() }
}

#[tokio::test]
async fn a_whole_workflow_is_one_trace_below_its_callers() -> Fact {
    let collector = Collector::start()?;
    let Some(server) = Server::start("traces", options(&collector.endpoint())).await? else { return Ok(()) };
    let request = server.client()?.post("/execute").json(&json!({"command": "echo hi", "memory": "256Mi"}));
    let answer = request.header("traceparent", &format!("00-{CALLER_TRACE}-{CALLER_SPAN}-01")).send().await?;
    let answer = answer.expect(200)?;
    ensure!(answer.headers.get("x-trace-id").is_some_and(|id| id == CALLER_TRACE), "{:?}", answer.headers);
    let trace = collector.trace(CALLER_TRACE, &WHOLE.map(|(name, _)| name)).await?;
    for (name, above) in WHOLE {
        ensure!(trace.above(name)? == above, "{name} is below {}", trace.above(name)?);
        let span = trace.span(name)?;
        ensure!(0 < span.start_time_unix_nano && span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
    }
    let began = |name| trace.span(name).map(|span| span.start_time_unix_nano);
    let order = ["gateway.request", "controller.create", "scheduler.place", "engine.boot", "agent.execute"];
    let order = order.into_iter().chain(["results.collect", "controller.destroy"]).map(began);
    let order: Vec<u64> = order.collect::<anyhow::Result<_>>()?;
    ensure!(order.is_sorted(), "the steps are out of order: {order:?}");
    let boot = trace.attributes("engine.boot")?;
    let sandbox = boot.get("sandbox").context("a sandbox")?;
    for name in ["controller.create", "agent.execute", "results.collect", "controller.destroy"] {
        ensure!(trace.attributes(name)?.get("sandbox") == Some(sandbox), "{name}: {:?}", trace.attributes(name)?);
    }
    ensure!(boot.get("engine").is_some_and(|engine| engine == "gvisor"), "{boot:?}");
    let execution = trace.attributes("agent.execute")?;
    ensure!(execution.get("outcome").is_some_and(|outcome| outcome == "exited"), "{execution:?}");
    let destroyed = trace.attributes("controller.destroy")?;
    ensure!(destroyed.get("outcome").is_some_and(|outcome| outcome == "destroyed"), "{destroyed:?}");
    ensure!(collector.services().iter().any(|name| name == "sentinal"), "{:?}", collector.services());
    server.clean().await
}

#[tokio::test]
async fn a_refusal_tells_its_trace_and_the_last_spans_are_sent_before_the_server_ends() -> Fact {
    let collector = Collector::start()?;
    let Some(server) = Server::start("traces_end", options(&collector.endpoint())).await? else { return Ok(()) };
    let refused = server.client()?.post("/execute").json(&json!({"commmand": "x"})).send().await?;
    refused.refused(400, "invalid_request")?;
    let trace_id = refused.headers.get("x-trace-id").context("a trace")?.to_str()?.to_owned();
    Role::Serve.stop(server.place().data_dir())?;
    let trace = collector.trace(&trace_id, &["gateway.request"]).await?;
    ensure!(trace.attributes("gateway.request")?.get("status").is_some_and(|status| status == "400"), "{trace:?}");
    Ok(())
}

#[tokio::test]
async fn a_claim_takes_the_place_of_the_boot() -> Fact {
    let collector = Collector::start()?;
    let mut options = options(&collector.endpoint());
    options.serve.extend(commands::pool("engine=gvisor,memory=256Mi,disk=64Mi,size=1"));
    let Some(server) = Server::start("traces_claim", options).await? else { return Ok(()) };
    let client = server.client()?;
    let ready = || async {
        let ready = client.metric("sentinal_pool_sandboxes{engine=\"gvisor\",state=\"ready\"}").await?;
        ensure!(0 < ready, "none is ready");
        Ok(())
    };
    eventually("a pool that is full", Duration::from_mins(3), ready).await?;
    let new = json!({"command": "true", "engine": "gvisor", "memory": "256Mi", "disk": "64Mi"});
    let answer = client.post("/execute").json(&new).send().await?.expect(200)?;
    let trace_id = answer.headers.get("x-trace-id").context("a trace")?.to_str()?.to_owned();
    let names = ["controller.claim", "scheduler.place", "agent.execute", "results.collect", "controller.destroy"];
    let trace = collector.trace(&trace_id, &names).await?;
    ensure!(trace.above("controller.claim")? == "controller.create", "{:?}", trace.names());
    ensure!(!trace.names().contains(&"engine.boot"), "{:?}", trace.names());
    server.place().learn_cgroups();
    Ok(())
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_nothing_up() -> Fact {
    // It takes connections, for the kernel does, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let endpoint = format!("http://{}", silent.local_addr()?);
    let Some(server) = Server::start("traces_silent", options(&endpoint)).await? else { return Ok(()) };
    let client = server.client()?;
    let execution = client.execute(&NewExecution::shell("echo hi").with("memory", "256Mi")).await?;
    ensure!(execution.ok()? == "hi\n", "{execution:?}");
    let asked = Instant::now();
    for _ in 0..500 {
        client.request(hyper::Method::GET, "/livez").send().await?.expect(200)?;
    }
    ensure!(asked.elapsed() < Duration::from_secs(20), "500 requests took {:?}", asked.elapsed());
    Role::Serve.stop(server.place().data_dir())?;
    let gone = || async {
        ensure!(Role::Serve.running(server.place().data_dir()).is_empty(), "it is still there");
        Ok(())
    };
    eventually("the end of the server", Duration::from_secs(15), gone).await
}
