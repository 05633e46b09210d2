//! Programs and their ends.

use std::os::unix::fs::PermissionsExt;

use sentinal_agent_protocol::v1::{ExecuteRequest, ForgetRequest, ListRequest, SignalRequest, Variable, ended::How};
use tonic::Code;

use crate::harness::{Sandbox, ended, output, run, sh, start, within};

#[tokio::test]
async fn a_program_ends_with_its_exit_code() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    for code in [0, 1, 7, 255] {
        let finished = run(&client, sh(&format!("code-{code}"), &format!("exit {code}"))).await.unwrap();
        assert_eq!(finished.exit_code(), code);
    }
}

#[tokio::test]
async fn stdout_and_stderr_are_apart() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let finished = run(&client, sh("x", "echo out; echo err >&2; echo out again")).await.unwrap();
    assert_eq!(finished.stdout(), "out\nout again\n");
    assert_eq!(finished.stderr(), "err\n");
}

#[tokio::test]
async fn a_program_that_killed_itself_ends_with_the_signal() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let finished = run(&client, sh("x", "kill -SEGV $$")).await.unwrap();
    assert_eq!(finished.ended.how, Some(How::Signal(libc::SIGSEGV)));
}

#[tokio::test]
async fn usage_is_reported() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let finished = run(&client, sh("x", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")).await.unwrap();
    assert!(0 < finished.ended.cpu_us, "{:?}", finished.ended);
    assert!(0 < finished.ended.memory_peak_bytes);
    assert!(finished.ended.cpu_us / 2 <= finished.ended.duration_us);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_result() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let command = |id: &str, program: &str| {
        let argv = vec![program.to_owned()];
        ExecuteRequest { execution_id: id.to_owned(), argv, cwd: "/".to_owned(), ..ExecuteRequest::default() }
    };
    let finished = run(&client, command("1", "nosuch")).await.unwrap();
    assert_eq!((finished.exit_code(), finished.stderr()), (127, "sentinal: nosuch: command not found\n"));
    let finished = run(&client, command("2", "/nosuch/program")).await.unwrap();
    assert_eq!((finished.exit_code(), finished.stdout()), (127, ""));
    let finished = run(&client, command("3", "/etc/passwd")).await.unwrap();
    assert_eq!((finished.exit_code(), finished.stderr()), (126, "sentinal: /etc/passwd: permission denied\n"));
    let finished = run(&client, command("4", "/etc")).await.unwrap();
    assert_eq!(finished.exit_code(), 126);
    let finished = run(&client, command("5", "")).await.unwrap();
    assert_eq!(finished.exit_code(), 127);
}

#[tokio::test]
async fn a_script_without_an_interpreter_runs_in_the_shell() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let script = sandbox.path("script");
    std::fs::write(&script, "echo \"$0 $1\"\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let request = ExecuteRequest { argv: vec![script.clone(), "one".to_owned()], ..sh("x", "") };
    let finished = run(&client, request).await.unwrap();
    assert_eq!(finished.stdout(), format!("{script} one\n"));
}

#[tokio::test]
async fn a_found_file_that_cannot_be_executed_does_not_end_the_search() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    std::fs::write(sandbox.path("true"), "not a program").unwrap();
    let path = |value: String| vec![Variable { name: "PATH".to_owned(), value }];
    let request =
        |id: &str, value: String| ExecuteRequest { argv: vec!["true".to_owned()], env: path(value), ..sh(id, "") };
    let folder = sandbox.folder().display();
    assert_eq!(run(&client, request("1", format!("{folder}:/bin"))).await.unwrap().exit_code(), 0);
    assert_eq!(run(&client, request("2", format!("{folder}:/nosuch"))).await.unwrap().exit_code(), 126);
}

#[tokio::test]
async fn cwd_and_environment_are_as_asked() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let env = [("GREETING", "hello = world"), ("TERM", "dumb")];
    let variable = |(name, value): (&str, &str)| Variable { name: name.to_owned(), value: value.to_owned() };
    let request = ExecuteRequest {
        env: env.into_iter().map(variable).collect(),
        cwd: "/usr/bin".to_owned(),
        ..sh("x", "pwd; echo \"$GREETING\" $TERM $LANG; env | grep -c SENTINAL")
    };
    let finished = run(&client, request).await.unwrap();
    assert_eq!(finished.stdout(), "/usr/bin\nhello = world dumb C.UTF-8\n0\n");
}

#[tokio::test]
async fn a_request_that_cannot_be_is_refused_and_leaves_nothing() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let requests = [
        ExecuteRequest { cwd: "/nosuch".to_owned(), ..sh("cwd", "true") },
        ExecuteRequest { cwd: "/etc/passwd".to_owned(), ..sh("file", "true") },
        ExecuteRequest { argv: vec![], ..sh("argv", "") },
        ExecuteRequest { argv: vec!["a\0b".to_owned()], ..sh("nul", "") },
        sh("", "true"),
        sh(&"x".repeat(129), "true"),
    ];
    for request in requests {
        let status = start(&client, request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(!status.message().is_empty());
    }
    let status = start(&client, ExecuteRequest { cwd: "/nosuch".to_owned(), ..sh("x", "true") }).await.unwrap_err();
    assert_eq!(status.message(), "the working directory /nosuch does not exist");
    let held = within(client.clone().list(ListRequest {})).await.unwrap().into_inner();
    assert!(held.executions.is_empty());
}

#[tokio::test]
async fn a_repeated_execute_follows_the_one_that_runs() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let mut first = start(&client, sh("x", "echo $$; read line")).await.unwrap();
    let pid = output(&mut first).await.data;
    let mut second = start(&client, sh("x", "echo $$; read line")).await.unwrap();
    assert_eq!(output(&mut second).await.data, pid);
    assert_eq!(ended(&mut first).await, ended(&mut second).await);
}

#[tokio::test]
async fn a_signal_reaches_the_whole_process_group() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let mut events = start(&client, sh("x", "sleep 1000 & echo ready; wait")).await.unwrap();
    output(&mut events).await;
    let signal = |signal| SignalRequest { execution_id: "x".to_owned(), signal };
    for wrong in [0, -1, 65, i32::MIN] {
        let status = within(client.clone().signal(signal(wrong))).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    within(client.clone().signal(signal(libc::SIGTERM))).await.unwrap();
    assert_eq!(ended(&mut events).await.how, Some(How::Signal(libc::SIGTERM)));
    let status = within(client.clone().signal(signal(libc::SIGTERM))).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_timeout_kills_what_ignores_signals_and_what_it_started() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let script = "trap '' TERM INT HUP; sh -c 'echo started; sleep 1000'";
    let finished = run(&client, ExecuteRequest { timeout_ms: 300, ..sh("x", script) }).await.unwrap();
    assert_eq!(finished.ended.how, Some(How::TimedOut(true)));
    assert_eq!(finished.stdout(), "started\n");
    assert!(300_000 <= finished.ended.duration_us);
}

#[tokio::test]
async fn a_timeout_finds_groups_of_their_own_in_the_session() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    // Job control gives the background job its own process group.
    let script = "set -m; sleep 1000 & echo $!; wait";
    let request = ExecuteRequest { timeout_ms: 300, ..sh("x", script) };
    let finished = run(&client, request).await.unwrap();
    let pid: i32 = finished.stdout().trim().parse().unwrap();
    crate::harness::until(|| !std::path::Path::new(&format!("/proc/{pid}")).exists()).await;
}

#[tokio::test]
async fn forgetting_is_for_what_has_ended() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let forget = |id: &str| ForgetRequest { execution_id: id.to_owned() };
    let mut events = start(&client, sh("x", "echo ready; sleep 1000")).await.unwrap();
    output(&mut events).await;
    let status = within(client.clone().forget(forget("x"))).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let signal = SignalRequest { execution_id: "x".to_owned(), signal: libc::SIGKILL };
    within(client.clone().signal(signal)).await.unwrap();
    ended(&mut events).await;
    let held = within(client.clone().list(ListRequest {})).await.unwrap().into_inner().executions;
    assert_eq!((held.len(), held[0].ended, held[0].stdout_bytes), (1, true, 6));
    within(client.clone().forget(forget("x"))).await.unwrap();
    within(client.clone().forget(forget("x"))).await.unwrap();
    assert!(within(client.clone().list(ListRequest {})).await.unwrap().into_inner().executions.is_empty());
    let finished = run(&client, sh("x", "echo anew")).await.unwrap();
    assert_eq!(finished.stdout(), "anew\n");
}

#[tokio::test]
async fn programs_begin_with_a_clean_slate() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let script = "grep SigBlk /proc/self/status; umask; ls /proc/self/fd | wc -l; ulimit -c";
    let finished = run(&client, sh("x", script)).await.unwrap();
    // `ls` has one more descriptor open than it was given: the folder it lists.
    let expected = "SigBlk:\t0000000000000000\n0022\n4\n0\n";
    assert_eq!(finished.stdout(), expected);
}

#[tokio::test]
async fn a_broken_pipe_ends_a_program_as_anywhere() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let finished = run(&client, sh("x", "kill -PIPE $$; echo survived")).await.unwrap();
    assert_eq!(finished.ended.how, Some(How::Signal(libc::SIGPIPE)));
}
