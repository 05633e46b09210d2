//! Webhooks: events as they arrive at a receiver, whatever it, the network and the server do.

mod receiver;

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, anyhow, ensure};
use sentinal_tests::{Answer, Client, Fact, Guest, Options, Role, Server, commands, eventually, free_port};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use self::receiver::{Manner, Received, Receiver};

const DEADLINE: Duration = Duration::from_mins(1);

/// A server that may deliver to a receiver, and to one more that does not listen yet.
struct Post {
    server: Server,
    receiver: Receiver,
    address: SocketAddr,
    silent: SocketAddr,
}

/// All tests share one, except those that kill it.
static POST: OnceCell<Result<Option<Post>, String>> = OnceCell::const_new();

async fn post() -> Result<Option<&'static Post>> {
    let start = || async { Post::start("webhook").await.map_err(|error| format!("{error:#}")) };
    let post = POST.get_or_init(start).await;
    post.as_ref().map(Option::as_ref).map_err(|reason| anyhow!("no server: {reason}"))
}

impl Post {
    async fn start(name: &str) -> Result<Option<Self>> {
        let (receiver, address, silent) = (Receiver::default(), free_port()?, free_port()?);
        receiver.listen(address)?;
        let serve = commands::webhooks(&[format!("http://{address}"), format!("http://{silent}")]);
        // Nobody listens there: whoever used it would deliver nothing.
        let proxy = |name: &str| (name.into(), "http://127.0.0.1:1".into());
        let env = ["http_proxy", "HTTPS_PROXY", "all_proxy"].map(proxy).into();
        let server = Server::start(name, Options { serve, env, ..Options::default() }).await?;
        Ok(server.map(|server| Self { server, receiver, address, silent }))
    }

    fn client(&self) -> Result<Client> {
        self.server.client()
    }

    /// A webhook for a path of the receiver.
    async fn webhook(&self, path: &str, manner: Manner) -> Result<Webhook> {
        self.receiver.behave(path, manner);
        Webhook::create(self.client()?, &json!({"url": format!("http://{}{path}", self.address)})).await
    }

    async fn guest(&self) -> Result<Guest> {
        Guest::of(&self.server, json!({})).await
    }
}

/// A webhook of one test.
struct Webhook {
    client: Client,
    id: String,
    secret: String,
}

impl Webhook {
    async fn create(client: Client, body: &Value) -> Result<Self> {
        let made: Value = client.post("/webhook").json(body).send().await?.expect(201)?.json()?;
        let text = |name: &str| made[name].as_str().map(str::to_owned).with_context(|| format!("{name} in {made}"));
        Ok(Self { client, id: text("id")?, secret: text("secret")? })
    }

    fn path(&self) -> String {
        format!("/webhook/{}", self.id)
    }

    async fn read(&self) -> Result<Value> {
        self.client.get(&self.path()).send().await?.expect(200)?.json()
    }

    async fn change(&self, body: Value) -> Result<Value> {
        self.client.patch(&self.path()).json(&body).send().await?.expect(200)?.json()
    }

    async fn deliveries(&self) -> Result<Vec<Value>> {
        self.client.list(&format!("{}/delivery", self.path())).await
    }

    /// Waits until it is so.
    async fn becomes(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        let look = || async {
            let webhook = self.read().await?;
            ensure!(is_so(&webhook), "{webhook}");
            Ok(webhook)
        };
        eventually(what, DEADLINE, look).await
    }

    async fn remove(self) -> Fact {
        self.client.delete(&self.path()).send().await?.expect(204)?;
        self.client.get(&self.path()).send().await?.refused(404, "not_found")?;
        Ok(())
    }
}

fn is_of(guest: &Guest) -> impl Fn(&Value) -> bool {
    let id = guest.id().to_owned();
    move |event| event["sandbox_id"] == json!(id)
}

/// Something happens: an event of its own.
async fn relabel(guest: &Guest, number: usize) -> Result<Answer> {
    let body = json!({"labels": {"number": number.to_string()}});
    guest.client().patch(&format!("/sandbox/{}", guest.id())).json(&body).send().await?.expect(200)
}

/// The order of what came, each for the first time.
fn order(received: &[Received]) -> Result<Vec<i64>> {
    let mut seen = BTreeSet::new();
    let cursors: Vec<i64> = received.iter().map(Received::cursor).collect::<Result<_>>()?;
    Ok(cursors.into_iter().filter(|cursor| seen.insert(*cursor)).collect())
}

#[tokio::test]
async fn an_event_comes_signed_and_as_the_api_tells_it() -> Fact {
    let Some(post) = post().await? else { return Ok(()) };
    let webhook = post.webhook("/signed", Manner::Takes).await?;
    let guest = post.guest().await?;
    guest.works().await?;
    let received = post.receiver.get("/signed", 3, is_of(&guest)).await?;
    let told: Vec<Value> = guest.client().list(&format!("/events?sandbox_id={}", guest.id())).await?;
    for (received, told) in received.iter().zip(&told) {
        ensure!(received.event()? == *told && received.header("content-type")? == "application/json", "{received:?}");
        ensure!(received.header("webhook-id")? == format!("evt_{}", received.cursor()?), "{received:?}");
        ensure!(received.is_signed(&webhook.secret)?, "{received:?}");
        ensure!(!received.is_signed("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")?, "any secret would do");
    }
    // Its own creation was before it.
    let first = post.receiver.received("/signed")[0].event()?;
    ensure!(first["type"] != "webhook.created" || first["message"] != json!(webhook.id), "{first}");
    // The secret is shown once, and told to nobody.
    let bare = webhook.secret.trim_start_matches("whsec_");
    let everywhere = [
        webhook.read().await?.to_string(),
        post.client()?.get("/webhook?limit=1000").send().await?.text(),
        post.client()?.get("/events?limit=1000").send().await?.text(),
        std::fs::read_to_string(post.server.place().log(Role::Serve))?,
    ];
    ensure!(everywhere.iter().all(|text| !text.contains(bare)), "the secret is told");
    guest.gone().await?;
    webhook.remove().await
}

#[tokio::test]
async fn only_what_was_asked_for_comes() -> Fact {
    let Some(post) = post().await? else { return Ok(()) };
    let url = format!("http://{}/some", post.address);
    let webhook =
        Webhook::create(post.client()?, &json!({"url": url, "events": ["sandbox.destroyed", "sandbox.updated"]}))
            .await?;
    let guest = post.guest().await?;
    guest.works().await?;
    let id = guest.id().to_owned();
    guest.gone().await?;
    let of_guest = |event: &Value| event["sandbox_id"] == json!(id);
    let received = post.receiver.get("/some", 1, of_guest).await?;
    let types: Vec<Value> = received.iter().map(|one| Ok(one.event()?["type"].clone())).collect::<Result<_>>()?;
    ensure!(types == [json!("sandbox.destroyed")], "{types:?}");
    webhook.remove().await
}

#[tokio::test]
async fn what_fails_is_sent_again_under_the_same_id() -> Fact {
    let Some(post) = post().await? else { return Ok(()) };
    let webhook = post.webhook("/fails", Manner::Fails(2)).await?;
    let guest = post.guest().await?;
    post.receiver.get("/fails", 1, is_of(&guest)).await?;
    let settled = webhook.becomes("a webhook that goes well", |webhook| webhook["failing_since"].is_null()).await?;
    ensure!(settled["failures"] == 0 && settled["given_up"] == 0 && settled["enabled"] == true, "{settled}");
    let received = post.receiver.received("/fails");
    let ids: Vec<&str> = received[..3].iter().map(|one| one.header("webhook-id")).collect::<Result<_>>()?;
    ensure!(ids[0] == ids[1] && ids[1] == ids[2], "{ids:?}");
    let bodies: BTreeSet<_> = received[..3].iter().map(|one| &one.body).collect();
    ensure!(bodies.len() == 1 && received[..3].iter().all(|one| one.is_signed(&webhook.secret).unwrap_or(false)));
    let mut deliveries = webhook.deliveries().await?;
    deliveries.reverse();
    let shown =
        |delivery: &Value| (delivery["attempt"].clone(), delivery["result"].clone(), delivery["status"].clone());
    for (index, result, status) in [(0, "failed", 500), (1, "failed", 500), (2, "delivered", 200)] {
        let expected = (json!(index + 1), json!(result), json!(status));
        let delivery = &deliveries[index];
        ensure!(shown(delivery) == expected && delivery["event_id"] == json!(ids[0]), "{delivery}");
        ensure!(delivery["next_attempt_at"].is_null() == (result == "delivered"), "{delivery}");
    }
    guest.gone().await?;
    webhook.remove().await
}

#[tokio::test]
async fn a_receiver_that_was_away_gets_everything_in_order() -> Fact {
    let Some(post) = post().await? else { return Ok(()) };
    let webhook = Webhook::create(post.client()?, &json!({"url": format!("http://{}/away", post.silent)})).await?;
    let guest = post.guest().await?;
    for number in 0..10 {
        relabel(&guest, number).await?;
    }
    let failing = webhook.becomes("a failing webhook", |webhook| webhook["failures"] != 0).await?;
    ensure!(!failing["next_attempt_at"].is_null(), "{failing}");
    ensure!(webhook.deliveries().await?[0]["error"].as_str().is_some_and(|error| error.contains("refused")));
    post.receiver.listen(post.silent)?;
    // At once, rather than when it would have been tried again.
    webhook.change(json!({"description": "it listens by now"})).await?;
    post.receiver.get("/away", 11, is_of(&guest)).await?;
    let order = order(&post.receiver.received("/away"))?;
    ensure!(order.is_sorted(), "{order:?}");
    guest.gone().await?;
    webhook.remove().await
}

#[tokio::test]
async fn a_test_is_sent_once_and_answered_with_what_came_back() -> Fact {
    let Some(post) = post().await? else { return Ok(()) };
    let webhook = post.webhook("/test", Manner::Takes).await?;
    let stopped = webhook.change(json!({"enabled": false})).await?;
    ensure!(stopped["enabled"] == false && stopped["disabled_reason"].is_null(), "{stopped}");
    let test = || async {
        let path = format!("{}/test", webhook.path());
        webhook.client.post(&path).send().await?.expect(200)?.json::<Value>()
    };
    let taken = test().await?;
    ensure!(taken["delivered"] == true && taken["status"] == 200 && taken["answer"] == "thank you", "{taken}");
    let received = post.receiver.get("/test", 1, |event| event["type"] == "webhook.test").await?;
    ensure!(received[0].is_signed(&webhook.secret)? && received[0].header("webhook-id")?.starts_with("test_"));
    post.receiver.behave("/test", Manner::Fails(9));
    let refused = test().await?;
    ensure!(refused["delivered"] == false && refused["status"] == 500 && refused["answer"] == "not now", "{refused}");
    ensure!(post.receiver.received("/test").len() == 2 && webhook.deliveries().await?.is_empty());
    webhook.remove().await
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_sent_nothing_more_until_its_owner_says_so() -> Fact {
    let Some(post) = post().await? else { return Ok(()) };
    let webhook = post.webhook("/gone", Manner::Gone).await?;
    let guest = post.guest().await?;
    let disabled = webhook.becomes("a disabled webhook", |webhook| webhook["enabled"] == false).await?;
    ensure!(disabled["disabled_reason"].as_str().is_some_and(|reason| reason.contains("410")), "{disabled}");
    let told: Vec<Value> = post.client()?.list("/events?limit=1000").await?;
    let is_told = |event: &Value| {
        event["type"] == "webhook.disabled" && event["message"].as_str().is_some_and(|text| text.contains(&webhook.id))
    };
    ensure!(told.iter().any(is_told), "nobody is told");
    guest.works().await?;
    ensure!(post.receiver.received("/gone").len() == 1, "it was sent more");

    post.receiver.behave("/gone", Manner::Takes);
    webhook.change(json!({"enabled": true})).await?;
    post.receiver.get("/gone", 3, is_of(&guest)).await?;
    let received = post.receiver.received("/gone");
    ensure!(received[0].header("webhook-id")? == received[1].header("webhook-id")?, "something is lost");
    guest.gone().await?;
    webhook.remove().await
}

#[tokio::test]
async fn a_redirect_is_not_followed() -> Fact {
    let Some(post) = post().await? else { return Ok(()) };
    let webhook = post.webhook("/moved", Manner::Redirects("/elsewhere")).await?;
    let guest = post.guest().await?;
    webhook.becomes("a failing webhook", |webhook| webhook["failures"] != 0).await?;
    let delivery = &webhook.deliveries().await?[0];
    let error = "it redirects, and redirects are not followed";
    ensure!(delivery["status"] == 307 && delivery["error"] == error, "{delivery}");
    ensure!(post.receiver.received("/elsewhere").is_empty(), "it was followed");
    guest.gone().await?;
    webhook.remove().await
}

#[tokio::test]
async fn the_servers_own_network_is_not_reached() -> Fact {
    let Some(post) = post().await? else { return Ok(()) };
    let client = post.client()?;
    let port = post.address.port();
    for url in [
        "http://example.com/".to_owned(),
        "https://127.0.0.1/".to_owned(),
        format!("https://127.0.0.1:{port}/"),
        "https://10.1.2.3/".to_owned(),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://[::1]/".to_owned(),
        "https://[::ffff:10.0.0.1]/".to_owned(),
        "https://2130706433/".to_owned(),
        format!("http://127.0.0.1:{}/", client_port(&post.server)),
    ] {
        let refused = client.post("/webhook").json(&json!({"url": url})).send().await?.refused(403, "forbidden")?;
        ensure!(refused.detail.starts_with("url: "), "{refused:?}");
    }
    for url in ["ftp://example.com/", "https://ann:secret@example.com/", "example.com", "https://"] {
        client.post("/webhook").json(&json!({"url": url})).send().await?.refused(400, "invalid_request")?;
    }
    // A name is looked up when something is sent.
    let webhook = Webhook::create(client, &json!({"url": format!("https://localhost:{port}/name")})).await?;
    let guest = post.guest().await?;
    webhook.becomes("a failing webhook", |webhook| webhook["failures"] != 0).await?;
    let delivery = &webhook.deliveries().await?[0];
    ensure!(delivery["error"].as_str().is_some_and(|error| error.contains("no public address")), "{delivery}");
    // Neither is it by a change.
    let change = webhook.client.patch(&webhook.path()).json(&json!({"url": "https://192.168.1.1/"}));
    change.send().await?.refused(403, "forbidden")?;
    guest.gone().await?;
    webhook.remove().await
}

fn client_port(server: &Server) -> u16 {
    server.address().port()
}

#[tokio::test]
async fn a_receiver_that_never_answers_delays_nobody_else() -> Fact {
    let Some(post) = post().await? else { return Ok(()) };
    let mut silent = Vec::new();
    for path in ["/silent-1", "/silent-2", "/silent-3"] {
        silent.push(post.webhook(path, Manner::Silent).await?);
    }
    let webhook = post.webhook("/quick", Manner::Takes).await?;
    let guest = post.guest().await?;
    post.receiver.get("/silent-1", 1, |_| true).await?;
    post.receiver.get("/quick", 1, is_of(&guest)).await?;
    // Before the first of their attempts is over.
    for webhook in &silent {
        ensure!(webhook.deliveries().await?.is_empty(), "this took longer than an attempt may");
    }
    guest.gone().await?;
    for webhook in silent {
        webhook.remove().await?;
    }
    webhook.remove().await
}

#[tokio::test]
async fn a_create_that_is_sent_again_creates_nothing() -> Fact {
    let Some(post) = post().await? else { return Ok(()) };
    let client = post.client()?;
    let body = json!({"url": format!("http://{}/once", post.address), "description": "once"});
    let create = || client.post("/webhook").header("Idempotency-Key", "webhook-once").json(&body).send();
    let first: Value = create().await?.expect(201)?.json()?;
    let again = create().await?.expect(201)?;
    ensure!(again.headers.get("idempotent-replayed").is_some_and(|value| value == "true"), "{again:?}");
    let again: Value = again.json()?;
    ensure!(again["id"] == first["id"] && again["secret"] == first["secret"], "{first} {again}");
    let all: Vec<Value> = client.list("/webhook?limit=1").await?;
    ensure!(all.iter().filter(|webhook| webhook["description"] == "once").count() == 1, "{all:?}");
    let path = format!("/webhook/{}", first["id"].as_str().unwrap_or_default());
    client.delete(&path).send().await?.expect(204)?;
    create().await?.refused(404, "not_found")?;
    Ok(())
}

#[tokio::test]
async fn there_are_no_more_webhooks_than_there_may_be() -> Fact {
    let Some(post) = Post::start("webhook-many").await? else { return Ok(()) };
    let mut last = None;
    for _ in 0..sentinal_model::limits::WEBHOOKS_MAX {
        last = Some(post.webhook("/many", Manner::Takes).await?);
    }
    let body = json!({"url": format!("http://{}/many", post.address)});
    let one_more = || async { post.client()?.post("/webhook").json(&body).send().await };
    one_more().await?.refused(429, "quota_exceeded")?;
    last.context("a webhook")?.remove().await?;
    one_more().await?.expect(201)?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_killed_loses_nothing_and_repeats_what_was_under_way() -> Fact {
    const KILLS: usize = 3;
    let Some(post) = Post::start("webhook-killed").await? else { return Ok(()) };
    let webhook = post.webhook("/killed", Manner::Takes).await?;
    let guest = post.guest().await?;
    for kill in 0..KILLS {
        for number in 0..5 {
            relabel(&guest, kill * 10 + number).await?;
        }
        post.server.kill(Role::Serve).await?;
        post.server.launch(Role::Serve)?;
        post.server.healthy().await?;
    }
    relabel(&guest, 100).await?;
    let told: Vec<Value> = guest.client().list(&format!("/events?sandbox_id={}&limit=1000", guest.id())).await?;
    let last = told.last().context("events")?["cursor"].clone();
    post.receiver.get("/killed", 1, |event| event["cursor"] == last).await?;
    let received = post.receiver.received("/killed");
    let order = order(&received)?;
    for event in &told {
        let cursor: i64 = event["cursor"].as_str().unwrap_or_default().parse()?;
        ensure!(order.contains(&cursor), "{event} is lost");
    }
    ensure!(order.is_sorted(), "{order:?}");
    let repeated = received.len() - order.len();
    ensure!(repeated <= KILLS, "{repeated} were sent again after {KILLS} kills");
    guest.gone().await?;
    webhook.remove().await?;
    post.server.clean().await
}
