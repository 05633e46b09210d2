//! The client against a node that misbehaves. The node's own crate tests it against the real one.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use sentinal_model::{Code, Millis};
use tempfile::TempDir;
use tokio::{net::UnixListener, task::JoinHandle};
use tonic::Request;

use super::*;
use crate::ImageConfig;

/// A node that answers `Hello` with some version and `List` with some instance.
#[derive(Debug, Clone, Default)]
struct Fake {
    version: u32,
    listed: Vec<v1::Instance>,
    hellos: Arc<AtomicU32>,
    /// What was said of an image, and its bytes.
    published: Arc<std::sync::Mutex<(Option<v1::NewImage>, Vec<u8>)>>,
}

macro_rules! unimplemented_methods {
    ($($name:ident($request:ident) -> $response:ident;)*) => {
        #[tonic::async_trait]
        impl v1::node_server::Node for Fake {
            type WatchStream = futures::stream::Empty<std::result::Result<v1::WatchEvent, Status>>;

            async fn hello(
                &self,
                _: Request<v1::HelloRequest>,
            ) -> std::result::Result<Response<v1::HelloResponse>, Status> {
                self.hellos.fetch_add(1, Ordering::Relaxed);
                let (node_id, host_boot_id) = ("local".to_owned(), "boot".to_owned());
                Ok(Response::new(v1::HelloResponse { version: self.version, node_id, host_boot_id }))
            }

            async fn list(
                &self,
                _: Request<v1::ListRequest>,
            ) -> std::result::Result<Response<v1::ListResponse>, Status> {
                Ok(Response::new(v1::ListResponse { instances: self.listed.clone() }))
            }

            async fn watch(
                &self,
                _: Request<v1::WatchRequest>,
            ) -> std::result::Result<Response<Self::WatchStream>, Status> {
                Ok(Response::new(futures::stream::empty()))
            }

            async fn publish_image(
                &self,
                request: Request<tonic::Streaming<v1::PublishImageRequest>>,
            ) -> std::result::Result<Response<v1::PublishImageResponse>, Status> {
                let mut messages = request.into_inner();
                while let Some(message) = messages.message().await? {
                    let mut published = self.published.lock().unwrap();
                    published.0 = message.image.or(published.0.take());
                    published.1.extend(message.data);
                }
                Ok(Response::new(v1::PublishImageResponse {}))
            }

            $(async fn $name(
                &self,
                _: Request<v1::$request>,
            ) -> std::result::Result<Response<v1::$response>, Status> {
                Err(Status::unimplemented("not in this fake"))
            })*
        }
    };
}

unimplemented_methods! {
    describe(DescribeRequest) -> DescribeResponse;
    place(PlaceRequest) -> PlaceResponse;
    boot(BootRequest) -> BootResponse;
    keep(KeepRequest) -> KeepResponse;
    pause(PauseRequest) -> PauseResponse;
    resume(ResumeRequest) -> ResumeResponse;
    halt(HaltRequest) -> HaltResponse;
    stats(StatsRequest) -> StatsResponse;
    inspect_image(InspectImageRequest) -> InspectImageResponse;
    remove_image(RemoveImageRequest) -> RemoveImageResponse;
    prune_images(PruneImagesRequest) -> PruneImagesResponse;
}

impl Fake {
    /// Serves clients, one after the other.
    fn serve(&self, listener: UnixListener) -> JoinHandle<()> {
        let service = v1::node_server::NodeServer::new(self.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(service.clone());
                // A connection that breaks is part of the tests.
                let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            }
        })
    }
}

fn socket() -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("node.sock");
    (place, path)
}

fn fake() -> Fake {
    Fake { version: 1, ..Fake::default() }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_run_is_said_to_within_the_connect_deadline() {
    let (_place, path) = socket();
    let began = Instant::now();
    let error = UnixNode::new(path).list().await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(error.message(), "the node process is not running; start it with `sentinal node`");
    assert!(began.elapsed() <= CONNECT_DEADLINE);
}

#[tokio::test(start_paused = true)]
async fn callers_that_waited_share_one_failure() {
    let (_place, path) = socket();
    let node = UnixNode::new(path);
    let began = Instant::now();
    let answers = futures::future::join_all((0..50).map(|_| node.list())).await;
    assert!(answers.iter().all(std::result::Result::is_err));
    assert!(began.elapsed() < CONNECT_DEADLINE * 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_node_that_comes_late_is_waited_for() {
    let (_place, path) = socket();
    let node = UnixNode::new(&path);
    let (answer, ()) = tokio::join!(node.list(), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        fake().serve(UnixListener::bind(&path).unwrap());
    });
    assert_eq!(answer.unwrap().host_boot_id.0, "boot");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_never_answers_is_given_up() {
    let (_place, path) = socket();
    let _listening = UnixListener::bind(&path).unwrap();
    let began = Instant::now();
    let error = UnixNode::new(path).list().await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(began.elapsed() <= CALL_DEADLINE);
}

#[tokio::test]
async fn an_image_arrives_in_one_piece() {
    let (_place, path) = socket();
    let fake = fake();
    fake.serve(UnixListener::bind(&path).unwrap());
    let config = ImageConfig { env: vec!["A=b".to_owned()], runs_as_user: true, ..ImageConfig::default() };
    let (digest, source) = ("sha256:00".to_owned(), "an archive".to_owned());
    let image =
        ImageDetails { name: ImageName::default(), digest, size_bytes: 600_000, source, created: Millis(7), config };
    let pieces = vec![Bytes::from(vec![1; 262_144]), Bytes::from(vec![2; 262_144]), Bytes::from(vec![3; 75_712])];
    let content = futures::stream::iter(pieces.clone()).boxed();
    UnixNode::new(&path).publish_image(image.clone(), content).await.unwrap();
    let (told, bytes) = fake.published.lock().unwrap().clone();
    assert_eq!(ImageDetails::try_from(told.unwrap()).unwrap(), image);
    assert!(bytes == pieces.concat());
}

#[tokio::test]
async fn one_that_hangs_up_at_once_does_not_accept_this_server() {
    let (_place, path) = socket();
    let listener = UnixListener::bind(&path).unwrap();
    let hanging_up = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let error = UnixNode::new(path).list().await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().contains("does not accept this server"), "{error}");
    hanging_up.abort();
}

#[tokio::test]
async fn a_protocol_version_that_we_do_not_speak_is_refused() {
    let (_place, path) = socket();
    Fake { version: 99, ..fake() }.serve(UnixListener::bind(&path).unwrap());
    let error = UnixNode::new(path).list().await.unwrap_err();
    assert!(error.detail().is_some_and(|detail| detail.contains("99")), "{error:?}");
}

#[tokio::test]
async fn every_connection_begins_with_one_hello() {
    let (_place, path) = socket();
    let fake = fake();
    let serving = fake.serve(UnixListener::bind(&path).unwrap());
    let node = UnixNode::new(&path);
    for _ in 0..3 {
        node.list().await.unwrap();
    }
    assert_eq!(fake.hellos.load(Ordering::Relaxed), 1);
    serving.abort();
    let _ = serving.await;
    std::fs::remove_file(&path).unwrap();
    fake.serve(UnixListener::bind(&path).unwrap());
    for _ in 0..3 {
        node.list().await.unwrap();
    }
    assert_eq!(fake.hellos.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_hostile_node_is_not_believed() {
    let (_place, path) = socket();
    let instance = v1::Instance { sandbox_id: "../../etc".to_owned(), ..v1::Instance::default() };
    Fake { listed: vec![instance], ..fake() }.serve(UnixListener::bind(&path).unwrap());
    let error = UnixNode::new(path).list().await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(!error.message().contains("etc"), "{error}");
}

#[tokio::test]
async fn a_list_of_everything_a_node_may_hold_fits_into_a_message() {
    use prost::Message as _;
    let id = SandboxId::generate().to_string();
    let instance = v1::Instance {
        sandbox_id: id,
        generation: u64::MAX,
        state: 3,
        engine: "firecracker".to_owned(),
        end_reason: 4,
        paused: true,
    };
    let listed = vec![instance; limits::SANDBOXES_PER_NODE_MAX];
    let bytes = v1::ListResponse { instances: listed }.encoded_len();
    assert!(bytes * 2 < crate::MESSAGE_BYTES_MAX, "{bytes}");
}
