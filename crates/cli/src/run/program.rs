//! What is to be run: a file of this machine, a text, or a command of the sandbox.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::Language;
use crate::failure::Failure;

/// Longest program on standard input.
const TEXT_BYTES_MAX: u64 = 16 << 20;
/// Enough for `#!` and what a compiled program begins with.
const MAGIC_BYTES: u64 = 4;

/// What was chosen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    /// A file that is brought in and run by `interpreter`, or by itself.
    File { local: PathBuf, interpreter: Option<&'static str>, args: Vec<String> },
    /// A text that is brought in and run by `interpreter`, or by its own first line.
    Text(Text),
    /// A program that is in the sandbox.
    Command(Vec<String>),
}

/// A program that came on standard input.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    pub(super) interpreter: Option<&'static str>,
    pub(super) args: Vec<String>,
}

/// How a file begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    /// There is no such file here.
    Missing,
    /// It is a folder.
    Folder,
    /// With `#!`.
    Script,
    /// As a compiled program does.
    Compiled,
    /// Otherwise.
    Other,
}

impl Language {
    const fn interpreter(self) -> &'static str {
        match self {
            Self::Python => "python3",
            Self::Javascript => "node",
            Self::Bash => "bash",
        }
    }

    fn of(name: &str) -> Option<Self> {
        match Path::new(name).extension()?.to_str()? {
            "py" => Some(Self::Python),
            "js" | "mjs" | "cjs" => Some(Self::Javascript),
            "sh" | "bash" => Some(Self::Bash),
            _ => None,
        }
    }
}

/// Whether the last `count` of all arguments come right after `--`, which no parser hands on.
pub(super) fn after_dashes(all: &[OsString], count: usize) -> bool {
    let before = all.len().checked_sub(count + 1).and_then(|at| all.get(at));
    before.is_some_and(|argument| argument == "--")
}

/// What these words mean.
pub(super) fn choose(words: &[String], language: Option<Language>) -> Result<Chosen> {
    match words {
        [first, args @ ..] if first == "-" => text(io::stdin().lock(), language, args.to_vec()).map(Chosen::Text),
        words => decide(words, language, begin),
    }
}

fn decide(words: &[String], language: Option<Language>, begin: impl Fn(&str) -> Begin) -> Result<Chosen> {
    let [first, args @ ..] = words else { return Err(Failure::usage("say what to run")) };
    let file = |interpreter: Option<Language>| Chosen::File {
        local: PathBuf::from(first),
        interpreter: interpreter.map(Language::interpreter),
        args: args.to_vec(),
    };
    let language = language.or_else(|| Language::of(first));
    match (begin(first), language) {
        (Begin::Folder, _) => Err(Failure::usage(format!(
            "{first} is a folder; bring it in and name a command: sentinal run --in {first} COMMAND"
        ))),
        (Begin::Missing, Some(_)) => {
            Err(Failure::usage(format!("there is no file {first} here; for one of the sandbox write -- before it")))
        }
        (Begin::Script | Begin::Other | Begin::Compiled, Some(language)) => Ok(file(Some(language))),
        (Begin::Script, None) => Ok(file(None)),
        // A name without a folder, or one from the root on, is more likely a command of the sandbox.
        (Begin::Compiled, None) if first.contains('/') && !first.starts_with('/') => Ok(file(None)),
        (Begin::Missing | Begin::Compiled | Begin::Other, None) => Ok(Chosen::Command(words.to_vec())),
    }
}

fn begin(name: &str) -> Begin {
    let path = Path::new(name);
    if path.is_dir() && name.contains(['/', '.']) {
        return Begin::Folder;
    }
    // Opening a pipe would wait for somebody who writes.
    if !path.is_file() {
        return Begin::Missing;
    }
    let mut magic = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAGIC_BYTES).read_to_end(&mut magic));
    match read.map(|_| magic.as_slice()) {
        Ok([b'#', b'!', ..]) => Begin::Script,
        Ok(b"\x7fELF") => Begin::Compiled,
        Ok(_) | Err(_) => Begin::Other,
    }
}

fn text(source: impl io::Read, language: Option<Language>, args: Vec<String>) -> Result<Text> {
    let mut bytes = Vec::new();
    source.take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes).context("read the program")?;
    if TEXT_BYTES_MAX < u64::try_from(bytes.len()).unwrap_or(u64::MAX) {
        return Err(Failure::usage("the program on standard input has more than 16 MiB; bring it in as a file"));
    }
    if language.is_none() && !bytes.starts_with(b"#!") {
        return Err(Failure::usage(
            "what is the program on standard input written in? Say --language python, javascript or bash",
        ));
    }
    Ok(Text { bytes, interpreter: language.map(Language::interpreter), args })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn file(text: &str, begin: Begin) -> Option<&'static str> {
        match decide(&words(text), None, |_| begin).unwrap() {
            Chosen::File { local, interpreter, args } => {
                assert_eq!((local, args), (PathBuf::from(words(text).remove(0)), words(text).split_off(1)));
                interpreter.or(Some("itself"))
            }
            Chosen::Text(_) | Chosen::Command(_) => None,
        }
    }

    #[test]
    fn a_files_name_says_its_language_and_else_its_first_line() {
        for (text, interpreter) in [
            ("app.py a b", "python3"),
            ("src/app.mjs", "node"),
            ("app.cjs", "node"),
            ("/home/me/app.js -x", "node"),
            ("job.sh", "bash"),
        ] {
            assert_eq!(file(text, Begin::Other), Some(interpreter), "{text}");
            assert_eq!(file(text, Begin::Script), Some(interpreter), "{text}");
        }
        assert_eq!(file("job", Begin::Script), Some("itself"));
        assert_eq!(file("./program", Begin::Compiled), Some("itself"));
    }

    #[test]
    fn everything_else_is_a_command() {
        for (text, begin) in [
            ("ls -l", Begin::Missing),
            ("python3 -c print(1)", Begin::Missing),
            ("/bin/ls", Begin::Compiled),
            ("ls", Begin::Compiled),
            ("notes.txt", Begin::Other),
        ] {
            assert_eq!(file(text, begin), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_can() {
        let check = |text, begin, words_of| {
            let error = decide(&words(text), None, |_| begin).unwrap_err().to_string();
            assert!(error.contains(words_of), "{error}");
        };
        check("app.py", Begin::Missing, "there is no file app.py here");
        check("./project", Begin::Folder, "--in ./project");
    }

    #[test]
    fn two_dashes_are_seen() {
        let all: Vec<OsString> = ["sentinal", "run", "--", "app.py", "x"].map(Into::into).into();
        assert!(after_dashes(&all, 2));
        assert!(!after_dashes(&all[1..], 1));
        assert!(!after_dashes(&[], 0));
    }

    #[test]
    fn a_text_says_its_language_or_is_told_it() {
        let read = |bytes: &[u8], language| text(bytes, language, Vec::new());
        assert_eq!(read(b"#!/bin/sh\n", None).unwrap().interpreter, None);
        assert_eq!(read(b"print(1)", Some(Language::Python)).unwrap().interpreter, Some("python3"));
        assert!(read(b"print(1)", None).is_err());
    }
}
