//! How a command ends: with an exit code that scripts can rely on, and, if not well, with what
//! failed, why, and what to type next.

use std::fmt::Display;
use std::process::ExitCode;

use domain::document::Mistakes;
use domain::run::State;
use engine::{failure, lifecycle, store};

/// Exit codes. They do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything that was asked for was done.
    Success = 0,
    /// Something failed.
    Failure = 1,
    /// The command line or a file of the operator's is wrong.
    Usage = 2,
    /// A rail, a review or a person said no, or the world has moved on; nothing was changed.
    Refused = 3,
    /// A person has to do something first.
    NeedsPerson = 4,
    /// Apple or the network did not answer; try again later.
    Unavailable = 5,
}

impl Exit {
    /// Of two endings the one to tell: what needs a person comes before what heals by itself.
    pub fn or_worse(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Success => 0,
            Self::Unavailable => 1,
            Self::Failure => 2,
            Self::Usage => 3,
            Self::Refused => 4,
            Self::NeedsPerson => 5,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Problem {
    /// How the command ends.
    pub exit: Exit,
    /// What failed, and why: the outermost first.
    pub chain: Vec<String>,
    /// What to type or do next.
    pub hint: Option<String>,
}

/// What a command comes to.
pub(crate) type Outcome<T = Exit> = Result<T, Problem>;

impl Problem {
    /// A problem of this kind.
    pub(crate) fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, chain: vec![message.to_string()], hint: None }
    }

    /// Something the operator wrote is wrong.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// With what to type or do next.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// The file system refused something.
    pub(crate) fn file(doing: impl Display, path: &std::path::Path, error: &std::io::Error) -> Self {
        // A file that is not there was misnamed by whoever named it.
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::Usage } else { Exit::Failure };
        Self {
            chain: vec![format!("cannot {doing} {}", path.display()), error.to_string()],
            ..Self::new(exit, "")
        }
    }

    /// Prints the problem to standard error.
    pub(crate) fn print(&self) {
        let [first, causes @ ..] = self.chain.as_slice() else { return };
        // The mistakes of a file come with their own heading and place.
        let heading =
            if first.starts_with("error: ") || first.starts_with("error[") { "" } else { "error: " };
        eprintln!("{heading}{first}");
        for cause in causes {
            eprintln!("  caused by: {cause}");
        }
        if let Some(hint) = &self.hint {
            eprintln!("hint: {hint}");
        }
    }

    /// An error with what caused it.
    pub(crate) fn of(exit: Exit, error: &dyn std::error::Error) -> Self {
        let mut chain = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !chain.iter().any(|said| said.contains(&text)) {
                chain.push(text);
            }
            cause = error.source();
        }
        Self { exit, chain, hint: None }
    }
}

impl From<Mistakes> for Problem {
    fn from(mistakes: Mistakes) -> Self {
        Self::usage(mistakes)
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        let problem = Self::of(Exit::Failure, &error);
        match error {
            store::Error::Secret(error) => Self { exit: Exit::NeedsPerson, ..problem.hint(error.advice()) },
            store::Error::Newer { .. } => problem.hint("use the Deputy that wrote it, or a newer one"),
            _ => problem,
        }
    }
}

impl From<&failure::Error> for Problem {
    fn from(error: &failure::Error) -> Self {
        let failure = error.failure();
        Self { hint: failure.hint, ..Self::of(failure.state.into(), error) }
    }
}

impl From<failure::Error> for Problem {
    fn from(error: failure::Error) -> Self {
        Self::from(&error)
    }
}

impl From<lifecycle::Error> for Problem {
    fn from(error: lifecycle::Error) -> Self {
        let exit = match &error {
            lifecycle::Error::Check { source, .. } => match source.next() {
                engine::apple::Next::Retry { .. } => Exit::Unavailable,
                _ => Exit::NeedsPerson,
            },
            lifecycle::Error::NotConfigured(_) => Exit::Usage,
            lifecycle::Error::MovingIn(error) if error.is_about_usage() => Exit::Usage,
            lifecycle::Error::Store(_) | lifecycle::Error::Request(_) => Exit::Failure,
            _ => Exit::NeedsPerson,
        };
        Self { hint: error.advice(), ..Self::of(exit, &error) }
    }
}

impl From<State> for Exit {
    fn from(state: State) -> Self {
        match state {
            State::Succeeded | State::Running | State::Skipped | State::Approved | State::Replaced => {
                Self::Success
            }
            State::Unavailable => Self::Unavailable,
            State::Stopped | State::Interrupted | State::Failed => Self::Failure,
            State::Refused => Self::Refused,
            State::NeedsPerson | State::Waiting | State::Lapsed => Self::NeedsPerson,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
