//! Runs attempts inside a sandbox and reads what came of them.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use sentinal_tests::{Execution, Guest, NewExecution};
use serde::Deserialize;
use serde_json::{Value, json};

/// For all attempts of one user.
const DEADLINE: Duration = Duration::from_mins(8);
const DEADLINE_SECONDS: u32 = 450;

/// The programs, by their names.
pub(crate) const PROGRAMS: [(&str, &str); 9] = [
    ("attempts.py", include_str!("inside/attempts.py")),
    ("trying.py", include_str!("inside/trying.py")),
    ("identity.py", include_str!("inside/identity.py")),
    ("filesystem.py", include_str!("inside/filesystem.py")),
    ("processes.py", include_str!("inside/processes.py")),
    ("namespaces.py", include_str!("inside/namespaces.py")),
    ("kernel.py", include_str!("inside/kernel.py")),
    ("network.py", include_str!("inside/network.py")),
    ("bombs.py", include_str!("inside/bombs.py")),
];

/// What root inside leaves for the ordinary user to try.
const PREPARE: &str = "import os, shutil\n\
    for name, mode in (('lends-user', 0o4755), ('lends-group', 0o2755), ('lends-capabilities', 0o755)):\n\
    \x20 path = '/home/user/' + name\n  shutil.copy('/usr/bin/python3', path)\n  os.chmod(path, mode)\n\
    try: os.setxattr('/home/user/lends-capabilities', 'security.capability', bytes.fromhex('0100000200002000000000000000000000000000'))\n\
    except OSError: pass\n\
    os.chmod('/home/user/lends-user', 0o4755)";

/// What an attempt said.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Said {
    pub(crate) name: String,
    pub(crate) who: String,
    pub(crate) verdict: Verdict,
    pub(crate) detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// The sandbox held.
    Held,
    /// It did not.
    Escaped,
    /// The attempt itself is broken.
    Broken,
}

/// By name and user.
pub(crate) type Answers = BTreeMap<(String, String), Said>;

/// Puts the programs into a sandbox.
pub(crate) async fn prepare(guest: &Guest) -> Result<()> {
    for (name, text) in PROGRAMS {
        guest.client().upload(guest.id(), &format!("/home/user/escape/{name}"), text).await?.expect(200)?;
    }
    guest.execute(NewExecution::code("python", PREPARE).with("user", "root")).await?.ok().map(drop)
}

/// What is known to an attacker in an engine's sandbox, besides what lies outside.
pub(crate) fn known(outside: &Value, sockets: &[String]) -> Value {
    let mut known = outside.clone();
    known["agent"] = json!("/.sentinal/agent");
    known["shared"] = json!("/.sentinal/host");
    known["sockets"] = json!(sockets);
    known
}

/// Tries what is named, or all, as one user.
pub(crate) async fn run(guest: &Guest, who: &str, names: &[&str], known: &Value) -> Result<Execution> {
    let args = json!(["/home/user/escape/attempts.py", who, json!(names).to_string(), known.to_string()]);
    let user = if who == "root" { "root" } else { "1000" };
    let attempts = NewExecution::shell("python3").with("args", args).with("user", user).within(guest.id());
    let started = guest.client().execute_in_background(attempts.with("timeout", DEADLINE_SECONDS)).await?;
    guest.end_of(&started.id, DEADLINE).await
}

/// The answers in an output.
pub(crate) fn answers(output: &str) -> Result<Answers> {
    let lines = output.lines().filter(|line| line.starts_with("{\"group\""));
    let parsed = lines.map(|line| serde_json::from_str::<Said>(line).with_context(|| line.to_owned()));
    parsed.map(|said| said.map(|said| ((said.name.clone(), said.who.clone()), said))).collect()
}

/// All attempts of both users.
pub(crate) async fn run_all(guest: &Guest, known: &Value) -> Result<(Answers, String)> {
    let (mut all, mut output) = (Answers::new(), String::new());
    for who in ["user", "root"] {
        let ended = run(guest, who, &[], known).await?;
        let said = ended.ok().with_context(|| format!("the attempts of {who}"))?;
        ensure!(!said.is_empty(), "nothing was tried: {ended:?}");
        all.extend(answers(&said)?);
        output.push_str(&said);
    }
    Ok((all, output))
}
