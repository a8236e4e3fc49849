//! Who acts next when a call gave nothing: the engine, or a person, told what to do.

use std::time::Duration;

use super::Error;

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

impl Error {
    /// Who acts next: the engine on its own, or the operator, told what to do.
    pub fn next(&self) -> Next {
        match self {
            Self::TooManyRequests { retry_after, .. } | Self::Unavailable { retry_after, .. } => {
                Next::Retry { after: *retry_after }
            }
            Self::Unreachable { trouble, .. } if trouble.needs_person() => self.operator(),
            Self::Unreachable { .. } | Self::BadAnswer { .. } | Self::SessionRefused { .. } => {
                Next::Retry { after: None }
            }
            Self::CursorExpired { .. } | Self::CursorInvalid { .. } | Self::CursorRequired { .. } => {
                Next::FetchEverything
            }
            Self::CursorExhausted { .. } => Next::Done,
            Self::ProfileUnknown { .. } => Next::DefineProfile,
            Self::TokenRejected { .. }
            | Self::ClockWrong { .. }
            | Self::CreatorGone { .. }
            | Self::TooManyDevices { .. }
            | Self::TokenExpired { .. }
            | Self::TermsNotSigned { .. }
            | Self::ServerInactive { .. }
            | Self::AccessDenied { .. }
            | Self::ProfileRefused { .. }
            | Self::Setup { .. }
            | Self::Unexpected { .. } => self.operator(),
        }
    }

    /// What a person has to do about it, or can do: also where the engine tries again by itself,
    /// since what keeps it from Apple may be ours to mend.
    pub fn advice(&self) -> Option<String> {
        let token = self.token();
        Some(match self {
            Self::ClockWrong { by, .. } => format!("set this machine's clock (it is {})", super::clock(by)),
            Self::TokenRejected { answer, .. } if answer.is_about_the_request() => format!(
                "check this machine's clock; if it is right, download a new token from Apple's portal and run \
                 `deputy token import {token} FILE`"
            ),
            Self::TokenRejected { .. } | Self::TokenExpired { .. } => format!(
                "download a new token from Apple's portal, then run `deputy token import {token} FILE`"
            ),
            Self::CreatorGone { .. } => format!(
                "sign in to Apple's portal with an account that stays and may manage device management services, \
                 download a new token, then run `deputy token import {token} FILE`"
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
            Self::Setup { .. } => {
                format!("correct `apple_url` under `[tokens.{token}]`, or what stands under `[apple]`")
            }
            Self::TooManyDevices { .. } => "name fewer devices at a time".to_owned(),
            Self::BadAnswer { .. } => {
                "if it stays, look whether a proxy or the sign-in page of a network answers in \
                 Apple's place"
                    .to_owned()
            }
            Self::Unreachable { trouble, .. } => trouble.advice()?.to_owned(),
            Self::Unexpected { answer, .. } => match answer.code.as_deref() {
                Some("ORG_NOT_SUPPORTED") => "Apple does not offer this to organisations of this kind",
                Some("MDM_SERVICE_DISCOVERY_URL_REQUIRED" | "MDM_SERVICE_DISCOVERY_URL_NOT_VALID") => {
                    "name an address that begins with https://"
                }
                _ => "try again later; if it stays, Apple's service has changed and Deputy needs an update",
            }
            .to_owned(),
            Self::SessionRefused { .. }
            | Self::CursorExpired { .. }
            | Self::CursorInvalid { .. }
            | Self::CursorExhausted { .. }
            | Self::CursorRequired { .. }
            | Self::ProfileUnknown { .. }
            | Self::TooManyRequests { .. }
            | Self::Unavailable { .. } => return None,
        })
    }

    fn operator(&self) -> Next {
        Next::Operator(self.advice().unwrap_or_default())
    }
}
