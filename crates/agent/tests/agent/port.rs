//! Connections to what listens inside.

use sentinal_agent_protocol::v1::{ConnectRequest, ConnectResponse};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::harness::{Client, Sandbox, within};

struct Connection {
    messages: mpsc::Sender<ConnectRequest>,
    answers: Streaming<ConnectResponse>,
}

impl Connection {
    async fn to(client: &Client, port: u32) -> Result<Self, Status> {
        let (messages, receiver) = mpsc::channel(8);
        messages.send(ConnectRequest { port, ..ConnectRequest::default() }).await.unwrap();
        let answers = within(client.clone().connect(ReceiverStream::new(receiver))).await?.into_inner();
        let mut connection = Self { messages, answers };
        assert_eq!(connection.next().await.unwrap(), ConnectResponse::default());
        Ok(connection)
    }

    async fn send(&self, data: &[u8], end: bool) {
        self.messages.send(ConnectRequest { port: 0, data: data.to_vec(), end }).await.unwrap();
    }

    async fn next(&mut self) -> Result<ConnectResponse, Status> {
        within(self.answers.message()).await.map(Option::unwrap)
    }
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_end_is_told() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut connection = Connection::to(&client, port.into()).await.unwrap();
        let (mut served, _) = within(listener.accept()).await.unwrap();
        connection.send(b"question", true).await;
        let mut asked = String::new();
        within(served.read_to_string(&mut asked)).await.unwrap();
        assert_eq!(asked, "question");
        served.write_all(b"answer").await.unwrap();
        assert_eq!(connection.next().await.unwrap().data, b"answer".as_slice());
        drop(served);
        assert!(connection.next().await.unwrap().end);
    }
}

#[tokio::test]
async fn who_leaves_is_seen_by_the_other_side() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connection = Connection::to(&client, port.into()).await.unwrap();
    let (mut served, _) = within(listener.accept()).await.unwrap();
    drop(connection);
    // The end, or a reset: the client is gone in either case.
    assert!(within(served.read(&mut [0])).await.map_or(true, |count| count == 0));
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_said_to_be_one() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let refused = Connection::to(&client, port.into()).await.err().unwrap();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    for port in [0, 65_536] {
        assert_eq!(Connection::to(&client, port).await.err().unwrap().code(), Code::InvalidArgument);
    }
}
