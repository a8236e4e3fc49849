//! What can go wrong between us and Apple, and who acts next.
//!
//! A variant says what was being attempted, for which token, and what Apple answered. None holds
//! a secret: of an answer's body only a word shaped like one of Apple's codes gets this far.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::id::{ProfileId, TokenName};

/// Why a call to Apple gave nothing. Cheap to clone: callers that waited for the same session
/// share the reason for its absence.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The options cannot make a client: a mistake in the configuration.
    #[error("could not set up the connection of `{token}` to Apple: {why}")]
    Setup {
        /// Whose connection.
        token: TokenName,
        /// What is wrong with the options.
        why: String,
    },
    /// Apple does not accept the credentials: revoked, replaced by a newer token, or its creator
    /// has left.
    #[error("could not {call} for `{token}`: Apple does not accept the server token ({answer})")]
    TokenRejected {
        /// What was attempted.
        call: Call,
        /// Whose token.
        token: TokenName,
        /// What Apple said.
        answer: Answer,
    },
    /// The year of the token is over.
    #[error("could not {call} for `{token}`: the server token has expired")]
    TokenExpired {
        /// What was attempted.
        call: Call,
        /// Which token.
        token: TokenName,
    },
    /// Apple refused a session it had given a moment ago. One process with the same token may
    /// have ended the session of another.
    #[error("could not {call} for `{token}`: Apple refused the session it had just given ({answer})")]
    SessionRefused {
        /// What was attempted.
        call: Call,
        /// Whose session.
        token: TokenName,
        /// What Apple said.
        answer: Answer,
    },
    /// The organisation has not accepted Apple's current terms. Everything else stays as it is.
    #[error("could not {call} for `{token}`: the organisation has not accepted Apple's new terms")]
    TermsNotSigned {
        /// What was attempted.
        call: Call,
        /// Whose organisation.
        token: TokenName,
    },
    /// The device management service behind the token is gone from the portal.
    #[error("could not {call} for `{token}`: the device management service is gone from Apple's portal")]
    ServerInactive {
        /// What was attempted.
        call: Call,
        /// Whose service.
        token: TokenName,
    },
    /// The service lacks the permission for this.
    #[error("could not {call} for `{token}`: Apple does not let this device management service do that")]
    AccessDenied {
        /// What was attempted.
        call: Call,
        /// Whose service.
        token: TokenName,
    },
    /// The cursor is older than the seven days for which Apple keeps changes.
    #[error("could not {call} for `{token}`: the sync cursor is too old")]
    CursorExpired {
        /// What was attempted.
        call: Call,
        /// Whose cursor.
        token: TokenName,
    },
    /// Apple does not know the cursor.
    #[error("could not {call} for `{token}`: Apple does not know the sync cursor")]
    CursorInvalid {
        /// What was attempted.
        call: Call,
        /// Whose cursor.
        token: TokenName,
    },
    /// The cursor has returned everything: the end of a fetch, or nothing new.
    #[error("could not {call} for `{token}`: the sync cursor has returned everything")]
    CursorExhausted {
        /// What was attempted.
        call: Call,
        /// Whose cursor.
        token: TokenName,
    },
    /// A sync was asked for without a cursor.
    #[error("could not {call} for `{token}`: Apple asks for a sync cursor")]
    CursorRequired {
        /// What was attempted.
        call: Call,
        /// Whose cursor.
        token: TokenName,
    },
    /// Apple does not know the profile, or no longer.
    #[error("could not {call} for `{token}`: Apple does not know the profile {profile}")]
    ProfileUnknown {
        /// What was attempted.
        call: Call,
        /// Whose profile.
        token: TokenName,
        /// The profile named in the request.
        profile: ProfileId,
    },
    /// Apple refuses the definition of a profile.
    #[error("could not {call} for `{token}`: Apple refused the profile ({code})")]
    ProfileRefused {
        /// What was attempted.
        call: Call,
        /// Whose profile.
        token: TokenName,
        /// Apple's code, such as `FLAGS_INVALID`.
        code: String,
    },
    /// Too many requests in too short a time.
    #[error("could not {call} for `{token}`: Apple asks for fewer requests")]
    TooManyRequests {
        /// What was attempted.
        call: Call,
        /// Whose requests.
        token: TokenName,
        /// How long Apple wants to be left alone, if it said.
        retry_after: Option<Duration>,
    },
    /// Apple's service is not well. On a profile's definition it can also mean values that Apple
    /// dislikes: two or three tries are enough there.
    #[error("could not {call} for `{token}`: Apple's service is not available ({answer})")]
    Unavailable {
        /// What was attempted.
        call: Call,
        /// For which token.
        token: TokenName,
        /// What Apple said.
        answer: Answer,
        /// How long Apple wants to be left alone, if it said.
        retry_after: Option<Duration>,
    },
    /// No answer: name resolution, connection, TLS or a timeout.
    #[error("could not {call} for `{token}`: no answer from {host}")]
    Unreachable {
        /// What was attempted.
        call: Call,
        /// For which token.
        token: TokenName,
        /// Where the request went.
        host: String,
        /// What the connection says.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// An answer that is none: not JSON, too large, or without what it is for.
    #[error("could not {call} for `{token}`: the answer makes no sense: {why}")]
    BadAnswer {
        /// What was attempted.
        call: Call,
        /// For which token.
        token: TokenName,
        /// What is wrong with it, without quoting it.
        why: String,
    },
    /// A refusal we have no better name for.
    #[error("could not {call} for `{token}`: Apple answered {answer}")]
    Unexpected {
        /// What was attempted.
        call: Call,
        /// For which token.
        token: TokenName,
        /// What Apple said.
        answer: Answer,
    },
}

/// Who acts next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The engine, on its own: the same again, not before `after`, or when it sees fit.
    Retry {
        /// How long Apple asked to be left alone, if it did.
        after: Option<Duration>,
    },
    /// The engine, on its own: forget the cursor and fetch the whole list.
    FetchEverything,
    /// Nobody: there is nothing more to get. A fetch goes over to sync with the same cursor.
    Done,
    /// The engine, on its own: the id of the profile is stale, define the profile again.
    DefineProfile,
    /// A person, who is told what to do.
    Operator(String),
}

/// One thing we ask of Apple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the words of `Display` say it
pub enum Call {
    Session,
    Account,
    Fetch,
    Sync,
    Devices,
    DefineProfile,
    Profile,
    Assign,
    Clear,
}

/// What Apple said in a refusal: the status and, if the body held one, the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Apple's code, such as `T_C_NOT_SIGNED` or `token_rejected`.
    pub code: Option<String>,
}

impl Error {
    /// Who acts next: the engine on its own, or the operator, told what to do.
    pub fn next(&self) -> Next {
        match self {
            Self::TooManyRequests { retry_after, .. } | Self::Unavailable { retry_after, .. } => {
                Next::Retry { after: *retry_after }
            }
            Self::Unreachable { .. } | Self::BadAnswer { .. } | Self::SessionRefused { .. } => {
                Next::Retry { after: None }
            }
            Self::CursorExpired { .. } | Self::CursorInvalid { .. } | Self::CursorRequired { .. } => {
                Next::FetchEverything
            }
            Self::CursorExhausted { .. } => Next::Done,
            Self::ProfileUnknown { .. } => Next::DefineProfile,
            Self::TokenRejected { .. }
            | Self::TokenExpired { .. }
            | Self::TermsNotSigned { .. }
            | Self::ServerInactive { .. }
            | Self::AccessDenied { .. }
            | Self::ProfileRefused { .. }
            | Self::Setup { .. }
            | Self::Unexpected { .. } => Next::Operator(self.advice()),
        }
    }

    /// The token this is about.
    pub fn token(&self) -> &TokenName {
        match self {
            Self::Setup { token, .. }
            | Self::TokenRejected { token, .. }
            | Self::TokenExpired { token, .. }
            | Self::SessionRefused { token, .. }
            | Self::TermsNotSigned { token, .. }
            | Self::ServerInactive { token, .. }
            | Self::AccessDenied { token, .. }
            | Self::CursorExpired { token, .. }
            | Self::CursorInvalid { token, .. }
            | Self::CursorExhausted { token, .. }
            | Self::CursorRequired { token, .. }
            | Self::ProfileUnknown { token, .. }
            | Self::ProfileRefused { token, .. }
            | Self::TooManyRequests { token, .. }
            | Self::Unavailable { token, .. }
            | Self::Unreachable { token, .. }
            | Self::BadAnswer { token, .. }
            | Self::Unexpected { token, .. } => token,
        }
    }

    /// What a person has to do about it.
    fn advice(&self) -> String {
        let token = self.token();
        match self {
            Self::TokenRejected { answer, .. } if answer.is_about_the_request() => format!(
                "check this machine's clock; if it is right, download a new token from Apple's portal and run \
                 `deputy token import {token} FILE`"
            ),
            Self::TokenRejected { .. } | Self::TokenExpired { .. } => format!(
                "download a new token from Apple's portal, then run `deputy token import {token} FILE`"
            ),
            Self::TermsNotSigned { .. } => "sign in to business.apple.com or school.apple.com as an \
                 administrator and accept the new terms; the next call that succeeds shows that it worked"
                .to_owned(),
            Self::ServerInactive { .. } => format!(
                "run `deputy token request {token}`, create a device management service in Apple's portal with \
                 the certificate, download its token, then run `deputy token import {token} FILE`"
            ),
            Self::AccessDenied { .. } => {
                "look up in Apple's portal what the device management service may do".to_owned()
            }
            Self::ProfileRefused { .. } => "correct the profile's file".to_owned(),
            Self::Setup { .. } => format!("correct `apple_url` under `[tokens.{token}]`"),
            _ => "try again later; if it stays, Apple's service has changed and Deputy needs an update"
                .to_owned(),
        }
    }
}

impl Answer {
    /// Apple dislikes how the request was signed; a wrong clock does that, too.
    fn is_about_the_request(&self) -> bool {
        matches!(
            self.code.as_deref(),
            Some("oauth_problem_advice" | "timestamp_refused" | "nonce_used" | "parameter_absent")
        )
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} {code}", self.status),
            None => write!(f, "{} without a code", self.status),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session => "open a session",
            Self::Account => "read the account",
            Self::Fetch => "fetch the devices",
            Self::Sync => "sync the devices",
            Self::Devices => "look up devices",
            Self::DefineProfile => "define a profile",
            Self::Profile => "read a profile",
            Self::Assign => "assign a profile",
            Self::Clear => "remove the profile of devices",
        })
    }
}
