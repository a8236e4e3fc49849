//! What can go wrong between us and Apple, and who acts next.
//!
//! A variant says what was being attempted, for which token, and what Apple answered. None holds
//! a secret: of an answer's body only a word shaped like one of Apple's codes gets this far.

mod call;
mod next;

use std::sync::Arc;
use std::time::Duration;

use domain::id::{ProfileId, TokenName};
use domain::token_facts::Why;
use jiff::SignedDuration;

use super::trouble::Trouble;

pub use call::{Answer, Call};
pub use next::Next;

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
    /// Apple does not accept the credentials, and our clock is far from Apple's: signatures hold the
    /// time.
    #[error(
        "could not {call} for `{token}`: Apple does not accept the server token, and this machine's clock is {}",
        clock(by)
    )]
    ClockWrong {
        /// What was attempted.
        call: Call,
        /// Whose token.
        token: TokenName,
        /// How far our clock is ahead of Apple's; negative, if it is behind.
        by: SignedDuration,
    },
    /// The person who made the token has left, or may no longer manage devices.
    #[error("could not {call} for `{token}`: who made the server token is gone, or may no longer use it")]
    CreatorGone {
        /// What was attempted.
        call: Call,
        /// Whose token.
        token: TokenName,
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
    /// No answer, and what kept it from us.
    #[error("could not {call} for `{token}`: {}", trouble.with(host))]
    Unreachable {
        /// What was attempted.
        call: Call,
        /// For which token.
        token: TokenName,
        /// What was to be reached: Apple, or the proxy on the way.
        host: String,
        /// What kept us from it.
        trouble: Trouble,
        /// What the connection says.
        #[source]
        source: Option<Arc<reqwest::Error>>,
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
    /// More devices than Apple takes in one call. Nothing was sent.
    #[error("could not {call} for `{token}`: {sent} devices are more than the 1,000 of one call")]
    TooManyDevices {
        /// What was attempted.
        call: Call,
        /// Whose devices.
        token: TokenName,
        /// How many there are.
        sent: usize,
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

impl Error {
    /// That the token is refused, if that is what it says: not a call, a device or the way there.
    pub fn refuses_token(&self) -> Option<Why> {
        match self {
            Self::TermsNotSigned { .. } => Some(Why::TermsNotSigned),
            Self::TokenRejected { .. } => Some(Why::Rejected),
            Self::TokenExpired { .. } => Some(Why::Expired),
            Self::CreatorGone { .. } => Some(Why::CreatorGone),
            Self::ServerInactive { .. } => Some(Why::ServerInactive),
            Self::SessionRefused { .. } => Some(Why::SessionRefused),
            // A wrong clock says nothing about the token.
            _ => None,
        }
    }

    /// The token this is about.
    pub fn token(&self) -> &TokenName {
        match self {
            Self::Setup { token, .. }
            | Self::TokenRejected { token, .. }
            | Self::TokenExpired { token, .. }
            | Self::ClockWrong { token, .. }
            | Self::CreatorGone { token, .. }
            | Self::TooManyDevices { token, .. }
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
}

/// `12 minutes behind Apple's`
fn clock(by: &SignedDuration) -> String {
    let side = if by.is_negative() { "behind" } else { "ahead of" };
    format!("{} {side} Apple's", domain::token::in_words(by.unsigned_abs()))
}
