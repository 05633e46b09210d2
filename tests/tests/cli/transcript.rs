//! The session in docs/cli.md is what the commands print, on every engine this machine has.
//! `UPDATE_GENERATED=1 cargo test -p sentinal-tests --test cli transcript` writes it anew.

use std::{
    collections::HashMap,
    fs,
    io::{self, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use sentinal_tests::{Column, Fact, Ground, Options, Skip, commands};

use crate::caller::{Caller, ended};

const BEGIN: &str = "<!-- transcript: UPDATE_GENERATED=1 cargo test -p sentinal-tests --test cli transcript -->\n";
const END: &str = "<!-- end of transcript -->";
/// Between two commands; no command prints it.
const MARK: &str = "\u{1e}";

/// The session, in one shell.
const COMMANDS: &[&str] = &[
    "cat app.py",
    "echo 1 2 3 | sentinal run app.py twice",
    "sentinal run -- ls -l /missing; echo \"exit status $?\"",
    "sentinal run --timeout 1s -- sleep 60; echo \"exit status $?\"",
    "sentinal run --out primes.txt -- python3 -c 'print(2, 3, 5, 7, file=open(\"primes.txt\", \"w\"))' && cat primes.txt",
    "id=$(sentinal create --ttl 1h --label team=blue)",
    "sentinal ls",
    "sentinal cp app.py $id:project/",
    "sentinal exec -w project $id python3 app.py once </dev/null",
    "sentinal files ls $id:project",
    "sentinal cp $id:project back && ls back",
    "sentinal exec $id -- sh -c 'echo to stdout; echo to stderr >&2' 2>/dev/null",
    "sentinal logs $id",
    "sentinal events $id | cut -d ' ' -f 2 | sort | uniq -c",
    "sentinal extend $id 2h",
    "sentinal pause $id",
    "sentinal exec $id true; echo \"exit status $?\"",
    "sentinal resume $id",
    "sentinal rm $id",
    "sentinal ls --json",
    "sentinal get sbx_1; echo \"exit status $?\"",
    "sentinal ls --url http://127.0.0.1:1; echo \"exit status $?\"",
];

const PROGRAM: &str = "\
import sys
numbers = [int(word) for word in sys.stdin.read().split()]
print(sys.argv[1], 'the sum is', sum(numbers) * (2 if sys.argv[1] == 'twice' else 1))
";

#[tokio::test]
async fn transcript() -> Fact {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    for column in Column::ALL {
        let session = match session(column).await {
            Err(error) if error.is::<Skip>() => {
                let _ = writeln!(io::stderr(), "SKIPPED: the transcript on {}: {error}", column.name());
                continue;
            }
            session => session?,
        };
        let page = fs::read_to_string(&path)?;
        let (before, rest) = page.split_once(BEGIN).context("the beginning of the transcript")?;
        let (there, after) = rest.split_once(END).context("the end of the transcript")?;
        if std::env::var_os("UPDATE_GENERATED").is_some() && column == Column::Gvisor {
            fs::write(&path, format!("{before}{BEGIN}\n```console\n{session}```\n\n{END}{after}"))?;
            continue;
        }
        let there = there.trim().trim_start_matches("```console\n").trim_end_matches("```");
        ensure!(spaced(there) == spaced(&session), "docs/cli.md is stale; on {} it is:\n{session}", column.name());
    }
    Ok(())
}

/// Columns are as wide as what is in them, which depends on the engine.
fn spaced(text: &str) -> String {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

async fn session(column: Column) -> Result<String> {
    let mut options = Options::default();
    if column == Column::Native {
        // With gVisor there it would be chosen: it is stronger.
        options.node = commands::runsc(Path::new("/nowhere/runsc")).into();
    }
    let server = Ground::server("transcript", column, options).await?;
    let caller = Caller::of(&server).await?;
    fs::write(caller.folder().join("app.py"), PROGRAM)?;
    let lines = COMMANDS.iter().map(|command| format!("{{ {command}\n}} 2>&1; printf '%s' '{MARK}'\n"));
    let said = ended(caller.shell(&lines.collect::<String>())).await?;
    let mut names = Names::default();
    let outputs: Vec<String> = said.text().split(MARK).map(|output| names.neutral(output)).collect();
    ensure!(outputs.len() == COMMANDS.len() + 1, "a command did not end: {said:?}");
    Ok(COMMANDS.iter().zip(outputs).flat_map(|(command, output)| [format!("$ {command}\n"), output]).collect())
}

/// What is another one each time, made the same.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Names {
    fn neutral(&mut self, output: &str) -> String {
        let mut text = String::new();
        let mut word = String::new();
        for c in output.chars() {
            if c.is_ascii_alphanumeric() || "_-:.".contains(c) {
                word.push(c);
                continue;
            }
            text.push_str(&self.word(&std::mem::take(&mut word)));
            text.push(c);
        }
        text + &self.word(&word)
    }

    fn word(&mut self, word: &str) -> String {
        let bare = word.trim_end_matches([':', '.', ',']);
        if bare.len() == 36 && (bare.starts_with("sbx_") || bare.starts_with("exe_")) {
            let next = format!("{}0190f5c8e4b07c3e9f6a8d2b4c5e6f{:02x}", &bare[..4], 0x70 + self.0.len());
            return word.replace(bare, self.0.entry(bare.to_owned()).or_insert(next));
        }
        match bare {
            "native" => "gvisor".to_owned(),
            "shared-kernel" => "userspace-kernel".to_owned(),
            moment if moment.len() == 24 && moment.ends_with('Z') => "2026-01-31T12:00:00.000Z".to_owned(),
            age if is_age(age) => "5s".to_owned(),
            _ => word.to_owned(),
        }
    }
}

fn is_age(word: &str) -> bool {
    let digits = word.strip_suffix(['s', 'm', 'h', 'd']).unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}
