//! `GET /session`: who holds the token gets a key.
//!
//! Where Apple's documentation and Apple's service disagree on a status, the service is the default.

use crate::oauth;
use crate::service::{CLOCK_WINDOW, Refusal, Request, admit, body, refuse};
use crate::settings::Settings;
use crate::state::{State, TokenState};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

/// Judges the signature and opens a session. A clock that was moved is not held against the client, who
/// could not know: either time is right.
pub(crate) fn open(state: &mut State, request: &Request, real: Timestamp) -> Result<Vec<u8>, Refusal> {
    let malformed = |why| Refusal { status: 400, code: "oauth_problem_adviceBad Request", why: Some(why) };
    let unauthorized =
        |why| Refusal { status: 401, code: "oauth_problem_adviceUnauthorized", why: Some(why) };
    let documented = state.settings.documented_401;
    let bad_token = |code, why| match documented {
        true => unauthorized(why),
        false => Refusal { status: 403, code, why: None },
    };
    let rejected = || bad_token("token_rejectedForbidden", "the token is none of ours");
    let header = request.authorization.ok_or(malformed("no Authorization header"))?;
    let signed = oauth::parse(header).map_err(|oauth::Malformed(why)| malformed(why))?;
    let now = state.now(real);
    let clocks = [real, now].map(|time| clock(&state.settings, time).as_second());
    let at = state.server_of_token(&signed.token).ok_or_else(rejected)?;
    let server = &mut state.servers[at];
    let token = server.token.clone().filter(|token| token.consumer_key == signed.consumer_key);
    let token = token.filter(|_| server.token_state != TokenState::Revoked).ok_or_else(rejected)?;
    let url = oauth::signed_url("http", request.host, request.path);
    let (consumer_secret, access_secret) = (&token.consumer_secret, &token.access_secret);
    if !signed.verify(request.method, &url, request.query, consumer_secret, access_secret) {
        return Err(bad_token("signature_invalidForbidden", "the signature is not right"));
    }
    if clocks.iter().all(|clock| (clock - signed.timestamp).abs() > CLOCK_WINDOW) {
        return Err(unauthorized("oauth_timestamp is more than five minutes off"));
    }
    if !server.remember_nonce(signed.timestamp, &signed.nonce, clocks[0].min(clocks[1])) {
        return Err(unauthorized("oauth_nonce was used before"));
    }
    if server.token_state == TokenState::Expired || now >= token.access_token_expiry {
        return Err(bad_token("token_expiredForbidden", "the token has expired"));
    }
    if server.token_state == TokenState::CreatorGone {
        return refuse(403, "FORBIDDEN");
    }
    admit(server)?;
    let key = state.open_session(at, now.as_second());
    body(&json!({ "auth_session_token": key }))
}

/// What the service's clock says when ours says this.
pub(crate) fn clock(settings: &Settings, time: Timestamp) -> Timestamp {
    let offset = SignedDuration::from_secs(settings.clock_offset_seconds);
    time.checked_add(offset).unwrap_or(time)
}
