//! From a refusal of Apple's to an [`Error`]: by the code in the body first, by the status second,
//! because Apple documents 401 where its service answers 403.
//!
//! Bodies come in four shapes: the bare code, the code in quotes, an OAuth problem word glued to
//! the HTTP reason phrase, and a JSON object with a `code`. (Apple: "Interpreting Automated Device
//! Enrollment error codes"; the other shapes are what services and simulators were seen to send.)

use std::time::Duration;

use domain::id::{ProfileId, TokenName};
use jiff::SignedDuration;

use super::error::{Answer, Call, Error};
use super::trouble::Trouble;

/// No more of a refusal is read: a code is short, and a proxy's error page may be anything.
pub(super) const BODY_LIMIT: usize = 64 * 1024;

/// What was attempted, for the words of an error.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) call: Call,
    pub(super) token: TokenName,
    /// Where the request goes.
    pub(super) host: String,
    /// The profile the request names.
    pub(super) profile: Option<ProfileId>,
}

/// Whether the session was refused, so that a new one may help: 401, or 403 with `FORBIDDEN`.
/// In capitals only: refused credentials read `token_expiredForbidden`.
pub(super) fn refuses_session(status: u16, body: &[u8]) -> bool {
    match status {
        401 => !is_foreign(body) && !code(body).is_some_and(|code| is_about_the_token(&code)),
        403 => code(body).is_some_and(|code| code.contains("FORBIDDEN")),
        _ => false,
    }
}

/// The error for an answer that is not a success.
pub(super) fn classify(attempt: &Attempt, status: u16, body: &[u8], retry_after: Option<Duration>) -> Error {
    let code = code(body);
    let Attempt { call, token, host, profile } = attempt.clone();
    let answer = Answer { status, code: code.clone() };
    match status {
        // Not Apple's answer but that of a proxy on the way.
        407 => {
            let trouble = Trouble::ProxyCredentials;
            return Error::Unreachable { call, token, host, trouble, source: None };
        }
        300..=399 => {
            let why = "it points elsewhere, as the sign-in page of a network does and Apple does not";
            return Error::BadAnswer { call, token, why: why.to_owned() };
        }
        _ => {}
    }
    match (code.as_deref(), profile) {
        (Some("token_expired"), _) => return Error::TokenExpired { call, token },
        (Some(code), _) if is_about_the_token(code) => return Error::TokenRejected { call, token, answer },
        (Some("FORBIDDEN"), _) if call == Call::Session => return Error::CreatorGone { call, token },
        (Some("T_C_NOT_SIGNED"), _) => return Error::TermsNotSigned { call, token },
        (Some("SERVER_INACTIVE"), _) => return Error::ServerInactive { call, token },
        (Some("ACCESS_DENIED"), _) => return Error::AccessDenied { call, token },
        (Some("EXPIRED_CURSOR"), _) => return Error::CursorExpired { call, token },
        (Some("INVALID_CURSOR"), _) => return Error::CursorInvalid { call, token },
        (Some("EXHAUSTED_CURSOR"), _) => return Error::CursorExhausted { call, token },
        (Some("CURSOR_REQUIRED"), _) => return Error::CursorRequired { call, token },
        (Some("TOO_MANY_REQUESTS"), _) => return Error::TooManyRequests { call, token, retry_after },
        (Some("PROFILE_NOT_FOUND" | "NOT_FOUND"), Some(profile)) => {
            return Error::ProfileUnknown { call, token, profile };
        }
        // Apple documents the status alone for an unknown profile.
        (None, Some(profile)) if status == 404 => return Error::ProfileUnknown { call, token, profile },
        (Some(code), _) if call == Call::DefineProfile && status == 400 && !is_about_transport(code) => {
            return Error::ProfileRefused { call, token, code: code.to_owned() };
        }
        _ => {}
    }
    match status {
        // Whoever took it for Apple's would have a good token replaced.
        400..=428 | 430..=499 if is_foreign(body) => {
            let why = format!("a proxy or a firewall answers {status} in Apple's place");
            Error::BadAnswer { call, token, why }
        }
        400 | 401 | 403 if call == Call::Session => Error::TokenRejected { call, token, answer },
        401 | 403 if refuses_session(status, body) => Error::SessionRefused { call, token, answer },
        429 => Error::TooManyRequests { call, token, retry_after },
        500..=599 => Error::Unavailable { call, token, answer, retry_after },
        _ => Error::Unexpected { call, token, answer },
    }
}

/// The error itself, or that our clock is why: Apple's is far from ours, and what it refuses is
/// what was signed with the time. `ahead` is how far ours is ahead.
pub(super) fn or_clock(error: Error, ahead: Option<SignedDuration>) -> Error {
    /// What servers allow. (Apple names no number; this is what its imitators use.)
    const ALLOWED: Duration = Duration::from_secs(5 * 60);
    match (error, ahead) {
        (Error::TokenRejected { call, token, .. }, Some(by)) if by.unsigned_abs() > ALLOWED => {
            Error::ClockWrong { call, token, by }
        }
        (error, _) => error,
    }
}

/// The body of a refusal is none of Apple's, which are a code or nothing at all.
fn is_foreign(body: &[u8]) -> bool {
    !body.trim_ascii().is_empty() && code(body).is_none()
}

/// Apple's code in the body of a refusal, if there is something shaped like one.
///
/// Anything else is dropped, not quoted: a proxy may echo what we sent, and what we send holds
/// secrets. Those have digits; Apple's codes have none.
pub(super) fn code(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&body[..body.len().min(BODY_LIMIT)]);
    let text = text.trim_start_matches('\u{feff}').trim();
    let object;
    let text = if text.starts_with('{') {
        object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).ok()?;
        object.get("code")?.as_str()?.trim()
    } else {
        text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).trim()
    };
    let text = REASON_PHRASES
        .iter()
        .find_map(|phrase| text.strip_suffix(phrase).map(str::trim_end).filter(|code| is_known(code)))
        .unwrap_or(text);
    let shaped = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphabetic() || b"_-. ".contains(&b));
    shaped.then(|| text.to_owned())
}

const REASON_PHRASES: [&str; 4] = ["Bad Request", "Unauthorized", "Forbidden", "Not Found"];

/// Words of the OAuth problem extension: something about the credentials or the signature.
const ABOUT_THE_TOKEN: [&str; 14] = [
    "token_rejected",
    "token_expired",
    "token_revoked",
    "token_used",
    "signature_invalid",
    "signature_method_rejected",
    "consumer_key_unknown",
    "consumer_key_rejected",
    "consumer_key_refused",
    "oauth_problem_advice",
    "parameter_absent",
    "timestamp_refused",
    "nonce_used",
    "version_rejected",
];

/// Codes that say nothing about what was asked, only about how.
const ABOUT_TRANSPORT: [&str; 5] =
    ["MALFORMED_REQUEST_BODY", "USER_AGENT_MISSING", "USER_AGENT_INVALID", "UNAUTHORIZED", "FORBIDDEN"];

/// The other codes that may come with a reason phrase behind them.
const OTHERS: [&str; 29] = [
    "T_C_NOT_SIGNED",
    "ACCESS_DENIED",
    "SERVER_INACTIVE",
    "TOO_MANY_REQUESTS",
    "CURSOR_REQUIRED",
    "INVALID_CURSOR",
    "EXPIRED_CURSOR",
    "EXHAUSTED_CURSOR",
    "DEVICE_ID_REQUIRED",
    "PROFILE_UUID_REQUIRED",
    "PROFILE_NOT_FOUND",
    "NOT_FOUND",
    "DEVICE_NOT_FOUND",
    "APPLE_SEED_FOR_IT_TURNED_OFF",
    "ORG_NOT_SUPPORTED",
    "MDM_SERVICE_DISCOVERY_URL_REQUIRED",
    "MDM_SERVICE_DISCOVERY_URL_NOT_VALID",
    "CONFIG_NAME_REQUIRED",
    "CONFIG_NAME_INVALID",
    "CONFIG_URL_REQUIRED",
    "CONFIG_URL_INVALID",
    "DEPARTMENT_REQUIRED",
    "DEPARTMENT_INVALID",
    "FLAGS_INVALID",
    "LOCALE_INVALID",
    "MAGIC_INVALID",
    "SUPPORT_EMAIL_INVALID",
    "SUPPORT_PHONE_REQUIRED",
    "SUPPORT_PHONE_INVALID",
];

fn is_about_the_token(code: &str) -> bool {
    ABOUT_THE_TOKEN.contains(&code)
}

fn is_about_transport(code: &str) -> bool {
    ABOUT_TRANSPORT.contains(&code)
}

fn is_known(code: &str) -> bool {
    is_about_the_token(code) || is_about_transport(code) || OTHERS.contains(&code)
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
