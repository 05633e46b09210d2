//! What goes into a program and how it ends.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};
use sentinal_tests::{Execution, Fact, Ground, Guest, NewExecution, eventually};
use serde_json::json;

use crate::table::{Row, heavy, light};

const DEADLINE: Duration = Duration::from_mins(3);
/// Bytes of a JSON body that are left for what this file puts in: the limit is 1 MiB.
const BODY_BYTES: usize = 900_000;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        light(exit_codes_are_told_apart),
        light(signals_are_told_apart),
        light(what_is_not_there_exits_with_127_and_what_may_not_run_with_126),
        light(arguments_may_be_many_and_huge),
        light(an_environment_may_be_huge),
        heavy(a_thousand_executions_in_one_sandbox),
        light(sixty_four_executions_run_at_once),
    ]
}

/// Runs, and compares the end.
async fn ends(guest: &Guest, new: NewExecution, exit_code: Option<i32>, signal: Option<i32>) -> Result<()> {
    let ended = guest.execute(new.clone()).await?;
    let outcome = if exit_code.is_some() { "exited" } else { "signaled" };
    let as_expected = ended.state == "finished"
        && ended.outcome.as_deref() == Some(outcome)
        && ended.exit_code == exit_code
        && ended.signal == signal;
    ensure!(as_expected, "{ended:?} instead of {outcome} {exit_code:?} {signal:?}");
    Ok(())
}

async fn exit_codes_are_told_apart(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    for code in [0, 1, 2, 42, 125, 126, 127, 128, 137, 254, 255] {
        ends(&guest, NewExecution::shell(&format!("exit {code}")), Some(code), None).await?;
    }
    // What does not fit into a byte is cut to one, as everywhere.
    ends(&guest, NewExecution::code("python", "import os; os._exit(256 + 7)"), Some(7), None).await?;
    guest.gone().await
}

async fn signals_are_told_apart(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    // Every signal that ends a program by default, the last of the real-time ones included.
    for signal in [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 31, 34, 64] {
        let kill = NewExecution::code("python", &format!("import os; os.kill(os.getpid(), {signal})"));
        // The interpreter takes two of them for itself.
        let default = "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL); \
                       signal.signal(signal.SIGPIPE, signal.SIG_DFL); signal.signal(signal.SIGXFSZ, signal.SIG_DFL);";
        let kill = if [2, 13, 25].contains(&signal) {
            NewExecution::code("python", &format!("{default} os.kill(os.getpid(), {signal})"))
        } else {
            kill
        };
        ends(&guest, kill, None, Some(signal)).await.with_context(|| format!("signal {signal}"))?;
    }
    guest.gone().await
}

async fn what_is_not_there_exits_with_127_and_what_may_not_run_with_126(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let direct = |program: &str| NewExecution::shell(program).with("args", json!([]));
    ends(&guest, NewExecution::shell("no-such-program"), Some(127), None).await?;
    ends(&guest, direct("no-such-program"), Some(127), None).await?;
    ends(&guest, direct("/no/such/program"), Some(127), None).await?;
    guest
        .shell("echo hello > plain; printf '#!/no/such/interpreter\\n' > script; chmod +x script; mkdir folder")
        .await?;
    ends(&guest, NewExecution::shell("./plain"), Some(126), None).await?;
    ends(&guest, direct("/home/user/plain"), Some(126), None).await?;
    ends(&guest, direct("/home/user/folder"), Some(126), None).await?;
    ends(&guest, direct("/home/user/script"), Some(127), None).await?;
    guest.works().await?;
    guest.gone().await
}

async fn arguments_may_be_many_and_huge(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let look =
        "import sys, zlib; a = sys.argv[1:]; print(len(a), len(''.join(a).encode()), zlib.crc32('|'.join(a).encode()))";
    let check = async |arguments: Vec<String>| {
        let sum = crc32(arguments.join("|").as_bytes());
        let expected = format!("{} {} {sum}\n", arguments.len(), arguments.iter().map(String::len).sum::<usize>());
        let said = guest.execute(NewExecution::code("python", look).with("args", arguments)).await?.ok()?;
        ensure!(said == expected, "{said:?} instead of {expected:?}");
        anyhow::Ok(())
    };
    check((0..4000).map(|number| number.to_string()).collect()).await?;
    // The longest single one that Linux takes, and as much together as a body has room for.
    check(vec!["x".repeat(128 * 1024 - 1)]).await?;
    check((0..7).map(|number: usize| number.to_string().repeat(BODY_BYTES / 7)).collect()).await?;
    check(vec![String::new(), " ".to_owned(), "\n\t'\"\\$(`)".to_owned(), "grüße, 世界".to_owned()]).await?;
    guest.gone().await
}

async fn an_environment_may_be_huge(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let check = async |count: usize, bytes: usize| {
        let env: BTreeMap<String, String> =
            (0..count).map(|number| (format!("VARIABLE_{number}"), number.to_string().repeat(bytes))).collect();
        let total: usize = env.values().map(String::len).sum();
        let look = "import os; v = [x for n, x in os.environ.items() if n.startswith('VARIABLE_')]; \
                    print(len(v), sum(map(len, v)), os.environ['VARIABLE_7'][:3])";
        let said = guest.execute(NewExecution::code("python", look).with("env", json!(env))).await?.ok()?;
        ensure!(said == format!("{count} {total} 777\n"), "{said:?} instead of {count} {total}");
        anyhow::Ok(())
    };
    check(1000, 100).await?;
    check(10, BODY_BYTES / 10).await?;
    guest.gone().await
}

/// Eight at once, since what matters is that none is lost or mixed up, and that nothing piles up.
async fn a_thousand_executions_in_one_sandbox(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"ttl": 1200})).await?;
    let one = |number: usize| {
        let guest = &guest;
        async move {
            let ended = guest.execute(NewExecution::shell(&format!("echo {number}; exit {}", number % 100))).await?;
            let code = i32::try_from(number % 100)?;
            let said = ended.stdout.clone().unwrap_or_default();
            ensure!(ended.exit_code == Some(code) && said == format!("{number}\n"), "execution {number}: {ended:?}");
            Ok(())
        }
    };
    stream::iter(0..1000).map(one).buffer_unordered(8).try_collect::<Vec<()>>().await?;
    let kept: Vec<Execution> = guest.client().list(&format!("/execution?sandbox_id={}", guest.id())).await?;
    ensure!(kept.len() == 1000, "{} executions are on record", kept.len());
    let processes = guest.shell("ls -d /proc/[0-9]* | wc -l").await?.ok()?;
    ensure!(processes.trim().parse::<usize>()? < 10, "processes were left: {processes}");
    guest.works().await?;
    guest.gone().await
}

async fn sixty_four_executions_run_at_once(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"memory": "512Mi"})).await?;
    let line = |number: usize| {
        let line = format!("touch here-{number}; while [ ! -e go ]; do sleep 0.2; done; echo {number}");
        NewExecution::shell(&line).within(guest.id()).with("timeout", 240)
    };
    let starting = (0..64).map(|number| guest.client().execute_in_background(line(number)));
    let started = try_join_all(starting).await?;
    let all_here = || async {
        let here = guest.shell("ls here-* | wc -l").await?.ok()?;
        ensure!(here == "64\n", "{here} run at once");
        Ok(())
    };
    eventually("64 executions at once", DEADLINE, all_here).await?;
    guest.shell("touch go").await?.ok()?;
    for (number, execution) in started.iter().enumerate() {
        let ended = guest.end_of(&execution.id, DEADLINE).await?;
        ensure!(ended.ok()? == format!("{number}\n"), "execution {number}: {ended:?}");
    }
    guest.gone().await
}

/// The checksum that Python's `zlib.crc32` gives.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let bit = sum & 1;
            sum = (sum >> 1) ^ (0xedb8_8320 * bit);
        }
    }
    !sum
}
