//! What became of standard input that was sent.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far a program's standard input has come.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct StdinGiven {
    /// How many bytes the program has been given in all, those that came with its start included.
    #[schema(example = 6)]
    pub offset: u64,
}
