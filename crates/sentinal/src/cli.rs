//! The command line, with every default in one place.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use sentinal_cli::ServerOptions;
use sentinal_model::{FreeSpace, Isolation, Pool, QuotaChoice, limits};

/// Runs code that nobody trusts, and gives back its results
#[derive(Debug, Parser)]
#[command(name = "sentinal", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What a newcomer needs first.
const AFTER_HELP: &str = "\
Examples:
  sentinal run app.py                 run a program of this machine in a sandbox of its own
  sentinal run -- ls -l               run a command of the sandbox
  sentinal run --in data --out result.csv app.py
  id=$(sentinal create --ttl 1h)      a sandbox to work in
  sentinal exec $id -- make test
  sentinal cp $id:report.html .

Which server: --url, SENTINAL_URL or `sentinal context`; else the one on this machine.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Client(sentinal_cli::Command),
    /// Run the server: gateway, controller, scheduler and store
    Serve(ServeOptions),
    /// Run the process that holds engines, images and instances (as root; without, it has native sandboxes only)
    Node(NodeOptions),
    /// Work with images
    Image(ImageOptions),
    /// Probe every engine and what it needs, and say what to do about what is lacking (as the user who would run the
    /// node); then ask the server how it is
    Doctor(DoctorOptions),
    /// Print what completes commands in a shell
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct LogOptions {
    /// What log lines look like: text or json
    #[arg(long, value_name = "FORMAT", default_value = "text", env = "SENTINAL_LOG_FORMAT")]
    pub(crate) log_format: String,
    /// Which log lines there are, for example `info` or `info,sentinal_node=debug`
    #[arg(long, value_name = "FILTER", default_value = "info", env = "SENTINAL_LOG")]
    pub(crate) log: String,
}

/// Where the parts are that a node needs, whoever starts it.
#[derive(Debug, Clone, Args)]
pub(crate) struct PartOptions {
    /// The ordinary user that the server runs as, where the node is root; else they are one user
    #[arg(long, value_name = "USER", default_value = "sentinal")]
    pub(crate) server_user: String,
    /// The agent's static binary [default: sentinal-agent beside this program]
    #[arg(long, value_name = "FILE", env = "SENTINAL_AGENT")]
    pub(crate) agent: Option<PathBuf>,
    /// The image store
    #[arg(long, value_name = "DIR", default_value = ImageOptions::STORE, env = "SENTINAL_IMAGES")]
    pub(crate) images: PathBuf,
    /// gVisor's program
    #[arg(long, value_name = "FILE", default_value = "runsc")]
    pub(crate) runsc: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ServeOptions {
    /// Where to listen; other addresses than loopback need --plain-http-trusted-network
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", env = "SENTINAL_LISTEN")]
    pub(crate) listen: SocketAddr,
    /// Where the server keeps its data; made if missing
    #[arg(long, value_name = "DIR", default_value = "/var/lib/sentinal", env = "SENTINAL_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// Where the node listens [default: node/node.sock in the data folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) node_socket: Option<PathBuf>,
    /// Do not start a node where none runs
    #[arg(long)]
    pub(crate) no_node: bool,
    #[command(flatten)]
    pub(crate) isolation: IsolationOptions,
    /// How many times a node's cores may be promised to sandboxes
    #[arg(long, value_name = "TIMES", default_value_t = limits::CPU_OVERCOMMIT, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) cpu_overcommit: u64,
    /// How many times a node's memory may be promised to sandboxes
    #[arg(long, value_name = "TIMES", default_value_t = limits::MEMORY_OVERCOMMIT, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) memory_overcommit: u64,
    /// How many sandboxes a node may have, at most 2000
    #[arg(long, value_name = "COUNT", default_value_t = limits::SANDBOXES_PER_NODE_MAX)]
    pub(crate) sandboxes_max: usize,
    /// Keep sandboxes booted for whoever asks: ENGINE=SIZE, for example gvisor=8, or
    /// engine=gvisor,size=8 with any of image=, cpu=, memory= and disk=; may be given more than once
    #[arg(long = "pool", value_name = "POOL", env = "SENTINAL_POOL", value_delimiter = ' ')]
    pub(crate) pools: Vec<Pool>,
    /// How much there may be at once: NAME=LIMIT, for example sandboxes=100 or memory=64Gi. Names: sandboxes, cpu (cores),
    /// memory, disk, executions (that run) and output (that is stored); none is as much as the node has room for; may be
    /// given more than once [default: executions=10000 output=64Gi]
    #[arg(long = "quota", value_name = "QUOTA", env = "SENTINAL_QUOTA", value_delimiter = ' ')]
    pub(crate) quotas: Vec<QuotaChoice>,
    /// A registry that images may be pulled from although its address is not public, as HOST[:PORT]; with http:// in front
    /// if it has no TLS either; may be given more than once
    #[arg(long = "registry", value_name = "HOST", env = "SENTINAL_REGISTRY", value_delimiter = ' ')]
    pub(crate) registries: Vec<String>,
    /// What is to be free where images are, as a share such as 10% or an amount such as 20Gi: else images go that nobody
    /// names or uses
    #[arg(long, value_name = "SPACE", default_value_t = FreeSpace::default(), env = "SENTINAL_IMAGES_FREE")]
    pub(crate) images_free: FreeSpace,
    /// A host that events may be delivered to although its address is not public, as HOST[:PORT]; with http:// in front if
    /// it has no TLS either; may be given more than once
    #[arg(long = "webhook", value_name = "HOST", env = "SENTINAL_WEBHOOK", value_delimiter = ' ')]
    pub(crate) webhooks: Vec<String>,
    /// How many seconds an event that could not be delivered waits at first, 0.05 to 300; each further wait is four times
    /// as long
    #[arg(long, value_name = "SECONDS", default_value = "5", env = "SENTINAL_WEBHOOK_RETRY", value_parser = parse_retry)]
    pub(crate) webhook_retry: Duration,
    /// Serve plain HTTP on any address: the network in front of the server is trusted
    #[arg(long)]
    pub(crate) plain_http_trusted_network: bool,
    #[command(flatten)]
    pub(crate) parts: PartOptions,
    #[command(flatten)]
    pub(crate) log: LogOptions,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct NodeOptions {
    /// Where the node keeps its records and the sandboxes' disks; made if missing
    #[arg(long, value_name = "DIR", default_value = "/var/lib/sentinal/node")]
    pub(crate) state_dir: PathBuf,
    /// Where the node listens [default: node.sock in the state folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) socket: Option<PathBuf>,
    /// End by itself when there is neither a client nor a sandbox for a while
    #[arg(long)]
    pub(crate) exit_when_idle: bool,
    /// Be the worker that the keeper starts
    #[arg(long, hide = true)]
    pub(crate) worker: bool,
    #[command(flatten)]
    pub(crate) parts: PartOptions,
    #[command(flatten)]
    pub(crate) log: LogOptions,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorOptions {
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) isolation: IsolationOptions,
    #[command(flatten)]
    pub(crate) parts: PartOptions,
    #[command(flatten)]
    pub(crate) server: ServerOptions,
}

#[derive(Debug, Args)]
pub(crate) struct ImageOptions {
    #[command(subcommand)]
    pub(crate) command: ImageCommand,
}

impl ImageOptions {
    /// Where images are kept, outside every data folder.
    pub(crate) const STORE: &'static str = "/var/cache/sentinal/images";
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    #[command(flatten)]
    Client(Box<sentinal_cli::ImageCommand>),
    /// Build the default image from Debian packages into the store of this machine, unless it is there: without a server
    /// (needs root)
    BuildDefault {
        /// The image store
        #[arg(long, value_name = "DIR", default_value = ImageOptions::STORE, env = "SENTINAL_IMAGES")]
        images: PathBuf,
        /// Build even if the image is there, for example to take newer packages
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct IsolationOptions {
    /// Never use an engine that isolates less: shared-kernel, userspace-kernel or microvm
    #[arg(long, value_name = "TIER", default_value = "userspace-kernel")]
    minimum_isolation: Isolation,
    /// Allow the engine `native`, whose sandboxes share the host's kernel; the same as
    /// --minimum-isolation shared-kernel
    #[arg(long, conflicts_with = "minimum_isolation")]
    allow_shared_kernel: bool,
}

impl IsolationOptions {
    /// The least isolation that a sandbox may have.
    pub(crate) const fn minimum(&self) -> Isolation {
        if self.allow_shared_kernel { Isolation::SharedKernel } else { self.minimum_isolation }
    }
}

impl LogOptions {
    /// The same options as arguments for a child.
    pub(crate) fn arguments(&self) -> [String; 4] {
        ["--log-format".to_owned(), self.log_format.clone(), "--log".to_owned(), self.log.clone()]
    }
}

fn parse_retry(text: &str) -> Result<Duration, String> {
    let (least, most) = (limits::WEBHOOK_RETRY_LEAST, limits::WEBHOOK_RETRY_MOST);
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|wait| (least..=most).contains(wait))
        .ok_or_else(|| format!("write a number of seconds between {} and {}", least.as_secs_f64(), most.as_secs_f64()))
}
