//! A request and its answer: the session that lets it in, limits on what is read, and what a
//! refusal means.

use std::sync::Arc;
use std::time::Duration;

use domain::id::ProfileId;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use serde::Serialize;
use url::Url;

use super::client::Client;
use super::error::{Call, Error};
use super::refusal::{self, Attempt};
use super::session::Held;
use super::trouble::Trouble;
use super::{backoff, oauth, wire};

/// The newest protocol version: the first that says how long throttled devices are to be left
/// alone. Apple does not mind a version it does not know. (Apple: "Device", "Assign a Profile".)
const PROTOCOL_VERSION: HeaderValue = HeaderValue::from_static("10");
const PROTOCOL_HEADER: HeaderName = HeaderName::from_static("x-server-protocol-version");
const SESSION_HEADER: HeaderName = HeaderName::from_static("x-adm-auth-session");
/// To the letter: Apple's own simulator accepts no other, not even on a GET.
const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=UTF8");
/// A page of 5,000 devices has some 3 MiB.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// What every request says of itself.
pub(super) fn headers(user_agent: HeaderValue) -> HeaderMap {
    HeaderMap::from_iter([
        (USER_AGENT, user_agent),
        (ACCEPT, JSON),
        (CONTENT_TYPE, JSON),
        (PROTOCOL_HEADER, PROTOCOL_VERSION),
    ])
}

/// One request, ready to be sent, and to be sent again.
pub(super) struct Ask<'a> {
    pub(super) call: Call,
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) query: Option<(&'static str, &'a str)>,
    pub(super) body: Option<Vec<u8>>,
    /// The profile it names, for the words of an error.
    pub(super) profile: Option<&'a ProfileId>,
    /// Where Apple's documentation asks for another than the newest.
    pub(super) version: HeaderValue,
}

impl Ask<'_> {
    pub(super) fn get(call: Call, path: &'static str) -> Self {
        let (method, version) = (Method::GET, PROTOCOL_VERSION);
        Self { call, method, path, query: None, body: None, profile: None, version }
    }

    pub(super) fn post(call: Call, path: &'static str, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("our requests always make JSON");
        Self { method: Method::POST, body: Some(body), ..Self::get(call, path) }
    }
}

/// An answer, bounded and not yet understood.
struct Reply {
    call: Call,
    status: u16,
    success: bool,
    retry_after: Option<Duration>,
    session: Option<HeaderValue>,
    /// How far our clock is ahead of the answer's.
    ahead: Option<SignedDuration>,
    body: Vec<u8>,
}

/// What Apple answered, and nobody has read.
pub(super) struct Unread {
    attempt: Attempt,
    pub(super) body: Vec<u8>,
}

impl Unread {
    pub(super) fn read<T>(&self, read: impl FnOnce(&[u8]) -> Result<T, String>) -> Result<T, Error> {
        read(&self.body).map_err(|why| bad_answer(&self.attempt, why))
    }
}

impl Reply {
    fn refuses_session(&self) -> bool {
        self.call != Call::Session && refusal::refuses_session(self.status, &self.body)
    }
}

impl Client {
    /// Sends, then `read`s the answer.
    pub(super) async fn ask<T>(
        &self,
        ask: Ask<'_>,
        read: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<T, Error> {
        self.answer(ask).await?.read(read)
    }

    /// Sends, with the session there is or a new one; once more with another if Apple refuses
    /// that one.
    pub(super) async fn answer(&self, ask: Ask<'_>) -> Result<Unread, Error> {
        let attempt = self.attempt(ask.call, ask.profile);
        let mut held = self.0.session.get(self.open_session()).await?;
        let mut reply = self.send(&ask, &attempt, SESSION_HEADER, &held.value).await?;
        if reply.refuses_session() {
            self.0.session.forget(&held);
            held = self.0.session.get(self.open_session()).await?;
            reply = self.send(&ask, &attempt, SESSION_HEADER, &held.value).await?;
        }
        self.keep_session(&held, &reply);
        accepted(attempt, reply)
    }

    /// Adopts the session that came with an answer, or forgets the one that Apple refuses.
    fn keep_session(&self, held: &Held, reply: &Reply) {
        if reply.refuses_session() {
            self.0.session.forget(held);
        } else if let Some(session) = &reply.session {
            self.0.session.adopt(held, session.clone());
        }
    }

    /// Opens a session. Apple documents 401 also for a nonce or a time it has seen before, so that
    /// answer is worth one more try with others. (Apple: "Interpreting Automated Device Enrollment
    /// error codes".)
    async fn open_session(&self) -> Result<HeaderValue, Error> {
        let ask = Ask::get(Call::Session, "/session");
        let attempt = self.attempt(ask.call, None);
        let mut reply = self.send(&ask, &attempt, AUTHORIZATION, &self.signed(&ask)?).await?;
        if reply.status == 401 {
            reply = self.send(&ask, &attempt, AUTHORIZATION, &self.signed(&ask)?).await?;
        }
        let session = accepted(attempt, reply)?.read(|body| {
            let session = wire::session(body)?;
            HeaderValue::from_str(&session).map_err(|_| "its auth_session_token is no header".to_owned())
        })?;
        tracing::debug!(token = %self.0.token, "opened a session with Apple for {}", self.0.token);
        Ok(session)
    }

    /// The signature that asks for a session, never the same twice.
    fn signed(&self, ask: &Ask<'_>) -> Result<HeaderValue, Error> {
        let mut nonce = [0; 16];
        let signed = openssl::rand::rand_bytes(&mut nonce).and_then(|()| {
            let nonce: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
            let moment = oauth::Moment { nonce: &nonce, timestamp: Timestamp::now().as_second() };
            oauth::authorization(&self.url(ask), &self.0.credentials, &moment)
        });
        let setup = |why: String| Error::Setup { token: self.0.token.clone(), why };
        let signed = signed.map_err(|error| setup(format!("the request could not be signed ({error})")))?;
        let signed = HeaderValue::from_str(&signed);
        let mut signed = signed.map_err(|_| setup("the signature is no header".to_owned()))?;
        signed.set_sensitive(true);
        Ok(signed)
    }

    /// One request, one answer. `credential` is what lets us in, under its header's name.
    async fn send(
        &self,
        ask: &Ask<'_>,
        attempt: &Attempt,
        header: HeaderName,
        credential: &HeaderValue,
    ) -> Result<Reply, Error> {
        let mut request = self
            .0
            .http
            .request(ask.method.clone(), self.url(ask))
            .header(PROTOCOL_HEADER, &ask.version)
            .header(header, credential);
        if let Some(body) = &ask.body {
            request = request.body(body.clone());
        }
        let unreachable = |error| self.unreachable(attempt, error);
        let mut response = request.send().await.map_err(unreachable)?;

        let success = response.status().is_success();
        let limit = if success { ANSWER_LIMIT } else { refusal::BODY_LIMIT };
        let expected = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
        let mut body = Vec::with_capacity(expected.min(limit));
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > limit {
                if success {
                    return Err(bad_answer(attempt, format!("it has more than {limit} bytes")));
                }
                break;
            }
            body.extend_from_slice(&chunk);
        }
        let now = Timestamp::now();
        let text = |name| response.headers().get(name)?.to_str().ok();
        Ok(Reply {
            call: ask.call,
            status: response.status().as_u16(),
            success,
            retry_after: text(RETRY_AFTER).and_then(|value| backoff::asked(value, now)),
            session: response.headers().get(SESSION_HEADER).cloned(),
            ahead: text(DATE).and_then(backoff::date).map(|theirs| now.duration_since(theirs)),
            body,
        })
    }

    fn unreachable(&self, attempt: &Attempt, error: reqwest::Error) -> Error {
        let trouble = Trouble::of(&error);
        let apple = || attempt.host.clone();
        // With a proxy it is the proxy's name that is resolved, and the proxy that is connected to.
        let host = match trouble {
            Trouble::Name | Trouble::Refused | Trouble::SlowConnection => {
                self.0.proxy.clone().unwrap_or_else(apple)
            }
            _ => apple(),
        };
        let (call, token) = (attempt.call, attempt.token.clone());
        // The address is in our own words already.
        Error::Unreachable { call, token, host, trouble, source: Some(Arc::new(error.without_url())) }
    }

    fn attempt(&self, call: Call, profile: Option<&ProfileId>) -> Attempt {
        let (token, host) = (self.0.token.clone(), self.0.base_url.authority().to_owned());
        Attempt { call, token, host, profile: profile.cloned() }
    }

    pub(super) fn url(&self, ask: &Ask<'_>) -> Url {
        let mut url = self.0.base_url.clone();
        url.set_path(&format!("{}{}", url.path().trim_end_matches('/'), ask.path));
        url.set_query(None);
        url.set_fragment(None);
        if let Some((name, value)) = ask.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        url
    }
}

/// An answer, unless Apple refuses; then what that means.
fn accepted(attempt: Attempt, reply: Reply) -> Result<Unread, Error> {
    if reply.success {
        return Ok(Unread { attempt, body: reply.body });
    }
    let error = refusal::classify(&attempt, reply.status, &reply.body, reply.retry_after);
    Err(refusal::or_clock(error, reply.ahead))
}

fn bad_answer(attempt: &Attempt, why: String) -> Error {
    Error::BadAnswer { call: attempt.call, token: attempt.token.clone(), why }
}
