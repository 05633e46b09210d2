//! Executions from start to end.

use sentinal_agent_protocol::v1::{
    AcknowledgeRequest, Ended, ExecuteRequest, ExecutionEvent, Output, OutputStream, ended::How, execution_event::Event,
};
use tonic::{Status, Streaming};

use super::{Client, within};

/// All that an execution gave.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) ended: Ended,
}

impl Finished {
    pub(crate) fn exit_code(&self) -> i32 {
        match self.ended.how {
            Some(How::ExitCode(code)) => code,
            ref other => panic!("{other:?}"),
        }
    }

    pub(crate) fn stdout(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    pub(crate) fn stderr(&self) -> &str {
        std::str::from_utf8(&self.stderr).unwrap()
    }

    fn take(&mut self, output: &Output) {
        let stream = match output.stream() {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
            OutputStream::Unspecified => panic!("output of no stream"),
        };
        assert_eq!(output.offset, stream.len() as u64, "a gap or a repetition");
        stream.extend(&output.data);
    }
}

/// A program under the shell.
pub(crate) fn sh(id: &str, script: &str) -> ExecuteRequest {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    ExecuteRequest { execution_id: id.to_owned(), argv, cwd: "/".to_owned(), ..ExecuteRequest::default() }
}

pub(crate) async fn start(client: &Client, request: ExecuteRequest) -> Result<Streaming<ExecutionEvent>, Status> {
    within(client.clone().execute(request)).await.map(tonic::Response::into_inner)
}

/// Starts, follows and acknowledges.
pub(crate) async fn run(client: &Client, request: ExecuteRequest) -> Result<Finished, Status> {
    let id = request.execution_id.clone();
    let events = start(client, request).await?;
    collect(client, &id, events).await
}

/// Follows to the end, acknowledging.
pub(crate) async fn collect(
    client: &Client,
    id: &str,
    mut events: Streaming<ExecutionEvent>,
) -> Result<Finished, Status> {
    let mut finished = Finished::default();
    let Event::Started(_) = next(&mut events).await?.unwrap() else { panic!("it begins with its start") };
    while let Some(event) = next(&mut events).await? {
        match event {
            Event::Started(_) => panic!("started twice"),
            Event::Output(output) => {
                finished.take(&output);
                acknowledge(client, id, &finished).await?;
            }
            Event::Ended(ended) => {
                finished.ended = ended;
                assert_eq!(next(&mut events).await?, None, "something after the end");
                let totals = (finished.stdout.len() as u64, finished.stderr.len() as u64);
                assert_eq!(totals, (finished.ended.stdout_bytes, finished.ended.stderr_bytes));
                return Ok(finished);
            }
        }
    }
    panic!("the stream ended before the execution");
}

async fn acknowledge(client: &Client, id: &str, finished: &Finished) -> Result<(), Status> {
    let request = AcknowledgeRequest {
        execution_id: id.to_owned(),
        stdout_offset: finished.stdout.len() as u64,
        stderr_offset: finished.stderr.len() as u64,
    };
    within(client.clone().acknowledge(request)).await.map(|_| ())
}

pub(crate) async fn next(events: &mut Streaming<ExecutionEvent>) -> Result<Option<Event>, Status> {
    Ok(within(events.message()).await?.map(|event| event.event.unwrap()))
}

/// The next output, whatever comes before.
pub(crate) async fn output(events: &mut Streaming<ExecutionEvent>) -> Output {
    loop {
        if let Event::Output(output) = next(events).await.unwrap().unwrap() {
            return output;
        }
    }
}

/// The end, whatever comes before.
pub(crate) async fn ended(events: &mut Streaming<ExecutionEvent>) -> Ended {
    loop {
        if let Event::Ended(ended) = next(events).await.unwrap().unwrap() {
            return ended;
        }
    }
}
