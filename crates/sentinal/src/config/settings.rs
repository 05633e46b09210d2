//! Which keys there are.

use std::ops::RangeInclusive;

use clap::{Arg, Command};

use crate::{
    amount::{Bytes, Span},
    cli::bounds,
};

/// A key of the file, and the option that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Section and name.
    pub(super) key: &'static str,
    /// The option's id: its long name with underscores.
    pub(super) option: &'static str,
    pub(super) bounds: Bounds,
}

/// Between what a value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bounds {
    None,
    Number(RangeInclusive<u64>),
    Bytes(RangeInclusive<u64>),
    Span(RangeInclusive<u64>),
    Share,
}

const fn any(key: &'static str, option: &'static str) -> Setting {
    Setting { key, option, bounds: Bounds::None }
}

const fn within(key: &'static str, option: &'static str, bounds: Bounds) -> Setting {
    Setting { key, option, bounds }
}

/// The section whose tables are pools, and what each may have: the key, and what it says.
pub(super) const POOL: &str = "pool";
pub(super) const POOL_KEYS: [(&str, &str); 6] = [
    ("engine", "Which engine boots them"),
    ("size", "How many are kept ready, 1 to 256"),
    ("image", "Which image they have [default: default]"),
    ("cpu", "Cores of each, 0.05 to 64 [default: 1]"),
    ("memory", "Memory of each, \"64Mi\" to \"1Ti\" [default: \"512Mi\"]"),
    ("disk", "What each may write, \"16Mi\" to \"64Gi\" [default: \"1Gi\"]"),
];
/// The option that pools are given with.
pub(super) const POOL_OPTION: &str = "pools";

/// Every key but those of pools, in the order of the flow.
pub(crate) const SETTINGS: &[Setting] = &[
    any("server.listen", "listen"),
    any("server.data_dir", "data_dir"),
    any("server.user", "server_user"),
    any("server.plain_http_trusted_network", "plain_http_trusted_network"),
    within("gateway.json_body_max", "json_body_max", Bounds::Bytes(bounds::JSON_BODY)),
    within("gateway.upload_max", "upload_max", Bounds::Bytes(bounds::UPLOAD)),
    within("gateway.upload_files_max", "upload_files_max", Bounds::Number(bounds::UPLOAD_FILES)),
    within("gateway.output_inline_max", "output_inline_max", Bounds::Bytes(bounds::OUTPUT_INLINE)),
    any("scheduler.minimum_isolation", "minimum_isolation"),
    within("scheduler.cpu_overcommit", "cpu_overcommit", Bounds::Number(bounds::OVERCOMMIT)),
    within("scheduler.memory_overcommit", "memory_overcommit", Bounds::Number(bounds::OVERCOMMIT)),
    within("scheduler.memory_available_min", "memory_available_min", Bounds::Number(bounds::MEMORY_AVAILABLE)),
    within("scheduler.sandboxes_max", "sandboxes_max", Bounds::Number(bounds::SANDBOXES)),
    any("scheduler.quotas", "quotas"),
    within("results.output_stored_max", "output_stored_max", Bounds::Bytes(bounds::OUTPUT_STORED)),
    within("results.retention", "retention", Bounds::Span(bounds::RETENTION)),
    any("node.no_node", "no_node"),
    any("node.state_dir", "state_dir"),
    any("node.socket", "node_socket"),
    any("node.agent", "agent"),
    any("node.runsc", "runsc"),
    any("image.store", "images"),
    any("image.registries", "registries"),
    any("image.free", "images_free"),
    any("webhook.hosts", "webhooks"),
    any("webhook.retry", "webhook_retry"),
    any("log.format", "log_format"),
    any("log.filter", "log"),
    any("trace.otlp_endpoint", "otlp_endpoint"),
    within("trace.sample", "trace_sample", Bounds::Share),
];

/// Options of the server that have no key of their own, and why.
#[cfg(test)]
pub(super) const WITHOUT_KEY: [(&str, &str); 3] = [
    ("config", "names the file itself"),
    ("allow_shared_kernel", "is another way to write scheduler.minimum_isolation"),
    (POOL_OPTION, "is a section"),
];

impl Setting {
    pub(super) fn section(&self) -> &'static str {
        self.key.split_once('.').map_or("", |(section, _)| section)
    }

    pub(super) fn name(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, name)| name)
    }

    /// The option, in the first command that has it.
    pub(super) fn arg<'a>(&self, root: &'a Command) -> Option<&'a Arg> {
        find(root, self.option)
    }
}

/// The option of this id, in the first command below `root` that takes a configuration file and has it.
pub(super) fn find<'a>(root: &'a Command, id: &str) -> Option<&'a Arg> {
    let arg = |command: &'a Command, id: &str| command.get_arguments().find(|arg| arg.get_id() == id);
    let here = arg(root, "config").and_then(|_| arg(root, id));
    here.or_else(|| root.get_subcommands().find_map(|below| find(below, id)))
}

impl Bounds {
    /// The smallest and the largest, as a file would say them.
    pub(super) fn ends(&self) -> Option<(String, String)> {
        let quoted = |low: &dyn ToString, high: &dyn ToString| Some((low.to_string(), high.to_string()));
        match self {
            Self::None => None,
            Self::Number(range) => quoted(range.start(), range.end()),
            Self::Bytes(range) => quoted(&Bytes(*range.start()), &Bytes(*range.end())),
            Self::Span(range) => quoted(&Span(*range.start()), &Span(*range.end())),
            Self::Share => quoted(&0, &1),
        }
    }
}
