//! Every bound of the agent: name, unit in the name, and why it is what it is.

use std::time::Duration;

/// Executions that may run at once.
pub(crate) const EXECUTIONS_RUNNING_MAX: usize = 256;
/// Executions held in all, running or ended and not yet forgotten.
pub(crate) const EXECUTIONS_HELD_MAX: usize = 1024;
/// Longest id of an execution.
pub(crate) const EXECUTION_ID_BYTES_MAX: usize = 128;
/// What is read from a pipe at once: the size of a pipe.
pub(crate) const READ_BYTES: usize = 64 * 1024;
/// What is still read of a stream after its program ended: a pipe holds no more unless the system's own limit
/// was raised. Whoever still writes then is not the program.
pub(crate) const DRAIN_BYTES_MAX: usize = 1 << 20;
/// How long the end of a terminal's output is waited for after its program ended.
pub(crate) const TERMINAL_DRAIN: Duration = Duration::from_millis(100);
/// Contexts open at once.
pub(crate) const CONTEXTS_MAX: usize = 16;
/// Pieces of code that wait in one context.
pub(crate) const CONTEXT_QUEUE_MAX: usize = 64;
/// How long code may go on after it was interrupted; then its context is killed.
pub(crate) const CONTEXT_MERCY: Duration = Duration::from_secs(1);
/// One result of code in a context.
pub(crate) const RESULT_BYTES_MAX: usize = 1 << 20;
/// All of them together: they come in one message.
pub(crate) const RESULTS_BYTES_MAX: usize = 2 << 20;
/// What stands before a result.
pub(crate) const RESULT_HEAD_BYTES_MAX: usize = 64;
/// What is read of a context's program at once.
pub(crate) const RESULT_READ_BYTES: usize = 16 * 1024;
/// Standard input that waits for the program, beyond what its pipe holds.
pub(crate) const STDIN_QUEUE_BYTES: usize = 256 * 1024;
/// Those who follow one execution at once.
pub(crate) const FOLLOWERS_MAX: usize = 8;
/// How long the first answer to an Execute waits for the end of the program, so that a short one is answered
/// in one write.
pub(crate) const FIRST_ANSWER_HOLD: Duration = Duration::from_millis(10);

/// File transfers at once; more wait.
pub(crate) const TRANSFERS_MAX: usize = 16;
/// Stack of a thread that transfers a file.
pub(crate) const TRANSFER_STACK_BYTES: usize = 128 * 1024;
/// How long such a thread waits for more work.
pub(crate) const TRANSFER_THREAD_IDLE: Duration = Duration::from_secs(10);
/// Messages between the connection and a transfer's thread.
pub(crate) const TRANSFER_QUEUE_MESSAGES: usize = 2;
/// How long an upload may make no progress.
pub(crate) const TRANSFER_IDLE: Duration = Duration::from_secs(60);
/// Longest path (`PATH_MAX` of Linux, without the terminating NUL).
pub(crate) const PATH_BYTES_MAX: usize = 4095;
/// Entries of a folder in one answer.
pub(crate) const LIST_ENTRIES_MAX: usize = 20_000;
/// Paths and targets in one answer about a folder.
pub(crate) const LIST_BYTES_MAX: usize = 8 << 20;
/// Folders within each other that are listed in one answer.
pub(crate) const LIST_DEPTH_MAX: usize = 32;
/// Names held while folders are walked through, all of one walk together.
pub(crate) const WALK_NAMES_BYTES_MAX: usize = 8 << 20;
/// How long a list or a removal may take; the server waits a little longer.
pub(crate) const FOLDER_WORK_MAX: Duration = Duration::from_secs(10);
/// Folders within each other that a removal holds open; what is nested deeper is moved up first.
pub(crate) const REMOVE_DEPTH_MAX: usize = 64;
/// Watches of folders at once.
pub(crate) const WATCHES_MAX: usize = 16;
/// Folders that one watch sees.
pub(crate) const WATCH_FOLDERS_MAX: usize = 4096;
/// Folders within each other that it sees.
pub(crate) const WATCH_DEPTH_MAX: usize = 128;
/// Events told in one message.
pub(crate) const WATCH_EVENTS_AT_ONCE: usize = 256;
/// Events held for a watcher who does not take them; those after them are lost, which is told.
pub(crate) const WATCH_HELD_BYTES_MAX: usize = 1 << 20;
/// How often such a watcher is tried again.
pub(crate) const WATCH_RETRY: Duration = Duration::from_millis(50);
/// How long the second half of a move may come after the first.
pub(crate) const WATCH_MOVE_WAIT: Duration = Duration::from_millis(20);
/// Connections to ports at once.
pub(crate) const CONNECTIONS_MAX: usize = 128;
/// How long a port may take to accept one.
pub(crate) const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Longest name of one part of a path (`NAME_MAX` of Linux).
pub(crate) const NAME_BYTES_MAX: usize = 255;
/// Entries of an archive.
pub(crate) const ARCHIVE_ENTRIES_MAX: u64 = 100_000;
/// The files of an archive together.
pub(crate) const ARCHIVE_BYTES_MAX: u64 = 1 << 30;
/// Folders within each other in an archive; while one is packed, each of them is open.
pub(crate) const ARCHIVE_DEPTH_MAX: usize = 128;
/// Entries of all that an image is made of.
pub(crate) const IMAGE_ENTRIES_MAX: u64 = 1_000_000;
/// Its files together.
pub(crate) const IMAGE_BYTES_MAX: u64 = 8 << 30;
/// Files with several names that are packed once; what comes after those is packed once for each name.
pub(crate) const IMAGE_LINKS_MAX: usize = 65_536;
/// How long a folder may be packed, however slowly it is taken.
pub(crate) const ARCHIVE_MAX: Duration = Duration::from_secs(3600);
/// Symbolic links followed to an upload's place, as in Linux.
pub(crate) const SYMLINKS_MAX: usize = 40;

/// Largest `/etc/passwd` and `/etc/group` that are read.
pub(crate) const ACCOUNTS_BYTES_MAX: u64 = 1 << 20;

/// How long the agent makes sure that a sandbox is idle after its idle timeout, so that server and node come first.
pub(crate) const IDLE_CONFIRMATION: Duration = Duration::from_secs(5);

/// How often the clock is looked at while an execution runs, to see whether the sandbox stood still.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);
/// So late a look is no longer a busy machine: the sandbox stood still.
pub(crate) const HEARTBEAT_LATE: Duration = Duration::from_secs(3);

/// Requests under way on a connection: all the WebSockets that a server has, should they all lead into this sandbox, and
/// as many of everything else. One more would wait for the end of another.
pub(crate) const STREAMS_MAX: u32 = 2048;
/// What the server may send ahead on one stream.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 512 * 1024;
/// What it may send ahead in all: enough for every stream, so that those which wait (input for a program that
/// does not read, an upload before its turn) never hold up the others.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = STREAMS_MAX * STREAM_WINDOW_BYTES;
/// Largest request head.
pub(crate) const HEADERS_BYTES_MAX: u32 = 16 * 1024;
/// What is queued for the server on one stream.
pub(crate) const SEND_BUFFER_BYTES: usize = 512 * 1024;
/// How long the server may take to answer the preamble.
pub(crate) const WELCOME_DEADLINE: Duration = Duration::from_secs(5);
/// Pause before dialling again: doubled each time, from the first to the last.
pub(crate) const REDIAL_PAUSE_MIN: Duration = Duration::from_millis(1);
pub(crate) const REDIAL_PAUSE_MAX: Duration = Duration::from_millis(250);
/// How long the server may say nothing before it is asked whether it is there, and then how long it may take to
/// answer. A dead connection is normally seen at once; this is for one that nobody said was dead.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);
/// A connection that lived this long was a good one: the next pause is the shortest again.
pub(crate) const GOOD_CONNECTION: Duration = Duration::from_secs(1);

/// Descriptors the agent itself may need: three pipes for each running execution, two for each ended one whose
/// background processes still write, and the rest.
pub(crate) const OPEN_FILES: u64 = 4096;
