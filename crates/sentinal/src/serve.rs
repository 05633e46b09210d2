//! How the server starts: folders and node, as root where it is root; then an ordinary user, then everything else.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};
use sentinal_agent_client::Agents;
use sentinal_auth::Keys;
use sentinal_controller::{Controller, OutputFolder, Parts, Settings, SystemEntropy};
use sentinal_gateway::{App, Limits};
use sentinal_model::{Clock, Isolation, Pool, Quotas, SystemClock, limits};
use sentinal_node_protocol::UnixNode;
use sentinal_scheduler::{Overcommit, Policy};
use sentinal_store::{OpenError, SqliteStore, Store};
use sentinal_telemetry::{Metrics, Traces};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    EX_CONFIG,
    banner::{self, Served},
    cli::{LimitOptions, LogOptions, ServeOptions, TraceOptions},
    images::Images,
    node, open_files, privilege, user,
    webhooks::Webhooks,
};

/// How long a stop may take before it is an error.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

/// How long the last spans may take to be sent.
const TRACE_DEADLINE: Duration = Duration::from_secs(3);

/// How long a server that is started again waits for the one before it to let go of the address and of the data.
const HANDOVER_DEADLINE: Duration = Duration::from_secs(5);

/// How often it looks.
const HANDOVER_RETRY: Duration = Duration::from_millis(50);

/// Where the parts of a data folder are.
struct Layout {
    data: PathBuf,
    node_state: PathBuf,
    node_socket: PathBuf,
}

/// `sentinal serve`.
pub(crate) fn run(options: &ServeOptions) -> Result<ExitCode> {
    let traces = start_logging(&options.log, Some(&options.trace))?;
    open_files::raise();
    check(options)?;
    let layout = layout(options)?;
    let listener = listen(options.listen).with_context(|| format!("cannot listen on {}", options.listen))?;
    let node = if privilege::is_root() {
        as_root(options, &layout)?
    } else {
        std::fs::create_dir_all(&layout.data).with_context(|| {
            format!("cannot make {}; name a folder of your own with --data-dir", layout.data.display())
        })?;
        privilege::make_server_folder(&output_folder(&layout), None)?;
        privilege::make_server_folder(&images_folder(&layout), None)?;
        as_ordinary_user(options, &layout)?
    };
    let node = node.map(watched);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(serve(options, layout, (listener, node), traces))?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses settings that cannot work together.
pub(crate) fn check(options: &ServeOptions) -> Result<()> {
    ensure!(
        options.listen.ip().is_loopback() || options.plain_http_trusted_network,
        "{} is not a loopback address and the server speaks plain HTTP; put it behind a proxy with TLS, and say that the \
         network between them is trusted with --plain-http-trusted-network",
        options.listen
    );
    if let Some(endpoint) = options.trace.collector().map(|collector| collector.endpoint) {
        ensure!(
            endpoint.starts_with("http://") || endpoint.starts_with("https://"),
            "--otlp-endpoint {endpoint:?} is no URL; write it like http://127.0.0.1:4317"
        );
    }
    check_pools(&options.pools, options.isolation.minimum())
}

/// Also where the server before this one is just ending: the kernel closes the sockets of a process a little after it.
#[expect(clippy::disallowed_methods, reason = "the runtime starts later, and there is a deadline")]
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let began = Instant::now();
    loop {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && began.elapsed() < HANDOVER_DEADLINE => {
                std::thread::sleep(HANDOVER_RETRY);
            }
            done => return done,
        }
    }
}

/// Refuses pools that nobody could ever be served from.
fn check_pools(pools: &[Pool], minimum: Isolation) -> Result<()> {
    ensure!(pools.len() <= limits::POOLS_MAX, "{} pools are given; at most {} may be", pools.len(), limits::POOLS_MAX);
    for (index, pool) in pools.iter().enumerate() {
        let engine = pool.engine;
        ensure!(
            minimum <= engine.isolation(),
            "the pool {pool} is of no use: {engine} gives {} isolation, and --minimum-isolation is {minimum}",
            engine.isolation()
        );
        ensure!(
            !pools[..index].iter().any(|other| other.is_like(pool)),
            "two pools have the shape of {pool}; give their sizes as one"
        );
    }
    Ok(())
}

/// What needs root: the folders, and a node where none runs. Afterwards this process is an ordinary user's.
fn as_root(options: &ServeOptions, layout: &Layout) -> Result<Option<Child>> {
    let server = user::find(&options.parts.server_user)?;
    privilege::make_data_folder(&layout.data, server)?;
    for folder in [output_folder(layout), images_folder(layout)] {
        privilege::make_server_folder(&folder, Some(server))?;
    }
    let is_wanted = !options.no_node && !answers(&layout.node_socket);
    let node = is_wanted.then(|| start_node(options, layout)).transpose()?;
    privilege::become_user(server)?;
    Ok(node)
}

/// Somebody else's node is served as well as one of our own, which is started where none answers.
fn as_ordinary_user(options: &ServeOptions, layout: &Layout) -> Result<Option<Child>> {
    if answers(&layout.node_socket) {
        return Ok(None);
    }
    if options.no_node {
        tracing::warn!(socket = %layout.node_socket.display(), "no node is running; start `sentinal node`");
        return Ok(None);
    }
    start_node(options, layout).map(Some)
}

/// Starts a node that outlives this server, and ends by itself when it is not needed any more.
fn start_node(options: &ServeOptions, layout: &Layout) -> Result<Child> {
    let mut node = Command::new(node::this_program()?);
    node.arg("node").arg("--exit-when-idle");
    node.args(node::arguments(&layout.node_state, &layout.node_socket, &options.parts)).args(options.log.arguments());
    // In a group of its own: what interrupts the server at a terminal leaves the node alone.
    let node = node.stdin(Stdio::null()).process_group(0).spawn().context("cannot start the node")?;
    tracing::debug!(pid = node.id(), "node started");
    Ok(node)
}

/// How a node ends, which need not be before this server does. Until it is asked for, one that has ended stays as a zombie.
fn watched(mut node: Child) -> oneshot::Receiver<ExitStatus> {
    let (ended, status) = oneshot::channel();
    std::thread::spawn(move || node.wait().map(|status| ended.send(status)));
    status
}

/// Returns when the node that this server has started says that it never can, and there is no other: there is no use in
/// serving without one.
async fn refused(node: Option<oneshot::Receiver<ExitStatus>>, socket: &Path) {
    let Some(node) = node else { return std::future::pending().await };
    let Ok(status) = node.await else { return std::future::pending().await };
    if status.code() == Some(i32::from(EX_CONFIG)) && !answers(socket) {
        return;
    }
    tracing::warn!(%status, "the node has ended; sandboxes go on, and `sentinal node` starts another one");
    std::future::pending::<()>().await;
}

/// Everything else, as an ordinary user.
async fn serve(
    options: &ServeOptions,
    layout: Layout,
    (listener, node): (TcpListener, Option<oneshot::Receiver<ExitStatus>>),
    traces: Option<Traces>,
) -> Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = Metrics::new();
    traces.as_ref().map(|traces| traces.send(&metrics)).transpose()?;
    let database = layout.data.join("sentinal.db");
    let store: Arc<dyn Store> = Arc::new(open_store(&database).await?);
    let admin_key = layout.data.join("admin.key");
    Keys::ensure_admin_key(store.as_ref(), clock.as_ref(), &admin_key).await?;
    let images = Images::open(&images_folder(&layout), &options.registries)?;
    let webhooks = Webhooks::open(&options.webhooks)?;
    let parts = Parts {
        store: Arc::clone(&store),
        node: Arc::new(UnixNode::new(layout.node_socket.clone())),
        agents: Agents::default(),
        outputs: Arc::new(OutputFolder::new(output_folder(&layout))),
        images: Arc::new(images),
        webhooks: Arc::new(webhooks),
        clock,
        entropy: Arc::new(SystemEntropy),
        metrics: metrics.clone(),
        settings: settings(options),
    };
    let controller = Controller::start(parts).await?;
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let served = Served {
        url: format!("http://{}", listener.local_addr()?),
        admin_key: admin_key.clone(),
        data: layout.data.clone(),
    };
    let said = tokio::spawn(banner::say(controller.clone(), served, options.log.format()?));
    let stop = CancellationToken::new();
    let app = App::new(controller.clone(), controller.keys(), metrics).with_limits(gateway_limits(&options.limits));
    let serving = sentinal_gateway::serve(listener, app, stop.clone());
    let mut serving = std::pin::pin!(serving);
    let mut signals = Signals::new()?;
    let mut outcome = Ok(());
    tokio::select! {
        () = &mut serving => {}
        () = signals.next() => tracing::info!("server told to stop; sandboxes go on"),
        () = refused(node, &layout.node_socket) => outcome = Err(anyhow!("the node cannot start, and without it there are no sandboxes; its last words say why")),
    }
    stop.cancel();
    said.abort();
    let stopped = tokio::select! {
        stopped = tokio::time::timeout(STOP_DEADLINE, async { serving.await; controller.stop().await }) => {
            stopped.context("the server did not stop in time").and(outcome)
        }
        () = signals.next() => outcome,
    };
    if let Some(traces) = traces {
        traces.finish(TRACE_DEADLINE).await;
    }
    stopped
}

/// What the operator decided.
fn settings(options: &ServeOptions) -> Settings {
    Settings {
        policy: policy(options),
        pools: options.pools.clone(),
        images_free: options.images_free,
        quotas: quotas(options),
        webhook_retry: options.webhook_retry,
        output_stored_bytes: options.limits.output_stored_max.0,
        retention: options.limits.retention.duration(),
    }
}

fn gateway_limits(options: &LimitOptions) -> Limits {
    Limits {
        json_body_bytes: options.json_body_max.0,
        upload_bytes: options.upload_max.0,
        upload_files: usize::try_from(options.upload_files_max).unwrap_or(usize::MAX),
        output_inline_bytes: options.output_inline_max.0,
    }
}

fn policy(options: &ServeOptions) -> Policy {
    let overcommit = Overcommit {
        cpu: options.cpu_overcommit,
        memory: options.memory_overcommit,
        sandboxes: usize::try_from(options.sandboxes_max).unwrap_or(usize::MAX).min(limits::SANDBOXES_PER_NODE_MAX),
        memory_available_percent: options.room.memory_available_min,
    };
    Policy { minimum_isolation: options.isolation.minimum(), overcommit }
}

/// What the operator has said of quotas, the last word of each, over what they are.
fn quotas(options: &ServeOptions) -> Quotas {
    options.quotas.iter().fold(Quotas::default(), |quotas, choice| quotas.with(*choice))
}

/// Opens the store, once a server that is just ending has let go of it.
async fn open_store(database: &Path) -> Result<SqliteStore, OpenError> {
    let asked = Instant::now();
    loop {
        match SqliteStore::open(database).await {
            Err(OpenError::Locked { .. }) if asked.elapsed() < HANDOVER_DEADLINE => sleep(HANDOVER_RETRY).await,
            opened => return opened,
        }
    }
}

/// Both signals that end a server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let receive = |kind| signal(kind).context("cannot receive signals");
        Ok(Self { terminate: receive(SignalKind::terminate())?, interrupt: receive(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn layout(options: &ServeOptions) -> Result<Layout> {
    let data = std::path::absolute(&options.room.data_dir).context("cannot tell where the data folder is")?;
    let node_state = data.join("node");
    let node_socket = options.node_socket.clone().unwrap_or_else(|| node_state.join("node.sock"));
    Ok(Layout { data, node_state, node_socket })
}

fn images_folder(layout: &Layout) -> PathBuf {
    layout.data.join("images")
}

fn output_folder(layout: &Layout) -> PathBuf {
    layout.data.join("output")
}

/// Whether somebody listens on the socket.
fn answers(socket: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(socket).is_ok()
}

/// Sends log lines to standard error, and spans to a collector if there is one.
pub(crate) fn start_logging(options: &LogOptions, trace: Option<&TraceOptions>) -> Result<Option<Traces>> {
    let trace = trace.and_then(TraceOptions::collector);
    sentinal_telemetry::init_logging(options.format()?, &options.log, trace).context("cannot begin logging")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pools: &[&str], minimum: Isolation, refusal: Option<&str>) {
        let pools: Vec<Pool> = pools.iter().map(|pool| pool.parse().unwrap()).collect();
        let checked = check_pools(&pools, minimum).map_err(|error| error.to_string());
        match (&checked, refusal) {
            (Ok(()), None) => {}
            (Err(said), Some(words)) if said.contains(words) => {}
            _ => panic!("{pools:?}: {checked:?}"),
        }
    }

    #[test]
    fn pools_that_nobody_could_be_served_from_are_refused() {
        let minimum = Isolation::UserspaceKernel;
        check(&[], minimum, None);
        check(&["gvisor=8", "engine=gvisor,size=2,memory=1Gi"], minimum, None);
        check(&["native=8"], minimum, Some("native gives shared-kernel isolation"));
        check(&["native=8"], Isolation::SharedKernel, None);
        check(&["gvisor=8", "engine=gvisor,size=2"], minimum, Some("two pools have the shape of"));
        let many: Vec<String> = (1..=17).map(|cpu| format!("engine=gvisor,size=1,cpu={cpu}")).collect();
        check(&many.iter().map(String::as_str).collect::<Vec<_>>(), minimum, Some("17 pools are given"));
    }
}
