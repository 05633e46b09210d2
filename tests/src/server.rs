//! One `sentinal serve` and one `sentinal node` as separate processes, which can be killed and started again.

use std::{
    ffi::OsString,
    fs::File,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use hyper::Method;
use rand::TryRngCore as _;

use crate::{Binaries, Client, Leaks, Place, Role, Sandbox, commands, detect, eventually, guardian::Guardian, skipped};

/// An engine whose probe failed, because the machine was too busy for it, is probed again after a minute.
const READY_DEADLINE: Duration = Duration::from_mins(4);
const CLEAN_DEADLINE: Duration = Duration::from_mins(1);

/// What a server is started with besides the usual.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// What becomes `sentinal node` after it has changed its own surroundings, with its arguments.
    pub node_wrapper: Vec<OsString>,
    /// What becomes `sentinal serve` after it has changed who it is. That server starts a node of its own.
    pub serve_wrapper: Vec<OsString>,
    /// More arguments for `sentinal node`.
    pub node: Vec<OsString>,
    /// More arguments for `sentinal serve`.
    pub serve: Vec<OsString>,
    /// Added to the environment of both.
    pub env: Vec<(OsString, OsString)>,
    /// Another image store.
    pub images: Option<PathBuf>,
    /// Another agent.
    pub agent: Option<PathBuf>,
    /// Where it keeps everything; a fresh folder unless given.
    pub place: Option<Place>,
}

/// A running product. When it is dropped nothing of it is left.
#[derive(Debug)]
pub struct Server {
    place: Place,
    address: SocketAddr,
    options: Options,
    binaries: &'static Binaries,
    children: Mutex<Vec<Child>>,
    more_for_serve: Mutex<Vec<OsString>>,
    _guardian: Guardian,
}

impl Server {
    /// Starts both processes and waits until the server is healthy. `None`, said aloud, where this machine cannot.
    pub async fn start(name: &str, options: Options) -> Result<Option<Self>> {
        let Some(server) = Self::prepare(name, options).await? else { return Ok(None) };
        server.launch_both().await?;
        Ok(Some(server))
    }

    /// The same for whoever knows already that this machine can.
    pub async fn start_regardless(name: &str, options: Options) -> Result<Self> {
        let server = Self::at_rest(name, options).await?;
        server.launch_both().await?;
        Ok(server)
    }

    /// A server of which nothing has been started yet. `None`, said aloud, where this machine cannot.
    pub async fn prepare(name: &str, options: Options) -> Result<Option<Self>> {
        if let Some(missing) = detect().await? {
            skipped(name, missing);
            return Ok(None);
        }
        Self::at_rest(name, options).await.map(Some)
    }

    async fn at_rest(name: &str, mut options: Options) -> Result<Self> {
        let place = options.place.take().map_or_else(|| Place::fresh(name), Ok)?;
        Ok(Self {
            address: free_port()?,
            _guardian: Guardian::of(place.data_dir())?,
            binaries: Binaries::find().await?,
            children: Mutex::default(),
            more_for_serve: Mutex::default(),
            place,
            options,
        })
    }

    async fn launch_both(&self) -> Result<()> {
        if self.options.serve_wrapper.is_empty() {
            self.launch(Role::Node)?;
        }
        self.launch(Role::Serve)?;
        self.healthy().await
    }

    /// From its next start on `serve` gets these arguments after its own, in place of those that were given here before.
    pub fn serve_with(&self, more: Vec<OsString>) {
        *self.more_for_serve.lock().unwrap_or_else(PoisonError::into_inner) = more;
    }

    /// Starts the process of one role.
    pub fn launch(&self, role: Role) -> Result<()> {
        match role {
            Role::Serve => {
                let mut more = self.options.serve.clone();
                more.extend(self.more_for_serve.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
                self.launch_with(role, &more)
            }
            Role::Node => self.launch_with(role, &self.options.node),
        }
    }

    /// Starts the process of one role with other arguments than the server's own.
    pub fn launch_with(&self, role: Role, more: &[OsString]) -> Result<()> {
        let sentinal = &self.binaries.sentinal;
        let images = self.options.images.as_ref().unwrap_or(&self.binaries.images);
        let agent = self.options.agent.as_ref().unwrap_or(&self.binaries.agent);
        let alone = !self.options.serve_wrapper.is_empty();
        let (mut command, wrapper) = match role {
            Role::Serve if alone => {
                let command = commands::serve_with_node(sentinal, agent, images, &self.place, self.address);
                (command, &self.options.serve_wrapper)
            }
            Role::Serve => (commands::serve(sentinal, &self.place, self.address), &self.options.serve_wrapper),
            Role::Node => (commands::node(sentinal, agent, images, &self.place), &self.options.node_wrapper),
        };
        command.args(more);
        command = wrapped(command, wrapper);
        // Whatever this machine is configured with.
        command.env("SENTINAL_CONFIG", "/dev/null");
        command.envs(self.options.env.iter().map(|(name, value)| (name, value)));
        let child = spawn(command, &self.place.log(role))?;
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        children.push(child);
        Ok(())
    }

    /// SIGKILL to all processes of a role.
    pub async fn kill(&self, role: Role) -> Result<()> {
        role.kill(self.place.data_dir()).await?;
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        Ok(())
    }

    /// Waits until the server says that it can do its job.
    pub async fn healthy(&self) -> Result<()> {
        let client = Client::new(self.address, None);
        let ask = || async {
            let answer = client.request(Method::GET, "/health").deadline(Duration::from_secs(5)).send().await?;
            ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
            Ok(())
        };
        eventually("a healthy server", READY_DEADLINE, ask).await.with_context(|| self.place.log_tails())
    }

    /// Waits until the server answers at all, healthy or not.
    pub async fn answering(&self) -> Result<()> {
        let client = Client::new(self.address, None);
        let ask = || async { client.request(Method::GET, "/livez").deadline(Duration::from_secs(5)).send().await };
        eventually("an answering server", READY_DEADLINE, ask).await.with_context(|| self.place.log_tails())?;
        Ok(())
    }

    /// A client with the first admin key.
    pub fn client(&self) -> Result<Client> {
        let key = std::fs::read_to_string(self.place.admin_key()).context("read the admin key")?;
        Ok(Client::new(self.address, Some(key.trim().to_owned())))
    }

    /// A client with no key, or any.
    pub const fn client_with(&self, key: Option<String>) -> Client {
        Client::new(self.address, key)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was started with.
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// Where it keeps everything.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Destroys what tests have left that gave up half-way, so that whatever is still there afterwards is the product's.
    pub async fn sweep(&self) -> Result<()> {
        let client = self.client()?;
        let all: Vec<Sandbox> = client.list("/sandbox").await?;
        for sandbox in all.iter().filter(|sandbox| ["pending", "running", "paused"].contains(&sandbox.state.as_str())) {
            let answer = client.destroy(&sandbox.id).await?;
            ensure!([200, 404].contains(&answer.status), "{}: {}", answer.status, answer.text());
        }
        Ok(())
    }

    /// Waits until nothing of any sandbox is left on the host.
    pub async fn clean(&self) -> Result<()> {
        let look = || async { Leaks::of_place(&self.place)?.none() };
        eventually("a clean host", CLEAN_DEADLINE, look).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut children = std::mem::take(&mut *self.children.lock().unwrap_or_else(PoisonError::into_inner));
        for child in &mut children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The command with another in front of it that becomes it.
fn wrapped(command: Command, wrapper: &[OsString]) -> Command {
    let Some((program, arguments)) = wrapper.split_first() else { return command };
    let mut outer = Command::new(program);
    outer.args(arguments).arg(command.get_program()).args(command.get_args());
    outer
}

/// Starts a process in a process group of its own, so that a Ctrl-C at the terminal reaches the test alone.
fn spawn(mut command: Command, log: &std::path::Path) -> Result<Child> {
    use std::os::unix::process::CommandExt;
    let log = File::options().append(true).open(log).context("open the log")?;
    command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let line = format!("{command:?}");
    command.spawn().with_context(|| format!("start {line}"))
}

/// A port of the loopback interface that was free a moment ago. It is kept over restarts. Not one of those that the
/// kernel gives to clients: while no server listens, a client that dials such a port may be given that very port, and
/// would hold it.
pub fn free_port() -> Result<SocketAddr> {
    const BELOW_EPHEMERAL: std::ops::Range<u16> = 16_000..32_000;
    for _ in 0..1000 {
        let any = rand::rngs::OsRng.try_next_u32().context("randomness")?;
        let offset = u16::try_from(any % u32::from(BELOW_EPHEMERAL.end - BELOW_EPHEMERAL.start))?;
        let address = SocketAddr::from(([127, 0, 0, 1], BELOW_EPHEMERAL.start + offset));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    anyhow::bail!("no port is free")
}
