//! The closed sets of names, for the description of the API. What is sent and read are the vocabulary's own words;
//! the test below keeps these the same.

use utoipa::ToSchema;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
            #[expect(missing_docs, reason = "each is the word that it is sent as")]
            pub enum $name {
                $(#[schema(rename = $text)] $variant),+
            }

            impl $name {
                /// Every name of the set.
                pub const ALL: &'static [&'static str] = &[$($text),+];
            }
        )+
    };
}

names! {
    /// What runs a sandbox.
    EngineName { Firecracker = "firecracker", Kata = "kata", Gvisor = "gvisor", Native = "native" }
    /// Which engine is wanted; `auto` is the strongest that is available and has room.
    EngineChoice { Auto = "auto", Firecracker = "firecracker", Kata = "kata", Gvisor = "gvisor", Native = "native" }
    /// How strongly a sandbox is kept from the host, weakest first.
    Isolation { SharedKernel = "shared-kernel", UserspaceKernel = "userspace-kernel", Microvm = "microvm" }
    /// Where in its life a sandbox is.
    SandboxState {
        Pending = "pending",
        Running = "running",
        Paused = "paused",
        Stopping = "stopping",
        Stopped = "stopped",
        Failed = "failed",
    }
    /// How a sandbox ended: as it should (`destroyed`; `expired`: its ttl ran out; `idle`: its idle timeout did), or
    /// what failed.
    SandboxOutcome {
        Destroyed = "destroyed",
        Expired = "expired",
        Idle = "idle",
        BootFailed = "boot_failed",
        Oom = "oom",
        EngineExited = "engine_exited",
        Lost = "lost",
        HostRestarted = "host_restarted",
        AgentSilent = "agent_silent",
    }
    /// What the holder of a key is, and so what it may do.
    Role { Admin = "admin", Operator = "operator", Developer = "developer", Viewer = "viewer", Auditor = "auditor" }
    /// What a quota is of.
    QuotaName {
        Sandboxes = "sandboxes",
        Cpu = "cpu",
        Memory = "memory",
        Disk = "disk",
        Executions = "executions",
        Output = "output",
    }
    /// What usage is added up by.
    UsageBy { Hour = "hour", Day = "day", Key = "key", Engine = "engine" }
    /// What of a paused sandbox is kept, and where.
    Keep { Memory = "memory", Disk = "disk" }
    /// Whether an execution runs.
    ExecutionState { Running = "running", Finished = "finished" }
    /// What kind of file something is; `unknown` where the user may know its name and nothing else.
    FileType {
        File = "file",
        Directory = "directory",
        Symlink = "symlink",
        Fifo = "fifo",
        Socket = "socket",
        Device = "device",
        Unknown = "unknown",
    }
    /// How an execution ended.
    ExecutionOutcome { Exited = "exited", Signaled = "signaled", Timeout = "timeout", Oom = "oom", Killed = "killed" }
    /// What code is written in.
    Language { Python = "python", Javascript = "javascript", Bash = "bash" }
    /// One of the two output streams.
    StreamName { Stdout = "stdout", Stderr = "stderr" }
    /// One of the four logs.
    LogKind { Execution = "execution", Audit = "audit", Security = "security", System = "system" }
    /// What happened; `*`, alone, is all.
    EventType {
        All = "*",
        SandboxCreated = "sandbox.created",
        SandboxPaused = "sandbox.paused",
        SandboxResumed = "sandbox.resumed",
        SandboxUpdated = "sandbox.updated",
        SandboxDestroyed = "sandbox.destroyed",
        ExecutionStarted = "execution.started",
        ExecutionCompleted = "execution.completed",
        ContextCreated = "context.created",
        ContextRemoved = "context.removed",
        FileUploaded = "file.uploaded",
        ArchiveUnpacked = "archive.unpacked",
        FolderCreated = "folder.created",
        FileMoved = "file.moved",
        FileRemoved = "file.removed",
        ImageImported = "image.imported",
        ImagePulled = "image.pulled",
        ImageBuilt = "image.built",
        ImageRemoved = "image.removed",
        ImagesPruned = "images.pruned",
        KeyCreated = "key.created",
        KeyRevoked = "key.revoked",
        WebhookCreated = "webhook.created",
        WebhookUpdated = "webhook.updated",
        WebhookDisabled = "webhook.disabled",
        WebhookRemoved = "webhook.removed",
    }
    /// What became of an attempt to deliver an event.
    DeliveryResult { Delivered = "delivered", Failed = "failed", GivenUp = "given_up" }
    /// What kind of failure a problem is.
    ProblemCode {
        InvalidRequest = "invalid_request",
        Unauthenticated = "unauthenticated",
        Forbidden = "forbidden",
        NotFound = "not_found",
        MethodNotAllowed = "method_not_allowed",
        NotAcceptable = "not_acceptable",
        RequestTimeout = "request_timeout",
        Conflict = "conflict",
        TooLarge = "too_large",
        RangeNotSatisfiable = "range_not_satisfiable",
        UnsupportedMediaType = "unsupported_media_type",
        RateLimited = "rate_limited",
        QuotaExceeded = "quota_exceeded",
        Internal = "internal",
        NotSupported = "not_supported",
        NoCapacity = "no_capacity",
        Unavailable = "unavailable",
    }
}

#[cfg(test)]
mod tests {
    use sentinal_model as model;

    use super::*;

    fn check(names: &[&str], words: impl IntoIterator<Item = &'static str>) {
        assert_eq!(names, words.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn the_names_are_the_vocabularys_own() {
        check(EngineName::ALL, model::EngineName::ALL.map(model::EngineName::as_str));
        check(EngineChoice::ALL, ["auto"].into_iter().chain(model::EngineName::ALL.map(model::EngineName::as_str)));
        check(Isolation::ALL, model::Isolation::ALL.map(model::Isolation::as_str));
        check(SandboxState::ALL, model::State::ALL.map(model::State::as_str));
        let failures = model::Failure::ALL.map(|failure| model::End::Failed(failure).as_str());
        let ends = [model::End::Destroyed, model::End::Expired, model::End::Idle].map(model::End::as_str);
        assert_eq!(ends, SandboxOutcome::ALL[..3]);
        assert!(failures.iter().all(|failure| SandboxOutcome::ALL.contains(failure)), "{failures:?}");
        let events: Vec<String> = model::EventName::ALL.iter().map(|name| crate::event_type(name.as_str())).collect();
        assert_eq!(EventType::ALL[1..], events);
        check(DeliveryResult::ALL, model::DeliveryResult::ALL.map(model::DeliveryResult::as_str));
        check(FileType::ALL, model::FileKind::ALL.map(model::FileKind::as_str));
        check(QuotaName::ALL, model::QuotaName::ALL.map(model::QuotaName::as_str));
        check(UsageBy::ALL, model::UsageBy::ALL.map(model::UsageBy::as_str));
        check(Role::ALL, model::Role::ALL.map(model::Role::as_str));
        check(StreamName::ALL, model::Stream::ALL.map(model::Stream::as_str));
        assert!(
            ExecutionOutcome::ALL
                .iter()
                .all(|name| model::ExecutionOutcome::from_stored(name, Some(0), Some(0)).is_some())
        );
    }
}
