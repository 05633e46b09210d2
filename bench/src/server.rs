//! A server of the bench's own: started as an operator starts it, with one command.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::{
    api::Api,
    connection::Connection,
    options::Options,
    process::{self, Process, eventually},
};

const START_DEADLINE: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const STOP_DEADLINE: Duration = Duration::from_secs(40);

/// A running server, and the node it started. Both end when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    data_dir: PathBuf,
    key: String,
    log: PathBuf,
    options: Options,
    has_pools: bool,
}

impl Server {
    /// Starts it with its data in `scratch`, and waits until it is healthy.
    pub(crate) async fn start(options: &Options, scratch: &Path, pools: &[String]) -> Result<Self> {
        fs::create_dir_all(scratch).context("make the server's folder")?;
        let (data_dir, log) = (scratch.join("data"), scratch.join("serve.log"));
        let address = free_address()?;
        let child = launch(options, address, &data_dir, &log, pools)?;
        let (options, has_pools) = (options.clone(), !pools.is_empty());
        let mut server = Self { child, address, data_dir, key: String::new(), log, options, has_pools };
        server.ready().await.with_context(|| server.end_of_log())?;
        Ok(server)
    }

    /// A connection of its own with the admin key.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        Connection::open(self.address, &self.key).await
    }

    /// The API over a connection of its own.
    pub(crate) async fn api(&self) -> Result<Api> {
        self.connect().await.map(Api::over)
    }

    /// How many sandboxes the engine's pool has ready.
    pub(crate) async fn pool_ready(&self, engine: &str) -> Result<usize> {
        let metrics = self.connect().await?.get("/metrics").await?;
        let metrics = String::from_utf8_lossy(&metrics).into_owned();
        let name = format!("sentinal_pool_sandboxes{{engine=\"{engine}\",state=\"ready\"}} ");
        let ready = metrics.lines().find_map(|line| line.strip_prefix(&name)).context("the pool is in the metrics")?;
        ready.parse().context("a number")
    }

    /// The processes of the product itself, not those of its sandboxes.
    pub(crate) fn processes(&self) -> Result<Vec<Process>> {
        let data_dir = self.data_dir.to_string_lossy();
        let ours = |process: &Process| {
            let role = process.command.split(' ').nth(1);
            process.command.contains(&*data_dir) && (role == Some("serve") || role == Some("node"))
        };
        Ok(process::all()?.into_iter().filter(ours).collect())
    }

    /// Destroys what is left in it, ends it, and waits until nothing of it is left.
    pub(crate) async fn stop(mut self) -> Result<()> {
        eventually("the end of all sandboxes", STOP_DEADLINE, async || {
            self.destroy_all().await.is_ok_and(|left| left == 0)
        })
        .await?;
        self.end().await?;
        if self.has_pools {
            // What waits in a pool outlives its server, and is ended by the next one that has no such pool.
            self.child = launch(&self.options, self.address, &self.data_dir, &self.log, &[])?;
            self.ready().await?;
            let instances = self.data_dir.join("node/instances");
            eventually("the end of the pools", STOP_DEADLINE, async || is_empty(&instances)).await?;
            self.end().await?;
        }
        Ok(())
    }

    /// Ends the server and its node.
    async fn end(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        eventually("the end of the server", STOP_DEADLINE, async || self.processes().is_ok_and(|left| left.is_empty()))
            .await?;
        self.child.wait().context("wait for the server")?;
        Ok(())
    }

    /// The last lines that the server said, for a failure's message.
    pub(crate) fn end_of_log(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        format!("the server's last words:\n{}", lines[lines.len().saturating_sub(15)..].join("\n"))
    }

    async fn ready(&mut self) -> Result<()> {
        let address = self.address;
        tokio::select! {
            healthy = eventually("a healthy server", START_DEADLINE, async || is_healthy(address).await) => healthy?,
            ended = Self::ended(&mut self.child) => bail!("it ended: {}", ended?),
        }
        let key = self.data_dir.join("admin.key");
        let text = fs::read_to_string(&key).with_context(|| format!("read {}", key.display()))?;
        text.trim().clone_into(&mut self.key);
        Ok(())
    }

    async fn ended(child: &mut Child) -> Result<ExitStatus> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Answers how many there were. One that is ending meanwhile refuses: it is asked for again.
    async fn destroy_all(&self) -> Result<usize> {
        let mut api = self.api().await?;
        let sandboxes = api.sandboxes().await?;
        for sandbox in &sandboxes {
            let _ = api.destroy(sandbox).await;
        }
        Ok(sandboxes.len())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.processes()?.iter().try_for_each(|process| process::signal(process.pid, signal))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing can be reported from here.
        let _ = self.signal(Signal::TERM);
        let _ = self.child.wait();
    }
}

fn launch(options: &Options, address: SocketAddr, data_dir: &Path, log: &Path, pools: &[String]) -> Result<Child> {
    let mut command = Command::new(&options.sentinal);
    command.arg("serve").arg("--listen").arg(address.to_string()).arg("--data-dir").arg(data_dir);
    command.arg("--images").arg(&options.images).arg("--allow-shared-kernel");
    // Cores are promised often enough for pools and a crowd: these sandboxes mostly wait.
    command.arg("--cpu-overcommit").arg("64").args(pools);
    let output = File::options().create(true).append(true).open(log).context("open the server's log")?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    // In a group of its own: an interrupt from the terminal comes to the bench alone, which cleans up.
    command.process_group(0).spawn().with_context(|| format!("start {}", options.sentinal.display()))
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

async fn is_healthy(address: SocketAddr) -> bool {
    let Ok(mut connection) = Connection::open(address, "").await else { return false };
    connection.get("/health").await.is_ok()
}

fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    listener.local_addr().context("find a free port")
}
