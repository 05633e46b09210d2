//! Programs: waited for, followed, or left to themselves.

use serde_json::{Value, json};

use crate::client::{Gateway, gateway};

async fn execute(gateway: &Gateway, line: &str) -> Value {
    let sandbox = gateway.fake.sandbox();
    let body = json!({"sandbox_id": sandbox.to_string(), "command": line, "args": []}).to_string();
    let answer = gateway.post("/api/v1/execute", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn a_result_has_everything_about_the_program() {
    let gateway = gateway().await;
    let result = execute(&gateway, "both").await;
    let expected = json!({
        "id": result["id"], "sandbox_id": result["sandbox_id"], "state": "finished", "outcome": "exited",
        "exit_code": 0, "signal": null, "stdout": "out", "stderr": "err", "stdout_encoding": "utf-8",
        "stderr_encoding": "utf-8", "stdout_truncated": false, "stderr_truncated": false, "duration_ms": 12.3,
        "usage": {"cpu_ms": 9.1, "memory_peak_bytes": 14_680_064},
        "created_at": "2025-11-24T16:00:00.000Z", "finished_at": "2025-11-24T16:00:00.000Z",
    });
    assert_eq!(result, expected);
    let path = format!("/api/v1/execution/{}", result["id"].as_str().unwrap());
    assert_eq!(gateway.get(&path).await.json(), expected);
    let listed = gateway.get("/api/v1/execution").await.json();
    assert!(listed["items"][0].get("stdout").is_none(), "a list carries no output: {listed}");
}

#[tokio::test]
async fn output_that_is_no_text_is_base64() {
    let gateway = gateway().await;
    let result = execute(&gateway, "bytes").await;
    assert_eq!((&result["stdout"], &result["stdout_encoding"]), (&json!("AP8="), &json!("base64")));
}

#[tokio::test]
async fn an_answer_carries_at_most_a_mebibyte_and_the_rest_is_readable() {
    let gateway = gateway().await;
    let result = execute(&gateway, "long").await;
    assert_eq!(result["stdout"].as_str().unwrap().len(), 1 << 20);
    assert_eq!((&result["stdout_truncated"], &result["stderr_truncated"]), (&json!(true), &json!(false)));
    let path = format!("/api/v1/execution/{}/output", result["id"].as_str().unwrap());
    assert_eq!(gateway.get(&path).await.body.len(), 3 << 19);
    assert_eq!(gateway.get(&format!("{path}?stream=stderr&offset=1")).await.body, b"nd");
    assert_eq!(gateway.get(&format!("{path}?offset=99999999")).await.body, b"");
    let followed = gateway.get(&format!("{path}?follow=true&offset=1500000")).await;
    assert_eq!((followed.body.len(), followed.complete), ((3 << 19) - 1_500_000, true));
}

#[tokio::test]
async fn a_program_in_the_background_is_answered_at_once() {
    let gateway = gateway().await;
    let answer = gateway.post("/api/v1/execute", r#"{"command":"hang","args":[],"background":true}"#).await;
    assert_eq!(answer.status, 202);
    let started = answer.json();
    assert_eq!((&started["state"], &started["outcome"]), (&json!("running"), &json!(null)));
    assert_eq!(gateway.fake.state().sandboxes.len(), 1, "one of its own");
}

#[tokio::test]
async fn events_are_the_start_the_output_and_the_result() {
    let gateway = gateway().await;
    let events = gateway.events("/api/v1/execute", r#"{"command":"both","args":[]}"#).await.events();
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["execution", "stdout", "stderr", "result"]);
    assert_eq!(events[1].1, json!({"offset": 0, "data": "out", "encoding": "utf-8"}));
    assert_eq!(events[0].1["id"], events[3].1["id"]);
    assert_eq!(events[3].1["exit_code"], 0);
    assert!(events[3].1.get("stdout").is_none());
    assert_eq!(gateway.fake.state().followers, 0);
}

#[tokio::test]
async fn a_character_split_between_two_events_stays_text() {
    let gateway = gateway().await;
    let events = gateway.events("/api/v1/execute", r#"{"command":"split","args":[]}"#).await.events();
    assert_eq!(events[1].1, json!({"offset": 0, "data": "gr", "encoding": "utf-8"}));
    assert_eq!(events[2].1, json!({"offset": 2, "data": "ün", "encoding": "utf-8"}));
}

#[tokio::test]
async fn a_stream_that_breaks_off_says_why() {
    let gateway = gateway().await;
    let answer = gateway.events("/api/v1/execute", r#"{"command":"broken","args":[]}"#).await;
    let events = answer.events();
    assert_eq!((events.len(), events[1].0.as_str()), (2, "error"));
    assert_eq!((&events[1].1["code"], &events[1].1["detail"]), (&json!("unavailable"), &json!("the sandbox is gone")));
    assert_eq!(events[1].1["request_id"], answer.headers["x-request-id"].to_str().unwrap());
}

#[tokio::test]
async fn events_of_a_program_in_the_background_are_refused() {
    let gateway = gateway().await;
    let answer = gateway.events("/api/v1/execute", r#"{"command":"a","background":true}"#).await;
    assert!(answer.refused(400, "invalid_request").starts_with("background: "));
    assert!(gateway.fake.state().executions.is_empty());
}

#[tokio::test]
async fn an_execution_that_is_not_there_is_not_found_in_every_way() {
    let gateway = gateway().await;
    let id = "exe_0190f5c8e4b07c3e9f6a8d2b4c5e6f70";
    for path in ["", "/output", "/output?follow=true"] {
        gateway.get(&format!("/api/v1/execution/{id}{path}")).await.refused(404, "not_found");
    }
}
