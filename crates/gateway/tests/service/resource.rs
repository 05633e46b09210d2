//! The files of a sandbox as resources: parts, appends, lists, moves, archives and events.

use axum::body::Body;
use http::{Method, header};
use serde_json::json;

use crate::client::{Answer, Gateway, gateway};

async fn send(gateway: &Gateway, method: Method, path: &str, body: &'static str) -> Answer {
    gateway.send(gateway.request(method, path).body(Body::from(body)).unwrap()).await
}

async fn part(gateway: &Gateway, method: Method, path: &str, range: &str) -> Answer {
    let request = gateway.request(method, path).header(header::RANGE, range);
    gateway.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_file_is_put_appended_to_read_in_parts_and_removed() {
    let gateway = gateway().await;
    let file = format!("/api/v1/sandbox/{}/files?path=a+b", gateway.fake.sandbox());
    let written = send(&gateway, Method::PUT, &file, "0123456789").await;
    assert_eq!(written.json(), json!({"path": "/home/user/a b", "size": 10}));
    let written = send(&gateway, Method::PUT, &format!("{file}&append=true"), "abc").await;
    assert_eq!(written.json()["size"], 13);
    let whole = gateway.get(&file).await;
    assert_eq!((whole.status.as_u16(), whole.text().as_str()), (200, "0123456789abc"));
    assert_eq!(whole.headers[header::ACCEPT_RANGES], "bytes");
    let some = part(&gateway, Method::GET, &file, "bytes=-3").await;
    assert_eq!((some.status.as_u16(), some.text().as_str()), (206, "abc"));
    assert_eq!(some.headers[header::CONTENT_RANGE], "bytes 10-12/13");
    assert_eq!(some.headers[header::CONTENT_LENGTH], "3");
    let head = part(&gateway, Method::HEAD, &file, "bytes=0-0").await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_eq!(head.headers[header::CONTENT_LENGTH], "13");
    let none = part(&gateway, Method::GET, &file, "bytes=13-").await;
    none.refused(416, "range_not_satisfiable");
    assert_eq!(none.headers[header::CONTENT_RANGE], "bytes */13");
    assert_eq!(gateway.delete(&file).await.status, 204);
    gateway.get(&file).await.refused(404, "not_found");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let gateway = gateway().await;
    let files = format!("/api/v1/sandbox/{}/files", gateway.fake.sandbox());
    for (method, path) in [
        (Method::GET, String::new()),
        (Method::GET, "?path=/".to_owned()),
        (Method::PUT, "?path=a/".to_owned()),
        (Method::PUT, "?path=a&mode=rw".to_owned()),
        (Method::DELETE, "?path=/&recursive=true".to_owned()),
        (Method::GET, "/list?path=/&depth=33".to_owned()),
        (Method::GET, "/stat?path=../a".to_owned()),
        (Method::GET, "/archive".to_owned()),
    ] {
        send(&gateway, method, &format!("{files}{path}"), "").await.refused(400, "invalid_request");
    }
    let range = gateway.request(Method::PUT, &format!("{files}?path=a")).header(header::CONTENT_RANGE, "bytes 0-0/1");
    gateway.send(range.body(Body::from("x")).unwrap()).await.refused(400, "invalid_request");
    let gzip =
        gateway.request(Method::PUT, &format!("{files}/archive?path=a")).header(header::CONTENT_ENCODING, "gzip");
    gateway.send(gzip.body(Body::from("x")).unwrap()).await.refused(415, "unsupported_media_type");
    assert!(gateway.fake.state().files.is_empty());
}

#[tokio::test]
async fn a_list_goes_on_where_it_ended() {
    let gateway = gateway().await;
    let files = format!("/api/v1/sandbox/{}/files", gateway.fake.sandbox());
    for name in ["a", "b", "c"] {
        send(&gateway, Method::PUT, &format!("{files}?path=t/{name}"), "x").await;
    }
    let first = gateway.get(&format!("{files}/list?path=t&limit=2")).await.json();
    assert_eq!(first["items"][1]["path"], "/home/user/t/b");
    assert_eq!(first["items"][1]["mode"], "0644");
    let next = first["next"].as_str().unwrap();
    let second = gateway.get(&format!("{files}/list?path=t&limit=2&cursor={next}")).await.json();
    assert_eq!((&second["items"][0]["name"], &second["next"]), (&json!("c"), &json!(null)));
    let moved = gateway.post(&format!("{files}/move"), r#"{"from": "t/a", "to": "t/z"}"#).await.json();
    assert_eq!((&moved["path"], &moved["type"]), (&json!("/home/user/t/z"), &json!("file")));
    let made = gateway.post(&format!("{files}/mkdir"), r#"{"path": "new", "mode": "0700"}"#).await.json();
    assert_eq!(made["path"], "/home/user/new");
    gateway.post(&format!("{files}/mkdir"), r#"{"path": "new", "made": 1}"#).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn an_archive_is_named_as_its_folder() {
    let gateway = gateway().await;
    let archive = format!("/api/v1/sandbox/{}/files/archive?path=", gateway.fake.sandbox());
    let packed = gateway.get(&format!("{archive}/srv/site")).await;
    assert_eq!((packed.text().as_str(), packed.complete), ("packed", true));
    assert_eq!(packed.headers[header::CONTENT_TYPE], "application/x-tar");
    let disposition = |answer: &Answer| answer.headers[header::CONTENT_DISPOSITION].to_str().unwrap().to_owned();
    assert!(disposition(&packed).contains("filename=\"site.tar\""));
    assert!(disposition(&gateway.get(&format!("{archive}/")).await).contains("filename=\"root.tar\""));
    let unpacked = send(&gateway, Method::PUT, &format!("{archive}/srv/site"), "12345").await;
    assert_eq!(unpacked.json(), json!({"path": "/srv/site", "entries": 1, "bytes": 5}));
}

#[tokio::test]
async fn what_happens_is_told_as_events() {
    let gateway = gateway().await;
    let told = gateway.get(&format!("/api/v1/sandbox/{}/files/watch?path=/w", gateway.fake.sandbox())).await;
    let event = |name: &str, data| (name.to_owned(), data);
    assert_eq!(
        told.events(),
        [
            event("created", json!({"path": "/w/a", "directory": false})),
            event("moved", json!({"path": "/w/b", "from": "/w/a", "directory": false})),
            event("overflow", json!({"path": "/w", "directory": true})),
        ]
    );
}
