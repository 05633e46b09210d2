//! What a sandbox uses.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the host has counted for a sandbox: all in it together, and what its engine takes for it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct SandboxStats {
    /// User and system time so far.
    #[schema(example = 812.5)]
    pub cpu_ms: f64,
    /// Memory now.
    #[schema(example = 14_680_064)]
    pub memory_bytes: u64,
    /// Most memory so far.
    #[schema(example = 31_457_280)]
    pub memory_peak_bytes: u64,
    /// How much it may take.
    #[schema(example = 536_870_912)]
    pub memory_limit_bytes: u64,
    /// Written and kept on its disk, as far as the host has it there: what was written in the last minute may be missing.
    #[schema(example = 1_048_576)]
    pub disk_bytes: u64,
    /// How much fits there.
    #[schema(example = 1_073_741_824)]
    pub disk_limit_bytes: u64,
    /// Processes and threads of the host now.
    #[schema(example = 12)]
    pub processes: u64,
    /// Programs that were ended because the sandbox's memory was full.
    #[schema(example = 0)]
    pub oom_kills: u64,
}
