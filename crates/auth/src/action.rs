//! What can be done, as types: a permit for one is no permit for another.

/// An action as a value, for tables and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is named like its type below, which says what it is")]
pub enum ActionName {
    CreateSandbox,
    ReadSandbox,
    DestroySandbox,
    UpdateSandbox,
    PauseSandbox,
    ResumeSandbox,
    Execute,
    ReadExecution,
    ControlExecution,
    ConnectPort,
    WriteFile,
    ReadFile,
    ReadLogs,
    ReadMetrics,
    ReadEngine,
    ReadImage,
    ImportImage,
    RemoveImage,
    CreateKey,
    CreateWebhook,
    ReadKey,
    ReadQuota,
    ReadSelf,
    ReadUsage,
    ReadWebhook,
    RemoveWebhook,
    RevokeKey,
    TestWebhook,
    UpdateWebhook,
}

/// An action as a type.
pub trait Action: Send + Sync + 'static {
    /// The same as a value.
    const NAME: ActionName;
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl Action for $name {
                const NAME: ActionName = ActionName::$name;
            }
        )+

        impl ActionName {
            /// All actions.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The action as logs name it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name)),+
                }
            }
        }
    };
}

actions!(
    /// Asking for a sandbox.
    CreateSandbox,
    /// Looking at sandboxes.
    ReadSandbox,
    /// Ending a sandbox.
    DestroySandbox,
    /// Changing a sandbox's ttl or labels.
    UpdateSandbox,
    /// Stopping everything in a sandbox where it is.
    PauseSandbox,
    /// Letting a paused sandbox go on.
    ResumeSandbox,
    /// Running a program in a sandbox.
    Execute,
    /// Looking at executions and their output.
    ReadExecution,
    /// Sending signals and standard input to a running program.
    ControlExecution,
    /// Talking to what listens on a port of a sandbox.
    ConnectPort,
    /// Putting files into a sandbox.
    WriteFile,
    /// Getting files out of a sandbox.
    ReadFile,
    /// Reading what happened.
    ReadLogs,
    /// Reading the server's figures.
    ReadMetrics,
    /// Looking at engines.
    ReadEngine,
    /// Looking at images and at pulls.
    ReadImage,
    /// Bringing an image in, from an archive or a registry.
    ImportImage,
    /// Removing images.
    RemoveImage,
    /// Looking at keys, without their secrets.
    ReadKey,
    /// Making a key.
    CreateKey,
    /// Ending a key.
    RevokeKey,
    /// Asking who one is.
    ReadSelf,
    /// Looking at what was used.
    ReadUsage,
    /// Looking at what may be used, and is now.
    ReadQuota,
    /// Having events delivered to an address.
    CreateWebhook,
    /// Looking at webhooks and their deliveries.
    ReadWebhook,
    /// Changing a webhook's address, events, or whether it is enabled.
    UpdateWebhook,
    /// Having a test event delivered.
    TestWebhook,
    /// Removing webhooks.
    RemoveWebhook,
);
