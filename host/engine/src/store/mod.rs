//! What Deputy remembers: one SQLite file.
//!
//! One thread owns the connection and does one thing at a time; everybody else sends it closures
//! and waits. So no transaction is ever held across an await, and a page of devices and the cursor
//! after it are written together or not at all. All SQL is in this folder.

mod actions;
mod belongings;
mod deeds;
mod devices;
mod freshness;
mod history;
mod inventory;
mod keep;
mod kinds;
mod looks;
mod outbox;
mod plans;
mod plugins;
mod profiles;
mod ranges;
mod removals;
mod renewal;
mod reseal;
mod runs;
mod said;
mod schedule;
mod standing;
mod stands;
mod texts;
mod token_keys;
mod tokens;
mod told;
mod verdicts;
mod waiting;
mod walk;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, MigrationDefinitionError, Migrations};
use tokio::sync::oneshot;

use crate::secrets::{self, Key};

pub use actions::{ActionRecord, ActionState, QueuedAction, ReadBack};
pub use belongings::{Belongings, Renamed};
pub use devices::{DeviceFilter, DeviceId, StoredDevice};
pub use history::{PastDevices, Seen};
pub use inventory::{PageResult, Pages};
pub use keep::Forgettable;
pub use looks::{Changed, Mark};
pub use outbox::{Address, ChannelState, Delivery, DeliveryFilter, DeliveryState, Outgoing, Reason};
pub(crate) use outbox::{LONGEST_PAUSE, enqueue};
pub use plans::{Maker, RecordedPlan, Verdicts};
pub use plugins::{Work, WorkRecord};
pub use profiles::{Defined, StatusCounts};
pub use ranges::Ranges;
pub use renewal::{KeyOfToken, NewToken, TokenRecord};
pub use runs::{Asking, Interrupted, NewRun, RunFilter};
pub use said::{Said, Saying, Topic};
pub use schedule::{DaemonNote, Dealt, InForce, Progress};
pub use token_keys::{KeyRecord, TokenKey};
pub use tokens::{Limits, Phase, StoredToken, SyncState};
pub use told::Telling;
pub use verdicts::{Book, StoredVerdict};
pub use waiting::{Asked, Asker, Question, Waiting};
pub use walk::{Fields, Walk};

const MIGRATIONS: &[M<'static>] = &[
    M::up(include_str!("migrations/0001-first.sql")),
    M::up(include_str!("migrations/0002-inventory.sql")),
    M::up(include_str!("migrations/0003-profiles.sql")),
    M::up(include_str!("migrations/0004-removals.sql")),
    M::up(include_str!("migrations/0005-token-lifecycle.sql")),
    M::up(include_str!("migrations/0006-outbox.sql")),
    M::up(include_str!("migrations/0007-plugins.sql")),
    M::up(include_str!("migrations/0008-reminders.sql")),
    M::up(include_str!("migrations/0009-schedule.sql")),
    M::up(include_str!("migrations/0010-plans.sql")),
    M::up(include_str!("migrations/0011-memory.sql")),
    M::up(include_str!("migrations/0012-step-ids.sql")),
    M::up(include_str!("migrations/0013-plan-of-step.sql")),
    M::up(include_str!("migrations/0014-approvals.sql")),
    M::up(include_str!("migrations/0015-standing.sql")),
    M::up(include_str!("migrations/0016-fetched.sql")),
];

/// The word sealed to tell a wrong key.
const KEY_CHECK: &[u8] = b"deputy";
/// And what it is sealed for.
const STORE_PURPOSE: &str = "the store";

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or made.
    #[error("cannot open the store {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A newer Deputy wrote it.
    #[error("the store {} was written by a newer Deputy; nothing in it was changed", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// A migration failed; the file is as it was.
    #[error("cannot bring the store {} up to date", path.display())]
    Migrate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite_migration::Error,
    },
    /// SQLite refused something.
    #[error("the store failed")]
    Sql(#[from] rusqlite::Error),
    /// A secret cannot be opened.
    #[error("a secret in the store cannot be opened")]
    Secret(#[from] secrets::OpenError),
    /// A row does not say what we wrote.
    #[error("the store holds something that is no {what}: {text}")]
    Corrupt {
        /// What it should have been.
        what: &'static str,
        /// What it says.
        text: String,
    },
    /// The thread that owns the connection has ended.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// The file could not be written or read: a disk that is full, broken, or not to be written.
    pub fn is_about_the_disk(&self) -> bool {
        use rusqlite::ErrorCode::{CannotOpen, DiskFull, ReadOnly, SystemIoFailure};
        let Self::Sql(error) = self else { return false };
        matches!(error.sqlite_error_code(), Some(CannotOpen | DiskFull | ReadOnly | SystemIoFailure))
    }
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle on the store. Clones share it; when the last one goes, the file is closed.
#[derive(Clone)]
pub struct Store {
    thread: Arc<OwnerThread>,
    key: Arc<Key>,
    path: PathBuf,
}

/// The thread that owns the connection. Dropping it waits until the file is closed, so that
/// everything is in the one file when the program ends.
struct OwnerThread {
    jobs: Option<mpsc::Sender<Job>>,
    handle: Option<JoinHandle<()>>,
}

impl Drop for OwnerThread {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(handle) = self.handle.take() {
            // It ended by panicking: there is nothing left to wait for.
            let _ = handle.join();
        }
    }
}

impl Store {
    /// Opens the store, makes it if it is not there, and brings it up to date. The key must be the
    /// one its secrets were sealed with.
    pub async fn open(path: &Path, key: Key) -> Result<Self, Error> {
        let path = path.to_owned();
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (opened, wait) = oneshot::channel();
        let file = path.clone();
        let handle = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                let mut connection = match connect(&file) {
                    Ok(connection) => connection,
                    Err(error) => return drop(opened.send(Err(error))),
                };
                let _ = opened.send(Ok(()));
                for job in inbox {
                    job(&mut connection);
                }
                // The planner's statistics, for the next start; a failure costs only speed.
                let _ = connection.execute_batch("PRAGMA optimize");
            })
            .map_err(|_| Error::Closed)?;
        wait.await.map_err(|_| Error::Closed)??;
        let thread = Arc::new(OwnerThread { jobs: Some(jobs), handle: Some(handle) });
        let store = Self { thread, key: Arc::new(key), path };
        store.check_key().await?;
        Ok(store)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the whole file for damage. Takes seconds on a large one.
    pub async fn check_integrity(&self) -> Result<(), Error> {
        let answer: String = self
            .read(|connection| Ok(connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?))
            .await?;
        if answer == "ok" { Ok(()) } else { Err(Error::Corrupt { what: "whole database", text: answer }) }
    }

    /// Runs `job` on the connection.
    async fn read<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.send(move |connection| job(connection)).await
    }

    /// Runs `job` in a transaction that is kept if the job succeeds.
    async fn write<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.send(move |connection| transact(connection, job)).await
    }

    /// As [`write`](Self::write), for what costs no more than the work if it is lost: when the power fails, the
    /// last of these transactions may never have been. Those before a [`write`](Self::write) are as safe as that.
    async fn write_soon<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.send(move |connection| {
            // Not written through to the disk at once, which takes as long as the work.
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            let done = transact(connection, job);
            connection.pragma_update(None, "synchronous", "FULL")?;
            done
        })
        .await
    }

    /// As [`write`](Self::write), and what is deleted or written over is wiped from the file.
    async fn erase<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.send(move |connection| {
            connection.pragma_update(None, "secure_delete", true)?;
            let done = transact(connection, job);
            connection.pragma_update(None, "secure_delete", false)?;
            done
        })
        .await
    }

    async fn send<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    {
        let (reply, wait) = oneshot::channel();
        let job: Job = Box::new(move |connection| drop(reply.send(job(connection))));
        let jobs = self.thread.jobs.as_ref().ok_or(Error::Closed)?;
        jobs.send(job).map_err(|_| Error::Closed)?;
        wait.await.map_err(|_| Error::Closed)?
    }

    /// Whether the key this handle was opened with is still the one that opens everything.
    pub async fn check_key(&self) -> Result<(), Error> {
        let key = self.key.clone();
        self.write(move |connection| {
            let mut statement = connection.prepare("SELECT sealed FROM key_check")?;
            let sealed: Option<Vec<u8>> =
                statement.query_row([], |row| row.get(0)).map(Some).or_else(absent)?;
            match sealed {
                Some(sealed) => secrets::open(&key, STORE_PURPOSE, &sealed).map(drop)?,
                None => {
                    let sealed = secrets::seal(&key, STORE_PURPOSE, KEY_CHECK);
                    connection.execute("INSERT INTO key_check (id, sealed) VALUES (1, ?1)", [sealed])?;
                }
            }
            Ok(())
        })
        .await
    }
}

fn transact<T>(
    connection: &mut Connection,
    job: impl FnOnce(&Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    // Immediate: two processes that both read first could otherwise not both write.
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let value = job(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let at = |source| Error::Open { path: path.to_owned(), source };
    // Made by us rather than by SQLite, for its owner alone: an inventory is nobody else's business.
    // SQLite gives the files beside it the same mode.
    let mut options = OpenOptions::new();
    options.create_new(true).write(true).mode(0o600);
    // Whatever keeps it from being made, SQLite says it better.
    let _ = options.open(path);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(at)?;
    // Another process may be writing: the daemon, while somebody runs a command.
    connection.busy_timeout(Duration::from_secs(30)).map_err(at)?;
    // What is forgotten is given back to the disk, in files that begin with this. Older ones use it again.
    let pages: u64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).map_err(at)?;
    if pages == 0 {
        connection.pragma_update(None, "auto_vacuum", "incremental").map_err(at)?;
    }
    // A page of the index of serial numbers is written often: it is kept in memory (16 MB) and copied
    // from the log to the file seldom (every 32 MB).
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = OFF;
             PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -16000;
             PRAGMA wal_autocheckpoint = 8000;",
        )
        .map_err(at)?;
    connection.set_prepared_statement_cache_capacity(64);
    let migrations = Migrations::from_slice(MIGRATIONS);
    migrations.to_latest(&mut connection).map_err(|source| match source {
        rusqlite_migration::Error::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => {
            Error::Newer { path: path.to_owned() }
        }
        source => Error::Migrate { path: path.to_owned(), source },
    })?;
    // Only now: a migration puts tables in the place of others, and that must take no rows along.
    connection.pragma_update(None, "foreign_keys", true).map_err(at)?;
    Ok(connection)
}

/// Seals a secret that this transaction stores. Refused if the store has come under another key since
/// it was opened: a value under the old one would be lost with it.
fn seal(connection: &Connection, key: &Key, purpose: &str, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
    let check: Vec<u8> = connection.query_row("SELECT sealed FROM key_check", [], |row| row.get(0))?;
    secrets::open(key, STORE_PURPOSE, &check)?;
    Ok(secrets::seal(key, purpose, plaintext))
}

/// A row that is not there is no error.
fn absent<T>(error: rusqlite::Error) -> Result<Option<T>, rusqlite::Error> {
    match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(None),
        other => Err(other),
    }
}

/// A column that holds one of our own types as text.
fn typed<T: std::str::FromStr>(text: String, what: &'static str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::Corrupt { what, text })
}

/// A column that holds one of our own types as JSON.
fn from_json<T: serde::de::DeserializeOwned>(text: &str, what: &'static str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| Error::Corrupt { what, text: text.to_owned() })
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our own types are always JSON")
}

fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

fn time(millis: i64) -> Result<Timestamp, Error> {
    Timestamp::from_millisecond(millis).map_err(|_| Error::Corrupt { what: "time", text: millis.to_string() })
}

fn maybe_time(millis: Option<i64>) -> Result<Option<Timestamp>, Error> {
    millis.map(time).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_of_before_the_history_is_brought_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deputy.db");
        let mut old = Connection::open(&path).unwrap();
        Migrations::from_slice(MIGRATIONS).to_version(&mut old, 1).unwrap();
        old.execute_batch(
            "INSERT INTO token_key VALUES ('k', 'emea', 'c', x'00', 0);
             INSERT INTO token (name, server_name, server_uuid, org_name, admin_id, expires_at, imported_at,
                 credentials, key_id, phase, synced_at)
                 VALUES ('emea', 's', 'u', 'o', 'a', 0, 0, x'00', 'k', 'sync', 5);
             INSERT INTO device (token, serial_number, profile_status, fetch_round, wait_until)
                 VALUES ('emea', 'C02AA', 'empty', 1, 7);",
        )
        .unwrap();
        drop(old);
        let store = Store::open(&path, Key::from_text(&"0".repeat(64), "a test").unwrap()).await.unwrap();
        let serial = "C02AA".parse().unwrap();
        let device = store.find_device(&serial).await.unwrap().remove(0);
        let pause = device.known.pause.unwrap();
        assert_eq!((pause.until.as_millisecond(), pause.times), (7, 1));
        assert_eq!(store.device_history(&device.token, &serial, 9).await.unwrap(), []);
        assert_eq!(store.sync_state(&device.token).await.unwrap().full_at, Some(time(5).unwrap()));
    }

    #[tokio::test]
    async fn a_database_of_before_removals_keeps_its_profiles_and_actions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deputy.db");
        let mut old = Connection::open(&path).unwrap();
        Migrations::from_slice(MIGRATIONS).to_version(&mut old, 2).unwrap();
        let (uuid, digest) = ("A".repeat(32), "0".repeat(64));
        old.execute_batch(&format!(
            "INSERT INTO token_key VALUES ('k', 'emea', 'c', x'00', 0);
             INSERT INTO token (name, server_name, server_uuid, org_name, admin_id, expires_at, imported_at,
                 credentials, key_id) VALUES ('emea', 's', 'u', 'o', 'a', 0, 0, x'00', 'k');
             INSERT INTO device (token, serial_number, profile_status, round) VALUES ('emea', 'C02AA', 'empty', 0);
             INSERT INTO profile VALUES ('emea', '{uuid}', 'lab', '{digest}', 5);
             INSERT INTO run VALUES ('20260109-091320-k3f9wq', 'w', '{{}}', NULL, 0, 0, 1, 'succeeded');
             INSERT INTO action (run, token, device, profile, reason, state, uuid, answered_at)
                 VALUES ('20260109-091320-k3f9wq', 'emea', 1, 'lab', 'r', 'succeeded', '{uuid}', 6);"
        ))
        .unwrap();
        drop(old);
        let store = Store::open(&path, Key::from_text(&"0".repeat(64), "a test").unwrap()).await.unwrap();
        let token = "emea".parse().unwrap();
        let defined = store.definitions(&token, &"lab".parse().unwrap()).await.unwrap();
        assert_eq!((defined.len(), &defined[0].body), (1, &None));
        let actions = store.actions_of(&token, &"C02AA".parse().unwrap(), 9).await.unwrap();
        assert_eq!((actions.len(), actions[0].removal), (1, None));
        assert_eq!(actions[0].profile, Some("lab".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_database_of_before_the_lifecycle_keeps_its_tokens_with_all_that_belongs_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deputy.db");
        let mut old = Connection::open(&path).unwrap();
        Migrations::from_slice(MIGRATIONS).to_version(&mut old, 4).unwrap();
        old.execute_batch(
            "INSERT INTO token_key VALUES ('k', 'emea', 'c', x'00', 0), ('later', 'emea', 'c', x'00', 9);
             INSERT INTO token (name, server_name, server_uuid, org_name, admin_id, expires_at, imported_at,
                 credentials, key_id, page_limit, cursor, phase, fetch_round, synced_at, assign_limit, full_at, healed_at)
                 VALUES ('emea', 's', 'u', 'o', 'a', 1, 2, x'00', 'k', 3, 'here', 'sync', 4, 5, 6, 7, 8);
             INSERT INTO device (token, serial_number, profile_status, round) VALUES ('emea', 'C02AA', 'empty', 0);",
        )
        .unwrap();
        drop(old);
        let store = Store::open(&path, Key::from_text(&"0".repeat(64), "a test").unwrap()).await.unwrap();
        let record = store.token_records().await.unwrap().remove(0);
        assert_eq!((record.key_id.as_deref(), record.token.org_id, record.previous), (Some("k"), None, None));
        assert_eq!(record.standing.worked_at, Some(time(5).unwrap()));
        let pending: Vec<_> = record.keys.iter().filter(|key| key.pending).map(|key| &key.id).collect();
        assert_eq!(pending, ["later"]);
        let state = store.sync_state(&"emea".parse().unwrap()).await.unwrap();
        assert_eq!((state.phase, state.limits.page, state.limits.assign), (Phase::Sync, Some(3), Some(6)));
        assert_eq!((state.full_at, state.healed_at), (Some(time(7).unwrap()), Some(time(8).unwrap())));
        let misfits: u64 = store
            .read(|connection| {
                Ok(connection
                    .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))?)
            })
            .await
            .unwrap();
        assert_eq!((misfits, store.tokens().await.unwrap()[0].devices), (0, 1));
    }

    #[tokio::test]
    async fn a_database_of_before_reminder_policies_knows_what_was_told_of_tokens_in_use() {
        use domain::reminder::{Instance, Threshold, Told};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deputy.db");
        let mut old = Connection::open(&path).unwrap();
        Migrations::from_slice(MIGRATIONS).to_version(&mut old, 7).unwrap();
        old.execute_batch(
            "INSERT INTO token (name, server_name, server_uuid, org_name, admin_id, expires_at, imported_at,
                 credentials) VALUES ('emea', 's', 'u', 'o', 'a', 86400000, 2, x'00');
             INSERT INTO reminder VALUES ('emea', 86400000, 2592000000, 'ops', 'r', 3),
                 ('emea', 86400000, 1209600000, 'ops', 'r', 4), ('emea', 5, 86400000, 'ops', 'r', 1);",
        )
        .unwrap();
        drop(old);
        let store = Store::open(&path, Key::from_text(&"0".repeat(64), "a test").unwrap()).await.unwrap();
        let told: Vec<_> = store.told(&"emea".parse().unwrap()).await.unwrap().into_iter().collect();
        let which = told.iter().map(|(which, _)| which.to_string()).collect::<Vec<_>>();
        assert_eq!(which, ["token"]);
        let instance = Instance::End(time(86_400_000).unwrap());
        let expected = Told { channel: "ops".parse().unwrap(), instance, threshold: Threshold(14 * 86_400) };
        assert_eq!(told[0].1, [expected]);
    }

    #[tokio::test]
    async fn a_database_of_before_earlier_decisions_were_explained_keeps_its_histories_and_verdicts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deputy.db");
        let mut old = Connection::open(&path).unwrap();
        Migrations::from_slice(MIGRATIONS).to_version(&mut old, 8).unwrap();
        let before = Timestamp::now();
        old.execute_batch(
            "INSERT INTO token (name, server_name, server_uuid, org_name, admin_id, expires_at, imported_at,
                 credentials) VALUES ('emea', 's', 'u', 'o', 'a', 1, 2, x'00');
             INSERT INTO device (id, token, serial_number, profile_status, round, seen_at, seen_run)
                 VALUES (4, 'emea', 'C02AA', 'empty', 1, 5, '20260101-000000-bcdfgh');
             INSERT INTO device_history VALUES (4, 1, 'changed', 6, '20260101-000000-bcdfgh', 6,
                 '[{\"field\":\"color\",\"from\":null,\"to\":\"RED\"}]');
             INSERT INTO verdict VALUES (4, 'hold', NULL, NULL, 'too new', 0, 'rules', 'a', 'r', 7);",
        )
        .unwrap();
        drop(old);
        let store = Store::open(&path, Key::from_text(&"0".repeat(64), "a test").unwrap()).await.unwrap();
        let (token, serial) = ("emea".parse().unwrap(), "C02AA".parse().unwrap());
        let changes = store.device_history(&token, &serial, 9).await.unwrap();
        let kinds: Vec<_> = changes.iter().map(|change| change.kind.as_str()).collect();
        assert_eq!((kinds, changes[0].fields.len()), (vec!["changed", "added"], 1));
        // What was decided before is not made up: the echo of what we did was not kept then.
        assert!(store.whole_since().await.unwrap() >= time(millis(before)).unwrap());
        let (device, _) = store.devices_after(&token, &Walk::default(), None, 9).await.unwrap().remove(0);
        let (run, plugin) = ("20260101-000000-bcdfgh".parse().unwrap(), "rules".parse().unwrap());
        let policy = (plugin, domain::id::Digest::of(b""));
        let said = vec![(device, domain::verdict::Verdict::ignore())];
        store.store_verdicts(&run, Book::Live, policy, &[], said, before).await.unwrap();
        let (verdicts, was): (i64, String) = store
            .read(|connection| {
                let sql = "SELECT count(*), max(decision) FROM earlier_verdict";
                Ok(connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
            })
            .await
            .unwrap();
        assert_eq!((verdicts, was.as_str()), (1, "hold"));
    }

    #[tokio::test]
    async fn a_database_of_a_newer_deputy_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) =
            (folder.path().join("deputy.db"), || Key::from_text(&"0".repeat(64), "a test").unwrap());
        let store = Store::open(&path, key()).await.unwrap();
        store.read(|connection| Ok(connection.pragma_update(None, "user_version", 99)?)).await.unwrap();
        drop(store);
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(Store::open(&path, key()).await, Err(Error::Newer { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
