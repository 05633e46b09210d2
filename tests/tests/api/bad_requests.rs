//! Requests that are wrong as a whole: too deep, too large, of another type, to another path. No answer is a 500, and
//! the server goes on.

use anyhow::{Context, Result, ensure};
use hyper::Method;
use sentinal_tests::{Client, Fact, shared};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MIB: usize = 1 << 20;

async fn client() -> Result<Option<Client>> {
    shared().await?.map(sentinal_tests::Server::client).transpose()
}

#[tokio::test]
async fn json_that_is_nested_too_deep_or_no_json_is_refused() -> Fact {
    let Some(client) = client().await? else { return Ok(()) };
    let deep = format!("{{\"labels\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    for body in [deep.as_str(), objects.as_str(), "", "{", "[]", "null", "\"text\"", "{} {}", "{'a': 1}", "\u{feff}{}"]
    {
        let request = client.post("/sandbox").bytes("application/json", body.to_owned());
        let problem = request.send().await?.refused(400, "invalid_request")?;
        ensure!(problem.detail.len() < 500, "a long sentence about {:?}", body.chars().take(50).collect::<String>());
    }
    let not_text = client.post("/sandbox").bytes("application/json", vec![b'"', 0xff, b'"']).send().await?;
    not_text.refused(400, "invalid_request")?;
    Ok(())
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_the_limit() -> Fact {
    let Some(client) = client().await? else { return Ok(()) };
    let large = json!({"command": "x".repeat(MIB + 1)}).to_string();
    let problem =
        client.post("/execute").bytes("application/json", large.clone()).send().await?.refused(413, "too_large")?;
    ensure!(problem.detail.contains("1048576"), "{}", problem.detail);
    let pieces: Vec<_> =
        large.into_bytes().chunks(10_000).map(|piece| Ok(bytes::Bytes::copy_from_slice(piece))).collect();
    let streamed = client.post("/execute").stream("application/json", futures::stream::iter(pieces)).send().await?;
    streamed.refused(413, "too_large").context("of unknown length")?;
    Ok(())
}

#[tokio::test]
async fn headers_over_the_limit_are_refused_and_the_server_goes_on() -> Fact {
    let Some(client) = client().await? else { return Ok(()) };
    let large = client.get("/sandbox").header("x-large", &"x".repeat(40_000)).send().await?;
    ensure!([413, 431].contains(&large.status), "{}: {}", large.status, large.text());
    let target = format!("/sandbox?cursor={}", "x".repeat(40_000));
    let long = client.get(&target).send().await?;
    ensure!([413, 414, 431].contains(&long.status), "{}: {}", long.status, long.text());
    for flood in ["x: y\r\n".repeat(100_000), format!("x: {}\r\n", "y".repeat(2 * MIB))] {
        let mut connection = client.connect().await?;
        let _ = connection.write_all(format!("GET /health HTTP/1.1\r\nHost: s\r\n{flood}\r\n").as_bytes()).await;
        let mut answer = Vec::new();
        let _ = connection.read_to_end(&mut answer).await;
        let first = String::from_utf8_lossy(&answer[..answer.len().min(12)]).into_owned();
        ensure!(answer.is_empty() || first.starts_with("HTTP/1.1 4"), "{first:?}");
    }
    client.get("/sandbox").send().await?.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn another_type_method_path_or_query_is_refused() -> Fact {
    let Some(client) = client().await? else { return Ok(()) };
    let body = json!({}).to_string();
    let form = client.post("/sandbox").bytes("application/x-www-form-urlencoded", body.clone()).send().await?;
    form.refused(415, "unsupported_media_type")?;
    let packed =
        client.post("/sandbox").bytes("application/json", body).header("content-encoding", "gzip").send().await?;
    packed.refused(415, "unsupported_media_type")?;
    let patch = client.request(Method::PATCH, "/api/v1/execute").send().await?;
    patch.refused(405, "method_not_allowed")?;
    ensure!(patch.headers.contains_key("allow"), "405 without Allow");
    client.get("/sandboxes").send().await?.refused(404, "not_found")?;
    client.get("/sandbox").header("accept", "image/png").send().await?.refused(406, "not_acceptable")?;
    for query in ["limit=0", "limit=1001", "limit=ten", "cursor=nonsense", "page=2", "limit=%zz", "limit=1&limit=2"] {
        let problem = client.get(&format!("/sandbox?{query}")).send().await?.refused(400, "invalid_request")?;
        let name = query.split('=').next().unwrap_or_default();
        ensure!(problem.detail.contains(name), "{query}: {}", problem.detail);
    }
    Ok(())
}

#[tokio::test]
async fn an_id_of_another_shape_is_not_found_in_a_path_and_invalid_in_a_body() -> Fact {
    let Some(client) = client().await? else { return Ok(()) };
    let absent = "sbx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70";
    for id in [
        "1",
        "sbx_",
        "sbx_XYZ",
        "..",
        "%2e%2e%2fetc",
        "%00",
        "exe_0190f5c8e4b07c3e9f6a8d2b4c5e6f70",
        absent,
        &"x".repeat(5000),
    ] {
        for request in [
            client.get(&format!("/sandbox/{id}")),
            client.delete(&format!("/sandbox/{id}")),
            client.get(&format!("/execution/{id}")),
        ] {
            request.send().await?.refused(404, "not_found").with_context(|| id.chars().take(50).collect::<String>())?;
        }
    }
    for id in ["1", "", "exe_0190f5c8e4b07c3e9f6a8d2b4c5e6f70"] {
        let body = json!({"sandbox_id": id, "command": "true"});
        let problem = client.post("/execute").json(&body).send().await?.refused(400, "invalid_request")?;
        ensure!(problem.detail.contains("sandbox_id") && problem.detail.contains("sbx_"), "{}", problem.detail);
    }
    let body = json!({"sandbox_id": absent, "command": "true"});
    client.post("/execute").json(&body).send().await?.refused(404, "not_found")?;
    client.upload(absent, "/home/user/x", "x").await?.refused(404, "not_found")?;
    client.download(absent, "/home/user/x").await?.refused(404, "not_found")?;
    Ok(())
}

#[tokio::test]
async fn bytes_that_are_no_http_end_their_own_connection_alone() -> Fact {
    let Some(client) = client().await? else { return Ok(()) };
    let noise: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    for bytes in [
        noise.as_slice(),
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/v1/execute HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ] {
        let mut connection = client.connect().await?;
        let _ = connection.write_all(bytes).await;
        let _ = connection.shutdown().await;
        let mut answer = Vec::new();
        let reading = connection.read_to_end(&mut answer);
        let _ = tokio::time::timeout(std::time::Duration::from_secs(15), reading)
            .await
            .context("the connection stays open")?;
        ensure!(!answer.starts_with(b"HTTP/1.1 5"), "{}", String::from_utf8_lossy(&answer));
    }
    client.get("/sandbox").send().await?.expect(200)?;
    Ok(())
}
