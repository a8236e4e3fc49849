//! Everything the simulated Apple knows: servers, their tokens and sessions, the log, the faults.
//!
//! One plain struct behind one lock. Nothing here does IO or reads a clock; `now` is an argument, so that
//! a test can move time. What a client may ask is `service`'s business, what the portal may is `control`'s.

use crate::dice::Dice;
use crate::faults::Faults;
use crate::fleet::Generator;
use crate::inventory::Inventory;
use crate::log::Log;
use crate::portal::{Credentials, hex, random};
use crate::profile::ProfileUuid;
use crate::service::CLOCK_WINDOW;
use crate::settings::Settings;
use crate::throttle::Throttles;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
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

#[derive(Debug)]
pub(crate) struct Session {
    key: String,
    /// The key before this one: requests that were under way at the change still carry it.
    previous: Option<String>,
    /// Calls with this key.
    calls: u32,
    /// Calls since the session began.
    calls_in_all: u32,
    issued: i64,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) dice: Dice,
    pub(crate) servers: Vec<Server>,
    pub(crate) faults: Faults,
    pub(crate) log: Log,
    /// How far the simulator's clock is ahead of the real one.
    pub(crate) ahead: SignedDuration,
    /// Every session key given out lately, so that an ended one is told from an unknown one.
    keys: HashMap<String, usize>,
    keys_in_order: VecDeque<String>,
}

/// Why a session key is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadSession {
    /// It was good once.
    Ended,
    /// We never gave it out.
    Unknown,
}

const KEYS_REMEMBERED: usize = 10_000;

impl State {
    pub(crate) fn now(&self, real: Timestamp) -> Timestamp {
        real.checked_add(self.ahead).unwrap_or(real)
    }

    /// Changes how the service behaves; another seed, and the dice begin anew.
    pub(crate) fn set_settings(&mut self, settings: Settings) {
        if settings.seed != self.dice.seed() {
            self.dice = Dice::new(settings.seed);
        }
        for server in &mut self.servers {
            server.inventory.delay = settings.visible_after_seconds.max(0);
        }
        self.settings = settings;
    }

    /// Puts a new server entry into the portal.
    pub(crate) fn add_server(&mut self, options: ServerOptions) -> &Server {
        let mut server = Server::new(options);
        server.inventory.delay = self.settings.visible_after_seconds.max(0);
        self.servers.push(server);
        &self.servers[self.servers.len() - 1]
    }

    pub(crate) fn server(&self, name: &str) -> Option<&Server> {
        self.servers.iter().find(|server| server.name == name)
    }

    pub(crate) fn server_mut(&mut self, name: &str) -> Option<&mut Server> {
        self.servers.iter_mut().find(|server| server.name == name)
    }

    /// The server that gave out this access token, if the token was not replaced since.
    pub(crate) fn server_of_token(&self, access_token: &str) -> Option<usize> {
        let owns =
            |server: &Server| server.token.as_ref().is_some_and(|token| token.access_token == access_token);
        self.servers.iter().position(owns)
    }

    /// The server that a session key was given out for, good or not.
    pub(crate) fn server_of_session(&self, key: &str) -> Option<usize> {
        self.keys.get(key).copied()
    }

    /// Opens the one session of a server; an earlier one ends.
    pub(crate) fn open_session(&mut self, server: usize, now: i64) -> String {
        let key = self.new_key(server);
        self.servers[server].session =
            Some(Session { key: key.clone(), previous: None, calls: 0, calls_in_all: 0, issued: now });
        key
    }

    /// Accepts or refuses a session key, and says which server it is for and which key to use next.
    pub(crate) fn use_session(&mut self, key: &str, now: i64) -> Result<(usize, Option<String>), BadSession> {
        let server = self.server_of_session(key).ok_or(BadSession::Unknown)?;
        let Settings { rotate_every, session_lifetime_seconds, session_calls, .. } = self.settings;
        let session = self.servers[server].session.as_mut().ok_or(BadSession::Ended)?;
        let is_previous = session.previous.as_deref() == Some(key);
        let worn_out = session_calls > 0 && session.calls_in_all >= session_calls;
        let too_old = now - session.issued > session_lifetime_seconds;
        if !(session.key == key || is_previous) || too_old || worn_out {
            return Err(BadSession::Ended);
        }
        session.calls += 1;
        session.calls_in_all = session.calls_in_all.saturating_add(1);
        if rotate_every == 0 || session.calls < rotate_every {
            return Ok((server, is_previous.then(|| session.key.clone())));
        }
        let next = self.new_key(server);
        if let Some(session) = &mut self.servers[server].session {
            let previous = Some(std::mem::replace(&mut session.key, next.clone()));
            (session.previous, session.calls, session.issued) = (previous, 0, now);
        }
        Ok((server, Some(next)))
    }

    /// Forgets every session, as a restart of the service would: their keys are unknown from now on.
    pub(crate) fn forget_sessions(&mut self) {
        self.keys.clear();
        self.keys_in_order.clear();
        self.servers.iter_mut().for_each(|server| server.session = None);
    }

    fn new_key(&mut self, server: usize) -> String {
        let key = hex(&random::<24>().unwrap_or_default());
        self.keys.insert(key.clone(), server);
        self.keys_in_order.push_back(key.clone());
        if self.keys_in_order.len() > KEYS_REMEMBERED {
            self.keys_in_order.pop_front().map(|old| self.keys.remove(&old));
        }
        key
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    /// Uses keys by their number in the order they were given out; `open` opens a session, `+9` lets
    /// seconds pass, `forget` forgets.
    fn check(story: &str, expect: Expect) {
        check_with(0, story, expect);
    }

    fn check_with(session_calls: u32, story: &str, expect: Expect) {
        let mut state = State::default();
        (state.settings.rotate_every, state.settings.session_calls) = (3, session_calls);
        state.servers.push(Server::new(ServerOptions::new("emea")));
        let (mut keys, mut now) = (Vec::new(), 0);
        let mut said = Vec::new();
        for step in story.split(' ') {
            match step {
                "open" => keys.push(state.open_session(0, now)),
                "forget" => state.forget_sessions(),
                step if step.starts_with('+') => now += step[1..].parse::<i64>().unwrap(),
                step => {
                    let key = &keys[step.parse::<usize>().unwrap()].clone();
                    said.push(match state.use_session(key, now) {
                        Err(bad) => format!("{bad:?}"),
                        Ok((_, None)) => "ok".into(),
                        Ok((_, Some(next))) => {
                            let number = keys.iter().position(|key| *key == next).unwrap_or_else(|| {
                                keys.push(next);
                                keys.len() - 1
                            });
                            format!("next:{number}")
                        }
                    });
                }
            }
        }
        expect.assert_eq(&said.join(" "));
    }

    #[test]
    fn a_key_is_replaced_every_n_calls_and_good_until_the_next_replacement() {
        check("open 0 0 0 0 1 0 0 2", expect!["ok ok next:1 next:1 ok next:2 Ended ok"]);
    }

    #[test]
    fn a_session_can_be_good_for_so_many_calls_whatever_its_key() {
        check_with(4, "open 0 0 0 1 1 0 open 2", expect!["ok ok next:1 ok Ended Ended ok"]);
    }

    #[test]
    fn a_new_session_ends_the_one_before() {
        check("open 0 open 0 1", expect!["ok Ended ok"]);
    }

    #[test]
    fn a_session_lives_three_minutes() {
        check("open +180 0 +1 0", expect!["ok Ended"]);
    }

    #[test]
    fn after_a_restart_keys_are_unknown() {
        check("open forget 0", expect!["Unknown"]);
    }
}
