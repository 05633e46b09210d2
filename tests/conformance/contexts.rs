//! Contexts: what one piece of code leaves, the next one finds.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use sentinal_tests::{Answer, Fact, Ground, Guest, eventually};
use serde_json::{Value, json};

use crate::table::{Row, light};

const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) fn rows() -> Vec<Row> {
    vec![
        light(python_keeps_what_code_leaves),
        light(javascript_keeps_what_code_leaves),
        light(bash_keeps_what_code_leaves),
        light(errors_are_told_and_the_context_goes_on),
        light(pieces_that_are_sent_at_once_run_in_order),
        light(code_that_takes_too_long_is_interrupted),
        light(code_that_cannot_be_interrupted_ends_its_context),
        light(contexts_are_apart_and_end_when_removed),
        light(what_is_too_large_is_cut),
        light(a_program_that_speaks_nonsense_ends),
    ]
}

/// A context of the guest's, by its id.
pub(crate) async fn context(guest: &Guest, language: &str) -> Result<String> {
    let new = guest.client().post(&format!("/sandbox/{}/context", guest.id())).json(&json!({ "language": language }));
    let context: Value = new.send().await?.expect(201)?.json()?;
    context["id"].as_str().map(str::to_owned).context("an id")
}

async fn send(guest: &Guest, context: &str, code: &str, timeout: u32) -> Result<Answer> {
    let body = json!({"sandbox_id": guest.id(), "context_id": context, "code": code, "timeout": timeout});
    guest.client().post("/execute").json(&body).send().await
}

pub(crate) async fn run(guest: &Guest, context: &str, code: &str) -> Result<Value> {
    send(guest, context, code, 60).await?.expect(200)?.json()
}

/// The text of the value of the last expression, and what was printed.
async fn check(guest: &Guest, context: &str, code: &str, expected: (&str, &str)) -> Fact {
    let ran = run(guest, context, code).await?;
    let shown = ran["results"][0]["data"]["text/plain"].as_str().unwrap_or_default();
    let printed = ran["stdout"].as_str().unwrap_or_default();
    ensure!((shown, printed) == expected, "{code}: {ran}");
    ensure!(ran["exit_code"] == 0 && ran["context_id"] == context, "{code}: {ran}");
    Ok(())
}

async fn python_keeps_what_code_leaves(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let python = context(&guest, "python").await?;
    check(&guest, &python, "import os\nx = 41\ndef f(): return x + 1", ("", "")).await?;
    check(&guest, &python, "print(f()); f()", ("42", "42\n")).await?;
    check(&guest, &python, "import asyncio\nawait asyncio.sleep(0.01)\n_", ("42", "")).await?;
    check(&guest, &python, "os.getcwd(), os.getuid()", ("('/home/user', 1000)", "")).await?;
    let rich = "class Rich:\n  def _repr_html_(self): return '<b>x</b>'\n  def _repr_png_(self): return b'png'\n\
                display(1)\nRich()";
    let ran = run(&guest, &python, rich).await?;
    ensure!(ran["results"][0] == json!({"type": "display", "data": {"text/plain": "1"}}), "{ran}");
    let data = &ran["results"][1]["data"];
    ensure!(data["text/html"] == "<b>x</b>" && data["image/png"] == "cG5n", "{ran}");
    guest.gone().await
}

async fn javascript_keeps_what_code_leaves(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let javascript = context(&guest, "javascript").await?;
    check(&guest, &javascript, "let x = 40; const f = () => x + 1", ("", "")).await?;
    check(&guest, &javascript, "let x = 41; console.log('hi'); x + 1", ("42", "hi\n")).await?;
    check(&guest, &javascript, "const later = await new Promise((done) => setTimeout(done, 10, 7)); later", ("7", ""))
        .await?;
    let ran = run(&guest, &javascript, "[1, { a: 2 }]").await?;
    ensure!(ran["results"][0]["data"]["application/json"] == json!([1, {"a": 2}]), "{ran}");
    guest.gone().await
}

async fn bash_keeps_what_code_leaves(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let bash = context(&guest, "bash").await?;
    check(&guest, &bash, "x=41; cd /tmp; f() { echo $((x + 1)); }", ("", "")).await?;
    check(&guest, &bash, "f; pwd", ("", "42\n/tmp\n")).await?;
    let ran = run(&guest, &bash, "false").await?;
    ensure!(ran["exit_code"] == 1, "{ran}");
    guest.gone().await
}

async fn errors_are_told_and_the_context_goes_on(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let python = context(&guest, "python").await?;
    let ran = run(&guest, &python, "def f():\n  return 1 / 0\nprint('before')\nf()").await?;
    let error = &ran["results"][0];
    ensure!(error["type"] == "error" && error["name"] == "ZeroDivisionError", "{ran}");
    ensure!(error["traceback"] == ran["stderr"] && error["value"] == "division by zero", "{ran}");
    ensure!(ran["stderr"].as_str().is_some_and(|text| text.contains("return 1 / 0")), "no source lines: {ran}");
    ensure!(ran["exit_code"] == 1 && ran["stdout"] == "before\n", "{ran}");
    check(&guest, &python, "f.__name__", ("'f'", "")).await?;
    let ran = run(&guest, &python, "import sys; sys.exit(7)").await?;
    ensure!(ran["exit_code"] == 7, "{ran}");
    let javascript = context(&guest, "javascript").await?;
    let ran = run(&guest, &javascript, "throw new TypeError('no')").await?;
    let error = &ran["results"][0];
    ensure!(error["name"] == "TypeError" && error["value"] == "no" && ran["exit_code"] == 1, "{ran}");
    check(&guest, &javascript, "1 + 1", ("2", "")).await?;
    guest.gone().await
}

async fn pieces_that_are_sent_at_once_run_in_order(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let python = context(&guest, "python").await?;
    run(&guest, &python, "seen = 0").await?;
    let pieces = (0..16).map(|_| run(&guest, &python, "seen += 1; print(seen)"));
    let mut seen = Vec::new();
    for ran in futures::future::try_join_all(pieces).await? {
        seen.push(ran["stdout"].as_str().unwrap_or_default().trim().parse::<u32>()?);
    }
    seen.sort_unstable();
    ensure!(seen == (1..=16).collect::<Vec<_>>(), "{seen:?}");
    guest.gone().await
}

async fn code_that_takes_too_long_is_interrupted(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let python = context(&guest, "python").await?;
    run(&guest, &python, "x = 'kept'").await?;
    let ran: Value = send(&guest, &python, "while True: pass", 1).await?.expect(200)?.json()?;
    ensure!(ran["outcome"] == "timeout", "{ran}");
    check(&guest, &python, "x", ("'kept'", "")).await?;
    guest.gone().await
}

async fn code_that_cannot_be_interrupted_ends_its_context(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let javascript = context(&guest, "javascript").await?;
    let ran: Value = send(&guest, &javascript, "while (true);", 1).await?.expect(200)?.json()?;
    ensure!(ran["outcome"] == "timeout", "{ran}");
    let ended = || async { send(&guest, &javascript, "1", 5).await?.refused(404, "not_found") };
    let refused = eventually("a context that has ended", DEADLINE, ended).await?;
    ensure!(refused.detail.contains("context"), "{refused:?}");
    guest.works().await?;
    guest.gone().await
}

async fn contexts_are_apart_and_end_when_removed(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let (first, second) = (context(&guest, "python").await?, context(&guest, "python").await?);
    run(&guest, &first, "x = 1").await?;
    let ran = run(&guest, &second, "x").await?;
    ensure!(ran["results"][0]["name"] == "NameError", "{ran}");
    let path = format!("/sandbox/{}/context", guest.id());
    let listed: Value = guest.client().get(&path).send().await?.expect(200)?.json()?;
    let ids: Vec<&str> =
        listed["items"].as_array().context("items")?.iter().filter_map(|it| it["id"].as_str()).collect();
    ensure!(ids == [&first, &second], "{listed}");
    let sleeping = guest.client().post("/execute").json(
        &json!({"sandbox_id": guest.id(), "context_id": first, "code": "import time; time.sleep(1000)", "background": true, "timeout": 2000}),
    );
    let sleeping: Value = sleeping.send().await?.expect(202)?.json()?;
    let remove = guest.client().request(Method::DELETE, &format!("/api/v1{path}/{first}"));
    remove.send().await?.expect(204)?;
    let ended = guest.end_of(sleeping["id"].as_str().unwrap_or_default(), DEADLINE).await?;
    ensure!((ended.outcome.as_deref(), ended.signal) == (Some("signaled"), Some(9)), "{ended:?}");
    check(&guest, &second, "2", ("2", "")).await?;
    guest.gone().await
}

async fn what_is_too_large_is_cut(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let python = context(&guest, "python").await?;
    let ran = run(&guest, &python, "display('x' * 100); display('x' * 2000000); print('y' * 1500000)").await?;
    ensure!(ran["results"].as_array().map(Vec::len) == Some(1) && ran["results_truncated"] == true, "not cut");
    ensure!(ran["stdout_truncated"] == true, "not cut");
    check(&guest, &python, "1 + 1", ("2", "")).await?;
    guest.gone().await
}

async fn a_program_that_speaks_nonsense_ends(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let python = context(&guest, "python").await?;
    // The code finds the way on which results are told.
    let forge = "import os, stat\n\
                 for fd in range(3, 64):\n  try:\n    if stat.S_ISSOCK(os.fstat(fd).st_mode): os.write(fd, b'nonsense' * 100)\n  except OSError: pass\n\
                 import time; time.sleep(1000)";
    let ran: Value = send(&guest, &python, forge, 60).await?.expect(200)?.json()?;
    ensure!(ran["outcome"] == "signaled", "{ran}");
    guest.works().await?;
    guest.gone().await
}
