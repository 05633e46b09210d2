//! Programs whose every output byte is known beforehand, and which leave a line per start.

use rand::Rng;
use rand::rngs::StdRng;
use sentinal_tests::NewExecution;
use serde_json::json;

/// What a program does between its first and last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All at once.
    Quick,
    /// A line, a pause, a line.
    Slow,
    /// Megabytes as fast as they are taken.
    Flood,
    /// Bytes that are no text.
    Binary,
    /// Runs until its timeout.
    Endless,
}

/// A program with its promises.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Unique in the whole test: in every line of output, and in the name of the file that counts the starts.
    pub(crate) mark: String,
    pub(crate) kind: Kind,
    stdout_lines: usize,
    stderr_lines: usize,
    exit_code: i32,
}

/// The memory of every sandbox, in pools too.
pub(crate) const MEMORY: &str = "128Mi";

const TIMEOUT_ENDLESS: f64 = 1.5;
const TIMEOUT: f64 = 120.0;

impl Program {
    pub(crate) fn random(rng: &mut StdRng, kind: Kind) -> Self {
        let stdout_lines = match kind {
            Kind::Quick => rng.random_range(0..2000),
            Kind::Slow => rng.random_range(10..40),
            Kind::Flood => rng.random_range(50_000..150_000),
            Kind::Binary => rng.random_range(1..40_000),
            Kind::Endless => 100_000,
        };
        let stderr_lines = if kind == Kind::Endless { 0 } else { rng.random_range(0..200) };
        let exit_code = if rng.random_bool(0.7) { 0 } else { rng.random_range(1..=125) };
        Self { mark: format!("{:08x}", rng.random::<u32>()), kind, stdout_lines, stderr_lines, exit_code }
    }

    /// Its request, in a sandbox or in one of its own.
    pub(crate) fn request(&self, sandbox: Option<&str>) -> NewExecution {
        let new = match self.kind {
            Kind::Binary => NewExecution::code("python", &self.python()),
            Kind::Quick | Kind::Slow | Kind::Flood | Kind::Endless => NewExecution::shell(&self.shell()),
        };
        let timeout = if self.kind == Kind::Endless { TIMEOUT_ENDLESS } else { TIMEOUT };
        let new = new.with("timeout", json!(timeout));
        sandbox.map_or_else(|| new.clone().with("memory", MEMORY), |sandbox| new.clone().within(sandbox))
    }

    fn shell(&self) -> String {
        let Self { mark, stdout_lines, stderr_lines, exit_code, .. } = self;
        let print = match self.kind {
            Kind::Slow | Kind::Endless => format!(
                "i=0; while [ $i -lt {stdout_lines} ]; do i=$((i+1)); printf '%09d o{mark}\\n' $i; sleep 0.05; done"
            ),
            Kind::Quick | Kind::Flood | Kind::Binary => format!("seq -f '%09.0f o{mark}' 1 {stdout_lines}"),
        };
        format!(
            "echo started >> {}; {print}; seq -f '%09.0f e{mark}' 1 {stderr_lines} >&2; exit {exit_code}",
            self.starts_file()
        )
    }

    fn python(&self) -> String {
        let Self { mark, stdout_lines, stderr_lines, exit_code, .. } = self;
        format!(
            "import sys\n\
             with open('{}', 'a') as starts: starts.write('started\\n')\n\
             sys.stdout.buffer.write(bytes((i * 7 + i // 251) & 255 for i in range({stdout_lines})))\n\
             sys.stdout.flush()\n\
             sys.stderr.write(''.join('%09d e{mark}\\n' % i for i in range(1, {stderr_lines} + 1)))\n\
             sys.exit({exit_code})\n",
            self.starts_file()
        )
    }

    /// A file in the sandbox with one line for every time the program was started.
    pub(crate) fn starts_file(&self) -> String {
        format!("/home/user/starts-{}", self.mark)
    }

    /// All it writes to standard output if nothing ends it earlier.
    pub(crate) fn stdout(&self) -> Vec<u8> {
        if self.kind == Kind::Binary {
            return (0..self.stdout_lines).map(|i| u8::try_from((i * 7 + i / 251) & 255).unwrap_or_default()).collect();
        }
        lines('o', &self.mark, self.stdout_lines)
    }

    /// All it writes to standard error.
    pub(crate) fn stderr(&self) -> Vec<u8> {
        lines('e', &self.mark, self.stderr_lines)
    }

    /// How it ends, as `outcome` and `exit_code`.
    pub(crate) const fn end(&self) -> (&'static str, Option<i32>) {
        match self.kind {
            Kind::Endless => ("timeout", None),
            Kind::Quick | Kind::Slow | Kind::Flood | Kind::Binary => ("exited", Some(self.exit_code)),
        }
    }
}

fn lines(stream: char, mark: &str, count: usize) -> Vec<u8> {
    (1..=count).flat_map(|line| format!("{line:09} {stream}{mark}\n").into_bytes()).collect()
}

/// A file's content, known from its seed.
pub(crate) fn content(seed: u64, size: usize) -> Vec<u8> {
    use rand::{RngCore, SeedableRng};
    let mut bytes = vec![0; size];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}
