//! Fields that cannot be: each is refused by its name, with what to do, and nothing happens.

use anyhow::{Context, Result, ensure};
use sentinal_tests::{Answer, Fact, Guest, guest, shared};
use serde_json::{Value, json};

/// A refusal whose detail contains each of `words`.
fn refused(answer: &Answer, status: u16, code: &str, words: &[&str]) -> Result<()> {
    let problem = answer.refused(status, code)?;
    for word in words {
        ensure!(problem.detail.contains(word), "{:?} does not say {word:?}", problem.detail);
    }
    Ok(())
}

/// A create that is refused with 400 and names these words.
async fn create(body: &str, words: &[&str]) -> Result<()> {
    let Some(server) = shared().await? else { return Ok(()) };
    let request = server.client()?.post("/sandbox").bytes("application/json", body.to_owned());
    let answer = request.send().await?;
    refused(&answer, 400, "invalid_request", words).with_context(|| body.chars().take(100).collect::<String>())
}

/// An execute that is refused with 400 and names these words.
async fn execute(guest: &Guest, fields: Value, words: &[&str]) -> Result<()> {
    let mut body = json!({"sandbox_id": guest.id()});
    if let (Value::Object(body), Value::Object(fields)) = (&mut body, fields.clone()) {
        body.extend(fields);
    }
    let answer = guest.client().post("/execute").json(&body).send().await?;
    refused(&answer, 400, "invalid_request", words).with_context(|| fields.to_string())
}

#[tokio::test]
async fn an_unknown_field_engine_or_image_is_named() -> Fact {
    create(r#"{"memmory": "1Gi"}"#, &["memmory", "did you mean \"memory\""]).await?;
    create(r#"{"gpu": 1}"#, &["gpu", "known fields", "memory"]).await?;
    create(r#"{"engine": "docker"}"#, &["engine", "docker", "gvisor", "firecracker"]).await?;
    create(r#"{"engine": ""}"#, &["engine"]).await?;
    create(r#"{"image": "../../etc/passwd"}"#, &["image"]).await?;
    create(r#"{"image": "UPPER"}"#, &["image"]).await?;
    let Some(server) = shared().await? else { return Ok(()) };
    let unknown = server.client()?.post("/sandbox").json(&json!({"image": "no-such-image"})).send().await?;
    ensure!([400, 404].contains(&unknown.status), "{}: {}", unknown.status, unknown.text());
    ensure!(unknown.text().contains("no-such-image") && unknown.text().contains("default"), "{}", unknown.text());
    Ok(())
}

#[tokio::test]
async fn a_memory_that_is_no_quantity_or_out_of_range_is_refused() -> Fact {
    create(r#"{"memory": "2048"}"#, &["memory", "2048Mi"]).await?;
    create(r#"{"memory": 2048}"#, &["memory", "512Mi"]).await?;
    for text in ["2GiB", "-1Mi", "1e99Gi", "", "Mi", "1.5.5Gi", "0x10Mi", "١Gi", " 1Gi"] {
        create(&json!({"memory": text}).to_string(), &["memory", "Mi"]).await?;
    }
    for text in ["1Mi", "99999999999999999999Gi", "2Ti", "0"] {
        create(&json!({"memory": text}).to_string(), &["memory", "between"]).await?;
    }
    create(r#"{"disk": "1Ki"}"#, &["disk", "between"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_cpu_that_is_no_number_or_out_of_range_is_refused() -> Fact {
    create(r#"{"cpu": 0}"#, &["cpu", "between"]).await?;
    create(r#"{"cpu": -1}"#, &["cpu", "between"]).await?;
    create(r#"{"cpu": 1000}"#, &["cpu", "between"]).await?;
    create(r#"{"cpu": "two"}"#, &["cpu", "number"]).await?;
    create(r#"{"cpu": NaN}"#, &["JSON"]).await?;
    create(r#"{"cpu": 1e999}"#, &["JSON"]).await?;
    create(r#"{"cpu": [1]}"#, &["cpu", "number"]).await?;
    create(r#"{"cpu": 1, "cpu": 2}"#, &["cpu", "twice"]).await
}

#[tokio::test]
async fn times_and_labels_out_of_bounds_are_refused() -> Fact {
    create(r#"{"ttl": 0}"#, &["ttl", "between"]).await?;
    create(r#"{"ttl": 1e300}"#, &["ttl", "between"]).await?;
    create(r#"{"wait": -1}"#, &["wait", "between"]).await?;
    create(r#"{"labels": {"": "x"}}"#, &["labels"]).await?;
    create(r#"{"labels": {"a": 1}}"#, &["labels", "string"]).await?;
    let many: Value = (0..100).map(|n| (n.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    create(&json!({"labels": many}).to_string(), &["labels", "at most"]).await
}

#[tokio::test]
async fn a_program_that_cannot_be_is_refused_and_the_sandbox_works_on() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    execute(&guest, json!({"code": "x", "language": "cobol"}), &["language", "cobol", "python", "javascript", "bash"])
        .await?;
    execute(&guest, json!({"code": "x"}), &["language"]).await?;
    execute(&guest, json!({}), &["command"]).await?;
    execute(&guest, json!({"command": ""}), &["command"]).await?;
    execute(&guest, json!({"command": "x", "code": "y", "language": "bash"}), &["command", "code"]).await?;
    execute(&guest, json!({"command": "a\0b"}), &["NUL"]).await?;
    execute(&guest, json!({"command": "x", "args": "no array"}), &["args", "array"]).await?;
    execute(&guest, json!({"command": "x", "args": ["a\0b"]}), &["NUL"]).await?;
    execute(&guest, json!({"command": "x", "env": {"A=B": "c"}}), &["env"]).await?;
    execute(&guest, json!({"command": "x", "env": ["A"]}), &["env"]).await?;
    execute(&guest, json!({"command": "x", "cwd": "../.."}), &["cwd"]).await?;
    execute(&guest, json!({"command": "x", "timeout": 0}), &["timeout"]).await?;
    execute(&guest, json!({"command": "x", "timeout": -5}), &["timeout"]).await?;
    execute(&guest, json!({"command": "x", "stdin": "%%", "stdin_encoding": "base64"}), &["stdin"]).await?;
    execute(&guest, json!({"command": "x", "user": "a b; rm"}), &["user"]).await?;
    execute(&guest, json!({"command": "x", "memory": "1Gi"}), &["memory", "sandbox_id"]).await?;
    execute(&guest, json!({"comand": "x"}), &["comand", "did you mean \"command\""]).await?;
    guest.works().await?;
    guest.gone().await
}

#[tokio::test]
async fn a_user_or_folder_that_the_sandbox_does_not_have_is_said() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    for (field, value) in [("user", "nobody-here"), ("cwd", "/no/such/folder"), ("cwd", "/etc/passwd")] {
        let body = json!({"sandbox_id": guest.id(), "command": "true", field: value});
        let answer = guest.client().post("/execute").json(&body).send().await?;
        ensure!(
            answer.status == 400 && answer.text().contains(value),
            "{field}={value}: {}: {}",
            answer.status,
            answer.text()
        );
    }
    guest.works().await?;
    guest.gone().await
}

#[tokio::test]
async fn an_argument_that_no_program_could_take_is_refused_before_it_is_tried() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let long = "x".repeat(200_000);
    for fields in [
        json!({"command": long}),
        json!({"command": "true", "args": [long]}),
        json!({"code": long, "language": "bash"}),
    ] {
        let mut body = fields;
        body["sandbox_id"] = guest.id().into();
        let answer = guest.client().post("/execute").json(&body).send().await?;
        refused(&answer, 413, "too_large", &["131071", "upload"])?;
    }
    guest.works().await?;
    guest.gone().await
}
