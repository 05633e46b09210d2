//! Randomness as an argument: the controller asks an [`Entropy`], so that a simulation can be repeated.

use aws_lc_rs::rand;
use sentinal_model::{Code, ContextId, Error, ExecutionId, ImageJobId, Result, SandboxId, WebhookId};

/// Where ids and secrets come from.
pub trait Entropy: Send + Sync + std::fmt::Debug {
    /// An id that no sandbox has had. Ids sort by time of creation.
    fn sandbox(&self) -> SandboxId;

    /// An id that no execution has had. Ids sort by time of creation.
    fn execution(&self) -> ExecutionId;

    /// An id that no context has had. Ids sort by time of creation.
    fn context(&self) -> ContextId;

    /// An id that no pull of an image has had. Ids sort by time of creation.
    fn image_job(&self) -> ImageJobId {
        ImageJobId::generate()
    }

    /// An id that no webhook has had. Ids sort by time of creation.
    fn webhook(&self) -> WebhookId {
        WebhookId::generate()
    }

    /// What an agent proves itself with, or deliveries are signed with. Nobody can guess it.
    fn token(&self) -> Result<[u8; 32]>;
}

/// The machine's own randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn sandbox(&self) -> SandboxId {
        SandboxId::generate()
    }

    fn execution(&self) -> ExecutionId {
        ExecutionId::generate()
    }

    fn context(&self) -> ContextId {
        ContextId::generate()
    }

    fn token(&self) -> Result<[u8; 32]> {
        let mut token = [0; 32];
        rand::fill(&mut token).map_err(|_| Error::new(Code::Internal, "the machine has no random numbers"))?;
        Ok(token)
    }
}
