//! Measures an agent from the server's side: `measure SOCKET COUNT PROGRAM [ARGUMENT...]`.
//!
//! Listens on the socket, waits for an agent to dial (token and epoch are not looked at), executes the program
//! COUNT times in a row, forgetting each, and prints the milliseconds from request to end.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "the channel is the tests' own")]
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

#[path = "../tests/agent/harness/channel.rs"]
mod channel;

use std::{error::Error, time::Instant};

use sentinal_agent_protocol::{
    preamble::{HELLO_BYTES, VERSION_MAX, Welcome},
    v1::{ExecuteRequest, ForgetRequest, agent_client::AgentClient},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
};

use self::channel::Channel;

async fn within<T>(future: impl Future<Output = T>) -> T {
    future.await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let socket = arguments.next().ok_or("which socket?")?;
    let count: usize = arguments.next().ok_or("how often?")?.parse()?;
    let argv: Vec<String> = arguments.collect();
    let listener = UnixListener::bind(socket)?;
    let (mut stream, _) = listener.accept().await?;
    stream.read_exact(&mut [0; HELLO_BYTES]).await?;
    stream.write_all(&Welcome::Accepted { version: VERSION_MAX }.encode()).await?;
    let channel = Channel::open(stream).await;
    let mut client = AgentClient::with_origin(channel, http::Uri::from_static("http://agent"));
    let mut took_ms = Vec::with_capacity(count);
    for number in 0..count {
        let execution_id = format!("measure-{number}");
        let request = ExecuteRequest {
            execution_id: execution_id.clone(),
            argv: argv.clone(),
            cwd: "/".to_owned(),
            processes_max: 512,
            open_files_max: 4096,
            ..ExecuteRequest::default()
        };
        let started = Instant::now();
        let mut events = client.execute(request).await?.into_inner();
        while let Some(event) = events.message().await? {
            std::hint::black_box(event);
        }
        took_ms.push(started.elapsed().as_secs_f64() * 1000.0);
        client.forget(ForgetRequest { execution_id }).await?;
    }
    took_ms.sort_by(f64::total_cmp);
    let at = |percent: usize| took_ms.get(took_ms.len() * percent / 100).copied().unwrap_or_default();
    println!("{count} x {argv:?}: min {:.2} median {:.2} p90 {:.2} p99 {:.2} ms", at(0), at(50), at(90), at(99));
    Ok(())
}
