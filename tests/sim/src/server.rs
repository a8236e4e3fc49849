//! A server entry of the portal, and everything that hangs on it.
//!
//! Plain values: what a client may do with them is `service`'s business, what the portal may is `control`'s.

use crate::fleet::Generator;
use crate::inventory::Inventory;
use crate::portal::{Credentials, hex, random};
use crate::profile::ProfileUuid;
use crate::service::CLOCK_WINDOW;
use crate::state::Session;
use crate::throttle::Throttles;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A server to be, as an administrator would enter it in the portal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerOptions {
    /// The server's name.
    pub name: String,
    /// The organisation it belongs to.
    #[serde(default)]
    pub org_name: Option<String>,
    /// The Apple Account of who makes its tokens.
    #[serde(default)]
    pub admin_id: Option<String>,
    /// The largest page `/account` announces, and the most a page ever holds.
    #[serde(default)]
    pub page_limit: Option<usize>,
    /// Whether the organisation has accepted the current terms.
    #[serde(default)]
    pub terms_signed: Option<bool>,
    /// What kind of organisation it is.
    #[serde(default)]
    pub org_type: Option<OrgType>,
    /// Whether the organisation takes part in AppleSeed for IT, and so has beta tokens.
    #[serde(default)]
    pub beta_access: Option<bool>,
}

impl ServerOptions {
    /// A server with this name and everything else as usual.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            org_name: None,
            admin_id: None,
            page_limit: None,
            terms_signed: None,
            org_type: None,
            beta_access: None,
        }
    }
}

/// What `/account` calls `org_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrgType {
    /// A business.
    #[default]
    Org,
    /// A school.
    Edu,
    /// A television provider; has neither Activation Lock nor account-driven enrolment.
    TvProvider,
}

/// How the service sees a server's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// Nothing is wrong with it, unless its time has come.
    #[default]
    Good,
    /// As if its time had come: `token_expiredForbidden`.
    Expired,
    /// Revoked in the portal: `token_rejectedForbidden`.
    Revoked,
    /// The Apple Account of who made it is gone: `FORBIDDEN` on `/session`.
    CreatorGone,
}

/// An Activation Lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// A person's own lock, and not the organisation's.
    pub by_user: bool,
    /// What opens the organisation's lock, as 64 hex digits, if it gave one.
    pub escrow_key: Option<String>,
    /// What a lost device shows.
    pub lost_message: Option<String>,
    /// When it was locked.
    pub since: Timestamp,
}

/// That a device came in place of another.
#[derive(Debug, Clone)]
pub(crate) struct Replacement {
    pub(crate) original: String,
    pub(crate) at: Timestamp,
}

/// What assigning a profile to a device answers instead of doing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AssignStatus {
    /// Too many assignments; `FAILED` to clients that ask for a version below 9.
    Throttled,
    /// No reason given.
    Failed,
    /// Not on this server.
    NotAccessible,
    /// The device is missing from the answer.
    Missing,
}

#[derive(Debug, Clone)]
pub(crate) struct AssignAnswer {
    pub(crate) status: AssignStatus,
    pub(crate) times: u32,
    pub(crate) retry_after_seconds: u64,
}

/// A server entry of the portal, with all that hangs on it. Servers share nothing.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) uuid: String,
    pub(crate) org_name: String,
    pub(crate) org_id: String,
    pub(crate) org_id_hash: String,
    pub(crate) admin_id: Arc<str>,
    pub(crate) page_limit: usize,
    pub(crate) terms_signed: bool,
    pub(crate) active: bool,
    pub(crate) token: Option<Credentials>,
    pub(crate) token_state: TokenState,
    pub(crate) session: Option<Session>,
    /// Timestamps and nonces of signatures already used.
    pub(crate) nonces: BTreeSet<(i64, String)>,
    pub(crate) inventory: Inventory,
    pub(crate) generators: HashMap<u64, Generator>,
    pub(crate) profiles: BTreeMap<ProfileUuid, Profile>,
    pub(crate) assign_answers: HashMap<String, AssignAnswer>,
    pub(crate) throttles: Throttles,
    pub(crate) assignments: u64,
    pub(crate) org_type: OrgType,
    pub(crate) beta_access: bool,
    /// Activation Locks, by serial number.
    pub(crate) locks: BTreeMap<String, Lock>,
    /// By the serial number of the new device.
    pub(crate) replacements: HashMap<String, Replacement>,
    /// Where account-driven enrolment goes, and since when.
    pub(crate) discovery: Option<(String, i64)>,
}

#[derive(Debug)]
pub(crate) struct Profile {
    /// Counts the profiles of its server: many can be defined in the same second.
    pub(crate) nth: usize,
    pub(crate) defined: i64,
    pub(crate) content: Map<String, Value>,
}

impl Server {
    pub(crate) fn new(options: ServerOptions) -> Self {
        let name = options.name;
        let slug = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let org_id = u32::from_be_bytes(random::<4>().unwrap_or_default()) % 9_000_000 + 1_000_000;
        let admin_id = options.admin_id.unwrap_or_else(|| format!("enroll-admin@{slug}.example"));
        Self {
            uuid: hex(&random::<16>().unwrap_or_default()).to_uppercase(),
            org_name: options.org_name.unwrap_or_else(|| format!("{name} Ltd")),
            org_id: org_id.to_string(),
            org_id_hash: hex(&random::<32>().unwrap_or_default()),
            admin_id: admin_id.into(),
            page_limit: options.page_limit.unwrap_or(1000).max(1),
            terms_signed: options.terms_signed.unwrap_or(true),
            active: true,
            token: None,
            token_state: TokenState::Good,
            session: None,
            nonces: BTreeSet::new(),
            inventory: Inventory::default(),
            generators: HashMap::new(),
            profiles: BTreeMap::new(),
            assign_answers: HashMap::new(),
            throttles: Throttles::default(),
            assignments: 0,
            org_type: options.org_type.unwrap_or_default(),
            beta_access: options.beta_access.unwrap_or(true),
            locks: BTreeMap::new(),
            replacements: HashMap::new(),
            discovery: None,
            name,
        }
    }

    /// Adds devices of a seed, and tells of each; asked again, it goes on where it stopped.
    pub(crate) fn generate(&mut self, count: usize, seed: u64, now: i64, mut tell: impl FnMut(&str)) {
        let Self { name, admin_id, generators, inventory, .. } = self;
        let generator = generators.entry(seed).or_insert_with(|| Generator::new(seed, name, admin_id));
        inventory.reserve(count);
        let mut added = 0;
        while added < count {
            let device = generator.device(now);
            let serial = device.serial.clone();
            // Another seed, or a person, may have made the same serial number already.
            if inventory.add(device, now) {
                tell(&serial);
                added += 1;
            }
        }
    }

    /// Remembers a signature's nonce; `false` if it was used before.
    pub(crate) fn remember_nonce(&mut self, timestamp: i64, nonce: &str, now: i64) -> bool {
        self.nonces = self.nonces.split_off(&(now - 2 * CLOCK_WINDOW, String::new()));
        self.nonces.insert((timestamp, nonce.into()))
    }
}
