//! The routes of the API, as metrics name them.

macro_rules! routes {
    ($($(#[$doc:meta])* $name:ident = $template:literal),+ $(,)?) => {
        /// A route of the API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Route {
            $($(#[$doc])* $name,)+
            /// Whatever matches no route.
            Unknown,
        }

        impl Route {
            /// All routes that exist.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The path, with `{id}` where an id stands.
            pub const fn template(self) -> &'static str {
                match self {
                    $(Self::$name => $template,)+
                    Self::Unknown => "unknown",
                }
            }
        }
    };
}

routes!(
    /// All sandboxes.
    Sandboxes = "/api/v1/sandbox",
    /// One sandbox.
    Sandbox = "/api/v1/sandbox/{id}",
    /// What a sandbox uses.
    SandboxStats = "/api/v1/sandbox/{id}/stats",
    /// Stopping a sandbox where it is.
    SandboxPause = "/api/v1/sandbox/{id}/pause",
    /// Letting it go on.
    SandboxResume = "/api/v1/sandbox/{id}/resume",
    /// A file of a sandbox.
    Files = "/api/v1/sandbox/{id}/files",
    /// A folder as an archive.
    FileArchive = "/api/v1/sandbox/{id}/files/archive",
    /// What a file is.
    FileStat = "/api/v1/sandbox/{id}/files/stat",
    /// What is in a folder.
    FileList = "/api/v1/sandbox/{id}/files/list",
    /// What happens in a folder.
    FileWatch = "/api/v1/sandbox/{id}/files/watch",
    /// Making a folder.
    FileMkdir = "/api/v1/sandbox/{id}/files/mkdir",
    /// Giving a file another path.
    FileMove = "/api/v1/sandbox/{id}/files/move",
    /// Files into a sandbox.
    Upload = "/api/v1/upload",
    /// A file out of a sandbox.
    Download = "/api/v1/download",
    /// Programs in sandboxes.
    Execute = "/api/v1/execute",
    /// All executions.
    Executions = "/api/v1/execution",
    /// One execution.
    Execution = "/api/v1/execution/{id}",
    /// What an execution wrote.
    ExecutionOutput = "/api/v1/execution/{id}/output",
    /// A signal for an execution.
    ExecutionSignal = "/api/v1/execution/{id}/signal",
    /// More standard input for an execution.
    ExecutionStdin = "/api/v1/execution/{id}/stdin",
    /// Another size for an execution's terminal.
    ExecutionResize = "/api/v1/execution/{id}/resize",
    /// Contexts of a sandbox.
    Contexts = "/api/v1/sandbox/{id}/context",
    /// One context.
    Context = "/api/v1/sandbox/{id}/context/{context_id}",
    /// A terminal in a sandbox.
    Terminal = "/api/v1/sandbox/{id}/terminal",
    /// Bytes to and from a port of a sandbox.
    Tunnel = "/api/v1/sandbox/{id}/tunnel/{port}",
    /// A link to a port for browsers.
    Link = "/api/v1/sandbox/{id}/link",
    /// What listens on a port, without a path.
    PortItself = "/api/v1/sandbox/{id}/port/{port}",
    /// What listens on a port, its first page.
    PortRoot = "/api/v1/sandbox/{id}/port/{port}/",
    /// What listens on a port.
    Port = "/api/v1/sandbox/{id}/port/{port}/{*path}",
    /// All engines.
    Engines = "/api/v1/engine",
    /// All images.
    Images = "/api/v1/image",
    /// One image.
    Image = "/api/v1/image/{name}",
    /// An image out of an archive.
    ImageImport = "/api/v1/image/import",
    /// An image from a registry.
    ImagePull = "/api/v1/image/pull",
    /// Building one.
    ImageBuild = "/api/v1/image/build",
    /// Removing images that nobody needs.
    ImagePrune = "/api/v1/image/prune",
    /// All pulls and builds.
    ImageJobs = "/api/v1/image/job",
    /// One of them.
    ImageJob = "/api/v1/image/job/{id}",
    /// What a build said.
    ImageJobLog = "/api/v1/image/job/{id}/log",
    /// All keys.
    Keys = "/api/v1/key",
    /// The key that a caller shows.
    OwnKey = "/api/v1/key/self",
    /// One key.
    Key = "/api/v1/key/{id}",
    /// What was used.
    Usage = "/api/v1/usage",
    /// What may be used, and is now.
    Quota = "/api/v1/quota",
    /// What happened.
    Logs = "/api/v1/logs",
    /// What happened, for programs.
    Events = "/api/v1/events",
    /// All webhooks.
    Webhooks = "/api/v1/webhook",
    /// One webhook.
    Webhook = "/api/v1/webhook/{id}",
    /// A test event for a webhook.
    WebhookTest = "/api/v1/webhook/{id}/test",
    /// What became of a webhook's deliveries.
    WebhookDeliveries = "/api/v1/webhook/{id}/delivery",
    /// Whether the server can do its job.
    Health = "/health",
    /// Whether the process answers.
    Livez = "/livez",
    /// Whether requests may be sent here.
    Readyz = "/readyz",
    /// The server's figures.
    Metrics = "/metrics",
    /// The description of all this.
    Openapi = "/openapi.json",
    /// The same as a page to read.
    Docs = "/docs",
);

impl Route {
    /// The route with this path template, or [`Route::Unknown`].
    pub fn from_template(template: &str) -> Self {
        Self::ALL.iter().copied().find(|route| route.template() == template).unwrap_or(Self::Unknown)
    }
}
