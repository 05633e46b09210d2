//! One instruction: what it is, and why others are not read.

/// An instruction after FROM, with its text as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// Where it begins, counted from 1.
    pub(crate) line: usize,
    pub(crate) word: Word,
    pub(crate) rest: String,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Arg,
    Run,
    Copy,
    Env,
    Workdir,
    User,
    Cmd,
    Entrypoint,
    Label,
}

impl Word {
    /// The name in capitals.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Arg => "ARG",
            Self::Run => "RUN",
            Self::Copy => "COPY",
            Self::Env => "ENV",
            Self::Workdir => "WORKDIR",
            Self::User => "USER",
            Self::Cmd => "CMD",
            Self::Entrypoint => "ENTRYPOINT",
            Self::Label => "LABEL",
        }
    }

    /// By its name in capitals.
    pub(crate) fn find(name: &str) -> Result<Self, String> {
        let all = [
            Self::Arg,
            Self::Run,
            Self::Copy,
            Self::Env,
            Self::Workdir,
            Self::User,
            Self::Cmd,
            Self::Entrypoint,
            Self::Label,
        ];
        let found = all.into_iter().find(|word| word.as_str() == name);
        found.ok_or_else(|| format!("{name} is not supported: {}", refusal_of(name)))
    }
}

/// Why an instruction is not read, and what to do instead.
pub fn refusal_of(name: &str) -> &'static str {
    match name {
        "FROM" => "a build has one stage; build the other one as an image of its own",
        "ADD" => "use COPY; what is to be downloaded or unpacked is so before the build, as there is no network in it",
        "EXPOSE" => "every port of a sandbox can be reached already; leave it out",
        "VOLUME" => "what a sandbox writes is its own already; leave it out",
        "SHELL" => "RUN [\"/path/of/shell\", \"-c\", \"...\"] names a shell",
        "HEALTHCHECK" | "STOPSIGNAL" | "ONBUILD" | "MAINTAINER" => "it means nothing in a sandbox; leave it out",
        _ => "FROM, ARG, RUN, COPY, ENV, WORKDIR, USER, CMD, ENTRYPOINT and LABEL are",
    }
}

/// Options at the beginning of an instruction are refused by name.
pub(crate) fn check_options(word: Word, rest: &str) -> Result<(), String> {
    let Some(option) = rest.split_whitespace().next().filter(|first| first.starts_with("--")) else { return Ok(()) };
    let name = option.split('=').next().unwrap_or(option);
    let instead = match (word, name) {
        (Word::Copy, "--from") => "a build has one stage; make a file of it in the context",
        (Word::Copy, "--chown" | "--chmod") => {
            "files are root's with the modes that they have; RUN chown or chmod afterwards"
        }
        (Word::Run, "--network") => "there is no network in a build",
        (Word::Run, "--mount") => "nothing is mounted in a build; COPY what it needs",
        _ => "leave it out",
    };
    Err(format!("{} {name} is not supported: {instead}", word.as_str()))
}

/// Texts that go over several lines without a backslash are refused, so that their lines are not taken for instructions.
pub(crate) fn check_here(word: Word, rest: &str) -> Result<(), String> {
    let is_here = |text: &str| {
        let text = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
        text.strip_prefix("<<").is_some_and(|label| !label.is_empty() && !label.starts_with('<') && label != "-")
    };
    if matches!(word, Word::Run | Word::Copy) && rest.split_whitespace().any(is_here) {
        return Err("here-documents are not supported: put the lines into a file and COPY it".to_owned());
    }
    Ok(())
}
