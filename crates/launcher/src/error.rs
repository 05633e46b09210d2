//! Where a launch failed.

use std::io;

/// The part of the work that failed; its name is the first word of the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Understanding the plan.
    Plan,
    /// Entering the sandbox's cgroup.
    Cgroup,
    /// Making a process in namespaces of its own, with users of its own.
    Namespaces,
    /// Attaching a file to a loop device.
    Loop,
    /// Mounting the image or the layer.
    FileSystem,
    /// Giving a mount the sandbox's users.
    Users,
    /// Laying the layer over the image.
    Overlay,
    /// Putting the rest of the root together.
    Tree,
    /// Limits and capabilities.
    Limits,
    /// Landlock.
    Landlock,
    /// The filter of system calls.
    Seccomp,
    /// Becoming the agent.
    Execute,
    /// What the two processes tell each other.
    Talk,
}

impl Step {
    /// All steps.
    pub const ALL: [Self; 13] = [
        Self::Plan,
        Self::Cgroup,
        Self::Namespaces,
        Self::Loop,
        Self::FileSystem,
        Self::Users,
        Self::Overlay,
        Self::Tree,
        Self::Limits,
        Self::Landlock,
        Self::Seccomp,
        Self::Execute,
        Self::Talk,
    ];

    /// The word it is known by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Cgroup => "cgroup",
            Self::Namespaces => "namespaces",
            Self::Loop => "loop",
            Self::FileSystem => "file-system",
            Self::Users => "users",
            Self::Overlay => "overlay",
            Self::Tree => "tree",
            Self::Limits => "limits",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::Execute => "execute",
            Self::Talk => "talk",
        }
    }

    /// The step that an error's text begins with.
    pub fn of(text: &str) -> Option<Self> {
        let (word, _) = text.split_once(": ")?;
        Self::ALL.into_iter().find(|step| step.as_str() == word)
    }
}

/// Why there is no sandbox: `<step>: cannot <what>: <the kernel's answer>`.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct LaunchError {
    text: String,
}

impl LaunchError {
    /// Any failure of a step.
    pub(crate) fn new(step: Step, what: &str, error: impl std::fmt::Display) -> Self {
        Self { text: format!("{}: cannot {what}: {error}", step.as_str()) }
    }

    /// What the process inside said.
    pub(crate) fn told(text: &[u8]) -> Self {
        Self { text: String::from_utf8_lossy(text).into_owned() }
    }

    /// Which part of the work it was.
    pub fn step(&self) -> Option<Step> {
        Step::of(&self.text)
    }
}

/// Names the step of a failed call.
pub(crate) trait At<T> {
    fn at(self, step: Step, what: &str) -> Result<T, LaunchError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: Step, what: &str) -> Result<T, LaunchError> {
        self.map_err(|error| LaunchError::new(step, what, error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_begins_with_its_step() {
        for step in Step::ALL {
            let error = LaunchError::new(step, "do it", "no");
            assert_eq!(error.step(), Some(step));
            assert_eq!(error.to_string(), format!("{}: cannot do it: no", step.as_str()));
        }
        assert_eq!(Step::of("sentinal: cannot"), None);
    }
}
