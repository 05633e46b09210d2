//! The command line, with every default in one place.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand};
use sentinal_cli::ServerOptions;
use sentinal_model::{FreeSpace, Isolation, Pool, QuotaChoice, limits};
use sentinal_telemetry::{LogFormat, LoggingError};

use crate::amount::{self, Bytes, Span};

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
    /// Look after the configuration file
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print what completes commands in a shell
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Where its configuration file is; `None` for a command that reads none.
    pub(crate) const fn config(&self) -> Option<&ConfigOption> {
        let option = match self {
            Self::Serve(options) => &options.config,
            Self::Node(options) => &options.config,
            Self::Doctor(options) => &options.config,
            Self::Image(ImageOptions { command: ImageCommand::BuildDefault { config, .. } }) => config,
            Self::Image(ImageOptions { command: ImageCommand::Client(_) })
            | Self::Client(_)
            | Self::Config(_)
            | Self::Completion { .. } => return None,
        };
        Some(option)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Tell whether a server would start with a file, and everything that is wrong with it
    Check {
        /// The file
        #[arg(env = "SENTINAL_CONFIG", default_value = crate::config::DEFAULT_PLACE)]
        file: PathBuf,
    },
    /// Show every setting of the server as a file, and where its value comes from
    Show {
        /// The file [default: /etc/sentinal/sentinal.toml, if it is there]
        #[arg(env = "SENTINAL_CONFIG")]
        file: Option<PathBuf>,
    },
    /// Print a file with every key, its default and what it does
    Example,
}

/// Where the configuration file is.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigOption {
    /// The configuration file: docs/configuration.md has its keys [default: /etc/sentinal/sentinal.toml, if it is there]
    #[arg(long, value_name = "FILE", env = "SENTINAL_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// Between what the settings must be.
pub(crate) mod bounds {
    use std::ops::RangeInclusive;

    use sentinal_model::limits;

    /// From one small answer to what the parser should ever hold.
    pub(crate) const JSON_BODY: RangeInclusive<u64> = 64 << 10..=64 << 20;
    pub(crate) const UPLOAD: RangeInclusive<u64> = 1 << 20..=limits::DISK_BYTES_MAX;
    pub(crate) const UPLOAD_FILES: RangeInclusive<u64> = 1..=100_000;
    pub(crate) const OUTPUT_INLINE: RangeInclusive<u64> = 1 << 10..=64 << 20;
    pub(crate) const OUTPUT_STORED: RangeInclusive<u64> = 64 << 10..=16 << 30;
    /// Seconds: from a minute to a year.
    pub(crate) const RETENTION: RangeInclusive<u64> = 60..=366 * 24 * 3600;
    pub(crate) const OVERCOMMIT: RangeInclusive<u64> = 1..=1000;
    /// Percent.
    pub(crate) const MEMORY_AVAILABLE: RangeInclusive<u64> = 1..=90;
    pub(crate) const SANDBOXES: RangeInclusive<u64> = 1..=2000;
    const _: () = assert!(limits::SANDBOXES_PER_NODE_MAX == 2000, "as many as a node can have");
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

/// What says whether there is room for one more sandbox: the disk that this folder is on, and the memory.
#[derive(Debug, Clone, Args)]
pub(crate) struct RoomOptions {
    /// Where the server keeps its data; made if missing
    #[arg(long, value_name = "DIR", default_value = "/var/lib/sentinal", env = "SENTINAL_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// Percent of a node's memory that must be available for one more sandbox
    #[arg(long, value_name = "PERCENT", default_value_t = limits::MEMORY_AVAILABLE_PERCENT_MIN, value_parser = amount::number(bounds::MEMORY_AVAILABLE))]
    pub(crate) memory_available_min: u64,
}

impl RoomOptions {
    /// Where the node of a server works.
    pub(crate) fn node_folder(&self) -> PathBuf {
        self.data_dir.join("node")
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ServeOptions {
    #[command(flatten)]
    pub(crate) config: ConfigOption,
    /// Where to listen; other addresses than loopback need --plain-http-trusted-network
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", env = "SENTINAL_LISTEN")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) room: RoomOptions,
    /// Where the node listens [default: node/node.sock in the data folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) node_socket: Option<PathBuf>,
    /// Do not start a node where none runs
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    pub(crate) no_node: bool,
    #[command(flatten)]
    pub(crate) isolation: IsolationOptions,
    /// How many times a node's cores may be promised to sandboxes
    #[arg(long, value_name = "TIMES", default_value_t = limits::CPU_OVERCOMMIT, value_parser = amount::number(bounds::OVERCOMMIT))]
    pub(crate) cpu_overcommit: u64,
    /// How many times a node's memory may be promised to sandboxes
    #[arg(long, value_name = "TIMES", default_value_t = limits::MEMORY_OVERCOMMIT, value_parser = amount::number(bounds::OVERCOMMIT))]
    pub(crate) memory_overcommit: u64,
    /// How many sandboxes a node may have
    #[arg(long, value_name = "COUNT", default_value = "2000", value_parser = amount::number(bounds::SANDBOXES))]
    pub(crate) sandboxes_max: u64,
    #[command(flatten)]
    pub(crate) limits: LimitOptions,
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
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    pub(crate) plain_http_trusted_network: bool,
    #[command(flatten)]
    pub(crate) parts: PartOptions,
    #[command(flatten)]
    pub(crate) log: LogOptions,
    #[command(flatten)]
    pub(crate) trace: TraceOptions,
}

/// How much callers may send, and what is kept of their programs' output.
#[derive(Debug, Clone, Args)]
pub(crate) struct LimitOptions {
    /// Largest JSON body of a request
    #[arg(long, value_name = "BYTES", default_value = "1Mi", value_parser = amount::bytes(bounds::JSON_BODY))]
    pub(crate) json_body_max: Bytes,
    /// Largest upload, all its files together
    #[arg(long, value_name = "BYTES", default_value = "100Mi", value_parser = amount::bytes(bounds::UPLOAD))]
    pub(crate) upload_max: Bytes,
    /// Most files in one upload
    #[arg(long, value_name = "COUNT", default_value = "1000", value_parser = amount::number(bounds::UPLOAD_FILES))]
    pub(crate) upload_files_max: u64,
    /// Output of one stream that a JSON answer carries
    #[arg(long, value_name = "BYTES", default_value = "1Mi", value_parser = amount::bytes(bounds::OUTPUT_INLINE))]
    pub(crate) output_inline_max: Bytes,
    /// Output of one stream that is kept; what comes after is counted and dropped
    #[arg(long, value_name = "BYTES", default_value = "64Mi", value_parser = amount::bytes(bounds::OUTPUT_STORED))]
    pub(crate) output_stored_max: Bytes,
    /// How long what has ended stays readable: sandboxes, executions, their output, events
    #[arg(long, value_name = "SPAN", default_value_t = Span::of(limits::RETENTION), value_parser = amount::span(bounds::RETENTION))]
    pub(crate) retention: Span,
}

/// Where spans go.
#[derive(Debug, Clone, Args)]
pub(crate) struct TraceOptions {
    /// Send spans of every step to this OTLP collector over gRPC, for example `http://127.0.0.1:4317`; off unless given
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub(crate) otlp_endpoint: Option<String>,
    /// Which share of the requests is traced, 0 to 1, of those whose caller has not decided
    #[arg(long, value_name = "SHARE", default_value = "1", value_parser = amount::share)]
    pub(crate) trace_sample: f64,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct NodeOptions {
    #[command(flatten)]
    pub(crate) config: ConfigOption,
    /// Where the node keeps its records and the sandboxes' disks; made if missing
    #[arg(long, value_name = "DIR", default_value = "/var/lib/sentinal/node")]
    pub(crate) state_dir: PathBuf,
    /// Where the node listens [default: node.sock in the state folder]
    #[arg(long = "socket", id = "node_socket", value_name = "FILE")]
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
    #[command(flatten)]
    pub(crate) config: ConfigOption,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) isolation: IsolationOptions,
    #[command(flatten)]
    pub(crate) room: RoomOptions,
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
        #[command(flatten)]
        config: ConfigOption,
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

impl TraceOptions {
    /// Where spans go, if anywhere.
    pub(crate) fn collector(&self) -> Option<sentinal_telemetry::TraceOptions> {
        let endpoint = self.otlp_endpoint.clone().filter(|endpoint| !endpoint.is_empty())?;
        Some(sentinal_telemetry::TraceOptions { endpoint, sample: self.trace_sample })
    }
}

impl IsolationOptions {
    /// The least isolation that a sandbox may have.
    pub(crate) const fn minimum(&self) -> Isolation {
        if self.allow_shared_kernel { Isolation::SharedKernel } else { self.minimum_isolation }
    }
}

impl LogOptions {
    /// What lines look like.
    pub(crate) fn format(&self) -> Result<LogFormat, LoggingError> {
        self.log_format.parse()
    }

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
