//! The protocol's methods: check the words, call the verb, answer. Decides nothing.

use std::sync::Arc;

use futures::{StreamExt as _, stream::BoxStream};
use sentinal_model::{Error, ImageName, NodeId, SandboxId};
use sentinal_node_protocol::{MESSAGE_BYTES_MAX, VERSION_MAX, VERSION_MIN, v1};
use tokio_stream::wrappers::BroadcastStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{error::NodeError, host::Host};

type Answer<T> = Result<Response<T>, Status>;

/// One host behind the protocol.
#[derive(Debug)]
pub(crate) struct Service {
    host: Arc<Host>,
    node_id: NodeId,
    /// Ends what would otherwise never end.
    stop: CancellationToken,
}

/// The service with bounded messages.
pub(crate) fn server(
    host: Arc<Host>,
    node_id: NodeId,
    stop: CancellationToken,
) -> v1::node_server::NodeServer<Service> {
    v1::node_server::NodeServer::new(Service { host, node_id, stop })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

#[tonic::async_trait]
impl v1::node_server::Node for Service {
    type WatchStream = BoxStream<'static, Result<v1::WatchEvent, Status>>;

    async fn hello(&self, request: Request<v1::HelloRequest>) -> Answer<v1::HelloResponse> {
        let asked = request.into_inner();
        let version = asked.version_max.min(VERSION_MAX);
        if version < asked.version_min.max(VERSION_MIN) {
            let message = format!("this node speaks the protocol's versions {VERSION_MIN} to {VERSION_MAX}");
            return Err(Status::failed_precondition(message));
        }
        let host_boot_id = self.host.boot_id.0.clone();
        Ok(Response::new(v1::HelloResponse { version, node_id: self.node_id.to_string(), host_boot_id }))
    }

    async fn describe(&self, _: Request<v1::DescribeRequest>) -> Answer<v1::DescribeResponse> {
        let room = self.host.room().await?;
        Ok(Response::new(v1::DescribeResponse {
            room: Some(room.into()),
            engines: self.host.engines.describe().await.into_iter().map(Into::into).collect(),
            images: self.host.images().await.into_iter().map(Into::into).collect(),
            agent_digest: self.host.agent_digest().await,
        }))
    }

    async fn place(&self, request: Request<v1::PlaceRequest>) -> Answer<v1::PlaceResponse> {
        let place = request.into_inner().try_into().map_err(invalid)?;
        let folder = self.host.finish(Arc::clone(&self.host).place(place)).await?;
        let socket_folder = folder.to_string_lossy().into_owned();
        Ok(Response::new(v1::PlaceResponse { socket_folder }))
    }

    async fn boot(&self, request: Request<v1::BootRequest>) -> Answer<v1::BootResponse> {
        let boot = request.into_inner().try_into().map_err(invalid)?;
        self.host.finish(Arc::clone(&self.host).boot(boot)).await?;
        Ok(Response::new(v1::BootResponse {}))
    }

    async fn keep(&self, request: Request<v1::KeepRequest>) -> Answer<v1::KeepResponse> {
        let keep = request.into_inner().try_into().map_err(invalid)?;
        self.host.finish(Arc::clone(&self.host).keep(keep)).await?;
        Ok(Response::new(v1::KeepResponse {}))
    }

    async fn pause(&self, request: Request<v1::PauseRequest>) -> Answer<v1::PauseResponse> {
        let asked = request.into_inner().try_into().map_err(invalid)?;
        self.host.finish(Arc::clone(&self.host).pause(asked)).await?;
        Ok(Response::new(v1::PauseResponse {}))
    }

    async fn resume(&self, request: Request<v1::ResumeRequest>) -> Answer<v1::ResumeResponse> {
        let asked = request.into_inner().try_into().map_err(invalid)?;
        self.host.finish(Arc::clone(&self.host).resume(asked)).await?;
        Ok(Response::new(v1::ResumeResponse {}))
    }

    async fn halt(&self, request: Request<v1::HaltRequest>) -> Answer<v1::HaltResponse> {
        let halt = request.into_inner().try_into().map_err(invalid)?;
        let usage = self.host.finish(Arc::clone(&self.host).halt(halt)).await?;
        Ok(Response::new(v1::HaltResponse { usage: Some(usage.into()) }))
    }

    async fn list(&self, _: Request<v1::ListRequest>) -> Answer<v1::ListResponse> {
        let instances = self.host.list().into_iter().map(Into::into).collect();
        Ok(Response::new(v1::ListResponse { instances }))
    }

    async fn stats(&self, request: Request<v1::StatsRequest>) -> Answer<v1::StatsResponse> {
        let id: SandboxId = request.into_inner().try_into().map_err(invalid)?;
        let usage = self.host.stats(id).await?;
        Ok(Response::new(v1::StatsResponse { usage: Some(usage.into()) }))
    }

    async fn publish_image(
        &self,
        request: Request<tonic::Streaming<v1::PublishImageRequest>>,
    ) -> Answer<v1::PublishImageResponse> {
        let mut messages = request.into_inner();
        let first = messages.message().await?.and_then(|message| message.image);
        let image = first.ok_or_else(|| Status::invalid_argument("the first message must say what the image is"))?;
        let image = image.try_into().map_err(invalid)?;
        let content = messages.map(|message| message.map(|message| message.data.into()).map_err(|_| NodeError::Cut));
        self.host.finish(Arc::clone(&self.host).publish_image(image, content.boxed())).await?;
        Ok(Response::new(v1::PublishImageResponse {}))
    }

    async fn inspect_image(&self, request: Request<v1::InspectImageRequest>) -> Answer<v1::InspectImageResponse> {
        let details = self.host.inspect_image(image_name(&request.into_inner().name)?).await?;
        Ok(Response::new(v1::InspectImageResponse { image: Some(details.into()) }))
    }

    async fn remove_image(&self, request: Request<v1::RemoveImageRequest>) -> Answer<v1::RemoveImageResponse> {
        let name = image_name(&request.into_inner().name)?;
        let removed = self.host.finish(Arc::clone(&self.host).remove_image(name)).await?;
        Ok(Response::new(removed.into()))
    }

    async fn prune_images(&self, request: Request<v1::PruneImagesRequest>) -> Answer<v1::PruneImagesResponse> {
        let until_free = request.into_inner().into();
        let removed = self.host.finish(Arc::clone(&self.host).prune_images(until_free)).await?;
        Ok(Response::new(removed.into()))
    }

    async fn watch(&self, _: Request<v1::WatchRequest>) -> Answer<Self::WatchStream> {
        let events = BroadcastStream::new(self.host.events.subscribe());
        let stop = self.stop.clone();
        let events = events.map(|event| event.map(Into::into).map_err(|_| behind()));
        // An error ends the stream; the one who watches lists and watches again.
        let events = events.scan(false, |over, event| {
            let yielded = (!*over).then_some(event);
            *over = matches!(yielded, Some(Err(_)));
            std::future::ready(yielded)
        });
        Ok(Response::new(events.take_until(stop.cancelled_owned()).boxed()))
    }
}

fn image_name(text: &str) -> Result<ImageName, Status> {
    text.parse().map_err(invalid)
}

fn invalid(error: Error) -> Status {
    NodeError::Invalid(error).into()
}

fn behind() -> Status {
    Status::data_loss("events were missed; watch again, then list")
}

#[cfg(test)]
mod tests {
    use sentinal_node_protocol::NodeEvent;

    use super::*;
    use crate::{agent::AgentFile, folder::StateFolder, limits::EVENTS_BEHIND_MAX, testing::Machine};
    use v1::node_server::Node as _;

    fn service(machine: &Machine) -> Service {
        let config = machine.config();
        let folder = StateFolder::hold(&config.state_folder, config.server).unwrap();
        let host = Host::new(folder, AgentFile::new(config.agent), machine.parts());
        Service { host, node_id: NodeId::local(), stop: CancellationToken::new() }
    }

    #[tokio::test]
    async fn a_watcher_that_is_too_far_behind_is_told_to_list_again() {
        let service = service(&Machine::new());
        let mut events = service.watch(Request::new(v1::WatchRequest {})).await.unwrap().into_inner();
        for _ in 0..EVENTS_BEHIND_MAX {
            service.host.tell(NodeEvent::EnginesChanged);
        }
        assert!(events.next().await.unwrap().is_ok());
        for _ in 0..2 {
            service.host.tell(NodeEvent::EnginesChanged);
        }
        let behind = events.next().await.unwrap().unwrap_err();
        assert_eq!(behind.code(), tonic::Code::DataLoss);
        assert!(events.next().await.is_none());
    }

    #[tokio::test]
    async fn a_watch_ends_with_the_node() {
        let service = service(&Machine::new());
        let mut events = service.watch(Request::new(v1::WatchRequest {})).await.unwrap().into_inner();
        service.stop.cancel();
        assert!(events.next().await.is_none());
    }

    #[tokio::test]
    async fn only_a_version_that_both_speak_is_agreed_on() {
        let service = service(&Machine::new());
        for (version_min, version_max, agreed) in [(1, 1, true), (1, 9, true), (2, 9, false), (0, 0, false)] {
            let answer = service.hello(Request::new(v1::HelloRequest { version_min, version_max })).await;
            assert_eq!(answer.is_ok(), agreed, "{version_min} to {version_max}");
        }
    }
}
