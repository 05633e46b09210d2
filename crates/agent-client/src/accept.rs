//! Accepts what dials in a socket folder, until its sandbox is forgotten.

use std::{io, sync::Arc, time::Duration};

use sentinal_agent_protocol::preamble::{HELLO_BYTES, Hello, Welcome};
use subtle::ConstantTimeEq;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Semaphore,
    time::timeout,
};

use crate::{
    agent::Link,
    connection::Connection,
    transport::{Listener, Stream},
};

/// How long one that dials may take for its preamble.
const PREAMBLE_DEADLINE: Duration = Duration::from_secs(5);

/// Preambles read at once for one sandbox; more wait in the kernel's queue.
const PREAMBLES_MAX: usize = 4;

/// How long accepting rests after the kernel refused, as when the server is out of descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Accepts connections for one sandbox. Ends when it is dropped.
pub(crate) async fn accept(mut listener: Box<dyn Listener>, link: Arc<Link>) {
    let preambles = Arc::new(Semaphore::new(PREAMBLES_MAX));
    loop {
        let Ok(permit) = Arc::clone(&preambles).acquire_owned().await else { return };
        match listener.accept().await {
            Ok(stream) => {
                let link = Arc::clone(&link);
                link.clone().spawn(async move {
                    greet(stream, link).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(sandbox = %link.id(), %error, "agent socket refused to accept");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Checks who dials and, if it is the sandbox's agent, makes the connection the current one.
async fn greet(mut stream: Box<dyn Stream>, link: Arc<Link>) {
    let welcome = match timeout(PREAMBLE_DEADLINE, read_hello(stream.as_mut())).await {
        Ok(Ok(hello)) => judge(hello.as_ref(), &link),
        Ok(Err(error)) => {
            tracing::debug!(sandbox = %link.id(), %error, "agent preamble was cut off");
            return;
        }
        Err(_) => return,
    };
    let answered = timeout(PREAMBLE_DEADLINE, stream.write_all(&welcome.encode())).await;
    let accepted = matches!(welcome, Welcome::Accepted { .. }) && matches!(answered, Ok(Ok(())));
    if !accepted {
        return;
    }
    let number = link.next_number();
    match Connection::begin(stream, number).await {
        Ok((connection, drive)) => {
            link.clone().spawn(drive_connection(Arc::clone(&link), number, drive));
            link.connected(connection);
        }
        Err(error) => tracing::debug!(sandbox = %link.id(), ?error, "agent did not speak the protocol"),
    }
}

async fn drive_connection(link: Arc<Link>, number: u64, drive: impl Future<Output = ()> + Send) {
    drive.await;
    link.disconnected(number);
}

async fn read_hello(stream: &mut dyn Stream) -> io::Result<Option<Hello>> {
    let mut bytes = [0; HELLO_BYTES];
    stream.read_exact(&mut bytes).await?;
    Ok(Hello::decode(&bytes).ok())
}

/// The answer to a preamble. The token is compared in constant time.
fn judge(hello: Option<&Hello>, link: &Link) -> Welcome {
    let Some(hello) = hello else { return Welcome::Refused };
    let genuine = bool::from(hello.token.0.ct_eq(&link.token().0)) && hello.epoch == link.epoch();
    match hello.common_version() {
        Ok(version) if genuine => Welcome::Accepted { version },
        Ok(_) | Err(_) => {
            tracing::warn!(sandbox = %link.id(), epoch = hello.epoch, "agent preamble refused");
            Welcome::Refused
        }
    }
}
