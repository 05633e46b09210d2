//! Every bound that callers, guests or operators can meet: name, unit in the name, and why it is what it is.

use std::time::Duration;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Least memory of a sandbox: below it an engine's own part leaves no room for a program.
pub const MEMORY_BYTES_MIN: u64 = 64 * MIB;
/// Most memory of a sandbox, whatever the node.
pub const MEMORY_BYTES_MAX: u64 = 1024 * GIB;
/// Memory of a sandbox that names none.
pub const MEMORY_BYTES_DEFAULT: u64 = 512 * MIB;
/// Least disk of a sandbox: below it a file system has no room for itself.
pub const DISK_BYTES_MIN: u64 = 16 * MIB;
/// Most disk of a sandbox.
pub const DISK_BYTES_MAX: u64 = 64 * GIB;
/// Disk of a sandbox that names none.
pub const DISK_BYTES_DEFAULT: u64 = GIB;
/// Least cpu of a sandbox, in thousandths of a core.
pub const CPU_MILLI_MIN: u32 = 50;
/// Most cpu of a sandbox, in thousandths of a core.
pub const CPU_MILLI_MAX: u32 = 64_000;
/// Cpu of a sandbox that names none, in thousandths of a core.
pub const CPU_MILLI_DEFAULT: u32 = 1000;

/// How long a sandbox lives that names no ttl.
pub const TTL_DEFAULT: Duration = Duration::from_secs(300);
/// Shortest ttl: less is over before the engine is up.
pub const TTL_MIN: Duration = Duration::from_secs(1);
/// Longest ttl.
pub const TTL_MAX: Duration = Duration::from_secs(24 * 3600);
/// Shortest idle timeout: less is over between two calls of one caller.
pub const IDLE_TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// Longest idle timeout; a sandbox's own end comes first.
pub const IDLE_TIMEOUT_MAX: Duration = TTL_MAX;
/// How long an execution may run that names no timeout.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// Longest execution timeout; a sandbox's own end comes first.
pub const TIMEOUT_MAX: Duration = TTL_MAX;
/// How long a create, or an execute on a pending sandbox, waits for `running` unless told.
pub const WAIT_DEFAULT: Duration = Duration::from_secs(30);
/// Longest such wait.
pub const WAIT_MAX: Duration = Duration::from_secs(120);
/// How long the records and output of finished sandboxes and executions stay readable.
pub const RETENTION: Duration = Duration::from_secs(24 * 3600);
/// How long it is kept what was used in each hour.
pub const USAGE_RETENTION: Duration = Duration::from_secs(400 * 24 * 3600);
/// How often what sandboxes use is added up.
pub const USAGE_EVERY: Duration = Duration::from_secs(60);
/// How much later than a ttl or an idle timeout `node` acts by itself, so that the controller comes first when it
/// is alive.
pub const NODE_TTL_GRACE: Duration = Duration::from_secs(2);
/// How much later than a ttl or an idle timeout the agent ends the sandbox when neither controller nor node did.
pub const AGENT_TTL_GRACE: Duration = Duration::from_secs(4);

/// Largest JSON body.
pub const JSON_BODY_BYTES_MAX: u64 = MIB;
/// Deepest nesting of a JSON body.
pub const JSON_DEPTH_MAX: usize = 64;
/// Largest upload, all files of it together.
pub const UPLOAD_BYTES_MAX: u64 = 100 * MIB;
/// Most files in one upload.
pub const UPLOAD_FILES_MAX: usize = 1000;
/// Largest request head (request line and headers).
pub const HEADER_BYTES_MAX: usize = 32 * 1024;
/// Most open client connections.
pub const CONNECTIONS_MAX: usize = 4096;
/// How long a client may take to send its request head.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a body may make no progress.
pub const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may leave a response unread before it is dropped.
pub const RESPONSE_STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Most rows of one page of a list.
pub const PAGE_ROWS_MAX: u32 = 1000;
/// Rows of a page of a list unless told.
pub const PAGE_ROWS_DEFAULT: u32 = 100;

/// Longest path of a file in a sandbox (`PATH_MAX` of Linux, with the terminating NUL).
pub const GUEST_PATH_BYTES_MAX: usize = 4095;
/// Longest name of one part of a path (`NAME_MAX` of Linux).
pub const GUEST_NAME_BYTES_MAX: usize = 255;
/// Entries of a folder in one answer.
pub const LIST_ENTRIES_MAX: u32 = 20_000;
/// Paths and targets that an agent may send for one list of a folder: what it holds itself to, and some.
pub const LIST_BYTES_MAX: usize = 9 << 20;
/// Folders within each other in one list.
pub const LIST_DEPTH_MAX: u32 = 32;
/// Largest archive that is unpacked.
pub const ARCHIVE_BYTES_MAX: u64 = GIB;
/// What an agent may send for one archive: the most that it packs, with all that describes it.
pub const ARCHIVE_STREAM_BYTES_MAX: u64 = 3 * GIB;
/// Most labels of a sandbox.
pub const LABELS_MAX: usize = 64;
/// Longest key of a label.
pub const LABEL_KEY_BYTES_MAX: usize = 63;
/// Longest value of a label.
pub const LABEL_VALUE_BYTES_MAX: usize = 256;

/// Most arguments of an execution.
pub const ARGUMENTS_MAX: usize = 4096;
/// Longest single argument or environment entry (`MAX_ARG_STRLEN` of Linux is 128 KiB with its NUL).
pub const ARGUMENT_BYTES_MAX: usize = 128 * 1024 - 1;
/// All arguments and environment entries of an execution together.
pub const ARGUMENTS_TOTAL_BYTES_MAX: usize = 1 << 20;
/// Most environment variables of an execution.
pub const ENVIRONMENT_MAX: usize = 1024;
/// Standard input given with an execute.
pub const STDIN_BYTES_MAX: usize = 1 << 20;
/// Executions that may run at once in one sandbox.
pub const EXECUTIONS_RUNNING_MAX: usize = 256;
/// Contexts open at once in one sandbox.
pub const CONTEXTS_MAX: usize = 16;
/// Clients attached to one terminal.
pub const TERMINAL_CLIENTS_MAX: usize = 16;
/// How long a terminal that everybody has left goes on before it is hung up.
pub const TERMINAL_DETACHED_MAX: Duration = Duration::from_secs(600);
/// How long its program has to end after the hang-up before it is killed.
pub const TERMINAL_HANG_UP_GRACE: Duration = Duration::from_secs(5);
/// WebSockets open at once: terminals and connections to ports.
pub const WEBSOCKETS_MAX: usize = 1024;
/// Largest message taken from a WebSocket.
pub const WEBSOCKET_MESSAGE_BYTES_MAX: usize = 1 << 20;
/// How long what listens on a port may take to begin an answer.
pub const PORT_ANSWER_DEADLINE: Duration = Duration::from_secs(300);
/// Links to ports that are open at once.
pub const LINKS_MAX: usize = 4096;
/// How long a link lasts unless told.
pub const LINK_TTL_DEFAULT: Duration = Duration::from_secs(3600);
/// How often a client of a WebSocket is asked whether it is there.
pub const WEBSOCKET_PING_EVERY: Duration = Duration::from_secs(15);
/// How long such a client may say nothing at all.
pub const WEBSOCKET_SILENCE_MAX: Duration = Duration::from_secs(45);
/// Executions one agent holds, ended ones that the server has not fetched included.
pub const EXECUTIONS_HELD_MAX: usize = 1024;
/// Output of one stream that a JSON answer carries.
pub const OUTPUT_INLINE_BYTES_MAX: u64 = MIB;
/// Output of one stream that is stored; what comes after is read and dropped.
pub const OUTPUT_STORED_BYTES_MAX: u64 = 64 * MIB;
/// Output of one stream kept in its row; more goes to a file.
pub const OUTPUT_ROW_BYTES_MAX: usize = 16 * 1024;
/// Processes in a sandbox (`RLIMIT_NPROC` inside).
pub const PROCESSES_MAX: u32 = 512;
/// Open files of a process in a sandbox (`RLIMIT_NOFILE` inside).
pub const OPEN_FILES_MAX: u64 = 4096;

/// How many times a node's cores may be promised to sandboxes, unless the operator says otherwise.
pub const CPU_OVERCOMMIT: u64 = 16;
/// How many times a node's memory may be promised to sandboxes, unless the operator says otherwise.
pub const MEMORY_OVERCOMMIT: u64 = 4;
/// Percent of a node's memory that must be available for placing one more sandbox.
pub const MEMORY_AVAILABLE_PERCENT_MIN: u64 = 10;
/// Percent of time in which some task of the host may wait for memory (PSI, average of 10 s) when one more sandbox is
/// placed.
pub const MEMORY_PRESSURE_SOME_PERCENT_MAX: u32 = 40;
/// The same for time in which all tasks wait at once.
pub const MEMORY_PRESSURE_FULL_PERCENT_MAX: u32 = 10;
/// Percent of a node's disk that must stay free when one more sandbox is placed.
pub const DISK_AVAILABLE_PERCENT_MIN: u64 = 3;
/// Sandboxes of one node, whatever their size; the operator may say fewer.
pub const SANDBOXES_PER_NODE_MAX: usize = 2000;

/// Executions of a tenant that may run at once, unless the operator says otherwise.
pub const EXECUTIONS_QUOTA: u64 = 10_000;
/// Output of a tenant that may be stored at once, unless the operator says otherwise.
pub const OUTPUT_QUOTA_BYTES: u64 = 64 * GIB;
/// Keys of a tenant that can be used at the same time.
pub const KEYS_MAX: usize = 1000;
/// Longest name of a key.
pub const KEY_NAME_BYTES_MAX: usize = 128;
/// Longest time that can be asked for until a key expires.
pub const KEY_TTL_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 3600);
/// How often it is written down which keys were used.
pub const KEY_USE_EVERY: Duration = Duration::from_secs(60);

/// Length of an idempotency key.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// How long it may take until it is known what a request with an idempotency key has made, and how long another one with
/// its key waits for that: longer than for a pending sandbox.
pub const IDEMPOTENCY_WAIT_MAX: Duration = WAIT_MAX.saturating_add(Duration::from_secs(30));

/// Most pools of one server.
pub const POOLS_MAX: usize = 16;
/// Most sandboxes that one pool keeps ready.
pub const POOL_SIZE_MAX: usize = 256;
/// How long a pooled sandbox lives that nobody claims: its ttl, enforced like any other.
pub const POOL_TTL: Duration = Duration::from_secs(2 * 3600);
/// At which age a pooled sandbox is replaced by a fresh one.
pub const POOL_AGE_MAX: Duration = Duration::from_secs(3600);
/// What a pooled sandbox must have left of its ttl to be claimed: until its node and its agent know of another
/// end, that is the end they keep to.
pub const POOL_TTL_LEFT_MIN: Duration = Duration::from_secs(300);
/// How often the agent of a pooled sandbox is asked whether it answers.
pub const POOL_ASK_EVERY: Duration = Duration::from_secs(20);
/// How long ago the agent of a pooled sandbox must have answered to be claimed without being asked first.
pub const POOL_ANSWER_AGE_MAX: Duration = Duration::from_secs(45);

/// How long a boot may wait for its turn: a host boots a few at once.
pub const BOOT_TURN_DEADLINE: Duration = Duration::from_secs(120);
/// How long a boot may take, once it is its turn, before it is given up.
pub const BOOT_DEADLINE: Duration = Duration::from_secs(30);
/// How long a halt may take before it is reported as stuck and tried again.
pub const HALT_DEADLINE: Duration = Duration::from_secs(30);
/// How long the pause or the resume of an instance may take.
pub const PAUSE_DEADLINE: Duration = Duration::from_secs(15);
/// How long the probe of an engine may take.
pub const PROBE_DEADLINE: Duration = Duration::from_secs(20);
/// How long after a boot the agent may take to dial.
pub const AGENT_DIAL_DEADLINE: Duration = Duration::from_secs(20);
/// How long a request to a connected agent may go unanswered.
pub const AGENT_ANSWER_DEADLINE: Duration = Duration::from_secs(15);
/// The same where it goes through folders. It gives up by itself after a third of this; the rest is for a machine that is
/// busy with other things.
pub const AGENT_FOLDER_DEADLINE: Duration = Duration::from_secs(30);

/// Largest archive of an image that is taken.
pub const IMAGE_ARCHIVE_BYTES_MAX: u64 = 8 << 30;
/// Images that are pulled or built at once.
pub const IMAGE_JOBS_RUNNING_MAX: usize = 4;
/// Archives of images that are imported at once.
pub const IMAGE_IMPORTS_MAX: usize = 2;
/// Pulls and builds that are remembered, those that have ended included.
pub const IMAGE_JOBS_KEPT_MAX: usize = 200;
/// How long a pull may take.
pub const IMAGE_PULL_DEADLINE: Duration = Duration::from_secs(2 * 3600);
/// How long a build may take, from its sandbox's boot to its image.
pub const IMAGE_BUILD_DEADLINE: Duration = Duration::from_secs(3600);
/// Memory of a build's sandbox that names none.
pub const IMAGE_BUILD_MEMORY_BYTES: u64 = GIB;
/// What a build may write that names nothing.
pub const IMAGE_BUILD_DISK_BYTES: u64 = 2 * GIB;
/// The end of a build's log that is kept.
pub const IMAGE_BUILD_LOG_BYTES_MAX: usize = 256 * 1024;

/// Webhooks of one tenant.
pub const WEBHOOKS_MAX: usize = 50;
/// Length of a webhook's address.
pub const WEBHOOK_URL_BYTES_MAX: usize = 2048;
/// Length of what a webhook is said to be for.
pub const WEBHOOK_DESCRIPTION_BYTES_MAX: usize = 256;
/// How long one attempt to deliver an event may take, from looking up the name to the answer's status.
pub const WEBHOOK_DEADLINE: Duration = Duration::from_secs(10);
/// Attempts that are under way at once: more than one tenant has webhooks, each of which has one attempt at a time.
pub const WEBHOOK_ATTEMPTS_MAX: usize = 64;
/// How often an event is sent before it is given up: with the waits between, about 18 hours.
pub const WEBHOOK_TRIES_MAX: u32 = 10;
/// The wait before the second attempt, unless the operator says otherwise; each further one is four times as long.
pub const WEBHOOK_RETRY_DEFAULT: Duration = Duration::from_secs(5);
/// The least that the operator may say.
pub const WEBHOOK_RETRY_LEAST: Duration = Duration::from_millis(50);
/// The most that the operator may say.
pub const WEBHOOK_RETRY_MOST: Duration = Duration::from_secs(300);
/// The longest wait between two attempts, also where a receiver asks for more.
pub const WEBHOOK_WAIT_MAX: Duration = Duration::from_secs(6 * 3600);
/// How long a webhook may take nothing at all before it is disabled.
pub const WEBHOOK_FAILING_MAX: Duration = Duration::from_secs(24 * 3600);
/// Attempts of a webhook that are remembered.
pub const WEBHOOK_DELIVERIES_KEPT_MAX: u32 = 100;
