//! What is run, and with what: languages, arguments, environment, working folder, standard input.

use anyhow::{Result, ensure};
use sentinal_tests::{Fact, Guest, NewExecution, guest};
use serde_json::json;

async fn check(guest: &Guest, new: NewExecution, stdout: &str) -> Result<()> {
    let said = guest.execute(new.clone()).await?.ok()?;
    ensure!(said == stdout, "{new:?} said {said:?} instead of {stdout:?}");
    Ok(())
}

#[tokio::test]
async fn a_command_is_a_line_for_the_shell_or_a_program_with_arguments() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    check(&guest, NewExecution::shell("echo a b | tr a-z A-Z"), "A B\n").await?;
    check(&guest, NewExecution::shell("echo").with("args", json!(["a  b", "$HOME", "*"])), "a  b $HOME *\n").await?;
    check(&guest, NewExecution::shell("pwd").with("args", json!([])), "/home/user\n").await?;
    check(&guest, NewExecution::shell("id -u; id -un"), "1000\nuser\n").await?;
    check(&guest, NewExecution::shell("id -u").with("user", "root"), "0\n").await?;
    guest.gone().await
}

#[tokio::test]
async fn code_runs_in_python_javascript_and_bash() -> Fact {
    let Some(guest) = guest(json!({"memory": "512Mi"})).await? else { return Ok(()) };
    let python = "import sys, json\nprint(json.dumps({'args': sys.argv[1:]}))";
    check(&guest, NewExecution::code("python", python), "{\"args\": []}\n").await?;
    check(&guest, NewExecution::code("python", python).with("args", json!(["x"])), "{\"args\": [\"x\"]}\n").await?;
    check(&guest, NewExecution::code("javascript", "console.log([1, 2].map(x => x * 2).join())"), "2,4\n").await?;
    let args =
        NewExecution::code("javascript", "console.log(process.argv.slice(1).join())").with("args", json!(["x", "-v"]));
    check(&guest, args, "x,-v\n").await?;
    check(&guest, NewExecution::code("bash", "a=(1 2 3); echo ${#a[@]} $1").with("args", json!(["x"])), "3 x\n")
        .await?;
    guest.gone().await
}

#[tokio::test]
async fn environment_folder_and_standard_input_are_as_given() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let env = NewExecution::shell("echo \"$GREETING|$HOME|$USER\"").with("env", json!({"GREETING": "grüße = \"1\""}));
    check(&guest, env, "grüße = \"1\"|/home/user|user\n").await?;
    check(&guest, NewExecution::shell("pwd").with("cwd", "/tmp"), "/tmp\n").await?;
    check(&guest, NewExecution::shell("mkdir -p a/b"), "").await?;
    check(&guest, NewExecution::shell("pwd").with("cwd", "a/b"), "/home/user/a/b\n").await?;
    check(&guest, NewExecution::shell("wc -c"), "0\n").await?;
    check(&guest, NewExecution::shell("cat").with("stdin", "one\ntwo"), "one\ntwo").await?;
    let binary = NewExecution::shell("od -An -tx1").with("stdin", "AP8K").with("stdin_encoding", "base64");
    check(&guest, binary, " 00 ff 0a\n").await?;
    let large = NewExecution::shell("wc -c").with("stdin", "x".repeat(900_000));
    check(&guest, large, "900000\n").await?;
    guest.gone().await
}

#[tokio::test]
async fn executions_of_one_sandbox_share_its_files_and_nothing_of_their_environment() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    check(&guest, NewExecution::shell("echo kept > note; export LOST=1; cd /tmp"), "").await?;
    check(&guest, NewExecution::shell("cat note; echo \"[$LOST]\"; pwd"), "kept\n[]\n/home/user\n").await?;
    guest.gone().await
}

#[tokio::test]
async fn many_executions_run_side_by_side_in_one_sandbox() -> Fact {
    let Some(guest) = guest(json!({"memory": "512Mi"})).await? else { return Ok(()) };
    guest.shell("mkfifo gate").await?.ok()?;
    // Each says that it has begun and waits at the gate, which opens when all have: they cannot have run one by one.
    let line = "exec 3<>gate; echo > here-$N; read go <&3; set -- here-*; echo > done-$N; echo $N $#";
    let started = futures::future::try_join_all(
        (0..64).map(|number| guest.execute(NewExecution::shell(line).with("env", json!({"N": number.to_string()})))),
    );
    let open = "exec 3<>gate; all() { set -- $1-*; [ $# -eq 64 ]; }\n\
        until all here; do sleep 0.2; done; seq 64 | sed s/.*// >&3; until all done; do sleep 0.2; done";
    let (opened, ended) = tokio::join!(guest.shell(open), started);
    opened?.ok()?;
    for (number, execution) in ended?.iter().enumerate() {
        ensure!(execution.ok()? == format!("{number} 64\n"), "{execution:?}");
    }
    guest.gone().await
}
