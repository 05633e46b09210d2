//! What can happen, and which of it somebody wants to hear of.

use std::{collections::BTreeSet, fmt};

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// What happened, by name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventName {
            $($(#[$doc])* $name),+
        }

        impl EventName {
            /// Everything that can happen.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name as logs have it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text),+
                }
            }

            /// What [`EventName::as_str`] has made a text of.
            pub fn from_stored(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|name| name.as_str() == text)
            }
        }
    };
}

events!(
    /// A sandbox was acknowledged.
    SandboxCreated = "Sandbox Created",
    /// Everything in a sandbox is to stop.
    SandboxPaused = "Sandbox Paused",
    /// A paused sandbox is to go on.
    SandboxResumed = "Sandbox Resumed",
    /// A sandbox is to live longer or shorter, or has other labels.
    SandboxUpdated = "Sandbox Updated",
    /// A sandbox is to end.
    SandboxDestroyed = "Sandbox Destroyed",
    /// An execution was acknowledged.
    ExecutionStarted = "Execution Started",
    /// An execution has ended.
    ExecutionCompleted = "Execution Completed",
    /// A sandbox has a context.
    ContextCreated = "Context Created",
    /// A context is to end.
    ContextRemoved = "Context Removed",
    /// A file is in a sandbox.
    FileUploaded = "File Uploaded",
    /// What was in an archive is in a sandbox.
    ArchiveUnpacked = "Archive Unpacked",
    /// A folder is in a sandbox.
    FolderCreated = "Folder Created",
    /// A file of a sandbox has another path.
    FileMoved = "File Moved",
    /// A file of a sandbox is no more.
    FileRemoved = "File Removed",
    /// An image was brought in from an archive.
    ImageImported = "Image Imported",
    /// An image was brought in from a registry.
    ImagePulled = "Image Pulled",
    /// An image was made by a Containerfile.
    ImageBuilt = "Image Built",
    /// A name stands for no image any more.
    ImageRemoved = "Image Removed",
    /// Images are gone that nobody named or used.
    ImagesPruned = "Images Pruned",
    /// A key was made.
    KeyCreated = "Key Created",
    /// A key is not taken any more.
    KeyRevoked = "Key Revoked",
    /// Events are to be delivered.
    WebhookCreated = "Webhook Created",
    /// Other events, or to another address, or none for a while.
    WebhookUpdated = "Webhook Updated",
    /// A webhook has taken nothing for too long, or said that it is gone.
    WebhookDisabled = "Webhook Disabled",
    /// No events are to be delivered any more.
    WebhookRemoved = "Webhook Removed",
);

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which events somebody wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum EventFilter {
    /// All, also those that later versions tell of.
    #[default]
    All,
    /// These; at least one.
    Named(BTreeSet<EventName>),
}

impl EventFilter {
    /// Whether an event with this name is wanted.
    pub fn takes(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => EventName::from_stored(name).is_some_and(|name| names.contains(&name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_from_what_was_stored() {
        for name in EventName::ALL {
            assert_eq!(EventName::from_stored(name.as_str()), Some(*name));
        }
        assert_eq!(EventName::from_stored("sandbox created"), None);
    }

    #[test]
    fn a_filter_takes_what_it_names_and_all_takes_what_nobody_knows() {
        let named = EventFilter::Named([EventName::SandboxCreated].into());
        assert!(named.takes("Sandbox Created") && !named.takes("Sandbox Paused") && !named.takes("Moon Landed"));
        assert!(EventFilter::All.takes("Moon Landed"));
    }
}
