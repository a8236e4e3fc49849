//! What every run works with: the store, the settings, the clock, and one client for each token.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::id::{ChannelName, MessageId, PluginName, RunId, TokenName, WorkflowName};
use domain::message::Message;
use domain::plan::Profiles;
use domain::rest::Health;
use domain::run::State;
use domain::token::{Severity, Token};
use jiff::Timestamp;
use rand::RngExt as _;
use secrecy::ExposeSecret;
use tokio::sync::Notify;
use url::Url;

use crate::apple::{Client, Connections, Credentials, Network, Options};
use crate::clock::Clock;
use crate::failure::Error;
use crate::lock::{Held, Locks};
use crate::settings::{Settings, TokenSettings};
use crate::step::place::Places;
use crate::stop::Stop;
use crate::store::{self, Interrupted, Store};

/// How long to wait before asking again for a lock somebody holds.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Tokens served side by side, by all runs of the process together. Apple's latency, not our work, is what
/// they wait for.
const LANES: usize = 8;

/// A client, and what it was made for: another token file, another address or another way there
/// wants another one.
#[derive(Clone)]
struct Kept {
    imported_at: Timestamp,
    apple_url: Url,
    network: Network,
    client: Client,
}

impl Kept {
    fn is_for(&self, token: &Token, settings: &TokenSettings) -> bool {
        self.imported_at == token.imported_at
            && self.apple_url == settings.apple_url
            && self.network == settings.network
    }
}

/// What every run works with. Clones share all of it but the settings.
#[derive(Clone)]
pub struct Engine {
    /// What Deputy remembers.
    pub store: Store,
    /// What is configured.
    pub settings: Arc<Settings>,
    clock: Arc<dyn Clock>,
    locks: Locks,
    clients: Arc<Mutex<BTreeMap<TokenName, Kept>>>,
    connections: Connections,
    outbox: Arc<Notify>,
    places: Places,
    turns: Turns,
    ids: Arc<AtomicU32>,
}

/// Who waits in this process for what only one may have, in order: the locks of [`Locks`] are for those of
/// other processes, and know no order.
type Turns = Arc<Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>>;

impl Engine {
    /// An engine over a store.
    pub fn new(store: Store, settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let locks = Locks::beside(store.path())
            .map_err(|source| Error::Lock { what: store.path().display().to_string(), source })?;
        Ok(Self {
            store,
            settings: Arc::new(settings),
            clock,
            locks,
            clients: Arc::default(),
            connections: Connections::default(),
            outbox: Arc::default(),
            places: Places::new(LANES),
            turns: Arc::default(),
            ids: Arc::new(AtomicU32::new(rand::rng().random())),
        })
    }

    /// The same engine with other settings.
    #[must_use]
    pub fn with_settings(&self, settings: Settings) -> Self {
        Self { settings: Arc::new(settings), ..self.clone() }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How a plugin did lately, with whichever token's devices it rests longest. One that failed and has
    /// other settings, or something else in its tables since, is well: for one that failed they are read.
    pub async fn plugin_health(&self, plugin: &PluginName) -> Result<Health, store::Error> {
        if !self.store.plugin_failed_lately(plugin).await? {
            return Ok(Health::default());
        }
        let (settings, name) = (self.settings.clone(), plugin.clone());
        // Files are read, and large ones take a second.
        let mark =
            tokio::task::spawn_blocking(move || settings.mark_with(&name, &settings.tables_now([&name])));
        let mark = mark.await.unwrap_or_else(|panicked| {
            tracing::error!("tables could not be read: {panicked}");
            self.settings.mark_of(plugin)
        });
        self.store.plugin_health(plugin, None, &mark).await
    }

    /// A name for a run that begins now. Of two that begin in the same second, neither has the other's.
    pub fn new_run_id(&self) -> RunId {
        RunId::new(self.now(), self.ids.fetch_add(1, Ordering::Relaxed))
    }

    /// The places of those who work on tokens, of all runs together.
    pub(crate) fn places(&self) -> Places {
        self.places.clone()
    }

    /// The profiles of a token: what the files say, and what Apple was told.
    pub async fn profiles(&self, token: &TokenName) -> Result<Profiles, store::Error> {
        let files = self.settings.profiles.iter();
        Ok(Profiles {
            wanted: files.map(|(name, definition)| (name.clone(), definition.digest.clone())).collect(),
            defined: self.store.defined_profiles(token).await?,
        })
    }

    /// The client of a token. There is one for each, so that they share its session at Apple; a
    /// renewed token gets a new one.
    pub async fn client(&self, name: &TokenName) -> Result<Client, Error> {
        Ok(self.token_and_client(name).await?.1)
    }

    /// The client of a token, and the token it was made for: what Apple says to the client it says of
    /// that one, also if another is imported meanwhile.
    pub async fn token_and_client(&self, name: &TokenName) -> Result<(Token, Client), Error> {
        let settings = self.settings.tokens.get(name).ok_or_else(|| Error::NotConfigured(name.clone()))?;
        let Some(token) = self.store.token(name).await? else {
            return Err(Error::NotImported { token: name.clone(), others: self.unconfigured().await? });
        };
        if let Some(kept) = self.clients().get(name).filter(|kept| kept.is_for(&token, settings)) {
            return Ok((token, kept.client.clone()));
        }
        let not_imported = || Error::NotImported { token: name.clone(), others: Vec::new() };
        let credentials = self.credentials(name).await?.ok_or_else(not_imported)?;
        let connections = self.connections.clone();
        let client = Client::new(Options { connections, ..settings.options(name, credentials) })?;
        let kept = Kept {
            imported_at: token.imported_at,
            apple_url: settings.apple_url.clone(),
            network: settings.network.clone(),
            client: client.clone(),
        };
        self.clients().insert(name.clone(), kept);
        Ok((token, client))
    }

    /// Tokens that are in the store and not in the configuration.
    pub(crate) async fn unconfigured(&self) -> Result<Vec<TokenName>, store::Error> {
        let records = self.store.token_records().await?.into_iter();
        let names = records.map(|record| record.token.name);
        Ok(names.filter(|name| !self.settings.tokens.contains_key(name)).collect())
    }

    /// The secrets of the token in use, if there is one.
    pub(crate) async fn credentials(&self, name: &TokenName) -> Result<Option<Credentials>, store::Error> {
        let Some(json) = self.store.credentials(name).await? else { return Ok(None) };
        Credentials::from_json(json.expose_secret())
            .map(Some)
            .map_err(|error| store::Error::Corrupt { what: "set of credentials", text: error.to_string() })
    }

    /// Takes a token that must not be worked with meanwhile. None if a run works with it.
    pub fn hold_token_now(&self, token: &TokenName) -> Result<Option<Held>, Error> {
        self.hold(&format!("token-{token}"))
    }

    /// Takes a token for one run; waits while another run, of this process or another, has it.
    pub async fn hold_token(&self, token: &TokenName, stop: &Stop) -> Result<Held, Error> {
        self.hold_waiting(&format!("token-{token}"), stop).await
    }

    /// Keeps everybody else from reminding people at the same time.
    pub async fn hold_reminders(&self, stop: &Stop) -> Result<Held, Error> {
        self.hold_waiting("reminders", stop).await
    }

    /// Marks a run as being worked on, until the result is dropped.
    pub fn hold_run(&self, run: &RunId) -> Result<Option<Held>, Error> {
        let name = format!("run-{run}");
        self.locks.hold_once(&name).map_err(|source| Error::Lock { what: name, source })
    }

    /// Takes a channel for as long as messages are delivered by it; none if another process does that.
    pub(crate) fn hold_channel(&self, name: &ChannelName) -> Result<Option<Held>, Error> {
        self.hold(&format!("channel-{name}"))
    }

    /// Rings when something was put into the outbox by this process.
    pub(crate) fn outbox_bell(&self) -> &Notify {
        &self.outbox
    }

    /// A message written now, about nothing that ends, and of no concern to anybody in particular.
    pub fn new_message(&self, kind: &str, severity: Severity, subject: String, text: String) -> Message {
        let now = self.now();
        Message {
            id: MessageId::new(now, rand::rng().random()),
            // A mail's date has no fractions either.
            created_at: Timestamp::from_second(now.as_second()).unwrap_or(now),
            kind: kind.to_owned(),
            severity,
            subject,
            text,
            ends: None,
            contacts: Vec::new(),
            data: serde_json::Value::Null,
        }
    }

    /// Makes sure that only one daemon serves this store. None if another one does.
    pub fn hold_daemon(&self) -> Result<Option<Held>, Error> {
        self.hold("daemon")
    }

    /// Closes the runs that a process left open when it ended, and returns what they left. What they had in
    /// flight is read back when their token's next run begins.
    pub async fn close_interrupted_runs(&self) -> Result<Vec<Interrupted>, Error> {
        let mut closed = Vec::new();
        for run in self.store.open_runs().await? {
            if let Some(_held) = self.hold_run(&run)? {
                let left = self.store.left_by(&run).await?;
                self.store.close_run(&run, State::Interrupted, self.now()).await?;
                tracing::warn!(%run, "{left}");
                closed.push(left);
            }
        }
        Ok(closed)
    }

    /// The workflows of which a run is going on, in this process or another.
    pub(crate) async fn workflows_going(&self) -> Result<BTreeSet<WorkflowName>, Error> {
        let mut going = BTreeSet::new();
        for id in self.store.open_runs().await? {
            // One whose lock is free was left behind by a process that ended.
            if self.hold_run(&id)?.is_none() {
                going.extend(self.store.run(&id).await?.map(|run| run.workflow));
            }
        }
        Ok(going)
    }

    async fn hold_waiting(&self, name: &str, stop: &Stop) -> Result<Held, Error> {
        let turn = self.turns().entry(name.to_owned()).or_default().clone();
        let turn = tokio::select! {
            turn = turn.lock_owned() => turn,
            () = stop.wait() => return Err(Error::Stopped),
        };
        let mut said = false;
        loop {
            if let Some(held) = self.hold(name)? {
                return Ok(held.in_turn(turn));
            }
            if !std::mem::replace(&mut said, true) {
                tracing::info!("another run has `{name}`; waiting for it");
            }
            if !stop.sleep(LOCK_PAUSE).await {
                return Err(Error::Stopped);
            }
        }
    }

    fn hold(&self, name: &str) -> Result<Option<Held>, Error> {
        self.locks.try_hold(name).map_err(|source| Error::Lock { what: name.to_owned(), source })
    }

    fn turns(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<tokio::sync::Mutex<()>>>> {
        self.turns.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn clients(&self) -> std::sync::MutexGuard<'_, BTreeMap<TokenName, Kept>> {
        self.clients.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apple::Proxy;

    #[test]
    fn another_token_file_another_address_or_another_way_there_wants_another_client() {
        let time = Timestamp::UNIX_EPOCH;
        let credentials = Credentials {
            consumer_key: "1".into(),
            consumer_secret: "2".into(),
            access_token: "3".into(),
            access_secret: "4".into(),
            access_token_expiry: time,
        };
        let token = Token {
            name: "emea".parse().unwrap(),
            server_name: String::new(),
            server_uuid: String::new(),
            org_name: String::new(),
            org_id: None,
            admin_id: String::new(),
            expires_at: time,
            imported_at: time,
        };
        let apple_url: Url = "https://mdmenrollment.apple.com".parse().unwrap();
        let settings =
            TokenSettings { apple_url: apple_url.clone(), network: Network::default(), contacts: Vec::new() };
        let client = Client::new(settings.options(&token.name, credentials)).unwrap();
        let kept = Kept { imported_at: time, apple_url, network: Network::default(), client };
        assert!(kept.is_for(&token, &settings));

        let renewed = Token { imported_at: time + Duration::from_secs(1), ..token.clone() };
        assert!(!kept.is_for(&renewed, &settings));
        let moved = TokenSettings { apple_url: "http://127.0.0.1".parse().unwrap(), ..settings.clone() };
        assert!(!kept.is_for(&token, &moved));
        let network = Network { proxy: Proxy::None, ..Network::default() };
        assert!(!kept.is_for(&token, &TokenSettings { network, ..settings }));
    }
}
