//! Files that were put into a sandbox.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an upload left in a sandbox.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Upload {
    /// In the order they were sent.
    pub files: Vec<UploadedFile>,
}

/// One file in a sandbox.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UploadedFile {
    /// Where it is.
    #[schema(example = "/home/user/main.py")]
    pub path: String,
    /// Its bytes.
    #[schema(example = 123)]
    pub size: u64,
}
