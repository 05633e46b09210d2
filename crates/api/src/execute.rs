//! A program as callers ask for it to be run.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sentinal_model::{Code, Command, ContextId, Error, GuestPath, Language, Result, SandboxId, Spec, limits};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Encoding, Quantity, Terminal,
    create::{SpecFields, parse_wait},
    field::{named, parse_user, seconds, unique_map},
};

/// How much longer than its program a one-shot sandbox lives unless told: its boot, and collecting the results.
const ONE_SHOT_MARGIN: Duration = Duration::from_secs(60);

/// A program to be run: `command` or `code` with `language`. With `sandbox_id` in that sandbox; without one in a
/// sandbox of its own that is created for it and destroyed after it.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
#[schema(example = json!({"sandbox_id": "sbx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70", "command": "echo hello"}))]
pub struct Execute {
    /// Where to run it. Left out: in a new sandbox, the whole workflow in one call.
    pub sandbox_id: Option<String>,
    /// A line for `/bin/sh -c`; with `args` (even none) the program itself.
    pub command: Option<String>,
    /// Arguments of the program, or of the code.
    pub args: Option<Vec<String>>,
    /// A program's text, in `language`.
    pub code: Option<String>,
    /// Runs `code` in this context of the sandbox, after what was sent to it before; its language is the context's.
    pub context_id: Option<String>,
    /// What `code` is written in.
    #[schema(value_type = Option<crate::Language>)]
    pub language: Option<String>,
    /// Added to the sandbox's environment.
    #[serde(default, deserialize_with = "unique_map")]
    pub env: Option<BTreeMap<String, String>>,
    /// Where it starts; the user's home unless told.
    pub cwd: Option<String>,
    /// Standard input, whole; empty unless told.
    pub stdin: Option<String>,
    /// How `stdin` is written; `utf-8` unless told.
    pub stdin_encoding: Option<Encoding>,
    /// Standard input stays open after `stdin`: more can be sent to the execution while it runs.
    pub stdin_open: Option<bool>,
    /// Runs it on a terminal of this size: all it writes is `stdout`, and standard input stays open.
    pub terminal: Option<Terminal>,
    /// Seconds it may run; 60 unless told, and 86,400 on a terminal.
    #[schema(exclusive_minimum = 0, maximum = 86400)]
    pub timeout: Option<f64>,
    /// Seconds to wait for a sandbox that does not run yet; 30 unless told.
    #[schema(minimum = 0, maximum = 120)]
    pub wait: Option<f64>,
    /// A user name or number in the sandbox; the ordinary user (uid 1000) unless told.
    pub user: Option<String>,
    /// Answers at once with the execution's id.
    pub background: Option<bool>,
    /// One-shot only: as in a create.
    #[schema(value_type = Option<crate::EngineChoice>)]
    pub engine: Option<String>,
    /// One-shot only: as in a create.
    pub cpu: Option<f64>,
    /// One-shot only: as in a create.
    #[schema(value_type = Option<String>)]
    pub memory: Option<Quantity>,
    /// One-shot only: as in a create.
    #[schema(value_type = Option<String>)]
    pub disk: Option<Quantity>,
    /// One-shot only: as in a create.
    pub image: Option<String>,
    /// One-shot only: as in a create, but unless told long enough for `timeout`.
    pub ttl: Option<f64>,
    /// One-shot only: as in a create.
    #[serde(default, deserialize_with = "unique_map")]
    pub labels: Option<BTreeMap<String, String>>,
}

/// An [`Execute`] in which everything is valid.
#[derive(Debug)]
pub struct ParsedExecute {
    /// Where.
    pub target: Target,
    /// What.
    pub command: Command,
    /// How long to wait for the sandbox.
    pub wait: Duration,
    /// Whether the answer comes before the end.
    pub background: bool,
}

/// Where a program runs.
#[derive(Debug)]
pub enum Target {
    /// In a sandbox that is there.
    Sandbox(SandboxId),
    /// In one of its own.
    OneShot(Box<Spec>),
}

impl TryFrom<Execute> for ParsedExecute {
    type Error = Error;

    fn try_from(wire: Execute) -> Result<Self> {
        let context = context(&wire)?;
        let Execute { sandbox_id, engine, cpu, memory, disk, image, ttl, labels, .. } = wire;
        let fields = SpecFields { engine, cpu, memory, disk, image, ttl, labels };
        let terminal = wire.terminal.map(|terminal| named("terminal", terminal.try_into())).transpose()?;
        let timeout = parse_timeout(wire.timeout, terminal.is_some())?;
        let argv = match context {
            Some(_) => code_alone(wire.code)?,
            None => argv(wire.command, wire.args, wire.code, wire.language)?,
        };
        let command = Command {
            argv,
            env: environment(wire.env.unwrap_or_default())?,
            cwd: wire.cwd.map(|path| named("cwd", GuestPath::of_folder(&path))).transpose()?,
            user: wire.user.map(parse_user).transpose()?,
            stdin: stdin(wire.stdin, wire.stdin_encoding)?,
            stdin_open: wire.stdin_open.unwrap_or(false) || terminal.is_some(),
            timeout,
            terminal,
            context,
        };
        refuse_oversize(&command)?;
        Ok(Self {
            target: target(sandbox_id.as_deref(), fields, timeout)?,
            command,
            wait: parse_wait(wire.wait)?,
            background: wire.background.unwrap_or(false),
        })
    }
}

/// The context that is to run the code. What a program of its own would have is the context's already.
fn context(wire: &Execute) -> Result<Option<ContextId>> {
    let Some(id) = &wire.context_id else { return Ok(None) };
    if wire.sandbox_id.is_none() {
        return Err(Error::invalid("sandbox_id: is missing; a context is in a sandbox, say which"));
    }
    let given = [
        ("command", wire.command.is_some()),
        ("args", wire.args.is_some()),
        ("language", wire.language.is_some()),
        ("env", wire.env.is_some()),
        ("cwd", wire.cwd.is_some()),
        ("user", wire.user.is_some()),
        ("stdin", wire.stdin.is_some()),
        ("stdin_open", wire.stdin_open.is_some()),
        ("terminal", wire.terminal.is_some()),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((field, _)) => Err(Error::invalid(format!(
            "{field}: belongs to a program of its own, but context_id names one that is there; leave one of them out"
        ))),
        None => named("context_id", id.parse()).map(Some),
    }
}

fn code_alone(code: Option<String>) -> Result<Vec<String>> {
    let code = code.ok_or_else(|| Error::invalid("code: is missing; say what the context is to run"))?;
    check_length(&code)?;
    Ok(vec![code])
}

/// In a context it is no argument of a program, and yet may be as long as one: it waits in the sandbox's memory.
fn check_length(code: &str) -> Result<()> {
    let (length, most) = (code.len(), limits::ARGUMENT_BYTES_MAX);
    if length <= most {
        return Ok(());
    }
    let message = format!("code: has {length} bytes, the limit is {most}; upload it as a file and run that");
    Err(Error::new(Code::TooLarge, message))
}

fn target(sandbox_id: Option<&str>, fields: SpecFields, timeout: Duration) -> Result<Target> {
    let Some(id) = sandbox_id else {
        let ttl_default = limits::TTL_DEFAULT.max(timeout + ONE_SHOT_MARGIN).min(limits::TTL_MAX);
        return Ok(Target::OneShot(Box::new(fields.into_spec(ttl_default)?)));
    };
    match fields.given() {
        Some(field) => Err(Error::invalid(format!(
            "{field}: describes a new sandbox, but sandbox_id names one that is there; leave one of them out"
        ))),
        None => named("sandbox_id", id.parse()).map(Target::Sandbox),
    }
}

/// On a terminal somebody decides when it is over.
pub(crate) fn parse_timeout(timeout: Option<f64>, on_terminal: bool) -> Result<Duration> {
    let Some(value) = timeout else {
        return Ok(if on_terminal { limits::TIMEOUT_MAX } else { limits::TIMEOUT_DEFAULT });
    };
    let parsed = seconds("timeout", value, Duration::ZERO, limits::TIMEOUT_MAX)?;
    if parsed.is_zero() {
        return Err(Error::invalid("timeout: 0 leaves no time to run; write a number of seconds over 0"));
    }
    Ok(parsed)
}

/// Program and arguments, from whichever way they were given.
fn argv(
    command: Option<String>,
    args: Option<Vec<String>>,
    code: Option<String>,
    language: Option<String>,
) -> Result<Vec<String>> {
    let argv = match (command, args, code, language) {
        (Some(_), _, Some(_), _) => {
            return Err(Error::invalid("command and code exclude each other; give one of them"));
        }
        (Some(_), _, None, Some(_)) => {
            return Err(Error::invalid("language: belongs to code, not to command; leave it out or give code"));
        }
        (Some(command), _, _, _) if command.is_empty() => {
            return Err(Error::invalid("command: is empty; write a program, for example \"echo hello\""));
        }
        (Some(command), None, _, _) => strings(["/bin/sh", "-c"]).chain([command]).collect(),
        (Some(command), Some(args), _, _) => std::iter::once(command).chain(args).collect(),
        (None, args, Some(code), Some(language)) => code_argv(code, &language, args.unwrap_or_default())?,
        (None, _, Some(_), None) => {
            return Err(Error::invalid(
                "language: is missing; say what code is written in: python, javascript or bash",
            ));
        }
        (None, _, None, _) => {
            return Err(Error::invalid("command: is missing; give command, or code and language"));
        }
    };
    Ok(argv)
}

fn code_argv(code: String, language: &str, args: Vec<String>) -> Result<Vec<String>> {
    check_length(&code)?;
    let (program, flag, before_args) = match language.parse()? {
        Language::Python => ("python3", "-c", None),
        Language::Javascript => ("node", "-e", Some("--")),
        Language::Bash => ("bash", "-c", Some("bash")),
    };
    let before_args = before_args.filter(|_| !args.is_empty()).map(str::to_owned);
    Ok(strings([program, flag]).chain([code]).chain(before_args).chain(args).collect())
}

fn strings<const N: usize>(words: [&str; N]) -> impl Iterator<Item = String> {
    words.map(str::to_owned).into_iter()
}

pub(crate) fn environment(env: BTreeMap<String, String>) -> Result<Vec<(String, String)>> {
    if env.len() > limits::ENVIRONMENT_MAX {
        return Err(Error::invalid(format!("env: {} variables; the limit is {}", env.len(), limits::ENVIRONMENT_MAX)));
    }
    for (name, value) in &env {
        let shown: String = name.chars().take(64).collect();
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Error::invalid(format!("env: the name {shown:?} is empty or contains \"=\" or NUL")));
        }
        if value.contains('\0') {
            return Err(Error::invalid(format!("env.{shown}: contains a NUL character; no variable can")));
        }
    }
    Ok(env.into_iter().collect())
}

fn stdin(text: Option<String>, encoding: Option<Encoding>) -> Result<Vec<u8>> {
    let bytes = match (text, encoding) {
        (None, None) => Vec::new(),
        (None, Some(_)) => return Err(Error::invalid("stdin_encoding: there is no stdin; leave it out or give stdin")),
        (Some(text), None | Some(Encoding::Utf8)) => text.into_bytes(),
        (Some(text), Some(Encoding::Base64)) => named("stdin", BASE64_STANDARD.decode(text))?,
    };
    if bytes.len() > limits::STDIN_BYTES_MAX {
        let message =
            format!("stdin: has {} bytes, the limit is {}; upload a file", bytes.len(), limits::STDIN_BYTES_MAX);
        return Err(Error::new(Code::TooLarge, message));
    }
    Ok(bytes)
}

/// What no `execve` would take.
fn refuse_oversize(command: &Command) -> Result<()> {
    if command.argv.len() > limits::ARGUMENTS_MAX {
        return Err(Error::invalid(format!(
            "args: {} arguments; the limit is {}",
            command.argv.len(),
            limits::ARGUMENTS_MAX
        )));
    }
    if command.argv.iter().any(|argument| argument.contains('\0')) {
        return Err(Error::invalid("command, code and args must not contain a NUL character"));
    }
    let arguments = command.argv.iter().map(String::len);
    let entries = command.env.iter().map(|(name, value)| name.len() + 1 + value.len());
    let (mut total, mut longest) = (0_usize, 0_usize);
    for bytes in arguments.chain(entries) {
        total = total.saturating_add(bytes + 1);
        longest = longest.max(bytes);
    }
    if longest > limits::ARGUMENT_BYTES_MAX {
        let message = format!(
            "command, args, env: one of them has {longest} bytes, the limit is {}; upload a file",
            limits::ARGUMENT_BYTES_MAX
        );
        return Err(Error::new(Code::TooLarge, message));
    }
    if total > limits::ARGUMENTS_TOTAL_BYTES_MAX {
        let message = format!(
            "args and env: {total} bytes together, the limit is {}; upload a file",
            limits::ARGUMENTS_TOTAL_BYTES_MAX
        );
        return Err(Error::new(Code::TooLarge, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_json;

    fn parse(body: &str) -> Result<ParsedExecute> {
        parse_json::<Execute>(body.as_bytes())?.try_into()
    }

    fn check_argv(body: &str, argv: &[&str]) {
        assert_eq!(parse(body).unwrap().command.argv, argv, "{body}");
    }

    fn check_refused(body: &str, code: Code, message: &str) {
        let error = parse(body).unwrap_err();
        assert_eq!((error.code(), error.message()), (code, message), "{body}");
    }

    #[test]
    fn each_way_of_naming_a_program_becomes_its_arguments() {
        check_argv(r#"{"command":"echo $HOME"}"#, &["/bin/sh", "-c", "echo $HOME"]);
        check_argv(r#"{"command":"/bin/true","args":[]}"#, &["/bin/true"]);
        check_argv(r#"{"command":"echo","args":["a b","$x"]}"#, &["echo", "a b", "$x"]);
        check_argv(r#"{"code":"print(1)","language":"python"}"#, &["python3", "-c", "print(1)"]);
        check_argv(r#"{"code":"1","language":"javascript","args":["-x"]}"#, &["node", "-e", "1", "--", "-x"]);
        check_argv(r#"{"code":"echo $1","language":"bash","args":["a"]}"#, &["bash", "-c", "echo $1", "bash", "a"]);
    }

    #[test]
    fn a_program_that_is_not_said_clearly_is_refused() {
        let invalid = Code::InvalidRequest;
        check_refused("{}", invalid, "command: is missing; give command, or code and language");
        check_refused(r#"{"command":""}"#, invalid, "command: is empty; write a program, for example \"echo hello\"");
        check_refused(
            r#"{"command":"a","code":"b","language":"bash"}"#,
            invalid,
            "command and code exclude each other; give one of them",
        );
        check_refused(
            r#"{"code":"b","language":"cobol"}"#,
            invalid,
            "language: \"cobol\" is not known; known are python, javascript, bash",
        );
        check_refused(r#"{"command":"a\u0000b"}"#, invalid, "command, code and args must not contain a NUL character");
        check_refused(
            r#"{"command":"a","timeout":0}"#,
            invalid,
            "timeout: 0 leaves no time to run; write a number of seconds over 0",
        );
        check_refused(
            r#"{"command":"a","env":{"a=b":"c"}}"#,
            invalid,
            "env: the name \"a=b\" is empty or contains \"=\" or NUL",
        );
    }

    #[test]
    fn code_too_long_for_an_argument_is_to_be_uploaded() {
        let long = "x".repeat(limits::ARGUMENT_BYTES_MAX + 1);
        check_refused(
            &format!(r#"{{"code":"{long}","language":"python"}}"#),
            Code::TooLarge,
            "code: has 131072 bytes, the limit is 131071; upload it as a file and run that",
        );
        let within = r#""sandbox_id":"sbx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70","context_id":"ctx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70""#;
        check_refused(
            &format!(r#"{{{within},"code":"{long}"}}"#),
            Code::TooLarge,
            "code: has 131072 bytes, the limit is 131071; upload it as a file and run that",
        );
    }

    #[test]
    fn a_sandbox_that_is_there_takes_no_size() {
        check_refused(
            r#"{"sandbox_id":"sbx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70","command":"a","cpu":1}"#,
            Code::InvalidRequest,
            "cpu: describes a new sandbox, but sandbox_id names one that is there; leave one of them out",
        );
        let error = parse(r#"{"sandbox_id":"../etc","command":"a"}"#).unwrap_err();
        assert!(error.message().starts_with("sandbox_id: an id of this kind looks like sbx_"), "{error}");
    }

    #[test]
    fn a_one_shot_sandbox_lives_longer_than_its_program() {
        let Target::OneShot(spec) = parse(r#"{"command":"a","timeout":600}"#).unwrap().target else {
            panic!("no sandbox was named")
        };
        assert_eq!(spec.ttl, Duration::from_secs(660));
    }

    #[test]
    fn standard_input_may_be_bytes() {
        let parsed = parse(r#"{"command":"cat","stdin":"AP8=","stdin_encoding":"base64"}"#).unwrap();
        assert_eq!(parsed.command.stdin, [0, 255]);
        let error = parse(r#"{"command":"cat","stdin":"?","stdin_encoding":"base64"}"#).unwrap_err();
        assert!(error.message().starts_with("stdin: "), "{error}");
    }
}
