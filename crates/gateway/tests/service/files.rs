//! Files: as a body, as a form, cut off, too large, and back.

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{Method, header};
use serde_json::json;

use crate::client::{Answer, Gateway, gateway};

const MIB: usize = 1 << 20;

/// A form: fields as `(name, value)`, files as `(filename, content)`, in this order.
fn form(fields: &[(&str, &str)], files: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = |(name, content): &(&str, &str)| {
        format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{content}\r\n")
    };
    fields.iter().map(field).chain(files.iter().map(file)).chain(["--b--\r\n".to_owned()]).collect()
}

async fn send(gateway: &Gateway, kind: &str, path: &str, body: impl Into<Body>) -> Answer {
    let request = gateway.request(Method::POST, path).header(header::CONTENT_TYPE, kind);
    gateway.send(request.body(body.into()).unwrap()).await
}

async fn send_form(gateway: &Gateway, body: String) -> Answer {
    send(gateway, "multipart/form-data; boundary=b", "/api/v1/upload", body).await
}

#[tokio::test]
async fn the_bytes_of_a_body_become_a_file_and_come_back() {
    let gateway = gateway().await;
    let id = gateway.fake.sandbox();
    let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let path = format!("/api/v1/upload?sandbox_id={id}&path=a+b/gr%C3%BC%C3%9Fe");
    let answer = send(&gateway, "application/octet-stream", &path, content.clone()).await;
    assert_eq!(answer.json(), json!({"files": [{"path": "/home/user/a b/grüße", "size": 100_000}]}));
    let back = gateway.get(&format!("/api/v1/download?sandbox_id={id}&path=/home/user/a%20b/gr%C3%BC%C3%9Fe")).await;
    assert_eq!(back.body, content);
    assert_eq!(back.headers[header::CONTENT_LENGTH], "100000");
    assert_eq!(back.headers[header::CONTENT_TYPE], "application/octet-stream");
    assert!(back.headers[header::CONTENT_DISPOSITION].to_str().unwrap().starts_with("attachment; filename=\"gr__e\""));
}

#[tokio::test]
async fn the_files_of_a_form_go_where_its_path_says() {
    let gateway = gateway().await;
    let id = gateway.fake.sandbox().to_string();
    let check = async |path: Option<&str>, names: &[&str], expected: &[&str]| {
        let mut fields = vec![("sandbox_id", id.as_str())];
        fields.extend(path.map(|path| ("path", path)));
        let files: Vec<_> = names.iter().map(|name| (*name, "x")).collect();
        let answer = send_form(&gateway, form(&fields, &files)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let json = answer.json();
        let paths: Vec<_> = json["files"].as_array().unwrap().iter().map(|f| f["path"].as_str().unwrap()).collect();
        assert_eq!(paths, expected);
    };
    check(None, &["a", "sub/b"], &["/home/user/a", "/home/user/sub/b"]).await;
    check(Some("/tmp/new/"), &["a", "b"], &["/tmp/new/a", "/tmp/new/b"]).await;
    check(Some("/home/user/folder"), &["a", "b"], &["/home/user/folder/a", "/home/user/folder/b"]).await;
    check(Some("/home/user/renamed"), &["a"], &["/home/user/renamed"]).await;
    check(Some("/home/user/a"), &["a"], &["/home/user/a"]).await;
}

#[tokio::test]
async fn a_form_that_cannot_be_is_refused_by_name() {
    let gateway = gateway().await;
    let id = gateway.fake.sandbox().to_string();
    let id = ("sandbox_id", id.as_str());
    let check = async |body: String, words: &str| {
        let detail = send_form(&gateway, body).await.refused(400, "invalid_request");
        assert!(detail.contains(words), "{detail}");
    };
    check(form(&[("path", "/tmp/")], &[("a", "x")]), "sandbox_id: is missing; put the fields").await;
    check(form(&[id], &[]), "the form has no file").await;
    check(form(&[id, id], &[("a", "x")]), "sandbox_id: given twice").await;
    check(form(&[id, ("mode", "7")], &[("a", "x")]), "unknown field \"mode\"").await;
    check(form(&[("sandbox_id", "1")], &[("a", "x")]), "sandbox_id: an id").await;
    check(form(&[id], &[("", "x")]), "a file has no name").await;
    check(form(&[id], &[("../a", "x")]), "path: the path contains \"..\"").await;
    check(form(&[id, ("path", "/home/user/one")], &[("a", "x"), ("b", "x")]), "path: names one file").await;
    let late = form(&[id], &[("a", "x")])
        .replace("--b--", "--b\r\nContent-Disposition: form-data; name=\"path\"\r\n\r\n/\r\n--b--");
    check(late, "path: comes after a file; put the fields before the files").await;
    check(form(&[id], &[("a", "x")]).replace("--b--\r\n", ""), "ends before its last boundary").await;
}

#[tokio::test]
async fn an_upload_of_another_kind_is_refused() {
    let gateway = gateway().await;
    for kind in ["multipart/form-data", "multipart/mixed; boundary=b"] {
        send(&gateway, kind, "/api/v1/upload", "x").await.refused(415, "unsupported_media_type");
    }
    let id = gateway.fake.sandbox();
    for (query, word) in [
        (format!("sandbox_id={id}"), "path: is missing"),
        ("path=/a".to_owned(), "sandbox_id: is missing"),
        (format!("sandbox_id={id}&path=/a/"), "path: names a folder"),
        (format!("sandbox_id={id}&path=/../a"), "path: the path contains"),
        (format!("sandbox_id={id}&path=/a%00b"), "path: the path contains a NUL"),
        (format!("sandbox_id={id}&path="), "path: "),
    ] {
        let detail = send(&gateway, "", &format!("/api/v1/upload?{query}"), "x").await.refused(400, "invalid_request");
        assert!(detail.contains(word), "{detail}");
    }
}

#[tokio::test]
async fn what_is_too_much_is_refused_and_leaves_nothing() {
    let gateway = gateway().await;
    let id = gateway.fake.sandbox().to_string();
    let piece = Bytes::from(vec![0; MIB]);
    let pieces = stream::iter(std::iter::repeat_n(piece, 101).map(Ok::<_, std::io::Error>));
    let path = format!("/api/v1/upload?sandbox_id={id}&path=/large");
    send(&gateway, "", &path, Body::from_stream(pieces)).await.refused(413, "too_large");
    assert_eq!(gateway.fake.state().broken.len(), 1, "the controller has to hear of it");
    let names: Vec<String> = (0..1001).map(|n| format!("f{n}")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let detail = send_form(&gateway, form(&[("sandbox_id", &id)], &files)).await.refused(413, "too_large");
    assert!(detail.contains("1000"), "{detail}");
    assert!(!gateway.fake.state().files.contains_key("/large"));
}

#[tokio::test]
async fn an_upload_that_is_cut_off_ends_with_an_error_inside() {
    let gateway = gateway().await;
    let id = gateway.fake.sandbox();
    let pieces = [Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("gone"))];
    let path = format!("/api/v1/upload?sandbox_id={id}&path=/cut");
    let answer = send(&gateway, "", &path, Body::from_stream(stream::iter(pieces))).await;
    assert!(answer.refused(400, "invalid_request").contains("cut off"));
    assert_eq!(gateway.fake.state().broken, ["the body was cut off or is malformed; send it again, whole"]);
    assert!(gateway.fake.state().files.is_empty());
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_never_passed_off_as_whole() {
    let gateway = gateway().await;
    let id = gateway.fake.sandbox();
    let grown = gateway.get(&format!("/api/v1/download?sandbox_id={id}&path=/grows")).await;
    assert_eq!(grown.body, b"123");
    let shrunk = gateway.get(&format!("/api/v1/download?sandbox_id={id}&path=/shrinks")).await;
    assert_eq!(
        (shrunk.body.as_slice(), &shrunk.headers[header::CONTENT_LENGTH]),
        (&b"12345"[..], &"10".parse().unwrap())
    );
    assert!(!shrunk.complete);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_found() {
    let gateway = gateway().await;
    let id = gateway.fake.sandbox();
    gateway.get(&format!("/api/v1/download?sandbox_id={id}&path=/nothing")).await.refused(404, "not_found");
}
