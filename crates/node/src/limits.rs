//! What bounds this process, next to the limits that everybody shares in [`sentinal_model::limits`].

use std::time::Duration;

/// Most connections at once: one server, its successor during an upgrade, and people with tools.
pub(crate) const CONNECTIONS_MAX: usize = 16;
/// Most requests at once on one connection.
pub(crate) const REQUESTS_PER_CONNECTION_MAX: u32 = 512;
/// Most bytes of one request's headers.
pub(crate) const HEADERS_BYTES_MAX: u32 = 16 * 1024;
/// How often a silent connection is asked whether the other side still lives, and how long it may think.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Boots at once, for each core. More only make all of them slower.
pub(crate) const BOOTS_PER_CORE: usize = 2;
/// What a boot counts for at least, in thousandths of a core: one of a sandbox with little cpu takes its time, and
/// leaves the cores to others.
pub(crate) const BOOT_CPU_MILLI_MIN: u32 = 100;
/// What a boot counts for at most: no boot keeps more than one core busy.
pub(crate) const BOOT_CPU_MILLI_MAX: u32 = 1000;
/// Events a watcher may be behind before it is told to list again.
pub(crate) const EVENTS_BEHIND_MAX: usize = 1024;
/// How long a halted sandbox's generation is remembered, for requests that arrive late.
pub(crate) const TOMBSTONE_AGE_MAX: Duration = Duration::from_secs(3600);
/// How many halted sandboxes are remembered; the oldest goes first.
pub(crate) const TOMBSTONES_MAX: usize = 100_000;
/// How much longer than its idle timeout a sandbox may be idle before the node ends it: the server's word that it is in
/// use again may be late on a busy machine, and the server itself comes first when it is alive.
pub(crate) const IDLE_GRACE: Duration = Duration::from_secs(10);
/// How long an engine may take to let a sandbox rest, or to rouse it.
pub(crate) const REST_DEADLINE: Duration = Duration::from_secs(5);
/// How often each engine is probed.
pub(crate) const PROBE_INTERVAL: Duration = Duration::from_secs(60);
/// How long a description waits for the first probes.
pub(crate) const FIRST_PROBES_WAIT: Duration = Duration::from_secs(2);
/// How soon an engine is probed again after it failed to boot something.
pub(crate) const PROBE_INTERVAL_SUSPECT: Duration = Duration::from_secs(5);
/// How much longer than its own deadline a probe may take before it is given up from outside.
pub(crate) const PROBE_GRACE: Duration = Duration::from_secs(1);
/// How long an engine may take to list its instances when the node starts.
pub(crate) const LIST_DEADLINE: Duration = Duration::from_secs(10);
/// How long until an engine that could not list is asked again.
pub(crate) const LIST_INTERVAL: Duration = Duration::from_secs(30);
/// First wait before something that failed in the background is tried again; doubles.
pub(crate) const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Longest such wait.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// How long boots and halts under way may go on after the node was told to stop.
pub(crate) const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// Images that are received at once.
pub(crate) const IMAGES_RECEIVED_MAX: usize = 4;
/// How long the next piece of an image may be waited for.
pub(crate) const IMAGE_PIECE_DEADLINE: Duration = Duration::from_secs(30);
/// Largest `record.json`.
pub(crate) const RECORD_BYTES_MAX: u64 = 64 * 1024;
/// How many times a folder is gone through before its removal is given up: somebody keeps filling it.
pub(crate) const REMOVAL_PASSES_MAX: u32 = 1 << 17;

/// How long a node that is started again waits for the one before it to let go of the state folder.
pub(crate) const HANDOVER_DEADLINE: Duration = Duration::from_secs(5);

/// How often it looks.
pub(crate) const HANDOVER_RETRY: Duration = Duration::from_millis(50);
