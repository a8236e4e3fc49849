//! The client: one thin method per endpoint, bound to one token.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::device::Cursor;
use domain::id::{ProfileId, SerialNumber, TokenName};
use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use serde::Serialize;
use url::Url;

use super::credentials::Credentials;
use super::error::{Call, Error};
use super::oauth;
use super::refusal::{self, Attempt};
use super::session::{Held, Session};
use super::wire::account::{self, Account};
use super::wire::outcome::{self, AssignStatus, Assigned};
use super::wire::page::{self, Lookup, PageAnswer};
use super::wire::{self, DevicesRequest, PageRequest};

/// Where Apple's service is.
const APPLE: &str = "https://mdmenrollment.apple.com";
/// The newest protocol version: the first that says how long throttled devices are to be left
/// alone. Apple does not mind a version it does not know. (Apple: "Device", "Assign a Profile".)
const PROTOCOL_VERSION: HeaderValue = HeaderValue::from_static("10");
const PROTOCOL_HEADER: HeaderName = HeaderName::from_static("x-server-protocol-version");
const SESSION_HEADER: HeaderName = HeaderName::from_static("x-adm-auth-session");
/// To the letter: Apple's own simulator accepts no other, not even on a GET.
const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=UTF8");
/// An answer that comes a byte at a time never meets the read timeout; it meets this one.
const LONGEST_CALL: Duration = Duration::from_secs(300);
/// A page of 5,000 devices has some 3 MiB.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// What a client is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// Our label for the token, for errors and logs.
    pub token: TokenName,
    /// `https://mdmenrollment.apple.com`, or a simulator or proxy. A path is kept in front of Apple's.
    pub base_url: Url,
    /// The token.
    pub credentials: Credentials,
    /// `deputy/` and the version. Apple insists on one and refuses some that libraries use.
    pub user_agent: String,
    /// For reaching the server: 10 seconds.
    pub connect_timeout: Duration,
    /// For each wait until more of an answer comes: 60 seconds.
    pub read_timeout: Duration,
}

impl Options {
    /// The defaults, for Apple's own service.
    pub fn new(token: TokenName, credentials: Credentials) -> Self {
        Self {
            token,
            base_url: APPLE.parse().expect("a constant URL"),
            credentials,
            user_agent: concat!("deputy/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(60),
        }
    }
}

/// Apple's service, for one token. Clones share one session, as Apple asks; a second client for
/// the same token would end it.
///
/// Every method fails with an [`Error`] that says who acts next, and none tries again, except that
/// a request refused because of its session is repeated once with a new one.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    token: TokenName,
    base_url: Url,
    credentials: Credentials,
    http: reqwest::Client,
    session: Session,
}

impl Client {
    /// Makes a client; sends nothing. Fails when the options make no sense ([`Error::Setup`]).
    pub fn new(options: Options) -> Result<Self, Error> {
        let Options { token, base_url, credentials, user_agent, connect_timeout, read_timeout } = options;
        let setup = |why: &str| Error::Setup { token: token.clone(), why: why.to_owned() };
        if !matches!(base_url.scheme(), "http" | "https") || !base_url.has_host() {
            return Err(setup("its address must begin with https:// or http://"));
        }
        if !base_url.username().is_empty() || base_url.password().is_some() {
            return Err(setup("its address must not hold a user name or a password"));
        }
        let user_agent = HeaderValue::from_str(&user_agent)
            .ok()
            .filter(|agent| !agent.is_empty())
            .ok_or_else(|| setup("the user agent is empty or has characters that do not belong there"))?;
        let headers = HeaderMap::from_iter([
            (USER_AGENT, user_agent),
            (ACCEPT, JSON),
            (CONTENT_TYPE, JSON),
            (PROTOCOL_HEADER, PROTOCOL_VERSION),
        ]);
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(connect_timeout)
            .read_timeout(read_timeout)
            .timeout(LONGEST_CALL)
            .http1_only()
            // A redirect would carry the session to wherever it points.
            .redirect(reqwest::redirect::Policy::none())
            // Whether to try again is not decided here.
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| setup(&format!("TLS could not be set up ({error})")))?;
        let inner = Inner { token, base_url, credentials, http, session: Session::default() };
        Ok(Self(Arc::new(inner)))
    }

    /// The token this client speaks for.
    pub fn token(&self) -> &TokenName {
        &self.0.token
    }

    /// The server behind the token, its organisation and its limits. (Apple: "Get Account Detail".)
    pub async fn account(&self) -> Result<Account, Error> {
        self.ask(Ask::get(Call::Account, "/account"), account::account).await
    }

    /// A page of everything: the first without a cursor, then with that of the page before. The
    /// last page's cursor is where [`Client::sync`] begins.
    ///
    /// [`Error::CursorExhausted`] means that nothing is left. A page may lack a cursor or repeat the
    /// one that was sent and still claim that more follows: asking again would never end.
    /// `limit` is at most [`Account::page_limit`]. (Apple: "Get a List of Devices".)
    pub async fn fetch(&self, cursor: Option<&Cursor>, limit: u32) -> Result<PageAnswer, Error> {
        let body = PageRequest { cursor: cursor.map(|cursor| cursor.0.as_str()), limit };
        self.ask(Ask::post(Call::Fetch, "/server/devices", &body), page::page).await
    }

    /// A page of the changes after `cursor`. The same device may be in it more than once; on
    /// cursors see [`Client::fetch`]. (Apple: "Sync the List of Devices".)
    pub async fn sync(&self, cursor: &Cursor, limit: u32) -> Result<PageAnswer, Error> {
        let body = PageRequest { cursor: Some(&cursor.0), limit };
        self.ask(Ask::post(Call::Sync, "/devices/sync", &body), page::page).await
    }

    /// These devices as Apple has them now, an entry for each. Up to 1,000 at a time; for none,
    /// Apple is not asked. (Apple: "Get Device Details".)
    pub async fn devices(&self, serials: &[SerialNumber]) -> Result<BTreeMap<SerialNumber, Lookup>, Error> {
        if serials.is_empty() {
            return Ok(BTreeMap::new());
        }
        let body = DevicesRequest { profile_uuid: None, devices: serials };
        self.ask(Ask::post(Call::Devices, "/devices", &body), |answer| page::lookups(answer, serials)).await
    }

    /// Defines a profile: the object of Apple's, as it is to be sent. Apple keeps every definition
    /// under a new id, for good; a `devices` member would assign it at once, unseen by a plan.
    /// (Apple: "Define a Profile".)
    pub async fn define_profile(&self, profile: &serde_json::Value) -> Result<ProfileId, Error> {
        self.ask(Ask::post(Call::DefineProfile, "/profile", profile), wire::defined).await
    }

    /// A profile as Apple keeps it, defaults filled in. (Apple: "Get a Profile".)
    pub async fn profile(&self, profile: &ProfileId) -> Result<serde_json::Value, Error> {
        let mut ask = Ask::get(Call::Profile, "/profile");
        ask.query = Some(("profile_uuid", profile.as_str()));
        ask.profile = Some(profile);
        self.ask(ask, |answer| wire::object(answer).map(serde_json::Value::Object)).await
    }

    /// Assigns a profile to these devices, an outcome for each. Up to 1,000 at a time; for none,
    /// Apple is not asked. (Apple: "Assign a Profile".)
    pub async fn assign(&self, profile: &ProfileId, serials: &[SerialNumber]) -> Result<Assigned, Error> {
        if serials.is_empty() {
            return Ok(Assigned { outcomes: BTreeMap::new(), retry_after: None });
        }
        let body = DevicesRequest { profile_uuid: Some(profile), devices: serials };
        let mut ask = Ask::post(Call::Assign, "/profile/devices", &body);
        ask.profile = Some(profile);
        self.ask(ask, |answer| outcome::assigned(answer, serials)).await
    }

    /// Removes whatever profile these devices have, an outcome for each. Up to 1,000 at a time; for
    /// none, Apple is not asked. Changes nothing on a device that has fetched its profile until it
    /// is erased. (Apple: "Remove a Profile".)
    pub async fn clear(
        &self,
        serials: &[SerialNumber],
    ) -> Result<BTreeMap<SerialNumber, AssignStatus>, Error> {
        if serials.is_empty() {
            return Ok(BTreeMap::new());
        }
        let body = DevicesRequest { profile_uuid: None, devices: serials };
        let mut ask = Ask::post(Call::Clear, "/profile/devices", &body);
        ask.method = Method::DELETE;
        self.ask(ask, |answer| outcome::assigned(answer, serials).map(|assigned| assigned.outcomes)).await
    }

    /// Sends, with the session there is or a new one; once more with another if Apple refuses
    /// that one; then `read`s the answer.
    async fn ask<T>(&self, ask: Ask<'_>, read: impl FnOnce(&[u8]) -> Result<T, String>) -> Result<T, Error> {
        let attempt = self.attempt(ask.call, ask.profile);
        let mut held = self.0.session.get(self.open_session()).await?;
        let mut reply = self.send(&ask, &attempt, SESSION_HEADER, &held.value).await?;
        if reply.refuses_session() {
            self.0.session.forget(&held);
            held = self.0.session.get(self.open_session()).await?;
            reply = self.send(&ask, &attempt, SESSION_HEADER, &held.value).await?;
        }
        self.keep_session(&held, &reply);
        self.read(&attempt, reply, read)
    }

    /// Adopts the session that came with an answer, or forgets the one that Apple refuses.
    fn keep_session(&self, held: &Held, reply: &Reply) {
        if reply.refuses_session() {
            self.0.session.forget(held);
        } else if let Some(session) = &reply.session {
            self.0.session.adopt(held, session.clone());
        }
    }

    async fn open_session(&self) -> Result<HeaderValue, Error> {
        let ask = Ask::get(Call::Session, "/session");
        let attempt = self.attempt(ask.call, None);
        let mut nonce = [0; 16];
        let signed = openssl::rand::rand_bytes(&mut nonce).and_then(|()| {
            let nonce: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
            let moment = oauth::Moment { nonce: &nonce, timestamp: Timestamp::now().as_second() };
            oauth::authorization(&self.url(&ask), &self.0.credentials, &moment)
        });
        let setup = |why: &str| Error::Setup { token: self.0.token.clone(), why: why.to_owned() };
        let signed = signed.map_err(|error| setup(&format!("the request could not be signed ({error})")))?;
        let mut signed = HeaderValue::from_str(&signed).map_err(|_| setup("the signature is no header"))?;
        signed.set_sensitive(true);

        let reply = self.send(&ask, &attempt, AUTHORIZATION, &signed).await?;
        let session = self.read(&attempt, reply, |body| {
            let session = wire::session(body)?;
            HeaderValue::from_str(&session).map_err(|_| "its auth_session_token is no header".to_owned())
        })?;
        tracing::debug!(token = %self.0.token, "opened a session with Apple for {}", self.0.token);
        Ok(session)
    }

    /// One request, one answer. `credential` is what lets us in, under its header's name.
    async fn send(
        &self,
        ask: &Ask<'_>,
        attempt: &Attempt,
        header: HeaderName,
        credential: &HeaderValue,
    ) -> Result<Reply, Error> {
        let unreachable = |error: reqwest::Error| Error::Unreachable {
            call: attempt.call,
            token: attempt.token.clone(),
            host: self.0.base_url.authority().to_owned(),
            // The address is in our own words already.
            source: Arc::new(error.without_url()),
        };
        let mut request = self.0.http.request(ask.method.clone(), self.url(ask)).header(header, credential);
        if let Some(body) = &ask.body {
            request = request.body(body.clone());
        }
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
        Ok(Reply {
            call: ask.call,
            status: response.status().as_u16(),
            success,
            retry_after: response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| refusal::retry_after(value.to_str().ok()?, Timestamp::now())),
            session: response.headers().get(SESSION_HEADER).cloned(),
            body,
        })
    }

    fn read<T>(
        &self,
        attempt: &Attempt,
        reply: Reply,
        read: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<T, Error> {
        if reply.success {
            read(&reply.body).map_err(|why| bad_answer(attempt, why))
        } else {
            Err(refusal::classify(attempt, reply.status, &reply.body, reply.retry_after))
        }
    }

    fn attempt(&self, call: Call, profile: Option<&ProfileId>) -> Attempt {
        Attempt { call, token: self.0.token.clone(), profile: profile.cloned() }
    }

    fn url(&self, ask: &Ask<'_>) -> Url {
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

fn bad_answer(attempt: &Attempt, why: String) -> Error {
    Error::BadAnswer { call: attempt.call, token: attempt.token.clone(), why }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.0.token.as_str()).finish()
    }
}

/// One request, ready to be sent, and to be sent again.
struct Ask<'a> {
    call: Call,
    method: Method,
    path: &'static str,
    query: Option<(&'static str, &'a str)>,
    body: Option<Vec<u8>>,
    /// The profile it names, for the words of an error.
    profile: Option<&'a ProfileId>,
}

impl Ask<'_> {
    fn get(call: Call, path: &'static str) -> Self {
        Self { call, method: Method::GET, path, query: None, body: None, profile: None }
    }

    fn post(call: Call, path: &'static str, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("our requests always make JSON");
        Self { call, method: Method::POST, path, query: None, body: Some(body), profile: None }
    }
}

/// An answer, bounded and not yet understood.
struct Reply {
    call: Call,
    status: u16,
    success: bool,
    retry_after: Option<Duration>,
    session: Option<HeaderValue>,
    body: Vec<u8>,
}

impl Reply {
    fn refuses_session(&self) -> bool {
        self.call != Call::Session && refusal::refuses_session(self.status, &self.body)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Where a client with this address sends its requests, and what it says of itself.
    #[track_caller]
    fn check(base_url: &str, expected: Expect) {
        let credentials = Credentials {
            consumer_key: "CK_hush".into(),
            consumer_secret: "CS_hush".into(),
            access_token: "AT_hush".into(),
            access_secret: "AS_hush".into(),
            access_token_expiry: Timestamp::UNIX_EPOCH,
        };
        let mut options = Options::new("emea".parse().unwrap(), credentials);
        if !base_url.is_empty() {
            options.base_url = base_url.parse().unwrap();
        }
        assert!(!format!("{options:?}").contains("hush"));
        let found = match Client::new(options) {
            Ok(client) => {
                let mut profile = Ask::get(Call::Profile, "/profile");
                profile.query = Some(("profile_uuid", "a b"));
                let session = Ask::get(Call::Session, "/session");
                format!("{client:?}\n{}\n{}\n", client.url(&session), client.url(&profile))
            }
            Err(error) => format!("error: {error}\n"),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn apples_own_service_is_the_default() {
        check(
            "",
            expect![[r#"
            Client("emea")
            https://mdmenrollment.apple.com/session
            https://mdmenrollment.apple.com/profile?profile_uuid=a+b
        "#]],
        );
    }

    #[test]
    fn a_path_stays_in_front_of_apples() {
        check(
            "http://127.0.0.1:8080/apple/?left=out#too",
            expect![[r#"
            Client("emea")
            http://127.0.0.1:8080/apple/session
            http://127.0.0.1:8080/apple/profile?profile_uuid=a+b
        "#]],
        );
    }

    #[test]
    fn an_address_that_makes_no_sense_is_refused() {
        check(
            "ftp://mdmenrollment.apple.com",
            expect![[r#"
            error: could not set up the connection of `emea` to Apple: its address must begin with https:// or http://
        "#]],
        );
        check(
            "mailto:it@orchard.example",
            expect![[r#"
            error: could not set up the connection of `emea` to Apple: its address must begin with https:// or http://
        "#]],
        );
        check(
            "https://user:password@mdmenrollment.apple.com",
            expect![[r#"
            error: could not set up the connection of `emea` to Apple: its address must not hold a user name or a password
        "#]],
        );
    }
}
