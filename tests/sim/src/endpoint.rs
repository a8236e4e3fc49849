//! The calls Apple's side knows, each with a short name, its method and its path.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

const DISCOVERY: &str = "/account-driven-enrollment/profile";

/// Apple's endpoints, by the names used for faults and in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `GET /session`
    Session,
    /// `GET /account`
    Account,
    /// `POST /server/devices`
    Fetch,
    /// `POST /devices/sync`
    Sync,
    /// `POST /devices`
    Details,
    /// `POST /devices/disown`
    Disown,
    /// `POST /profile`
    Define,
    /// `GET /profile`
    Profile,
    /// `POST` or `PUT /profile/devices`
    Assign,
    /// `DELETE /profile/devices`
    Clear,
    /// `POST /device/activationlock`
    ActivationLock,
    /// `GET /device/replacementDetails`
    Replacement,
    /// `GET /os-beta-enrollment/tokens`
    BetaTokens,
    /// `POST /account-driven-enrollment/profile`
    AssignDiscovery,
    /// `GET /account-driven-enrollment/profile`
    Discovery,
    /// `DELETE /account-driven-enrollment/profile`
    ClearDiscovery,
    /// Anything else that was called.
    Unknown,
}

impl Endpoint {
    const ALL: [(Self, &'static str, &'static str, &'static str); 17] = [
        (Self::Session, "session", "GET", "/session"),
        (Self::Account, "account", "GET", "/account"),
        (Self::Fetch, "fetch", "POST", "/server/devices"),
        (Self::Sync, "sync", "POST", "/devices/sync"),
        (Self::Details, "details", "POST", "/devices"),
        (Self::Disown, "disown", "POST", "/devices/disown"),
        (Self::Define, "define", "POST", "/profile"),
        (Self::Profile, "profile", "GET", "/profile"),
        (Self::Assign, "assign", "POST", "/profile/devices"),
        (Self::Assign, "assign", "PUT", "/profile/devices"),
        (Self::Clear, "clear", "DELETE", "/profile/devices"),
        (Self::ActivationLock, "activation_lock", "POST", "/device/activationlock"),
        (Self::Replacement, "replacement", "GET", "/device/replacementDetails"),
        (Self::BetaTokens, "beta_tokens", "GET", "/os-beta-enrollment/tokens"),
        (Self::AssignDiscovery, "assign_discovery", "POST", DISCOVERY),
        (Self::Discovery, "discovery", "GET", DISCOVERY),
        (Self::ClearDiscovery, "clear_discovery", "DELETE", DISCOVERY),
    ];

    /// The endpoint of a request; `Err(true)` if the path exists, but not with this method.
    pub(crate) fn of(method: &str, path: &str) -> Result<Self, bool> {
        let here = || Self::ALL.iter().filter(|(_, _, _, at)| *at == path);
        here()
            .find(|(_, _, with, _)| *with == method)
            .map(|(endpoint, ..)| *endpoint)
            .ok_or(here().next().is_some())
    }

    /// Reads `assign` as well as `POST /profile/devices`.
    pub fn parse(text: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, name, method, path)| {
            *name == text || text.split_once(' ').is_some_and(|(with, at)| with == *method && at == *path)
        });
        found.map(|(endpoint, ..)| *endpoint).or((text == "unknown").then_some(Self::Unknown))
    }

    /// The short name, for example `assign`.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(endpoint, ..)| *endpoint == self).map_or("unknown", |(_, name, ..)| name)
    }

    /// The methods and paths there are, for `/account` and for help.
    pub(crate) fn routes() -> impl Iterator<Item = (Self, &'static str, &'static str)> {
        Self::ALL.iter().map(|(endpoint, _, method, path)| (*endpoint, *method, *path))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            let mut names = Self::ALL.map(|(_, name, ..)| name).to_vec();
            names.dedup();
            let names = names.join(", ");
            de::Error::custom(format!("there is no endpoint `{text}`; there are {names} and unknown"))
        })
    }
}
