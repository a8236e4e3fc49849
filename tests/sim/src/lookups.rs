//! The calls without a body: what a client may look up of a server, its organisation and its devices.

use crate::endpoint::Endpoint;
use crate::profile::{self, ProfileUuid};
use crate::service::{Refusal, body, refuse};
use crate::settings::Settings;
use crate::state::{OrgType, Server};
use crate::view::Seconds;
use jiff::tz::TimeZone;
use openssl::sha::sha256;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A call whose question is in its path and query.
pub(crate) struct Lookup<'a> {
    pub(crate) server: &'a mut Server,
    pub(crate) settings: &'a Settings,
    pub(crate) query: &'a str,
    pub(crate) version: u32,
}

/// The beta programs there are: title, and the name of the system.
const PROGRAMS: [(&str, &str); 6] = [
    ("homePod Software 27 Beta", "homePodOS"),
    ("iOS 27 Beta", "iOS"),
    ("macOS 27 Beta", "OSX"),
    ("tvOS 27 Beta", "tvOS"),
    ("visionOS 27 Beta", "visionOS"),
    ("watchOS 27 Beta", "watchOS"),
];

impl Lookup<'_> {
    pub(crate) fn account(&self) -> Result<Vec<u8>, Refusal> {
        let server = &*self.server;
        let host = server.admin_id.split_once('@').map_or("example.com", |(_, host)| host);
        let mut account = json!({
            "server_name": server.name,
            "server_uuid": server.uuid,
            "admin_id": &*server.admin_id,
            "facilitator_id": &*server.admin_id,
            "org_name": server.org_name,
            "org_email": format!("it@{host}"),
            "org_phone": "+44 20 7946 0000",
            "org_address": "1 Apple Row, Leeds LS1 1AA, GB",
        });
        if self.version >= 3 {
            account["org_id"] = json!(server.org_id);
            account["org_id_hash"] = json!(server.org_id_hash);
            account["org_type"] = json!(server.org_type);
            account["org_version"] = json!("v2");
            account["urls"] = self.urls();
        }
        body(&account)
    }

    fn urls(&self) -> Value {
        let mut urls: BTreeMap<&str, (BTreeSet<&str>, bool)> = BTreeMap::new();
        for (endpoint, method, path) in Endpoint::routes() {
            if endpoint == Endpoint::Replacement && self.version < REPLACEMENT_SINCE {
                continue;
            }
            let url = urls.entry(path).or_default();
            url.0.insert(method);
            url.1 |= matches!(endpoint, Endpoint::Fetch | Endpoint::Sync);
        }
        let limit = json!({ "default": self.server.page_limit, "maximum": self.server.page_limit });
        let urls = urls.into_iter().map(|(path, (methods, in_pages))| {
            let mut url = json!({ "uri": path, "http_method": methods });
            if in_pages {
                url["limit"] = limit.clone();
            }
            url
        });
        urls.collect()
    }

    pub(crate) fn profile(&self) -> Result<Vec<u8>, Refusal> {
        let Some(uuid) = self.asked("profile_uuid") else { return refuse(400, "PROFILE_UUID_REQUIRED") };
        let profiles = &self.server.profiles;
        let found = ProfileUuid::parse(&uuid).and_then(|uuid| Some((uuid, profiles.get(&uuid)?)));
        let Some((uuid, profile)) = found else { return refuse(400, "NOT_FOUND") };
        body(&profile::shown(uuid, &profile.content, self.version))
    }

    /// Which device this one replaced. Apple documents 404 for one that replaced none; 400 was seen.
    pub(crate) fn replacement(&self) -> Result<Vec<u8>, Refusal> {
        if self.version < REPLACEMENT_SINCE {
            return refuse(404, "");
        }
        let Some(serial) = self.asked("device") else { return refuse(400, "DEVICE_ID_REQUIRED") };
        let here = self.server.inventory.get(&serial).is_some();
        match self.server.replacements.get(&serial).filter(|_| here) {
            Some(replacement) => body(&json!({
                "serial_number": serial,
                "original_device_serial_number": replacement.original,
                "replacement_date": replacement.at.to_zoned(TimeZone::UTC).date(),
            })),
            None => refuse(if self.settings.documented_404 { 404 } else { 400 }, "DEVICE_NOT_FOUND"),
        }
    }

    pub(crate) fn beta_tokens(&self) -> Result<Vec<u8>, Refusal> {
        if !self.server.beta_access {
            return refuse(403, "APPLE_SEED_FOR_IT_TURNED_OFF");
        }
        let token =
            |os: &str| crate::portal::hex(&sha256(format!("{}{os}", self.server.uuid).as_bytes())[..16]);
        let tokens = PROGRAMS
            .iter()
            .map(|(title, os)| json!({ "token": token(os), "title": title, "os": os }))
            .collect::<Value>();
        body(&json!({ "betaEnrollmentTokens": tokens, "seedBuildTokens": tokens }))
    }

    pub(crate) fn discovery(&self) -> Result<Vec<u8>, Refusal> {
        account_driven(self.server)?;
        match &self.server.discovery {
            Some((url, since)) => {
                body(&json!({ "mdm_service_discovery_url": url, "last_updated_timestamp": Seconds(*since) }))
            }
            None => refuse(404, "NOT_FOUND"),
        }
    }

    /// Says 200 also where there was nothing to clear.
    pub(crate) fn clear_discovery(&mut self) -> Result<Vec<u8>, Refusal> {
        account_driven(self.server)?;
        self.server.discovery = None;
        Ok(Vec::new())
    }

    /// A parameter of the query, if it is there and not empty.
    fn asked(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find_map(|(key, value)| (key == name && !value.is_empty()).then(|| value.into_owned()))
    }
}

/// The protocol version that brought replacement details.
const REPLACEMENT_SINCE: u32 = 10;

/// Which kinds of organisation are supported Apple does not say; television providers manage no people.
pub(crate) fn account_driven(server: &Server) -> Result<(), Refusal> {
    if server.org_type == OrgType::TvProvider { refuse(400, "ORG_NOT_SUPPORTED") } else { Ok(()) }
}
