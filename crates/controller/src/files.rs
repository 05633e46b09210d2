//! Files into and out of a sandbox.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use sentinal_agent_client::Agent;
use sentinal_auth::{Permit, ReadFile, WriteFile};
use sentinal_model::{Code, Error, GuestPath, Result, SandboxId, TenantId, limits};
use sentinal_store::Write;
use tokio::time::timeout;

use crate::{
    activity::Use,
    api::{Controller, FileBody},
    events, lease,
    sandboxes::{not_running, running, unknown},
};

impl Controller {
    /// Writes one file into a sandbox as its ordinary user; answers its size. A body that ends with an error leaves
    /// nothing behind.
    pub async fn upload(
        &self,
        permit: &Permit<WriteFile>,
        id: SandboxId,
        path: &GuestPath,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<u64> {
        let (agent, _used) = self.agent(permit.tenant(), id).await?;
        let size = agent.write_file(path, body).await.map_err(Error::from)?;
        let event = events::file_uploaded(permit.tenant(), id, self.context.now(), (path, size));
        self.context.write(vec![Write::Event(event)]).await?;
        Ok(size)
    }

    /// Opens a file of a sandbox as its ordinary user.
    pub async fn download(&self, permit: &Permit<ReadFile>, id: SandboxId, path: &GuestPath) -> Result<FileBody> {
        let (agent, used) = self.agent(permit.tenant(), id).await?;
        let reading = agent.read_file(path).await.map_err(Error::from)?;
        let size = reading.size;
        let bytes = reading.bytes().map_err(Error::from);
        // In use as long as somebody reads.
        Ok(FileBody { size, bytes: bytes.inspect(move |_| _ = &used).boxed() })
    }

    /// The agent of a sandbox, as soon as the sandbox runs, for one use.
    pub(crate) async fn agent(&self, tenant: &TenantId, id: SandboxId) -> Result<(Agent, Use)> {
        let entry = self.entry(tenant, id).await?;
        let record = running(&entry, limits::WAIT_DEFAULT).await?;
        if let Some(error) = not_running(&record) {
            return Err(error);
        }
        let used = Use::begin(&entry, lease::USE_MIN).ok_or_else(|| unknown(id))?;
        lease::tell(&self.context, &entry);
        let agent = timeout(limits::AGENT_ANSWER_DEADLINE, entry.agent()).await.ok().flatten();
        let agent =
            agent.ok_or_else(|| Error::new(Code::Unavailable, "the sandbox's agent is not connected; try again"))?;
        Ok((agent, used))
    }
}
