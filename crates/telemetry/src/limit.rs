//! The limits that can be reached, as metrics name them.

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// A limit that can be reached. Its numbers are in `sentinal_model::limits`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Limit {
            $($(#[$doc])* $name),+
        }

        impl Limit {
            /// All limits.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The limit as metrics name it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text),+
                }
            }
        }
    };
}

limits!(
    /// A JSON body was too large.
    JsonBody = "json_body",
    /// An upload was too large.
    UploadBytes = "upload_bytes",
    /// An upload had too many files.
    UploadFiles = "upload_files",
    /// A request head was too large.
    RequestHead = "request_head",
    /// A client was too slow to send its request head.
    HeaderRead = "header_read",
    /// A body made no progress.
    BodyIdle = "body_idle",
    /// A client left a response unread.
    ResponseStall = "response_stall",
    /// Another connection was not taken.
    Connections = "connections",
    /// Another WebSocket, or what became of an upgrade, was not taken.
    WebSockets = "websockets",
    /// Standard input given with an execute was too large.
    Stdin = "stdin",
    /// Arguments and environment of an execute were too large or too many.
    Arguments = "arguments",
    /// Output did not fit into a JSON answer.
    OutputInline = "output_inline",
    /// Output was dropped, since no more of it is stored.
    OutputStored = "output_stored",
    /// Too many executions at once in one sandbox.
    ExecutionsRunning = "executions_running",
    /// A tenant has as much as a quota allows, or as many of something as there may be.
    Quota = "quota",
    /// A node has its most sandboxes.
    SandboxesPerNode = "sandboxes_per_node",
    /// A node has no cpu, memory or disk left to promise.
    NodeRoom = "node_room",
    /// A boot took too long.
    BootDeadline = "boot_deadline",
    /// A halt took too long.
    HaltDeadline = "halt_deadline",
    /// An agent did not dial in time.
    AgentDial = "agent_dial",
    /// An agent did not answer in time.
    AgentAnswer = "agent_answer",
    /// A follower fell behind and was dropped.
    Follower = "follower",
    /// The store's queue was full.
    StoreQueue = "store_queue",
);
