//! A real OTLP collector: gRPC, protobuf, and a memory.

use std::{
    collections::HashMap,
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::Span,
};
use sentinal_tests::eventually;
use tonic::{Request, Response, Status, transport::server::TcpIncoming};

/// Spans are sent every few seconds.
const SENT_DEADLINE: Duration = Duration::from_secs(30);

/// Listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Collector {
    address: SocketAddr,
    requests: Requests,
    serving: tokio::task::JoinHandle<()>,
}

type Requests = Arc<Mutex<Vec<ExportTraceServiceRequest>>>;

/// The spans of one trace.
#[derive(Debug)]
pub(crate) struct Trace(Vec<Span>);

#[derive(Debug)]
struct Service(Requests);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    pub(crate) fn start() -> Result<Self> {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into())?;
        let (address, requests) = (incoming.local_addr()?, Requests::default());
        let service = TraceServiceServer::new(Service(Arc::clone(&requests)));
        let serving = tokio::spawn(async move {
            // A server that broke is seen by what it lacks.
            let _ = tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await;
        });
        Ok(Self { address, requests, serving })
    }

    /// As `--otlp-endpoint` takes it.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans of a trace, once one of each of these names is there.
    pub(crate) async fn trace(&self, trace_id: &str, names: &[&str]) -> Result<Trace> {
        let look = || async {
            let trace = Trace(self.spans().into_iter().filter(|span| hex(&span.trace_id) == trace_id).collect());
            let missing: Vec<_> = names.iter().filter(|name| trace.named(name).is_none()).collect();
            ensure!(missing.is_empty(), "{missing:?} are not among {:?}", trace.names());
            Ok(trace)
        };
        eventually("a whole trace", SENT_DEADLINE, look).await
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    /// What the sender calls itself.
    pub(crate) fn services(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        let attributes = resources.filter_map(|resource| resource.resource.as_ref()).flat_map(|one| &one.attributes);
        let named = attributes.filter(|attribute| attribute.key == "service.name");
        named.filter_map(|attribute| Some(text(attribute.value.as_ref()?.value.as_ref()?))).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Trace {
    fn named(&self, name: &str) -> Option<&Span> {
        self.0.iter().find(|span| span.name == name)
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|span| span.name.as_str()).collect()
    }

    pub(crate) fn span(&self, name: &str) -> Result<&Span> {
        self.named(name).with_context(|| format!("{name} is not among {:?}", self.names()))
    }

    /// The name of the span above this one; its id where it is none of these.
    pub(crate) fn above(&self, name: &str) -> Result<String> {
        let parent = &self.span(name)?.parent_span_id;
        let above = self.0.iter().find(|span| span.span_id == *parent);
        Ok(above.map_or_else(|| hex(parent), |span| span.name.clone()))
    }

    pub(crate) fn attributes(&self, name: &str) -> Result<HashMap<String, String>> {
        let attributes = self.span(name)?.attributes.iter();
        Ok(attributes.filter_map(|one| Some((one.key.clone(), text(one.value.as_ref()?.value.as_ref()?)))).collect())
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "no span has others")]
fn text(value: &Value) -> String {
    match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(truth) => truth.to_string(),
        other => format!("{other:?}"),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
