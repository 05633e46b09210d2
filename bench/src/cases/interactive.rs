//! How long does a person wait for what was typed, and how long does output take to its reader?

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use futures::{SinkExt as _, StreamExt as _};
use http_body_util::BodyExt as _;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

use crate::{
    Bench,
    api::{Api, Kind, printed},
    report::{Row, Target},
    samples::{Samples, timed},
};

const DEADLINE: Duration = Duration::from_secs(30);
/// A person types no faster.
const BETWEEN_KEYS: Duration = Duration::from_millis(30);
/// Tells the time with every line, as soon as it is known.
const CLOCK: &str = "import sys, time\nfor _ in range(int(sys.argv[1])):\n  time.sleep(0.03)\n  \
                     sys.stdout.write(f'{time.time_ns()}\\n'); sys.stdout.flush()";

/// A key on a terminal until it is seen, beside an execute; and a line of output from its writing to its reader.
pub(crate) async fn beside_an_execute(bench: &Bench, kind: Kind) -> Result<Vec<Row>> {
    let mut api = bench.server.api().await?;
    let sandbox = api.create(kind).await?;
    let rows = vec![echo(bench, kind, &mut api, &sandbox).await?, first_byte(bench, kind, &mut api, &sandbox).await?];
    api.destroy(&sandbox).await?;
    Ok(rows)
}

async fn echo(bench: &Bench, kind: Kind, api: &mut Api, sandbox: &str) -> Result<Row> {
    let mut terminal = terminal(api, sandbox).await?;
    press(&mut terminal).await?;
    let (mut ours, mut peer) = (Samples::default(), Samples::default());
    for _ in 0..bench.options.samples() {
        tokio::time::sleep(BETWEEN_KEYS).await;
        ours.add_time(press(&mut terminal).await?);
        peer.add_time(timed(api.execute(sandbox, &["/bin/true"])).await?.0);
    }
    Ok(Row {
        what: format!("{}: a key on a terminal until its echo", kind.engine),
        unit: "ms",
        ours,
        peer: Some(("an execute of /bin/true".to_owned(), peer)),
        target: Target::AtMostOverPeer(3.0),
    })
}

type Terminal = WebSocketStream<TcpStream>;

async fn terminal(api: &mut Api, sandbox: &str) -> Result<Terminal> {
    let address = api.connection().address();
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let url = format!("ws://{address}/api/v1/sandbox/{sandbox}/terminal?command=cat");
    let mut request = url.into_client_request()?;
    request.headers_mut().insert("authorization", HeaderValue::from_str(api.connection().authorization())?);
    let (socket, _) = timeout(DEADLINE, client_async(request, stream)).await.context("no terminal in time")??;
    Ok(socket)
}

/// Presses a key, and waits until it is there to be seen.
async fn press(terminal: &mut Terminal) -> Result<Duration> {
    let start = Instant::now();
    terminal.send(Message::binary("x")).await?;
    loop {
        match timeout(DEADLINE, terminal.next()).await.context("no echo in time")?.context("the terminal's end")?? {
            Message::Binary(bytes) if bytes.contains(&b'x') => return Ok(start.elapsed()),
            Message::Close(_) => bail!("the terminal has ended"),
            Message::Binary(_) | Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

async fn first_byte(bench: &Bench, kind: Kind, api: &mut Api, sandbox: &str) -> Result<Row> {
    let mut events = api.follow(sandbox, &["python3", "-c", CLOCK, &bench.options.samples().to_string()]).await?;
    let mut ours = Samples::default();
    while let Some(frame) = timeout(DEADLINE, events.frame()).await.context("no output in time")? {
        let now = wall_clock()?;
        let Ok(data) = frame?.into_data() else { continue };
        if let Some(written) = printed(&data).and_then(|printed| printed.trim().parse().ok().map(Duration::from_nanos))
        {
            ours.add_time(now.saturating_sub(written));
        }
    }
    ensure!(ours.median().is_finite(), "nothing came");
    Ok(Row {
        what: format!("{}: output from its writing to its reader", kind.engine),
        unit: "ms",
        ours,
        peer: None,
        target: if kind.is_native() { Target::Below(2.0) } else { Target::ForInformation },
    })
}

#[expect(clippy::disallowed_methods, reason = "the program inside reads the same clock")]
fn wall_clock() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}
