//! From an error to what it means for a run and what a person can do.

use std::error::Error as _;
use std::time::Duration;

use domain::duration::Span;
use domain::freeze::Frozen;
use domain::id::{PluginName, SerialNumber, TokenName};
use domain::run::{Failure, State};
use domain::token_facts::{Heard, Why};

use crate::settings::Unusable;
use crate::{apple, lifecycle, store};

/// Why a step did not get to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Apple, or the way there.
    #[error(transparent)]
    Apple(#[from] apple::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The token was never imported.
    #[error("the token `{token}` is not imported")]
    NotImported {
        /// Which.
        token: TokenName,
        /// Tokens that are here and not in the configuration: one may be this, under another name.
        others: Vec<TokenName>,
    },
    /// The token is not in the configuration.
    #[error("the token `{0}` is not in deputy.toml")]
    NotConfigured(TokenName),
    /// The plugin cannot be used.
    #[error("{}", .0.error)]
    Policy(Unusable),
    /// The plugin failed, and the workflow wants nothing done then.
    #[error("the policy `{policy}` failed on {devices} device{}, such as {example}: {reason}", if *devices == 1 { "" } else { "s" })]
    PolicyFailed {
        /// The plugin.
        policy: PluginName,
        /// On how many, as far as it was asked.
        devices: u64,
        /// One of them.
        example: SerialNumber,
        /// How.
        reason: String,
    },
    /// The file of the devices that are not to be moved cannot be read, so nothing is.
    #[error("the protected devices cannot be read from {}: {why}", path.display())]
    Protected {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Apple repeats a cursor and claims there is more.
    #[error("Apple repeats the sync cursor of `{0}` and says there is more; what it sent is stored")]
    Stalled(TokenName),
    /// Apple's answers are those of another server than the token was imported for.
    #[error(
        "Apple answers for the server {theirs}, and `{token}` was imported for {ours}; nothing was fetched"
    )]
    OtherServer {
        /// Which token.
        token: TokenName,
        /// The server it was imported for: its name and its id.
        ours: String,
        /// The server that answers: its name and its id.
        theirs: String,
    },
    /// Nothing is changed at Apple now.
    #[error("{}", .0.in_words())]
    Frozen(Frozen),
    /// The run is to end early.
    #[error("stopped before the end")]
    Stopped,
    /// The run is to end early, and Apple has not answered.
    #[error("stopped while waiting for Apple's answer to `{0}`")]
    NotAwaited(TokenName),
    /// The step has reached its time limit.
    #[error("stopped at its limit of {}: {source}", Span(*limit))]
    AtLimit {
        /// The limit.
        limit: Duration,
        /// What was broken off.
        #[source]
        source: Box<Error>,
    },
    /// A lock file cannot be used.
    #[error("cannot lock `{what}`")]
    Lock {
        /// What was to be locked.
        what: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Part of the work was done before it failed.
    #[error("{done}; then: {source}")]
    Partly {
        /// What was done.
        done: String,
        /// What failed.
        #[source]
        source: Box<Error>,
    },
}

impl Error {
    /// What it means for the run, in words that name what to do.
    pub fn failure(&self) -> Failure {
        let (state, hint) = self.state_and_hint();
        Failure { error: self.in_full(), hint, state, at_limit: matches!(self, Self::AtLimit { .. }) }
    }

    /// What it says about the token, if anything.
    pub(crate) fn heard(&self) -> Option<Heard> {
        match self {
            Self::Apple(error) => error.refuses_token().map(Heard::Refused),
            Self::OtherServer { .. } => Some(Heard::Refused(Why::OtherServer)),
            Self::Partly { source, .. } | Self::AtLimit { source, .. } => source.heard(),
            _ => None,
        }
    }

    /// The error and its causes in one line. Those that repeat their cause already are not repeated.
    fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let next = error.to_string();
            if !text.contains(&next) {
                text = format!("{text}: {next}");
            }
            cause = error.source();
        }
        text
    }

    fn state_and_hint(&self) -> (State, Option<String>) {
        match self {
            Self::Apple(error) => match error.next() {
                apple::Next::Operator(advice) => (State::NeedsPerson, Some(advice)),
                apple::Next::Retry { .. } => (State::Unavailable, error.advice()),
                apple::Next::FetchEverything => (
                    State::Unavailable,
                    Some("Apple refuses a cursor of its own; a later run fetches every device anew, at most once an hour".to_owned()),
                ),
                apple::Next::Done => {
                    (State::Unavailable, Some("that cannot be; the next run asks again".to_owned()))
                }
                apple::Next::DefineProfile => (
                    State::Failed,
                    Some("Apple forgot a profile that was just defined; the next run defines it again".to_owned()),
                ),
            },
            Self::Store(store::Error::Secret(error)) => (State::NeedsPerson, Some(error.advice())),
            Self::Store(error) if error.is_about_the_disk() => (
                State::Failed,
                Some(
                    "see that the disk of the store has room and can be written; the next run goes on from there"
                        .to_owned(),
                ),
            ),
            Self::Store(_) | Self::Lock { .. } => (State::Failed, None),
            Self::NotImported { token, others } => {
                (State::NeedsPerson, Some(lifecycle::how_to_import(token, None, others)))
            }
            Self::NotConfigured(token) => {
                (State::NeedsPerson, Some(format!("add a table `[tokens.{token}]` to deputy.toml")))
            }
            Self::Policy(unusable) => (State::NeedsPerson, unusable.hint.clone()),
            Self::Protected { .. } => (
                State::NeedsPerson,
                Some("mend the file, or change `protect_serials`; until then nothing is planned".to_owned()),
            ),
            Self::PolicyFailed { .. } => (
                State::Failed,
                Some("nothing was done for this token, as `on_fault = \"fail\"` wants".to_owned()),
            ),
            Self::OtherServer { token, .. } => (
                State::NeedsPerson,
                Some(format!(
                    "look at `apple_url` of `[tokens.{token}]`; if the server is meant to be another one, configure it \
                     under a name of its own and import its token there"
                )),
            ),
            Self::Stalled(_) => (State::Unavailable, Some("the next run goes on from there".to_owned())),
            Self::Frozen(_) => {
                (State::Stopped, Some("the first run after that does it; `[[freezes]]` in deputy.toml says so".to_owned()))
            }
            Self::Stopped => (State::Stopped, None),
            Self::NotAwaited(_) => (
                State::Stopped,
                Some(
                    "if that happens again, look for what swallows packets on the way to Apple: a proxy, a firewall"
                        .to_owned(),
                ),
            ),
            Self::Partly { source, .. } => source.state_and_hint(),
            Self::AtLimit { .. } => (
                State::Stopped,
                Some("the next run goes on from there; if it takes that long, give the step a longer `timeout`".to_owned()),
            ),
        }
    }
}
