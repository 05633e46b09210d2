//! The caller's own terminal: what is changed there is changed back.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Another way of reading keys. Until it is dropped.
#[derive(Debug)]
pub(crate) struct Keys {
    before: Termios,
}

impl Keys {
    /// They come one by one and are not shown; Ctrl-C still is a signal.
    pub(crate) fn unshown() -> Result<Self> {
        Self::change(|settings| settings.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO))
    }

    /// All of them are somebody else's, Ctrl-C with them.
    pub(crate) fn raw() -> Result<Self> {
        Self::change(Termios::make_raw)
    }

    fn change(change: impl FnOnce(&mut Termios)) -> Result<Self> {
        let before = tcgetattr(io::stdin()).context("ask for the terminal's settings")?;
        let mut settings = before.clone();
        change(&mut settings);
        tcsetattr(io::stdin(), OptionalActions::Now, &settings).context("change the terminal's settings")?;
        Ok(Self { before })
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// A screen beside the one with the caller's own text. Until it is dropped.
#[derive(Debug)]
pub(crate) struct Screen(io::Stdout);

impl Screen {
    /// An empty one, without a cursor.
    pub(crate) fn open() -> Result<Self> {
        let screen = Self(io::stdout());
        screen.write("\x1b[?1049h\x1b[?25l")?;
        Ok(screen)
    }

    /// Draws these lines from the top on, over what was there.
    pub(crate) fn draw(&self, lines: &[String]) -> Result<()> {
        let lines: Vec<String> = lines.iter().map(|line| format!("{line}\x1b[K")).collect();
        self.write(&format!("\x1b[H{}\x1b[J", lines.join("\r\n")))
    }

    fn write(&self, text: &str) -> Result<()> {
        let mut stdout = self.0.lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("draw on the terminal")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.write("\x1b[?25h\x1b[?1049l");
    }
}
