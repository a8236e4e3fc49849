//! The client: one thin method per endpoint, bound to one token.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use domain::device::Cursor;
use domain::id::{ProfileId, SerialNumber, TokenName};
use reqwest::Method;
use reqwest::header::HeaderValue;
use secrecy::ExposeSecret as _;
use url::Url;

use super::bypass::BypassCode;
use super::credentials::Credentials;
use super::error::{Call, Error};
use super::exchange::{self, Ask, Unread};
use super::network::{Connections, Network};
use super::session::Session;
use super::wire::account::{self, Account};
use super::wire::lock::{self, LockRequest, LockStatus};
use super::wire::outcome::{self, AssignStatus, Assigned};
use super::wire::page::{self, Lookup, PageAnswer};
use super::wire::services::{self, BetaTokens, Discovery, DiscoveryRequest, Replacement};
use super::wire::{self, DevicesRequest, PageRequest};

/// Where Apple's service is.
const APPLE: &str = "https://mdmenrollment.apple.com";
/// How many devices Apple recommends to name in one call. (Apple: "Assign a Profile".)
const MOST_DEVICES: usize = 1000;

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
    /// How to get there.
    pub network: Network,
    /// Connections to share with other clients.
    pub connections: Connections,
}

impl Options {
    /// The defaults, for Apple's own service.
    pub fn new(token: TokenName, credentials: Credentials) -> Self {
        Self {
            token,
            base_url: APPLE.parse().expect("a constant URL"),
            credentials,
            user_agent: concat!("deputy/", env!("CARGO_PKG_VERSION")).to_owned(),
            network: Network::default(),
            connections: Connections::default(),
        }
    }
}

/// Apple's service, for one token. Clones share one session, as Apple asks; a second client for
/// the same token would end it.
///
/// Every method fails with an [`Error`] that says who acts next, and none tries again, except that
/// a request refused because of its session is repeated once with a new one.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) token: TokenName,
    pub(super) base_url: Url,
    pub(super) credentials: Credentials,
    pub(super) http: reqwest::Client,
    pub(super) session: Session,
    /// The proxy that is configured, for words.
    pub(super) proxy: Option<String>,
}

impl Client {
    /// Makes a client; sends nothing. Fails when the options make no sense ([`Error::Setup`]).
    pub fn new(options: Options) -> Result<Self, Error> {
        let Options { token, base_url, credentials, user_agent, network, connections } = options;
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
        let http = connections
            .to(&network, exchange::headers(user_agent))
            // Without its causes and any address: a proxy's may hold a password.
            .map_err(|error| {
                setup(&format!("the connection could not be set up ({})", error.without_url()))
            })?;
        let (session, proxy) = (Session::default(), network.proxy_in_words());
        let inner = Inner { token, base_url, credentials, http, session, proxy };
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
    pub async fn fetch(&self, cursor: Option<&Cursor>, limit: u32) -> Result<UnreadPage, Error> {
        let body = PageRequest { cursor: cursor.map(|cursor| cursor.0.as_str()), limit };
        Ok(UnreadPage(self.answer(Ask::post(Call::Fetch, "/server/devices", &body)).await?))
    }

    /// A page of the changes after `cursor`. The same device may be in it more than once; on
    /// cursors see [`Client::fetch`]. (Apple: "Sync the List of Devices".)
    pub async fn sync(&self, cursor: &Cursor, limit: u32) -> Result<UnreadPage, Error> {
        let body = PageRequest { cursor: Some(&cursor.0), limit };
        Ok(UnreadPage(self.answer(Ask::post(Call::Sync, "/devices/sync", &body)).await?))
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

    /// Releases these devices from the organisation, for good: they come back only through their
    /// seller or Apple Configurator. An outcome for each; at most 1,000 at a time, and for none
    /// Apple is not asked. The device management service needs a permission for it in the portal.
    /// (Apple: "Disown Devices".)
    pub async fn disown(
        &self,
        serials: &[SerialNumber],
    ) -> Result<BTreeMap<SerialNumber, AssignStatus>, Error> {
        let call = Call::Disown;
        if serials.len() > MOST_DEVICES {
            return Err(Error::TooManyDevices { call, token: self.0.token.clone(), sent: serials.len() });
        }
        if serials.is_empty() {
            return Ok(BTreeMap::new());
        }
        let body = DevicesRequest { profile_uuid: None, devices: serials };
        let ask = Ask::post(call, "/devices/disown", &body);
        self.ask(ask, |answer| outcome::assigned(answer, serials).map(|assigned| assigned.outcomes)).await
    }

    /// Locks a device to the organisation, with a message on its screen. Keep `code` first: it
    /// takes the lock off again, and Apple has only what is derived from it.
    /// (Apple: "Activation Lock a Device".)
    pub async fn activation_lock(
        &self,
        device: &SerialNumber,
        code: &BypassCode,
        lost_message: Option<&str>,
    ) -> Result<LockStatus, Error> {
        let key = code.escrow_key().map_err(|error| Error::Setup {
            token: self.0.token.clone(),
            why: format!("the key of a bypass code could not be derived ({error})"),
        })?;
        let body = LockRequest { device, escrow_key: key.expose_secret(), lost_message };
        self.ask(Ask::post(Call::ActivationLock, "/device/activationlock", &body), lock::locked).await
    }

    /// Which device this one replaced, if Apple knows of one. To be asked only of devices whose
    /// `is_replacement_device` is true. Apple documents 404 for the others and answers 400.
    /// (Apple: "Get Replacement Details".)
    pub async fn replacement(&self, device: &SerialNumber) -> Result<Option<Replacement>, Error> {
        let mut ask = Ask::get(Call::Replacement, "/device/replacementDetails");
        ask.query = Some(("device", device.as_str()));
        let answer = self.ask(ask, services::replacement).await;
        unless(answer, |status, code| status == 404 || code == Some("DEVICE_NOT_FOUND"))
    }

    /// What lets the organisation's devices enrol in betas. Apple's article asks for the first
    /// version of the protocol. (Apple: "Get Beta Enrollment Tokens".)
    pub async fn beta_tokens(&self) -> Result<BetaTokens, Error> {
        let mut ask = Ask::get(Call::BetaTokens, "/os-beta-enrollment/tokens");
        ask.version = HeaderValue::from_static("1");
        let answer = self.ask(ask, services::beta_tokens).await;
        let answer = unless(answer, |_, code| code == Some("APPLE_SEED_FOR_IT_TURNED_OFF"))?;
        Ok(answer.unwrap_or(BetaTokens::TurnedOff))
    }

    /// Where Apple sends devices that look for our MDM, if that was ever set.
    /// (Apple: "Get Account-Driven Enrollment Service Discovery".)
    pub async fn discovery(&self) -> Result<Option<Discovery>, Error> {
        let answer = self.ask(Ask::get(Call::Discovery, DISCOVERY), services::discovery).await;
        unless(answer, |status, code| status == 404 || code == Some("NOT_FOUND"))
    }

    /// Sets where Apple sends devices that look for our MDM: an https address.
    /// (Apple: "Assign Account-Driven Enrollment Service Discovery".)
    pub async fn set_discovery(&self, url: &Url) -> Result<(), Error> {
        let body = DiscoveryRequest { mdm_service_discovery_url: url.as_str() };
        self.ask(Ask::post(Call::SetDiscovery, DISCOVERY, &body), |_| Ok(())).await
    }

    /// Takes that address away again.
    /// (Apple: "Remove Account-Driven Enrollment Service Discovery".)
    pub async fn remove_discovery(&self) -> Result<(), Error> {
        let ask = Ask { method: Method::DELETE, ..Ask::get(Call::RemoveDiscovery, DISCOVERY) };
        self.ask(ask, |_| Ok(())).await
    }
}

const DISCOVERY: &str = "/account-driven-enrollment/profile";

/// A page of devices that has come and is not read yet: the next can be asked for first.
pub struct UnreadPage(Unread);

impl UnreadPage {
    /// The cursor to go on with, and whether more is promised: at a glance that [`UnreadPage::read`] may prove
    /// wrong, where Apple's answer is an odd one.
    pub fn next(&self) -> Option<(Cursor, bool)> {
        page::next(&self.0.body)
    }

    /// What it says.
    pub fn read(&self) -> Result<PageAnswer, Error> {
        self.0.read(page::page)
    }
}

/// None where Apple's refusal only says that there is nothing.
fn unless<T>(
    answer: Result<T, Error>,
    nothing: impl Fn(u16, Option<&str>) -> bool,
) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Error::Unexpected { answer, .. }) if nothing(answer.status, answer.code.as_deref()) => Ok(None),
        Err(error) => Err(error),
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.0.token.as_str()).finish()
    }
}

#[cfg(test)]
mod endpoints;
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
            access_token_expiry: jiff::Timestamp::UNIX_EPOCH,
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
