//! Terminals as callers name them, and what is said beside their bytes.

use sentinal_model::{Command, Error, ExecutionId, GuestPath, Result, TerminalSize};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Execution, Query,
    execute::parse_timeout,
    field::{named, parse_user},
};

/// What a terminal runs unless told: the sandbox's best shell, as at a login.
const SHELL: &str = "command -v bash >/dev/null 2>&1 && exec bash -l; exec sh -l";
/// The size of a terminal unless told: that of the VT100.
const SIZE_DEFAULT: Terminal = Terminal { cols: 80, rows: 24 };

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object like {\"cols\": 80, \"rows\": 24}")]
pub struct Terminal {
    /// How many stand in a row.
    #[schema(minimum = 1, maximum = 65535, example = 80)]
    pub cols: u32,
    /// How many rows there are.
    #[schema(minimum = 1, maximum = 65535, example = 24)]
    pub rows: u32,
}

impl TryFrom<Terminal> for TerminalSize {
    type Error = Error;

    fn try_from(wire: Terminal) -> Result<Self> {
        let characters = |name, count| {
            let count = u16::try_from(count).ok().filter(|count| *count != 0);
            count.ok_or_else(|| Error::invalid(format!("{name}: a terminal has between 1 and {}", u16::MAX)))
        };
        Ok(Self { columns: characters("cols", wire.cols)?, rows: characters("rows", wire.rows)? })
    }
}

impl From<TerminalSize> for Terminal {
    fn from(size: TerminalSize) -> Self {
        Self { cols: size.columns.into(), rows: size.rows.into() }
    }
}

/// Whose terminal is wanted.
#[derive(Debug)]
pub enum TerminalQuery {
    /// One that runs, from this byte of its output on.
    Attach {
        /// Which.
        execution: ExecutionId,
        /// Of the first byte.
        offset: u64,
    },
    /// A new one.
    Start(Box<Command>),
}

impl TryFrom<Query> for TerminalQuery {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        if let Some(id) = query.take("execution_id") {
            let execution = named("execution_id", id.parse())?;
            let offset = query.take("offset").map_or(Ok(0), |text| named("offset", text.parse()))?;
            query.finish(&["execution_id", "offset"])?;
            return Ok(Self::Attach { execution, offset });
        }
        let command = Command {
            argv: ["/bin/sh", "-c", &query.take("command").unwrap_or_else(|| SHELL.to_owned())]
                .map(str::to_owned)
                .into(),
            env: Vec::new(),
            cwd: query.take("cwd").map(|path| named("cwd", GuestPath::of_folder(&path))).transpose()?,
            user: query.take("user").map(parse_user).transpose()?,
            stdin: Vec::new(),
            stdin_open: true,
            timeout: parse_timeout(
                query.take("timeout").map(|text| named("timeout", text.parse())).transpose()?,
                true,
            )?,
            terminal: Some(size(&mut query)?),
            context: None,
        };
        query.finish(&["execution_id", "command", "cwd", "user", "timeout", "cols", "rows"])?;
        if command.argv.iter().any(|text| text.contains('\0')) {
            return Err(Error::invalid("command: must not contain a NUL character"));
        }
        Ok(Self::Start(Box::new(command)))
    }
}

fn size(query: &mut Query) -> Result<TerminalSize> {
    let mut characters = |name, default| query.take(name).map_or(Ok(default), |text| named(name, text.parse()));
    let cols = characters("cols", SIZE_DEFAULT.cols)?;
    let rows = characters("rows", SIZE_DEFAULT.rows)?;
    Terminal { cols, rows }.try_into()
}

/// What a client says beside the bytes that it types.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum TerminalRequest {
    /// The terminal has another size.
    Resize {
        /// How many characters stand in a row.
        cols: u32,
        /// How many rows there are.
        rows: u32,
    },
}

/// What the server says beside the bytes of the terminal.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TerminalNotice {
    /// First of all.
    Attached {
        /// Which execution it is; to attach to it again.
        execution_id: String,
        /// Of the first byte that follows.
        offset: u64,
    },
    /// Bytes are missing here: those that follow begin at this offset.
    Gap {
        /// Of the first byte that follows.
        offset: u64,
    },
    /// Something that the client sent was not done.
    Error {
        /// Which kind of error.
        code: String,
        /// What was wrong.
        detail: String,
    },
    /// Last of all.
    Exited {
        /// How it ended.
        execution: Box<Execution>,
    },
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sentinal_model::limits;

    use super::*;

    fn parse(query: &str) -> Result<TerminalQuery> {
        Query::parse(query)?.try_into()
    }

    fn check_refused(query: &str, message: &str) {
        let error = parse(query).unwrap_err();
        assert!(error.message().starts_with(message), "{query}: {}", error.message());
    }

    #[test]
    fn a_new_terminal_is_a_login_shell_of_the_usual_size() {
        let TerminalQuery::Start(command) = parse("").unwrap() else { panic!("nothing was named") };
        assert_eq!(command.argv, ["/bin/sh", "-c", SHELL]);
        assert_eq!(command.terminal, Some(TerminalSize { columns: 80, rows: 24 }));
        assert_eq!((command.stdin_open, command.timeout), (true, limits::TIMEOUT_MAX));
        let TerminalQuery::Start(command) = parse("command=top&cols=132&rows=50&user=root&timeout=1.5").unwrap() else {
            panic!("nothing was named")
        };
        assert_eq!(command.argv[2], "top");
        assert_eq!(command.terminal, Some(TerminalSize { columns: 132, rows: 50 }));
        assert_eq!(command.timeout, Duration::from_millis(1500));
    }

    #[test]
    fn one_that_runs_is_attached_to_and_takes_nothing_else() {
        let id = "exe_0190f5c8e4b07c3e9f6a8d2b4c5e6f70";
        let TerminalQuery::Attach { execution, offset } = parse(&format!("execution_id={id}&offset=7")).unwrap() else {
            panic!("one was named")
        };
        assert_eq!((execution.to_string().as_str(), offset), (id, 7));
        check_refused(&format!("execution_id={id}&command=a"), "unknown field \"command\"");
        check_refused("execution_id=exe_1", "execution_id:");
        check_refused("offset=1", "unknown field \"offset\"");
    }

    #[test]
    fn a_terminal_without_room_is_refused() {
        check_refused("cols=0", "cols: a terminal has between 1 and 65535");
        check_refused("rows=65536", "rows: a terminal has between 1 and 65535");
        check_refused("cols=x", "cols:");
        check_refused("timeout=0", "timeout: 0 leaves no time");
    }
}
