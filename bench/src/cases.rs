//! What is measured, a file per question.

pub(crate) mod cold;
pub(crate) mod contexts;
pub(crate) mod crowd;
pub(crate) mod execute;
pub(crate) mod files;
pub(crate) mod interactive;
pub(crate) mod memory;
pub(crate) mod requests;
pub(crate) mod warm;
